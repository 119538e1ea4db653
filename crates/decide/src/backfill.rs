// SPDX-License-Identifier: Apache-2.0
//! Which of a site's waiting jobs begin now, by cores, memory and accelerators at once: EASY backfilling, as [`crate::pool`] does it for
//! processors alone.
//!
//! The first that does not fit has a reservation: the first moment at which all of it is free, were every job to run as long as it
//! says it may. One that stands behind it begins before it only where that moment does not move (Lifka, "The ANL/IBM SP scheduling
//! system", JSSPP 1995).

use sta_protocol::treaty::Resources;

/// What a job holds that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// What.
    pub resources: Resources,
    /// Until when at most, in milliseconds since 1970; `u64::MAX` where nobody knows: whoever waits for it has no moment that could move.
    pub until_ms: u64,
}

/// What a job wants that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// What, all at once.
    pub resources: Resources,
    /// How long at most, in milliseconds; `u64::MAX` where nobody knows.
    pub longest_ms: u64,
}

/// The one that waits at the head, and what stays free when it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reservation {
    at_ms: u64,
    spare: Resources,
}

/// A site at one moment: what begins takes its room, and what comes after that sees less.
#[derive(Debug, Clone)]
pub struct Site {
    now_ms: u64,
    free: Resources,
    running: Vec<Holds>,
    reservation: Option<Reservation>,
}

impl Site {
    /// A site with what runs there.
    #[must_use]
    pub fn new(now_ms: u64, whole: Resources, running: Vec<Holds>) -> Self {
        let held = running.iter().fold(Resources::default(), |sum, holds| sum.and(holds.resources));
        Self { now_ms, free: whole.without(held), running, reservation: None }
    }

    /// What nobody holds.
    #[must_use]
    pub fn free(&self) -> Resources {
        self.free
    }

    /// Asks for the next job in the order in which they stand; whether it begins. The first that does not is the head.
    pub fn begins(&mut self, job: Wants) -> bool {
        let fits = job.resources.fits_in(self.free);
        match &self.reservation {
            None if fits => {}
            None => {
                self.waits(job);
                return false;
            }
            Some(head) if fits && (self.ends_ms(job) <= head.at_ms || job.resources.fits_in(head.spare)) => {}
            Some(_) => return false,
        }
        self.takes(job);
        true
    }

    /// The next job waits, whether or not there is room for it; the first that does is the head.
    pub fn waits(&mut self, job: Wants) {
        if self.reservation.is_none() {
            self.reservation = Some(self.reserve(job.resources));
        }
    }

    /// A job begins, whoever stands before it.
    pub fn takes(&mut self, job: Wants) {
        let until_ms = self.ends_ms(job);
        if let Some(head) = self.reservation.as_mut().filter(|head| until_ms > head.at_ms) {
            head.spare = head.spare.without(job.resources);
        }
        self.free = self.free.without(job.resources);
        self.running.push(Holds { resources: job.resources, until_ms });
    }

    fn ends_ms(&self, job: Wants) -> u64 {
        self.now_ms.saturating_add(job.longest_ms)
    }

    /// The first moment at which so much is free. What holds on for longer than it said is counted on now, when nothing that ends later may
    /// go before the head. Where so much is never free, it is the last moment at which anything becomes free.
    fn reserve(&mut self, wanted: Resources) -> Reservation {
        self.running.sort_by_key(|holds| holds.until_ms);
        let (mut free, mut at_ms) = (self.free, self.now_ms);
        for holds in &self.running {
            // What ends at the head's very moment is left over with the rest.
            if wanted.fits_in(free) && holds.until_ms > at_ms {
                break;
            }
            free = free.and(holds.resources);
            at_ms = at_ms.max(holds.until_ms);
        }
        let spare = if wanted.fits_in(free) { free.without(wanted) } else { Resources::default() };
        Reservation { at_ms, spare }
    }
}
