// SPDX-License-Identifier: Apache-2.0
//! What a researcher asks to have run, as it goes over the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    data_protection::AboutPeople,
    digest::Sha256Digest,
    ids::{DatasetId, JobId, ProjectId, SiteId},
    purpose::Purpose,
};

pub use crate::{
    job_checkpoint::Checkpoint,
    job_shape::{COUNT_MAX, NODES_MAX, Shape, TASKS_MAX},
    job_training::JobTraining,
};

/// The most inputs, outputs, datasets, arguments or sites that one job may name.
pub const LIST_LENGTH_MAX: usize = 256;
/// The longest time limit: 30 days.
pub const TIME_LIMIT_S_MAX: u32 = 30 * 24 * 3600;
/// The most attempts a job may have.
pub const ATTEMPTS_MAX: u32 = 10;

/// A job as its researcher described it. What it is called, never whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Wire version, 1.
    pub version: u8,
    /// A label for people, 1 to 100 characters.
    pub name: String,
    /// The program and its arguments; never passed through a shell.
    pub command: Vec<String>,
    /// `host`, or a container image that the site maps to a runtime.
    pub image: String,
    /// The project that pays.
    pub project: ProjectId,
    /// What the data is used for, such as `research` or `health-research`.
    pub purpose: String,
    /// Which purpose of the list it serves, where `purpose` is another word than those on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_class: Option<Purpose>,
    /// The researcher claims an exception of Art. 5(1)(d), (f), (g) or (h) of Regulation (EU) 2024/1689: a lawyer must decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exception_claimed: bool,
    /// Registered datasets; their files appear in the working directory under their own names.
    pub datasets: Vec<DatasetId>,
    /// Files the researcher brings.
    pub inputs: Vec<InputFile>,
    /// Names of the files the job leaves.
    pub outputs: Vec<String>,
    /// Those of the outputs that are weights of a model: they leave the site only through the gate for weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs_weights: Vec<String>,
    /// Whole processor cores, on each node.
    pub cpu_cores: u32,
    /// Memory in bytes, on each node.
    pub memory_bytes: u64,
    /// Accelerators, on each node.
    pub gpus: u32,
    /// How many nodes, processes and indexed tasks; one of each when it does not say.
    #[serde(default, skip_serializing_if = "Shape::is_plain")]
    pub shape: Shape,
    /// Seconds after which the job is stopped.
    pub time_limit_s: u32,
    /// Whether the job asks for network access.
    pub network: bool,
    /// What to save.
    pub objective: Objective,
    /// Only these sites; empty for any.
    pub sites_allowed: Vec<SiteId>,
    /// Not these sites.
    pub sites_refused: Vec<SiteId>,
    /// Jobs of the same project that must have completed before this one is placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// How often the job may be tried in all when its site fails it; its own failure is never tried again.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub attempts_max: u32,
    /// Arguments for the site's own scheduler by name, as far as its operator allows them, such as `constraint = "hbm"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub site_options: BTreeMap<String, String>,
    /// The training run that the job is part of, if it trains a model: its host meters it and asks the gate for training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<JobTraining>,
    /// Whom the files that the researcher brings are about, as the researcher declares it; silence counts against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_about: Option<AboutPeople>,
    /// How the job saves its work, if it does: then it finds what it saved when it is begun again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

fn once() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
fn is_once(attempts: &u32) -> bool {
    *attempts == 1
}

/// A content-addressed file the researcher brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// The name in the working directory.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// How sensitive the researcher says it is.
    pub class: Class,
}

/// What the researcher wants to save: relative weights, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Weight of the price.
    #[serde(default)]
    pub price: u32,
    /// Weight of the grams of CO2.
    #[serde(default)]
    pub carbon: u32,
    /// Weight of the expected wait.
    #[serde(default)]
    pub wait: u32,
}

impl Objective {
    /// Price alone.
    pub const CHEAPEST: Self = Self { price: 1, carbon: 0, wait: 0 };
    /// CO2 alone.
    pub const CLEANEST: Self = Self { price: 0, carbon: 1, wait: 0 };
    /// Wait alone.
    pub const SOONEST: Self = Self { price: 0, carbon: 0, wait: 1 };
}

/// What is wrong with a job's description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidJob {
    /// The field, as written in a job file.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl JobSpec {
    /// Checks the description on its own, without any facts of a site.
    ///
    /// # Errors
    /// The first field that is wrong, and how to mend it.
    pub fn validate(&self) -> Result<(), InvalidJob> {
        self.validate_numbers()?;
        self.validate_lists()?;
        self.shape.validate(self)?;
        self.validate_options()?;
        self.training.as_ref().map_or(Ok(()), |training| training.validate(self))?;
        self.validate_about()?;
        self.checkpoint.map_or(Ok(()), |checkpoint| checkpoint.validate())?;
        let names = || self.inputs.iter().map(|input| input.name.as_str());
        if let Some(name) =
            names().chain(self.outputs.iter().map(String::as_str)).find(|name| !is_file_name(name))
        {
            return Err(invalid(
                "inputs/outputs",
                format!("names `{name}`: use a plain file name of at most 200 bytes, without `/`"),
            ));
        }
        if let Some(name) = self.outputs_weights.iter().find(|name| !self.outputs.contains(name)) {
            let problem = format!("names `{name}`, which is none of `outputs`: weights are outputs as well");
            return Err(invalid("outputs_weights", problem));
        }
        let mut seen: Vec<&str> = names().collect();
        seen.sort_unstable();
        match seen.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(invalid(
                "inputs",
                format!("names `{}` twice: each input needs a name of its own", pair[0]),
            )),
            None => Ok(()),
        }
    }

    fn validate_numbers(&self) -> Result<(), InvalidJob> {
        if self.version != 1 {
            return Err(invalid("version", format!("is {}: this node speaks version 1", self.version)));
        }
        if self.cpu_cores == 0 || self.cpu_cores > 1_000_000 {
            return Err(invalid("cpu_cores", format!("is {}: use 1 to 1000000", self.cpu_cores)));
        }
        if !(1 << 20..=1 << 50).contains(&self.memory_bytes) {
            return Err(invalid("memory", format!("is {} bytes: use 1 MiB to 1 PiB", self.memory_bytes)));
        }
        if self.gpus > 1_000_000 {
            return Err(invalid("gpus", format!("is {}: use 0 to 1000000", self.gpus)));
        }
        if self.time_limit_s == 0 || self.time_limit_s > TIME_LIMIT_S_MAX {
            return Err(invalid("time_limit", format!("is {} s: use 1 s to 30 days", self.time_limit_s)));
        }
        let Objective { price, carbon, wait } = self.objective;
        if price == 0 && carbon == 0 && wait == 0 {
            return Err(invalid(
                "objective",
                "has no weight: use cheapest, cleanest, soonest or weights above 0".to_owned(),
            ));
        }
        if [price, carbon, wait].iter().any(|weight| *weight > 1000) {
            return Err(invalid(
                "objective",
                "has a weight above 1000: weights are relative, use 0 to 1000".to_owned(),
            ));
        }
        Ok(())
    }

    fn validate_lists(&self) -> Result<(), InvalidJob> {
        if self.name.is_empty() || self.name.chars().count() > 100 || self.name.chars().any(char::is_control)
        {
            return Err(invalid("name", "is not 1 to 100 printable characters".to_owned()));
        }
        if self.command.is_empty() || self.command.iter().map(String::len).sum::<usize>() > 64 * 1024 {
            return Err(invalid(
                "command",
                "is empty or above 64 KiB: give the program and its arguments".to_owned(),
            ));
        }
        if self.command.iter().any(|argument| argument.contains('\0')) {
            return Err(invalid("command", "has a NUL byte in it".to_owned()));
        }
        if self.image.is_empty() || self.image.len() > 512 {
            return Err(invalid(
                "image",
                "is empty or above 512 bytes: use `host` or an image name".to_owned(),
            ));
        }
        self.validate_purpose()?;
        let lengths = [
            ("after", self.after.len()),
            ("site_options", self.site_options.len()),
            ("command", self.command.len()),
            ("datasets", self.datasets.len()),
            ("inputs", self.inputs.len()),
            ("outputs", self.outputs.len()),
            ("outputs_weights", self.outputs_weights.len()),
            ("sites_allowed", self.sites_allowed.len()),
            ("sites_refused", self.sites_refused.len()),
        ];
        match lengths.into_iter().find(|(_, length)| *length > LIST_LENGTH_MAX) {
            Some((field, length)) => {
                Err(invalid(field, format!("has {length} items: at most {LIST_LENGTH_MAX}")))
            }
            None => Ok(()),
        }
    }
}

impl JobSpec {
    /// Which purpose of the list the job serves, as its researcher declares it; `Unlisted` where nobody has said.
    #[must_use]
    pub fn listed_purpose(&self) -> Purpose {
        let own = Purpose::from_word(&self.purpose);
        self.purpose_class.or(own).unwrap_or(Purpose::Unlisted)
    }

    /// The class may be more exact than the word, and never hides one that the law names.
    fn validate_purpose(&self) -> Result<(), InvalidJob> {
        if self.purpose.parse::<crate::ids::Jurisdiction>().is_err() {
            let problem = format!("is `{}`: use a short name such as `research`", self.purpose);
            return Err(invalid("purpose", problem));
        }
        let named = Purpose::from_word(&self.purpose).filter(|purpose| purpose.is_named_by_law());
        match (named, self.purpose_class) {
            (Some(named), Some(class)) if named != class => {
                let problem = format!(
                    "is `{class}` and `purpose` is `{named}`, which the law names: leave `purpose_class` out"
                );
                Err(invalid("purpose_class", problem))
            }
            (_, _) => Ok(()),
        }
    }

    /// The classes say themselves whether there are people in the files, all but one.
    fn validate_about(&self) -> Result<(), InvalidJob> {
        let stated = self.inputs_about.and_then(|about| about.personal_information);
        let is_asked = self.inputs.iter().any(|input| input.class == Class::Protected);
        match stated.filter(|_| !is_asked) {
            Some(stated) => {
                let problem = format!(
                    "has `personal_information = \"{}\"`, and no input is of class `protected`: leave it out, the other classes say it themselves",
                    stated.as_str()
                );
                Err(invalid("inputs_about", problem))
            }
            None => Ok(()),
        }
    }

    fn validate_options(&self) -> Result<(), InvalidJob> {
        if !(1..=ATTEMPTS_MAX).contains(&self.attempts_max) {
            let problem = format!("is {}: use 1 to {ATTEMPTS_MAX}", self.attempts_max);
            return Err(invalid("attempts_max", problem));
        }
        let plain = |name: &str| {
            let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            letters && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.len() <= 40
        };
        let printable = |value: &str| value.len() <= 200 && value.bytes().all(|b| b.is_ascii_graphic());
        match self.site_options.iter().find(|(name, value)| !plain(name) || !printable(value)) {
            Some((name, _)) => Err(invalid(
                "site_options",
                format!(
                    "has `{name}`: use a long option's name without its dashes, and a value of at most 200 printable characters without spaces"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Whether `name` is a plain file name that stays in the working directory.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '/' && c != '\\';
    !name.is_empty() && name.len() <= 200 && name != "." && name != ".." && name.chars().all(plain)
}

pub(crate) fn invalid(field: &'static str, problem: String) -> InvalidJob {
    InvalidJob { field, problem }
}
