// SPDX-License-Identifier: Apache-2.0
//! The demo's voice: its lines, a sign of life when there is nothing to say, and an ear for Ctrl-C.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use super::super::failure::{Failure, Trying};

/// How long the demo is silent at most.
const SILENCE: Duration = Duration::from_millis(1600);
/// How often we look whether it is.
const LOOK: Duration = Duration::from_millis(200);

/// Who speaks, and what is going on.
#[derive(Debug)]
pub(super) struct Voice {
    to_stderr: bool,
    state: Mutex<State>,
    interrupted: AtomicBool,
}

#[derive(Debug)]
struct State {
    spoke: Instant,
    doing: String,
    since: Instant,
}

impl Voice {
    /// A voice that says what is going on when it has been silent for long, and hears when somebody wants the demo to end.
    /// With JSON on standard output it speaks on standard error.
    ///
    /// # Errors
    /// Signals cannot be heard.
    pub(super) fn new(to_stderr: bool) -> Result<Arc<Self>, Failure> {
        let now = Instant::now();
        let state = Mutex::new(State { spoke: now, doing: "begin".to_owned(), since: now });
        let voice = Arc::new(Self { to_stderr, state, interrupted: AtomicBool::new(false) });
        let weak = Arc::downgrade(&voice);
        thread::spawn(move || {
            while let Some(voice) = weak.upgrade() {
                voice.break_silence();
                drop(voice);
                thread::sleep(LOOK);
            }
        });
        voice.listen()?;
        Ok(voice)
    }

    /// One line for people.
    pub(super) fn say(&self, line: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).spoke = Instant::now();
        if self.to_stderr {
            eprintln!("{line}");
        } else {
            super::super::print::line(line);
        }
    }

    /// Notes what is going on from now on.
    pub(super) fn begin(&self, doing: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.doing != doing {
            (state.doing, state.since) = (doing.to_owned(), Instant::now());
        }
    }

    fn break_silence(&self) {
        let line = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.spoke.elapsed() < SILENCE {
                return;
            }
            format!("     … {} ({:.0} s)", state.doing, state.since.elapsed().as_secs_f64())
        };
        self.say(&line);
    }

    /// Fails once somebody has asked the demo to end.
    ///
    /// # Errors
    /// They have.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        if self.interrupted.load(Ordering::Relaxed) {
            Err(Failure::new("finish the demo", "it was asked to end"))
        } else {
            Ok(())
        }
    }

    /// Hears SIGINT and SIGTERM on a thread of its own: the demo waits for other programs most of the time.
    fn listen(self: &Arc<Self>) -> Result<(), Failure> {
        let doing = "listen for Ctrl-C";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().trying_to(doing)?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).trying_to(doing);
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
        };
        let weak = Arc::downgrade(self);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => (),
                    _ = terminate.recv() => (),
                }
            });
            if let Some(voice) = weak.upgrade() {
                voice.interrupted.store(true, Ordering::Relaxed);
                voice.say("   … asked to end: taking down what was brought up.");
            }
        });
        Ok(())
    }
}
