// SPDX-License-Identifier: Apache-2.0
//! Tables with a row for each hour, such as prices of electricity: one column, from a moment on as far as it has values.

use std::path::Path;

use jiff::Timestamp;
use sta_decide::energy::HOURS_MAX;

use crate::packed;

const HOUR_MS: i64 = 3_600_000;
/// The column that says when an hour begins.
const TIME: &str = "utc";

/// A row: when its hour begins, in milliseconds since 1970, and the value, where there is one.
type Row = (i64, Option<f64>);

/// The values of a column for the hours from the one in which `from_ms` lies on, up to the first for which there is none; with the
/// moment at which the first of them begins.
///
/// # Errors
/// What is wrong with the file, or that it has nothing for that hour.
pub(super) fn read(path: &Path, column: &str, from_ms: i64) -> Result<(i64, Vec<f64>), String> {
    let in_file = |said: String| format!("`{}`: {said}", path.display());
    let begin_ms = from_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let values = values(path, column, begin_ms).map_err(in_file)?;
    if values.is_empty() {
        let hour =
            Timestamp::from_millisecond(begin_ms).map_or_else(|_| begin_ms.to_string(), |it| it.to_string());
        return Err(in_file(format!(
            "its column `{column}` has nothing for the hour from {hour}: use another column, or with `year` the hours of a year that \
             it has"
        )));
    }
    Ok((begin_ms, values))
}

/// Reads no further than it has to, and keeps nothing but the values.
fn values(path: &Path, column: &str, begin_ms: i64) -> Result<Vec<f64>, String> {
    let mut source = packed::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let (mut text, mut line) = (String::new(), 0_u64);
    let mut places = None;
    let mut values = Vec::new();
    let mut last_ms = i64::MIN;
    let mut next_ms = begin_ms;
    while packed::next_line(&mut source, &mut text)
        .map_err(|error| format!("it cannot be read after line {line}: {error}"))?
    {
        line += 1;
        let at_line = |said: String| format!("line {line}: {said}");
        if text.len() > packed::LINE_BYTES_MAX {
            return Err(at_line(format!("it is longer than {} bytes", packed::LINE_BYTES_MAX)));
        }
        let fields: Vec<&str> =
            text.trim().trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
        let Some((time, value)) = places else {
            places = Some((place(&fields, TIME).map_err(at_line)?, place(&fields, column).map_err(at_line)?));
            continue;
        };
        let (at_ms, value) = row(fields.get(time), fields.get(value), column).map_err(at_line)?;
        if at_ms <= last_ms {
            return Err(at_line("its hour is not after the one before: sort the rows by `utc`".to_owned()));
        }
        last_ms = at_ms;
        match value {
            Some(value) if at_ms == next_ms => values.push(value),
            _ if at_ms >= next_ms => break,
            _ => continue,
        }
        next_ms += HOUR_MS;
        // One more than there may be is enough to be refused.
        if values.len() > HOURS_MAX {
            break;
        }
    }
    Ok(values)
}

fn place(names: &[&str], wanted: &str) -> Result<usize, String> {
    names.iter().position(|name| *name == wanted).ok_or_else(|| {
        format!(
            "no column is called `{wanted}`; the first line names the columns, and has {}",
            names.join(", ")
        )
    })
}

fn row(time: Option<&&str>, value: Option<&&str>, column: &str) -> Result<Row, String> {
    let time = time.copied().unwrap_or_default();
    let at_ms = time.parse::<Timestamp>().map(Timestamp::as_millisecond).ok();
    let at_ms = at_ms.filter(|at_ms| at_ms.rem_euclid(HOUR_MS) == 0).ok_or_else(|| {
        format!("`{time}` is no full hour: write `{TIME}` such as 2024-04-01 00:00:00+00:00")
    })?;
    match value.copied().unwrap_or_default() {
        "" => Ok((at_ms, None)),
        text => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((at_ms, Some(number))),
            _ => Err(format!("{column} is `{text}`: write a number, or nothing where it is not known")),
        },
    }
}
