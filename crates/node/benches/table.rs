// SPDX-License-Identifier: Apache-2.0
//! The result: each measurement beside its target and the machine's own limit, as Markdown or JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::load::Round;

/// What the machine does at most, each the median round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    /// 4 KiB appended and synced.
    pub(crate) fsync: Round,
    /// One row committed by SQLite, WAL and `synchronous=FULL`.
    pub(crate) commit: Round,
    /// 64 rows committed at once.
    pub(crate) commit_many: Round,
    /// A bare axum, one client.
    pub(crate) hello: Round,
    /// A bare axum, 64 clients.
    pub(crate) hello_many: Round,
    /// Twenty questions to one rule.
    pub(crate) cedar: Round,
}

/// A limit of the machine, in the unit of the measurement it stands beside.
pub(crate) struct Limit(String, f64);

impl Measured {
    pub(crate) fn commit_and_hello(&self) -> Limit {
        let ms = (self.commit.p50_us + self.hello.p50_us) / 1000.0;
        Limit("a bare SQLite commit and a bare axum hello".to_owned(), ms)
    }

    pub(crate) fn hello_many(&self) -> Limit {
        Limit("a bare axum hello, 64 clients".to_owned(), self.hello_many.per_s)
    }

    pub(crate) fn rows(&self) -> Limit {
        Limit("bare SQLite commits of 64 rows".to_owned(), self.commit_many.per_s * 64.0)
    }

    pub(crate) fn cedar(&self) -> Limit {
        Limit("20 questions to one bare Cedar rule".to_owned(), self.cedar.p50_us / 1000.0)
    }
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    what: String,
    unit: &'static str,
    target: f64,
    at_most: bool,
    value: f64,
    round: Option<Round>,
    limit: String,
    limit_value: f64,
}

impl Line {
    /// A median time that must not be longer than the target.
    pub(crate) fn p50_ms(what: &str, target: f64, round: Round, limit: &Limit) -> Self {
        Self::new(what, ("ms", true), target, round.p50_us / 1000.0, Some(round), limit)
    }

    /// A rate that must not be lower than the target.
    pub(crate) fn per_s(what: &str, target: f64, round: Round, limit: &Limit) -> Self {
        Self::new(what, ("/s", false), target, round.per_s, Some(round), limit)
    }

    /// Memory that must not be more than the target.
    pub(crate) fn mib(what: &str, target: f64, (value, hello): (f64, f64)) -> Self {
        Self::new(what, ("MiB", true), target, value, None, &Limit("a bare axum process".to_owned(), hello))
    }

    fn new(
        what: &str,
        (unit, at_most): (&'static str, bool),
        target: f64,
        value: f64,
        round: Option<Round>,
        Limit(limit, limit_value): &Limit,
    ) -> Self {
        let (what, limit, limit_value) = (what.to_owned(), limit.clone(), *limit_value);
        eprintln!("bench:   {what}: {} {unit}", number(value));
        Self { what, unit, target, at_most, value, round, limit, limit_value }
    }

    fn meets(&self) -> bool {
        if self.at_most { self.value <= self.target } else { self.value >= self.target }
    }

    fn row(&self) -> String {
        let sign = if self.at_most { "at most" } else { "at least" };
        let tails = self.round.map_or_else(
            || "-".to_owned(),
            |round| [round.p50_us, round.p95_us, round.p99_us].map(|us| number(us / 1000.0)).join(" / "),
        );
        // How many times the limit's time, or what part of the limit's rate.
        let ratio = number(self.value / self.limit_value);
        format!(
            "| {what} | {sign} {target} {unit} | {value} {unit} | {met} | {tails} | {limit}: {limit_value} {unit} | {ratio} |",
            what = self.what,
            target = number(self.target),
            unit = self.unit,
            value = number(self.value),
            met = if self.meets() { "yes" } else { "**no**" },
            limit = self.limit,
            limit_value = number(self.limit_value),
        )
    }
}

/// The whole result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    taken_at: String,
    cores: usize,
    kernel: String,
    load_before: String,
    machine: Measured,
    lines: Vec<Line>,
}

impl Report {
    /// The result, with the load that others put on the machine before it began.
    pub(crate) fn new(load_before: String, machine: Measured, lines: Vec<Line>) -> Self {
        Self {
            taken_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: system("/proc/sys/kernel/osrelease"),
            load_before,
            machine,
            lines,
        }
    }

    /// The tables of docs/benchmarks.md.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{}, {} cores, Linux {}, load averages before {}\n\n",
            self.taken_at, self.cores, self.kernel, self.load_before
        );
        text +=
            "| what | target | measured | met | p50 / p95 / p99, ms | the machine's own limit | ratio |\n";
        text += "| --- | --- | --- | --- | --- | --- | --- |\n";
        for line in &self.lines {
            text += &line.row();
            text.push('\n');
        }
        text += "\n| the machine alone | p50, ms | p95, ms | p99, ms | per second |\n| --- | --- | --- | --- | --- |\n";
        let machine = &self.machine;
        for (name, round) in [
            ("append 4 KiB and fdatasync", machine.fsync),
            ("SQLite, WAL, synchronous=FULL, commit of 1 row of 1 KiB", machine.commit),
            ("the same, 64 rows a commit", machine.commit_many),
            ("bare axum hello, 1 client", machine.hello),
            ("bare axum hello, 64 clients", machine.hello_many),
            ("20 questions to one bare Cedar rule", machine.cedar),
        ] {
            let [p50, p95, p99] = [round.p50_us, round.p95_us, round.p99_us].map(|us| number(us / 1000.0));
            // Writing into a String does not fail.
            let _written = writeln!(text, "| {name} | {p50} | {p95} | {p99} | {} |", number(round.per_s));
        }
        text
    }
}

/// What the system says in a file of `/proc`.
pub(crate) fn system(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value {
        large if large >= 100.0 => format!("{large:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small if small >= 1.0 => format!("{small:.2}"),
        tiny => format!("{tiny:.3}"),
    }
}
