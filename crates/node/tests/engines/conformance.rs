// SPDX-License-Identifier: Apache-2.0
//! The rules themselves, over any engine, by subject.

mod arrays;
mod ends;
mod files;
mod notices;
mod once;
mod saved;
mod shapes;
mod suspension;
mod walls;

pub(super) use self::{
    arrays::*, ends::*, files::*, notices::*, once::*, saved::*, shapes::*, suspension::*, walls::*,
};
