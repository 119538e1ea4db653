// SPDX-License-Identifier: Apache-2.0
//! The processors of one site and the jobs that want them: which begins next, strictly first come first served or with EASY
//! backfilling.
//!
//! EASY (Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995): the job at the head has a reservation at the first moment at which
//! enough processors are free, by the estimates of what runs; a later job may begin before it only where that moment does not move.
//! Nothing here waits or knows the time: events come in with their moment, in order, and what may begin is asked for.

pub use self::tree::Room;
use self::{
    ends::Ends,
    line::{Line, Seat, Waiting},
};

mod ends;
mod line;
mod tree;

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
    /// Where else it may run: 0 for nowhere else, above that whatever the caller means by the number.
    pub group: u8,
}

/// A job that has its processors. It cannot be copied: whoever gives it back has ended it, and nobody ends it twice.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    job: u32,
    /// Where it stood in the line; none for a guest, who stands in another one.
    seat: Option<Seat>,
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
    line: Line,
    /// When what runs is to end. Who is served strictly in order has no use for that, and it stays empty.
    ends: Ends,
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
            line: Line::default(),
            ends: Ends::default(),
            begun: 0,
            reservation: None,
        }
    }

    /// How many processors there are.
    #[must_use]
    pub fn processors(&self) -> u32 {
        self.processors
    }

    /// How many processors are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// Takes a job in, behind all others; says its number in the line.
    ///
    /// # Errors
    /// It could never begin.
    pub fn submit(&mut self, request: Request) -> Result<u64, TooLarge> {
        if request.processors > self.processors {
            return Err(TooLarge { wanted: request.processors, there: self.processors });
        }
        Ok(self.line.push(request))
    }

    /// Gives back what a job held that is over.
    pub fn end(&mut self, now_ms: u64, job: Running) {
        if let Some(seat) = job.seat {
            self.line.end(seat);
        }
        self.give_back(now_ms, job);
    }

    /// A job has to stop, and waits again where it stood in the line, for so long at most.
    pub fn stop(&mut self, now_ms: u64, job: Running, estimate_ms: u64) {
        if let Some(seat) = job.seat {
            self.comes_back(seat.number, estimate_ms);
        }
        self.give_back(now_ms, job);
    }

    /// The next job that begins now; ask until there is none, once everything of this moment has come in.
    pub fn begin(&mut self, now_ms: u64) -> Option<Running> {
        let head = self.line.head()?;
        if head.request.processors <= self.free {
            self.reservation = None;
            return Some(self.start_own(now_ms, &head));
        }
        match self.discipline {
            Discipline::Fifo => None,
            Discipline::Easy => self.backfill(now_ms, head),
        }
    }

    /// A job that waits begins whoever stands before it; none where its processors are not free.
    pub fn begin_before_all(&mut self, now_ms: u64, number: u64) -> Option<Running> {
        let job = self.line.find(number).filter(|job| job.request.processors <= self.free)?;
        self.reservation = None;
        Some(self.start_own(now_ms, &job))
    }

    /// A job of the line begins elsewhere.
    pub fn goes(&mut self, number: u64) -> Option<Request> {
        let job = self.line.find(number)?;
        self.line.begins(&job);
        // The head may be another one.
        self.reservation = None;
        Some(job.request)
    }

    /// A job that had begun elsewhere waits again where it stood, for so long at most.
    pub fn comes_back(&mut self, number: u64, estimate_ms: u64) {
        self.line.come_back(number, estimate_ms);
        self.reservation = None;
    }

    /// A job that waits, or ran elsewhere, is over.
    pub fn leaves(&mut self, number: u64) {
        self.line.leave(number);
        self.reservation = None;
    }

    /// A job may begin nowhere else any more.
    pub fn stays(&mut self, number: u64) {
        self.line.stay(number);
    }

    /// The first job of the line that may go elsewhere as those of its group may, and fits.
    #[must_use]
    pub fn first_of(&mut self, group: u8, room: Room) -> Option<(u64, Request)> {
        self.line.first_of(group, room).map(|job| (job.seat.number, job.request))
    }

    /// What one who does not stand in this line may have without the head beginning later for it.
    #[must_use]
    pub fn room(&self, now_ms: u64) -> Room {
        match self.line.head() {
            // Whoever waits at the head, nobody else begins.
            _ if self.free == 0 => Room::open(0),
            None => Room::open(self.free),
            Some(head) if head.request.processors <= self.free => Room::open(0),
            Some(_) if self.discipline == Discipline::Fifo => Room::open(0),
            Some(head) => {
                let reservation = self.reserve(now_ms, head.request.processors);
                let until_head_ms = reservation.at_ms - now_ms;
                Room { free: self.free, spare: reservation.spare.min(self.free), until_head_ms }
            }
        }
    }

    /// One who does not stand in this line begins; none where its processors are not free.
    pub fn lend(&mut self, now_ms: u64, request: Request) -> Option<Running> {
        if request.processors > self.free {
            return None;
        }
        self.reservation = None;
        Some(self.start(now_ms, None, request))
    }

    /// The first of those behind the head that does not move the head's reservation.
    fn backfill(&mut self, now_ms: u64, head: Waiting) -> Option<Running> {
        if self.free == 0 || self.line.waiting() == 1 {
            return None;
        }
        // Past its moment the head would have begun, had all that runs ended by its estimate.
        let kept = self.reservation.filter(|reservation| reservation.at_ms >= now_ms);
        let mut reservation = kept.unwrap_or_else(|| self.reserve(now_ms, head.request.processors));
        let room =
            Room { free: self.free, spare: reservation.spare, until_head_ms: reservation.at_ms - now_ms };
        let found = self.line.first(room);
        if let Some(Waiting { request, .. }) = found
            && request.estimate_ms > room.until_head_ms
        {
            reservation.spare -= request.processors;
        }
        self.reservation = Some(reservation);
        Some(self.start_own(now_ms, &found?))
    }

    /// The first moment at which so many processors are free. What runs longer than it said is counted on now, when nothing that
    /// ends later may go before the head.
    fn reserve(&self, now_ms: u64, processors: u32) -> Reservation {
        let (mut free, mut at_ms) = (self.free, now_ms);
        for (ends_ms, held) in self.ends.iter() {
            // What ends at the head's very moment is left over with the rest.
            if free >= processors && ends_ms > at_ms {
                break;
            }
            free += held;
            at_ms = at_ms.max(ends_ms);
        }
        Reservation { at_ms, spare: free.saturating_sub(processors) }
    }

    /// One that waits in this line begins.
    fn start_own(&mut self, now_ms: u64, job: &Waiting) -> Running {
        self.line.begins(job);
        self.start(now_ms, Some(job.seat), job.request)
    }

    fn start(&mut self, now_ms: u64, seat: Option<Seat>, request: Request) -> Running {
        let Request { job, processors, estimate_ms, .. } = request;
        let ends_ms = now_ms.saturating_add(estimate_ms);
        let running = Running { job, seat, processors, ends_ms, sequence: self.begun };
        self.begun += 1;
        self.free -= processors;
        if self.discipline == Discipline::Easy {
            self.ends.add(ends_ms, processors);
        }
        running
    }

    #[expect(clippy::needless_pass_by_value, reason = "taking it is what keeps anyone from ending it twice")]
    fn give_back(&mut self, now_ms: u64, job: Running) {
        self.ends.remove(job.ends_ms, job.processors);
        self.free += job.processors;
        // Earlier than was counted on, or later: the head's moment is another one now.
        if now_ms != job.ends_ms {
            self.reservation = None;
        }
    }
}
