// SPDX-License-Identifier: Apache-2.0

mod engines;
mod texts;
