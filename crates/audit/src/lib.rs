// SPDX-License-Identifier: Apache-2.0
//! A transparency log over bytes in the C2SP formats, with RFC 6962 SHA-256 hashing.
//!
//! Everything here is pure: no disk, no network, no clock and no randomness. Time is an argument (unix seconds),
//! stored hashes come through [`merkle::HashSource`] and files through [`verify::LogFiles`].
//!
//! | module | is | source |
//! | --- | --- | --- |
//! | [`merkle`] | hashes, the growing right edge, inclusion and consistency proofs | RFC 6962, section 2.1 |
//! | [`key`] | verifier keys as text | C2SP signed-note v1.0.0 |
//! | [`note`] | text with signature lines | C2SP signed-note v1.0.0 |
//! | [`checkpoint`] | the signed head of a log | C2SP tlog-checkpoint v1.0.0 |
//! | [`cosignature`] | a witness's timestamped signature, and the quorum of them | C2SP tlog-cosignature v1 |
//! | [`witness`] | `add-checkpoint`: request, decision, answer | C2SP tlog-witness v1.0.0 |
//! | [`tile`] | where hashes and entries lie, and in which bytes | C2SP tlog-tiles v0.1 |
//! | [`proof`] | one entry's proof as a file | C2SP tlog-proof (draft) |
//! | [`verify`] | a whole log directory, checked offline | all of the above |

pub mod checkpoint;
pub mod cosignature;
pub mod key;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;
pub mod verify;
pub mod witness;
