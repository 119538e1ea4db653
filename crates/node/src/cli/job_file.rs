// SPDX-License-Identifier: Apache-2.0
//! A job as people write it, in TOML or as flags, turned into what goes over the wire; errors name file, line and key.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};
use sta_protocol::{
    class::Class,
    data_protection::AboutPeople,
    ids::{DatasetId, JobId, ProjectId, SiteId},
    job::{COUNT_MAX, Checkpoint, InputFile, JobSpec, JobTraining, Objective, Shape},
    purpose::Purpose,
};

use super::failure::{Exit, Failure, Trying};

const IMAGE_DEFAULT: &str = "host";
const MEMORY_DEFAULT: Memory = Memory(512 << 20);
const TIME_LIMIT_DEFAULT: TimeLimit = TimeLimit(600);
/// What stands for a task's index in the name of an output.
const INDEX: &str = "{index}";
/// The longest job file that is read.
const JOB_FILE_BYTES_MAX: u64 = 1 << 20;

/// A job as written. Everything may come from a flag instead, so nothing is required here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobFile {
    /// A label for people.
    pub name: Option<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// `host`, or a container image.
    pub image: Option<String>,
    /// Who pays.
    pub project: Option<ProjectId>,
    /// What the data is used for.
    pub purpose: Option<String>,
    /// Which purpose of the list it serves, where `purpose` is another word.
    pub purpose_class: Option<Purpose>,
    /// Whether an exception of Art. 5 of the AI Act is claimed for it.
    pub exception_claimed: bool,
    /// What to save.
    pub objective: Option<Goal>,
    /// Whole processor cores.
    pub cpu_cores: Option<u32>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Accelerators.
    pub gpus: Option<u32>,
    /// When to stop the job.
    pub time_limit: Option<TimeLimit>,
    /// Whether the job asks for a network.
    pub network: Option<bool>,
    /// Only these sites.
    pub sites_allowed: Vec<SiteId>,
    /// Not these sites.
    pub sites_refused: Vec<SiteId>,
    /// Nodes, each with the cores, memory and accelerators above.
    pub nodes: Option<u32>,
    /// Processes over all nodes; one a node when not given.
    pub tasks: Option<u32>,
    /// Indexed tasks: the command runs once for each index.
    pub count: Option<u32>,
    /// How many indexed tasks run at once; all when not given.
    pub parallel: Option<u32>,
    /// The accelerators' type, such as `gh200`.
    pub gpu_type: Option<String>,
    /// Jobs of the same project that must have completed first.
    pub after: Vec<JobId>,
    /// How often the job may be tried in all when its site fails it.
    pub attempts_max: Option<u32>,
    /// Arguments for the site's scheduler, as far as its operator allows them.
    pub site_options: BTreeMap<String, String>,
    /// The training run that the job is part of.
    pub training: Option<JobTraining>,
    /// Registered datasets.
    pub datasets: Vec<DatasetId>,
    /// Files the job leaves. In a job array `{index}` in a name stands for each index.
    pub outputs: Vec<String>,
    /// Those of the outputs that are weights of a model.
    pub outputs_weights: Vec<String>,
    /// Files the researcher brings.
    pub inputs: Vec<InputEntry>,
    /// Whom these files are about.
    pub inputs_about: Option<AboutPeople>,
    /// How the job saves its work.
    pub checkpoint: Option<Checkpoint>,
}

/// A file the researcher brings, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Its name in the working directory; the name of the file when not given.
    pub name: Option<String>,
    /// Where it is, relative to the job file.
    pub path: PathBuf,
    /// How sensitive it is.
    #[serde(default = "class_default")]
    pub class: Class,
}

/// What is not said to be open is not treated as open.
fn class_default() -> Class {
    Class::Internal
}

/// Memory in bytes, written `512 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(pub u64);

/// A time in seconds, written `10 min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(pub u32);

/// An objective, written `cleanest` or as weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal(pub Objective);

/// A number and a unit, with or without a space between.
fn amount<T: TryFrom<u64>>(text: &str, units: &[(&str, u64)]) -> Option<T> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    T::try_from(number.parse::<u64>().ok()?.checked_mul(*factor)?).ok()
}

impl FromStr for Memory {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        amount(text, &units).map(Self).ok_or_else(|| {
            format!("`{text}` is no amount of memory: write it such as \"512 MiB\" or \"4 GiB\"")
        })
    }
}

impl FromStr for TimeLimit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];
        amount(text, &units).map(Self).ok_or_else(|| {
            format!("`{text}` is no time: write it such as \"90 s\", \"10 min\", \"2 h\" or \"3 d\"")
        })
    }
}

impl FromStr for Goal {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cheapest" => Ok(Self(Objective::CHEAPEST)),
            "cleanest" => Ok(Self(Objective::CLEANEST)),
            "soonest" => Ok(Self(Objective::SOONEST)),
            _ => Err(format!(
                "`{text}` is no objective: write cheapest, cleanest or soonest, or weights such as {{ price = 2, carbon = 1, wait = 1 }}"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Written { expecting: "memory as a text such as \"512 MiB\"", weights: |_| None })
    }
}
impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Written { expecting: "a time as a text such as \"10 min\"", weights: |_| None })
    }
}
impl<'de> Deserialize<'de> for Goal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "cheapest, cleanest, soonest, or weights such as { price = 2, carbon = 1, wait = 1 }";
        deserializer.deserialize_any(Written { expecting, weights: |objective| Some(Self(objective)) })
    }
}

/// Reads a value that is written as a text, or for an objective also as a table of weights.
struct Written<T> {
    expecting: &'static str,
    weights: fn(Objective) -> Option<T>,
}

impl<'de, T: FromStr<Err = String>> de::Visitor<'de> for Written<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let objective = Objective::deserialize(de::value::MapAccessDeserializer::new(map))?;
        (self.weights)(objective).ok_or_else(|| de::Error::invalid_type(de::Unexpected::Map, &self))
    }
}

impl JobFile {
    /// Reads a job file. Paths of inputs become relative to where the command runs.
    ///
    /// # Errors
    /// Exit 2: the file does not read, with line and key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let doing = format!("read the job file `{}`", path.display());
        if std::fs::metadata(path).trying_to(&doing)?.len() > JOB_FILE_BYTES_MAX {
            return Err(Failure::new(doing, format!("it is longer than {JOB_FILE_BYTES_MAX} bytes"))
                .exit(Exit::Usage));
        }
        let text = std::fs::read_to_string(path).trying_to(&doing)?;
        let mut job = Self::parse(&text, &path.display().to_string())?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        for input in &mut job.inputs {
            input.path = base.join(&input.path);
        }
        Ok(job)
    }

    /// Reads the text of a job file called `file`.
    ///
    /// # Errors
    /// Exit 2: with line and key.
    pub fn parse(text: &str, file: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| syntax(text, file, &error))
    }

    /// The description that goes over the wire, with inputs that were hashed already, in the order of [`Self::inputs`].
    ///
    /// # Errors
    /// Exit 2: something is missing or cannot be, with how to mend it; `source` is the file's text, for the line.
    pub fn spec(&self, inputs: Vec<InputFile>, file: Option<(&str, &str)>) -> Result<JobSpec, Failure> {
        let missing = |key: &str, example: &str| {
            let cause = format!("`{key}` is missing");
            failed(file.map(|(name, _)| name), &cause)
                .mend(format!("Add `{key} = {example}` to the job file, or give --{key}."))
        };
        let first = self.command.first().ok_or_else(|| {
            let failure = failed(file.map(|(name, _)| name), "`command` is missing");
            failure
                .mend("Add `command = [\"python3\", \"train.py\"]` to the job file, or give it after `--`.")
        })?;
        let name = || {
            Path::new(first)
                .file_name()
                .map_or_else(|| first.clone(), |name| name.to_string_lossy().into_owned())
        };
        let spec = JobSpec {
            version: 1,
            name: self.name.clone().unwrap_or_else(name),
            command: self.command.clone(),
            image: self.image.clone().unwrap_or_else(|| IMAGE_DEFAULT.to_owned()),
            project: self.project.clone().ok_or_else(|| missing("project", "\"open-vision\""))?,
            purpose: self.purpose.clone().ok_or_else(|| missing("purpose", "\"research\""))?,
            purpose_class: self.purpose_class,
            exception_claimed: self.exception_claimed,
            datasets: self.datasets.clone(),
            inputs,
            outputs: self.outputs_of_all_tasks(),
            outputs_weights: self.outputs_weights.clone(),
            cpu_cores: self.cpu_cores.unwrap_or(1),
            memory_bytes: self.memory.unwrap_or(MEMORY_DEFAULT).0,
            gpus: self.gpus.unwrap_or(0),
            time_limit_s: self.time_limit.unwrap_or(TIME_LIMIT_DEFAULT).0,
            network: self.network.unwrap_or(false),
            objective: self.objective.unwrap_or(Goal(Objective::CHEAPEST)).0,
            sites_allowed: self.sites_allowed.clone(),
            sites_refused: self.sites_refused.clone(),
            shape: self.shape(),
            after: self.after.clone(),
            attempts_max: self.attempts_max.unwrap_or(1),
            site_options: self.site_options.clone(),
            training: self.training.clone(),
            inputs_about: self.inputs_about,
            checkpoint: self.checkpoint,
        };
        spec.validate().map_err(|invalid| {
            let line = file
                .and_then(|(name, text)| Some(format!("{name}, line {}", line_of_key(text, invalid.field)?)));
            failed(line.as_deref().or(file.map(|(name, _)| name)), &invalid.to_string())
        })?;
        Ok(spec)
    }

    /// The outputs, of a job array with `{index}` filled in; how many there may be is said by who checks them.
    fn outputs_of_all_tasks(&self) -> Vec<String> {
        let count = self.count.unwrap_or(1).min(COUNT_MAX);
        let of = |name: &String| {
            let indices = if count > 1 && name.contains(INDEX) { 0..count } else { 0..1 };
            let name = name.clone();
            indices.map(
                move |index| if count > 1 { name.replace(INDEX, &index.to_string()) } else { name.clone() },
            )
        };
        self.outputs.iter().flat_map(of).take(COUNT_MAX as usize).collect()
    }

    fn shape(&self) -> Shape {
        let (nodes, count) = (self.nodes.unwrap_or(1), self.count.unwrap_or(1));
        Shape {
            nodes,
            tasks: self.tasks.unwrap_or(nodes),
            count,
            parallel: self.parallel.unwrap_or(count),
            gpu_type: self.gpu_type.clone(),
        }
    }
}

impl InputEntry {
    /// The name in the working directory.
    ///
    /// # Errors
    /// Exit 2: the path ends in no name.
    pub fn file_name(&self) -> Result<String, Failure> {
        let own = || self.path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        self.name.clone().or_else(own).ok_or_else(|| {
            failed(
                None,
                &format!("the input `{}` has no file name in Unicode: give it a `name`", self.path.display()),
            )
        })
    }
}

fn failed(place: Option<&str>, cause: &str) -> Failure {
    let cause = place.map_or_else(|| cause.to_owned(), |place| format!("{place}: {cause}"));
    Failure::new("use this job", cause).exit(Exit::Usage)
}

/// An error of the TOML as one line: file, line, key, what is wrong; then the line itself.
fn syntax(text: &str, file: &str, error: &toml::de::Error) -> Failure {
    let Some(span) = error.span() else { return failed(Some(file), error.message()) };
    let start = span.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let key = line.split_once('=').map(|(key, _)| key.trim()).filter(|key| !key.is_empty());
    let place =
        key.map_or_else(|| format!("{file}, line {number}"), |key| format!("{file}, line {number}, `{key}`"));
    // The parser spreads long lists of expected keys over one line already; line ends would break ours.
    let message = error.message().replace('\n', ", ");
    failed(Some(&place), &message).mend(format!("{number} | {line}"))
}

/// The line on which a key of the top level is set; a job file has no other keys of these names above its inputs.
fn line_of_key(text: &str, field: &str) -> Option<usize> {
    let sets = |line: &str| line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(|line| sets(line.trim_start())).map(|index| index + 1)
}

#[cfg(test)]
mod tests;
