// SPDX-License-Identifier: Apache-2.0
//! Credits: the cases of `cases/ledger.toml`, and that no list of transfers breaks an account.

use proptest::prelude::*;
use serde::Deserialize;
use sta_decide::ledger::{Account, LedgerError, grant, post, reserve, void};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Granted, pending, posted.
    account: [i64; 3],
    #[serde(flatten)]
    transfer: Transfer,
    after: Option<[i64; 3]>,
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transfer {
    Grant(i64),
    Reserve(i64),
    /// Reserved, actual.
    Post([i64; 2]),
    Void(i64),
}

fn apply(account: Account, transfer: Transfer) -> Result<Account, LedgerError> {
    match transfer {
        Transfer::Grant(amount) => grant(account, amount),
        Transfer::Reserve(amount) => reserve(account, amount),
        Transfer::Post([reserved, actual]) => post(account, reserved, actual),
        Transfer::Void(reserved) => void(account, reserved),
    }
}

fn numbers(account: Account) -> [i64; 3] {
    [account.granted(), account.pending(), account.posted()]
}

fn kind(error: LedgerError) -> &'static str {
    match error {
        LedgerError::Exhausted { .. } => "exhausted",
        LedgerError::Negative(_) => "negative",
        LedgerError::AboveReservation { .. } => "above-reservation",
        LedgerError::NoAccount { .. } => "no-account",
        LedgerError::TooLarge(_) => "too-large",
    }
}

#[test]
fn every_transfer_ends_as_its_case_says() {
    let cases: Cases = toml::from_str(include_str!("../cases/ledger.toml")).unwrap();
    for case in cases.case {
        let [granted, pending, posted] = case.account;
        let result =
            Account::restore(granted, pending, posted).and_then(|account| apply(account, case.transfer));
        let (after, error) = match result {
            Ok(account) => (Some(numbers(account)), None),
            Err(error) => (None, Some(kind(error).to_owned())),
        };
        assert_eq!((after, error), (case.after, case.error), "{}", case.name);
    }
}

#[test]
fn only_an_exhausted_allocation_is_a_lawful_no() {
    let account = Account::restore(100, 30, 30).unwrap();
    let refusal = reserve(account, 41).unwrap_err().refusal(&"ca".parse().unwrap()).unwrap();
    assert_eq!(
        (refusal.rule.as_str(), refusal.fact_line().as_str()),
        ("LED-001", "available_micro=40; needed_micro=41")
    );
    assert_eq!(void(account, 31).unwrap_err().refusal(&"ca".parse().unwrap()), None);
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let amount = prop_oneof![8 => 0..1_000_i64, 1 => any::<i64>(), 1 => Just(i64::MAX)];
    prop_oneof![
        amount.clone().prop_map(Transfer::Grant),
        amount.clone().prop_map(Transfer::Reserve),
        (amount.clone(), amount.clone()).prop_map(|(reserved, actual)| Transfer::Post([reserved, actual])),
        amount.prop_map(Transfer::Void),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_list_of_transfers_breaks_an_account_or_loses_a_credit(
        transfers in proptest::collection::vec(any_transfer(), 0..60),
    ) {
        let mut account = Account::default();
        // The same book kept in wide numbers by its definition: what was granted, what is held, what was spent.
        let (mut granted, mut held, mut spent) = (0_i128, 0_i128, 0_i128);
        for transfer in transfers {
            let Ok(after) = apply(account, transfer) else { continue };
            match transfer {
                Transfer::Grant(amount) => granted += i128::from(amount),
                Transfer::Reserve(amount) => held += i128::from(amount),
                Transfer::Post([reserved, actual]) => {
                    held -= i128::from(reserved);
                    spent += i128::from(actual);
                }
                Transfer::Void(reserved) => held -= i128::from(reserved),
            }
            account = after;
            prop_assert_eq!([granted, held, spent], numbers(account).map(i128::from));
            prop_assert!(account.pending() >= 0 && account.posted() >= 0 && account.available() >= 0);
            prop_assert!(i128::from(account.pending()) + i128::from(account.posted()) <= i128::from(account.granted()));
            prop_assert_eq!(Account::restore(account.granted(), account.pending(), account.posted()), Ok(account));
        }
    }

    #[test]
    fn a_reservation_that_is_voided_leaves_no_trace(granted in 0..i64::MAX, amount in 0..i64::MAX) {
        let account = Account::restore(granted, 0, 0).unwrap();
        if let Ok(reserved) = reserve(account, amount) {
            prop_assert_eq!(void(reserved, amount), Ok(account));
            prop_assert_eq!(post(reserved, amount, 0), Ok(account));
        } else {
            prop_assert!(amount > granted);
        }
    }
}
