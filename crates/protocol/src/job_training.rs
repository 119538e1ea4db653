// SPDX-License-Identifier: Apache-2.0
//! What a job says of the training run that it is part of, so that its host can meter the run and ask the gate for training.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compute::{GpuRate, TeraFlop},
    ids::{JobId, ModelId, TrainingRunId},
    job::{InvalidJob, JobSpec},
    model::{BaseModel, Modality},
    record::Record,
    training::TrainingRun,
};

/// The part of a training run's registration that a job brings; the rest its host knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTraining {
    /// The run, where several jobs make it up; the job is a run of its own where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<TrainingRunId>,
    /// The model that comes out of it.
    pub model: ModelId,
    /// The model it starts from; none when it starts from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseModel>,
    /// What the model generates.
    pub generates: Vec<Modality>,
    /// Declared N of 6ND: the parameters that take part for each token.
    pub parameters: u64,
    /// Declared D of 6ND: the tokens seen in training, over all epochs.
    pub tokens: u64,
    /// What jobs of the run at other hosts have added before.
    #[serde(default)]
    pub added_elsewhere_teraflop: TeraFlop,
    /// Whether the model is meant to be placed on the market of the European Union.
    #[serde(default)]
    pub market_eu: bool,
}

impl JobTraining {
    /// The run; a job that names none is a run of its own.
    #[must_use]
    pub fn run_of(&self, job: JobId) -> TrainingRunId {
        // The same UUID under another name.
        let mut random = [0; 10];
        random.copy_from_slice(&job.as_bytes()[6..]);
        self.run.unwrap_or_else(|| TrainingRunId::new(job.unix_ms(), random))
    }

    /// The registration as the host keeps it: what the job declares, with the host's own rates.
    #[must_use]
    pub fn registration(
        &self,
        job: JobId,
        spec: &JobSpec,
        rates: BTreeMap<String, GpuRate>,
        registered_at: Timestamp,
    ) -> TrainingRun {
        let declared = TeraFlop::six_n_d(self.parameters, self.tokens);
        TrainingRun {
            version: 1,
            run: self.run_of(job),
            model: self.model.clone(),
            base: self.base.clone(),
            jobs: vec![job],
            datasets: spec.datasets.clone(),
            generates: self.generates.clone(),
            purpose: spec.purpose.clone(),
            market_eu: self.market_eu,
            research_only: !self.market_eu,
            parameters: self.parameters,
            tokens: self.tokens,
            expected_teraflop: declared.plus(self.added_elsewhere_teraflop),
            rates,
            registered_at,
        }
    }

    /// Checks what is declared, as the registration will be checked.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn validate(&self, spec: &JobSpec) -> Result<(), InvalidJob> {
        let job = JobId::new(0, [0; 10]);
        let run = self.registration(job, spec, BTreeMap::new(), Timestamp::UNIX_EPOCH);
        run.check().map_err(|invalid| InvalidJob { field: "training", problem: invalid.to_string() })
    }
}
