// SPDX-License-Identifier: Apache-2.0
//! Plays the jobs of several members through [`sta_decide::federation`]: submissions, ends and what a job's shadow does, in the order of
//! their moments. Jobs come as a stream, and of those that are over nothing is kept, so that traces may be longer than memory.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use sta_decide::federation::{Action, Federation, Sharing, SiteTerms, Terms, Work};

/// A job of a trace, with what only the end tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// When it comes.
    pub submit_ms: u64,
    /// How long it works, above 0.
    pub run_ms: u64,
    /// What it wants.
    pub work: Work,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// The how manieth of the stream it is, from 0.
    pub index: u64,
    /// The job.
    pub job: Job,
    /// When it ended; none where it went to a cloud, or its site could never run it.
    pub end_ms: Option<u64>,
    /// When it would have ended alone, under [`Sharing::Promise`]; likewise none where it would have gone to a cloud.
    pub alone_end_ms: Option<u64>,
    /// Whether it ran at another member's site at some time.
    pub moved: bool,
    /// How often it had to leave.
    pub evictions: u32,
    /// Work that it did again, in milliseconds.
    pub lost_ms: u64,
    /// Its site could never run it.
    pub too_large: bool,
}

/// A stretch of time for which a job had processors of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub site: u16,
    /// Whose job it was, by its home.
    pub home: u16,
    /// How many processors it had.
    pub processors: u32,
    /// From when on.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// Who is told how it goes.
pub trait Watch {
    /// A job left processors.
    fn held(&mut self, span: Span);
    /// Everything is known of a job.
    fn over(&mut self, fate: &Fate);
    /// Before what follows at a moment, for what changes with time.
    fn moment(&mut self, now_ms: u64, federation: &mut Federation);
}

/// What is played.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How members share.
    pub sharing: Sharing,
    /// What they agreed on.
    pub terms: Terms,
    /// Their sites.
    pub sites: Vec<SiteTerms>,
    /// Jobs that have waited so long go to a cloud.
    pub patience_ms: Option<u64>,
}

/// A job that is not over.
#[derive(Debug, Clone, Copy)]
struct Live {
    fate: Fate,
    /// Where it runs and since when.
    runs: Option<(u16, u64)>,
    /// Which begin it is that runs: ends that were expected of earlier ones do not come.
    begin: Option<u64>,
    done: bool,
    alone_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Ends { begin: u64 },
    ShadowEnds,
}

struct Player<'a, W> {
    federation: Federation,
    live: Vec<Live>,
    /// Numbers of jobs that are over, for those that come.
    spare: Vec<u32>,
    /// What comes, by its moment and the order in which it was known of.
    coming: BinaryHeap<Reverse<(u64, u64, u32, What)>>,
    known: u64,
    /// When the last job so far ended.
    last_ms: u64,
    /// When jobs lose their patience, with their number and their index.
    patience: VecDeque<(u64, u32, u64)>,
    rules: &'a Rules,
    watch: &'a mut W,
    followed: Vec<Action>,
}

/// Plays jobs, which come in the order of their submission; says when the last one ended.
pub fn play<W: Watch>(rules: &Rules, jobs: impl IntoIterator<Item = Job>, watch: &mut W) -> u64 {
    let mut player = Player {
        federation: Federation::new(rules.sharing, rules.terms, &rules.sites),
        live: Vec::new(),
        spare: Vec::new(),
        coming: BinaryHeap::new(),
        known: 0,
        last_ms: 0,
        patience: VecDeque::new(),
        rules,
        watch,
        followed: Vec::new(),
    };
    let mut jobs = (0u64..).zip(jobs).peekable();
    loop {
        let submitted = jobs.peek().map(|(_, job)| job.submit_ms);
        let Some(now_ms) = player.next_ms().into_iter().chain(submitted).min() else { return player.last_ms };
        player.watch.moment(now_ms, &mut player.federation);
        player.what_comes(now_ms);
        while let Some((index, job)) = jobs.next_if(|(_, job)| job.submit_ms == now_ms) {
            player.submit(index, job);
        }
        player.lose_patience(now_ms);
        player.settle(now_ms);
    }
}

impl<W: Watch> Player<'_, W> {
    fn next_ms(&self) -> Option<u64> {
        let coming = self.coming.peek().map(|Reverse((at_ms, ..))| *at_ms);
        let patience = self.patience.front().map(|(at_ms, ..)| *at_ms);
        [coming, patience, self.federation.next_ms()].into_iter().flatten().min()
    }

    fn submit(&mut self, index: u64, job: Job) {
        let fate = Fate {
            index,
            job,
            end_ms: None,
            alone_end_ms: None,
            moved: false,
            evictions: 0,
            lost_ms: 0,
            too_large: false,
        };
        let alone_done = self.rules.sharing != Sharing::Promise;
        let live = Live { fate, runs: None, begin: None, done: false, alone_done };
        let number = self.spare.pop().unwrap_or_else(|| {
            self.live.push(live);
            // More jobs at once than numbers would take hundreds of gigabytes.
            u32::try_from(self.live.len() - 1).unwrap_or(u32::MAX)
        });
        if self.federation.submit(number, job.work).is_err() {
            self.watch.over(&Fate { too_large: true, ..fate });
            self.spare.push(number);
            return;
        }
        self.live[number as usize] = live;
        if let Some(patience_ms) = self.rules.patience_ms {
            self.patience.push_back((job.submit_ms + patience_ms, number, index));
        }
    }

    fn what_comes(&mut self, now_ms: u64) {
        while let Some(Reverse((_, _, number, what))) =
            self.coming.peek().copied().filter(|Reverse((at_ms, ..))| *at_ms == now_ms)
        {
            self.coming.pop();
            let live = &mut self.live[number as usize];
            match what {
                What::Ends { begin } if live.begin == Some(begin) => {
                    live.fate.end_ms = Some(now_ms);
                    self.last_ms = now_ms;
                    live.done = true;
                    self.federation.ends(now_ms, number);
                    self.leaves(now_ms, number);
                    self.over(number);
                }
                What::Ends { .. } => {}
                What::ShadowEnds => {
                    live.fate.alone_end_ms = Some(now_ms);
                    live.alone_done = true;
                    self.federation.shadow_ends(now_ms, number);
                    self.over(number);
                }
            }
        }
    }

    fn lose_patience(&mut self, now_ms: u64) {
        while let Some((_, number, index)) = self.patience.pop_front_if(|(at_ms, ..)| *at_ms <= now_ms) {
            if self.live[number as usize].fate.index != index {
                continue;
            }
            // One that ran and had to leave is not new: it has its place at the front of the line.
            if self.live[number as usize].fate.evictions == 0 && self.federation.withdraw(number) {
                self.live[number as usize].done = true;
            }
            if self.federation.withdraw_shadow(number) {
                self.live[number as usize].alone_done = true;
            }
            self.over(number);
        }
    }

    fn settle(&mut self, now_ms: u64) {
        let mut followed = std::mem::take(&mut self.followed);
        followed.extend(self.federation.settle(now_ms));
        for action in followed.drain(..) {
            match action {
                Action::Begin { job, site, works_from_ms, saved_ms } => {
                    let live = &mut self.live[job as usize];
                    live.begin = Some(self.known);
                    live.runs = Some((site, now_ms));
                    let [host, home] =
                        [site, live.fate.job.work.home].map(|it| self.rules.sites[usize::from(it)].member);
                    live.fate.moved |= host != home;
                    let end_ms = works_from_ms + live.fate.job.run_ms - saved_ms;
                    self.comes(end_ms, job, What::Ends { begin: self.known });
                }
                Action::Evict { job, lost_ms, .. } => {
                    let live = &mut self.live[job as usize];
                    live.fate.evictions += 1;
                    live.fate.lost_ms += lost_ms;
                    live.begin = None;
                    self.leaves(now_ms, job);
                }
                Action::ShadowBegins { job } => {
                    let run_ms = self.live[job as usize].fate.job.run_ms;
                    self.comes(now_ms + run_ms, job, What::ShadowEnds);
                }
            }
        }
        self.followed = followed;
    }

    fn comes(&mut self, at_ms: u64, number: u32, what: What) {
        self.coming.push(Reverse((at_ms, self.known, number, what)));
        self.known += 1;
    }

    /// It does not have its processors any more.
    fn leaves(&mut self, now_ms: u64, number: u32) {
        let live = &mut self.live[number as usize];
        if let Some((site, from_ms)) = live.runs.take() {
            let Work { home, processors, .. } = live.fate.job.work;
            self.watch.held(Span { site, home, processors, from_ms, until_ms: now_ms });
        }
    }

    /// Tells of a job when everything is known of it.
    fn over(&mut self, number: u32) {
        let live = &mut self.live[number as usize];
        if live.done && live.alone_done {
            // Its number is another's next, and it is not told of again.
            (live.done, live.begin) = (false, None);
            let fate = live.fate;
            live.fate.index = u64::MAX;
            self.watch.over(&fate);
            self.spare.push(number);
        }
    }
}
