// SPDX-License-Identifier: Apache-2.0
//! Meter: the host takes over what a job left, decides what may go home, and writes the receipt.

use jiff::Timestamp;
use sta_decide::{
    admit::task_resources,
    authorize::authorize_export,
    facts::{ExportFacts, ExportInputs, class_of},
    settle::{co2_ug, energy_uwh, period_of, price_micro, statement_line},
};
use sta_protocol::{
    class::Class,
    federation::{
        DatasetRecord, Exit as WireExit, Offer, OutputFile, Receipt, TaskFailure, TasksEnd,
        Usage as WireUsage, VERSION,
    },
    ids::ReceiptId,
    jws::Signed,
    refusal::{Refusal, RefusalCode},
    take_back::SavedWork,
    treaty::{Resources, Site},
};

use super::{StepError, gates::weights, registry::verify_record, run, stage};
use crate::{
    engines::{Exit, Outcome, RunId, TaskEnd},
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        frozen,
        hosted::{self, HostState, HostedJob},
        ledger,
        outbox::{self, Effect, Lane, Waiting},
        peers,
        possessions::{self, Party},
    },
    worker::beside,
};

/// How many failed tasks of a job array a receipt names.
const FAILURES_MAX: usize = 100;

/// Ends a hosted job: outputs, decision about each, receipt, audit entry and the way home are one record.
///
/// # Errors
/// An output could not be taken over, or the store failed: the engine still has the outcome, and it is tried again.
pub async fn finish(node: &Node, job: &HostedJob, outcome: Outcome) -> Result<(), StepError> {
    let offer = stage::offer_of(job)?;
    for output in &outcome.outputs {
        let path = run::engine(node, &job.site)?.output_path(job.run(), &output.name).await?;
        let (blobs, sha256, turn) = (node.blobs.clone(), output.sha256, node.blobs.turn(output.sha256).await);
        let (adopted, _turn) = beside(output.bytes, move || (blobs.adopt(&path, sha256), turn)).await;
        adopted?;
    }
    let receipt = receipt(node, job, &offer, outcome)?;
    finish_by(node, job, &offer, receipt).await
}

/// Ends a job here that is handed back to home, with what it has saved, which is here as a file. Nothing is recorded where it is to
/// stand still by now.
///
/// # Errors
/// The store failed: it is tried again.
pub(super) async fn hand_back(
    node: &Node,
    job: &HostedJob,
    saved: Option<SavedWork>,
) -> Result<(), StepError> {
    let offer = stage::offer_of(job)?;
    let mut receipt = receipt(node, job, &offer, run::never_ran(node.outside.now(), Exit::Cancelled))?;
    (receipt.handed_back, receipt.saved) = (true, saved);
    finish_by(node, job, &offer, receipt).await
}

async fn finish_by(
    node: &Node,
    job: &HostedJob,
    offer: &Offer,
    mut receipt: Receipt,
) -> Result<(), StepError> {
    // What the rules about data hold, a steward may release. Weights have a gate of their own, which is asked each time.
    let outputs = receipt.outputs.clone();
    for output in &mut receipt.outputs {
        output.held_by.extend(weights::holds(node, offer, &output.name, output.sha256, output.class).await?);
        output.held_by.sort();
    }
    let signed = Signed::sign(&receipt, &node.keys.signing).map_err(|error| StepError::Damaged {
        what: "receipt",
        job: job.job,
        problem: error.to_string(),
    })?;
    record(node, job, (receipt, outputs), signed).await
}

/// The account of the attempt under way, with the decision about each output.
pub(super) fn receipt(
    node: &Node,
    job: &HostedJob,
    offer: &Offer,
    outcome: Outcome,
) -> Result<Receipt, StepError> {
    let missing =
        || StepError::refused(RefusalCode::OfferNotForUs, node.member(), [("site.id", job.site.to_string())]);
    let (site, _) = node.own_site(&job.site).ok_or_else(missing)?;
    let is_paid = match outcome.exit {
        // What a site fails is not paid, nor is work that nothing is left of because the owner needed the place.
        Exit::SiteFault(_) => false,
        Exit::Reclaimed => offer.spec.checkpoint.is_some(),
        Exit::Code(_) | Exit::Signal(_) | Exit::TimeLimit | Exit::MemoryLimit | Exit::Cancelled => true,
    };
    let task = task_resources(&offer.spec);
    let price = price_micro(&site.tariff, task, outcome.usage.wall_ms);
    let charged = node
        .store
        .read(|connection| ledger::charged_between(connection, job.job, offer.attempt, job.attempt))?;
    let co2_ug = carbon(site, task, &outcome);
    let outputs = outcome.outputs.into_iter().map(|output| {
        let (class, held_by) = export_decision(node, offer, site, &output.name, None);
        OutputFile { name: output.name, sha256: output.sha256, bytes: output.bytes, class, held_by }
    });
    Ok(Receipt {
        version: VERSION,
        receipt: ReceiptId::new(node.outside.now_ms(), node.outside.random()),
        admission_digest: job.admission.digest(),
        job: job.job,
        home: job.home.clone(),
        host: node.member().clone(),
        site: job.site.clone(),
        started_at: job.started_at.or((outcome.usage.wall_ms > 0).then_some(outcome.started_at)),
        ended_at: outcome.ended_at,
        usage: WireUsage {
            wall_ms: outcome.usage.wall_ms,
            cpu_ms: outcome.usage.cpu_ms,
            memory_bytes_peak: outcome.usage.memory_peak_bytes,
            sources: outcome.usage.sources,
        },
        limits_enforced: outcome.limits_enforced,
        // Nothing is ever paid above the ceiling that home reserved, however many attempts there are.
        price_micro: if is_paid {
            price.min(offer.price_micro_max.saturating_sub(charged)).max(0)
        } else {
            0
        },
        energy_uwh: energy_uwh(&site.energy, task, outcome.usage.wall_ms),
        co2_ug,
        outputs: outputs.collect(),
        outputs_missing: outcome.outputs_missing,
        attempt: job.attempt,
        goes_on: false,
        tasks: tasks_end(&outcome.tasks),
        exit: wire_exit(outcome.exit),
        handed_back: false,
        saved: None,
    })
}

/// How the tasks of a job array ended; none for a plain job.
fn tasks_end(tasks: &[TaskEnd]) -> Option<TasksEnd> {
    let failed: Vec<&TaskEnd> = tasks.iter().filter(|task| task.exit != Exit::Code(0)).collect();
    let count = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX);
    let failure = |task: &&TaskEnd| TaskFailure { index: task.index, exit: wire_exit(task.exit.clone()) };
    (!tasks.is_empty()).then(|| TasksEnd {
        count: count(tasks.len()),
        completed: count(tasks.len() - failed.len()),
        failed: failed.iter().take(FAILURES_MAX).map(failure).collect(),
    })
}

/// The CO2 of each task in the hours in which it ran; a plain job is one.
fn carbon(site: &Site, task: Resources, outcome: &Outcome) -> i64 {
    let of = |started_at, wall_ms| co2_ug(&site.energy, task, started_at, wall_ms);
    if outcome.tasks.is_empty() {
        return of(outcome.started_at, outcome.usage.wall_ms);
    }
    outcome.tasks.iter().fold(0, |sum: i64, end| sum.saturating_add(of(end.started_at, end.wall_ms)))
}

fn wire_exit(exit: Exit) -> WireExit {
    match exit {
        Exit::Code(code) => WireExit::Code(code),
        Exit::Signal(signal) => WireExit::Signal(signal),
        Exit::TimeLimit => WireExit::TimeLimit,
        Exit::MemoryLimit => WireExit::MemoryLimit,
        Exit::Cancelled => WireExit::Cancelled,
        Exit::SiteFault(reason) => WireExit::SiteFault(reason),
        Exit::Reclaimed => WireExit::Reclaimed,
    }
}

/// The records a job ran under, as this node reads them.
pub(super) fn records(node: &Node, offer: &Offer) -> Vec<DatasetRecord> {
    offer.datasets.iter().filter_map(|signed| verify_record(node, signed).ok()).collect()
}

/// The class of an output and the rules that keep it here; none when it may go home.
pub(super) fn export_decision(
    node: &Node,
    offer: &Offer,
    site: &Site,
    output: &str,
    released_as: Option<Class>,
) -> (Class, Vec<Refusal>) {
    let records = records(node, offer);
    let class = released_as.unwrap_or_else(|| class_of(&offer.spec, &records.iter().collect::<Vec<_>>()));
    let inputs = ExportInputs {
        treaty: &node.treaty,
        now: node.outside.now(),
        by: node.member(),
        home: &offer.home,
        site: &site.id,
        spec: &offer.spec,
        records: &records,
        output,
        released_as,
    };
    let verdict = ExportFacts::assemble(&inputs)
        .into_result()
        .and_then(|facts| authorize_export(&node.rules, &facts).into_result());
    (class, verdict.err().map(sta_decide::verdict::Refusals::into_vec).unwrap_or_default())
}

async fn record(
    node: &Node,
    job: &HostedJob,
    (receipt, outputs): (Receipt, Vec<OutputFile>),
    signed: Signed<Receipt>,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let offer = stage::offer_of(job)?;
    let receiver = receiver(node, &offer);
    let (line, first) = (statement_line(&receipt, task_resources(&offer.spec)), offer.attempt);
    let (id, home_lane, engine_lane) =
        (job.job, Lane::Peer(job.home.clone()), Lane::Engine(job.site.clone()));
    let woken = [home_lane.clone(), engine_lane.clone()];
    let write = node.store.write(move |tx| {
        let unfinished = |job: &HostedJob| job.state != HostState::Finished && job.attempt == receipt.attempt;
        let Some(mut job) = hosted::find(tx.connection(), id)?.filter(unfinished) else {
            return Ok(());
        };
        if receipt.handed_back && job.held {
            // Somebody has it stand still here since it was asked for.
            return Ok(());
        }
        let saved = receipt.saved.iter().map(|saved| OutputFile {
            name: SavedWork::name(receipt.attempt),
            sha256: saved.sha256,
            bytes: saved.bytes,
            class: saved.class,
            held_by: Vec::new(),
        });
        for output in outputs.iter().cloned().chain(saved) {
            peers::put_output(tx, id, &output)?;
        }
        let whole = receipt.outputs.iter().filter(|output| output.held_by.is_empty());
        let given = whole.map(|output| output.sha256).chain(receipt.saved.iter().map(|saved| saved.sha256));
        for sha256 in given {
            possessions::note(tx, sha256, &receiver)?;
        }
        ledger::keep_receipt(tx, &receipt, &signed, &period_of(receipt.ended_at), &line)?;
        tx.audit(entry(&receipt, &signed, now));
        // An earlier attempt may have saved something.
        let left_something =
            matches!(job.state, HostState::Starting | HostState::Running) || job.attempt > first;
        job.state = HostState::Finished;
        job.receipt = Some(signed);
        hosted::update(tx, &job)?;
        let (key, now_ms) = (receipt.receipt.to_string(), u64::try_from(now.as_millisecond()).unwrap_or(0));
        for pending in [Effect::Stage, Effect::Start, Effect::Stop, Effect::Reclaim, Effect::HandBack] {
            outbox::forget(tx, id, pending)?;
        }
        outbox::put(tx, &home_lane, Effect::Receipt, id, &key, now_ms)?;
        // Working files go only after their outputs and the receipt are durable.
        if left_something {
            outbox::put(tx, &engine_lane, Effect::Wipe, id, &job.run().to_string(), now_ms)
        } else {
            Ok(())
        }
    });
    write.await?;
    woken.iter().for_each(|lane| node.wake(lane));
    node.wake_disk();
    Ok(())
}

/// Who may have the results of a job that no rule holds.
pub(super) fn receiver(node: &Node, offer: &Offer) -> Party {
    if offer.home == *node.member() {
        Party::Person(offer.researcher.clone())
    } else {
        Party::Member(offer.home.clone())
    }
}

fn entry(receipt: &Receipt, signed: &Signed<Receipt>, at: Timestamp) -> PendingEntry {
    PendingEntry {
        kind: "job.finished",
        subject: receipt.job.to_string(),
        payload: serde_json::json!({"receipt": signed.digest(), "exit": receipt.exit, "price_micro": receipt.price_micro}),
        at,
    }
}

/// Removes the working directory of an attempt that has ended, which is the effect's key. What an incident needs stays until that
/// is closed, whatever the class of its data (docs/decisions/0016).
///
/// # Errors
/// The engine could not: tried again.
pub async fn wipe(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    if kept_as_evidence(node, waiting).await? {
        return Ok(());
    }
    if let Some(job) = node.store.read(|connection| hosted::find(connection, waiting.job))? {
        let key = waiting.key.parse::<RunId>().ok().filter(|run| run.job == job.job);
        match run::engine(node, &job.site)?.wipe(key.unwrap_or_else(|| job.run())).await {
            // A job that the engine never took over left nothing.
            Ok(()) | Err(crate::engines::EngineError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if job.state == HostState::Finished {
            // No attempt comes that could go on from it.
            run::engine(node, &job.site)?.wipe_checkpoint(job.job).await?;
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// Has working directories that were kept removed, from the lanes that are handed back.
///
/// # Errors
/// The store failed; nothing is written.
pub(super) fn wipe_kept(tx: &Tx<'_>, runs: &[RunId], now: Timestamp) -> Result<Vec<Lane>, StoreError> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let mut lanes = Vec::new();
    for run in runs {
        if let Some(hosted) = hosted::find(tx.connection(), run.job)? {
            let lane = Lane::Engine(hosted.site);
            outbox::put(tx, &lane, Effect::Wipe, run.job, &run.to_string(), now_ms)?;
            lanes.push(lane);
        }
    }
    Ok(lanes)
}

/// Whether an incident that is not closed, or an order to stop that stands, needs the directory: then this is noted, and closing
/// or lifting it removes the directory.
async fn kept_as_evidence(node: &Node, waiting: &Waiting) -> Result<bool, StepError> {
    let (id, job, now) = (waiting.id, waiting.job, node.outside.now());
    if !node.store.read(|connection| frozen::is_frozen(connection, job))? {
        return Ok(false);
    }
    let run = waiting.key.parse::<RunId>().ok().filter(|run| run.job == job).unwrap_or_else(|| job.into());
    let write = node.store.write(move |tx| {
        // It may have been closed since.
        if !frozen::is_frozen(tx.connection(), job)? {
            return Ok(false);
        }
        if frozen::keep_run(tx, run, now)? {
            let payload = serde_json::json!({"run": run});
            tx.audit(PendingEntry { kind: "job.kept", subject: job.to_string(), payload, at: now });
        }
        outbox::done(tx, id)?;
        Ok(true)
    });
    Ok(write.await?)
}
