// SPDX-License-Identifier: Apache-2.0
//! The statutory clocks of an incident: what is due to whom by when, from the moment somebody knew.
//!
//! Which law applies, and whether it binds yet, is what the gate `incident` answers; the periods are here. A period of days
//! counts as so many times 24 hours from awareness. Regulation (EEC, Euratom) 1182/71 lets it end with the last hour of
//! its last day, which is never earlier: who keeps these clocks keeps the law's.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use sta_protocol::{gate::Answer, incident::IncidentKind};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// The first report; it may be incomplete (Art. 73(5)).
    FirstReport,
    /// An update, and again every four weeks until the incident is resolved.
    Update,
    /// The final report.
    FinalReport,
    /// Until then the documentation is kept.
    KeepUntil,
}

impl Duty {
    /// The word for it in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstReport => "first-report",
            Self::Update => "update",
            Self::FinalReport => "final-report",
            Self::KeepUntil => "keep-until",
        }
    }
}

/// One clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock {
    /// When it is due.
    pub due: Timestamp,
    /// What is due.
    pub duty: Duty,
    /// The rule that starts it (`EU-55i`, `EU-73`, `GD-33`).
    pub rule: String,
    /// The article that sets the period.
    pub source: &'static str,
    /// The kind of incident that makes it this short; `None` where the period is the same for all.
    pub kind: Option<IncidentKind>,
    /// Whether the law binds already; else it is a warning.
    pub binding: bool,
}

/// When an incident came about, for its clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// When somebody of the member knew.
    pub aware: Timestamp,
    /// When it was resolved, if it is.
    pub resolved: Option<Timestamp>,
}

/// The clocks of an incident, the soonest first.
///
/// `answer` is that of the gate `incident`: a rule among its reasons starts binding clocks, one among its warnings clocks
/// that do not bind yet. Moments beyond the range of time stamps give no clock.
#[must_use]
pub fn started_by(answer: &Answer, kinds: &[IncidentKind], moments: Moments) -> Vec<Clock> {
    let binding: BTreeSet<&str> = answer.reasons().map(|reason| reason.rule.as_str()).collect();
    let warned: BTreeSet<&str> = answer.warnings().map(|warning| warning.reason.rule.as_str()).collect();
    let mut clocks: Vec<Clock> = Vec::new();
    for rule in ["EU-55i", "EU-73", "GD-33"] {
        if binding.contains(rule) || warned.contains(rule) {
            clocks.extend(of_rule(rule, kinds, moments, binding.contains(rule)));
        }
    }
    clocks.sort();
    clocks
}

fn of_rule(rule: &str, kinds: &[IncidentKind], moments: Moments, binding: bool) -> Vec<Clock> {
    let clock = |due: Option<Timestamp>, duty, source, kind| {
        due.map(|due| Clock { due, duty, rule: rule.to_owned(), source, kind, binding })
    };
    // The shortest period of all kinds that happened counts.
    let first = kinds.iter().filter_map(|kind| Some((first_report(rule, *kind)?, *kind))).min();
    let report = first.and_then(|((hours, source), kind)| {
        clock(after(moments.aware, hours), Duty::FirstReport, source, Some(kind))
    });
    let mut clocks: Vec<Clock> = report.into_iter().collect();
    if rule == "EU-55i" && !clocks.is_empty() {
        let code = "Code of Practice, Safety and Security, Commitment 9";
        let kept = moments.resolved.unwrap_or(moments.aware).to_zoned(TimeZone::UTC).checked_add(5.years());
        let kept = kept.ok().map(|kept| kept.timestamp());
        let update = clocks.first().and_then(|first| after(first.due, 28 * 24));
        clocks.extend(clock(kept, Duty::KeepUntil, code, None));
        match moments.resolved {
            Some(resolved) => clocks.extend(clock(after(resolved, 60 * 24), Duty::FinalReport, code, None)),
            None => clocks.extend(clock(update, Duty::Update, code, None)),
        }
    }
    clocks
}

/// Hours from awareness to the first report, and the article; `None` where the rule is not about that kind.
fn first_report(rule: &str, kind: IncidentKind) -> Option<(i64, &'static str)> {
    use IncidentKind as Kind;
    let code = "Regulation (EU) 2024/1689, Art. 55(1)(c); Code of Practice, Safety and Security, 9.3";
    let article = |paragraph| match paragraph {
        2 => "Regulation (EU) 2024/1689, Art. 73(2)",
        3 => "Regulation (EU) 2024/1689, Art. 73(3)",
        _ => "Regulation (EU) 2024/1689, Art. 73(4)",
    };
    match (rule, kind) {
        ("EU-55i", Kind::CriticalInfrastructureDisruption) => Some((2 * 24, code)),
        ("EU-55i", Kind::CyberBreach) => Some((5 * 24, code)),
        ("EU-55i", Kind::Death) => Some((10 * 24, code)),
        ("EU-55i", Kind::OtherSerious | Kind::WidespreadInfringement) => Some((15 * 24, code)),
        ("EU-73", Kind::WidespreadInfringement | Kind::CriticalInfrastructureDisruption) => {
            Some((2 * 24, article(3)))
        }
        ("EU-73", Kind::Death) => Some((10 * 24, article(4))),
        ("EU-73", Kind::OtherSerious | Kind::CyberBreach) => Some((15 * 24, article(2))),
        ("GD-33", Kind::PersonalDataBreach) => Some((72, "GDPR Art. 33(1)")),
        (_, _) => None,
    }
}

fn after(from: Timestamp, hours: i64) -> Option<Timestamp> {
    from.checked_add(SignedDuration::from_hours(hours)).ok()
}
