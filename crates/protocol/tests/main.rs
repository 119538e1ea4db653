// SPDX-License-Identifier: Apache-2.0
//! The rules of the protocol, its published vectors, and outside oracles for both.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop, also within a fixture")]

mod digests_and_keys;
mod documents;
mod fixture;
mod http_signatures;
mod httpsig_oracle;
mod identity;
mod properties;
mod python_oracles;
mod safety;
mod sharing;
mod vectors;
