// SPDX-License-Identifier: Apache-2.0
//! Decisions as pure functions from facts and a moment to a verdict: authorize, place, admit, credits and settlement.
//!
//! Nothing here reads a clock, a disk or a network, and nothing here draws chance. What a caller knows it hands in as facts;
//! what comes out is a proof ([`authorize::Permit`], [`admit::Admitted`]) or a list of refusals with their reasons.

pub mod admit;
pub mod authorize;
pub mod backfill;
pub mod cases;
pub mod drf;
pub mod energy;
pub mod facts;
pub mod federation;
pub mod gate;
pub mod karma;
pub mod ledger;
pub mod lint;
pub mod moves;
pub mod place;
pub mod pool;
pub mod reclaim;
pub mod settle;
pub mod shapley;
pub mod standing;
pub mod turns;
pub mod verdict;
