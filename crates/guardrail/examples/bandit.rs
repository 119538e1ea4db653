// SPDX-License-Identifier: Apache-2.0
//! Plays the exploding bandit of arXiv 2408.05284 under each guardrail and prints the table beside the reference.
//!
//! `cargo run --release -p sta-guardrail --example bandit -- --episodes 10000 [--seed 1] [--json]`

#[path = "../simulation/mod.rs"]
mod simulation;

use std::{env, process::ExitCode, str::FromStr};

use serde_json::{Value, json};
use simulation::{
    bandit::{Guardrail, Outcome, THEORIES, play, tightness},
    bandit_reference::{
        ALPHAS, BUDGET_DELTA, BUDGETS, Cell, DELTA, EPISODES, LARGE_ALPHAS, THRESHOLDS, TIGHTNESS, cell,
    },
    estimate::{Estimate, shares_apart},
};

/// The guardrails without a parameter, in the order of the table.
const GUARDRAILS: [Guardrail; 4] =
    [Guardrail::None, Guardrail::Cheating, Guardrail::Posterior, Guardrail::Iid];

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
    let cells =
        GUARDRAILS.into_iter().chain(ALPHAS.map(Guardrail::Cautious)).chain([Guardrail::Ratio(DELTA)]);
    let cells = cells.flat_map(|guardrail| THRESHOLDS.map(|threshold| (guardrail, threshold)));
    let played = |(guardrail, threshold)| play(guardrail, threshold, None, options.episodes, options.seed);
    if options.json {
        let rows: Vec<Value> = cells.map(|cell| object(cell.0, cell.1, &played(cell))).collect();
        println!("{}", Value::from(rows));
        return ExitCode::SUCCESS;
    }
    println!(
        "{} episodes, seed {}; z: standard errors from the reference's {EPISODES}",
        options.episodes, options.seed
    );
    println!("\n| guardrail | C | reward | reference | z | deaths | reference | z | truth stayed |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (guardrail, threshold) in cells {
        let outcome = played((guardrail, threshold));
        println!("{}", row(guardrail, threshold, cell(guardrail, threshold), &outcome));
    }
    for (alpha, reward, deaths) in LARGE_ALPHAS {
        let (guardrail, known) =
            (Guardrail::Cautious(alpha), Cell { reward, reward_two_errors: None, deaths });
        println!("{}", row(guardrail, 0.1, Some(known), &played((guardrail, 0.1))));
    }
    budgets(&options);
    at_random(&options);
    ExitCode::SUCCESS
}

/// The ratio set under a harm budget in place of a threshold.
fn budgets(options: &Options) {
    println!(
        "\n| ratio {BUDGET_DELTA} with budget | at most | reward | reference | z | deaths | reference | z | truth stayed |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (budget, reward, deaths) in BUDGETS {
        let outcome = play(Guardrail::Ratio(BUDGET_DELTA), 1.0, Some(budget), options.episodes, options.seed);
        let known = Cell { reward, reward_two_errors: None, deaths };
        let figures = figures(Some(known), &outcome);
        println!("| {budget} | {:.2} | {figures} |", BUDGET_DELTA + budget);
    }
}

/// Arms at random, nothing rejected: how often the bound holds and the truth stays.
fn at_random(options: &Options) {
    println!(
        "\n| arms at random | bound at least the harm | reference | truth stayed | reference | promised |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (alpha, above, stayed) in TIGHTNESS {
        let (our_above, our_stayed) = tightness(Guardrail::Cautious(alpha), options.episodes, options.seed);
        let promised = 1.0 - alpha * THEORIES as f64;
        println!(
            "| cautious {alpha:e} | {our_above:.4} | {above:.4} | {our_stayed:.4} | {stayed:.4} | {promised:.3} |"
        );
    }
    for delta in [0.01, DELTA, 0.1, 0.5] {
        let (above, stayed) = tightness(Guardrail::Ratio(delta), options.episodes, options.seed);
        println!("| ratio {delta} | {above:.4} | - | {stayed:.4} | - | {:.3} |", 1.0 - delta);
    }
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

fn row(guardrail: Guardrail, threshold: f64, known: Option<Cell>, outcome: &Outcome) -> String {
    let parameter =
        guardrail.alpha().or(guardrail.delta()).map_or_else(String::new, |value| format!(" {value:e}"));
    format!("| {}{parameter} | {threshold} | {} |", guardrail.name(), figures(known, outcome))
}

/// Reward, deaths and truth, the first two beside the reference's.
fn figures(known: Option<Cell>, outcome: &Outcome) -> String {
    let dashes = ["-"; 4].map(str::to_owned);
    let [reward, reward_z, deaths, deaths_z] = known.map_or(dashes, |cell| {
        let reward = Estimate { mean: cell.reward, error: reference_error(&cell, outcome) };
        let deaths = shares_apart(outcome.deaths, outcome.episodes, cell.deaths, EPISODES);
        let reward_z = format!("{:+.1}", outcome.reward.distance(reward));
        [format!("{:.2}", cell.reward), reward_z, format!("{:.4}", cell.deaths), format!("{deaths:+.1}")]
    });
    format!(
        "{:.2} ± {:.2} | {reward} | {reward_z} | {:.4} ± {:.4} | {deaths} | {deaths_z} | {:.4}",
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
