// SPDX-License-Identifier: Apache-2.0
//! What a decision and an update cost: `cargo bench -p sta-guardrail`.

#[path = "../simulation/mod.rs"]
mod simulation;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
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
    // Each round begins with a fresh guard, so that the first updates, with all theories left, are in the mean.
    group.bench_function("256 updates from fresh", |bencher| {
        bencher.iter_batched_ref(
            || guard.clone(),
            |guard| learn_all(guard, &requests, None),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("256 decisions and updates from fresh", |bencher| {
        bencher.iter_batched_ref(
            || guard.clone(),
            |guard| learn_all(guard, &requests, Some(&budget)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn learn_all(guard: &mut Guard, requests: &[Features], budget: Option<&HarmBudget>) {
    for features in requests {
        if let Some(budget) = budget {
            black_box(guard.assess(*features, budget));
        }
        guard.learn(&harmless(*features));
    }
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
