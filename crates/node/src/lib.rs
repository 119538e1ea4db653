// SPDX-License-Identifier: Apache-2.0

pub mod engines;
pub mod text;
