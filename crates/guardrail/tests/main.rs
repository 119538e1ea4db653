// SPDX-License-Identifier: Apache-2.0
//! Tests of the guardrail: the paper's bandit, properties, worlds that the theories do and do not describe.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod alarm;
mod bandit;
mod bounds;
mod guard;
mod properties;
#[path = "../simulation/mod.rs"]
mod simulation;
mod theories;
mod worlds;
