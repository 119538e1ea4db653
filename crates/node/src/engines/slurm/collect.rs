// SPDX-License-Identifier: Apache-2.0
//! Bringing home what an ended run left: stamps, streams and declared outputs, of many runs of an account with one command.

use std::{
    collections::BTreeMap,
    fmt::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use sta_protocol::federation::UsageSources;

use super::{
    Inner, Live, lock,
    outcome::{Known, Measured, TaskSeen},
    queue,
    records::Records,
    script::run_directory,
    site_commands::quoted,
    stamps::{Began, Ended, Stamps},
};
use crate::engines::{EngineError, Exit, LogChunk, Observation, Outcome, OutputFile, RunId, Stream, Usage};

/// How many runs one command collects.
const RUNS_MAX: usize = 16;
/// Streams up to this length come many at a time, in one answer.
const SMALL_BYTES: u64 = 64 << 10;
/// The longest output that is taken over.
const OUTPUT_BYTES_MAX: u64 = 1 << 44;
/// How long a run whose end could not be brought home is left alone.
const AGAIN: Duration = Duration::from_secs(2);
/// How long after its return a controller may still end jobs because of what it forgot.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(60);
/// How often a run is handed over again that Slurm took and could not start.
const STARTS_MAX: usize = 3;
/// How long the outcome of a run waits for the accounting, where only that knows how it ended.
const ACCOUNTING_WAIT: SignedDuration = SignedDuration::from_secs(15);

/// Begins to bring the ends of these runs home, apart from the poller.
pub(super) fn start(inner: &Arc<Inner>, ended: Vec<RunId>) {
    let mut by_account: BTreeMap<String, Vec<Live>> = BTreeMap::new();
    {
        let mut all = lock(&inner.live);
        for run in ended {
            if let Some(live) = all.get_mut(&run).filter(|live| !live.collecting) {
                live.collecting = true;
                by_account.entry(live.account.clone()).or_default().push(live.clone());
            }
        }
    }
    for (account, runs) in by_account {
        for some in runs.chunks(RUNS_MAX) {
            let (inner, account, some) = (Arc::clone(inner), account.clone(), some.to_vec());
            tokio::spawn(async move {
                match inner.collect(&account, &some).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(cluster = inner.settings.cluster, account, error = %error, "ended jobs cannot be collected yet");
                    }
                }
                tokio::time::sleep(AGAIN).await;
                let mut all = lock(&inner.live);
                for live in &some {
                    if let Some(live) = all.get_mut(&live.run) {
                        live.collecting = false;
                    }
                }
                inner.poller.notify_one();
            });
        }
    }
}

/// What one run left, as its directory says.
#[derive(Debug, Default)]
struct Left {
    stamps: BTreeMap<u32, Stamps>,
    /// Name and length of each stream that is not empty.
    streams: Vec<(String, u64)>,
    /// When one of them was last written to.
    written_at: Option<Timestamp>,
    /// Which of the declared outputs are there, by their place.
    outputs: Vec<usize>,
}

impl Inner {
    /// True when all of them are brought home.
    async fn collect(self: &Arc<Self>, account: &str, runs: &[Live]) -> Result<bool, EngineError> {
        let mut left = self.look_into(account, runs).await?;
        let accounts = if self.settings.accounting { self.accounts_of(runs).await? } else { BTreeMap::new() };
        self.bring_streams(account, &left).await?;
        let mut all = true;
        for live in runs {
            let left = left.remove(&live.run).unwrap_or_default();
            let wanted = !live.cancel && live.doomed.is_none() && live.notice.is_none();
            if wanted && live.is_lost() && left.stamps.is_empty() {
                self.begin_again(live).await?;
                continue;
            }
            let Some(measured) = self.measured(live, &left, &accounts)? else {
                all = false;
                continue;
            };
            let not_started = measured.iter().all(|task| task.may_begin_again);
            if live.count == 1 && not_started && live.never_started.len() < STARTS_MAX {
                self.begin_again(live).await?;
                continue;
            }
            let outputs = self.bring_outputs(account, live, &left).await?;
            // What never began was held to nothing.
            let began = measured.iter().any(|task| task.end.wall_ms > 0);
            let limits = if began { self.limits_enforced().await } else { Vec::new() };
            let outcome = together(live, measured, outputs, limits);
            self.records(move |records, run| records.finished(run, &outcome), live.run).await?;
            self.forget(live.run);
            self.moved(live.run);
        }
        Ok(all)
    }

    /// One command for all of them: which stamps, streams and outputs there are.
    async fn look_into(&self, account: &str, runs: &[Live]) -> Result<BTreeMap<RunId, Left>, EngineError> {
        let mut script = String::new();
        for live in runs {
            let directory = run_directory(&self.settings, account, live.run);
            let _ = writeln!(
                script,
                "if cd {directory} 2>/dev/null; then\n\
                 echo 'run {run}'\n\
                 grep -H '' began.* ended.* limit.* 2>/dev/null | sed 's/^/stamp /'\n\
                 stat -c 'stream %s %Y %n' out.* err.* 2>/dev/null\n\
                 work=$(readlink -f work)",
                run = live.run
            );
            for (place, name) in live.outputs.iter().enumerate() {
                let name = quoted(name);
                let _ = writeln!(
                    script,
                    "if [ -f work/{name} ] && [ ! -L work/{name} ] && [ \"$(readlink -f -- work/{name})\" = \"$work\"/{name} ]; then echo 'output {place}'; fi"
                );
            }
            script.push_str("fi\n");
        }
        script.push_str("echo all\n");
        const DOING: &str = "look at what jobs left";
        let said = self.commands.answer(account, DOING, &script).await?;
        let text = said.text();
        if text.lines().last() != Some("all") {
            return Err(EngineError::Site { doing: DOING, said: "the answer is not whole".to_owned() });
        }
        Ok(read_left(&text))
    }

    /// Brings the streams into the spool, those that are short with one command.
    async fn bring_streams(&self, account: &str, left: &BTreeMap<RunId, Left>) -> Result<(), EngineError> {
        let mut script = String::new();
        let mut small = Vec::new();
        for (run, left) in left {
            let spool = self.spool(*run);
            make_private(&spool)?;
            let directory = run_directory(&self.settings, account, *run);
            for (name, bytes) in left.streams.iter().filter(|(_, bytes)| *bytes > 0) {
                let (from, to) = (format!("{directory}/{name}"), spool.join(name));
                let wanted = (*bytes).min(self.settings.log_bytes_max);
                if wanted <= SMALL_BYTES {
                    let _ = writeln!(script, "head -c {wanted} {from}");
                    small.push((to, wanted));
                } else {
                    self.commands.fetch_head(account, &from, &to, wanted).await?;
                }
            }
        }
        if small.is_empty() {
            return Ok(());
        }
        const DOING: &str = "read what jobs wrote";
        let said = self.commands.answer(account, DOING, &script).await?;
        let mut rest = said.out.as_slice();
        for (path, bytes) in small {
            let length = usize::try_from(bytes).unwrap_or(usize::MAX);
            let Some((piece, after)) = rest.split_at_checked(length) else {
                return Err(EngineError::Site { doing: DOING, said: "the answer is not whole".to_owned() });
            };
            write_private(&path, piece)?;
            rest = after;
        }
        Ok(())
    }

    /// Brings the declared outputs into the spool; their digests are those of the bytes that came.
    async fn bring_outputs(
        &self,
        account: &str,
        live: &Live,
        left: &Left,
    ) -> Result<Vec<OutputFile>, EngineError> {
        let mut outputs = Vec::new();
        for place in &left.outputs {
            let Some(name) = live.outputs.get(*place) else { continue };
            let from = format!("{}/work/{name}", run_directory(&self.settings, account, live.run));
            let to = output_file(&self.spool(live.run), name);
            make_private(to.parent().unwrap_or(&self.root))?;
            let (sha256, bytes) = self.commands.fetch(account, &from, &to, OUTPUT_BYTES_MAX).await?;
            outputs.push(OutputFile { name: name.clone(), bytes, sha256 });
        }
        Ok(outputs)
    }

    /// Hands over once more what the cluster lost, or could not start: the run's own marker keeps it from beginning twice.
    async fn begin_again(&self, live: &Live) -> Result<(), EngineError> {
        tracing::warn!(cluster = self.settings.cluster, run = %live.run, "the cluster did not begin a job that it took: it is handed over again");
        self.records(Records::intend_again, live.run).await?;
        if let Some(since) = live.unseen_since {
            // Only a controller that fell loses what it took.
            self.silent(since).await?;
        }
        if let Some(live) = lock(&self.live).get_mut(&live.run) {
            if !live.is_lost() {
                live.never_started.extend(live.slurm_id);
            }
            (live.slurm_id, live.collecting, live.unseen_since) = (None, false, None);
            (live.ended_since, live.hand_over_again) = (None, true);
            live.tasks.clear();
        }
        self.poller.notify_one();
        Ok(())
    }

    /// How each task ended; none while accounting is to say so and may still do it.
    fn measured(
        &self,
        live: &Live,
        left: &Left,
        accounts: &BTreeMap<(u64, u32), queue::Account>,
    ) -> Result<Option<Vec<Measured>>, EngineError> {
        let now = Timestamp::now();
        let since = lock(&self.live).get_mut(&live.run).map(|live| *live.ended_since.get_or_insert(now));
        let may_wait = self.settings.accounting
            && since.is_some_and(|since| now.duration_since(since) < ACCOUNTING_WAIT);
        let none = Stamps::default();
        let mut measured = Vec::new();
        for index in 0..live.count {
            let stamps = left.stamps.get(&index).unwrap_or(&none);
            let slurm_id = stamps.began.map(|began| began.slurm_id).or(live.slurm_id).unwrap_or(0);
            let key = (slurm_id, index);
            let seen = live.tasks.get(&key).or(live.rest.as_ref()).cloned();
            let account = accounts.get(&key).filter(|account| account.name == live.name());
            // An account that is not closed yet has no figures.
            let closed = account.filter(|account| account.ended_at.is_some());
            let is_closed = closed.is_some_and(|account| account.is_closed);
            let seen = match (seen, closed) {
                (Some(seen), Some(account)) => Some(seen.with(account)),
                (None, Some(account)) => Some(TaskSeen::accounted(account)),
                (seen, None) => seen,
            };
            let since = stamps.began.map_or(live.submitted_at - AFTERMATH, |began| began.at);
            let silent = lock(&self.records).was_silent(since, now)?;
            let known = Known {
                seen: seen.as_ref(),
                stamps,
                cancel: live.cancel,
                notice: live.notice.is_some(),
                doomed: live.doomed.as_deref(),
                silent,
                alive_at: live.seen_running.max(left.written_at),
                now,
            };
            if may_wait && !is_closed && known.needs_accounting() {
                return Ok(None);
            }
            measured.push(known.measure(index));
        }
        Ok(Some(measured))
    }

    /// A piece of a stream: from the spool once the run is over, from the cluster while it runs.
    pub(super) async fn logs(
        &self,
        run: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Result<LogChunk, EngineError> {
        let observation = self.observe(run).await?;
        let name = format!("{}.{index}", stream_name(stream));
        match observation {
            Observation::Unknown => Err(EngineError::Unknown { id: run }),
            Observation::Finished(_) => read_spool(&self.spool(run).join(name), offset, length_max),
            Observation::Pending { .. } | Observation::Running { .. } => {
                let Some(live) = lock(&self.live).get(&run).cloned() else {
                    return Ok(LogChunk { bytes: Vec::new(), end: false });
                };
                if live.slurm_id.is_none() {
                    return Ok(LogChunk { bytes: Vec::new(), end: false });
                }
                let file = format!("{}/{name}", run_directory(&self.settings, &live.account, run));
                let script = format!(
                    "[ -f {file} ] || exit 0\ntail -c +{} {file} | head -c {length_max}\n",
                    offset.saturating_add(1)
                );
                let said = self.commands.answer(&live.account, "read what a job writes", &script).await?;
                Ok(LogChunk { bytes: said.out, end: false })
            }
        }
    }
}

/// The whole of a run from its tasks.
fn together(
    live: &Live,
    measured: Vec<Measured>,
    outputs: Vec<OutputFile>,
    limits_enforced: Vec<String>,
) -> Outcome {
    let first_fault = measured.iter().find(|task| task.end.exit != Exit::Code(0));
    let exit = first_fault.map_or(Exit::Code(0), |task| task.end.exit.clone());
    // The worst witness of all tasks speaks for the whole.
    let sources =
        measured.iter().map(|task| task.sources).max_by_key(|sources| rank(*sources)).unwrap_or_default();
    let began = measured.iter().filter(|task| task.end.wall_ms > 0).map(|task| task.end.started_at).min();
    let ended_at = measured.iter().map(|task| task.end.ended_at).max().unwrap_or_else(Timestamp::now);
    let missing = |name: &&String| !outputs.iter().any(|output| output.name == **name);
    Outcome {
        exit,
        // What was told of a running job stays true, though Slurm tells whole seconds.
        started_at: began.map_or(ended_at, |began| live.started_at.map_or(began, |told| told.min(began))),
        ended_at,
        usage: Usage {
            wall_ms: measured.iter().map(|task| task.end.wall_ms).sum(),
            cpu_ms: measured.iter().map(|task| task.cpu_ms).sum(),
            memory_peak_bytes: measured.iter().map(|task| task.memory_peak_bytes).max().unwrap_or(0),
            sources,
        },
        limits_enforced,
        outputs_missing: live.outputs.iter().filter(missing).cloned().collect(),
        tasks: if live.count > 1 { measured.into_iter().map(|task| task.end).collect() } else { Vec::new() },
        outputs,
    }
}

fn rank(sources: UsageSources) -> u8 {
    use sta_protocol::federation::UsageSource::{JobStamps, NotMeasured, Scheduler, Supervisor};
    let one = |source| match source {
        NotMeasured => 0,
        Supervisor => 1,
        JobStamps => 2,
        Scheduler => 3,
    };
    one(sources.wall)
}

fn read_left(text: &str) -> BTreeMap<RunId, Left> {
    let mut all: BTreeMap<RunId, Left> = BTreeMap::new();
    let mut run = None;
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("run ") {
            run = id.parse().ok();
            continue;
        }
        let Some(left) = run.map(|run| all.entry(run).or_default()) else { continue };
        if let Some(rest) = line.strip_prefix("stamp ") {
            let Some((file, text)) = rest.split_once(':') else { continue };
            let Some((kind, index)) = file.split_once('.') else { continue };
            let Ok(index) = index.parse() else { continue };
            let stamps = left.stamps.entry(index).or_default();
            match kind {
                "began" => stamps.began = Began::read(text),
                "ended" => stamps.ended = Ended::read(text),
                _limit => stamps.limit_reached = true,
            }
        } else if let Some(rest) = line.strip_prefix("stream ") {
            let mut fields = rest.splitn(3, ' ');
            let (Some(bytes), Some(at), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let at = at.parse().ok().and_then(|at| Timestamp::from_second(at).ok());
            left.written_at = left.written_at.max(at);
            left.streams.push((name.to_owned(), bytes.parse().unwrap_or(0)));
        } else if let Some(place) = line.strip_prefix("output ").and_then(|place| place.parse().ok()) {
            left.outputs.push(place);
        }
    }
    all
}

/// Where an output of a run is kept until it is wiped.
pub(super) fn output_file(spool: &Path, name: &str) -> PathBuf {
    spool.join("outputs").join(name)
}

pub(super) fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
    }
}

fn read_spool(path: &Path, offset: u64, length_max: usize) -> Result<LogChunk, EngineError> {
    if !path.exists() {
        return Ok(LogChunk { bytes: Vec::new(), end: true });
    }
    let (bytes, whole) = crate::store::blobs::read_range(path, offset, length_max)
        .map_err(|error| EngineError::Site { doing: "read a log", said: error.to_string() })?;
    let end = offset.saturating_add(bytes.len() as u64) >= whole;
    Ok(LogChunk { bytes, end })
}

fn make_private(path: &Path) -> Result<(), EngineError> {
    crate::engines::local::create_private(path)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let failed = |source| EngineError::Io { doing: "write", path: path.to_owned(), source };
    let open = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    let mut file = open.map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)
}
