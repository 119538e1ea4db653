// SPDX-License-Identifier: Apache-2.0
//! Reports as a table with commas (RFC 4180), a line for each member and for all, alone and pooled, for spreadsheets.

use crate::report::{Outcome, Report, Saving};

const COLUMNS: &str = "scenario,policy,loads,movable_percent,member,processors,case,jobs,too_large,wait_mean_s,wait_p50_s,wait_p95_s,\
wait_p99_s,wait_max_s,processor_hours,busy_percent,moved,evictions,lost_hours,violations,later_than_alone,owned,electricity,currency,\
carbon_kg,baseline,without,with,saving_percent";

/// All lines, of which the first names the columns. The savings are on the lines of all members pooled, one for each baseline.
#[must_use]
pub fn csv(reports: &[Report]) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for report in reports {
        for member in &report.members {
            let who = [member.id.as_str(), &member.processors.to_string()].map(str::to_owned);
            text.push_str(&line(report, &who, "alone", &member.alone, None));
            text.push_str(&line(report, &who, "pooled", &member.pooled, None));
        }
        let processors: u64 = report.members.iter().map(|member| member.processors).sum();
        let all = ["all".to_owned(), processors.to_string()];
        text.push_str(&line(report, &all, "alone", &report.alone, None));
        for saving in &report.savings {
            text.push_str(&line(report, &all, "pooled", &report.total, Some(saving)));
        }
    }
    text
}

fn line(
    report: &Report,
    [who, processors]: &[String; 2],
    case: &str,
    of: &Outcome,
    saving: Option<&Saving>,
) -> String {
    let mut fields = vec![
        quoted(&report.scenario),
        report.policy.to_owned(),
        report.loads.iter().map(f64::to_string).collect::<Vec<_>>().join(":"),
        report.movable_percent.to_string(),
        quoted(who),
        processors.clone(),
        case.to_owned(),
    ];
    let counts = [of.jobs, of.too_large].map(|count| count.to_string());
    let waits = [of.wait_p50_s, of.wait_p95_s, of.wait_p99_s, of.wait_max_s].map(|wait| wait.to_string());
    fields.extend(counts);
    fields.push(of.wait_mean_s.to_string());
    fields.extend(waits);
    fields.extend([of.processor_hours, of.busy_percent].map(|number| number.to_string()));
    fields.extend([of.moved, of.evictions].map(|count| count.to_string()));
    fields.push(of.lost_hours.to_string());
    fields.extend([of.violations, of.later_than_alone].map(|count| count.to_string()));
    fields.extend([of.cost.owned_micro, of.cost.electricity_micro].map(decimal));
    fields.extend([report.currency.clone(), of.carbon_kg.to_string()]);
    let saved = saving.map(|saving| {
        let [without, with] = [saving.without, saving.with].map(|cost| decimal(cost.total_micro()));
        [saving.baseline.clone(), without, with, saving.saving_percent.to_string()]
    });
    fields.extend(saved.unwrap_or_default());
    fields.join(",") + "\r\n"
}

/// Millionths as a decimal.
fn decimal(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000)
}

/// A field that somebody named: quoted, and no formula to a spreadsheet.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{decimal, quoted};

    #[test]
    fn names_are_no_formulas_and_amounts_have_all_places() {
        assert_eq!(quoted("=1+\"2\""), "\"'=1+\"\"2\"\"\"");
        assert_eq!([decimal(-1), decimal(2_500_000)], ["-0.000001", "2.500000"]);
    }
}
