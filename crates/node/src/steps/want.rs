// SPDX-License-Identifier: Apache-2.0
//! Want: at a site that orders its jobs itself, whether its owner's jobs wait there for room, and which guests are to leave for them.
//!
//! The site begins the owner's jobs by itself once there is room. So the question is put to what really is free on its nodes, other
//! load counted, and not to what the treaty gives; and while guests make room, no further guest is handed over to take it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_decide::reclaim::{Guest, Wish, all_fit, choose_where};
use sta_protocol::{
    ids::{JobId, MemberId, SiteId},
    treaty::Resources,
};

use super::{StepError, run};
use crate::{
    engines::{Floor, FloorWaiting, RunId},
    node::Node,
    store::{StoreError, reclaims},
};

/// How often a site is asked: each time it reads all its nodes.
const EVERY: SignedDuration = SignedDuration::from_secs(3);
/// How many of the owner's jobs are seen to at once, and how many guests that stay, the youngest, are asked about.
const OWN_MAX: u32 = 16;
const GUESTS_MAX: usize = 256;

/// What a site was last asked, kept by whoever watches it.
#[derive(Debug, Clone, Default)]
pub(super) struct Want {
    asked_at: Option<Timestamp>,
    decided: Decision,
}

/// What follows for guests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// Those that are to leave.
    pub(super) leave: Vec<JobId>,
    /// The first of the owner's jobs that they leave for.
    pub(super) first_in_want: Option<JobId>,
    /// Those that wait at this node wait on: the room that is there, or is being made, is the owner's.
    pub(super) guests_wait: bool,
}

impl Want {
    /// When the site is to be asked again, while its owner's jobs wait there beside guests.
    pub(super) fn asks_again_in(&self, now: Timestamp) -> Option<std::time::Duration> {
        let left = EVERY.saturating_sub(now.duration_since(self.asked_at?));
        Some(left.try_into().unwrap_or_default())
    }
}

/// Asks the site what its owner's jobs wait for, unless it was asked a moment ago. An engine that does not answer is asked again.
///
/// # Errors
/// The store failed.
pub(super) async fn look(node: &Node, site: &SiteId, want: &mut Want) -> Result<Decision, StepError> {
    let now = node.outside.now();
    if want.asked_at.is_some_and(|at| now.duration_since(at) < EVERY) {
        // Who was to leave has been told.
        return Ok(Decision { leave: Vec::new(), ..want.decided.clone() });
    }
    *want = Want::default();
    // Most of the time nobody is in want, and the site is not asked.
    let Some(asked) = node.store.read(|connection| Asked::read(connection, site, node.member()))? else {
        return Ok(Decision::default());
    };
    let floor = match run::engine(node, site)?.floor(&asked.own, &asked.guest_runs).await {
        Ok(floor) => floor,
        Err(error) => {
            tracing::debug!(%site, error = %error, "whether jobs of the owner find room is unknown");
            None
        }
    };
    let decided = floor.map(|floor| decide(&floor, &asked.own, &asked.guests)).unwrap_or_default();
    *want = Want { asked_at: Some(now), decided };
    Ok(want.decided.clone())
}

/// What the store says of a site.
struct Asked {
    own: Vec<RunId>,
    guests: Vec<Guest>,
    guest_runs: Vec<RunId>,
}

impl Asked {
    /// None where no job of the owner waits there beside guests.
    fn read(connection: &Connection, site: &SiteId, owner: &MemberId) -> Result<Option<Self>, StoreError> {
        // Before all who start or run there are read for them, which may be thousands of the owner's.
        if !reclaims::has_guests(connection, site, owner)? {
            return Ok(None);
        }
        let own = reclaims::own_waiting(connection, site, owner, OWN_MAX)?;
        if own.is_empty() {
            return Ok(None);
        }
        let mut guests = reclaims::guests(connection, site, owner)?;
        let mut staying = 0;
        guests.retain(|guest| {
            staying += usize::from(!guest.leaves);
            guest.leaves || staying <= GUESTS_MAX
        });
        let guest_runs = reclaims::runs_of(connection, &guests)?;
        Ok(Some(Self { own, guests, guest_runs }))
    }
}

/// The guests that make room for as many of the owner's jobs as they can, in the site's own order. A guest that waits before one of
/// these would be given the room first: it is among them where there is not enough for both.
fn decide(floor: &Floor, own: &[RunId], guests: &[Guest]) -> Decision {
    let on = |waiting: &FloorWaiting| -> Vec<usize> {
        let would_do = |kind: &Option<String>| waiting.gpu_type.is_none() || *kind == waiting.gpu_type;
        floor
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| would_do(&node.gpu_type))
            .map(|(place, _)| place)
            .collect()
    };
    let line: Vec<(&FloorWaiting, Vec<usize>)> =
        floor.waiting.iter().map(|waiting| (waiting, on(waiting))).collect();
    let mut held: BTreeMap<JobId, Vec<(usize, Resources)>> = BTreeMap::new();
    for one in &floor.held {
        held.entry(one.run.job).or_default().push((one.node, one.what));
    }
    let fits = |gone: &[&Guest], up_to: usize| {
        let mut free: Vec<Resources> = floor.nodes.iter().map(|node| node.free).collect();
        let left: BTreeSet<JobId> = gone.iter().map(|guest| guest.job).collect();
        for (node, what) in left.iter().filter_map(|job| held.get(job)).flatten() {
            if let Some(free) = free.get_mut(*node) {
                *free = free.and(*what);
            }
        }
        let stays = line.iter().take(up_to).filter(|(waiting, _)| !left.contains(&waiting.run.job));
        let wishes = stays.flat_map(|(waiting, on)| {
            (0..waiting.tasks).map(move |_| Wish { each: waiting.each, nodes: waiting.nodes, on })
        });
        all_fit(&free, wishes)
    };
    let mut decision = Decision::default();
    let in_want = line.iter().enumerate().filter(|(_, (waiting, _))| own.contains(&waiting.run));
    for (place, (waiting, _)) in in_want {
        let Some(chosen) = choose_where(guests, |gone| fits(gone, place + 1)) else { break };
        decision.leave = chosen;
        decision.guests_wait = true;
        decision.first_in_want.get_or_insert(waiting.run.job);
    }
    if !floor.is_settled {
        // What is about to be free may be enough.
        decision.leave.clear();
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::{FloorHeld, FloorNode};

    fn cores(cpu_cores: u32) -> Resources {
        Resources { cpu_cores, memory_bytes: u64::from(cpu_cores), gpus: 0 }
    }

    fn job(number: u8) -> JobId {
        JobId::new(1, [number; 10])
    }

    fn waiting(number: u8, cpu_cores: u32, nodes: u32) -> FloorWaiting {
        FloorWaiting { run: job(number).into(), each: cores(cpu_cores), nodes, tasks: 1, gpu_type: None }
    }

    /// A guest that began so late; one with 0 waits in the queue.
    fn guest(number: u8, began_ms: i64, leaves: bool) -> Guest {
        let began_ms = if began_ms == 0 { i64::MAX } else { began_ms };
        Guest { job: job(number), holds: cores(1), began_ms, leaves }
    }

    /// Nodes with so much free, what guests hold where, and who waits in which order.
    fn floor(free: &[u32], held: &[(u8, usize, u32)], waiting: &[FloorWaiting]) -> Floor {
        let node = |free: &u32| FloorNode { free: cores(*free), gpu_type: None };
        let hold = |(number, node, count): &(u8, usize, u32)| FloorHeld {
            run: job(*number).into(),
            node: *node,
            what: cores(*count),
        };
        Floor {
            nodes: free.iter().map(node).collect(),
            waiting: waiting.to_vec(),
            held: held.iter().map(hold).collect(),
            is_settled: true,
        }
    }

    /// The job with the number 1 is the owner's.
    fn leaving(floor: &Floor, guests: &[Guest]) -> (Vec<JobId>, bool) {
        let decision = decide(floor, &[job(1).into()], guests);
        (decision.leave, decision.guests_wait)
    }

    #[test]
    fn those_leave_who_make_room_where_it_is_needed_and_no_others() {
        // Eight cores a node: two guests on the first, and the youngest on the second beside other load.
        let held = [(2, 0, 4), (3, 0, 4), (4, 1, 2)];
        let guests = [guest(2, 10, false), guest(3, 20, false), guest(4, 30, false)];
        let full = floor(&[0, 0], &held, &[waiting(1, 8, 1)]);
        assert_eq!(leaving(&full, &guests), (vec![job(3), job(2)], true));
        let wide = floor(&[0, 0], &held, &[waiting(1, 8, 2)]);
        assert_eq!(leaving(&wide, &guests), (vec![], false), "other load stays where it is");
        let under_notice = [guest(2, 10, true), guest(3, 20, false), guest(4, 30, false)];
        let half = floor(&[0, 0], &held, &[waiting(1, 4, 1)]);
        assert_eq!(
            leaving(&half, &under_notice),
            (vec![], true),
            "one leaves already, and no other takes its place"
        );
    }

    #[test]
    fn a_guest_that_waits_before_the_owner_is_called_back_where_there_is_not_enough_for_both() {
        let guests = [guest(2, 10, false), guest(5, 0, false)];
        let before = [waiting(5, 4, 1), waiting(1, 4, 1)];
        let behind = [waiting(1, 4, 1), waiting(5, 4, 1)];
        let held = [(2, 0, 4)];
        assert_eq!(leaving(&floor(&[4], &held, &before), &guests), (vec![job(5)], true));
        assert_eq!(leaving(&floor(&[4], &held, &behind), &guests), (vec![], true));
        assert_eq!(leaving(&floor(&[8], &held, &before), &guests), (vec![], true), "there is room for both");
        assert_eq!(leaving(&floor(&[0], &held, &before), &guests), (vec![job(5), job(2)], true));
    }

    #[test]
    fn nobody_is_asked_while_something_else_is_about_to_be_free() {
        let moving = Floor { is_settled: false, ..floor(&[0], &[(2, 0, 4)], &[waiting(1, 4, 1)]) };
        assert_eq!(leaving(&moving, &[guest(2, 10, false)]), (vec![], true));
    }

    #[test]
    fn a_node_of_another_type_makes_no_room() {
        let mut typed = floor(&[0], &[(2, 0, 4)], &[waiting(1, 4, 1)]);
        typed.waiting[0].gpu_type = Some("h100".to_owned());
        typed.nodes[0].gpu_type = Some("gh200".to_owned());
        assert_eq!(leaving(&typed, &[guest(2, 10, false)]), (vec![], false));
        typed.nodes[0].gpu_type = Some("h100".to_owned());
        assert_eq!(leaving(&typed, &[guest(2, 10, false)]), (vec![job(2)], true));
    }
}
