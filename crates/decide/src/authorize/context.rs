// SPDX-License-Identifier: Apache-2.0
//! The facts as the rules see them: sections of named facts (`data.class`), which become Cedar's context as they are.

use std::{collections::BTreeMap, fmt};

use cedar_policy::{Context, RestrictedExpression};
use sta_protocol::{gate::Provenance, ids::Jurisdiction};

use crate::facts::{DataFacts, ExportFacts, HomeFacts, ReleaseFacts, RunFacts, SiteFacts, WayHome};

/// What a rule reads when the treaty has no such thing: no ground, no jurisdiction.
const NONE: &str = "none";

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Yes or no.
    Flag(bool),
    /// A number, in the unit that its name says.
    Number(i64),
    /// A word.
    Text(String),
    /// A set of words, in a fixed order.
    Words(Vec<String>),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Words(words) if words.is_empty() => f.write_str(NONE),
            Self::Words(words) => f.write_str(&words.join(",")),
        }
    }
}

/// Sections of named facts: what one question to the rules is about, and who vouches for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FactSheet {
    sections: BTreeMap<String, BTreeMap<String, Fact>>,
    /// Who vouches, by path; a fact that is not here is declared.
    vouched: BTreeMap<String, Provenance>,
}

impl FactSheet {
    /// The fact at `section.name`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Fact> {
        let (section, name) = path.split_once('.')?;
        self.sections.get(section)?.get(name)
    }

    /// Every path, in order.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let paths = |(section, facts): (&String, &BTreeMap<String, Fact>)| -> Vec<String> {
            facts.keys().map(|name| format!("{section}.{name}")).collect()
        };
        self.sections.iter().flat_map(paths)
    }

    /// Sets the fact at `section.name`; false when `path` is not of that form.
    pub fn set(&mut self, path: &str, fact: Fact) -> bool {
        let Some((section, name)) = path.split_once('.') else { return false };
        self.sections.entry(section.to_owned()).or_default().insert(name.to_owned(), fact);
        true
    }

    /// Takes the fact at `section.name` out, or a whole section where `path` has no dot; false when it was not there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.vouched.retain(|of, _| of != path && of.split('.').next() != Some(path));
        match path.split_once('.') {
            Some((section, name)) => {
                self.sections.get_mut(section).is_some_and(|facts| facts.remove(name).is_some())
            }
            None => self.sections.remove(path).is_some(),
        }
    }

    /// Who vouches for the fact at `section.name`: nobody but the one who asks, where nothing else was said.
    #[must_use]
    pub fn provenance(&self, path: &str) -> Provenance {
        self.vouched.get(path).copied().unwrap_or(Provenance::Declared)
    }

    /// Says who vouches for the fact at `section.name`.
    pub fn vouch(&mut self, path: &str, provenance: Provenance) {
        self.vouched.insert(path.to_owned(), provenance);
    }

    /// Sets a fact and who vouches for it.
    pub(crate) fn set_known(&mut self, path: &str, fact: Fact, provenance: Provenance) {
        self.set(path, fact);
        self.vouch(path, provenance);
    }

    /// The same facts without the other sections.
    pub(crate) fn only(&self, sections: &[&str]) -> Self {
        let kept = |name: &str| sections.contains(&name);
        let sections = self.sections.iter().filter(|(name, _)| kept(name));
        let vouched = self.vouched.iter().filter(|(path, _)| path.split('.').next().is_some_and(kept));
        Self {
            sections: sections.map(|(name, facts)| (name.clone(), facts.clone())).collect(),
            vouched: vouched.map(|(path, provenance)| (path.clone(), *provenance)).collect(),
        }
    }

    fn section<const N: usize>(&mut self, name: &str, facts: [(&str, Fact); N]) {
        let facts = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        self.sections.insert(name.to_owned(), facts);
    }

    /// The facts as Cedar's context.
    pub(crate) fn to_context(&self) -> Result<Context, Box<dyn std::error::Error>> {
        let section = |(name, facts): (&String, &BTreeMap<String, Fact>)| {
            let record = RestrictedExpression::new_record(
                facts.iter().map(|(name, fact)| (name.clone(), expression(fact))),
            )?;
            Ok((name.clone(), record))
        };
        let sections: Result<Vec<_>, Box<dyn std::error::Error>> =
            self.sections.iter().map(section).collect();
        Ok(Context::from_pairs(sections?)?)
    }
}

fn expression(fact: &Fact) -> RestrictedExpression {
    match fact {
        Fact::Flag(flag) => RestrictedExpression::new_bool(*flag),
        Fact::Number(number) => RestrictedExpression::new_long(*number),
        Fact::Text(text) => RestrictedExpression::new_string(text.clone()),
        Fact::Words(words) => {
            RestrictedExpression::new_set(words.iter().cloned().map(RestrictedExpression::new_string))
        }
    }
}

pub(super) fn run_sheet(facts: &RunFacts) -> FactSheet {
    let mut sheet = FactSheet::default();
    treaty_section(&mut sheet, facts.treaty_in_force, &facts.home, facts.site.member_in_treaty);
    home_section(&mut sheet, &facts.home);
    site_section(&mut sheet, &facts.site);
    let job = &facts.job;
    sheet.section(
        "job",
        [
            ("class", text(job.class)),
            ("purpose", text(&job.purpose)),
            ("network", Fact::Flag(job.network)),
            ("crosses_border", Fact::Flag(job.crosses_border)),
        ],
    );
    let (active, reserved) = (Fact::Flag(facts.project_active), Fact::Flag(facts.allocation_reserved));
    sheet.section(
        "project",
        [("id", text(&facts.project)), ("active", active), ("allocation_reserved", reserved)],
    );
    sheet.section(
        "visa",
        [("valid", Fact::Flag(facts.visa_valid)), ("affiliated", Fact::Flag(facts.visa_affiliated))],
    );
    sheet.section("witness", [("behind", Fact::Flag(facts.witness_behind))]);
    sheet
}

pub(super) fn process_sheet(run: &FactSheet, data: &DataFacts) -> FactSheet {
    let mut sheet = run.clone();
    sheet.section(
        "data",
        [
            ("id", text(&data.id)),
            ("class", text(data.class)),
            ("origin", data.origin.as_ref().map_or_else(|| text(NONE), text)),
            ("residency", words(&data.residency)),
            ("site_in_residency", Fact::Flag(data.site_in_residency)),
            ("stays_in_nation", Fact::Flag(data.stays_in_nation)),
            ("same_area", Fact::Flag(data.same_area)),
            ("purpose_allowed", Fact::Flag(data.purpose_allowed)),
            ("granted", Fact::Flag(data.granted)),
            ("transfer_ground", data.transfer_ground.as_ref().map_or_else(|| text(NONE), text)),
        ],
    );
    sheet
}

pub(super) fn export_sheet(facts: &ExportFacts) -> FactSheet {
    let mut sheet = FactSheet::default();
    treaty_section(&mut sheet, facts.treaty_in_force, &facts.home, facts.site.member_in_treaty);
    home_section(&mut sheet, &facts.home);
    site_section(&mut sheet, &facts.site);
    sheet.section("job", [("crosses_border", Fact::Flag(facts.crosses_border))]);
    let released = Fact::Flag(facts.released);
    sheet.section(
        "output",
        [("name", text(&facts.output)), ("class", text(facts.class)), ("released", released)],
    );
    way_home_section(&mut sheet, &facts.way_home);
    sheet
}

pub(super) fn release_sheet(facts: &ReleaseFacts) -> FactSheet {
    let mut sheet = FactSheet::default();
    home_section(&mut sheet, &facts.home);
    sheet.section("output", [("name", text(&facts.output)), ("class", text(facts.class))]);
    let reason = Fact::Flag(facts.reason_given);
    sheet.section("release", [("new_class", text(facts.new_class)), ("reason_given", reason)]);
    sheet.section(
        "steward",
        [
            ("member", text(&facts.steward_member)),
            ("of_all_data", Fact::Flag(facts.steward_of_all_data)),
            ("is_researcher", Fact::Flag(facts.steward_is_researcher)),
        ],
    );
    way_home_section(&mut sheet, &facts.way_home);
    sheet
}

fn treaty_section(sheet: &mut FactSheet, in_force: bool, home: &HomeFacts, host_is_member: bool) {
    let home_is_member = Fact::Flag(home.jurisdiction.is_some());
    let host_is_member = Fact::Flag(host_is_member);
    let in_force = Fact::Flag(in_force);
    sheet.section(
        "treaty",
        [("in_force", in_force), ("home_is_member", home_is_member), ("host_is_member", host_is_member)],
    );
}

fn home_section(sheet: &mut FactSheet, home: &HomeFacts) {
    let jurisdiction = home.jurisdiction.as_ref().map_or_else(|| text(NONE), text);
    sheet.section("home", [("member", text(&home.member)), ("jurisdiction", jurisdiction)]);
}

fn site_section(sheet: &mut FactSheet, site: &SiteFacts) {
    sheet.section(
        "site",
        [
            ("id", text(&site.id)),
            ("member", text(&site.member)),
            ("jurisdiction", text(&site.jurisdiction)),
            ("operator", text(&site.operator)),
            ("operator_form", text(&site.operator_form)),
            ("exposed_to", words(&site.exposed_to)),
            ("exposed", Fact::Flag(!site.exposed_to.is_empty())),
        ],
    );
}

fn way_home_section(sheet: &mut FactSheet, way: &WayHome) {
    sheet.section(
        "way_home",
        [
            ("in_residency", Fact::Flag(way.in_residency)),
            ("in_area", Fact::Flag(way.in_area)),
            ("in_nation", Fact::Flag(way.in_nation)),
            ("origins", words(&way.origins)),
        ],
    );
}

fn text(value: impl fmt::Display) -> Fact {
    Fact::Text(value.to_string())
}

fn words(values: &[Jurisdiction]) -> Fact {
    Fact::Words(values.iter().map(ToString::to_string).collect())
}
