// SPDX-License-Identifier: Apache-2.0
//! Training: the host meters what the accelerators of a training run have done, and asks the gate each time a threshold is passed.
//!
//! Metered compute is time x peak x utilisation, by the rates of the site. The time is that of every job of the run at this
//! host, without what they stood still. Nothing is kept but what was asked: after a crash the same sum is made again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_decide::{
    authorize::Action,
    facts::class_of,
    gate::{
        Question,
        inputs::{COMPUTE_UNKNOWN, Host, Model, Training, declared, metered as by_meter},
    },
};
use sta_protocol::{
    compute::{BaseCompute, GpuRate, TeraFlop, Threshold, TrainingCompute, published_peak_gigaflop_per_s},
    digest::JSON_INTEGER_MAX,
    federation::Offer,
    gate::Verdict,
    ids::{JobId, SiteId},
    job::JobSpec,
    training::TrainingRun,
};

use super::{
    StepError, gate_hold,
    gates::{self, Asking, Prepared, guards::Guards, question, weights},
    hold::Held,
    meter, stage,
};
use crate::{
    config::FlopsConfig,
    node::Node,
    store::{
        StoreError, Tx,
        gate_holds::{self as table, TrainingJob},
        hosted, ledger,
    },
};

/// The name under which the time of processor cores is metered, for jobs without accelerators.
pub const CPU_CORE: &str = "cpu-core";
/// The facts of `model` that a training run states.
pub(super) const STATED: [&str; 8] = [
    "id",
    "teraflop",
    "teraflop_projected",
    "modification_teraflop",
    "base_known",
    "base_teraflop",
    "base_systemic",
    "generates",
];

/// A training run on its way into the record, with what the rules say of it.
pub(crate) struct Registered {
    training: TrainingJob,
    prepared: Prepared,
}

/// Asks the rules about the run that an offered job is part of, before it is admitted; none for a job that trains nothing.
///
/// # Errors
/// The store failed.
pub(crate) fn at_admission(node: &Node, offer: &Offer) -> Result<Option<Registered>, StepError> {
    let Some(declared) = &offer.spec.training else { return Ok(None) };
    let rates = rates(node, &offer.site, &offer.spec);
    let registration = declared.registration(offer.job, &offer.spec, rates, node.outside.now());
    let compute = registration.projected(TeraFlop::ZERO);
    let compute = registration.metered(&accelerator_ms(&offer.spec, 1)).is_ok().then_some(compute);
    let training = TrainingJob {
        job: offer.job,
        asked: above(compute),
        registration,
        released_to_teraflop: 0,
        released_beyond_third: false,
    };
    let asking = asking(node, offer, &training, compute, false);
    Ok(Some(Registered { training, prepared: gates::prepare(node, asking) }))
}

impl Registered {
    /// Why the job is not admitted; none where it may run, or wait for a named person.
    pub(crate) fn refusals(&self, node: &Node) -> Vec<sta_protocol::refusal::Refusal> {
        let answer = self.prepared.answer();
        if answer.verdict() == Verdict::Deny { gates::refusals(answer, node.member()) } else { Vec::new() }
    }

    /// Records decision and run beside the admission; what is held stands still from the beginning.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn begin(
        self,
        tx: &mut Tx<'_>,
        guards: &Guards,
        now: Timestamp,
    ) -> Result<Option<Held>, StoreError> {
        let decided = gates::record(tx, guards, self.prepared)?;
        table::put_training(tx, &self.training)?;
        if decided.answer.verdict() < Verdict::Hold {
            return Ok(None);
        }
        gate_hold::open(tx, &decided, self.training.job, now).map(Some)
    }
}

/// Meters every training run under way, and has those held that pass a threshold which the gate does not let them pass.
///
/// # Errors
/// The store failed; the runs are metered again at the next look.
pub(crate) async fn watch(node: &Node) -> Result<(), StepError> {
    let now = node.outside.now();
    for training in node.store.read(table::training_under_way)? {
        let compute = node.store.read(|connection| metered(connection, &training, now))?;
        let above = above(compute.map(|compute| training.registration.projected(compute.added_teraflop)));
        if !above.is_subset(&training.asked) {
            ask_again(node, training, compute, above, now).await?;
        }
    }
    Ok(())
}

/// The thresholds that this much compute passes. What nobody knows counts as beyond every one.
fn above(compute: Option<TrainingCompute>) -> BTreeSet<Threshold> {
    compute.map_or_else(|| Threshold::ALL.into(), |compute| compute.above().into_iter().collect())
}

/// The decision, what was asked and the suspension are one record.
async fn ask_again(
    node: &Node,
    training: TrainingJob,
    compute: Option<TrainingCompute>,
    above: BTreeSet<Threshold>,
    now: Timestamp,
) -> Result<(), StepError> {
    let Some(job) = node.store.read(|connection| hosted::find(connection, training.job))? else {
        return Ok(());
    };
    let offer = stage::offer_of(&job)?;
    let prepared = gates::prepare(node, asking(node, &offer, &training, compute, true));
    let guards = node.guards.clone();
    let write = node.store.write(move |tx| {
        let Some(mut training) = table::training(tx.connection(), training.job)? else { return Ok(None) };
        if above.is_subset(&training.asked) {
            return Ok(None);
        }
        let decided = gates::record(tx, &guards, prepared)?;
        training.asked.extend(above);
        table::put_training(tx, &training)?;
        if decided.answer.verdict() < Verdict::Hold {
            return Ok(None);
        }
        gate_hold::open(tx, &decided, training.job, now).map(Some)
    });
    if let Some(held) = write.await? {
        tracing::warn!(job = %job.job, site = %job.site, "a training run passes a threshold and is held");
        held.lanes.iter().for_each(|lane| node.wake(lane));
    }
    Ok(())
}

/// Named people have let the run pass what the gate was asked about.
pub(super) fn released(tx: &Tx<'_>, job: JobId) -> Result<(), StoreError> {
    let Some(mut training) = table::training(tx.connection(), job)? else { return Ok(()) };
    for threshold in &training.asked {
        match threshold {
            Threshold::OneThirdOfBase => training.released_beyond_third = true,
            Threshold::GeneralPurpose => {
                training.released_to_teraflop = training.released_to_teraflop.max(TeraFlop::SYSTEMIC.get());
            }
            Threshold::Systemic => training.released_to_teraflop = JSON_INTEGER_MAX,
        }
    }
    table::put_training(tx, &training)
}

/// What the run has done so far at this host; `None` where an accelerator has no rate.
pub(crate) fn metered(
    connection: &Connection,
    training: &TrainingJob,
    now: Timestamp,
) -> Result<Option<TrainingCompute>, StoreError> {
    let mut sum: BTreeMap<String, u64> = BTreeMap::new();
    for job in table::jobs_of_run(connection, training.job)? {
        let Some(hosted) = hosted::find(connection, job)? else { continue };
        let damaged = |error: StepError| StoreError::Damaged { what: "offer", problem: error.to_string() };
        let offer = stage::offer_of(&hosted).map_err(damaged)?;
        let mut wall_ms = 0_u64;
        for receipt in ledger::receipts_of(connection, job)? {
            let receipt = receipt
                .peek_unverified()
                .map_err(|error| StoreError::Damaged { what: "receipt", problem: error.to_string() })?;
            wall_ms = wall_ms.saturating_add(receipt.usage.wall_ms);
        }
        if let (Some(started_at), None) = (hosted.started_at, &hosted.receipt) {
            let still = still_ms(&table::standstills(connection, job, now)?, started_at);
            wall_ms = wall_ms.saturating_add(ms(now.duration_since(started_at)).saturating_sub(still));
        }
        for (kind, ms) in accelerator_ms(&offer.spec, wall_ms) {
            let total = sum.entry(kind).or_default();
            *total = total.saturating_add(ms);
        }
    }
    Ok(training.registration.metered(&sum).ok())
}

/// How long a job stood still since it began; times that overlap count once.
fn still_ms(standstills: &[(Timestamp, Timestamp)], since: Timestamp) -> u64 {
    let mut counted_to = since;
    let mut sum = 0_u64;
    for (from, until) in standstills {
        let from = (*from).max(counted_to);
        sum = sum.saturating_add(ms(until.duration_since(from)));
        counted_to = counted_to.max(*until);
    }
    sum
}

fn ms(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(0)
}

/// The accelerators' milliseconds in so many milliseconds of a job, by type; of a job without accelerators those of its cores.
fn accelerator_ms(spec: &JobSpec, wall_ms: u64) -> BTreeMap<String, u64> {
    let at_once = u64::from(spec.shape.nodes).saturating_mul(u64::from(spec.shape.parallel));
    let (kind, each) =
        if spec.gpus == 0 { (CPU_CORE.to_owned(), spec.cpu_cores) } else { (gpu_type(spec), spec.gpus) };
    BTreeMap::from([(kind, wall_ms.saturating_mul(u64::from(each)).saturating_mul(at_once))])
}

fn gpu_type(spec: &JobSpec) -> String {
    spec.shape.gpu_type.clone().unwrap_or_else(|| "gpu".to_owned())
}

/// How the time of the site's accelerators becomes operations, as far as this job can hold them.
fn rates(node: &Node, site: &SiteId, spec: &JobSpec) -> BTreeMap<String, GpuRate> {
    let standard = FlopsConfig::default();
    let flops = node.own_site(site).map_or(&standard, |(_, settings)| &settings.flops);
    let rate = if spec.gpus == 0 {
        Some((CPU_CORE.to_owned(), flops.cpu_core))
    } else {
        let kind = gpu_type(spec);
        let known = flops.gpus.get(&kind).copied();
        // Which of the site's accelerators it gets is not said: the fastest counts.
        let fastest = || flops.gpus.values().copied().max_by_key(|rate| rate.peak_gigaflop_per_s);
        let any = if spec.shape.gpu_type.is_none() { fastest() } else { None };
        let published = || published_peak_gigaflop_per_s(&kind).map(GpuRate::at_peak);
        known.or(any).or_else(published).map(|rate| (kind, rate))
    };
    rate.into_iter().collect()
}

/// The question whether a run may begin, or go on.
fn asking(
    node: &Node,
    offer: &Offer,
    training: &TrainingJob,
    compute: Option<TrainingCompute>,
    running: bool,
) -> Asking {
    let records = meter::records(node, offer);
    let class = class_of(&offer.spec, &records.iter().collect::<Vec<_>>());
    let registration = &training.registration;
    let mut intent = weights::intent(&offer.spec, class);
    intent.market_eu = declared(registration.market_eu);
    intent.research_only = declared(registration.research_only);
    let planned = compute.map(|compute| registration.projected(compute.added_teraflop));
    let number = |tera: Option<TeraFlop>| {
        tera.map_or(COMPUTE_UNKNOWN, |tera| i64::try_from(tera.get()).unwrap_or(COMPUTE_UNKNOWN))
    };
    let total = number(planned.map(TrainingCompute::cumulative));
    let section = Training {
        running: by_meter(running),
        teraflop: if running { by_meter(total) } else { declared(total) },
        released_to_teraflop: by_meter(i64::try_from(training.released_to_teraflop).unwrap_or(0)),
        released_beyond_third: by_meter(training.released_beyond_third),
    };
    let model = model(registration, total, number(planned.map(|compute| compute.added_teraflop)), running);
    let site = node.treaty.site(&offer.site);
    let site = site.map_or_else(Host::cautious, |site| question::host(&node.treaty, site));
    let question = Question::Train { intent, model: Box::new(model), training: section, site };
    let subject = BTreeMap::from([
        ("job".to_owned(), offer.job.to_string()),
        ("model".to_owned(), registration.model.to_string()),
        ("run".to_owned(), registration.run.to_string()),
    ]);
    let tenant = format!("{}/{}", offer.home, offer.spec.project);
    let mut asking = Asking::of(&question, subject, &tenant).at(&offer.site);
    debug_assert_eq!(asking.action, Action::Train);
    let is_stated = |path: &str| STATED.iter().any(|name| path == format!("model.{name}"));
    asking.assumed =
        asking.sheet.paths().filter(|path| path.starts_with("model.") && !is_stated(path)).collect();
    asking
}

/// The model of a run under way, by what is metered so far; `None` where nobody knows how much that is.
///
/// # Errors
/// The store failed.
pub(super) fn model_so_far(node: &Node, training: &TrainingJob) -> Result<Option<Model>, StepError> {
    let now = node.outside.now();
    let compute = node.store.read(|connection| metered(connection, training, now))?;
    Ok(compute.map(|compute| model_at(&training.registration, compute.added_teraflop, true)))
}

/// The model of a job that trains one, by what its researcher declares.
pub(super) fn model_declared(job: JobId, spec: &JobSpec, now: Timestamp) -> Option<Model> {
    let registration = spec.training.as_ref()?.registration(job, spec, BTreeMap::new(), now);
    Some(model_at(&registration, TeraFlop::ZERO, false))
}

fn model_at(registration: &TrainingRun, added: TeraFlop, running: bool) -> Model {
    let planned = registration.projected(added);
    let number = |tera: TeraFlop| i64::try_from(tera.get()).unwrap_or(COMPUTE_UNKNOWN);
    model(registration, number(planned.cumulative()), number(planned.added_teraflop), running)
}

/// What the registration says of the model; everything else counts against it.
fn model(registration: &TrainingRun, total: i64, added: i64, running: bool) -> Model {
    let base = registration.base_compute();
    let known = match base {
        BaseCompute::Scratch | BaseCompute::Known { .. } => true,
        BaseCompute::Unknown | BaseCompute::UnknownSystemic => false,
    };
    let counted = base.counted().map_or(0, |tera| i64::try_from(tera.get()).unwrap_or(COMPUTE_UNKNOWN));
    let vouched = |value| if running { by_meter(value) } else { declared(value) };
    Model {
        id: declared(registration.model.to_string()),
        teraflop: vouched(total),
        teraflop_projected: vouched(total),
        modification_teraflop: vouched(if registration.base.is_some() { added } else { 0 }),
        base_known: declared(known || counted > 0),
        base_teraflop: declared(counted),
        base_systemic: declared(matches!(base, BaseCompute::UnknownSystemic)),
        generates: declared(registration.generates.clone()),
        ..Model::cautious()
    }
}
