// SPDX-License-Identifier: Apache-2.0
//! Other people's implementations on what we write, and ours on what they write.

mod python;
mod signed_note;
mod sigstore_merkle;
mod tlog_tiles;
