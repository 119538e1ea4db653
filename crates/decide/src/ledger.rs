// SPDX-License-Identifier: Apache-2.0
//! Credits in two phases: reserved at admission, posted at the receipt, voided otherwise. Integers, never negative.
//!
//! The form is TigerBeetle's two-phase transfer: a pending amount that is later posted in full or in part, or voided.

use sta_protocol::{
    ids::MemberId,
    refusal::{Refusal, RefusalCode},
};

/// What a project was granted, what is reserved of it and what is spent, in millionths of the treaty's currency.
///
/// At all times `0 <= pending`, `0 <= posted` and `pending + posted <= granted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    granted: i64,
    pending: i64,
    posted: i64,
}

/// Why an account does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The lawful no: the allocation does not cover it.
    #[error(
        "{needed} millionths are needed, {available} are left of the allocation: ask for less, or for a larger allocation"
    )]
    Exhausted {
        /// What was asked for.
        needed: i64,
        /// What is neither reserved nor spent.
        available: i64,
    },
    /// An amount below zero.
    #[error("the amount {0} is below zero: every transfer is zero or more")]
    Negative(i64),
    /// More than was reserved would be posted or voided.
    #[error(
        "{wanted} millionths would be taken out of a reservation of {reserved}: a receipt never exceeds its ceiling"
    )]
    AboveReservation {
        /// What was asked for.
        wanted: i64,
        /// What was reserved.
        reserved: i64,
    },
    /// The stored numbers break the account's own rule.
    #[error(
        "granted {granted}, pending {pending}, posted {posted} is no account: nothing may be negative, and pending and posted fit into granted"
    )]
    NoAccount {
        /// Granted.
        granted: i64,
        /// Reserved.
        pending: i64,
        /// Spent.
        posted: i64,
    },
    /// A grant beyond what a 64-bit number holds.
    #[error("a grant of {0} millionths more does not fit into an account: split the allocation")]
    TooLarge(i64),
}

impl LedgerError {
    /// The refusal that people see, where this is a lawful no rather than a fault.
    #[must_use]
    pub fn refusal(&self, by: &MemberId) -> Option<Refusal> {
        match *self {
            Self::Exhausted { needed, available } => {
                let facts =
                    [("needed_micro", needed.to_string()), ("available_micro", available.to_string())];
                Some(Refusal::new(RefusalCode::CreditExhausted, by, facts))
            }
            Self::Negative(_)
            | Self::AboveReservation { .. }
            | Self::NoAccount { .. }
            | Self::TooLarge(_) => None,
        }
    }
}

impl Account {
    /// An account as it was stored.
    ///
    /// # Errors
    /// [`LedgerError::NoAccount`] when the numbers break the account's rule.
    pub fn restore(granted: i64, pending: i64, posted: i64) -> Result<Self, LedgerError> {
        let used = pending.checked_add(posted);
        let whole = pending >= 0 && posted >= 0 && used.is_some_and(|used| used <= granted);
        if whole {
            Ok(Self { granted, pending, posted })
        } else {
            Err(LedgerError::NoAccount { granted, pending, posted })
        }
    }

    /// What the project was granted in all.
    #[must_use]
    pub fn granted(&self) -> i64 {
        self.granted
    }

    /// What is reserved for jobs that have not ended.
    #[must_use]
    pub fn pending(&self) -> i64 {
        self.pending
    }

    /// What is spent.
    #[must_use]
    pub fn posted(&self) -> i64 {
        self.posted
    }

    /// What is neither reserved nor spent.
    #[must_use]
    pub fn available(&self) -> i64 {
        // Cannot overflow: the rule of the account bounds both by `granted`.
        self.granted - self.pending - self.posted
    }
}

/// Adds to what the project was granted.
///
/// # Errors
/// A negative amount, or a sum beyond 64 bits.
pub fn grant(account: Account, amount: i64) -> Result<Account, LedgerError> {
    let amount = not_negative(amount)?;
    let granted = account.granted.checked_add(amount).ok_or(LedgerError::TooLarge(amount))?;
    Ok(Account { granted, ..account })
}

/// Reserves the highest price of a job.
///
/// # Errors
/// [`LedgerError::Exhausted`] when less is left, [`LedgerError::Negative`] for a negative amount.
pub fn reserve(account: Account, amount: i64) -> Result<Account, LedgerError> {
    let needed = not_negative(amount)?;
    let available = account.available();
    if needed > available {
        return Err(LedgerError::Exhausted { needed, available });
    }
    Ok(Account { pending: account.pending + needed, ..account })
}

/// Spends `actual` of a reservation and gives the rest of it back.
///
/// # Errors
/// A negative amount, more than was reserved, or a reservation that the account does not hold.
pub fn post(account: Account, reserved: i64, actual: i64) -> Result<Account, LedgerError> {
    let actual = not_negative(actual)?;
    if actual > reserved {
        return Err(LedgerError::AboveReservation { wanted: actual, reserved });
    }
    let voided = void(account, reserved)?;
    Ok(Account { posted: voided.posted + actual, ..voided })
}

/// Gives a whole reservation back.
///
/// # Errors
/// A negative amount, or a reservation that the account does not hold.
pub fn void(account: Account, reserved: i64) -> Result<Account, LedgerError> {
    let reserved = not_negative(reserved)?;
    if reserved > account.pending {
        return Err(LedgerError::AboveReservation { wanted: reserved, reserved: account.pending });
    }
    Ok(Account { pending: account.pending - reserved, ..account })
}

fn not_negative(amount: i64) -> Result<i64, LedgerError> {
    if amount < 0 { Err(LedgerError::Negative(amount)) } else { Ok(amount) }
}
