// SPDX-License-Identifier: Apache-2.0
//! The node of one member: HTTP, steps, store, engines, peers and the command line.

pub mod cli;
pub mod config;
pub mod engines;
pub mod evaluation_log;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod node;
pub mod outside;
pub mod peers;
pub mod policies;
mod rush;
pub mod steps;
pub mod store;
pub mod text;
mod worker;
