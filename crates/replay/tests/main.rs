// SPDX-License-Identifier: Apache-2.0
//! The tests of the replay, one binary: the oracle on a real trace, what is said of files that are no traces, the report.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod example_report;
mod html;
mod scenario;
mod sharing;
mod sheet;
mod standing;
mod studies;
mod synthetic;

use std::{error::Error, io::Write, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use sta_decide::pool::Discipline;
use sta_replay::{
    play,
    summary::Summary,
    trace::{Job, LINE_BYTES_MAX, Trace, TraceError},
};

fn example(name: &str) -> Trace {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces");
    Trace::open(&folder.join(name)).unwrap()
}

fn venus() -> Trace {
    example("venus20k_oracle.swf.gz")
}

fn summary(trace: &Trace, processors: u32, discipline: Discipline) -> Summary {
    Summary::of(trace, &play::alone(trace, processors, discipline), processors)
}

/// What is wrong with a text that is no trace.
fn refused(text: &str) -> String {
    Trace::read(text.as_bytes()).unwrap_err().to_string()
}

fn line(id: u64, submit_s: i64, run: &str, processors: i64) -> String {
    format!("{id} {submit_s} -1 {run} {processors} -1 -1 {processors} -1 -1 1 1 1 -1 1 -1 -1 -1\n")
}

#[test]
fn strict_fifo_on_536_processors_waits_as_accasim_and_two_other_replays_say() {
    let total = summary(&venus(), 536, Discipline::Fifo);
    assert_eq!((total.jobs, total.too_large), (20_000, 0));
    assert_eq!(total.wait_mean_s.to_string(), "15400.68");
}

#[test]
fn easy_shortens_the_mean_wait_and_says_the_same_each_time() {
    let trace = venus();
    let (fifo, easy) = (summary(&trace, 536, Discipline::Fifo), summary(&trace, 536, Discipline::Easy));
    assert!(easy.wait_mean_s < fifo.wait_mean_s, "{} and {}", easy.wait_mean_s, fifo.wait_mean_s);
    assert_eq!(easy.processor_hours.to_bits(), fifo.processor_hours.to_bits(), "the work is the same");
    assert_eq!(play::alone(&trace, 536, Discipline::Easy), play::alone(&trace, 536, Discipline::Easy));
}

#[test]
fn a_job_that_wants_more_than_there_is_stays_out_and_is_counted() {
    let trace = Trace::read((line(1, 0, "10", 4) + &line(2, 5, "10", 2)).as_bytes()).unwrap();
    let total = summary(&trace, 2, Discipline::Easy);
    assert_eq!((total.jobs, total.too_large, total.wait_max_s), (1, 1, 0));
}

#[test]
fn a_packed_file_and_a_plain_one_are_the_same_trace() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("; Version: 2.2\n\n{}{}", line(2, 7, "10", 1), line(1, 3, "20", 4));
    let (plain, packed) = (folder.path().join("t.swf"), folder.path().join("t.swf.gz"));
    std::fs::write(&plain, &text).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    std::fs::write(&packed, gzip.finish().unwrap()).unwrap();
    let trace = Trace::open(&plain).unwrap();
    assert_eq!(trace, Trace::open(&packed).unwrap());
    let lines: Vec<u64> = trace.jobs.iter().map(|job| job.line).collect();
    assert_eq!(lines, [4, 3], "in the order in which they came");
}

#[test]
fn jobs_that_never_ran_are_left_out_and_what_is_unknown_is_taken_from_what_is_known() {
    let requested = "3 9 -1 50 -1 -1 -1 8 120 -1 1 1 1 -1 1 -1 -1 -1\n";
    let text = line(1, 0, "-1", 4) + &line(2, 5, "0", 4) + requested + &line(4, 9, "20.5", 4);
    let trace = Trace::read(text.as_bytes()).unwrap();
    assert_eq!(trace.left_out, 2);
    let jobs = [
        Job { line: 3, submit_s: 9, run_s: 50, estimate_s: 120, processors: 8 },
        Job { line: 4, submit_s: 9, run_s: 21, estimate_s: 21, processors: 4 },
    ];
    assert_eq!(trace.jobs, jobs);
}

#[test]
fn what_is_no_trace_is_told_with_its_line() {
    let first = line(1, 0, "10", 4);
    assert_eq!(
        refused(&(first.clone() + "2 10 -1 3\n")),
        "line 2: a line of the Standard Workload Format has 18 numbers, and this one 4"
    );
    assert_eq!(
        refused(&line(1, 0, "soon", 4)),
        "line 1: field 4 (run time) is `soon`, which is no number from -1 to 3162240000"
    );
    for number in ["NaN", "inf", "1e30", "-7", "9999999999"] {
        assert_eq!(
            refused(&line(1, 0, number, 4)),
            format!("line 1: field 4 (run time) is `{number}`, which is no number from -1 to 3162240000")
        );
    }
    assert_eq!(refused(&line(1, -1, "10", 4)), "line 1: field 2 (submit time) cannot be below 0");
    assert_eq!(
        refused(&"x".repeat(LINE_BYTES_MAX + 1)),
        "line 1: it is longer than 4096 bytes: is this a trace?"
    );
    assert_eq!(refused("; a header alone\n"), "it has no job that ran");
    assert_eq!(refused(&line(1, 0, "-1", 4)), "it has no job that ran");
}

#[test]
fn bytes_that_are_no_text_are_told_with_the_line_before_them() {
    let error = Trace::read(&[b';', b'\n', 0xff, 0xfe, b'\n'][..]).unwrap_err();
    assert_eq!(error.to_string(), "it cannot be read after line 1");
    assert_eq!(error.source().unwrap().to_string(), "stream did not contain valid UTF-8");
    assert!(matches!(Trace::open("/no/such/trace".as_ref()), Err(TraceError::Open(_))));
    assert_eq!(TraceError::TooMany.to_string(), "it has more than 50000000 jobs");
}

#[test]
fn a_table_and_the_standard_format_of_the_same_jobs_are_the_same() {
    let (all, part) = (example("helios_venus_gpu_jobs.csv.gz"), venus());
    assert_eq!((all.jobs.len(), all.left_out), (125_303, 0));
    // The part begins with the first job since 2020-04-01 00:00 in China.
    let since: Vec<&Job> = all.jobs.iter().filter(|job| job.submit_s >= 1_195_100).collect();
    for (of_table, of_swf) in since.iter().zip(&part.jobs) {
        let moved = Job { line: of_swf.line, submit_s: of_table.submit_s - 1_195_100, ..**of_table };
        assert_eq!(moved, *of_swf);
    }
}

#[test]
fn the_columns_of_a_table_stand_in_any_order_and_others_are_passed_over() {
    let text =
        "gpus,owner,submit_s,estimate_s,runtime_s\r\n8,ada,30,600,50.0\r\n\r\n4,,10,-1,20\r\n4,,10,-1,-1\r\n";
    let trace = Trace::read(text.as_bytes()).unwrap();
    let jobs = [
        Job { line: 4, submit_s: 10, run_s: 20, estimate_s: 20, processors: 4 },
        Job { line: 2, submit_s: 30, run_s: 50, estimate_s: 600, processors: 8 },
    ];
    assert_eq!((trace.jobs.as_slice(), trace.left_out), (jobs.as_slice(), 1));
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_line_and_column() {
    assert_eq!(
        refused("id,submit,run\n1,0,10\n"),
        "line 1: no column is called `submit_s` or `arrival_s`; the first line of a table names its columns"
    );
    let table = |line: &str| refused(&format!("submit_s,runtime_s,gpus\n{line}\n"));
    assert_eq!(table("1,2"), "line 2: it has 2 columns and the first line 3");
    assert_eq!(
        table("1,soon,2"),
        "line 2: field 2 (runtime_s) is `soon`, which is no number from -1 to 3162240000"
    );
    assert_eq!(table("-1,5,2"), "line 2: submit_s cannot be below 0");
}
