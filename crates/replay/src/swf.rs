// SPDX-License-Identifier: Apache-2.0
//! One line of the Standard Workload Format: 18 numbers, -1 for what is not known (Chapin et al., "Benchmarks and standards for the
//! evaluation of parallel job schedulers", JSSPP 1999).

use crate::trace::{Job, Line, field};

/// How many numbers a line has.
const FIELDS: usize = 18;
/// The fields that are read, by their number in the standard and their name there.
const SUBMIT_TIME: (usize, &str) = (2, "submit time");
const RUN_TIME: (usize, &str) = (4, "run time");
const ALLOCATED: (usize, &str) = (5, "allocated processors");
const REQUESTED: (usize, &str) = (8, "requested processors");
const REQUESTED_TIME: (usize, &str) = (9, "requested time");

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn job(line: &str, line_number: u64) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(';') {
        return Ok(Line::Comment);
    }
    let mut fields = [""; FIELDS];
    let mut count = 0;
    for word in line.split_ascii_whitespace() {
        if let Some(place) = fields.get_mut(count) {
            *place = word;
        }
        count += 1;
    }
    if count != FIELDS {
        return Err(format!(
            "a line of the Standard Workload Format has {FIELDS} numbers, and this one {count}"
        ));
    }
    let number = |(index, name): (usize, &str)| field(fields[index - 1], index, name);
    let (run_s, allocated, requested) = (number(RUN_TIME)?, number(ALLOCATED)?, number(REQUESTED)?);
    // What it was given counts; some archives say only what was asked for.
    let processors = if allocated > 0 { allocated } else { requested };
    let Ok(submit_s) = u64::try_from(number(SUBMIT_TIME)?) else {
        return Err("field 2 (submit time) cannot be below 0".to_owned());
    };
    Ok(Job::of(line_number, submit_s, run_s, processors, number(REQUESTED_TIME)?))
}
