// SPDX-License-Identifier: Apache-2.0
//! The statutory clocks of an incident: which law, how long, and whether it binds yet.

use jiff::civil::{Date, date};
use sta_decide::gate::{
    self, Layers, Question,
    clocks::{Clock, Duty, Moments, started_by},
    inputs::{Incident, Intent, Model, declared, metered, registry},
    words::Purpose,
};
use sta_protocol::incident::IncidentKind as Kind;

use crate::example::rules;

fn clocks(
    teraflop: i64,
    purpose: Purpose,
    kinds: &[Kind],
    today: Date,
    resolved: Option<&str>,
) -> Vec<Clock> {
    let model = Model {
        teraflop: metered(teraflop),
        teraflop_projected: metered(teraflop),
        annex_one_component: registry(false),
        ..Model::cautious()
    };
    let incident = Incident { kinds: declared(kinds.to_vec()), ..Incident::cautious() };
    let intent = Intent { purpose: declared(purpose), ..Intent::cautious() };
    let question = Question::Incident { intent, model: Box::new(model), incident };
    let answer = gate::ask(&Layers::treaty(rules()), &question, today);
    let moments = Moments {
        aware: "2026-11-23T09:30:00Z".parse().unwrap(),
        resolved: resolved.map(|moment| moment.parse().unwrap()),
    };
    started_by(&answer, kinds, moments)
}

fn lines(clocks: &[Clock]) -> Vec<String> {
    let line = |clock: &Clock| {
        format!(
            "{} {} {} {}",
            clock.rule,
            clock.duty.as_str(),
            clock.due,
            if clock.binding { "binds" } else { "warns" }
        )
    };
    clocks.iter().map(line).collect()
}

const SYSTEMIC: i64 = 20_000_000_000_000;

#[test]
fn stolen_weights_of_a_systemic_model_are_reported_in_five_days_and_updated_every_four_weeks() {
    let clocks = clocks(SYSTEMIC, Purpose::Research, &[Kind::CyberBreach], date(2026, 11, 23), None);
    assert_eq!(
        lines(&clocks),
        [
            "EU-55i first-report 2026-11-28T09:30:00Z binds",
            "EU-55i update 2026-12-26T09:30:00Z binds",
            "EU-55i keep-until 2031-11-23T09:30:00Z binds",
        ]
    );
}

#[test]
fn each_kind_has_its_period_and_the_shortest_of_several_counts() {
    let first = |kinds: &[Kind]| {
        let clocks = clocks(SYSTEMIC, Purpose::Research, kinds, date(2026, 11, 23), None);
        let first = clocks.into_iter().find(|clock| clock.duty == Duty::FirstReport).unwrap();
        (first.due.to_string(), first.kind.unwrap())
    };
    assert_eq!(first(&[Kind::CriticalInfrastructureDisruption]).0, "2026-11-25T09:30:00Z");
    assert_eq!(first(&[Kind::Death]).0, "2026-12-03T09:30:00Z");
    assert_eq!(first(&[Kind::OtherSerious]).0, "2026-12-08T09:30:00Z");
    assert_eq!(first(&[Kind::OtherSerious, Kind::Death]), ("2026-12-03T09:30:00Z".to_owned(), Kind::Death));
}

#[test]
fn the_final_report_is_due_sixty_days_after_it_was_resolved() {
    let clocks =
        clocks(SYSTEMIC, Purpose::Research, &[Kind::Death], date(2026, 11, 23), Some("2026-12-01T00:00:00Z"));
    assert!(lines(&clocks).contains(&"EU-55i final-report 2027-01-30T00:00:00Z binds".to_owned()));
    assert!(!clocks.iter().any(|clock| clock.duty == Duty::Update));
}

#[test]
fn the_clock_of_a_high_risk_system_warns_until_its_class_is_in_force() {
    let kinds = [Kind::WidespreadInfringement];
    let of_high_risk = |today| lines(&clocks(1, Purpose::Employment, &kinds, today, None));
    assert_eq!(of_high_risk(date(2027, 12, 1)), ["EU-73 first-report 2026-11-25T09:30:00Z warns"]);
    assert_eq!(of_high_risk(date(2027, 12, 2)), ["EU-73 first-report 2026-11-25T09:30:00Z binds"]);
}

#[test]
fn a_breach_of_personal_data_is_notified_within_seventy_two_hours() {
    let clocks = clocks(1, Purpose::Research, &[Kind::PersonalDataBreach], date(2026, 11, 23), None);
    assert_eq!(lines(&clocks), ["GD-33 first-report 2026-11-26T09:30:00Z binds"]);
}

#[test]
fn an_order_of_a_foreign_court_starts_no_clock() {
    assert!(clocks(1, Purpose::Research, &[Kind::ForeignOrder], date(2026, 11, 23), None).is_empty());
}
