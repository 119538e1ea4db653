// SPDX-License-Identifier: Apache-2.0
//! What simulated guests have saved when they leave: it is packed for another site, and must be there when the job begins elsewhere.

use std::{fs, path::PathBuf};

use sta_node::{
    engines::{CHECKPOINT_INPUT, EngineError, Exit, RunId},
    outside::Clock,
};
use sta_protocol::ids::SiteId;

use super::{SimEngine, State};

impl SimEngine {
    /// The last attempt of a job that began and had to leave, and where.
    fn last_saved(state: &State, job: sta_protocol::ids::JobId) -> Option<(SiteId, RunId)> {
        let left = state.jobs.iter().filter(|((_, run), taken)| {
            run.job == job && taken.began && taken.exit == Exit::Reclaimed && taken.job.checkpoint
        });
        left.map(|((site, run), _)| (site.clone(), *run)).max_by_key(|(_, run)| run.attempt)
    }

    /// What is wrong with what a job begins from, if anything is.
    pub(super) fn begins_from(&self, state: &State, id: RunId) -> Option<String> {
        let job = &state.jobs.get(&self.key(id))?.job;
        let (site, last) = Self::last_saved(state, id.job).filter(|(_, last)| last.attempt < id.attempt)?;
        if site == self.site {
            return None;
        }
        let input = job.inputs.iter().find(|input| input.name == CHECKPOINT_INPUT);
        let told = input.filter(|input| Some(input.sha256) == job.saved);
        let text = told.map(|input| fs::read_to_string(&input.path).unwrap_or_default());
        (text.as_deref() != Some(&saved_by(last))).then(|| {
            format!("job {id} began at {} from {text:?}, and {last} had saved its work at {site}", self.site)
        })
    }

    pub(super) fn pack_now(&self, run: RunId) -> Result<Option<PathBuf>, EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        let here =
            |((site, of), _): &(&(SiteId, RunId), &super::Job)| *site == self.site && of.job == run.job;
        let runs = state.jobs.iter().filter(here);
        let running = runs.clone().any(|(_, taken)| taken.began && taken.ends_at > self.clock.now());
        let came_with = runs.clone().find_map(|(_, taken)| {
            let is_it = |name: &str| name == CHECKPOINT_INPUT;
            taken.job.inputs.iter().find(|input| is_it(&input.name)).map(|input| input.path.clone())
        });
        let known = runs.count() > 0;
        if running {
            state.broken.push(format!("{} was to pack what {run} saved while it ran", self.site));
        }
        let text = match Self::last_saved(&state, run.job) {
            Some((site, last)) if site == self.site => Some(saved_by(last)),
            // It never began here, and passes on what it came with.
            _ => came_with.and_then(|path| fs::read_to_string(path).ok()),
        };
        drop(state);
        if !known {
            return Err(EngineError::Unknown { id: run });
        }
        let packed = text.map(|text| {
            let path =
                self.directory.join("machines").join(self.site.as_str()).join(format!("{}.tar", run.job));
            fs::create_dir_all(path.parent().expect("a directory")).expect("room for what is saved");
            fs::write(&path, text).expect("room for what is saved");
            path
        });
        if failure.is_some() { Err(self.trouble()) } else { Ok(packed) }
    }
}

fn saved_by(run: RunId) -> String {
    format!("saved by {run}\n").repeat(20)
}
