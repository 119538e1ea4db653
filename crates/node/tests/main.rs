// SPDX-License-Identifier: Apache-2.0
//! The tests of the node, one binary.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the message; Clippy's own exemption leaves out the functions that tests share"
)]

mod api;
mod cli;
mod crash;
mod engines;
mod federation;
mod harness;
mod routes;
mod texts;
mod tidy;
