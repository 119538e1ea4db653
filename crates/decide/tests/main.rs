// SPDX-License-Identifier: Apache-2.0
//! The tests of the decisions, one binary: cases as data, laws as properties, and the matrix of verdicts as a snapshot.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the message; Clippy's own exemption leaves out the functions that tests share"
)]

mod admit;
mod authorize;
mod backfill;
mod clocks;
mod composition;
mod drf;
mod energy;
mod example;
mod gates;
mod karma;
mod lattice;
mod ledger;
mod lint;
mod missing_facts;
mod moved;
mod packs;
mod place;
mod pool;
mod reclaim;
mod rules;
mod settle;
mod shapley;
mod standing;
mod turns;
