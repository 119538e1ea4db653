// SPDX-License-Identifier: Apache-2.0
//! Turns: in which order guests of several members are served at a site, by what their members lent each other.
//!
//! The order is that of [`sta_decide::turns`]. The books that it goes by are reckoned beside the shadows ([`super::alone`]) and only
//! read here, so that nobody waits for them: until there are some, all members count alike.

use rusqlite::Connection;
use sta_decide::{
    karma::Account,
    turns::{self, Member, Turn},
};
use sta_protocol::{
    ids::{JobId, MemberId},
    treaty::Resources,
};

use super::standing::{Balance, Kind, Standings};
use crate::{
    node::Node,
    store::{
        StoreError,
        line::{self, Guests, ReadyJob},
    },
};

/// How members stand at the beginning of the quantum under way, as far as this node knows.
#[derive(Debug, Default)]
pub(super) struct Books {
    guaranteed_ppm: u32,
    /// By each kind of processors; nothing before the first reckoning.
    kinds: Vec<(Kind, Vec<Page>)>,
}

/// What stands there of one member of the treaty.
#[derive(Debug, Clone)]
struct Page {
    member: MemberId,
    account: Account,
    /// What its jobs want in the quantum under way, those that are not over until its end.
    demand: u64,
}

impl Books {
    /// Those that are due after a reckoning.
    pub(super) fn of(standings: &Standings) -> Self {
        let kind = |balance: &Balance| (balance.kind, pages(standings, balance));
        Self {
            guaranteed_ppm: standings.terms.guaranteed_ppm,
            kinds: standings.balances.iter().map(kind).collect(),
        }
    }

    fn pages(&self, kind: Kind) -> &[Page] {
        self.kinds.iter().find(|(of, _)| *of == kind).map_or(&[], |(_, pages)| pages)
    }
}

fn pages(standings: &Standings, balance: &Balance) -> Vec<Page> {
    let terms = &standings.terms;
    let since_ms = (terms.until_ms - terms.from_ms) % terms.quantum_ms;
    let (begin_ms, end_ms) = (terms.until_ms - since_ms, terms.until_ms - since_ms + terms.quantum_ms);
    let of = |(member, standing): &(MemberId, sta_decide::standing::Member)| {
        let sites = standings.sites.iter().filter(|site| site.member == *member);
        let processors = sites.map(|site| u64::from(balance.kind.count(site.resources))).sum::<u64>();
        let jobs = balance.jobs.iter().filter(|job| job.home == *member).map(|job| &job.job);
        let wanted = jobs.map(|job| {
            let (from_ms, until_ms) = (job.submit_ms.max(begin_ms), job.finished_ms.unwrap_or(end_ms));
            until_ms.saturating_sub(from_ms).saturating_mul(job.processors.into())
        });
        Page {
            member: member.clone(),
            account: Account {
                share: processors.saturating_mul(terms.quantum_ms),
                credits: standing.credits_ms,
            },
            demand: wanted.fold(0, u64::saturating_add),
        }
    };
    balance.members.iter().map(of).collect()
}

/// Whether guests of two or more members wait at one of this node's sites.
pub(super) fn are_needed(node: &Node, connection: &Connection) -> Result<bool, StoreError> {
    for site in &node.config.sites {
        if line::homes_that_wait(connection, &site.id, node.member())? > 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All of these guests of a site, in their members' turns; those of one member as they came.
pub(super) fn in_turns(whole: Resources, books: &Books, mut guests: Vec<Guests>) -> Vec<ReadyJob> {
    if guests.len() < 2 {
        return guests.into_iter().flat_map(|of| of.ready).collect();
    }
    guests.sort_by_key(came_first);
    let first = kind(&guests[0]);
    let (these, those): (Vec<_>, Vec<_>) = guests.into_iter().partition(|of| kind(of) == first);
    let other = those.first().map_or(first, kind);
    let mut others = of_one_kind(whole, books, other, those).into_iter();
    let mut served = Vec::new();
    for job in of_one_kind(whole, books, first, these) {
        served.push(job);
        served.extend(others.next());
    }
    served.extend(others);
    served
}

fn came_first(guests: &Guests) -> Option<(u64, JobId)> {
    guests.ready.first().map(ReadyJob::came)
}

/// Cores and accelerators have accounts of their own, which nothing makes comparable. So each member counts by what its first guest
/// asks for, with all of its guests, which keep their order; and the members of one kind take turns with those of the other, one by one.
fn kind(guests: &Guests) -> Kind {
    guests.ready.first().map_or(Kind::Cores, |job| Kind::of(job.resources))
}

/// A member whose guests wait wants more than there is, so the quantum allots it as much as its share and its credits are worth; were
/// it what its jobs ask for, whoever submits most would weigh most. The others, the site's owner among them, lend what they do not want.
fn of_one_kind(whole: Resources, books: &Books, kind: Kind, guests: Vec<Guests>) -> Vec<ReadyJob> {
    let pages = books.pages(kind);
    let tasks = |of: &Guests| of.ready.iter().map(|job| job.resources).collect::<Vec<_>>();
    let tasks: Vec<Vec<Resources>> = guests.iter().map(tasks).collect();
    let account_of = |home: &MemberId| {
        let known = pages.iter().find(|page| page.member == *home);
        // Before the first reckoning nobody is known, and all are alike; later, one that the treaty has no more.
        known.map_or(Account { share: 0, credits: 0 }, |page| page.account)
    };
    let waits = |(of, tasks): (&Guests, _)| Member {
        account: account_of(&of.home),
        demand: u64::MAX,
        holds: of.holds,
        tasks,
    };
    let mut members: Vec<Member<'_>> =
        guests.iter().zip(tasks.iter().map(Vec::as_slice)).map(waits).collect();
    let lenders = pages.iter().filter(|page| guests.iter().all(|of| of.home != page.member));
    let lends = |page: &Page| Member {
        account: page.account,
        demand: page.demand,
        holds: Resources::default(),
        tasks: &[],
    };
    members.extend(lenders.map(lends));
    let order = turns::order(whole, books.guaranteed_ppm, &members);
    let mut ready: Vec<_> = guests.into_iter().map(|of| of.ready.into_iter()).collect();
    match order {
        Ok(order) => order.into_iter().filter_map(|Turn { member, .. }| ready[member].next()).collect(),
        // What the books hold was reckoned by the same rules, so this is not; and if it were, nobody would be kept waiting for it.
        Err(_) => {
            let mut served: Vec<ReadyJob> = ready.into_iter().flatten().collect();
            served.sort_by_key(ReadyJob::came);
            served
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Resources = Resources { cpu_cores: 96, memory_bytes: 1 << 30, gpus: 8 };

    /// Guests of a member that came one after the other from a moment on, by the accelerators that each asks for.
    fn guests(home: &str, from_ms: u64, gpus: &[u32]) -> Guests {
        let ready = |(came_ms, gpus): (u64, &u32)| ReadyJob {
            job: format!("0192f0c1-7e5b-7a10-8c3e-{came_ms:012x}").parse().unwrap(),
            offer_id: format!("0192f0c1-7e5b-7a10-8c3e-{came_ms:012x}").parse().unwrap(),
            home: home.parse().unwrap(),
            came_ms,
            resources: Resources { cpu_cores: 8, memory_bytes: 1 << 20, gpus: *gpus },
            longest_ms: 1000,
            came_back: false,
        };
        let ready = (from_ms..).zip(gpus).map(ready).collect();
        Guests { home: home.parse().unwrap(), holds: Resources::default(), ready }
    }

    fn served(books: &Books, guests: &[Guests]) -> Vec<u64> {
        in_turns(WHOLE, books, guests.to_vec()).iter().map(|job| job.came_ms).collect()
    }

    #[test]
    fn before_the_first_reckoning_members_take_turns_and_the_first_is_whose_guest_came_first() {
        let both = [guests("ca", 10, &[0; 3]), guests("fr", 5, &[0; 2])];
        assert_eq!(served(&Books::default(), &both), [5, 10, 6, 11, 12]);
        assert_eq!(served(&Books::default(), &both[..1]), [10, 11, 12]);
        assert_eq!(served(&Books::default(), &[]), [0; 0]);
    }

    #[test]
    fn members_that_ask_for_accelerators_take_turns_with_those_that_ask_for_none() {
        let all = [guests("ca", 10, &[0, 1, 0]), guests("fr", 20, &[2, 0, 0]), guests("nl", 30, &[0])];
        assert_eq!(
            served(&Books::default(), &all),
            [10, 20, 30, 21, 11, 22, 12],
            "each member keeps its order"
        );
    }

    #[test]
    fn a_member_weighs_by_what_it_contributes_to_the_kind_that_its_first_guest_asks_for() {
        let page = |member: &str, share| Page {
            member: member.parse().unwrap(),
            account: Account { share, credits: share },
            demand: 0,
        };
        let kinds = vec![
            (Kind::Cores, vec![page("ca", 10), page("fr", 30)]),
            (Kind::Accelerators, vec![page("ca", 30), page("fr", 10)]),
        ];
        let books = Books { guaranteed_ppm: 1_000_000, kinds };
        let of = |gpus: u32| [guests("ca", 10, &[gpus; 4]), guests("fr", 20, &[gpus; 4])];
        assert_eq!(served(&books, &of(0)), [10, 20, 21, 22, 11, 23, 12, 13]);
        assert_eq!(served(&books, &of(1)), [10, 20, 11, 12, 13, 21, 22, 23]);
    }
}
