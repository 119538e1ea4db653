// SPDX-License-Identifier: Apache-2.0
//! Simulated jobs that stand still, and have all of their time still before them when they go on.

use sta_node::{
    engines::{EngineError, RunId},
    outside::Clock,
};
use sta_protocol::ids::SiteId;

use super::{Job, SimEngine, State};

impl SimEngine {
    pub(super) fn suspend_now(&self, id: RunId) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        self.advance(&mut state, id);
        let now = self.clock.now();
        let is_over = state.jobs.get(&self.key(id)).is_some_and(|job| job.ends_at <= now);
        if !is_over {
            state.suspended.entry(self.key(id)).or_insert(now);
        }
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }

    pub(super) fn resume_now(&self, id: RunId) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        self.go_on(&mut state, id);
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }

    /// Whether a job that is due has room: one that went on after it stood still holds its cores longer than was planned.
    pub(super) fn has_room(&self, state: &State, id: RunId) -> bool {
        let now = self.clock.now();
        let holds = |((site, run), job): &(&(SiteId, RunId), &Job)| {
            let stands = state.suspended.contains_key(&(site.clone(), *run));
            *site == self.site && *run != id && job.began && (stands || job.ends_at > now)
        };
        let held: u32 = state.jobs.iter().filter(holds).map(|(_, job)| job.job.cpu_cores).sum();
        let wanted = state.jobs.get(&self.key(id)).map_or(0, |job| job.job.cpu_cores);
        held + wanted <= self.resources.cpu_cores
    }

    /// A job that stood still has all of its time still before it. Whether it did stand still.
    pub(super) fn go_on(&self, state: &mut State, id: RunId) -> bool {
        let Some(since) = state.suspended.remove(&self.key(id)) else { return false };
        let Some(job) = state.jobs.get_mut(&self.key(id)) else { return true };
        let stood = self.clock.now().duration_since(since);
        job.ends_at += stood;
        if !job.began {
            job.begins_at += stood;
        }
        true
    }
}
