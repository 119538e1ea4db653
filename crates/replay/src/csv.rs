// SPDX-License-Identifier: Apache-2.0
//! Traces as tables: one job a line, columns told apart by the names in the first line, in any order, others passed over.

use crate::trace::{Job, Line, field};

/// The names that a column may have, the first of them ours, the others those of published traces.
const SUBMIT: [&str; 2] = ["submit_s", "arrival_s"];
const RUN: [&str; 2] = ["runtime_s", "service_sec"];
const PROCESSORS: [&str; 3] = ["processors", "gpus", "gpu_count"];
const ESTIMATE: [&str; 1] = ["estimate_s"];

/// A column: its place in the line from 0, and its name in this file.
#[derive(Debug, Clone)]
struct Column {
    place: usize,
    name: String,
}

/// Where the columns are that a replay reads.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    submit: Column,
    run: Column,
    processors: Column,
    estimate: Option<Column>,
    count: usize,
}

impl Columns {
    /// Reads the first line.
    ///
    /// # Errors
    /// A column is missing.
    pub(crate) fn of(header: &str) -> Result<Self, String> {
        let names: Vec<&str> =
            header.trim().trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
        let find = |known: &[&str]| {
            let place = names.iter().position(|name| known.contains(name))?;
            Some(Column { place, name: names[place].to_owned() })
        };
        let need = |known: &[&str]| {
            find(known).ok_or_else(|| {
                format!(
                    "no column is called `{}`; the first line of a table names its columns",
                    known.join("` or `")
                )
            })
        };
        Ok(Self {
            submit: need(&SUBMIT)?,
            run: need(&RUN)?,
            processors: need(&PROCESSORS)?,
            estimate: find(&ESTIMATE),
            count: names.len(),
        })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn job(&self, text: &str, line: u64) -> Result<Line, String> {
        if text.trim().is_empty() {
            return Ok(Line::Comment);
        }
        let fields: Vec<&str> = text.trim_end_matches(['\r', '\n']).split(',').map(str::trim).collect();
        if fields.len() != self.count {
            return Err(format!("it has {} columns and the first line {}", fields.len(), self.count));
        }
        let number = |column: &Column| field(fields[column.place], column.place + 1, &column.name);
        let Ok(submit_s) = u64::try_from(number(&self.submit)?) else {
            return Err(format!("{} cannot be below 0", self.submit.name));
        };
        let estimate_s = self.estimate.as_ref().map(number).transpose()?.unwrap_or(-1);
        Ok(Job::of(line, submit_s, number(&self.run)?, number(&self.processors)?, estimate_s))
    }
}
