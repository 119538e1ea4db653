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
    choose_where(guests, |gone| need.fits_in(gone.iter().fold(room, |sum, guest| sum.and(guest.holds))))
}

/// As [`choose`], where `fits` says whether what is needed would fit once these guests are gone.
#[must_use]
pub fn choose_where(guests: &[Guest], fits: impl Fn(&[&Guest]) -> bool) -> Option<Vec<JobId>> {
    let mut gone: Vec<&Guest> = guests.iter().filter(|guest| guest.leaves).collect();
    let mut staying: Vec<&Guest> = guests.iter().filter(|guest| !guest.leaves).collect();
    staying.sort_by_key(|guest| Reverse((guest.began_ms, guest.job)));
    let mut chosen = Vec::new();
    for guest in staying {
        if fits(&gone) {
            break;
        }
        gone.push(guest);
        chosen.push(guest);
    }
    if !fits(&gone) {
        return None;
    }
    // Those who have run longest stay first, where the younger ones free enough of what is short without them.
    let mut leaving = Vec::new();
    for guest in chosen.into_iter().rev() {
        let without: Vec<&Guest> = gone.iter().copied().filter(|other| other.job != guest.job).collect();
        if fits(&without) {
            gone = without;
        } else {
            leaving.push(guest.job);
        }
    }
    leaving.reverse();
    Some(leaving)
}

/// A job that waits for room on nodes.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// What it needs on each node.
    pub each: Resources,
    /// On how many.
    pub nodes: u32,
    /// The places of the nodes that would do.
    pub on: &'a [usize],
}

/// Whether these jobs fit side by side into what is free on each node, each in its turn on the first nodes that have room for it.
#[must_use]
pub fn all_fit<'a>(free: &[Resources], wishes: impl IntoIterator<Item = Wish<'a>>) -> bool {
    let mut free = free.to_vec();
    wishes.into_iter().all(|wish| {
        let mut missing = wish.nodes;
        for place in wish.on {
            let Some(here) = free.get_mut(*place).filter(|_| missing > 0) else { continue };
            if wish.each.fits_in(*here) {
                *here = here.without(wish.each);
                missing -= 1;
            }
        }
        missing == 0
    })
}
