// SPDX-License-Identifier: Apache-2.0
//! The node over HTTP: the native API under `/v1`, the log, the witness, and what the other members ask under `/federation/v1`.
//!
//! `router.rs` is the table of contents: every route and the right it needs. What is not in that table is not served.

mod agent;
mod audit_log;
mod blobs;
mod datasets;
pub mod documents;
mod edge;
mod extract;
mod federation;
mod gates;
mod guard;
mod health;
mod holds;
mod incidents;
mod jobs;
mod node;
pub mod openapi;
pub mod problem;
mod ranges;
mod registry;
pub mod router;
mod serve;
mod signed;
mod standing;
mod statements;
mod stop_orders;

pub use router::router;
pub use serve::serve;
