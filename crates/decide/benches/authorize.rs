// SPDX-License-Identifier: Apache-2.0
//! How long a home node takes to decide over ten sites.
fn main() {}
