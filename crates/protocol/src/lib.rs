// SPDX-License-Identifier: Apache-2.0
//! What the members of the alliance say to each other.
//!
//! Wire types, identifiers, signatures, the treaty, receipts and the one public list of refusals. Nothing here does I/O
//! or reads a clock: time and chance are arguments.

pub mod ids;
