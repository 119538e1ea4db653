// SPDX-License-Identifier: Apache-2.0
//! Several members' sites that share: which job begins where, and who has to leave, with the owner of a site always first.
//!
//! Three ways to share. *Owner first*: guests get what EASY leaves of a site and stay until they are done. *Reclaim*: to its owner a
//! site's guests are free processors, and the youngest leave when the owner wants them. *Promise*: as reclaim, and beside every site
//! runs its shadow, the same jobs on the same processors as if nobody shared (the virtual-alone ledger). A job whose shadow runs, and
//! which is not as far as the shadow, has the processors of its home before everybody whose shadow began later.
//!
//! The promise: **no job ends later than its shadow by more than [`Terms::bound_ms`]**. A job goes abroad only before its shadow
//! begins, so that it is behind by the staging at most, or by the grace of a guest that leaves its place there; it loses its unsaved work and a restart at most once, since it then stays at
//! home. Among jobs at home the one whose shadow began earlier goes first, and those whose shadows run at one moment fit beside each other,
//! because the shadow's site is no larger. A job that is late itself ends within the bound, so whoever waits for it begins within
//! it, and has lost nothing that its shadow had (docs/decisions/0017).
//!
//! Nothing here waits or knows the time. Events come in with their moment, in order; [`Federation::settle`] says what follows.

use std::collections::BinaryHeap;

use self::{job::Job, site::Site};
pub use self::{
    job::{Checkpoint, Terms, Work},
    site::SiteTerms,
};
use crate::pool::TooLarge;

mod guests;
mod job;
mod own;
mod promise;
mod site;

/// How members share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all.
    Alone,
    /// Guests get what is left and stay.
    OwnerFirst,
    /// Guests leave when the owner wants its processors.
    Reclaim,
    /// As reclaim, and no job is later than alone by more than the bound.
    Promise,
}

/// What follows from the events of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A job begins, at home or elsewhere.
    Begin {
        /// The caller's number for it.
        job: u32,
        /// Where.
        site: u16,
        /// When it begins to work, once its files are there, guests have left, and it has found its checkpoint.
        works_from_ms: u64,
        /// How much of its work it does not do again.
        saved_ms: u64,
    },
    /// A job has to leave, and waits again.
    Evict {
        /// The caller's number for it.
        job: u32,
        /// Where it ran.
        site: u16,
        /// How much of its work is kept.
        saved_ms: u64,
        /// How much is to be done again.
        lost_ms: u64,
    },
    /// A job would begin now, had its member stayed alone. The caller says with [`Federation::shadow_ends`] when it would end.
    ShadowBegins {
        /// The caller's number for it.
        job: u32,
    },
}

/// All sites and all jobs that are not over.
#[derive(Debug)]
pub struct Federation {
    sharing: Sharing,
    terms: Terms,
    sites: Vec<Site>,
    /// By the caller's number.
    jobs: Vec<Option<Job>>,
    /// Which sites guests look at first.
    preference: Vec<u16>,
    /// Jobs of at least so long go to a site before their home in that order, if it has room.
    cleaner_first_ms: Option<u64>,
    /// Whose guests are served first, by member; the lower the sooner.
    ranks: Vec<u64>,
    /// How many processors the jobs of each member want that are not over, whether they run or wait.
    wanted: Vec<u64>,
    /// How many jobs of all sites wait that may go elsewhere.
    leaving: usize,
    /// Moments at which a job's shadow is as far as what the job has saved, with its sequence and its number.
    due: BinaryHeap<std::cmp::Reverse<(u64, u64, u32)>>,
    /// What changed since everything was settled.
    changed: Changed,
    submitted: u64,
    actions: Vec<Action>,
}

/// Which sites need a look: stacks, of which the last is looked at first.
#[derive(Debug, Default)]
struct Changed {
    /// Its own jobs may begin.
    own: Vec<u16>,
    /// It may have more room for guests.
    room: Vec<u16>,
    /// More of its jobs may go elsewhere.
    leaving: Vec<u16>,
    /// Jobs that came, for a look at cleaner sites.
    came: Vec<u32>,
}

impl Federation {
    /// Empty sites.
    #[must_use]
    pub fn new(sharing: Sharing, terms: Terms, sites: &[SiteTerms]) -> Self {
        let members = sites.iter().map(|site| usize::from(site.member) + 1).max().unwrap_or(0);
        Self {
            sharing,
            terms,
            sites: sites.iter().map(|site| Site::new(site, sharing)).collect(),
            jobs: Vec::new(),
            preference: (0u16..).take(sites.len()).collect(),
            cleaner_first_ms: None,
            ranks: vec![0; members],
            wanted: vec![0; members],
            leaving: 0,
            due: BinaryHeap::new(),
            changed: Changed::default(),
            submitted: 0,
            actions: Vec::new(),
        }
    }

    /// In which order guests look at sites from now on, and from which length on jobs go to one before their home there though they
    /// could begin at home.
    pub fn prefer(&mut self, order: Vec<u16>, cleaner_first_ms: Option<u64>) {
        self.preference = order;
        self.cleaner_first_ms = cleaner_first_ms;
    }

    /// Whose guests are served first from now on: a number for each member, the lower the sooner; who came first where they are equal.
    pub fn rank(&mut self, ranks: Vec<u64>) {
        self.ranks = ranks;
    }

    /// How many processors the jobs of each member want that are not over, whether they run or wait: its demand.
    #[must_use]
    pub fn wanted(&self) -> &[u64] {
        &self.wanted
    }

    /// A job comes, under a number that no other job has that is not over.
    ///
    /// # Errors
    /// Its home could never run it.
    pub fn submit(&mut self, number: u32, mut work: Work) -> Result<(), TooLarge> {
        let may_lose = matches!(self.sharing, Sharing::Reclaim | Sharing::Promise);
        if self.sharing == Sharing::Alone || may_lose && self.terms.keeps_at_home(&work) {
            work.group = 0;
        }
        let home = &mut self.sites[usize::from(work.home)];
        let request = work.request(number);
        let place = home.pool.submit(request)?;
        if self.sharing == Sharing::Promise {
            // The same processors: what the site takes its shadow takes.
            home.shadow.submit(request)?;
            home.shadow_changed = true;
        }
        let index = number as usize;
        if self.jobs.len() <= index {
            self.jobs.resize_with(index + 1, || None);
        }
        self.jobs[index] = Some(Job::new(work, place, self.submitted));
        self.submitted += 1;
        self.wanted[usize::from(self.sites[usize::from(work.home)].member)] += u64::from(work.processors);
        self.waits(number);
        if self.cleaner_first_ms.is_some_and(|least| work.group > 0 && work.estimate_ms >= least) {
            self.changed.came.push(number);
        }
        self.changed.own.push(work.home);
        Ok(())
    }

    /// A job is done.
    pub fn ends(&mut self, now_ms: u64, number: u32) {
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        job.done = true;
        let home = job.work.home;
        self.wanted[usize::from(self.sites[usize::from(home)].member)] -= u64::from(job.work.processors);
        match std::mem::replace(&mut job.at, job::At::Over) {
            job::At::Home { running, stands } => {
                let site = &mut self.sites[usize::from(home)];
                site.no_longer_runs(&running, stands);
                site.pool.end(now_ms, running);
                self.changed.own.push(home);
                self.changed.room.push(home);
            }
            job::At::Abroad { site, sequence, running } => {
                let place = job.place;
                self.sites[usize::from(site)].guest_ends(now_ms, sequence, running);
                self.sites[usize::from(home)].pool.leaves(place);
                self.changed.own.push(site);
                self.changed.room.push(site);
            }
            job::At::Line | job::At::Over => {}
        }
        self.forget(number);
    }

    /// A job that waits is withdrawn; whether it waited.
    pub fn withdraw(&mut self, number: u32) -> bool {
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return false };
        if !matches!(job.at, job::At::Line) {
            return false;
        }
        job.at = job::At::Over;
        job.done = true;
        let (home, place) = (job.work.home, job.place);
        self.wanted[usize::from(self.sites[usize::from(home)].member)] -= u64::from(job.work.processors);
        self.sites[usize::from(home)].pool.leaves(place);
        self.waits_no_more(number);
        self.changed.own.push(home);
        self.changed.room.push(home);
        self.forget(number);
        true
    }

    /// A job would end now, had its member stayed alone.
    pub fn shadow_ends(&mut self, now_ms: u64, number: u32) {
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        let home = job.work.home;
        let Some(began_ms) = job.shadow.began_ms() else { return };
        if let job::Shadow::Runs { running, .. } =
            std::mem::replace(&mut job.shadow, job::Shadow::Over { began_ms })
        {
            let site = &mut self.sites[usize::from(home)];
            site.shadow.end(now_ms, running);
            site.shadow_changed = true;
            self.changed.own.push(home);
        }
        self.forget(number);
    }

    /// A job that would still wait is withdrawn, had its member stayed alone; whether it would have waited.
    pub fn withdraw_shadow(&mut self, number: u32) -> bool {
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return false };
        if !matches!(job.shadow, job::Shadow::Waits) {
            return false;
        }
        job.shadow = job::Shadow::Withdrawn;
        let (home, place) = (job.work.home, job.place);
        let site = &mut self.sites[usize::from(home)];
        site.shadow.leaves(place);
        site.shadow_changed = true;
        self.changed.own.push(home);
        self.forget(number);
        true
    }

    /// The next moment at which something follows without an event.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.due.peek().map(|std::cmp::Reverse((at_ms, _, _))| *at_ms)
    }

    /// What follows, once all events of this moment have come in. The actions are in the order in which they happen.
    pub fn settle(&mut self, now_ms: u64) -> std::vec::Drain<'_, Action> {
        self.fall_due(now_ms);
        self.go_to_cleaner(now_ms);
        loop {
            if let Some(site) = self.changed.own.pop() {
                self.settle_own(now_ms, site);
            } else if let Some(site) = self.changed.room.pop() {
                self.take_guests(now_ms, site);
            } else if let Some(site) = self.changed.leaving.pop() {
                self.send_guests(now_ms, site);
            } else {
                return self.actions.drain(..);
            }
        }
    }

    /// A job waits, and may go elsewhere if it may.
    fn waits(&mut self, number: u32) {
        let Some((home, group @ 1..)) = self.job(number).map(|job| (job.work.home, job.group)) else {
            return;
        };
        self.sites[usize::from(home)].leaving[usize::from(group)] += 1;
        self.leaving += 1;
        self.changed.leaving.push(home);
    }

    /// It does not wait any more, or may not go elsewhere.
    fn waits_no_more(&mut self, number: u32) {
        let Some((home, group @ 1..)) = self.job(number).map(|job| (job.work.home, job.group)) else {
            return;
        };
        self.sites[usize::from(home)].leaving[usize::from(group)] -= 1;
        self.leaving -= 1;
    }

    /// A job of which nothing more is to be known.
    fn forget(&mut self, number: u32) {
        let over = |job: &Job| job.done && (self.sharing != Sharing::Promise || job.shadow.is_over());
        let slot = &mut self.jobs[number as usize];
        if slot.as_ref().is_some_and(over) {
            *slot = None;
        }
    }

    fn job(&self, number: u32) -> Option<&Job> {
        self.jobs.get(number as usize)?.as_ref()
    }

    fn job_mut(&mut self, number: u32) -> Option<&mut Job> {
        self.jobs.get_mut(number as usize)?.as_mut()
    }
}
