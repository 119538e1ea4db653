// SPDX-License-Identifier: Apache-2.0
//! The rule packs in force: those the treaty names, from the shipped ones or from the node's own `policies/`, by digest; and over
//! them the packs of the member and of its sites' operators, which `sta.toml` names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sta_decide::{
    authorize::{Rules, SHIPPED_PACKS, SHIPPED_SCHEMA},
    gate::Layers,
};
use sta_protocol::{digest::Sha256Digest, gate::Layer, ids::SiteId, treaty::Treaty};

use crate::config::Config;

/// The most bytes of one pack.
const PACK_BYTES_MAX: u64 = 1 << 20;

/// The packs over those of the treaty. They can make an answer of a gate stricter, and in no way looser.
#[derive(Debug, Default)]
pub struct OwnPacks {
    national: Option<Rules>,
    sites: BTreeMap<SiteId, Rules>,
}

impl OwnPacks {
    /// Loads the packs that `sta.toml` names.
    ///
    /// # Errors
    /// A sentence that names file and rule and says how to mend it: the file does not read, a rule does not fit the schema,
    /// permits, is about jobs and not about a gate, or has the id of another rule in force.
    pub fn load(config: &Config, treaty: &Rules) -> Result<Self, String> {
        let mut known: BTreeMap<String, String> = treaty
            .rules()
            .map(|rule| (rule.id.clone(), format!("the treaty's pack `{}`", rule.pack)))
            .collect();
        let mut load = |files: &[PathBuf]| own_rules(&config.directory, files, &mut known);
        let national = load(&config.policies.national)?;
        let mut sites = BTreeMap::new();
        for site in &config.sites {
            if let Some(rules) = load(&site.policies)? {
                sites.insert(site.id.clone(), rules);
            }
        }
        Ok(Self { national, sites })
    }

    /// The layers that apply at a site, or to what happens at none: treaty, nation and site.
    #[must_use]
    pub fn over<'a>(&'a self, treaty: &'a Rules, site: Option<&SiteId>) -> Layers<'a> {
        let own = self.national.iter().map(|rules| (Layer::National, rules));
        let of_site = site.and_then(|site| self.sites.get(site)).map(|rules| (Layer::Site, rules));
        own.chain(of_site).fold(Layers::treaty(treaty), |layers, (layer, rules)| layers.and(layer, rules))
    }

    /// The digests of all of them, for the record of the node's start.
    pub fn digests(&self) -> impl Iterator<Item = Sha256Digest> {
        self.national.iter().chain(self.sites.values()).map(Rules::digest)
    }
}

/// The rules of some files; none where there is no file.
fn own_rules(
    directory: &Path,
    files: &[PathBuf],
    known: &mut BTreeMap<String, String>,
) -> Result<Option<Rules>, String> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut packs: Vec<(String, String)> = Vec::new();
    for file in files {
        let path = directory.join(file);
        let length = std::fs::metadata(&path).map_err(|error| {
            format!(
                "`{}` does not read ({error}): take it out of sta.toml, or put the file there",
                path.display()
            )
        })?;
        if length.len() > PACK_BYTES_MAX {
            return Err(format!("`{}` is longer than {PACK_BYTES_MAX} bytes: split it", path.display()));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("`{}` does not read: {error}", path.display()))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        packs.push((name, text));
    }
    let texts: Vec<(&str, &str)> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let place = files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(", ");
    let rules =
        Rules::load(&texts, SHIPPED_SCHEMA).map_err(|error| format!("{place} does not load: {error}"))?;
    for rule in rules.rules() {
        let at = format!("{place}: rule `{}` in pack `{}`, line {}", rule.id, rule.pack, rule.line);
        if !rule.is_guard {
            return Err(format!(
                "{at} permits: a pack of one's own only makes answers stricter, so write a forbid"
            ));
        }
        if rule.gate.is_none() {
            return Err(format!(
                "{at} is about jobs and no gate: write it for screen, move-data, train or another gate, or agree on it in the treaty"
            ));
        }
        if let Some(other) = known.insert(rule.id.clone(), place.clone()) {
            return Err(format!("{at} has the id of a rule in {other}: choose another"));
        }
    }
    Ok(Some(rules))
}

/// Loads exactly the packs that the treaty names; one byte of difference is another pack.
///
/// # Errors
/// A sentence saying which pack is missing, differs or does not load.
pub fn in_force(treaty: &Treaty, directory: &Path) -> Result<Rules, String> {
    let mut packs: Vec<(String, String)> = Vec::new();
    for pack in &treaty.policies {
        let text = find(&pack.name, pack.sha256, directory)?;
        packs.push((pack.name.clone(), text));
    }
    let packs: Vec<(&str, &str)> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Rules::load(&packs, SHIPPED_SCHEMA).map_err(|error| format!("its policy packs do not load: {error}"))
}

fn find(name: &str, digest: Sha256Digest, directory: &Path) -> Result<String, String> {
    let shipped =
        SHIPPED_PACKS.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| (*text).to_owned());
    let path = directory.join("policies").join(format!("{name}.cedar"));
    let own = std::fs::read_to_string(&path).ok();
    let found = own.into_iter().chain(shipped).find(|text| Sha256Digest::of(text.as_bytes()) == digest);
    found.ok_or_else(|| {
        format!("it names policy pack `{name}` with SHA-256 {digest}, which is neither shipped with this version nor in `{}`", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of one file with this text, under a treaty that has a rule `EU-05`.
    fn said(text: &str) -> String {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("own.cedar"), text).expect("it is writable");
        let mut known = BTreeMap::from([("EU-05".to_owned(), "the treaty's pack `eu-ai-act`".to_owned())]);
        match own_rules(directory.path(), &["own.cedar".into()], &mut known) {
            Ok(_) => "loads".to_owned(),
            Err(problem) => problem,
        }
    }

    const RULE: &str = r#"@id("OWN-1") @source("ours") @from("2026-01-01") @effect("deny") @facts("intent.purpose")
        @text_en("No.") @text_fr("Non.") @text_de("Nein.") @advice("Ask.") @advice_fr("Demandez.") @advice_de("Fragen Sie.")
        forbid (principal, action == Action::"screen", resource) when { context.intent.purpose == "commercial" };"#;

    #[test]
    fn a_pack_of_ones_own_only_makes_answers_stricter() {
        assert_eq!(said(RULE), "loads");
        let permit = "@id(\"OWN-2\") permit (principal, action == Action::\"screen\", resource);";
        insta::assert_snapshot!(said(permit), @"`own.cedar`: rule `OWN-2` in pack `own`, line 1 permits: a pack of one's own only makes answers stricter, so write a forbid");
    }

    #[test]
    fn what_is_wrong_with_a_pack_is_said_with_file_rule_and_line() {
        insta::assert_snapshot!(said(&RULE.replace("OWN-1", "EU-05")), @"`own.cedar`: rule `EU-05` in pack `own`, line 1 has the id of a rule in the treaty's pack `eu-ai-act`: choose another");
        let jobs = r#"@id("OWN-3") @source("ours") @facts("job.purpose") @advice("Ask.")
            forbid (principal, action == Action::"run", resource) when { context.job.purpose == "commercial" };"#;
        assert!(
            said(jobs).contains("rule `OWN-3` in pack `own`, line 1 is about jobs and no gate"),
            "{}",
            said(jobs)
        );
        let wrong = said(&RULE.replace("context.intent.purpose", "context.intent.purpos"));
        assert!(
            wrong.starts_with("`own.cedar` does not load: policy pack `own`, line 1: rule `OWN-1`"),
            "{wrong}"
        );
        let mut known = BTreeMap::new();
        let missing = own_rules(Path::new("/nowhere"), &["own.cedar".into()], &mut known).map(|_| ());
        assert!(missing.is_err_and(|problem| problem.contains("take it out of sta.toml")));
    }
}
