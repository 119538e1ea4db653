// SPDX-License-Identifier: Apache-2.0
//! What every seed must keep: the promises, read from the members' disks and machines.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::Connection;
use sta_audit::{
    key::VerifierKey,
    tile::tiles_for_size,
    verify::{CHECKPOINT_PATH, LogFiles, verify_log},
};
use sta_node::{
    node::Node,
    steps::{dossier::Dossier, settle},
    store::{
        StoreError, audit,
        hosted::{self, HostState, HostedJob},
        jobs::{self, HomeJob, HomeState},
        ledger, outbox, reclaims,
    },
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Exit, Receipt},
    ids::JobId,
    jws::Signed,
    treaty::VerifiedTreaty,
};

use super::{
    Violation,
    fixture::{MEMBERS, PROJECTS, config, fixture, member_id, members},
    machines::Start,
    orders,
    world::{Shared, World, lock},
};

/// The month in which every simulation lies.
const PERIOD: &str = "2026-11";
/// More jobs than any seed has.
const JOBS_MAX: u32 = 1000;
/// How long statements and logs may take to be fetched, in simulated milliseconds.
const FETCH_MS_MAX: u64 = 30_000;

pub(super) type Checked = Result<(), Violation>;

pub(super) fn broken<T>(problem: String) -> Result<T, Violation> {
    Err(Violation(problem))
}

impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        Self(format!("a store does not read: {error:?}"))
    }
}

/// No project ever has more spent and set aside than it was granted; the accounts are the sums of their transfers.
pub(super) fn check_budgets(world: &World) -> Checked {
    for (member, name) in MEMBERS.iter().enumerate() {
        for (project, granted) in PROJECTS {
            let id = project.parse().expect("a name");
            let account = ledger::account(world.store(member), &id)?;
            let Some(account) = account else { return broken(format!("{name} lost its project {project}")) };
            let (pending, posted) = sums(world.store(member), project)?;
            if account.pending() != pending || account.posted() != posted || pending + posted > granted {
                return broken(format!(
                    "{name}'s {project}: granted {granted}, account {} pending {} posted, transfers {pending} and {posted}",
                    account.pending(),
                    account.posted()
                ));
            }
        }
    }
    Ok(())
}

/// What the transfers of a project come to: open holds, and what was paid.
fn sums(store: &Connection, project: &str) -> Result<(i64, i64), Violation> {
    let sql = "SELECT COALESCE(SUM(CASE WHEN kind = 'hold' AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.hold = h.id) THEN amount END), 0),
               COALESCE(SUM(CASE WHEN kind = 'post' THEN amount END), 0) FROM transfers h WHERE project = ?1";
    store
        .query_row(sql, [project], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|error| Violation(format!("the transfers do not add up: {error}")))
}

/// What is still under way; nothing when the world has come to rest.
pub(super) fn unrest(world: &World) -> Result<Vec<String>, Violation> {
    let mut found = Vec::new();
    for (member, name) in MEMBERS.iter().enumerate() {
        let store = world.store(member);
        for job in jobs::list(store, None, None, JOBS_MAX)?.into_iter().filter(|job| !job.state.is_final()) {
            found.push(format!(
                "{name}: job {} ({}) is {} at {:?}",
                job.id,
                job.spec.name,
                job.state.as_str(),
                job.site
            ));
        }
        for job in hosted_jobs(world, member)?.into_iter().filter(|job| job.state != HostState::Finished) {
            found.push(format!("{name}: hosted job {} is {}", job.job, job.state.as_str()));
        }
        for (lane, count) in outbox::lengths(store)? {
            let sql = "SELECT kind || ' ' || job || ' attempt ' || attempts || ': ' || COALESCE(last_error, '') FROM outbox WHERE lane = ?1";
            let first: Option<String> = store.query_row(sql, [&lane], |row| row.get(0)).ok();
            found.push(format!("{name}: {count} wait in {lane}, first {first:?}"));
        }
        found.extend(orders::open(store)?.into_iter().map(|open| format!("{name}: {open}")));
        let (size, published) = (audit::log_size(store)?, audit::checkpoint(store, "published")?);
        if published.as_ref().is_none_or(|(published, _)| *published != size) {
            found.push(format!(
                "{name}: {:?} of {size} entries are witnessed",
                published.map(|(size, _)| size)
            ));
        }
    }
    Ok(found)
}

fn hosted_jobs(world: &World, member: usize) -> Result<Vec<HostedJob>, Violation> {
    let mut all = Vec::new();
    for site in config(member, &world.directory(member)).sites {
        for state in HostState::ALL {
            all.extend(hosted::list(world.store(member), &site.id, state, JOBS_MAX)?);
        }
    }
    all.sort_by_key(|job| job.job);
    Ok(all)
}

/// Everything that must hold once the world is at rest. Returns what a second run of the seed must come to as well.
pub(super) fn check_all(world: &mut World) -> Result<Vec<String>, Violation> {
    check_budgets(world)?;
    let mut summary = Vec::new();
    for submission in lock(&world.submissions).iter() {
        let found = jobs::find(world.store(submission.home), submission.job())?;
        if submission.acknowledged && found.is_none() {
            return broken(format!("job {} was acknowledged and is lost", submission.job()));
        }
    }
    for (member, name) in MEMBERS.iter().enumerate() {
        let mut all = jobs::list(world.store(member), None, None, JOBS_MAX)?;
        all.reverse();
        for job in &all {
            check_job(world, job)?;
            let price = receipt_of(job)?.map(|receipt| receipt.price_micro);
            let (state, site) = (job.state.as_str(), &job.site);
            summary.push(format!(
                "{name} {} {state} {site:?} {price:?} {:?} {:?}",
                job.id, job.started_at, job.ended_at
            ));
        }
        check_payments(world, member, &all)?;
        check_hosted(world, member)?;
        summary.push(format!("{name} has {} audit entries", audit::log_size(world.store(member))?));
    }
    orders::check(world)?;
    check_statements(world)?;
    check_logs(world)?;
    Ok(summary)
}

fn receipt_of(job: &HomeJob) -> Result<Option<Receipt>, Violation> {
    job.receipt.as_ref().map(|receipt| verified(job, receipt)).transpose()
}

fn verified(job: &HomeJob, receipt: &Signed<Receipt>) -> Result<Receipt, Violation> {
    let treaty = treaty();
    let key = |key_id: &str| treaty.signing_key(key_id).map(|(_, key)| key);
    let signer = |key_id: &str| treaty.signing_key(key_id).map(|(member, _)| &member.id);
    match receipt.verify(key) {
        Ok(receipt) if signer(receipt.key_id()) == Some(&receipt.host) => Ok(receipt.into_inner()),
        Ok(receipt) => broken(format!("the receipt of job {} is not of {}", job.id, receipt.host)),
        Err(error) => broken(format!("the receipt of job {} is not its host's: {error}", job.id)),
    }
}

fn treaty() -> &'static VerifiedTreaty {
    &fixture().verified_treaty
}

/// A job at home: final, with the proofs that its state needs, and run no oftener than they say.
fn check_job(world: &World, job: &HomeJob) -> Checked {
    let starts = world.machines.starts().remove(&job.id).unwrap_or_default();
    let receipt = receipt_of(job)?;
    match (job.state, &receipt) {
        (HomeState::Waiting | HomeState::Offered | HomeState::Admitted | HomeState::Running, _) => {
            return broken(format!("job {} is still {}", job.id, job.state.as_str()));
        }
        (HomeState::Refused, None) => {
            let dossier = Dossier::of(job)?;
            if dossier.all_refusals().is_empty() {
                return broken(format!("job {} is refused without a reason", job.id));
            }
        }
        (HomeState::Cancelled, None) if !job.cancel_asked => {
            return broken(format!("job {} is cancelled and nobody asked", job.id));
        }
        (HomeState::Cancelled, None) => {}
        (HomeState::Cancelled, Some(receipt)) if receipt.exit == Exit::Cancelled => {}
        (HomeState::Completed, Some(receipt)) if receipt.exit == Exit::Code(0) => {}
        (HomeState::Failed, Some(receipt)) if !matches!(receipt.exit, Exit::Code(0) | Exit::Cancelled) => {}
        (state, receipt) => return broken(format!("job {} is {} with {receipt:?}", job.id, state.as_str())),
    }
    check_waiting(world, job, !starts.is_empty())?;
    check_attempts(world, job, &starts)
}

/// Whether home took the job back with this receipt, to have it go on elsewhere.
fn is_back(job: &HomeJob, receipt: &Receipt) -> Result<bool, Violation> {
    let moved = Dossier::of(job)?.moved;
    let noted = moved.iter().any(|note| note.attempt == receipt.attempt && note.kept_by.is_empty());
    Ok(noted && receipt.exit == Exit::Cancelled && receipt.started_at.is_none() && receipt.price_micro == 0)
}

/// One receipt for each attempt, of which exactly the last is final, but for those with which home took it back; each began at most
/// once, when its receipt says.
fn check_attempts(world: &World, job: &HomeJob, starts: &[Start]) -> Checked {
    let home = members().find(|member| jobs_home(world, *member, job)).expect("a home");
    let kept = ledger::receipts_of(world.store(home), job.id)?;
    let receipts = kept.iter().map(|kept| verified(job, kept)).collect::<Result<Vec<_>, _>>()?;
    let last = u32::try_from(receipts.len()).expect("few");
    let numbers = receipts.iter().map(|receipt| receipt.attempt).eq(1..=last);
    let mut back = Vec::new();
    for receipt in &receipts {
        if is_back(job, receipt)? {
            back.push(receipt.attempt);
        }
    }
    let goes_on =
        |receipt: &Receipt| receipt.goes_on == (receipt.attempt < last && !back.contains(&receipt.attempt));
    let by_site = |receipt: &Receipt| matches!(receipt.exit, Exit::SiteFault(_)) && receipt.price_micro == 0;
    // A guest, or at home one that ran only because another was away, which came back.
    let by_owner = |receipt: &Receipt| receipt.exit == Exit::Reclaimed;
    let may_go_on = |receipt: &Receipt| by_site(receipt) || by_owner(receipt);
    let lawful = receipts.iter().all(|receipt| goes_on(receipt) && (!receipt.goes_on || may_go_on(receipt)));
    let reclaimed = receipts.iter().filter(|receipt| receipt.exit == Exit::Reclaimed).count();
    let counted = last - u32::try_from(reclaimed + back.len()).expect("few");
    // Where it was over before anybody took it anew, the last receipt is the one with which it came back.
    let ends = kept.last() == job.receipt.as_ref() || job.receipt.is_none() && back.contains(&last);
    let allowed = counted <= job.spec.attempts_max && ends;
    // A job that saves its work pays for each attempt, and never more than was set aside; any other for its last alone.
    let saves = job.spec.checkpoint.is_some();
    let lawful =
        lawful && receipts.iter().filter(|receipt| receipt.goes_on).all(|one| saves || one.price_micro == 0);
    if !numbers || !lawful || !allowed {
        return broken(format!("job {} with {} attempts: {receipts:?}", job.id, job.spec.attempts_max));
    }
    if let Some(start) = starts.iter().find(|start| start.attempt > last) {
        return broken(format!("job {} really began without a receipt: {start:?}", job.id));
    }
    receipts.iter().try_for_each(|receipt| check_start(job, receipt, starts))
}

fn jobs_home(world: &World, member: usize, job: &HomeJob) -> bool {
    jobs::standing(world.store(member), job.id).is_ok_and(|found| found.is_some())
}

fn check_start(job: &HomeJob, receipt: &Receipt, starts: &[Start]) -> Checked {
    let of_attempt: Vec<&Start> = starts.iter().filter(|start| start.attempt == receipt.attempt).collect();
    match (receipt.started_at, of_attempt.as_slice()) {
        (None, []) => Ok(()),
        (Some(at), [start]) if receipt.site == start.site && start.at == at => Ok(()),
        // It began and ended within the same millisecond of its cancellation: nothing was used, nothing is paid.
        (None, [_]) if receipt.usage.wall_ms == 0 && receipt.price_micro == 0 => Ok(()),
        (_, starts) => broken(format!(
            "job {} is {} with receipt {receipt:?} and really began: {starts:?}",
            job.id,
            job.state.as_str()
        )),
    }
}

/// A job that names others began only if all of them completed, and was refused if one did not.
fn check_waiting(world: &World, job: &HomeJob, began: bool) -> Checked {
    let home = members().find(|member| jobs_home(world, *member, job)).expect("a home");
    for other in &job.spec.after {
        let ended = jobs::standing(world.store(home), *other)?.map(|(_, state)| state);
        let completed = ended == Some(HomeState::Completed);
        let ends_here = matches!(job.state, HomeState::Refused | HomeState::Cancelled);
        if !completed && (began || !ends_here) {
            return broken(format!(
                "job {} is {} after {other}, which is {ended:?}",
                job.id,
                job.state.as_str()
            ));
        }
    }
    Ok(())
}

/// At rest nothing is set aside, and what was paid is what the receipts say.
fn check_payments(world: &World, member: usize, jobs: &[HomeJob]) -> Checked {
    let mut paid: BTreeMap<&str, i64> = BTreeMap::new();
    for job in jobs {
        let mut price = 0;
        for kept in ledger::receipts_of(world.store(member), job.id)? {
            price += verified(job, &kept)?.price_micro;
        }
        *paid.entry(job.project.as_str()).or_default() += price;
    }
    for (project, _) in PROJECTS {
        let account =
            ledger::account(world.store(member), &project.parse().expect("a name"))?.expect("checked before");
        let expected = paid.get(project).copied().unwrap_or(0);
        if account.pending() != 0 || account.posted() != expected {
            let (pending, posted) = (account.pending(), account.posted());
            return broken(format!(
                "{}'s {project}: {pending} set aside, {posted} paid, receipts {expected}",
                MEMBERS[member]
            ));
        }
    }
    Ok(())
}

/// The receipts of a job that a host wrote, as a member has them.
fn of_host(world: &World, at: usize, host: usize, job: JobId) -> Result<Vec<Signed<Receipt>>, Violation> {
    let host = member_id(host);
    let all = ledger::receipts_of(world.store(at), job)?;
    let is_hosts =
        |receipt: &Signed<Receipt>| receipt.peek_unverified().is_ok_and(|receipt| receipt.host == host);
    Ok(all.into_iter().filter(is_hosts).collect())
}

/// Whatever a host consented to has a receipt that home has too, to the byte; the last of all is the job's.
fn check_hosted(world: &World, member: usize) -> Checked {
    for hosted in hosted_jobs(world, member)? {
        let home = members().find(|other| member_id(*other) == hosted.home).expect("a member");
        let Some(job) = jobs::find(world.store(home), hosted.job)? else {
            return broken(format!(
                "{} hosts job {}, which its home does not know",
                MEMBERS[member], hosted.job
            ));
        };
        let here = of_host(world, member, member, hosted.job)?;
        let is_last = hosted.receipt == job.receipt && job.admission.as_ref() == Some(&hosted.admission);
        let was_left = match hosted.receipt.as_ref().map(|receipt| verified(&job, receipt)).transpose()? {
            Some(receipt) => is_back(&job, &receipt)?,
            None => false,
        };
        let same = hosted.receipt.is_some()
            && here == of_host(world, home, member, hosted.job)?
            && here.last() == hosted.receipt.as_ref()
            && (is_last || was_left);
        if !same {
            let (id, here, there) = (hosted.job, hosted.receipt.is_some(), job.receipt.is_some());
            return broken(format!(
                "job {id}: {} has a receipt: {here}, its home {} ({}) has: {there}, and they differ",
                MEMBERS[member],
                MEMBERS[home],
                job.state.as_str()
            ));
        }
    }
    Ok(())
}

/// What a question asked within a member's process came to.
type Found<T> = Shared<Option<Result<T, String>>>;

/// Every two members come to the same statement, and learn so from each other.
fn check_statements(world: &mut World) -> Checked {
    for member in members() {
        for other in members().filter(|other| *other != member) {
            let found: Found<(Sha256Digest, Sha256Digest)> = Arc::default();
            let answer = Arc::clone(&found);
            let ask = move |node: Arc<Node>| async move { compare_statements(&node, other).await };
            world.within(
                member,
                Box::new(move |node| {
                    Box::pin(async move {
                        let outcome = ask(node).await;
                        *lock(&answer) = Some(outcome);
                    })
                }),
            );
            let (own, theirs) = wait_for(world, &found)?;
            if own != theirs {
                return broken(format!(
                    "{} and {} come to different statements",
                    MEMBERS[member], MEMBERS[other]
                ));
            }
        }
    }
    Ok(())
}

async fn compare_statements(node: &Node, other: usize) -> Result<(Sha256Digest, Sha256Digest), String> {
    let other = member_id(other);
    let own =
        settle::statement(node, PERIOD, &other).and_then(|statement| settle::statement_digest(&statement));
    let theirs = settle::peer_statement_digest(node, PERIOD, &other).await;
    Ok((own.map_err(|error| error.to_string())?, theirs.map_err(|error| error.to_string())?))
}

fn wait_for<T>(world: &mut World, found: &Found<T>) -> Result<T, Violation> {
    for _ in 0..FETCH_MS_MAX / 100 {
        if let Some(outcome) = lock(found).take() {
            return outcome.map_err(Violation);
        }
        world.run(100)?;
    }
    broken("an answer did not come although nothing fails any more".to_owned())
}

/// Everybody's log, fetched by another member as anybody could, verifies with the treaty's keys alone.
fn check_logs(world: &mut World) -> Checked {
    let treaty = treaty();
    for member in members() {
        let found: Found<Files> = Arc::default();
        let answer = Arc::clone(&found);
        let size = audit::log_size(world.store(member))?;
        world.within(
            (member + 1) % MEMBERS.len(),
            Box::new(move |node| {
                Box::pin(async move {
                    let outcome = fetch_log(&node, member, size).await;
                    *lock(&answer) = Some(outcome);
                })
            }),
        );
        let files = wait_for(world, &found)?;
        let keys = |index: usize| &treaty.members[index].keys;
        let log_key: VerifierKey = keys(member).log.parse().expect("a key");
        let witnesses: Vec<VerifierKey> = (members())
            .filter(|other| *other != member)
            .map(|other| keys(other).witness.parse().expect("a key"))
            .collect();
        match verify_log(&files, &log_key, &witnesses, usize::from(treaty.witness.quorum)) {
            Ok(report) if report.size == size => {}
            Ok(report) => {
                return broken(format!("{}'s log shows {} of {size} entries", MEMBERS[member], report.size));
            }
            Err(error) => return broken(format!("{}'s log does not verify: {error}", MEMBERS[member])),
        }
    }
    Ok(())
}

/// The files of a log as they came over the network.
struct Files(BTreeMap<String, Vec<u8>>);

impl LogFiles for Files {
    type Error = std::convert::Infallible;

    fn read(&self, path: &str, _bytes_max: usize) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.0.get(path).cloned())
    }
}

async fn fetch_log(node: &Node, member: usize, size: u64) -> Result<Files, String> {
    let url = node.treaty.member(&member_id(member)).expect("a member").url.clone();
    let mut files = BTreeMap::new();
    for path in
        std::iter::once(CHECKPOINT_PATH.to_owned()).chain(tiles_for_size(size).map(|tile| tile.to_string()))
    {
        let request =
            http::Request::get(format!("{url}/audit/{path}")).body(bytes::Bytes::new()).expect("a request");
        let answer = node.outside.transport.send(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{} of {url}/audit/{path}", answer.status()));
        }
        files.insert(path, answer.into_body().to_vec());
    }
    Ok(Files(files))
}

/// The ids of jobs, for a first look at what a seed did.
pub(super) fn outcomes(world: &World) -> Result<BTreeMap<&'static str, u64>, Violation> {
    let mut counts = BTreeMap::new();
    for member in members() {
        for job in jobs::list(world.store(member), None, None, JOBS_MAX)? {
            *counts.entry(job.state.as_str()).or_default() += 1;
            let abroad = job.admission.is_some() && job.host != Some(member_id(member));
            *counts.entry("tried again").or_default() += u64::from(job.attempt > 1);
            let moved = Dossier::of(&job)?.times_moved();
            *counts.entry("went elsewhere").or_default() += moved as u64;
            let faultless = reclaims::at_home(world.store(member), job.id)?.reclaimed;
            *counts.entry("reclaimed").or_default() += u64::from(faultless) - moved as u64;
            *counts.entry("after another").or_default() += u64::from(!job.spec.after.is_empty());
            *counts.entry(if abroad { "abroad" } else { "at home or nowhere" }).or_default() += 1;
        }
    }
    counts.insert("stopped by an order", orders::stopped(world)?);
    let started: Vec<JobId> = world.machines.starts().into_keys().collect();
    counts.insert("really began", started.len() as u64);
    Ok(counts)
}
