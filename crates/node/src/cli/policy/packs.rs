// SPDX-License-Identifier: Apache-2.0
//! Packs with their schema, shared facts and cases: of a directory, or as shipped with the software.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sta_decide::{
    authorize::{Rules, SHIPPED_CASES, SHIPPED_FACTS, SHIPPED_SCHEMA},
    cases::{self, CaseResult, CasesError},
};

use super::{
    super::failure::{Exit, Failure, Trying},
    read,
};

/// The file in which a case is, and what came of it.
pub(super) type CaseOf = (String, CaseResult);

/// Packs that load, and the cases beside them.
pub(super) struct Packs {
    /// The rules.
    pub(super) rules: Rules,
    /// What cases of gates stand on.
    pub(super) facts: String,
    /// Name and text of each file of cases.
    pub(super) cases: Vec<(String, String)>,
    /// Where they are, for people.
    pub(super) place: String,
}

impl Packs {
    /// Those that come with the software, or those of a directory.
    pub(super) fn of_or_shipped(directory: Option<&Path>) -> Result<Self, Failure> {
        let Some(directory) = directory else {
            let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
            return Ok(Self {
                rules: Rules::shipped().trying_to("load the shipped rule packs")?,
                facts: SHIPPED_FACTS.to_owned(),
                cases: SHIPPED_CASES.into_iter().map(owned).collect(),
                place: "the shipped packs".to_owned(),
            });
        };
        Self::of(directory)
    }

    /// Those of a directory; its own schema and shared facts where it has them.
    pub(super) fn of(directory: &Path) -> Result<Self, Failure> {
        let doing = format!("load the rule packs in `{}`", directory.display());
        let mut packs = Vec::new();
        for path in with_ending(directory, ".cedar")? {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            packs.push((name, read(&path)?));
        }
        if packs.is_empty() {
            return Err(Failure::new(doing, "there is no *.cedar")
                .exit(Exit::Usage)
                .mend("Name the directory that holds the packs, such as `policies`."));
        }
        let own_or = |name: &str, shipped: &str| {
            let path = directory.join(name);
            if path.exists() { read(&path) } else { Ok(shipped.to_owned()) }
        };
        let schema = own_or("schema.cedarschema", SHIPPED_SCHEMA)?;
        let packs: Vec<(&str, &str)> =
            packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let rules =
            Rules::load(&packs, &schema).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
        let mut cases = Vec::new();
        for path in with_ending(directory, ".cases.toml")? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            cases.push((name, read(&path)?));
        }
        let facts = own_or("gates.facts.toml", SHIPPED_FACTS)?;
        Ok(Self { rules, facts, cases, place: format!("`{}`", directory.display()) })
    }

    /// Runs every case under the packs' own rules.
    pub(super) fn results(&self) -> Result<Vec<CaseOf>, Failure> {
        let mut results = Vec::new();
        for (file, text) in &self.cases {
            let ran = self
                .run(&self.rules, text)
                .trying_to(format!("run the cases of `{file}` in {}", self.place))
                .map_err(|failure| failure.exit(Exit::Usage))?;
            results.extend(ran.into_iter().map(|result| (file.clone(), result)));
        }
        Ok(results)
    }

    /// Runs the cases of one of these files under any rules.
    pub(super) fn run(&self, rules: &Rules, text: &str) -> Result<Vec<CaseResult>, CasesError> {
        cases::run_on(rules, &self.facts, text)
    }
}

fn with_ending(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let doing = format!("read the directory `{}`", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).trying_to(&doing)? {
        let path = entry.trying_to(&doing)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
