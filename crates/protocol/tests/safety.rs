// SPDX-License-Identifier: Apache-2.0
//! Records of models, training, evaluations, incidents and orders to stop, and their exports.

mod croissant;
mod evaluations;
pub(crate) mod examples;
mod exports;
mod incidents;
mod models;
mod stop_orders;
mod training;
