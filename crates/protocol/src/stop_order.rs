// SPDX-License-Identifier: Apache-2.0
//! Orders to stop a job, everything on a model, or a site: signed by several people of one member, acknowledged by every
//! site they reach, with the state of what was stopped kept as it was.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    digest::{JSON_INTEGER_MAX, Sha256Digest},
    ids::{JobId, MemberId, ModelId, SiteId, StopOrderId},
    jws::{Document, JwsError, MultiSigned},
    keys::{PublicKey, SigningKey},
    record::{InvalidRecord, Record, check_order, check_text, check_unique, check_version, invalid},
    treaty::Treaty,
};

/// The media type that every signature of an order names in `typ`.
pub const STOP_ORDER_TYP: &str = "sta-stop-order+jws";
/// The longest time for which an order can be given to a site: 30 days.
pub const LIFETIME_S_MAX: i64 = 30 * 86_400;
/// The longest time that an order may leave a site to acknowledge it: one hour.
pub const ACKNOWLEDGE_S_MAX: u32 = 3600;

/// An order to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopOrder {
    /// Wire version, 1.
    pub version: u8,
    /// The order.
    pub order: StopOrderId,
    /// The member whose people give it.
    pub member: MemberId,
    /// What is to stop.
    pub target: StopTarget,
    /// Why, in words.
    pub reason: String,
    /// When it was given.
    pub issued_at: Timestamp,
    /// When it lapses for sites that it has not reached; what it stopped stays stopped.
    pub expires_at: Timestamp,
    /// How many seconds after `issued_at` every site must have stopped and said so.
    pub acknowledge_within_s: u32,
}

/// What an order stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum StopTarget {
    /// One job.
    Job(JobId),
    /// Every job that says it trains a model.
    Model(ModelId),
    /// Everything at a site.
    Site(SiteId),
}

/// The people of one member who may order a stop together, as the treaty names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopAuthority {
    /// The member.
    pub member: MemberId,
    /// The Ed25519 keys of those people.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub signatures_min: u8,
}

impl StopAuthority {
    /// Who may order a stop for a member: those whom the treaty names, or where it names nobody whoever holds the member's
    /// own key for documents, one signature being enough. `None` for a member that the treaty does not have.
    #[must_use]
    pub fn of(treaty: &Treaty, member: &MemberId) -> Option<Self> {
        let named = treaty.stop_authorities.iter().find(|authority| authority.member == *member);
        let own = || {
            let found = treaty.members.iter().find(|known| known.id == *member)?;
            Some(Self { member: member.clone(), keys: vec![found.keys.signing], signatures_min: 1 })
        };
        named.cloned().or_else(own)
    }

    /// Whether its terms can be met: 1 to as many signatures as there are keys, each key once.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), InvalidRecord> {
        let key_ids: Vec<String> = self.keys.iter().map(PublicKey::key_id).collect();
        check_unique("stop_authorities.keys", &key_ids)?;
        if self.signatures_min == 0 || usize::from(self.signatures_min) > self.keys.len() {
            let problem =
                format!("is {}, of {} keys: use 1 to as many", self.signatures_min, self.keys.len());
            return invalid("stop_authorities.signatures_min", problem);
        }
        Ok(())
    }
}

/// Why an order is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum StopRefused {
    /// The signatures or the form do not hold.
    #[error("the order to stop is not signed as it must be")]
    Signature(#[from] JwsError),
    /// The payload is no order.
    #[error("the payload is no order to stop")]
    Payload(#[source] serde_json::Error),
    /// It breaks a bound.
    #[error("the order to stop is not whole: {0}")]
    Invalid(#[from] InvalidRecord),
    /// Signed by people of another member.
    #[error("the order is one of {order}, and these are the keys of {authority}")]
    OtherMember {
        /// Whose order it says it is.
        order: MemberId,
        /// Whose keys were used to check it.
        authority: MemberId,
    },
    /// Too few of those who may have signed.
    #[error(
        "the order has {found} of the {wanted} signatures that it needs: ask others of {member} to sign it too"
    )]
    TooFewSignatures {
        /// The member.
        member: MemberId,
        /// How many signatures hold.
        found: usize,
        /// How many must.
        wanted: usize,
    },
    /// Too late or too early.
    #[error("the order is good from {from} to {until}, and it is {now}: give a new one")]
    OutOfTime {
        /// When it was given.
        from: Timestamp,
        /// When it lapsed.
        until: Timestamp,
        /// Now.
        now: Timestamp,
    },
}

/// An order with the signatures that it has so far; nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignedStopOrder(MultiSigned);

impl SignedStopOrder {
    /// An order that nobody has signed yet.
    ///
    /// # Errors
    /// [`StopRefused::Invalid`], or it cannot be written.
    pub fn new(order: &StopOrder) -> Result<Self, StopRefused> {
        order.check()?;
        Ok(Self(MultiSigned::new(order)?))
    }

    /// Adds one person's signature; signing again changes nothing.
    ///
    /// # Errors
    /// As [`MultiSigned::add_signature`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), StopRefused> {
        Ok(self.0.add_signature(key, STOP_ORDER_TYP)?)
    }

    /// SHA-256 of its payload, the same whoever has signed.
    ///
    /// # Errors
    /// The payload is not base64url.
    pub fn payload_sha256(&self) -> Result<Sha256Digest, StopRefused> {
        Ok(Sha256Digest::of(&self.0.payload_bytes()?))
    }

    /// The order without any proof: to learn whose it is, never to act on.
    ///
    /// # Errors
    /// The payload is no order, or not a whole one.
    pub fn peek_unverified(&self) -> Result<StopOrder, StopRefused> {
        let order: StopOrder =
            serde_json::from_slice(&self.0.payload_bytes()?).map_err(StopRefused::Payload)?;
        order.check()?;
        Ok(order)
    }

    /// Checks that enough of the people whom the treaty names have signed exactly this, and that it is in its time.
    /// A signature by anybody else, or a false one, refuses the whole.
    ///
    /// # Errors
    /// Every [`StopRefused`].
    pub fn verify(
        &self,
        authority: &StopAuthority,
        now: Timestamp,
        skew_s: i64,
    ) -> Result<VerifiedStopOrder, StopRefused> {
        authority.check()?;
        let keys: Vec<_> = authority.keys.iter().map(|key| (key.key_id(), *key)).collect();
        let (payload, signers) = self.0.verify_some(&keys, STOP_ORDER_TYP)?;
        let order: StopOrder = serde_json::from_slice(&payload).map_err(StopRefused::Payload)?;
        order.check()?;
        if order.member != authority.member {
            let authority = authority.member.clone();
            return Err(StopRefused::OtherMember { order: order.member, authority });
        }
        let wanted = usize::from(authority.signatures_min);
        if signers.len() < wanted {
            return Err(StopRefused::TooFewSignatures { member: order.member, found: signers.len(), wanted });
        }
        let skew = SignedDuration::from_secs(skew_s);
        if order.issued_at > now.saturating_add(skew).unwrap_or(now) || order.expires_at <= now {
            return Err(StopRefused::OutOfTime { from: order.issued_at, until: order.expires_at, now });
        }
        Ok(VerifiedStopOrder { order, digest: Sha256Digest::of(&payload), signers })
    }
}

/// An order that holds. It comes out of [`SignedStopOrder::verify`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStopOrder {
    order: StopOrder,
    digest: Sha256Digest,
    signers: Vec<String>,
}

impl VerifiedStopOrder {
    /// The order.
    #[must_use]
    pub fn order(&self) -> &StopOrder {
        &self.order
    }
    /// SHA-256 of its payload, the same whoever has signed: its name in acknowledgements.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }
    /// The names of the keys that signed.
    #[must_use]
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

impl StopOrder {
    /// The moment by which every site must have stopped and said so.
    #[must_use]
    pub fn acknowledge_by(&self) -> Timestamp {
        let within = SignedDuration::from_secs(i64::from(self.acknowledge_within_s));
        self.issued_at.saturating_add(within).unwrap_or(Timestamp::MAX)
    }

    /// Checks the order on its own.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        check_text("reason", &self.reason)?;
        let lifetime_s = self.expires_at.duration_since(self.issued_at).as_secs();
        if !(1..=LIFETIME_S_MAX).contains(&lifetime_s) {
            let problem = format!("is {lifetime_s} s after `issued_at`: use 1 s to 30 days");
            return invalid("expires_at", problem);
        }
        if !(1..=ACKNOWLEDGE_S_MAX).contains(&self.acknowledge_within_s) {
            let problem = format!("is {}: use 1 to {ACKNOWLEDGE_S_MAX}", self.acknowledge_within_s);
            return invalid("acknowledge_within_s", problem);
        }
        Ok(())
    }
}

/// A site's answer to an order: what it stopped, and where the state of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopAcknowledgement {
    /// Wire version, 1.
    pub version: u8,
    /// The order.
    pub order: StopOrderId,
    /// [`VerifiedStopOrder::digest`].
    pub order_digest: Sha256Digest,
    /// The member that answers.
    pub member: MemberId,
    /// The site.
    pub site: SiteId,
    /// When the order came.
    pub received_at: Timestamp,
    /// What was stopped; empty when nothing of it was here.
    pub stopped: Vec<StoppedJob>,
    /// When all of it had stopped.
    pub completed_at: Timestamp,
}

/// One job that an order stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppedJob {
    /// The job.
    pub job: JobId,
    /// When it stopped.
    pub stopped_at: Timestamp,
    /// What it left, frozen; `None` for a job that had not begun.
    pub state: Option<PreservedState>,
}

/// The state of a stopped job, kept as it was and not altered (Regulation (EU) 2024/1689, Art. 73(6)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreservedState {
    /// SHA-256 of the manifest of its files: names, lengths and digests.
    pub sha256: Sha256Digest,
    /// Length of those files in bytes.
    pub bytes: u64,
}

impl Document for StopAcknowledgement {
    const TYP: &'static str = "sta-stop-acknowledgement+jws";
}

impl StopAcknowledgement {
    /// Whether it answers this order, and all had stopped in the time that the order gives.
    #[must_use]
    pub fn fulfils(&self, order: &VerifiedStopOrder) -> bool {
        self.order == order.order.order
            && self.order_digest == order.digest
            && self.completed_at <= order.order.acknowledge_by()
    }
}

impl Record for StopAcknowledgement {
    fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        check_order("completed_at", self.received_at, self.completed_at, "it cannot end before it came")?;
        let jobs: Vec<JobId> = self.stopped.iter().map(|stopped| stopped.job).collect();
        check_unique("stopped", &jobs)?;
        for stopped in &self.stopped {
            if stopped.stopped_at > self.completed_at {
                let problem = format!(
                    "has job {}, which stopped at {}, after `completed_at`: answer when all of it has stopped",
                    stopped.job, stopped.stopped_at
                );
                return invalid("stopped", problem);
            }
            if stopped.state.is_some_and(|state| state.bytes > JSON_INTEGER_MAX) {
                return invalid("stopped", "keeps more than 2^53 - 1 bytes of state");
            }
        }
        Ok(())
    }
}
