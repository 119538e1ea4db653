// SPDX-License-Identifier: Apache-2.0
//! What a decision and an update cost: `cargo bench -p sta-guardrail`.

#[path = "../simulation/mod.rs"]
mod simulation;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use simulation::world::request;
use sta_guardrail::{
    bound::{CautiousSet, iid, posterior_mean},
    budget::HarmBudget,
    evidence::{Evidence, Label, Source},
    features::Features,
    guard::Guard,
    settings::Settings,
    theories::Theories,
};

/// Requests that take turns, so that no branch can be learnt by heart.
const REQUESTS: usize = 256;

fn requests() -> Vec<Features> {
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    (0..REQUESTS).map(|_| request(&mut generator)).collect()
}

fn fresh(factors: usize) -> Guard {
    let theories = Theories::conjunctions(factors).expect("the family");
    Guard::new(theories, Settings::new(0.01, 0.05).expect("settings"))
}

fn harmless(features: Features) -> Evidence {
    Evidence { features, label: Label::NoHarm, source: Source::COMPLETE }
}

fn of_size(criterion: &mut Criterion, factors: usize) {
    let (guard, requests) = (fresh(factors), requests());
    let budget = HarmBudget::new(1e9).expect("a budget");
    let count = guard.theories().count();
    let mut group = criterion.benchmark_group(format!("{count} theories"));
    let mut turns = requests.iter().copied().cycle();
    let mut next = || turns.next().expect("it never ends");
    // A fresh guard has all its theories left: no decision takes longer.
    group.bench_function("decide, all theories left", |bencher| {
        bencher.iter(|| guard.assess(black_box(next()), &budget));
    });
    group.bench_function("update, the first 256", |bencher| {
        bencher.iter_custom(|events| first_events(&guard, &requests, events, None));
    });
    group.bench_function("decide and update, the first 256", |bencher| {
        bencher.iter_custom(|events| first_events(&guard, &requests, events, Some(&budget)));
    });
    let mut settled = guard.clone();
    learn_all(&mut settled, &requests, None);
    group.bench_function("decide and update, after 256", |bencher| {
        bencher.iter_custom(|events| {
            let started = Instant::now();
            let turns = requests.iter().copied().cycle();
            turns.take(events as usize).for_each(|features| event(&mut settled, features, Some(&budget)));
            started.elapsed()
        });
    });
    group.finish();
}

/// The time of so many events, each among the first 256 of a fresh guard: most of these leave a theory out,
/// later ones seldom do.
fn first_events(fresh: &Guard, requests: &[Features], events: u64, budget: Option<&HarmBudget>) -> Duration {
    let mut spent = Duration::ZERO;
    let mut to_do = events as usize;
    while to_do > 0 {
        let some = &requests[..requests.len().min(to_do)];
        let mut guard = fresh.clone();
        let started = Instant::now();
        learn_all(&mut guard, some, budget);
        spent += started.elapsed();
        to_do -= some.len();
    }
    spent
}

fn learn_all(guard: &mut Guard, requests: &[Features], budget: Option<&HarmBudget>) {
    requests.iter().for_each(|features| event(guard, *features, budget));
}

fn event(guard: &mut Guard, features: Features, budget: Option<&HarmBudget>) {
    if let Some(budget) = budget {
        black_box(guard.assess(features, budget));
    }
    guard.learn(&harmless(features));
}

/// The other bounds, on a posterior after some evidence.
fn bounds(criterion: &mut Criterion) {
    let (mut guard, requests) = (fresh(12), requests());
    learn_all(&mut guard, &requests[..32], None);
    let harms: Vec<Vec<f64>> = requests.iter().map(|features| guard.theories().harms(*features)).collect();
    let posterior = guard.posterior();
    let mut group = criterion.benchmark_group("bounds at 2,685 theories, 32 updates in");
    let mut turns = harms.iter().cycle();
    let mut next = || turns.next().expect("it never ends");
    group.bench_function("ratio set", |bencher| bencher.iter(|| guard.set().bound(black_box(next()))));
    group.bench_function("posterior mean", |bencher| {
        bencher.iter(|| posterior_mean(posterior, black_box(next())));
    });
    group.bench_function("i.i.d., Proposition 3.4", |bencher| {
        bencher.iter(|| iid(posterior, black_box(next())));
    });
    group.bench_function("M^alpha with its sort, Proposition 4.6", |bencher| {
        bencher.iter(|| {
            let set = CautiousSet::new(posterior, black_box(1e-4)).expect("an alpha");
            set.bound(posterior, black_box(next()))
        });
    });
    group.finish();
}

fn sizes(criterion: &mut Criterion) {
    of_size(criterion, 12);
    of_size(criterion, 24);
}

criterion_group!(benches, sizes, bounds);
criterion_main!(benches);
