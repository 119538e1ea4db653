// SPDX-License-Identifier: Apache-2.0
//! The other members: what they may ask here, how they are asked, how logs are witnessed.

pub(crate) mod distance;
pub mod inbound;
pub mod outbound;
pub mod reports;
pub mod witness;
