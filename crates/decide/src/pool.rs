// SPDX-License-Identifier: Apache-2.0
//! The processors of one site and the jobs that want them: which begins next, strictly first come first served or with EASY
//! backfilling.
//!
//! EASY (Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995): the job at the head has a reservation at the first moment at which
//! enough processors are free, by the estimates of what runs; a later job may begin before it only where that moment does not move.
//! Nothing here waits or knows the time: events come in with their moment, in order, and what may begin is asked for.

use std::collections::BTreeMap;

use self::waiting::{Room, Waiting};

mod waiting;

/// In which order jobs begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// Strictly in the order in which they came.
    Fifo,
    /// As [`Discipline::Fifo`], but a later job goes first where the head's reservation stays where it is.
    Easy,
}

/// A job that wants processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The caller's own number for it.
    pub job: u32,
    /// How many it wants, all at once.
    pub processors: u32,
    /// The longest it says to run, in milliseconds. Where it runs longer, reservations may move.
    pub estimate_ms: u64,
}

/// A job that has its processors. It cannot be copied: whoever gives it back has ended it, and nobody ends it twice.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    job: u32,
    processors: u32,
    /// When it is to end by its estimate.
    ends_ms: u64,
    /// One more for each job that begins in this pool.
    sequence: u64,
}

impl Running {
    /// The caller's own number for it.
    #[must_use]
    pub fn job(&self) -> u32 {
        self.job
    }

    /// The how manieth job of this pool began with it, from 0: the order among those that begin at one moment.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The job at the head cannot begin before this moment, and does not begin after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reservation {
    at_ms: u64,
    /// How many processors are left over then.
    spare: u32,
}

/// The processors of one site, what runs on them and what waits for them.
#[derive(Debug)]
pub struct Pool {
    discipline: Discipline,
    processors: u32,
    free: u32,
    waiting: Waiting,
    /// What runs, by its end and its sequence, with its processors.
    running: BTreeMap<(u64, u64), u32>,
    begun: u64,
    /// The head's, as long as nothing ended early.
    reservation: Option<Reservation>,
}

/// A job wants more processors than the pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job wants {wanted} processors and the pool has {there}")]
pub struct TooLarge {
    /// How many it wants.
    pub wanted: u32,
    /// How many there are.
    pub there: u32,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(processors: u32, discipline: Discipline) -> Self {
        Self {
            discipline,
            processors,
            free: processors,
            waiting: Waiting::default(),
            running: BTreeMap::new(),
            begun: 0,
            reservation: None,
        }
    }

    /// How many processors are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a job in, behind all others.
    ///
    /// # Errors
    /// It could never begin.
    pub fn submit(&mut self, request: Request) -> Result<(), TooLarge> {
        if request.processors > self.processors {
            return Err(TooLarge { wanted: request.processors, there: self.processors });
        }
        self.waiting.push(request);
        Ok(())
    }

    /// Gives back what a job held.
    #[expect(clippy::needless_pass_by_value, reason = "taking it is what keeps anyone from ending it twice")]
    pub fn end(&mut self, now_ms: u64, job: Running) {
        self.running.remove(&(job.ends_ms, job.sequence));
        self.free += job.processors;
        // Earlier than was counted on, or later: the head's moment is another one now.
        if now_ms != job.ends_ms {
            self.reservation = None;
        }
    }

    /// The next job that begins now; ask until there is none, once everything of this moment has come in.
    pub fn begin(&mut self, now_ms: u64) -> Option<Running> {
        let head = self.waiting.head()?;
        if head.processors <= self.free {
            self.waiting.take_head();
            self.reservation = None;
            return Some(self.start(now_ms, head));
        }
        match self.discipline {
            Discipline::Fifo => None,
            Discipline::Easy => self.backfill(now_ms, head),
        }
    }

    /// The first of those behind the head that does not move the head's reservation.
    fn backfill(&mut self, now_ms: u64, head: Request) -> Option<Running> {
        if self.free == 0 || self.waiting.len() == 1 {
            return None;
        }
        // Past its moment the head would have begun, had all that runs ended by its estimate.
        let kept = self.reservation.filter(|reservation| reservation.at_ms >= now_ms);
        let mut reservation = kept.unwrap_or_else(|| self.reserve(now_ms, head.processors));
        let room =
            Room { free: self.free, spare: reservation.spare, until_head_ms: reservation.at_ms - now_ms };
        let found = self.waiting.take_first(room);
        if let Some(request) = found
            && request.estimate_ms > room.until_head_ms
        {
            reservation.spare -= request.processors;
        }
        self.reservation = Some(reservation);
        found.map(|request| self.start(now_ms, request))
    }

    /// The first moment at which so many processors are free. What runs longer than it said is counted on now, when nothing that
    /// ends later may go before the head.
    fn reserve(&self, now_ms: u64, processors: u32) -> Reservation {
        let (mut free, mut at_ms) = (self.free, now_ms);
        for ((ends_ms, _), held) in &self.running {
            // What ends at the head's very moment is left over with the rest.
            if free >= processors && *ends_ms > at_ms {
                break;
            }
            free += held;
            at_ms = at_ms.max(*ends_ms);
        }
        Reservation { at_ms, spare: free.saturating_sub(processors) }
    }

    fn start(&mut self, now_ms: u64, request: Request) -> Running {
        let Request { job, processors, estimate_ms } = request;
        let running =
            Running { job, processors, ends_ms: now_ms.saturating_add(estimate_ms), sequence: self.begun };
        self.begun += 1;
        self.free -= processors;
        self.running.insert((running.ends_ms, running.sequence), processors);
        running
    }
}
