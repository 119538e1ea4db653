// SPDX-License-Identifier: Apache-2.0
//! Reports as a table for spreadsheets.

use std::path::Path;

use sta_replay::{
    grid::{self, Cell},
    sheet,
    study::{Baseline, Order, Policy, Question},
};

#[test]
fn a_sheet_tells_the_studies_of_a_grid_apart() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/replay/free-rider.toml");
    let cell = |loads: &[f64]| Cell {
        path: path.clone(),
        loads: loads.to_vec(),
        movable_percent: None,
        policy: Policy::Promise,
    };
    let question = Question {
        policy: Policy::Promise,
        baselines: vec![Baseline::Alone],
        order: Order::Home,
        moves_from_ms: 0,
        patience_ms: 0,
        credits: false,
    };
    let reports = grid::studies(&[cell(&[]), cell(&[0.5]), cell(&[0.5, 1.25])], &question, &|| ()).unwrap();
    let sheet = sheet::csv(&reports);
    let lines: Vec<Vec<&str>> = sheet.lines().map(|line| line.split(',').collect()).collect();
    assert!(lines.iter().all(|fields| fields.len() == lines[0].len()), "{sheet}");
    let column = |name: &str| lines[0].iter().position(|column| *column == name).unwrap();
    let of_all = |name: &str| -> Vec<&str> {
        let is_whole =
            |fields: &&Vec<&str>| (fields[column("member")], fields[column("case")]) == ("\"all\"", "pooled");
        lines.iter().filter(is_whole).map(|fields| fields[column(name)]).collect()
    };
    assert_eq!(of_all("loads"), ["", "0.5", "0.5:1.25"]);
    assert_eq!(of_all("baseline"), ["alone", "alone", "alone"]);
    assert_eq!(of_all("violations"), ["0", "0", "0"]);
}
