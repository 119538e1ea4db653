// SPDX-License-Identifier: Apache-2.0
//! The tests of the node, one binary.

mod api;
mod cli;
mod engines;
mod federation;
mod harness;
mod routes;
mod texts;
mod tidy;
