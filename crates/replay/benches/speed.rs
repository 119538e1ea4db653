// SPDX-License-Identifier: Apache-2.0
//! How many jobs a second are played: 20,000 real ones, over a machine that is too small for them, so that thousands wait.

use std::{hint::black_box, path::PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sta_decide::pool::Discipline;
use sta_replay::{play, trace::Trace};

fn speed(criterion: &mut Criterion) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces/venus20k_oracle.swf.gz");
    let trace = Trace::open(&path).expect("the trace of the examples");
    let mut group = criterion.benchmark_group("alone");
    group.throughput(Throughput::Elements(trace.jobs.len() as u64));
    for (name, discipline) in [("fifo", Discipline::Fifo), ("easy", Discipline::Easy)] {
        for processors in [536, 1064] {
            group.bench_function(format!("{name}/{processors}"), |bencher| {
                bencher.iter(|| play::alone(black_box(&trace), processors, discipline));
            });
        }
    }
}

criterion_group!(benches, speed);
criterion_main!(benches);
