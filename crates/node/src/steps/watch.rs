// SPDX-License-Identifier: Apache-2.0
//! Watch: the host gives waiting jobs to the site's engine, and looks at those that the engine has.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_decide::{
    backfill::{Site, Wants},
    reclaim::{Guest, choose},
};
use sta_protocol::{
    ids::{JobId, MemberId, SiteId},
    treaty::Resources,
};

use super::{
    StepError,
    alone::Played,
    hold, reclaim, retry, run, turns,
    want::{self, Want},
};
use crate::{
    engines::{Engine, Observation, RunId},
    node::Node,
    store::{
        StoreError, Tx,
        hosted::{self, HostState, HostedJob, SiteUse, UnderWay},
        line::{self, ReadyJob},
        outbox::{self, Effect, Lane},
        reclaims,
    },
};

/// The most jobs of a site that one look follows; more are never under way.
const LOOK_MAX: u32 = 100_000;
/// How many jobs are looked at side by side, so that what they come to is written together.
const ABREAST: usize = 16;
/// How many jobs of a site are started at once, and how many are handed to one that orders them itself.
const START_MAX: (usize, u32) = (32, 256);
/// How many that wait are looked at for one that may begin: at most looks few, so that who submits a job does not wait for it, and
/// many once in [`FAR_EVERY`].
const LINE_MAX: (u32, u32) = (32, 256);
/// How often the line is looked at far behind its head.
const FAR_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How long somebody who asks why a job waits is kept waiting for the site's answer.
const REASON_WAIT: Duration = Duration::from_secs(2);

/// What is kept from one look at a site to the next.
#[derive(Debug, Default)]
pub struct Kept {
    want: Want,
    /// When the line was last looked at far behind its head.
    far_at: Option<Timestamp>,
}

impl Kept {
    /// When the site is to be asked again, while its owner's jobs wait there beside guests.
    #[must_use]
    pub fn asks_again_in(&self, now: Timestamp) -> Option<Duration> {
        self.want.asks_again_in(now)
    }
}

/// Starts waiting jobs: those of the site's owner first, in the order in which they came, but those before all others that would
/// run by now had their member stayed alone; then guests, where they are of several members by their turns (`steps/turns.rs`). A site that orders its jobs
/// itself is given them in this order, up to a number; any other while it has room. The first that finds none has its turn reserved, and
/// one behind it begins only where that stays where it is ([`sta_decide::backfill`]). Where the owner's find no room, here or at the
/// site, guests are given notice.
///
/// # Errors
/// The store failed.
pub async fn dispatch(node: &Node, site: &SiteId, kept: &mut Kept) -> Result<(), StepError> {
    let Some((terms, settings)) = node.own_site(site) else { return Ok(()) };
    let has_queue = run::engine(node, site)?.has_queue();
    let grace_s = node.treaty.sharing.map(|sharing| sharing.grace_s);
    let at_site = match grace_s {
        Some(_) if has_queue => want::look(node, site, &mut kept.want).await?,
        Some(_) | None => want::Decision::default(),
    };
    let now = node.outside.now();
    let room = Room {
        site: site.clone(),
        owner: node.member().clone(),
        whole: terms.resources,
        handed_over_max: has_queue.then_some(settings.handed_over_max),
        grace_s,
        at_site,
        looks_far: kept.far_at.is_none_or(|at| now.duration_since(at) >= FAR_EVERY),
        shadows: node.shadows.now(),
    };
    if room.looks_far {
        kept.far_at = Some(now);
    }
    // Without room for the first nothing starts, and the writer is left alone.
    if node.store.read(|connection| room.plan(connection, now))?.is_empty() {
        return Ok(());
    }
    let lane = Lane::Engine(site.clone());
    let put_lane = lane.clone();
    let write = node.store.write(move |tx| {
        let plan = room.plan(tx.connection(), now)?;
        plan.start.iter().try_for_each(|job| start(tx, job, &put_lane, now))?;
        let mut woken = vec![put_lane];
        for guest in &plan.leave {
            woken.extend(reclaim::give_notice(tx, *guest, plan.first_in_want, room.grace_s, now)?);
        }
        Ok(woken)
    });
    for lane in write.await? {
        node.wake(&lane);
    }
    Ok(())
}

/// Durable now: the engine is told from the outbox, and looks the job up before it takes it.
fn start(tx: &Tx<'_>, job: &ReadyJob, lane: &Lane, now: Timestamp) -> Result<(), StoreError> {
    hosted::set_starting(tx, job.job)?;
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    outbox::put(tx, lane, Effect::Start, job.job, &job.offer_id.to_string(), now_ms)
}

/// What a site may be given, and whose it is.
#[derive(Debug, Clone)]
struct Room {
    site: SiteId,
    owner: MemberId,
    whole: Resources,
    /// Of a site that orders its jobs itself, how many it may have at once, running or not.
    handed_over_max: Option<u32>,
    /// How long the notice of a guest is; none where the treaty knows no notice.
    grace_s: Option<u32>,
    /// Of a site that orders its jobs itself, what its owner's jobs wait for there.
    at_site: want::Decision,
    /// Whether this look goes far behind the head of the line.
    looks_far: bool,
    /// What the owner's jobs would do had it stayed alone.
    shadows: Arc<Played>,
}

/// What is to be done at a site.
#[derive(Debug, Default)]
struct Plan {
    start: Vec<ReadyJob>,
    /// The guests that are to leave.
    leave: Vec<JobId>,
    /// The first of the owner's jobs that found no room.
    first_in_want: Option<JobId>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.start.is_empty() && self.leave.is_empty()
    }
}

/// What these hold together.
fn total(guests: &[Guest]) -> Resources {
    guests.iter().fold(Resources::default(), |sum, guest| sum.and(guest.holds))
}

impl Room {
    fn plan(&self, connection: &Connection, now: Timestamp) -> Result<Plan, StoreError> {
        let held = hosted::site_use(connection, &self.site, &self.owner)?;
        let ready = self.line(connection, now, self.limit(&held))?;
        if self.handed_over_max.is_some() {
            // It orders them by its own priorities, its owner's and its guests'.
            let want::Decision { leave, first_in_want, guests_wait } = self.at_site.clone();
            let start = ready.into_iter().filter(|job| job.home == self.owner || !guests_wait).collect();
            return Ok(Plan { start, leave, first_in_want });
        }
        let (own, guests): (Vec<_>, Vec<_>) = ready.iter().partition(|job| job.home == self.owner);
        if let Some(plan) = self.give_back(connection, &own)? {
            return Ok(plan);
        }
        let grace_ms = u64::from(self.grace_s.unwrap_or(0)) * 1000;
        let holding = line::holding(connection, &self.site, &self.owner, now, grace_ms)?;
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let mut room = Site::new(now_ms, self.whole, [&holding.own[..], &holding.guests].concat());
        let wants = |job: &ReadyJob| Wants { resources: job.resources, longest_ms: job.longest_ms };
        // Where guests are to leave for its owner, they are free room to it.
        let mut owners = self.grace_s.map(|_| Site::new(now_ms, self.whole, holding.own));
        let (mut start, mut short, mut wait) = (Vec::new(), Vec::new(), Vec::new());
        for job in own {
            let is_due =
                owners.as_mut().map_or_else(|| room.begins(wants(job)), |site| site.begins(wants(job)));
            match (is_due, owners.is_some()) {
                (false, _) => wait.push(job),
                (true, false) => start.push(job),
                (true, true) if job.resources.fits_in(room.free()) => {
                    room.takes(wants(job));
                    start.push(job);
                }
                (true, true) => short.push(job),
            }
        }
        let leave = self.leaving(connection, room.free(), &short)?;
        let first_in_want = short.first().map(|job| job.job);
        // Where guests make room, no other takes it before the owner's job has it.
        if leave.is_none() {
            short.iter().chain(&wait).for_each(|job| room.waits(wants(job)));
            start.extend(guests.into_iter().filter(|job| room.begins(wants(job))));
        }
        let start = start.into_iter().take(START_MAX.0).cloned().collect();
        Ok(Plan { start, leave: leave.unwrap_or_default(), first_in_want })
    }

    /// Those that may start: the owner's that are owed their place, by when they would have begun; its others, by when they came; then
    /// guests, in their members' turns.
    fn line(&self, connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<ReadyJob>, StoreError> {
        let mut line = line::ready_of(connection, &self.site, &self.owner, now, limit)?;
        let left = limit.saturating_sub(u32::try_from(line.len()).unwrap_or(limit));
        if left > 0 {
            line.extend(self.guests(connection, now, left)?);
        }
        // A site that orders its jobs itself has its own line.
        let places = if self.handed_over_max.is_some() { 0 } else { limit as usize };
        let owed = &self.shadows.owed[..places.min(self.shadows.owed.len())];
        let mut first = line::ready_among(connection, &self.site, &self.owner, now, owed)?;
        line.retain(|job| first.iter().all(|owed| owed.job != job.job));
        first.extend(line);
        Ok(first)
    }

    /// Up to `limit` guests that may start. Where the treaty has no `sharing`, nobody keeps books, and they are served as they came.
    fn guests(
        &self,
        connection: &Connection,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReadyJob>, StoreError> {
        let Self { site, owner, .. } = self;
        match self.grace_s {
            None => line::ready_guests(connection, site, owner, now, limit),
            Some(_) => {
                let waiting = line::ready_by_home(connection, site, owner, now, limit)?;
                let mut guests = turns::in_turns(self.whole, &self.shadows.books, waiting);
                guests.truncate(limit as usize);
                Ok(guests)
            }
        }
    }

    /// Whether the first of the owner's jobs came back from elsewhere, is owed its place, and would find none though all guests left: then
    /// jobs of the owner stop for it that would still wait had it stayed alone, after the guests, and nobody begins before it has
    /// begun. They run only because others were elsewhere, and are no later than alone when they go on in their turn (docs/decisions/0019).
    fn give_back(&self, connection: &Connection, own: &[&ReadyJob]) -> Result<Option<Plan>, StoreError> {
        let is_owed = |job: &&&ReadyJob| job.came_back && self.shadows.owed.contains(&job.job);
        let Some(owed) = own.first().filter(is_owed).filter(|_| self.grace_s.is_some()) else {
            return Ok(None);
        };
        let held = hosted::site_use(connection, &self.site, &self.owner)?;
        let leaving = reclaims::own_leaving(connection, &self.site, &self.owner)?;
        if owed.resources.fits_in(self.whole.without(held.running_home).and(leaving)) {
            return Ok(None);
        }
        let mut ahead = reclaims::own(connection, &self.site, &self.owner)?;
        let would_wait = |job: JobId| self.shadows.began_ms.get(&job) == Some(&None);
        ahead.retain(|job| job.leaves || would_wait(job.job));
        let guests = reclaims::guests(connection, &self.site, &self.owner)?;
        let held_by_all = held.running_home.and(held.running_guests);
        let room = self.whole.without(held_by_all).and(total(&guests));
        let Some(stop) = choose(&ahead, room, owed.resources) else { return Ok(None) };
        let leave = guests.iter().filter(|guest| !guest.leaves).map(|guest| guest.job).chain(stop).collect();
        Ok(Some(Plan { start: Vec::new(), leave, first_in_want: Some(owed.job) }))
    }

    /// The guests that make room for as many of the owner's jobs as they can, in their order; none where they cannot even for the first.
    fn leaving(
        &self,
        connection: &Connection,
        free: Resources,
        short: &[&ReadyJob],
    ) -> Result<Option<Vec<JobId>>, StoreError> {
        if short.is_empty() {
            return Ok(None);
        }
        let guests = reclaims::guests(connection, &self.site, &self.owner)?;
        let own_leaving = reclaims::own_leaving(connection, &self.site, &self.owner)?;
        let free = free.and(own_leaving);
        let (mut need, mut leave) = (Resources::default(), None);
        for job in short {
            need = need.and(job.resources);
            match choose(&guests, free, need) {
                Some(chosen) => leave = Some(chosen),
                None => break,
            }
        }
        Ok(leave)
    }

    /// How many waiting jobs are worth a look.
    fn limit(&self, held: &SiteUse) -> u32 {
        match self.handed_over_max {
            Some(most) => most.saturating_sub(held.jobs_running).min(START_MAX.1),
            None if self.looks_far => LINE_MAX.1,
            None => LINE_MAX.0,
        }
    }
}

/// Why the site has not begun a job, in the site's words; none when it runs, is over, or the site does not say in time.
pub async fn reason(node: &Node, job: &HostedJob) -> Option<String> {
    if job.state != HostState::Starting {
        return None;
    }
    let engine = node.engines.get(&job.site)?;
    match tokio::time::timeout(REASON_WAIT, engine.observe(job.run())).await {
        Ok(Ok(Observation::Pending { reason, .. })) => reason,
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    }
}

/// Whether the engine has the job and nothing of it computes.
fn is_suspended(observed: &Observation) -> bool {
    match observed {
        Observation::Pending { suspended, .. } | Observation::Running { suspended, .. } => *suspended,
        Observation::Unknown | Observation::Finished(_) => false,
    }
}

/// What a look at a site found.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many jobs it went through.
    pub under_way: usize,
    /// Those whose engine or record failed, which are to be looked at again.
    pub failed: Vec<RunId>,
    /// Why, of one of them.
    pub trouble: Option<StepError>,
}

/// Looks at every job that the site's engine has or is being given, and records what is new.
///
/// # Errors
/// The store cannot say which they are.
pub async fn look_at_all(node: &Node, site: &SiteId) -> Result<Looked, StepError> {
    let all = node.store.read(|connection| hosted::under_way(connection, site, LOOK_MAX))?;
    look(node, site, all).await
}

/// Looks at the attempts that the engine named. One that is over, or not this node's, is passed over.
///
/// # Errors
/// The store cannot say where they stand.
pub async fn look_at(node: &Node, site: &SiteId, runs: &[RunId]) -> Result<Looked, StepError> {
    let found = node.store.read(|connection| {
        runs.iter()
            .filter_map(|run| hosted::find_under_way(connection, site, *run).transpose())
            .collect::<Result<Vec<_>, _>>()
    })?;
    look(node, site, found).await
}

async fn look(node: &Node, site: &SiteId, jobs: Vec<UnderWay>) -> Result<Looked, StepError> {
    let engine = run::engine(node, site)?;
    let mut looked = Looked { under_way: jobs.len(), ..Looked::default() };
    let looks = jobs.into_iter().map(|job| async move {
        let outcome = if node.is_stopping() { Ok(()) } else { look_at_one(node, engine, job).await };
        (job.run, outcome)
    });
    let mut looks = stream::iter(looks).buffer_unordered(ABREAST);
    while let Some((run, outcome)) = looks.next().await {
        if let Err(error) = outcome {
            looked.failed.push(run);
            looked.trouble = Some(error);
        }
    }
    Ok(looked)
}

async fn look_at_one(node: &Node, engine: &dyn Engine, job: UnderWay) -> Result<(), StepError> {
    let observed = engine.observe(job.run).await?;
    let stands_still = job.is_to_stand && is_suspended(&observed);
    let is_new = match &observed {
        // Not taken over yet: the effect that does it is in the outbox.
        Observation::Unknown | Observation::Pending { .. } => stands_still,
        Observation::Running { .. } => !job.began || stands_still,
        Observation::Finished(_) => true,
    };
    let found =
        if is_new { node.store.read(|connection| hosted::find(connection, job.run.job))? } else { None };
    let Some(hosted_job) = found.filter(|found| found.run() == job.run) else { return Ok(()) };
    if stands_still {
        hold::confirmed(node, &hosted_job).await?;
    }
    match observed {
        Observation::Running { .. } if job.began => Ok(()),
        Observation::Running { started_at, .. } => run::began(node, &hosted_job, started_at).await,
        Observation::Finished(outcome) => retry::attempt_ended(node, &hosted_job, outcome).await,
        Observation::Unknown | Observation::Pending { .. } => Ok(()),
    }
}
