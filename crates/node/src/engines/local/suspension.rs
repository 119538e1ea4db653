// SPDX-License-Identifier: Apache-2.0
//! Suspending: a supervisor stops its job where it is when that is asked, and lets it go on when it is not asked any more.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{processes::Processes, record::JobDirectory};

/// How often it is looked whether a job that has not begun may begin.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Keeps a job, or its next task, from beginning as long as it is asked to stand still. A job that is cancelled waits no more.
pub(super) fn wait_until_wanted(directory: &JobDirectory) {
    let is_to_wait = || directory.is_suspension_asked() && !directory.is_cancelled();
    if !is_to_wait() {
        return;
    }
    directory.note_suspended(true);
    while is_to_wait() {
        thread::sleep(LOOK_EVERY);
    }
    directory.note_suspended(false);
}

/// What became of the wish that a running task stand still.
pub(super) struct Suspension<'a> {
    directory: &'a JobDirectory,
    processes: &'a Processes<'a>,
    /// Since when it is being stopped, and whether nothing of it can go on any more.
    stopped: Option<(Instant, bool)>,
    /// How long it stood still before that.
    before: Duration,
}

impl<'a> Suspension<'a> {
    /// Of a task that has just begun.
    pub(super) fn of(directory: &'a JobDirectory, processes: &'a Processes<'a>) -> Self {
        Self { directory, processes, stopped: None, before: Duration::ZERO }
    }

    /// Does what is asked now. To be called again and again while the task runs.
    pub(super) fn follow(&mut self) {
        match (self.directory.is_suspension_asked(), self.stopped) {
            (true, Some((_, true))) | (false, None) => {}
            (true, stopped) => {
                let since = stopped.map_or_else(Instant::now, |(since, _)| since);
                let whole = self.processes.stop();
                self.stopped = Some((since, whole));
                if whole {
                    self.directory.note_suspended(true);
                }
            }
            (false, Some((since, _))) => {
                self.directory.note_suspended(false);
                self.processes.go_on();
                self.stopped = None;
                self.before += since.elapsed();
            }
        }
    }

    /// Whether the task is being stopped or stands still.
    pub(super) fn is_on(&self) -> bool {
        self.stopped.is_some()
    }

    /// How long the task has stood still in all: the clock of its time limit stands still with it.
    pub(super) fn time(&self) -> Duration {
        self.before + self.stopped.map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }
}
