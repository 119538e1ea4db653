// SPDX-License-Identifier: Apache-2.0
//! Admit: the host's own yes. Its rules first (a [`Permit`] of its own), then whether the site can run the job and whether
//! guests already hold their share.

use sta_protocol::{
    ids::MemberId,
    job::JobSpec,
    refusal::{Refusal, RefusalCode},
    treaty::{Resources, Sharing, Site},
};

use crate::{
    authorize::Permit,
    verdict::{Refusals, Verdict},
};

/// What a site is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SiteLoad {
    /// Held by jobs of the site's own member that run.
    pub running_home: Resources,
    /// Held, or asked for in the queue, by guests' jobs.
    pub running_guests: Resources,
    /// Jobs in the queue.
    pub queued: u32,
    /// The most jobs the queue may hold.
    pub queued_max: u32,
}

/// The proof that the host consents; only [`admit`] makes one, and nothing runs without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    permit: Permit,
    demand: Resources,
    is_guest: bool,
}

impl Admitted {
    /// The host's own permit.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// What the job will hold.
    #[must_use]
    pub fn demand(&self) -> Resources {
        self.demand
    }

    /// Whether it counts towards the guests' share.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.is_guest
    }
}

/// What one indexed task of a job holds, over all its nodes; a plain job is one task.
#[must_use]
pub fn task_resources(spec: &JobSpec) -> Resources {
    let one = Resources { cpu_cores: spec.cpu_cores, memory_bytes: spec.memory_bytes, gpus: spec.gpus };
    times(one, spec.shape.nodes)
}

/// What a job holds at once at most: as many of its tasks as may run side by side.
#[must_use]
pub fn demand_of(spec: &JobSpec) -> Resources {
    times(task_resources(spec), spec.shape.parallel)
}

/// Saturates: a product beyond the number's range is beyond every limit too.
fn times(resources: Resources, factor: u32) -> Resources {
    Resources {
        cpu_cores: resources.cpu_cores.saturating_mul(factor),
        memory_bytes: resources.memory_bytes.saturating_mul(u64::from(factor)),
        gpus: resources.gpus.saturating_mul(factor),
    }
}

/// Decides whether the site takes the job, at once or into its queue.
///
/// Refusals: [`RefusalCode::OfferNotForUs`] when the permit is for another site; [`RefusalCode::SiteTooSmall`] when the site
/// could never run it; [`RefusalCode::SiteFull`] when there is neither room nor a place in the queue;
/// [`RefusalCode::GuestShareUsed`] when guests would hold more than the treaty gives them.
#[must_use]
pub fn admit(
    permit: Permit,
    demand: Resources,
    site: &Site,
    load: SiteLoad,
    is_guest: bool,
) -> Verdict<Admitted> {
    let by = &permit.facts().by;
    if permit.facts().site.id != site.id {
        return Verdict::Refused(Refusals::one(Refusal::new(
            RefusalCode::OfferNotForUs,
            by,
            [("site.id", site.id.to_string())],
        )));
    }
    let too_small = kinds(demand, site.resources).filter(|kind| kind.wanted > kind.limit);
    let mut reasons: Vec<Refusal> =
        too_small.map(|kind| refusal(RefusalCode::SiteTooSmall, by, site, &kind)).collect();
    if reasons.is_empty() {
        reasons.extend(no_room(demand, site, load, by));
        if is_guest {
            let held = sum(load.running_guests, demand);
            let over = kinds(held, guest_share(site)).filter(|kind| kind.wanted > kind.limit);
            reasons.extend(over.map(|kind| refusal(RefusalCode::GuestShareUsed, by, site, &kind)));
        }
    }
    match Refusals::from_reasons(reasons) {
        Some(refusals) => Verdict::Refused(refusals),
        None => Verdict::Granted(Admitted { permit, demand, is_guest }),
    }
}

/// Why a guest that writes no checkpoint may not run so long at the site, as the treaty says; nothing where it may. Of a job
/// array all tasks count, one after the other: a notice can make all of them begin again.
#[must_use]
pub fn unsaved_too_long(
    spec: &JobSpec,
    sharing: Option<Sharing>,
    site: &Site,
    by: &MemberId,
) -> Option<Refusal> {
    let limit_s = u64::from(sharing?.unsaved_s_max?);
    let wanted_s = u64::from(spec.time_limit_s) * u64::from(spec.shape.count);
    let is_over = spec.checkpoint.is_none() && wanted_s > limit_s;
    is_over.then(|| {
        let (wanted, limit) = (("wanted_s", wanted_s.to_string()), ("limit_s", limit_s.to_string()));
        Refusal::new(RefusalCode::UnsavedTooLong, by, [("site.id", site.id.to_string()), wanted, limit])
    })
}

/// What guests may hold of a site at once, by the treaty, rounded down.
#[must_use]
pub fn guest_share(site: &Site) -> Resources {
    let percent = u64::from(site.guest_share_percent);
    let share = |whole: u32| u32::try_from(u64::from(whole) * percent / 100).unwrap_or(whole);
    let memory = u128::from(site.resources.memory_bytes) * u128::from(percent) / 100;
    Resources {
        cpu_cores: share(site.resources.cpu_cores),
        memory_bytes: u64::try_from(memory).unwrap_or(site.resources.memory_bytes),
        gpus: share(site.resources.gpus),
    }
}

fn no_room(demand: Resources, site: &Site, load: SiteLoad, by: &MemberId) -> Option<Refusal> {
    let held = sum(sum(load.running_home, load.running_guests), demand);
    let fits = kinds(held, site.resources).all(|kind| kind.wanted <= kind.limit);
    let facts = || {
        let queued = ("queued", load.queued.to_string());
        [("site.id", site.id.to_string()), queued, ("queued_max", load.queued_max.to_string())]
    };
    (!fits && load.queued >= load.queued_max).then(|| Refusal::new(RefusalCode::SiteFull, by, facts()))
}

/// One kind of resource, wanted and at most.
struct Kind {
    name: &'static str,
    wanted: u64,
    limit: u64,
}

fn kinds(wanted: Resources, limit: Resources) -> impl Iterator<Item = Kind> {
    let kind = |name, wanted, limit| Kind { name, wanted, limit };
    [
        kind("cpu_cores", wanted.cpu_cores.into(), limit.cpu_cores.into()),
        kind("memory_bytes", wanted.memory_bytes, limit.memory_bytes),
        kind("gpus", wanted.gpus.into(), limit.gpus.into()),
    ]
    .into_iter()
}

fn refusal(code: RefusalCode, by: &MemberId, site: &Site, kind: &Kind) -> Refusal {
    let (wanted, limit) = (("wanted", kind.wanted.to_string()), ("limit", kind.limit.to_string()));
    Refusal::new(
        code,
        by,
        [("site.id", site.id.to_string()), ("resource", kind.name.to_owned()), wanted, limit],
    )
}

/// Saturates: a sum beyond the number's range is beyond every limit too.
fn sum(a: Resources, b: Resources) -> Resources {
    Resources {
        cpu_cores: a.cpu_cores.saturating_add(b.cpu_cores),
        memory_bytes: a.memory_bytes.saturating_add(b.memory_bytes),
        gpus: a.gpus.saturating_add(b.gpus),
    }
}
