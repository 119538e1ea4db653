// SPDX-License-Identifier: Apache-2.0
//! Reclaim: which guests of a site are to leave so that a job of its owner fits.

use std::cmp::Reverse;

use sta_protocol::{ids::JobId, treaty::Resources};

/// A guest's job at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// Which.
    pub job: JobId,
    /// What it holds.
    pub holds: Resources,
    /// When it began, in milliseconds since 1970; one that is being started has begun last of all.
    pub began_ms: i64,
    /// Whether it is on its way out: what it holds will be free without anybody being asked.
    pub leaves: bool,
}

/// The guests that are to leave so that `need` fits beside what is left: those that began last, as many as needed and no more,
/// none whose going would not help. Empty where it fits once those are gone that leave already; `None` where it would not fit
/// were all of them gone: then nobody is asked in vain.
#[must_use]
pub fn choose(guests: &[Guest], room: Resources, need: Resources) -> Option<Vec<JobId>> {
    let mut free = guests.iter().filter(|guest| guest.leaves).fold(room, |sum, guest| sum.and(guest.holds));
    let mut staying: Vec<&Guest> = guests.iter().filter(|guest| !guest.leaves).collect();
    staying.sort_by_key(|guest| Reverse((guest.began_ms, guest.job)));
    let mut chosen = Vec::new();
    for guest in staying {
        if need.fits_in(free) {
            break;
        }
        free = free.and(guest.holds);
        chosen.push(guest);
    }
    if !need.fits_in(free) {
        return None;
    }
    // Those who have run longest stay first, where the younger ones free enough of what is short without them.
    let mut leaving = Vec::new();
    for guest in chosen.into_iter().rev() {
        if need.fits_in(free.without(guest.holds)) {
            free = free.without(guest.holds);
        } else {
            leaving.push(guest.job);
        }
    }
    leaving.reverse();
    Some(leaving)
}
