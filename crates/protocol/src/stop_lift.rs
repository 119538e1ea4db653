// SPDX-License-Identifier: Apache-2.0
//! The end of an order to stop: signed by as many of the same people as the order itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Sha256Digest,
    ids::{MemberId, StopOrderId},
    jws::MultiSigned,
    keys::{PublicKey, SigningKey},
    record::{InvalidRecord, check_text, check_version},
    stop_order::{StopAuthority, StopRefused},
};

/// The media type that every signature of it names in `typ`.
pub const STOP_LIFT_TYP: &str = "sta-stop-lift+jws";

/// The word that an order to stop is lifted: what it stopped may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopLift {
    /// Wire version, 1.
    pub version: u8,
    /// The order.
    pub lifts: StopOrderId,
    /// SHA-256 of the order's payload.
    pub order_digest: Sha256Digest,
    /// The member whose people gave it and lift it.
    pub member: MemberId,
    /// Why, in words.
    pub reason: String,
    /// When it was lifted.
    pub lifted_at: Timestamp,
}

impl StopLift {
    /// Checks it on its own.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        check_text("reason", &self.reason)
    }
}

/// A lift with the signatures that it has so far; nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignedStopLift(MultiSigned);

impl SignedStopLift {
    /// A lift that nobody has signed yet.
    ///
    /// # Errors
    /// [`StopRefused::Invalid`], or it cannot be written.
    pub fn new(lift: &StopLift) -> Result<Self, StopRefused> {
        lift.check()?;
        Ok(Self(MultiSigned::new(lift)?))
    }

    /// Adds one person's signature; signing again changes nothing.
    ///
    /// # Errors
    /// As [`MultiSigned::add_signature`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), StopRefused> {
        Ok(self.0.add_signature(key, STOP_LIFT_TYP)?)
    }

    /// What it says without any proof: to learn which order it is about, never to act on.
    ///
    /// # Errors
    /// The payload is no lift, or not a whole one.
    pub fn peek_unverified(&self) -> Result<StopLift, StopRefused> {
        let lift: StopLift =
            serde_json::from_slice(&self.0.payload_bytes()?).map_err(StopRefused::Payload)?;
        lift.check()?;
        Ok(lift)
    }

    /// Checks that enough of the people who may give such orders have signed exactly this.
    ///
    /// # Errors
    /// Every [`StopRefused`] but that of time: a lift does not lapse.
    pub fn verify(&self, authority: &StopAuthority) -> Result<StopLift, StopRefused> {
        authority.check()?;
        let keys: Vec<(String, PublicKey)> = authority.keys.iter().map(|key| (key.key_id(), *key)).collect();
        let (payload, signers) = self.0.verify_some(&keys, STOP_LIFT_TYP)?;
        let lift: StopLift = serde_json::from_slice(&payload).map_err(StopRefused::Payload)?;
        lift.check()?;
        if lift.member != authority.member {
            let authority = authority.member.clone();
            return Err(StopRefused::OtherMember { order: lift.member, authority });
        }
        let wanted = usize::from(authority.signatures_min);
        if signers.len() < wanted {
            return Err(StopRefused::TooFewSignatures { member: lift.member, found: signers.len(), wanted });
        }
        Ok(lift)
    }
}
