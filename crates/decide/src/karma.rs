// SPDX-License-Identifier: Apache-2.0
//! Karma: who lends slices of its share in one quantum may borrow as many in a later one (Vuppalapati et al., "Karma: resource
//! allocation for dynamic demands", OSDI 2023).
//!
//! A slice is what the caller makes it, for example a processor for a second. Of its share `f`, a member is guaranteed the whole part
//! of `alpha * f`; the rest of all shares is shared, and each member gets as many new credits as it puts there. A borrowed slice
//! costs one credit, a lent one earns one. In each quantum slices go one by one to the member with most credits for each slice of its
//! share, and come from the lender with fewest, before the shared ones: the weighted form of the paper, counted in slices, so that
//! nothing is rounded and this law is exact, over all members:
//!
//! > credits after = credits before + slices put into the shared part - slices borrowed from the shared part
//!
//! Among members of equal shares it is the paper's algorithm. Whoever has no credits borrows nothing, even where slices stay idle.

use std::cmp::{Ordering, Reverse};

/// The most slices of one member's share: a thousand thousand million. Larger shares need larger slices.
pub const SHARE_MAX: u64 = 1 << 40;
/// The most credits of one member, so that they fit into a signed number of 64 bits.
pub const CREDITS_MAX: u64 = i64::MAX as u64;
/// The most members.
pub const MEMBERS_MAX: usize = 1024;
/// All of a share, in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// A member, at its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// How many slices it contributes to each quantum.
    pub share: u64,
    /// How many slices it may still borrow.
    pub credits: u64,
}

/// Why credits cannot be kept so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KarmaError {
    /// A guarantee of more than all.
    #[error("{0} millionths of a share cannot be guaranteed: use 0 (all is shared) to 1000000 (nothing is)")]
    Guarantee(u32),
    /// A list too long.
    #[error(
        "credits are kept for at most {MEMBERS_MAX} members, not for {0}: keep them for groups of members"
    )]
    Members(usize),
    /// A share too large.
    #[error(
        "member {member} contributes {share} slices and may contribute {SHARE_MAX} at most: use larger slices"
    )]
    Share {
        /// Its place in the list.
        member: usize,
        /// What it contributes.
        share: u64,
    },
    /// More credits than are kept.
    #[error(
        "member {member} would hold more than {CREDITS_MAX} credits: begin anew with fewer, or use larger slices"
    )]
    Credits {
        /// Its place in the list.
        member: usize,
    },
    /// Demands of others than the members.
    #[error(
        "{given} demands were given for {members} members: give one for each, in their order, 0 for none"
    )]
    Demands {
        /// How many demands.
        given: usize,
        /// How many members.
        members: usize,
    },
}

/// What a quantum brought one member, in slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What it may use.
    pub allocation: u64,
    /// Of its guaranteed part, what it did not want.
    pub offered: u64,
    /// Of that, what others borrowed: earned as credits.
    pub lent: u64,
    /// Of what it may use, what is above its guaranteed part: paid in credits.
    pub borrowed: u64,
    /// What it put into the shared part: new credits.
    pub shared: u64,
}

/// What a quantum brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantum {
    /// Each member, in the order of the accounts.
    pub members: Vec<Outcome>,
    /// How many of the borrowed slices came from the shared part, and not from a lender.
    pub borrowed_from_shared: u64,
}

/// The credits of the members between quanta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Karma {
    guaranteed_ppm: u32,
    accounts: Vec<Account>,
    /// Who is served first, as credits and shares stand.
    order: Vec<usize>,
}

impl Karma {
    /// Members with their shares and the credits that each begins with, and the paper's alpha in millionths.
    ///
    /// # Errors
    /// A number is beyond its limit.
    pub fn new(guaranteed_ppm: u32, accounts: Vec<Account>) -> Result<Self, KarmaError> {
        if guaranteed_ppm > WHOLE_PPM {
            return Err(KarmaError::Guarantee(guaranteed_ppm));
        }
        if accounts.len() > MEMBERS_MAX {
            return Err(KarmaError::Members(accounts.len()));
        }
        for (member, account) in accounts.iter().enumerate() {
            check_share(member, account.share)?;
            if account.credits > CREDITS_MAX {
                return Err(KarmaError::Credits { member });
            }
        }
        let mut karma = Self { guaranteed_ppm, order: (0..accounts.len()).collect(), accounts };
        karma.sort();
        Ok(karma)
    }

    /// Every member's share and credits.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The members in the order in which they are served now: most credits for each slice of its share first, then the place in the
    /// list. It changes only with a quantum or a share, and asking costs nothing.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// From the next quantum on, the member contributes so many slices. Nothing happens where there is no such member.
    ///
    /// # Errors
    /// The share is too large.
    pub fn set_share(&mut self, member: usize, share: u64) -> Result<(), KarmaError> {
        check_share(member, share)?;
        if let Some(account) = self.accounts.get_mut(member) {
            account.share = share;
            self.sort();
        }
        Ok(())
    }

    /// One quantum: who wants how many slices, what each gets, and the credits that follow.
    ///
    /// # Errors
    /// There is not one demand for each member, or a member would hold too many credits; nothing has changed then.
    pub fn quantum(&mut self, demands: &[u64]) -> Result<Quantum, KarmaError> {
        let members = self.accounts.len();
        if demands.len() != members {
            return Err(KarmaError::Demands { given: demands.len(), members });
        }
        let mut after = self.accounts.clone();
        let mut outcomes: Vec<Outcome> =
            self.accounts.iter().zip(demands).map(|(a, d)| self.kept(a, *d)).collect();
        for (account, outcome) in after.iter_mut().zip(&outcomes) {
            account.credits += outcome.shared;
        }
        // Of at most 1024 members with 2^40 slices each.
        let [offered, shared] = [|o: &Outcome| o.offered, |o: &Outcome| o.shared]
            .map(|part| outcomes.iter().map(part).sum::<u64>());
        let there = offered + shared;
        let state = || after.iter().zip(&outcomes);
        let offers: Vec<Claim> = state().map(|(account, outcome)| Claim::lend(account, outcome)).collect();
        let wants: Vec<Claim> = state()
            .zip(demands)
            .map(|((account, outcome), demand)| Claim::borrow(account, demand - outcome.allocation, there))
            .collect();
        let borrowed = there.min(wants.iter().map(|want| want.most).sum());
        let lent = borrowed.min(offered);
        let taken = serve(&wants, borrowed).into_iter().zip(serve(&offers, lent));
        for (member, (borrowed, lent)) in taken.enumerate() {
            let (outcome, account) = (&mut outcomes[member], &mut after[member]);
            outcome.allocation += borrowed;
            (outcome.borrowed, outcome.lent) = (borrowed, lent);
            account.credits = account.credits + lent - borrowed;
            if account.credits > CREDITS_MAX {
                return Err(KarmaError::Credits { member });
            }
        }
        self.accounts = after;
        self.sort();
        Ok(Quantum { members: outcomes, borrowed_from_shared: borrowed - lent })
    }

    /// What a member has of its own share before anyone borrows.
    fn kept(&self, account: &Account, demand: u64) -> Outcome {
        // At most 2^40 times a million.
        let guaranteed = account.share * u64::from(self.guaranteed_ppm) / u64::from(WHOLE_PPM);
        let allocation = demand.min(guaranteed);
        let shared = account.share - guaranteed;
        Outcome { allocation, offered: guaranteed - allocation, shared, ..Outcome::default() }
    }

    fn sort(&mut self) {
        let accounts = &self.accounts;
        let level = |member: &usize| {
            let account = &accounts[*member];
            Level { balance: i128::from(account.credits), weight: weight(account) }
        };
        self.order.sort_by_key(|member| (Reverse(level(member)), *member));
    }
}

fn check_share(member: usize, share: u64) -> Result<(), KarmaError> {
    if share > SHARE_MAX { Err(KarmaError::Share { member, share }) } else { Ok(()) }
}

/// Who contributes nothing is counted as if it were one slice, so that it has a place in the order.
fn weight(account: &Account) -> i128 {
    i128::from(account.share.max(1))
}

/// A balance for each slice of a share, compared exactly.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// At most 2^64 to either side.
    balance: i128,
    /// From 1 to 2^40.
    weight: i128,
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.balance * other.weight).cmp(&(other.balance * self.weight))
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Level {}

/// Someone who is served one slice at a time, each of which lowers its level by one for its weight.
#[derive(Debug, Clone, Copy)]
struct Claim {
    level: Level,
    most: u64,
}

impl Claim {
    /// A slice more is a credit less, down to none. Nobody gets more than is there, whatever they want.
    fn borrow(account: &Account, wanted: u64, there: u64) -> Self {
        let level = Level { balance: i128::from(account.credits), weight: weight(account) };
        Self { level, most: wanted.min(account.credits).min(there) }
    }

    /// Fewest credits come first, and a slice more is a credit more: the same with the sign turned.
    fn lend(account: &Account, outcome: &Outcome) -> Self {
        let level = Level { balance: -i128::from(account.credits), weight: weight(account) };
        Self { level, most: outcome.offered }
    }

    /// How many slices it is served before its level is below `height / scale`.
    fn down_to(&self, height: i128, scale: i128) -> u64 {
        // Where the product is beyond 128 bits, the quotient still is beyond every balance.
        let product = height.saturating_mul(self.level.weight);
        let least = product.div_euclid(scale) + i128::from(product.rem_euclid(scale) != 0);
        let slices = (self.level.balance - least + 1).clamp(0, i128::from(self.most));
        u64::try_from(slices).unwrap_or(self.most)
    }

    fn after(&self, slices: u64) -> Level {
        Level { balance: self.level.balance - i128::from(slices), ..self.level }
    }

    /// A height that no slice of its reaches, and one that all of them do.
    fn heights(&self, scale: i128) -> (i128, i128) {
        let Level { balance, weight } = self.level;
        (
            (balance * scale).div_euclid(weight) + 1,
            ((balance - i128::from(self.most)) * scale).div_euclid(weight),
        )
    }
}

/// Serves `total` slices one by one, each to the highest level, then to the first in the list; says how many each got.
///
/// As water runs out of basins: down to the lowest common height at which no more than the total are served, which is searched by
/// halves. The heights are so close to each other that below it each has at most one slice before the next.
fn serve(claims: &[Claim], total: u64) -> Vec<u64> {
    if total >= claims.iter().map(|claim| claim.most).sum() {
        return claims.iter().map(|claim| claim.most).collect();
    }
    let scale = claims.iter().map(|claim| claim.level.weight).max().unwrap_or(1);
    let heights = || claims.iter().map(|claim| claim.heights(scale));
    let mut above = heights().map(|(above, _)| above).max().unwrap_or(0);
    let mut below = heights().map(|(_, below)| below).min().unwrap_or(0);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        let served: u64 = claims.iter().map(|claim| claim.down_to(middle, scale)).sum();
        if served <= total {
            above = middle;
        } else {
            below = middle;
        }
    }
    let mut served: Vec<u64> = claims.iter().map(|claim| claim.down_to(above, scale)).collect();
    let rest = total - served.iter().sum::<u64>();
    let mut next: Vec<usize> =
        (0..claims.len()).filter(|place| claims[*place].down_to(below, scale) > served[*place]).collect();
    next.sort_by_key(|place| (Reverse(claims[*place].after(served[*place])), *place));
    for place in next.into_iter().take(usize::try_from(rest).unwrap_or(usize::MAX)) {
        served[place] += 1;
    }
    served
}
