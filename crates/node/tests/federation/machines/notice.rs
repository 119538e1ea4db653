// SPDX-License-Identifier: Apache-2.0
//! Simulated guests that are given notice: they save their work and leave some time within the grace, unless they end before.

use std::time::Duration;

use jiff::SignedDuration;
use sta_node::{
    engines::{EngineError, Exit, RunId},
    outside::Clock,
};

use super::{Random, SimEngine};

impl SimEngine {
    pub(super) fn give_notice_now(&self, id: RunId, grace: Duration) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        self.advance(&mut state, id);
        let now = self.clock.now();
        let key = self.key(id);
        let grace_ms = u64::try_from(grace.as_millis()).expect("a grace within bounds");
        // The same whenever it is asked, so that a repeated call changes nothing.
        let takes_ms = Random::of(self.machines.seed, &format!("notice of {id}")).between(0, grace_ms);
        let mut broken = Vec::new();
        match state.jobs.get_mut(&key) {
            None => broken.push(format!("{id} was given notice at {} before it was taken over", self.site)),
            Some(job) if job.exit == Exit::Reclaimed => {}
            Some(job) if job.began => {
                let leaves_at = now + SignedDuration::from_millis(takes_ms.cast_signed());
                if leaves_at < job.ends_at {
                    (job.ends_at, job.exit) = (leaves_at, Exit::Reclaimed);
                }
            }
            Some(job) if job.exit == Exit::Cancelled => {}
            Some(job) => (job.begins_at, job.ends_at, job.exit) = (now, now, Exit::Reclaimed),
        }
        state.broken.extend(broken);
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }
}
