// SPDX-License-Identifier: Apache-2.0
//! Replays what a cluster was really asked for, and says how long its jobs would have waited.
//!
//! A [`trace::Trace`] is read whole, sorted by submission, and played through a [`sta_decide::pool::Pool`] by [`play::alone`]; of what
//! came out, [`summary::Summary`] says how long jobs waited. The same trace and settings give the same result, to the byte.

mod csv;
pub mod federate;
pub mod grid;
pub mod html;
mod packed;
pub mod play;
pub mod report;
pub mod scenario;
pub mod sheet;
pub mod standing;
pub mod study;
pub mod summary;
mod swf;
pub mod synthetic;
pub mod trace;
