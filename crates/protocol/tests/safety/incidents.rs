// SPDX-License-Identifier: Apache-2.0
//! Rules of an incident's chain: it only grows, and nothing in it can be changed unseen.

use sta_protocol::{
    incident::{ChainError, Incident, IncidentEntry, IncidentKind, IncidentStep},
    jws::Signed,
    record::Record as _,
};

use super::examples::{chain, steps};
use crate::fixture::{NOW, at, de, known};

fn why(error: &ChainError) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

#[test]
fn a_chain_is_followed_from_the_first_entry_to_the_last() {
    let entries = chain(steps());
    let incident = Incident::follow(&entries, known).unwrap();
    let kinds =
        [(IncidentKind::CyberBreach, at(NOW - 600)), (IncidentKind::PersonalDataBreach, at(NOW + 3600))];
    assert_eq!(incident.kinds, kinds);
    assert_eq!(incident.notified, [("LDI NRW".to_owned(), at(NOW + 7200))]);
    assert_eq!((incident.resolved_at, incident.closed), (Some(at(NOW + 9000)), true));
    assert_eq!((incident.length, incident.head), (6, entries[5].digest()));
    assert_eq!(incident.evidence.len(), 1);
}

#[test]
fn the_words_for_kinds_are_those_of_the_wire() {
    for word in ["cyber-breach", "death", "critical-infrastructure-disruption", "guardrail-alarm"] {
        let kind: IncidentKind = serde_json::from_value(word.into()).unwrap();
        assert_eq!((kind.as_str(), serde_json::to_value(kind).unwrap()), (word, word.into()));
    }
}

#[test]
fn nothing_can_be_taken_out_put_in_or_signed_by_another() {
    let whole = chain(steps());
    let mut without = whole.clone();
    without.remove(2);
    let mut swapped = whole.clone();
    swapped.swap(2, 3);
    let mut resigned = whole.clone();
    let mut entry = whole[1].peek_unverified().unwrap();
    entry.by = "nobody@de".parse().unwrap();
    resigned[1] = Signed::sign_record(&entry, &de()).unwrap();
    let mut stranger = whole.clone();
    stranger[1] =
        Signed::sign_record(&whole[1].peek_unverified().unwrap(), &crate::fixture::session()).unwrap();
    let mut after_the_end = steps();
    after_the_end.push(IncidentStep::Found { summary: "One more thing.".to_owned(), evidence: Vec::new() });
    let mut unresolved = steps();
    unresolved.remove(4);
    let refusals: Vec<String> = [
        without,
        swapped,
        resigned,
        stranger,
        chain(after_the_end),
        chain(unresolved),
        Vec::new(),
        whole[1..].to_vec(),
    ]
    .iter()
    .map(|entries| why(&Incident::follow(entries, known).unwrap_err()))
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    entry 2 of the chain says it is entry 3: one is missing
    entry 2 of the chain says it is entry 3: one is missing
    entry 2 of the chain does not name the digest of the entry before it
    entry 1 of the chain is refused: the document is signed with key "FVV5umTuau890q59V-4Ga_R6qWb7ON_ivJc4EjvCwTM", which is not among the keys known here
    entry 6 of the chain follows the entry that closed the incident: open a new one
    entry 4 of the chain closes an incident that is not resolved
    the chain has no entries: it begins with one that opens the incident
    entry 0 of the chain says it is entry 1: one is missing
    "#);
}

#[test]
fn nobody_becomes_aware_of_what_has_not_happened_or_writes_before_knowing() {
    let change = |change: fn(&mut IncidentEntry)| {
        let mut entry = chain(steps())[0].peek_unverified().unwrap();
        change(&mut entry);
        entry.check().unwrap_err().to_string()
    };
    fn opening(entry: &mut IncidentEntry) -> &mut sta_protocol::incident::Opening {
        match &mut entry.step {
            IncidentStep::Opened(opening) => opening,
            _ => unreachable!("the first entry opens"),
        }
    }
    let refusals = [
        change(|entry| opening(entry).occurred_at = Some(at(NOW))),
        change(|entry| opening(entry).aware_at = at(NOW + 20_000)),
        change(|entry| opening(entry).summary.clear()),
        change(|entry| entry.sequence = 1),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    `aware_at` is 2026-11-23T11:50:00Z, before 2026-11-23T12:00:00Z: nobody knows what will happen
    `at` is 2026-11-23T14:46:40Z, before 2026-11-23T17:33:20Z: write when you became aware, not when you will
    `summary` has 0 characters: use 1 to 4000 printable ones
    `sequence` must be 0, without `previous`, for the entry that opens an incident and for no other
    "#);
}
