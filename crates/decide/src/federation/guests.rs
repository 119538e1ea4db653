// SPDX-License-Identifier: Apache-2.0
//! Guests: they get what a site's own jobs leave, and leave when those want it.

use super::{Action, Federation, Sharing, job::At};
use crate::pool::{Request, Room};

/// A job that waits at home and fits elsewhere.
struct Candidate {
    home: u16,
    place: u64,
    request: Request,
    /// Who is served first: by rank of the member, then by when the job came.
    order: (u64, u64),
}

impl Federation {
    /// A site may have more room: guests come, in their order.
    pub(super) fn take_guests(&mut self, now_ms: u64, site: u16) {
        while self.leaving > 0 {
            let room = self.room_for_guests(now_ms, site);
            if room.free == 0 {
                return;
            }
            let fits = (0u16..).take(self.sites.len()).filter_map(|home| {
                let may_leave = home != site && self.sites[usize::from(home)].may_leave();
                if may_leave { self.candidate(home, site, room) } else { None }
            });
            let Some(first) = fits.min_by_key(|candidate| candidate.order) else { return };
            self.begins_abroad(now_ms, site, &first);
        }
    }

    /// More jobs of a site may go elsewhere: they look at the other sites, in the order of preference.
    pub(super) fn send_guests(&mut self, now_ms: u64, home: u16) {
        for index in 0..self.preference.len() {
            // Mostly its own site took them all, and there are many others.
            if !self.sites[usize::from(home)].may_leave() {
                return;
            }
            let site = self.preference[index];
            while site != home && self.sites[usize::from(home)].may_leave() {
                let room = self.room_for_guests(now_ms, site);
                if room.free == 0 {
                    break;
                }
                let Some(candidate) = self.candidate(home, site, room) else { break };
                self.begins_abroad(now_ms, site, &candidate);
            }
        }
    }

    /// Long jobs that came go to a site before their home in the order of preference that has room now.
    pub(super) fn go_to_cleaner(&mut self, now_ms: u64) {
        for number in std::mem::take(&mut self.changed.came) {
            let Some(job) = self.job(number).filter(|job| matches!(job.at, At::Line)) else { continue };
            let (home, place, request, sequence) =
                (job.work.home, job.place, job.work.request(number), job.sequence);
            let rank = self.ranks[usize::from(self.sites[usize::from(home)].member)];
            let before = self.preference.iter().take_while(|site| **site != home);
            let found = before.copied().find(|site| {
                self.sites[usize::from(*site)].takes(request.group)
                    && self.room_for_guests(now_ms, *site).fits(request)
            });
            if let Some(site) = found {
                let candidate = Candidate { home, place, request, order: (rank, sequence) };
                self.begins_abroad(now_ms, site, &candidate);
            }
        }
    }

    /// The youngest guest has to leave, and waits at its home again.
    pub(super) fn evict_youngest_guest(&mut self, now_ms: u64, site: u16) {
        let grace_ms = self.terms.grace_ms;
        let host = &mut self.sites[usize::from(site)];
        let Some((sequence, (number, _))) = host.guests.last_key_value().map(|(key, guest)| (*key, *guest))
        else {
            return;
        };
        host.guest_ends(now_ms, sequence, None);
        host.free_from_ms = now_ms + grace_ms;
        let Some(job) = self.jobs.get_mut(number as usize).and_then(Option::as_mut) else { return };
        let lost_ms = job.stops(now_ms);
        let saved_ms = job.saved_ms;
        job.at = At::Line;
        self.sites[usize::from(job.work.home)].pool.comes_back(job.place, job.left_ms());
        self.actions.push(Action::Evict { job: number, site, saved_ms, lost_ms });
        // It may have had more than the owner wants.
        self.changed.room.push(site);
        self.waits_again(now_ms, number);
    }

    /// What a guest may have of a site now.
    fn room_for_guests(&self, now_ms: u64, site: u16) -> Room {
        let site = &self.sites[usize::from(site)];
        match self.sharing {
            Sharing::Alone => Room::open(0),
            Sharing::OwnerFirst => {
                let room = site.pool.room(now_ms);
                Room { until_head_ms: room.until_head_ms.saturating_sub(self.terms.staging_ms), ..room }
            }
            Sharing::Reclaim | Sharing::Promise if site.owed.is_empty() => Room::open(site.free()),
            Sharing::Reclaim | Sharing::Promise => Room::open(0),
        }
    }

    /// The first job of a home that may go to a site and fits there.
    fn candidate(&mut self, home: u16, site: u16, room: Room) -> Option<Candidate> {
        let [from, to] = self.sites.get_disjoint_mut([home, site].map(usize::from)).ok()?;
        let rank = self.ranks[usize::from(from.member)];
        let groups = (1u8..).zip(&from.leaving[1..]);
        let groups = groups.filter(|(group, waiting)| **waiting > 0 && to.takes(*group));
        let first = |(group, _)| {
            let (place, request) = from.pool.first_of(group, room)?;
            let job = self.jobs.get(request.job as usize)?.as_ref()?;
            Some(Candidate { home, place, request, order: (rank, job.sequence) })
        };
        groups.filter_map(first).min_by_key(|candidate| candidate.order)
    }

    fn begins_abroad(&mut self, now_ms: u64, site: u16, candidate: &Candidate) {
        let Candidate { home, place, request, .. } = *candidate;
        self.waits_no_more(request.job);
        self.sites[usize::from(home)].pool.goes(place);
        let (terms, stays) = (self.terms, self.sharing == Sharing::OwnerFirst);
        let host = &mut self.sites[usize::from(site)];
        let staged = Request { estimate_ms: request.estimate_ms + terms.staging_ms, ..request };
        let running = if stays { host.pool.lend(now_ms, staged) } else { None };
        let sequence = host.guest_comes(request.job, request.processors, !stays);
        let ready_ms = (now_ms + terms.staging_ms).max(host.free_from_ms);
        let Some(job) = self.jobs.get_mut(request.job as usize).and_then(Option::as_mut) else { return };
        let works_from_ms = job.begins(ready_ms, &terms);
        job.at = At::Abroad { site, sequence, running };
        let saved_ms = job.saved_ms;
        self.actions.push(Action::Begin { job: request.job, site, works_from_ms, saved_ms });
        // Whoever stands behind it may be the first now, and leave more room for others.
        self.changed.own.push(home);
        self.changed.room.push(home);
    }
}
