// SPDX-License-Identifier: Apache-2.0
//! Lives through worlds that the theories describe and worlds that they do not, and prints what the guard
//! made of each.
//!
//! `cargo run --release -p sta-guardrail --example worlds -- [LIVES] [SEED]`

#[path = "../simulation/mod.rs"]
mod simulation;

use std::{env, process::ExitCode};

use simulation::world::{Lives, World};
use sta_guardrail::settings::Settings;

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = env::args().skip(1).map(|word| word.parse()).collect();
    let Ok(numbers) = numbers else {
        eprintln!("usage: worlds [LIVES] [SEED]");
        return ExitCode::from(2);
    };
    let lives = numbers.first().map_or(100, |lives| (*lives).clamp(1, 100_000) as usize);
    let seed = numbers.get(1).copied().unwrap_or(1);
    println!(
        "{lives} lives of 20,000 requests a row, C = 0.01, delta 0.05, a held request in ten reviewed, seed {seed}"
    );
    println!(
        "| world | truth stayed | benign accepted, first and last 2,000 | harms in 1,000 accepted (unguarded) | no theory left, median request | alarm, median request | closed |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    // The family's theories say 0.005 or less, or 0.05 or more, so every threshold between gives the same verdicts.
    let settings = Settings::new(0.01, 0.05).expect("settings");
    for world in World::ALL {
        println!("{}", row(world, &Lives::of(world, settings, lives, seed)));
    }
    ExitCode::SUCCESS
}

fn row(world: World, lives: &Lives) -> String {
    let request = |number: Option<usize>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    format!(
        "| {world:?} | {:.3} | {:.1} % / {:.1} % | {:.2} ({:.1}) | {:.2}, {} | {:.2}, {} | {:.2} |",
        lives.share(|life| life.truth_stayed),
        100.0 * lives.mean(|life| life.benign_accepted.0),
        100.0 * lives.mean(|life| life.benign_accepted.1),
        lives.mean(|life| life.harms_per_mille),
        lives.mean(|life| life.harms_per_mille_unguarded),
        lives.share(|life| life.empty_at.is_some()),
        request(lives.median(|life| life.empty_at)),
        lives.share(|life| life.alarm_at.is_some()),
        request(lives.median(|life| life.alarm_at)),
        lives.share(|life| life.closed_at().is_some()),
    )
}
