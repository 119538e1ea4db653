// SPDX-License-Identifier: Apache-2.0
//! The virtual-alone ledger at work: shadows begin, and who is not as far as its shadow is served before everybody whose shadow began
//! later.

use std::cmp::Reverse;

use super::{
    Action, Federation,
    job::{At, Shadow},
};

impl Federation {
    /// Begins what would begin at a site now, had its member stayed alone.
    pub(super) fn shadows_begin(&mut self, now_ms: u64, site: u16) {
        let of = usize::from(site);
        if !std::mem::take(&mut self.sites[of].shadow_changed) {
            return;
        }
        while let Some(running) = self.sites[of].shadow.begin(now_ms) {
            let number = running.job();
            self.actions.push(Action::ShadowBegins { job: number });
            let waits = self.job(number).is_some_and(|job| matches!(job.at, At::Line));
            if waits {
                // From now on it waits for its home alone.
                self.waits_no_more(number);
            }
            let Some(job) = self.job_mut(number) else { continue };
            job.shadow = Shadow::Runs { running, began_ms: now_ms };
            job.group = 0;
            // Also once it comes back from where it runs now.
            let place = job.place;
            self.sites[of].pool.stays(place);
            if waits {
                self.owed_when_due(now_ms, number);
            } else {
                self.becomes_firm(site, number);
            }
        }
    }

    /// A job that runs at home as its shadow begins may not be stopped any more, unless it is so far ahead that it would not be behind.
    fn becomes_firm(&mut self, site: u16, number: u32) {
        let (terms, home) = (self.terms, &mut self.sites[usize::from(site)]);
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        let (stands, entry) = (job.stands(&terms), (number, job.work.processors));
        match &mut job.at {
            At::Home { running, stands: stood } => {
                home.no_longer_runs(running, *stood);
                *stood = stands;
                home.runs(running, stands, entry);
            }
            At::Abroad { .. } | At::Line | At::Over => {}
        }
    }

    /// A job that waits is owed its processors once its shadow is as far as what it saved.
    pub(super) fn owed_when_due(&mut self, now_ms: u64, number: u32) {
        let Some(job) = self.job(number) else { return };
        let (home, sequence) = (job.work.home, job.sequence);
        let (Some(due_ms), Some(began_ms)) = (job.due_ms(&self.terms), job.shadow.began_ms()) else { return };
        if due_ms <= now_ms {
            self.sites[usize::from(home)].owed.insert((began_ms, sequence, number));
            self.changed.own.push(home);
        } else {
            self.due.push(Reverse((due_ms, sequence, number)));
        }
    }

    /// Looks at the jobs whose shadows are as far as they are now.
    pub(super) fn fall_due(&mut self, now_ms: u64) {
        while let Some(Reverse((_, sequence, number))) =
            self.due.peek().copied().filter(|Reverse((at, ..))| *at <= now_ms)
        {
            self.due.pop();
            // It may be over, and its number another's, or run.
            let waits = |job: &super::job::Job| job.sequence == sequence && matches!(job.at, At::Line);
            if self.job(number).is_some_and(waits) {
                self.owed_when_due(now_ms, number);
            }
        }
    }

    /// Begins the jobs that are owed their processors, the one whose shadow began first before the others; whether none of them waits
    /// any more. For the first that has to wait, all who stand behind it leave as far as that helps, so that it has the
    /// rest as soon as those before it end.
    pub(super) fn serve_owed(&mut self, now_ms: u64, site: u16) -> bool {
        let of = usize::from(site);
        while let Some((began_ms, sequence, number)) = self.sites[of].owed.first().copied() {
            let owed = self.job(number).filter(|job| job.sequence == sequence && matches!(job.at, At::Line));
            let Some((place, wants)) = owed.map(|job| (job.place, job.work.processors)) else {
                self.sites[of].owed.pop_first();
                continue;
            };
            let there = self.sites[of].not_held_before(began_ms);
            self.make_room(now_ms, site, began_ms, wants.min(there));
            if wants > there {
                return false;
            }
            // One that stopped for it may be owed processors itself by now, and be the first.
            self.sites[of].owed.remove(&(began_ms, sequence, number));
            if let Some(running) = self.sites[of].pool.begin_before_all(now_ms, place) {
                self.begins_at_home(now_ms, site, running);
            }
        }
        true
    }

    /// Guests leave, then own jobs that are ahead of their shadows, then those whose shadows began after a moment, until so many
    /// processors are free.
    fn make_room(&mut self, now_ms: u64, site: u16, began_ms: u64, processors: u32) {
        let of = usize::from(site);
        while self.sites[of].free() < processors {
            let home = &self.sites[of];
            if !home.guests.is_empty() {
                self.evict_youngest_guest(now_ms, site);
            } else if let Some((_, (number, _))) = home.ahead.last_key_value() {
                self.stop_own(now_ms, site, *number);
            } else if let Some((_, (number, _))) =
                home.firm.last_key_value().filter(|((began, _), _)| *began > began_ms)
            {
                self.stop_own(now_ms, site, *number);
            } else {
                return;
            }
        }
    }
}
