// SPDX-License-Identifier: Apache-2.0
//! A site of a federation: its own jobs, its guests, and its shadow.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sharing, job::Stands};
use crate::pool::{Discipline, Pool, Running};

/// The most groups of jobs that may go elsewhere.
pub(super) const GROUPS_MAX: usize = 16;

/// A site as it comes into a federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteTerms {
    /// Whose it is.
    pub member: u16,
    /// How many processors it has.
    pub processors: u32,
    /// Which groups of jobs may run here as guests: bit `g` for group `g`, from 1 to 15.
    pub takes: u16,
}

/// A site.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) member: u16,
    takes: u16,
    /// Its own jobs; guests that have to leave when they are told are free processors to it.
    pub(super) pool: Pool,
    /// The same jobs, had its member stayed alone.
    pub(super) shadow: Pool,
    pub(super) shadow_changed: bool,
    /// Its guests by the order in which they came, with how many processors they have.
    pub(super) guests: BTreeMap<u64, (u32, u32)>,
    guests_begun: u64,
    pub(super) guest_processors: u32,
    /// How many of its jobs wait, by group; those that may not go elsewhere are in group 0.
    pub(super) leaving: [u32; GROUPS_MAX],
    /// Processors that somebody leaves are free from this moment on.
    pub(super) free_from_ms: u64,
    /// Its jobs that run here and could stop without being behind their shadows, with their processors. Who stops first is last: those
    /// whose shadows wait after the others, and who began last after who began first.
    pub(super) ahead: BTreeMap<(bool, u64), (u32, u32)>,
    pub(super) ahead_processors: u32,
    /// Its other jobs that run here, by the begin of their shadows and the order in which they began.
    pub(super) firm: BTreeMap<(u64, u64), (u32, u32)>,
    /// Its jobs that wait and whose shadows are further than they are, by the begin of their shadows and their sequence.
    pub(super) owed: BTreeSet<(u64, u64, u32)>,
}

impl Site {
    pub(super) fn new(terms: &SiteTerms, sharing: Sharing) -> Self {
        let shadow = if sharing == Sharing::Promise { terms.processors } else { 0 };
        Self {
            member: terms.member,
            takes: terms.takes,
            pool: Pool::new(terms.processors, Discipline::Easy),
            shadow: Pool::new(shadow, Discipline::Easy),
            shadow_changed: false,
            guests: BTreeMap::new(),
            guests_begun: 0,
            guest_processors: 0,
            leaving: [0; GROUPS_MAX],
            free_from_ms: 0,
            ahead: BTreeMap::new(),
            ahead_processors: 0,
            firm: BTreeMap::new(),
            owed: BTreeSet::new(),
        }
    }

    pub(super) fn takes(&self, group: u8) -> bool {
        self.takes >> group & 1 == 1
    }

    /// Processors that nobody has.
    pub(super) fn free(&self) -> u32 {
        self.pool.free().saturating_sub(self.guest_processors)
    }

    /// A guest comes, under the number by which it leaves.
    pub(super) fn guest_comes(&mut self, job: u32, processors: u32, leaves_when_told: bool) -> u64 {
        let sequence = self.guests_begun;
        self.guests_begun += 1;
        self.guests.insert(sequence, (job, processors));
        if leaves_when_told {
            self.guest_processors += processors;
        }
        sequence
    }

    /// A guest goes.
    pub(super) fn guest_ends(&mut self, now_ms: u64, sequence: u64, running: Option<Running>) {
        let Some((_, processors)) = self.guests.remove(&sequence) else { return };
        match running {
            Some(running) => self.pool.end(now_ms, running),
            None => self.guest_processors -= processors,
        }
    }

    /// A job of its own that ran here does not any more.
    pub(super) fn no_longer_runs(&mut self, running: &Running, stands: Stands) {
        match stands {
            Stands::Firm { began_ms } => {
                self.firm.remove(&(began_ms, running.sequence()));
            }
            Stands::Free | Stands::Ahead => {
                if let Some((_, processors)) =
                    self.ahead.remove(&(stands == Stands::Free, running.sequence()))
                {
                    self.ahead_processors -= processors;
                }
            }
        }
    }

    /// A job of its own runs here.
    pub(super) fn runs(&mut self, running: &Running, stands: Stands, entry: (u32, u32)) {
        match stands {
            Stands::Firm { began_ms } => {
                self.firm.insert((began_ms, running.sequence()), entry);
            }
            Stands::Free | Stands::Ahead => {
                self.ahead.insert((stands == Stands::Free, running.sequence()), entry);
                self.ahead_processors += entry.1;
            }
        }
    }

    /// Processors that no job has which may not be stopped for one whose shadow began at this moment.
    pub(super) fn not_held_before(&self, began_ms: u64) -> u32 {
        let later =
            self.firm.range((began_ms, u64::MAX)..).map(|(_, (_, processors))| processors).sum::<u32>();
        self.pool.free() + self.ahead_processors + later
    }

    /// Whether its guests have processors that its own jobs have.
    pub(super) fn has_too_many_guests(&self) -> bool {
        self.guest_processors > self.pool.free()
    }

    /// Whether any of its jobs waits that may go elsewhere.
    pub(super) fn may_leave(&self) -> bool {
        self.leaving[1..].iter().any(|waiting| *waiting > 0)
    }
}
