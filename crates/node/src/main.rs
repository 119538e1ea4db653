// SPDX-License-Identifier: Apache-2.0
//! The binary `sta`.
fn main() {}
