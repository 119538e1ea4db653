// SPDX-License-Identifier: Apache-2.0
//! A site's own jobs: they begin before any guest, and guests leave for them.

use super::{Action, Federation, Sharing, job::At};
use crate::pool::Running;

impl Federation {
    /// Begins what may begin at a site.
    pub(super) fn settle_own(&mut self, now_ms: u64, site: u16) {
        if self.sharing == Sharing::Promise {
            self.shadows_begin(now_ms, site);
            // Nobody passes one who is owed its processors.
            if !self.serve_owed(now_ms, site) {
                return;
            }
        }
        while let Some(running) = self.sites[usize::from(site)].pool.begin(now_ms) {
            self.begins_at_home(now_ms, site, running);
        }
    }

    /// A job has its processors at home; guests that have them leave.
    pub(super) fn begins_at_home(&mut self, now_ms: u64, site: u16, running: Running) {
        let number = running.job();
        while self.sites[usize::from(site)].has_too_many_guests() {
            self.evict_youngest_guest(now_ms, site);
        }
        self.waits_no_more(number);
        let (terms, home) = (self.terms, &mut self.sites[usize::from(site)]);
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        let works_from_ms = job.begins(now_ms.max(home.free_from_ms), &terms);
        let stands = job.stands(&terms);
        if self.sharing == Sharing::Promise {
            home.runs(&running, stands, (number, job.work.processors));
        }
        job.at = At::Home { running, stands };
        let saved_ms = job.saved_ms;
        self.actions.push(Action::Begin { job: number, site, works_from_ms, saved_ms });
    }

    /// A job of the site's own has to stop for one that is owed its processors, and waits again.
    pub(super) fn stop_own(&mut self, now_ms: u64, site: u16, number: u32) {
        let home = &mut self.sites[usize::from(site)];
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        match std::mem::replace(&mut job.at, At::Line) {
            At::Home { running, stands } => {
                let lost_ms = job.stops(now_ms);
                home.no_longer_runs(&running, stands);
                home.pool.stop(now_ms, running, job.left_ms());
                // No grace here: whoever comes back late would pass it on to everybody who waits (docs/decisions/0017).
                let saved_ms = job.saved_ms;
                self.actions.push(Action::Evict { job: number, site, saved_ms, lost_ms });
                self.waits_again(now_ms, number);
            }
            at @ (At::Line | At::Abroad { .. } | At::Over) => job.at = at,
        }
    }

    /// A job that was stopped waits at home.
    pub(super) fn waits_again(&mut self, now_ms: u64, number: u32) {
        let Some(home) = self.job(number).map(|job| job.work.home) else { return };
        self.waits(number);
        self.changed.own.push(home);
        if self.sharing == Sharing::Promise {
            self.owed_when_due(now_ms, number);
        }
    }
}
