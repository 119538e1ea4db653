// SPDX-License-Identifier: Apache-2.0
//! How a Slurm site is set up: as its operator writes it, and checked once before anything is asked of the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sta_protocol::ids::{MemberId, ProjectId, ResearcherId};

use crate::engines::{Objection, Owner};

/// What stands for the unix account in the prefix and in the directory.
const ACCOUNT: &str = "{account}";
/// What stands for the image in a runtime.
const IMAGE: &str = "{image}";

/// `[sites.slurm]` as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmSettings {
    /// `ClusterName` of its slurm.conf; part of every name this engine gives.
    pub cluster: String,
    /// Words before each command, such as `["ssh", "login", "sudo", "-n", "-u", "{account}"]`; `{account}` is the unix account.
    pub prefix: Vec<String>,
    /// The unix account that looks at the queue.
    pub observer: String,
    /// The directory of each account on the cluster's shared file system, such as `/scratch/{account}/sta`.
    pub directory: String,
    /// The partition; the cluster's default when not given.
    #[serde(default)]
    pub partition: Option<String>,
    /// The reservation that jobs run in, if any.
    #[serde(default)]
    pub reservation: Option<String>,
    /// The cluster's accelerators by type, as its gres.conf names them; a type that is not there is refused before admission.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gpus: BTreeMap<String, u32>,
    /// Whether `sacct` answers here (`AccountingStorageType=accounting_storage/slurmdbd`).
    #[serde(default = "yes")]
    pub accounting: bool,
    /// A file that the site's `EpilogSlurmctld` writes at each job's end; looking at it is cheap, so ends are seen at once.
    #[serde(default)]
    pub hook: Option<std::path::PathBuf>,
    /// Seconds between two looks at the queue while jobs are under way.
    #[serde(default = "poll_s")]
    pub poll_s: u32,
    /// Seconds after which a command of the site counts as lost.
    #[serde(default = "command_s")]
    pub command_s: u32,
    /// Seconds for which the queue and the accounting may know nothing of a job before it counts as lost by the cluster.
    #[serde(default = "lost_after_s")]
    pub lost_after_s: u32,
    /// Seconds between asking a task to end at its time limit (SIGTERM) and killing it.
    #[serde(default = "grace_s")]
    pub grace_s: u32,
    /// How many commands of the site run at once.
    #[serde(default = "commands_max")]
    pub commands_max: usize,
    /// What is kept of each stream of each task, in bytes.
    #[serde(default = "log_bytes_max")]
    pub log_bytes_max: u64,
    /// `PATH` of the jobs.
    #[serde(default = "search_path")]
    pub search_path: String,
    /// Options of `sbatch`, by their long names, that a job may give.
    #[serde(default)]
    pub options_allowed: Vec<String>,
    /// Which images run here, and how.
    #[serde(default = "host_only")]
    pub images: Vec<ImageRule>,
    /// Who runs as which account.
    #[serde(default)]
    pub accounts: Vec<AccountRow>,
    /// Accounts given to researchers who come without a row of their own.
    #[serde(default)]
    pub first_come: Option<FirstCome>,
}

/// A pattern of images and the command line that runs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRule {
    /// `host`, or a name in which `*` stands for any characters, such as `registry.example/*`.
    pub pattern: String,
    /// Words before the job's command, with `{image}`; none for the programs of the machine itself.
    #[serde(default)]
    pub runtime: Vec<String>,
}

/// One researcher's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRow {
    /// The researcher's member.
    pub member: MemberId,
    /// Only for this project; for any when not given.
    #[serde(default)]
    pub project: Option<ProjectId>,
    /// The researcher.
    pub researcher: ResearcherId,
    /// The unix account.
    pub account: String,
    /// The Slurm account (`--account`); the unix account's default when not given.
    #[serde(default)]
    pub slurm_account: Option<String>,
    /// The quality of service (`--qos`).
    #[serde(default)]
    pub qos: Option<String>,
}

/// Accounts that are given out in order, one a researcher, and never taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstCome {
    /// The unix accounts.
    pub accounts: Vec<String>,
    /// Only for researchers of these members; of any when empty.
    #[serde(default)]
    pub members: Vec<MemberId>,
    /// The Slurm account of all of them.
    #[serde(default)]
    pub slurm_account: Option<String>,
    /// Their quality of service.
    #[serde(default)]
    pub qos: Option<String>,
}

fn yes() -> bool {
    true
}
fn poll_s() -> u32 {
    2
}
fn command_s() -> u32 {
    30
}
fn lost_after_s() -> u32 {
    60
}
fn grace_s() -> u32 {
    10
}
fn commands_max() -> usize {
    8
}
fn log_bytes_max() -> u64 {
    64 << 20
}
fn search_path() -> String {
    crate::engines::local::SEARCH_PATH.to_owned()
}
fn host_only() -> Vec<ImageRule> {
    vec![ImageRule { pattern: "host".to_owned(), runtime: Vec::new() }]
}

/// A key of `[sites.slurm]` that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct InvalidSettings {
    /// The key.
    pub key: &'static str,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl SlurmSettings {
    /// Checks everything that can be checked without the cluster.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        self.check_words()?;
        self.check_numbers()?;
        self.check_images()?;
        self.check_accounts()
    }

    fn check_words(&self) -> Result<(), InvalidSettings> {
        if !is_name(&self.cluster) {
            return Err(invalid("cluster", format!("is `{}`: use the cluster's ClusterName", self.cluster)));
        }
        if !self.prefix.iter().any(|word| word.contains(ACCOUNT)) {
            let problem = "has no `{account}`: every command must run as the account it is for, for example by [\"sudo\", \"-n\", \"-u\", \"{account}\", \"--\"]";
            return Err(invalid("prefix", problem.to_owned()));
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/_-.{}".contains(letter);
        if !self.directory.starts_with('/')
            || !self.directory.contains(ACCOUNT)
            || !self.directory.chars().all(plain)
        {
            let problem = format!(
                "is `{}`: use an absolute path of letters, digits and `/_-.` with {ACCOUNT} in it, such as /scratch/{ACCOUNT}/sta",
                self.directory
            );
            return Err(invalid("directory", problem));
        }
        for (key, value) in [("partition", &self.partition), ("reservation", &self.reservation)] {
            if let Some(name) = value.as_ref().filter(|name| !is_name(name)) {
                return Err(invalid(key, format!("is `{name}`: use the name that the cluster has for it")));
            }
        }
        let long = |option: &String| {
            option.starts_with(|first: char| first.is_ascii_lowercase())
                && option.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        if let Some(option) =
            self.options_allowed.iter().find(|option| !long(option) || OWN_OPTIONS.contains(&option.as_str()))
        {
            let problem = format!(
                "has `{option}`: use a long option of sbatch without its dashes, and none that sta sets itself"
            );
            return Err(invalid("options_allowed", problem));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), InvalidSettings> {
        let limits = [
            ("poll_s", u64::from(self.poll_s), 1, 600),
            ("command_s", u64::from(self.command_s), 1, 600),
            ("lost_after_s", u64::from(self.lost_after_s), 1, 86_400),
            ("grace_s", u64::from(self.grace_s), 0, 3600),
            ("commands_max", self.commands_max as u64, 1, 64),
            ("log_bytes_max", self.log_bytes_max, 1 << 10, 1 << 32),
        ];
        match limits.into_iter().find(|(_, value, least, most)| value < least || value > most) {
            Some((key, value, least, most)) => {
                Err(invalid(key, format!("is {value}: use {least} to {most}")))
            }
            None => Ok(()),
        }
    }

    fn check_images(&self) -> Result<(), InvalidSettings> {
        let faulty = |rule: &&ImageRule| {
            let is_host = rule.pattern == "host";
            is_host != rule.runtime.is_empty()
                || (!is_host && !rule.runtime.iter().any(|word| word.contains(IMAGE)))
        };
        match self.images.iter().find(faulty) {
            Some(rule) => {
                let problem = format!(
                    "has the pattern `{}`: `host` has no runtime, and every other needs one with {IMAGE} in it, such as [\"apptainer\", \"exec\", \"--nv\", \"{IMAGE}\"]",
                    rule.pattern
                );
                Err(invalid("images", problem))
            }
            None => Ok(()),
        }
    }

    /// No account is root's, and no account is two people's.
    fn check_accounts(&self) -> Result<(), InvalidSettings> {
        let pool = self.first_come.iter().flat_map(|pool| &pool.accounts);
        let named = self.accounts.iter().map(|row| &row.account);
        if let Some(account) =
            named.chain(pool.clone()).chain([&self.observer]).find(|account| !is_account(account))
        {
            let problem = format!("name `{account}`: use an ordinary unix account, never root");
            return Err(invalid("accounts", problem));
        }
        let mut people: BTreeMap<&str, (&MemberId, &ResearcherId)> = BTreeMap::new();
        for row in &self.accounts {
            let person = (&row.member, &row.researcher);
            if *people.entry(&row.account).or_insert(person) != person {
                let problem =
                    format!("give `{}` to two researchers: each needs an account of their own", row.account);
                return Err(invalid("accounts", problem));
            }
        }
        let mut seen: Vec<&String> = pool.collect();
        seen.sort_unstable();
        if let Some(pair) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(invalid("first_come.accounts", format!("name `{}` twice", pair[0])));
        }
        match seen.iter().find(|account| people.contains_key(account.as_str())) {
            Some(account) => {
                let problem =
                    format!("name `{account}`, which has an owner under `accounts`: leave it out of one");
                Err(invalid("first_come.accounts", problem))
            }
            None => Ok(()),
        }
    }

    /// The prefix with the account in it.
    pub(super) fn words(&self, account: &str) -> Vec<String> {
        self.prefix.iter().map(|word| word.replace(ACCOUNT, account)).collect()
    }

    /// The account's directory on the cluster.
    pub(super) fn directory_of(&self, account: &str) -> String {
        self.directory.replace(ACCOUNT, account)
    }

    /// The words that run an image, before the job's own.
    ///
    /// # Errors
    /// The site does not run it.
    pub(super) fn runtime(&self, image: &str) -> Result<Vec<String>, Objection> {
        let known = || self.images.iter().map(|rule| rule.pattern.as_str()).collect::<Vec<_>>().join(", ");
        // A name is put into a command line: what could be taken for an option or holds odd characters is not run.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/_-.:@+#".contains(letter);
        let sound = !image.starts_with('-') && image.chars().all(plain);
        self.images
            .iter()
            .find(|rule| sound && matches(&rule.pattern, image))
            .map(|rule| rule.runtime.iter().map(|word| word.replace(IMAGE, image)).collect())
            .ok_or_else(|| Objection::Image { image: image.to_owned(), known: known() })
    }

    /// The row for a researcher in a project; the one that names the project comes first.
    pub(super) fn row(&self, owner: &Owner) -> Option<&AccountRow> {
        let theirs = |row: &&AccountRow| row.member == owner.member && row.researcher == owner.researcher;
        let rows = || self.accounts.iter().filter(theirs);
        let own = rows().find(|row| row.project.as_ref() == Some(&owner.project));
        own.or_else(|| rows().find(|row| row.project.is_none()))
    }

    /// Whether a researcher's jobs may run as an account: by any row of theirs, or out of their member's pool.
    pub(super) fn may_be(&self, owner: &Owner, account: &str) -> bool {
        let theirs = |row: &AccountRow| row.member == owner.member && row.researcher == owner.researcher;
        let by_row = self.accounts.iter().any(|row| theirs(row) && row.account == account);
        by_row || self.pool(&owner.member).is_some_and(|pool| pool.accounts.iter().any(|own| own == account))
    }

    /// The accounts that the member's researchers may be given.
    pub(super) fn pool(&self, member: &MemberId) -> Option<&FirstCome> {
        self.first_come.as_ref().filter(|pool| pool.members.is_empty() || pool.members.contains(member))
    }
}

/// What `sta` sets itself, and what would break its promises.
const OWN_OPTIONS: [&str; 30] = [
    "account",
    "array",
    "chdir",
    "comment",
    "cpus-per-task",
    "dependency",
    "error",
    "export",
    "export-file",
    "gid",
    "get-user-env",
    "gpus",
    "gres",
    "input",
    "job-name",
    "mem",
    "mem-per-cpu",
    "nodes",
    "no-requeue",
    "ntasks",
    "open-mode",
    "output",
    "parsable",
    "partition",
    "qos",
    "requeue",
    "time",
    "uid",
    "wait",
    "wrap",
];

/// Whether `text` fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(begin) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, middle) = parts.split_last().map_or(("", [].as_slice()), |(last, middle)| (*last, middle));
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    !text.is_empty() && text.len() <= 100 && !text.starts_with('-') && text.chars().all(plain)
}

fn is_account(text: &str) -> bool {
    is_name(text)
        && text != "root"
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn invalid(key: &'static str, problem: String) -> InvalidSettings {
    InvalidSettings { key, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SlurmSettings {
        toml::from_str(
            r#"
            cluster = "juelich"
            prefix = ["sudo", "-n", "-u", "{account}", "--"]
            observer = "sta-observer"
            directory = "/scratch/{account}/sta"
            [[images]]
            pattern = "host"
            [[images]]
            pattern = "registry.example/*:1*"
            runtime = ["apptainer", "exec", "docker://{image}"]
            [[accounts]]
            member = "ca"
            researcher = "ada"
            account = "ada01"
            [[accounts]]
            member = "ca"
            project = "digits"
            researcher = "ada"
            account = "ada02"
            [first_come]
            accounts = ["guest1", "guest2"]
            members = ["de"]
            "#,
        )
        .unwrap()
    }

    fn owner(member: &str, project: &str, researcher: &str) -> Owner {
        Owner {
            member: member.parse().unwrap(),
            project: project.parse().unwrap(),
            researcher: researcher.parse().unwrap(),
        }
    }

    #[test]
    fn settings_as_in_the_manual_are_whole() {
        settings().check().unwrap();
    }

    #[test]
    fn the_row_that_names_the_project_comes_first_and_a_stranger_has_none() {
        let settings = settings();
        let account = |owner: &Owner| settings.row(owner).map(|row| row.account.clone());
        assert_eq!(account(&owner("ca", "digits", "ada")).as_deref(), Some("ada02"));
        assert_eq!(account(&owner("ca", "weather", "ada")).as_deref(), Some("ada01"));
        assert_eq!(account(&owner("de", "digits", "ada")), None);
        let may = |member: &str, account: &str| settings.may_be(&owner(member, "weather", "ada"), account);
        assert!(may("ca", "ada02") && may("de", "guest2"));
        assert!(!may("de", "ada02") && !may("ca", "guest2"));
        assert!(settings.pool(&"de".parse().unwrap()).is_some());
        assert!(settings.pool(&"ca".parse().unwrap()).is_none());
    }

    #[test]
    fn an_image_runs_by_the_first_pattern_that_fits() {
        let settings = settings();
        assert_eq!(settings.runtime("host").unwrap(), Vec::<String>::new());
        let words = settings.runtime("registry.example/torch:1.2").unwrap();
        assert_eq!(words, ["apptainer", "exec", "docker://registry.example/torch:1.2"]);
        for unknown in ["registry.example/torch:2.2", "other/x:1", "-host", "registry.example/a b:1", ""] {
            let refused = settings.runtime(unknown).unwrap_err();
            assert!(refused.to_string().contains("it knows host, registry.example/*:1*"), "{refused}");
        }
    }

    #[test]
    fn what_would_break_a_promise_is_told_with_its_key() {
        type Spoil = fn(&mut SlurmSettings);
        let faults: [(Spoil, &str); 10] = [
            (|s| s.prefix.clear(), "`prefix` has no `{account}`"),
            (|s| s.directory = "/scratch/all".to_owned(), "`directory` is `/scratch/all`"),
            (|s| s.directory = "/scratch/$(id)/{account}".to_owned(), "`directory` is"),
            (|s| s.accounts[0].account = "root".to_owned(), "name `root`"),
            (|s| s.observer = "0".to_owned(), "name `0`"),
            (|s| s.accounts[0].researcher = "eve".parse().unwrap(), ""),
            (|s| s.accounts[1].account = "ada01".to_owned(), ""),
            (|s| s.first_come.as_mut().unwrap().accounts.push("ada01".to_owned()), "which has an owner"),
            (|s| s.options_allowed.push("uid".to_owned()), "has `uid`"),
            (|s| s.images[1].runtime.clear(), "`images` has the pattern"),
        ];
        for (spoil, text) in faults {
            let mut settings = settings();
            spoil(&mut settings);
            match settings.check() {
                Ok(()) => assert_eq!(text, "", "nothing was found"),
                Err(error) => assert!(!text.is_empty() && error.to_string().contains(text), "{error}"),
            }
        }
        let mut shared = settings();
        shared.accounts[0].researcher = "eve".parse().unwrap();
        shared.accounts[1].account = "ada01".to_owned();
        let error = shared.check().unwrap_err().to_string();
        assert!(error.contains("give `ada01` to two researchers"), "{error}");
    }
}
