// SPDX-License-Identifier: Apache-2.0
//! Plays the exploding bandit of arXiv 2408.05284 under each guardrail and prints the table beside the reference.
//!
//! `cargo run --release -p sta-guardrail --example bandit -- --episodes 10000 [--seed 1] [--json]`

#[path = "../simulation/mod.rs"]
mod simulation;

use std::{env, process::ExitCode, str::FromStr};

use serde_json::{Value, json};
use simulation::{
    bandit::{Guardrail, Outcome, play},
    bandit_reference::{ALPHAS, Cell, DELTA, EPISODES, THRESHOLDS, cell},
    estimate::{Estimate, shares_apart},
};

struct Options {
    episodes: usize,
    seed: u64,
    json: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\nusage: bandit [--episodes N] [--seed N] [--json]");
            return ExitCode::from(2);
        }
    };
    let mut guardrails = vec![Guardrail::None, Guardrail::Cheating, Guardrail::Posterior, Guardrail::Iid];
    guardrails.extend(ALPHAS.map(Guardrail::Cautious));
    guardrails.push(Guardrail::Ratio(DELTA));
    let mut rows = Vec::new();
    if !options.json {
        println!(
            "{} episodes, seed {}; z: standard errors from the reference's {EPISODES}",
            options.episodes, options.seed
        );
        println!("| guardrail | C | reward | reference | z | deaths | reference | z | truth stayed |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    }
    for guardrail in guardrails {
        for threshold in THRESHOLDS {
            let outcome = play(guardrail, threshold, None, options.episodes, options.seed);
            if options.json {
                rows.push(object(guardrail, threshold, &outcome));
            } else {
                println!("{}", row(guardrail, threshold, &outcome));
            }
        }
    }
    if options.json {
        println!("{}", Value::from(rows));
    }
    ExitCode::SUCCESS
}

fn options() -> Result<Options, String> {
    let mut options = Options { episodes: 2000, seed: 1, json: false };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--episodes" => options.episodes = number(&word, words.next())?,
            "--seed" => options.seed = number(&word, words.next())?,
            "--json" => options.json = true,
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    if options.episodes < 2 {
        return Err("`--episodes` must be at least 2, or there is no error to tell".to_owned());
    }
    Ok(options)
}

fn number<Number: FromStr>(option: &str, word: Option<String>) -> Result<Number, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("`{option}` needs a whole number after it"))
}

fn object(guardrail: Guardrail, threshold: f64, outcome: &Outcome) -> Value {
    json!({
        "guardrail": guardrail.name(),
        "threshold": threshold,
        "alpha": guardrail.alpha(),
        "delta": guardrail.delta(),
        "episodes": outcome.episodes,
        "reward": outcome.reward.mean,
        "reward_se": outcome.reward.error,
        "deaths": outcome.deaths,
        "deaths_se": outcome.deaths_error(),
        "truth_stayed": outcome.truth_stayed,
    })
}

fn row(guardrail: Guardrail, threshold: f64, outcome: &Outcome) -> String {
    let parameter =
        guardrail.alpha().or(guardrail.delta()).map_or_else(String::new, |value| format!(" {value:e}"));
    let reference = cell(guardrail, threshold).map_or_else(
        || ["-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()],
        |cell| {
            let known = Estimate { mean: cell.reward, error: reference_error(&cell, outcome) };
            [
                format!("{:.2}", cell.reward),
                format!("{:+.1}", outcome.reward.distance(known)),
                format!("{:.4}", cell.deaths),
                format!("{:+.1}", shares_apart(outcome.deaths, outcome.episodes, cell.deaths, EPISODES)),
            ]
        },
    );
    let [reward, reward_z, deaths, deaths_z] = reference;
    format!(
        "| {}{parameter} | {threshold} | {:.2} ± {:.2} | {reward} | {reward_z} | {:.4} ± {:.4} | {deaths} | {deaths_z} | {:.4} |",
        guardrail.name(),
        outcome.reward.mean,
        outcome.reward.error,
        outcome.deaths,
        outcome.deaths_error(),
        outcome.truth_stayed,
    )
}

/// The reference's standard error: half of what was given; else ours, for its number of episodes, and its rounding.
fn reference_error(cell: &Cell, outcome: &Outcome) -> f64 {
    let scaled = outcome.reward.error * (outcome.episodes as f64 / EPISODES as f64).sqrt();
    cell.reward_two_errors.map_or(scaled.hypot(0.005), |two| two / 2.0)
}
