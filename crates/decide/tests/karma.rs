// SPDX-License-Identifier: Apache-2.0
//! The credits between members: laws over random demands, and the paper's loop over single slices to compare with.

use proptest::prelude::*;
use sta_decide::karma::{Account, CREDITS_MAX, Karma, KarmaError, MEMBERS_MAX, Outcome, SHARE_MAX};

/// Algorithm 1 of the paper, slice by slice, with credits and shares per member; says what each may use, and changes the credits.
fn by_the_paper(guaranteed_ppm: u32, accounts: &mut [Account], demands: &[u64]) -> Vec<u64> {
    let members = 0..accounts.len();
    let guaranteed: Vec<u64> =
        accounts.iter().map(|account| account.share * u64::from(guaranteed_ppm) / 1_000_000).collect();
    let mut allocation: Vec<u64> = members.clone().map(|u| demands[u].min(guaranteed[u])).collect();
    let mut donated: Vec<u64> = members.clone().map(|u| guaranteed[u] - allocation[u]).collect();
    let mut shared = 0;
    for u in members.clone() {
        accounts[u].credits += accounts[u].share - guaranteed[u];
        shared += accounts[u].share - guaranteed[u];
    }
    // The same comparison with floating point would decide ties by chance.
    let higher = |accounts: &[Account], a: usize, b: usize| {
        let [a, b] =
            [accounts[a], accounts[b]].map(|it| (u128::from(it.credits), u128::from(it.share.max(1))));
        a.0 * b.1 > b.0 * a.1
    };
    loop {
        let borrowers = members.clone().filter(|u| allocation[*u] < demands[*u] && accounts[*u].credits > 0);
        let Some(borrower) = borrowers.reduce(|a, b| if higher(accounts, b, a) { b } else { a }) else {
            return allocation;
        };
        let donors = members.clone().filter(|u| donated[*u] > 0);
        if let Some(donor) = donors.reduce(|a, b| if higher(accounts, a, b) { b } else { a }) {
            accounts[donor].credits += 1;
            donated[donor] -= 1;
        } else if shared > 0 {
            shared -= 1;
        } else {
            return allocation;
        }
        allocation[borrower] += 1;
        accounts[borrower].credits -= 1;
    }
}

fn accounts() -> impl Strategy<Value = Vec<Account>> {
    let account = (0u64..12, 0u64..20).prop_map(|(share, credits)| Account { share, credits });
    prop::collection::vec(account, 1..6)
}

/// Up to eight quanta of demands, of which each takes as many as there are members.
fn demands() -> impl Strategy<Value = Vec<Vec<u64>>> {
    prop::collection::vec(prop::collection::vec(prop_oneof![Just(0), 0u64..30], 5), 1..8)
}

fn guarantee() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(500_000), Just(1_000_000), 0u32..=1_000_000]
}

proptest! {
    #[test]
    fn levels_give_what_the_paper_gives_slice_by_slice(
        accounts in accounts(), quanta in demands(), guaranteed_ppm in guarantee(),
    ) {
        let mut paper = accounts.clone();
        let mut karma = Karma::new(guaranteed_ppm, accounts).unwrap();
        for demands in quanta {
            let demands = &demands[..paper.len()];
            let expected = by_the_paper(guaranteed_ppm, &mut paper, demands);
            let quantum = karma.quantum(demands).unwrap();
            let given: Vec<u64> = quantum.members.iter().map(|member| member.allocation).collect();
            prop_assert_eq!(given, expected);
            prop_assert_eq!(karma.accounts(), &paper);
        }
    }

    #[test]
    fn credits_come_only_from_what_is_shared_and_go_only_for_what_is_borrowed_of_it(
        accounts in accounts(), quanta in demands(), guaranteed_ppm in guarantee(),
    ) {
        let sum = |karma: &Karma| karma.accounts().iter().map(|account| account.credits).sum::<u64>();
        let mut karma = Karma::new(guaranteed_ppm, accounts).unwrap();
        for demands in quanta {
            let before = karma.clone();
            let quantum = karma.quantum(&demands[..before.accounts().len()]).unwrap();
            let total = |part: fn(&Outcome) -> u64| quantum.members.iter().map(part).sum::<u64>();
            prop_assert_eq!(sum(&karma), sum(&before) + total(|it| it.shared) - quantum.borrowed_from_shared);
            prop_assert_eq!(total(|it| it.borrowed), total(|it| it.lent) + quantum.borrowed_from_shared);
            for ((was, is), it) in before.accounts().iter().zip(karma.accounts()).zip(&quantum.members) {
                prop_assert_eq!(is.credits, was.credits + it.shared + it.lent - it.borrowed);
                prop_assert!(it.lent <= it.offered);
            }
        }
    }

    #[test]
    fn everyone_has_their_guaranteed_part_nobody_more_than_wanted_and_no_slice_is_idle_that_credits_could_buy(
        accounts in accounts(), quanta in demands(), guaranteed_ppm in guarantee(),
    ) {
        let capacity: u64 = accounts.iter().map(|account| account.share).sum();
        let mut karma = Karma::new(guaranteed_ppm, accounts).unwrap();
        for demands in quanta {
            let quantum = karma.quantum(&demands[..karma.accounts().len()]).unwrap();
            let used: u64 = quantum.members.iter().map(|member| member.allocation).sum();
            prop_assert!(used <= capacity);
            for ((account, it), demand) in karma.accounts().iter().zip(&quantum.members).zip(demands) {
                let guaranteed = account.share - it.shared;
                prop_assert_eq!(guaranteed, account.share * u64::from(guaranteed_ppm) / 1_000_000);
                prop_assert!(it.allocation >= demand.min(guaranteed) && it.allocation <= demand);
                let could_buy = it.allocation < demand && account.credits > 0;
                prop_assert!(!could_buy || used == capacity, "{} of {} are used", used, capacity);
            }
        }
    }

    #[test]
    fn the_first_in_the_order_has_most_credits_for_its_share(
        accounts in accounts(), quanta in demands(), guaranteed_ppm in guarantee(),
    ) {
        let mut karma = Karma::new(guaranteed_ppm, accounts).unwrap();
        for demands in quanta {
            karma.quantum(&demands[..karma.accounts().len()]).unwrap();
            let level = |member: usize| {
                let account = karma.accounts()[member];
                (account.credits, account.share.max(1))
            };
            for pair in karma.order().windows(2) {
                let (first, second) = (level(pair[0]), level(pair[1]));
                let (higher, lower) = (first.0 * second.1, second.0 * first.1);
                prop_assert!(higher > lower || higher == lower && pair[0] < pair[1]);
            }
        }
    }
}

fn karma(guaranteed_ppm: u32, accounts: &[(u64, u64)]) -> Result<Karma, KarmaError> {
    let account = |(share, credits): &(u64, u64)| Account { share: *share, credits: *credits };
    Karma::new(guaranteed_ppm, accounts.iter().map(account).collect())
}

#[test]
fn who_lent_yesterday_is_served_first_today() {
    let mut karma = karma(500_000, &[(10, 0), (10, 0)]).unwrap();
    // The first wants all and the second nothing: its 5 guaranteed slices are lent, and of the 10 shared ones the first has
    // credits for none, as its 5 new ones went for the lent slices.
    let first = karma.quantum(&[20, 0]).unwrap();
    assert_eq!(first.members[0], Outcome { allocation: 10, borrowed: 5, shared: 5, ..Outcome::default() });
    assert_eq!(first.members[1], Outcome { offered: 5, lent: 5, shared: 5, ..Outcome::default() });
    assert_eq!(karma.order(), [1, 0]);
    let second = karma.quantum(&[20, 20]).unwrap();
    assert_eq!(second.members.iter().map(|it| it.allocation).collect::<Vec<_>>(), [5, 15]);
    assert_eq!(second.borrowed_from_shared, 10);
    assert_eq!(karma.accounts().iter().map(|it| it.credits).collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn a_share_twice_as_large_borrows_twice_as_much_of_what_nobody_guarantees() {
    let mut karma = karma(0, &[(200, 200), (100, 100), (300, 300)]).unwrap();
    let quantum = karma.quantum(&[1000, 1000, 0]).unwrap();
    assert_eq!(quantum.members.iter().map(|it| it.allocation).collect::<Vec<_>>(), [400, 200, 0]);
}

#[test]
fn the_largest_shares_take_no_longer_than_small_ones() {
    let mut karma =
        karma(500_000, &[(SHARE_MAX, CREDITS_MAX / 2), (SHARE_MAX - 1, 7), (1, 0), (0, 3)]).unwrap();
    let quantum = karma.quantum(&[u64::MAX; 4]).unwrap();
    let used: u64 = quantum.members.iter().map(|it| it.allocation).sum();
    assert_eq!(used, 2 * SHARE_MAX);
}

#[test]
fn a_member_that_contributes_more_from_now_on_is_counted_by_its_new_share() {
    let mut karma = karma(0, &[(10, 30), (10, 20)]).unwrap();
    assert_eq!(karma.order(), [0, 1]);
    karma.set_share(0, 20).unwrap();
    karma.set_share(7, 20).unwrap();
    assert_eq!(karma.order(), [1, 0]);
}

#[test]
fn what_cannot_be_kept_is_told_with_what_to_do_and_changes_nothing() {
    let said = |result: Result<Karma, KarmaError>| result.unwrap_err().to_string();
    assert_eq!(
        said(karma(1_000_001, &[])),
        "1000001 millionths of a share cannot be guaranteed: use 0 (all is shared) to 1000000 (nothing is)"
    );
    assert_eq!(
        said(karma(0, &[(1, 1); MEMBERS_MAX + 1])),
        "credits are kept for at most 1024 members, not for 1025: keep them for groups of members"
    );
    let share = "member 1 contributes 1099511627777 slices and may contribute 1099511627776 at most: use larger slices";
    assert_eq!(said(karma(0, &[(1, 1), (SHARE_MAX + 1, 0)])), share);
    let credits = "member 0 would hold more than 9223372036854775807 credits: begin anew with fewer, or use larger slices";
    assert_eq!(said(karma(0, &[(1, CREDITS_MAX + 1)])), credits);
    let mut full = karma(0, &[(1, CREDITS_MAX), (1, 0)]).unwrap();
    let before = full.clone();
    assert_eq!(full.set_share(1, SHARE_MAX + 1).unwrap_err().to_string(), share);
    assert_eq!(full.quantum(&[0, 0]).unwrap_err().to_string(), credits);
    assert_eq!(
        full.quantum(&[1]).unwrap_err().to_string(),
        "1 demands were given for 2 members: give one for each, in their order, 0 for none"
    );
    assert_eq!(full, before);
}
