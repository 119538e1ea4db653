// SPDX-License-Identifier: Apache-2.0
//! The registration of a training run before it begins: what is trained from what, how much compute is expected, and how
//! the accelerators' time is turned into operations while it runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compute::{
        BaseCompute, GpuRate, NoRate, TeraFlop, TrainingCompute, metered, published_peak_gigaflop_per_s,
    },
    ids::{DatasetId, JobId, ModelId, TrainingRunId},
    jws::Document,
    model::{BaseModel, Modality},
    record::{
        InvalidRecord, Record, check_label, check_length, check_not_empty, check_unique, check_version,
        check_word, invalid,
    },
};

/// The longest name of a type of accelerator, as in a job's shape.
const GPU_TYPE_BYTES_MAX: usize = 40;

/// A training run as it is registered; a later registration of the same run replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRun {
    /// Wire version, 1.
    pub version: u8,
    /// The run.
    pub run: TrainingRunId,
    /// The model that comes out of it.
    pub model: ModelId,
    /// The model it starts from; `None` when it starts from nothing.
    pub base: Option<BaseModel>,
    /// The jobs that make up the run, as far as they are known; their accelerators' time is what is metered.
    pub jobs: Vec<JobId>,
    /// Registered datasets it learns from.
    pub datasets: Vec<DatasetId>,
    /// What the model generates.
    pub generates: Vec<Modality>,
    /// What the model is for, such as `research`.
    pub purpose: String,
    /// Whether it is meant to be placed on the market of the European Union.
    pub market_eu: bool,
    /// Whether it is for scientific research and development alone (Regulation (EU) 2024/1689, Art. 2(6)).
    pub research_only: bool,
    /// Declared N of 6ND: the parameters that take part for each token.
    pub parameters: u64,
    /// Declared D of 6ND: the tokens seen in training, over all epochs.
    pub tokens: u64,
    /// The compute that the run is expected to take in all; at least 6ND.
    pub expected_teraflop: TeraFlop,
    /// By type of accelerator, how its time becomes operations.
    pub rates: BTreeMap<String, GpuRate>,
    /// When it was registered.
    pub registered_at: Timestamp,
}

impl Document for TrainingRun {
    const TYP: &'static str = "sta-training-run+jws";
}

impl TrainingRun {
    /// The declared compute, 6 x parameters x tokens.
    #[must_use]
    pub fn declared(&self) -> TeraFlop {
        TeraFlop::six_n_d(self.parameters, self.tokens)
    }

    /// What the run's accelerators have done so far, from accelerator-milliseconds by type.
    ///
    /// # Errors
    /// [`NoRate`] for a type without a rate.
    pub fn metered(&self, gpu_ms: &BTreeMap<String, u64>) -> Result<TrainingCompute, NoRate> {
        Ok(TrainingCompute { base: self.base_compute(), added_teraflop: metered(gpu_ms, &self.rates)? })
    }

    /// What the run will have done when it is over, as far as anybody can say now: the largest of what was declared,
    /// expected and metered. This is what must be judged before it begins, because a duty may begin when it is known
    /// that a threshold *will* be met (Regulation (EU) 2024/1689, Art. 52(1)).
    #[must_use]
    pub fn projected(&self, metered: TeraFlop) -> TrainingCompute {
        let added = self.declared().max(self.expected_teraflop).max(metered);
        TrainingCompute { base: self.base_compute(), added_teraflop: added }
    }

    /// What counts for its base.
    #[must_use]
    pub fn base_compute(&self) -> BaseCompute {
        self.base.as_ref().map_or(BaseCompute::Scratch, |base| base.compute)
    }

    fn check_rates(&self) -> Result<(), InvalidRecord> {
        check_length("rates", self.rates.len())?;
        for (gpu_type, rate) in &self.rates {
            let field = format!("rates.{gpu_type}");
            let plain = gpu_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !plain || gpu_type.is_empty() || gpu_type.len() > GPU_TYPE_BYTES_MAX {
                return invalid(
                    "rates",
                    format!("names `{gpu_type}`: use the site's short name, such as `gh200`"),
                );
            }
            if !rate.is_sane() {
                let problem =
                    "needs a peak of 1 to 10^9 gigaFLOP/s and a utilisation of 1 to 1000000 millionths";
                return invalid(field, problem);
            }
            match published_peak_gigaflop_per_s(gpu_type) {
                Some(published) if rate.peak_gigaflop_per_s < published => {
                    let problem = format!(
                        "gives a peak of {} gigaFLOP/s, below the published {published}: use that one and put what is lost into `utilisation_ppm`",
                        rate.peak_gigaflop_per_s
                    );
                    return invalid(field, problem);
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

impl Record for TrainingRun {
    fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        check_word("purpose", &self.purpose)?;
        check_unique("jobs", &self.jobs)?;
        check_unique("datasets", &self.datasets)?;
        check_unique("generates", &self.generates)?;
        check_not_empty(
            "generates",
            self.generates.len(),
            "say what the model generates, such as `language`",
        )?;
        if let Some(base) = &self.base {
            base.check("base")?;
        }
        if self.market_eu && self.research_only {
            let problem =
                "and `market_eu` cannot both be true: what goes to the market is not research alone";
            return invalid("research_only", problem);
        }
        if self.parameters == 0 || self.parameters > 1_000_000_000_000_000 {
            return invalid("parameters", format!("is {}: use 1 to 10^15", self.parameters));
        }
        if self.tokens == 0 || self.tokens > 1_000_000_000_000_000 {
            return invalid("tokens", format!("is {}: use 1 to 10^15", self.tokens));
        }
        if self.expected_teraflop < self.declared() {
            let problem = format!(
                "is {}, below 6 x parameters x tokens, which is {}: expect at least that",
                self.expected_teraflop.get(),
                self.declared().get()
            );
            return invalid("expected_teraflop", problem);
        }
        self.check_rates()?;
        check_label("model", &self.model.to_string())
    }
}
