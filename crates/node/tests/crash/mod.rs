// SPDX-License-Identifier: Apache-2.0
//! Kill -9 of a real node at every durable point: nothing is lost, and nothing runs twice.
//!
//! Two nodes run as processes of the real binary. At each point one of them kills itself just before, or just after, its
//! N-th commit (`sta serve --die-at`), is started again, and the client repeats what it was not answered. N goes on until
//! the work is done without a death. When all is quiet, both members must agree to the digit and on every job's one run.
//!
//! ```text
//! cargo test -p sta-node --test node crash:: -- --nocapture
//! STA_CRASH_AT=de/before:17 cargo test -p sta-node --test node crash:: -- --nocapture     one point alone, files kept
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

mod cluster;
mod elsewhere;
mod held;
mod notice;
mod pair;
mod promises;
mod staging;
mod work;

use pair::Pair;
use work::Work;

/// How many points are tried at the same time. More than there are cores: most of a point is waiting for the nodes.
const LANES: usize = 3;
/// The same where jobs stand still: nearly all of a point is waiting.
const LANES_OF_HOLDS: usize = 6;
/// More commits than the work can take; a walk that comes here would never end.
const COMMITS_MAX: u64 = 250;
/// What a node can owe when it dies. A walk that has not seen each of them was no walk of every point.
const EFFECTS: [&str; 9] =
    ["fetch", "offer", "progress", "receipt", "stage", "start", "stop", "wipe", "withdraw"];
/// The same where jobs are held.
const EFFECTS_OF_HOLDS: [&str; 5] = ["resume", "stop-acknowledgement", "stop-lift", "stop-order", "suspend"];

/// How many lives of each node end early where they die again and again.
const LIVES: u64 = 10;

/// The two members.
const MEMBERS: [&str; 2] = ["ca", "de"];

/// The end of one life of a node, as `--die-at` takes it: the commit of that life, and the side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Death {
    side: &'static str,
    commit: u64,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.side, self.commit)
    }
}

/// Who dies, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    victim: &'static str,
    death: Death,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.victim, self.death)
    }
}

impl Point {
    /// The points from the first commit of one member on, on one side.
    fn first(victim: &'static str, side: &'static str) -> Self {
        Self { victim, death: Death { side, commit: 1 } }
    }

    /// The point that somebody wants to see alone.
    fn wanted() -> Option<Self> {
        let text = std::env::var("STA_CRASH_AT").ok()?;
        let (victim, place) = text.split_once('/').expect("STA_CRASH_AT is such as de/before:17");
        let (side, commit) = place.split_once(':').expect("STA_CRASH_AT is such as de/before:17");
        let known = |words: [&'static str; 2], word: &str| {
            words.into_iter().find(|known| *known == word).expect("ca or de, before or after")
        };
        let commit = commit.parse().expect("the commit is a number");
        let death = Death { side: known(["before", "after"], side), commit };
        Some(Self { victim: known(MEMBERS, victim), death })
    }
}

/// Every point, handed out one after the other, and what was seen at them.
#[derive(Default)]
struct Walk {
    /// The next point of each member and side; one that is walked to its end is taken out.
    next: Vec<Point>,
    walked: BTreeMap<(&'static str, &'static str), u64>,
    /// What the dead owed, over all points.
    owed: BTreeSet<String>,
    failed: bool,
}

impl Walk {
    fn of_all() -> Self {
        let points =
            MEMBERS.iter().flat_map(|victim| ["before", "after"].map(|side| Point::first(victim, side)));
        Self { next: points.collect(), ..Self::default() }
    }

    /// The point that is next, of those with the lowest number.
    fn take(&mut self) -> Option<Point> {
        if self.failed {
            return None;
        }
        let point = self.next.iter_mut().min_by_key(|point| point.death.commit)?;
        let taken = *point;
        assert!(taken.death.commit <= COMMITS_MAX, "{taken}: the work never ends");
        point.death.commit += 1;
        Some(taken)
    }

    /// What nobody who died was seen to owe.
    fn unseen(&self, effects: &[&'static str]) -> Vec<&'static str> {
        effects.iter().copied().filter(|effect| !self.owed.contains(*effect)).collect()
    }

    fn note(&mut self, point: Point, death: Option<Vec<String>>) {
        match death {
            Some(owed) => {
                *self.walked.entry((point.victim, point.death.side)).or_default() += 1;
                self.owed.extend(owed);
            }
            // The work was done before that many commits.
            None => {
                let line = (point.victim, point.death.side);
                self.next.retain(|next| (next.victim, next.death.side) != line);
            }
        }
    }
}

/// Says where a failure was and stops the other lanes.
struct Watch<'a> {
    walk: &'a Mutex<Walk>,
    point: Point,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it failed with a death at {0}; see it alone with STA_CRASH_AT={0}", self.point);
            self.walk.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
        }
    }
}

/// What is to be done, made anew for each point.
type NewWork = fn(&Pair) -> Work;

fn walk_lane(walk: &Mutex<Walk>, work: NewWork) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pair = runtime.block_on(Pair::found());
    loop {
        let Some(point) = walk.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let _watch = Watch { walk, point };
        let death = runtime.block_on(one_point(&pair, point, work));
        walk.lock().unwrap_or_else(PoisonError::into_inner).note(point, death);
    }
}

/// Works through one crash and holds everybody to their word. Gives what the victim owed when it died, if it did.
async fn one_point(pair: &Pair, point: Point, work: NewWork) -> Option<Vec<String>> {
    let deaths = MEMBERS.map(|member| if member == point.victim { vec![point.death] } else { Vec::new() });
    let mut nodes = pair.start(deaths);
    let mut work = work(pair);
    work.finish(pair, &mut nodes).await;
    let owed = nodes.owed.pop();
    if owed.is_none() {
        // It was not to die here; nor shall it while it is looked at.
        nodes.restart(point.victim);
        work.finish(pair, &mut nodes).await;
    }
    promises::all_hold(pair, &work).await;
    owed
}

/// What waits together is written together, so which commits there are differs from one walk to the next, and a walk can pass an effect by:
/// it is walked again, so often at most.
const WALKS_MAX: usize = 3;

/// Walks every point of this work, in which the dead must have owed each of these at least once.
fn walk_all(work: NewWork, effects: &[&'static str], lanes: usize) {
    let began = Instant::now();
    if let Some(point) = Point::wanted() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pair = runtime.block_on(Pair::found());
        println!("{point}: files in {}", pair.path("").display());
        let owed = runtime.block_on(one_point(&pair, point, work));
        println!(
            "{point}: {}",
            owed.map_or("it lived".to_owned(), |owed| format!("it died and owed {owed:?}"))
        );
        return pair.keep();
    }
    let mut unseen = effects.to_vec();
    for _ in 0..WALKS_MAX {
        let walk = Mutex::new(Walk::of_all());
        std::thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| walk_lane(&walk, work));
            }
        });
        let walk = walk.into_inner().unwrap();
        let points: u64 = walk.walked.values().sum();
        println!("{points} points walked in {:.0} s: {:?}", began.elapsed().as_secs_f64(), walk.walked);
        unseen = walk.unseen(&unseen);
        if unseen.is_empty() {
            return;
        }
    }
    panic!("no node died owing {unseen:?}: the work does not lead there any more");
}

#[test]
fn a_node_killed_at_any_durable_point_loses_nothing_and_runs_nothing_twice() {
    walk_all(Work::new, &EFFECTS, LANES);
}

/// Between the record that a job is to stand still, or to go on, and the word to its engine, lies a crash like any other.
#[test]
fn a_node_killed_at_any_durable_point_of_a_hold_or_an_order_to_stop_keeps_both() {
    walk_all(Work::held, &EFFECTS_OF_HOLDS, LANES_OF_HOLDS);
}

/// The next crash falls into the recovery from the last one, and both members crash: no crash is special.
#[test]
fn nodes_that_die_again_and_again_still_get_the_work_done_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pair = Pair::found().await;
        let death = |n: u64| Death { side: ["before", "after"][n as usize % 2], commit: 1 + n * 5 % 7 };
        let mut nodes = pair.start([(0..LIVES).map(death).collect(), (3..LIVES + 3).map(death).collect()]);
        let mut work = Work::new(&pair);
        work.finish(&pair, &mut nodes).await;
        let deaths = nodes.owed.len();
        println!("{deaths} deaths while the work was done");
        assert!(deaths > 5, "they hardly died");
        for member in MEMBERS {
            nodes.restart(member);
        }
        work.finish(&pair, &mut nodes).await;
        promises::all_hold(&pair, &work).await;
    });
}
