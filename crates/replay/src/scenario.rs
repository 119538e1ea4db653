// SPDX-License-Identifier: Apache-2.0
//! A scenario: members with their sites, what electricity costs and emits there, what is asked of them, and where it may run. One
//! TOML file, [`RawScenario`], says it; [`Scenario`] is what is left of it once everything is read and checked.

use std::{fs::File, io::Read, path::Path};

use sta_decide::energy::{Power, Supply};

use self::{
    demand::Demand,
    raw::{RawClass, RawTerms},
    site::ReadSite,
    source::Source,
};
pub use self::{raw::RawScenario, source::ScenarioError};

mod demand;
mod hourly;
mod raw;
mod site;
mod source;

/// The longest file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most members, sites, workloads and classes, of each.
pub const ENTRIES_MAX: usize = 256;
/// The most processors of a site.
pub const PROCESSORS_MAX: u32 = 10_000_000;
/// The longest that any term may be: a year.
const TERM_S_MAX: u64 = 366 * 86_400;
/// The longest id and the longest name, in bytes.
const ID_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 256;

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What people call it.
    pub name: String,
    /// The currency of every amount.
    pub currency: String,
    /// What members have agreed on.
    pub terms: Terms,
    /// Who shares, in the order of the file.
    pub members: Vec<Member>,
    /// What they share, likewise.
    pub sites: Vec<Site>,
    /// Where jobs may run.
    pub classes: Vec<Class>,
    /// What is asked, in the order in which it comes.
    pub jobs: Vec<Job>,
    /// How many jobs of each site want more processors than it has, and are not in the list.
    pub too_large: Vec<u64>,
    /// When the first workload begins, in milliseconds since 1970.
    pub begin_ms: u64,
    /// When the last one ends. Jobs may run on after it.
    pub until_ms: u64,
}

/// What running elsewhere, and being taken away, costs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long its data takes to a site of another member.
    pub staging_ms: u64,
    /// How often a job that runs saves its work.
    pub checkpoint_ms: u64,
    /// How long it takes to go on from saved work.
    pub restart_ms: u64,
    /// How long it keeps its processors after it was told to go.
    pub grace_ms: u64,
    /// The most work that it may lose when it is taken away.
    pub unsaved_ms_max: u64,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// By which the file names it.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// A site.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// By which the file names it.
    pub id: String,
    /// Whose it is: the place in the list.
    pub member: usize,
    /// How many processors it has.
    pub processors: u32,
    /// What owning and keeping one of them costs for an hour, in millionths of the currency, beside electricity.
    pub owned_micro_per_processor_hour: u64,
    /// What one of them draws.
    pub power: Power,
    /// What electricity costs and emits.
    pub supply: Supply,
}

/// Where some of the jobs may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// By which the file names it.
    pub id: String,
    /// How many of a hundred jobs are of this class.
    pub share_percent: u32,
    /// Where.
    pub may_run: MayRun,
}

/// On whose sites a job may run, beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayRun {
    /// On no other.
    Home,
    /// On everyone's, also on the other sites of its own member.
    Anywhere,
    /// On those of these members, in the order of the list of members: places in it.
    Members(Vec<usize>),
}

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// When it comes, in milliseconds since 1970.
    pub submit_ms: u64,
    /// How long it runs.
    pub run_ms: u64,
    /// How long it says it might run; no less.
    pub estimate_ms: u64,
    /// How many processors it wants.
    pub processors: u32,
    /// Its home: the place in the list of sites.
    pub site: usize,
    /// The place in the list of classes.
    pub class: usize,
}

impl Scenario {
    /// Reads the file, and the traces and tables that it names.
    ///
    /// # Errors
    /// One of them cannot be read, or a value cannot be: the error says which file, which key and what to write.
    pub fn open(path: &Path) -> Result<Self, ScenarioError> {
        Self::of(&RawScenario::open(path)?, path)
    }

    /// Checks a scenario as it is written in the file at `path`, beside which its traces and tables lie.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(raw: &RawScenario, path: &Path) -> Result<Self, ScenarioError> {
        let source = &Source { path };
        check_lists(source, raw)?;
        let members: Vec<Member> = raw
            .members
            .iter()
            .map(|member| Member { id: member.id.clone(), name: member.name.clone() })
            .collect();
        let classes = classes(source, raw, &members)?;
        let site_ids: Vec<&str> = raw.sites.iter().map(|site| site.id.as_str()).collect();
        let Demand { mut jobs, of_sites } = demand::read(source, raw, &site_ids, &classes)?;
        let spans = || of_sites.iter().filter_map(|of_site| of_site.span_ms.clone());
        let begin_ms = spans().map(|span| span.start).min().unwrap_or(0);
        let until_ms = spans().map(|span| span.end).max().unwrap_or(0);
        let mut sites = Vec::with_capacity(raw.sites.len());
        for (place, (site, of_site)) in raw.sites.iter().zip(&of_sites).enumerate() {
            let read = ReadSite { source, raw, place, begin_ms, until_ms };
            sites.push(read.site(site, of_site, &members)?);
        }
        let mut too_large = vec![0; sites.len()];
        jobs.retain(|job| {
            let fits = job.processors <= sites[job.site].processors;
            too_large[job.site] += u64::from(!fits);
            fits
        });
        Ok(Self {
            name: raw.name.clone(),
            currency: raw.currency.clone(),
            terms: terms(source, raw.terms)?,
            members,
            sites,
            classes,
            too_large,
            jobs,
            begin_ms,
            until_ms,
        })
    }
}

impl RawScenario {
    /// Reads the file alone, as it is written.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn open(path: &Path) -> Result<Self, ScenarioError> {
        let mut text = String::new();
        let file = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        file.map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ScenarioError::TooLong { path: path.to_owned() });
        }
        toml::from_str(&text)
            .map_err(|error| ScenarioError::Syntax { path: path.to_owned(), said: error.to_string() })
    }
}

/// Everything that needs no file beside this one.
fn check_lists(source: &Source, raw: &RawScenario) -> Result<(), ScenarioError> {
    if raw.name.is_empty() || raw.name.len() > NAME_BYTES_MAX {
        return source.refuse("name".to_owned(), format!("write 1 to {NAME_BYTES_MAX} bytes"));
    }
    if raw.currency.len() != 3 || !raw.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let said = format!("`{}` is no currency: write three capital letters, such as USD", raw.currency);
        return source.refuse("currency".to_owned(), said);
    }
    let classes = raw.classes.iter().map(|class| class.id.as_str()).collect();
    let sites = raw.sites.iter().map(|site| site.id.as_str()).collect();
    let members = raw.members.iter().map(|member| member.id.as_str()).collect();
    check_ids(source, "members", &members)?;
    check_ids(source, "sites", &sites)?;
    check_ids(source, "classes", &classes)?;
    for (list, length) in
        [("members", members.len()), ("sites", sites.len()), ("workloads", raw.workloads.len())]
    {
        if length == 0 {
            return source.refuse(list.to_owned(), format!("there are none: write `[[{list}]]` for each"));
        }
        if length > ENTRIES_MAX {
            return source.refuse(list.to_owned(), format!("there are {length}, and may be {ENTRIES_MAX}"));
        }
    }
    for (place, member) in raw.members.iter().enumerate() {
        if member.name.is_empty() || member.name.len() > NAME_BYTES_MAX {
            return source
                .refuse(format!("members[{place}].name"), format!("write 1 to {NAME_BYTES_MAX} bytes"));
        }
        if !raw.sites.iter().any(|site| site.member == member.id) {
            let said = format!("`{}` has no site: write one `[[sites]]` of it at least", member.id);
            return source.refuse(format!("members[{place}].id"), said);
        }
    }
    Ok(())
}

fn check_ids(source: &Source, list: &str, ids: &Vec<&str>) -> Result<(), ScenarioError> {
    for (place, id) in ids.iter().enumerate() {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let key = || format!("{list}[{place}].id");
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(fine) {
            let said = format!("`{id}` is no id: write 1 to {ID_BYTES_MAX} small letters, digits and `-`");
            return source.refuse(key(), said);
        }
        if ids[..place].contains(id) {
            return source.refuse(key(), format!("`{id}` is there twice: give each its own"));
        }
    }
    Ok(())
}

fn terms(source: &Source, raw: RawTerms) -> Result<Terms, ScenarioError> {
    let RawTerms { staging_s, checkpoint_s, restart_s, grace_s, unsaved_s_max } = raw;
    let unsaved_s = unsaved_s_max.unwrap_or(checkpoint_s);
    let named = [
        ("staging_s", staging_s),
        ("checkpoint_s", checkpoint_s),
        ("restart_s", restart_s),
        ("grace_s", grace_s),
        ("unsaved_s_max", unsaved_s),
    ];
    for (name, seconds) in named {
        if seconds > TERM_S_MAX {
            return source.refuse(
                format!("terms.{name}"),
                format!("{seconds} is more than a year: use at most {TERM_S_MAX}"),
            );
        }
    }
    if checkpoint_s == 0 {
        let said = "work cannot be saved all the time: use 1 or more";
        return source.refuse("terms.checkpoint_s".to_owned(), said.to_owned());
    }
    Ok(Terms {
        staging_ms: staging_s * 1000,
        checkpoint_ms: checkpoint_s * 1000,
        restart_ms: restart_s * 1000,
        grace_ms: grace_s * 1000,
        unsaved_ms_max: unsaved_s * 1000,
    })
}

fn classes(source: &Source, raw: &RawScenario, members: &[Member]) -> Result<Vec<Class>, ScenarioError> {
    let movable = |percent: u32| {
        let class = |id: &str, share_percent, may_run| Class { id: id.to_owned(), share_percent, may_run };
        vec![class("movable", percent, MayRun::Anywhere), class("fixed", 100 - percent, MayRun::Home)]
    };
    match (raw.movable_percent, raw.classes.as_slice()) {
        (Some(_), [_, ..]) => {
            let said = "it is the short form of `[[classes]]`, which are there too: leave out one of them";
            source.refuse("movable_percent".to_owned(), said.to_owned())
        }
        (Some(percent), []) if percent > 100 => {
            source.refuse("movable_percent".to_owned(), format!("{percent} is more than all: use 0 to 100"))
        }
        (percent, []) => Ok(movable(percent.unwrap_or(100))),
        (None, classes) => {
            let sum: u64 = classes.iter().map(|class| u64::from(class.share_percent)).sum();
            if sum != 100 {
                let said = format!("their `share_percent` make {sum}: let them make 100");
                return source.refuse("classes".to_owned(), said);
            }
            let class = |(place, class)| class_of(source, place, class, members);
            classes.iter().enumerate().map(class).collect()
        }
    }
}

fn class_of(
    source: &Source,
    place: usize,
    raw: &RawClass,
    members: &[Member],
) -> Result<Class, ScenarioError> {
    let key = || format!("classes[{place}].may_run");
    let ids: Option<Vec<&str>> =
        raw.may_run.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect());
    let may_run = match (raw.may_run.as_str(), ids) {
        (Some("home"), _) => MayRun::Home,
        (Some("anywhere"), _) => MayRun::Anywhere,
        (_, Some(ids)) => {
            let place = |id| members.iter().position(|member| member.id == id).ok_or(id);
            match ids.into_iter().map(place).collect() {
                Ok(places) => {
                    let mut places: Vec<usize> = places;
                    places.sort_unstable();
                    places.dedup();
                    MayRun::Members(places)
                }
                Err(id) => return source.refuse(key(), no_member(id, members)),
            }
        }
        (_, None) => {
            let said = format!("is {}: write \"home\", \"anywhere\" or a list of members", raw.may_run);
            return source.refuse(key(), said);
        }
    };
    Ok(Class { id: raw.id.clone(), share_percent: raw.share_percent, may_run })
}

fn no_member(id: &str, members: &[Member]) -> String {
    let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    format!("`{id}` is no member; there are {}", ids.join(", "))
}
