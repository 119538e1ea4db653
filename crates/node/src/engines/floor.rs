// SPDX-License-Identifier: Apache-2.0
//! How full a site is that orders its jobs itself, as far as it matters to jobs that wait there for room.

use serde::{Deserialize, Serialize};
use sta_protocol::treaty::Resources;

use super::RunId;

/// What is free where, who waits for it, and what those hold who might leave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The nodes that take jobs.
    pub nodes: Vec<FloorNode>,
    /// The jobs asked about that wait for room, in the order in which the site would begin them.
    pub waiting: Vec<FloorWaiting>,
    /// What the jobs asked about hold.
    pub held: Vec<FloorHeld>,
    /// Nothing is on its way out of the site by itself this very moment, so that what is held is not about to be free.
    pub is_settled: bool,
}

/// A node that takes jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorNode {
    /// What nobody holds.
    pub free: Resources,
    /// The type of its accelerators.
    pub gpu_type: Option<String>,
}

/// A job that waits for room and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorWaiting {
    /// Which.
    pub run: RunId,
    /// What each of its tasks needs on each of its nodes.
    pub each: Resources,
    /// The nodes of a task.
    pub nodes: u32,
    /// The tasks that would run side by side.
    pub tasks: u32,
    /// The type of accelerators that it needs.
    pub gpu_type: Option<String>,
}

/// What a job holds on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorHeld {
    /// Which.
    pub run: RunId,
    /// The node, by its place in [`Floor::nodes`].
    pub node: usize,
    /// How much.
    pub what: Resources,
}
