// SPDX-License-Identifier: Apache-2.0
//! A job in a federation: what it wants, where it is, how far it is and how far its shadow.

use crate::pool::{Request, Running};

/// Whether a job can go on where it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// It cannot, and begins again.
    Never,
    /// It saves when it is told to leave, and loses nothing.
    OnSignal,
    /// It saves each time it has worked so long, in milliseconds, above 0.
    Every(u64),
}

/// What a job wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Its home site.
    pub home: u16,
    /// How many processors it wants, all at once.
    pub processors: u32,
    /// The longest it says to run, in milliseconds.
    pub estimate_ms: u64,
    /// Where else it may run: 0 for nowhere else, above that the number of a group of [`SiteTerms::takes`](super::SiteTerms::takes).
    pub group: u8,
    /// Whether it can go on where it was stopped.
    pub checkpoint: Checkpoint,
}

impl Work {
    pub(super) fn request(&self, number: u32) -> Request {
        let Self { processors, estimate_ms, group, .. } = *self;
        Request { job: number, processors, estimate_ms, group }
    }
}

/// What the members agreed on for guests, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a job's files take to another site.
    pub staging_ms: u64,
    /// How long a job takes to go on from what it saved.
    pub restart_ms: u64,
    /// How long a guest has to leave.
    pub grace_ms: u64,
    /// The most work that a guest may lose when it has to leave: who saves less often, and runs longer, stays at home.
    pub unsaved_ms_max: u64,
}

impl Terms {
    /// No job ends later than alone by more than this, under [`Sharing::Promise`](super::Sharing::Promise): staging, what one eviction
    /// costs, and the time that a guest takes to leave, once where it begins abroad and once where it begins at home.
    #[must_use]
    pub fn bound_ms(&self) -> u64 {
        self.staging_ms + self.unsaved_ms_max + self.restart_ms + 2 * self.grace_ms
    }

    /// Whether a job would lose more than a guest may.
    pub(super) fn keeps_at_home(&self, work: &Work) -> bool {
        match work.checkpoint {
            Checkpoint::OnSignal => false,
            Checkpoint::Every(interval_ms) => interval_ms.min(work.estimate_ms) > self.unsaved_ms_max,
            Checkpoint::Never => work.estimate_ms > self.unsaved_ms_max,
        }
    }
}

/// For whom a job that runs at home stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Its shadow waits: for everybody whose shadow does not.
    Free,
    /// It is so far ahead of its shadow that it would not be behind: likewise, after those.
    Ahead,
    /// For one alone whose shadow began before this moment, at which its own did.
    Firm { began_ms: u64 },
}

/// Where a job is.
#[derive(Debug)]
pub(super) enum At {
    /// It waits at home.
    Line,
    /// It runs at home.
    Home { running: Running, stands: Stands },
    /// It is a guest; where guests stay until they are done it has its processors from the pool itself.
    Abroad { site: u16, sequence: u64, running: Option<Running> },
    /// It is done, or withdrawn.
    Over,
}

/// How far the job would be, had its member stayed alone.
#[derive(Debug)]
pub(super) enum Shadow {
    Waits,
    Runs { running: Running, began_ms: u64 },
    Over { began_ms: u64 },
    Withdrawn,
}

impl Shadow {
    pub(super) fn began_ms(&self) -> Option<u64> {
        match self {
            Self::Waits | Self::Withdrawn => None,
            Self::Runs { began_ms, .. } | Self::Over { began_ms } => Some(*began_ms),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over { .. } | Self::Withdrawn)
    }
}

/// A job that is not over, really or for its shadow.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    /// Its number in the line of its home.
    pub(super) place: u64,
    /// The how manieth job came with it.
    pub(super) sequence: u64,
    /// As in its work; 0 once its shadow began.
    pub(super) group: u8,
    pub(super) at: At,
    pub(super) shadow: Shadow,
    /// It is done, or withdrawn.
    pub(super) done: bool,
    /// Work that is kept when it stops now.
    pub(super) saved_ms: u64,
    /// Since when it works, or from when on, while it runs.
    works_from_ms: u64,
}

impl Job {
    pub(super) fn new(work: Work, place: u64, sequence: u64) -> Self {
        let group = work.group;
        Self {
            work,
            place,
            sequence,
            group,
            at: At::Line,
            shadow: Shadow::Waits,
            done: false,
            saved_ms: 0,
            works_from_ms: 0,
        }
    }

    /// It begins. Going on from what it saved costs a restart; where that is more than it saved, it begins from nothing.
    pub(super) fn begins(&mut self, ready_ms: u64, terms: &Terms) -> u64 {
        if self.saved_ms <= terms.restart_ms {
            self.saved_ms = 0;
        }
        let restart_ms = if self.saved_ms > 0 { terms.restart_ms } else { 0 };
        self.works_from_ms = ready_ms + restart_ms;
        self.works_from_ms
    }

    /// It has to stop; says how much of its work it does again.
    pub(super) fn stops(&mut self, now_ms: u64) -> u64 {
        let worked_ms = now_ms.saturating_sub(self.works_from_ms);
        let kept_ms = match self.work.checkpoint {
            Checkpoint::Never => 0,
            Checkpoint::OnSignal => worked_ms,
            Checkpoint::Every(interval_ms) => worked_ms - worked_ms % interval_ms.max(1),
        };
        self.saved_ms += kept_ms;
        worked_ms - kept_ms
    }

    /// The longest it says to run from what it saved.
    pub(super) fn left_ms(&self) -> u64 {
        self.work.estimate_ms.saturating_sub(self.saved_ms).max(1)
    }

    /// Its shadow is as far as what the job saved, less a restart, at this moment; none before its shadow began.
    pub(super) fn due_ms(&self, terms: &Terms) -> Option<u64> {
        Some(self.shadow.began_ms()? + self.saved_ms.saturating_sub(terms.restart_ms))
    }

    /// For whom it stops, running at home.
    pub(super) fn stands(&self, terms: &Terms) -> Stands {
        let Some(began_ms) = self.shadow.began_ms() else { return Stands::Free };
        let loses_ms = match self.work.checkpoint {
            Checkpoint::Never => return Stands::Firm { began_ms },
            Checkpoint::OnSignal => terms.restart_ms,
            Checkpoint::Every(interval_ms) => interval_ms.saturating_add(terms.restart_ms),
        };
        // How far it is before its shadow, at every moment at which both work.
        let lead_ms = (began_ms + self.saved_ms).saturating_sub(self.works_from_ms);
        if lead_ms > loses_ms { Stands::Ahead } else { Stands::Firm { began_ms } }
    }
}
