// SPDX-License-Identifier: Apache-2.0
//! The shape of a job: on how many nodes it runs at once, with how many processes, and as how many indexed tasks.

use serde::{Deserialize, Serialize};

use crate::job::{InvalidJob, JobSpec, invalid};

/// The most nodes of one job.
pub const NODES_MAX: u32 = 10_000;
/// The most processes of one job.
pub const TASKS_MAX: u32 = 1_000_000;
/// The most indexed tasks of one job.
pub const COUNT_MAX: u32 = 10_000;

/// How a job spreads. The resources of a job are those of one node; a plain job is one process on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Nodes that one task holds at once, each with the job's cores, memory and accelerators.
    #[serde(skip_serializing_if = "is_one")]
    pub nodes: u32,
    /// Processes of one task over all its nodes; the command is started once for each.
    #[serde(skip_serializing_if = "is_one")]
    pub tasks: u32,
    /// Indexed tasks (a job array): the command runs once for each index from 0 on, each with its own time limit.
    #[serde(skip_serializing_if = "is_one")]
    pub count: u32,
    /// How many indexed tasks may run at once.
    #[serde(skip_serializing_if = "is_one")]
    pub parallel: u32,
    /// The accelerators' type, such as `gh200`; any when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Default for Shape {
    fn default() -> Self {
        Self { nodes: 1, tasks: 1, count: 1, parallel: 1, gpu_type: None }
    }
}

impl Shape {
    /// Whether it is one process on one node, with any accelerators.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self, spec: &JobSpec) -> Result<(), InvalidJob> {
        let limits = [
            ("nodes", self.nodes, NODES_MAX),
            ("tasks", self.tasks, TASKS_MAX),
            ("count", self.count, COUNT_MAX),
            ("parallel", self.parallel, COUNT_MAX),
        ];
        if let Some((field, value, most)) =
            limits.into_iter().find(|(_, value, most)| !(1..=*most).contains(value))
        {
            return Err(invalid(field, format!("is {value}: use 1 to {most}")));
        }
        if self.tasks < self.nodes {
            let problem = format!("is {}, with {} nodes: give each node a process", self.tasks, self.nodes);
            return Err(invalid("tasks", problem));
        }
        if self.parallel > self.count {
            let problem =
                format!("is {}, with {} indexed tasks: at most all of them", self.parallel, self.count);
            return Err(invalid("parallel", problem));
        }
        let plain = |name: &str| {
            let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            letters && !name.is_empty() && name.len() <= 40
        };
        match &self.gpu_type {
            Some(name) if !plain(name) => {
                Err(invalid("gpu_type", format!("is `{name}`: use the site's short name, such as `gh200`")))
            }
            Some(_) if spec.gpus == 0 => {
                Err(invalid("gpu_type", "is given and `gpus` is 0: say how many".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }
}
