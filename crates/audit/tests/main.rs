// SPDX-License-Identifier: Apache-2.0
//! Tests of the transparency log: by its own rules, against other people's implementations, and on hostile bytes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod any_bytes;
mod logs;
mod memory_log;
mod merkle;
mod notes;
mod oracles;
mod proofs;
mod tiles;
mod vectors;
mod witnessing;
