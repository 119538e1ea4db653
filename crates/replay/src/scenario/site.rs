// SPDX-License-Identifier: Apache-2.0
//! A site of a scenario: how large it is, what it costs, and what its electricity costs and emits.

use sta_decide::energy::{Course, EnergyError, Power, Supply};

use super::{
    Member, PROCESSORS_MAX, ScenarioError, Site,
    demand::{self, OfSite},
    hourly, no_member,
    raw::{RawScenario, RawSeries, RawSite},
    source::Source,
};

/// The highest load by which a site's size is told.
const LOAD_MAX: f64 = 10.0;
/// The most that a processor-hour may cost to own.
const OWNED_MICRO_MAX: u64 = 1_000_000_000_000;

/// A site while it is read.
#[derive(Clone, Copy)]
pub(super) struct ReadSite<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) raw: &'a RawScenario,
    pub(super) place: usize,
    pub(super) begin_ms: u64,
    pub(super) until_ms: u64,
}

impl ReadSite<'_> {
    fn refuse<T>(&self, name: &str, said: String) -> Result<T, ScenarioError> {
        self.source.refuse(format!("sites[{}].{name}", self.place), said)
    }

    pub(super) fn site(
        &self,
        raw: &RawSite,
        of_site: &OfSite,
        members: &[Member],
    ) -> Result<Site, ScenarioError> {
        let Some(member) = members.iter().position(|member| member.id == raw.member) else {
            return self.refuse("member", no_member(&raw.member, members));
        };
        let owned = [
            ("capital_micro_per_processor_hour", raw.capital_micro_per_processor_hour),
            ("operation_micro_per_processor_hour", raw.operation_micro_per_processor_hour),
        ];
        for (name, micro) in owned {
            if micro > OWNED_MICRO_MAX {
                return self.refuse(name, format!("{micro} is out of bounds: use at most {OWNED_MICRO_MAX}"));
            }
        }
        let price = self.course("price_per_mwh", &raw.price_per_mwh, 1_000_000.0)?;
        let carbon = self.course("carbon_g_per_kwh", &raw.carbon_g_per_kwh, 1000.0)?;
        Ok(Site {
            id: raw.id.clone(),
            member,
            processors: self.processors(raw, of_site)?,
            owned_micro_per_processor_hour: owned.iter().map(|(_, micro)| micro).sum(),
            power: self.power(raw)?,
            supply: Supply::new(price, carbon)
                .or_else(|error| self.refuse("carbon_g_per_kwh", error.to_string()))?,
        })
    }

    fn processors(&self, raw: &RawSite, of_site: &OfSite) -> Result<u32, ScenarioError> {
        match (raw.processors, raw.load) {
            (Some(processors @ 1..=PROCESSORS_MAX), None) => Ok(processors),
            (Some(processors), None) => self
                .refuse("processors", format!("{processors} are out of bounds: use 1 to {PROCESSORS_MAX}")),
            (None, Some(load)) if load > 0.0 && load <= LOAD_MAX => {
                let Some(span) = &of_site.span_ms else {
                    return self.refuse(
                        "load",
                        "no `[[workloads]]` is of this site: give its `processors`".to_owned(),
                    );
                };
                let span_s = (span.end - span.start) as f64 / 1000.0;
                let processors = (of_site.processor_s as f64 / (load * span_s)).round().max(1.0);
                if processors > f64::from(PROCESSORS_MAX) {
                    let said = format!("at {load} it would have {processors} processors: use a higher load");
                    return self.refuse("load", said);
                }
                Ok(processors as u32)
            }
            (None, Some(load)) => self
                .refuse("load", format!("{load} is out of bounds: use more than 0 and at most {LOAD_MAX}")),
            (Some(_), Some(_)) | (None, None) => {
                self.refuse("processors", "give either `processors` or `load`".to_owned())
            }
        }
    }

    fn power(&self, raw: &RawSite) -> Result<Power, ScenarioError> {
        let whole = |name: &str, value: f64, scale: f64| {
            let scaled = (value * scale).round();
            if (0.0..=f64::from(u32::MAX)).contains(&scaled) {
                return Ok(scaled as u32);
            }
            self.refuse(name, format!("{value} is out of bounds: use 0 or more, and no more than any has"))
        };
        let (idle_mw, busy_mw) = (whole("idle_w", raw.idle_w, 1000.0)?, whole("busy_w", raw.busy_w, 1000.0)?);
        let pue_ppm = whole("pue", raw.pue, 1_000_000.0)?;
        Power::new(idle_mw, busy_mw, pue_ppm).or_else(|error| {
            let name = match error {
                EnergyError::Pue(_) => "pue",
                EnergyError::Exchanged { .. } => "idle_w",
                _ => "busy_w",
            };
            self.refuse(name, error.to_string())
        })
    }

    /// A number, a day of them, or a column of a table, in whole parts of which `scale` make the unit of the file.
    fn course(&self, name: &str, raw: &toml::Value, scale: f64) -> Result<Course, ScenarioError> {
        let fit = |course: Result<Course, EnergyError>| {
            course.or_else(|error| self.refuse(name, error.to_string()))
        };
        // Beyond the bounds of a rate, which are refused, the conversion stops at the greatest number there is.
        let whole = |value: f64| (value * scale).round() as i64;
        if let Some(value) = number(raw) {
            return fit(Course::constant(whole(value)));
        }
        if let Some(values) =
            raw.as_array().and_then(|list| list.iter().map(number).collect::<Option<Vec<f64>>>())
        {
            let rates: Vec<i64> = values.into_iter().map(whole).collect();
            return fit(Course::daily(&rates));
        }
        let Some(table) = raw.as_table() else {
            let said = format!(
                "is {raw}: write a number, 24 numbers for the hours of the day in UTC, or {{ file = \"...\", column = \"...\" }}"
            );
            return self.refuse(name, said);
        };
        let series: RawSeries = table
            .clone()
            .try_into()
            .or_else(|error: toml::de::Error| self.refuse(name, error.message().to_owned()))?;
        let later_ms = self.later_ms(name, &series)?;
        let path = self.source.beside(&series.file);
        let from_ms = i64::try_from(self.begin_ms).unwrap_or(i64::MAX) - later_ms;
        let (first_ms, values) =
            hourly::read(&path, &series.column, from_ms).or_else(|said| self.refuse(name, said))?;
        let rates: Vec<i64> = values.into_iter().map(whole).collect();
        let course = fit(Course::hourly(u64::try_from(first_ms + later_ms).unwrap_or(0), &rates))?;
        course
            .check_span(self.begin_ms, self.until_ms)
            .or_else(|error| self.refuse(name, error.to_string()))?;
        Ok(course)
    }

    /// How much later the scenario is than the year of which a series is read.
    fn later_ms(&self, name: &str, series: &RawSeries) -> Result<i64, ScenarioError> {
        let start =
            demand::day(&self.raw.start).or_else(|said| self.source.refuse("start".to_owned(), said))?;
        let Some(year) = series.year else { return Ok(0) };
        let day = format!("{year:04}-{:02}-{:02}", start.month(), start.day());
        let there = demand::day(&day).or_else(|said| self.refuse(name, format!("year: {said}")))?;
        Ok(demand::midnight_ms(start) - demand::midnight_ms(there))
    }
}

fn number(raw: &toml::Value) -> Option<f64> {
    raw.as_float().or_else(|| raw.as_integer().map(|whole| whole as f64)).filter(|value| value.is_finite())
}
