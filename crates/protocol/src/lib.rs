// SPDX-License-Identifier: Apache-2.0
//! What the members of the alliance say to each other.
//!
//! Wire types, identifiers, signatures, the treaty, receipts and the one public list of refusals. Nothing here does I/O
//! or reads a clock: time and chance are arguments.

mod canonical;
pub mod class;
mod compact;
pub mod compute;
pub mod croissant;
pub mod data_protection;
pub mod dataset_facts;
pub mod digest;
pub mod dsse;
pub mod evaluation;
pub mod exports;
pub mod federation;
pub mod gate;
pub mod holder_proof;
pub mod http_signature;
mod identity_token;
pub mod ids;
pub mod in_toto;
pub mod incident;
pub mod job;
mod job_checkpoint;
mod job_shape;
mod job_training;
pub mod jws;
pub mod keys;
mod known_signatures;
pub mod model;
mod multi_signed;
pub mod passport;
pub mod purpose;
pub mod record;
pub mod refusal;
pub mod stop_lift;
pub mod stop_order;
pub mod subject;
pub mod take_back;
pub mod training;
pub mod treaty;
pub mod visa;
mod visa_keys;
mod visa_refused;
