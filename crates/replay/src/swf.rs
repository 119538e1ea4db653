// SPDX-License-Identifier: Apache-2.0
//! One line of the Standard Workload Format: 18 numbers, -1 for what is not known (Chapin et al., "Benchmarks and standards for the
//! evaluation of parallel job schedulers", JSSPP 1999).

use crate::trace::Job;

/// How many numbers a line has.
const FIELDS: usize = 18;
/// The longest that a job may say to run, in seconds: a hundred years. Longer is a mistake in the file.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;
/// The fields that are read, by their number in the standard and their name there.
const JOB_NUMBER: (usize, &str) = (1, "job number");
const SUBMIT_TIME: (usize, &str) = (2, "submit time");
const RUN_TIME: (usize, &str) = (4, "run time");
const ALLOCATED: (usize, &str) = (5, "allocated processors");
const REQUESTED: (usize, &str) = (8, "requested processors");
const REQUESTED_TIME: (usize, &str) = (9, "requested time");

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A header, or nothing.
    Comment,
    /// A job that was cancelled before it began, or of which the file does not say for how long or on how many processors it ran.
    NeverRan,
    /// A job.
    Ran(Job),
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub fn job(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(';') {
        return Ok(Line::Comment);
    }
    let mut fields = [""; FIELDS];
    let mut count = 0;
    for field in line.split_ascii_whitespace() {
        if let Some(place) = fields.get_mut(count) {
            *place = field;
        }
        count += 1;
    }
    if count != FIELDS {
        return Err(format!(
            "a line of the Standard Workload Format has {FIELDS} numbers, and this one {count}"
        ));
    }
    let number = |(index, name): (usize, &str)| whole(fields[index - 1], index, name);
    let (run_s, allocated, requested) = (number(RUN_TIME)?, number(ALLOCATED)?, number(REQUESTED)?);
    // What it was given counts; some archives say only what was asked for.
    let processors = if allocated > 0 { allocated } else { requested };
    let (Ok(id), Ok(submit_s)) = (u64::try_from(number(JOB_NUMBER)?), u64::try_from(number(SUBMIT_TIME)?))
    else {
        return Err("job number (field 1) and submit time (field 2) cannot be below 0".to_owned());
    };
    let (Ok(run_s @ 1..), Ok(processors @ 1..)) = (u64::try_from(run_s), u32::try_from(processors)) else {
        return Ok(Line::NeverRan);
    };
    // Nobody knew better than the run itself where nothing was said, and who ran longer than they said had been let.
    let estimate_s = u64::try_from(number(REQUESTED_TIME)?).unwrap_or(0).max(run_s);
    Ok(Line::Ran(Job { id, submit_s, run_s, estimate_s, processors }))
}

/// A field as a whole number; archives also have decimals, which are rounded up.
fn whole(text: &str, index: usize, name: &str) -> Result<i64, String> {
    let refused =
        || format!("field {index} ({name}) is `{text}`, which is no number from -1 to {SECONDS_MAX}");
    let number = match text.parse::<i64>() {
        Ok(number) => number,
        Err(_) => {
            let decimal = text.parse::<f64>().map_err(|_| refused())?.ceil();
            // Beyond this a decimal has no exact whole part, and NaN is in no range.
            if !(-1.0..=9e15).contains(&decimal) {
                return Err(refused());
            }
            decimal as i64
        }
    };
    if (-1..=SECONDS_MAX).contains(&number) { Ok(number) } else { Err(refused()) }
}
