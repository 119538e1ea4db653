// SPDX-License-Identifier: Apache-2.0
//! The one public list of refusals: a lawful no, with its stable code, its source and the facts that caused it.
//!
//! The text that people read is made from `code` and `facts` by the node, in English, French and German. The codes are part
//! of the wire contract: they are never reused or renamed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// A lawful no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code: a rule's id (`SOV-001`) or a [`RefusalCode`].
    pub rule: String,
    /// The article, treaty clause or RFC that it comes from.
    pub source: String,
    /// The facts that caused it, name and value, in the order of their names.
    pub facts: BTreeMap<String, String>,
    /// What would change it, in English; empty when the catalogue of texts has it under `rule`.
    #[serde(default)]
    pub advice: String,
    /// The member whose node said no.
    pub by: MemberId,
}

impl Refusal {
    /// A refusal of the fixed list.
    #[must_use]
    pub fn new<const N: usize>(code: RefusalCode, by: &MemberId, facts: [(&str, String); N]) -> Self {
        Self {
            rule: code.as_str().to_owned(),
            source: code.source().to_owned(),
            facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            advice: String::new(),
            by: by.clone(),
        }
    }

    /// The fixed code, or `None` where a rule of a policy pack refused.
    #[must_use]
    pub fn code(&self) -> Option<RefusalCode> {
        RefusalCode::ALL.iter().copied().find(|code| code.as_str() == self.rule)
    }

    /// The facts in one line: `data.class=special; site.jurisdiction=ca`.
    #[must_use]
    pub fn fact_line(&self) -> String {
        self.facts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $source:literal;)*) => {
        /// Every refusal that does not come from a policy pack.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
        }
        impl RefusalCode {
            /// The whole list, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The stable code.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
            /// The HTTP status that carries it (RFC 9110).
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
            /// Where the rule is written.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }
        }
    };
}

refusal_codes! {
    /// No permit of any pack matched.
    NoRuleAdmits = "ADM-404", 403, "treaty: what no rule admits is refused";
    /// A rule could not be evaluated, for example because a fact is missing.
    RulesFailed = "POL-500", 403, "docs/protocol.md §7: any evaluation error refuses";
    /// The offer names another site, member or treaty than the host's.
    OfferNotForUs = "OFR-001", 403, "docs/protocol.md §4";
    /// The offer came after its end.
    OfferExpired = "OFR-002", 403, "docs/protocol.md §4";
    /// The home node withdrew the offer before.
    OfferWithdrawn = "OFR-003", 403, "docs/protocol.md §4";
    /// The offer's ceiling is not what the treaty's tariff says.
    OfferPriceDiffers = "OFR-004", 403, "treaty: tariffs";
    /// A dataset's record is unknown, or not the one its member signed.
    DatasetUnknown = "DAT-001", 403, "docs/protocol.md §4";
    /// No site is left after the researcher's own choice of sites.
    NoSiteLeft = "PLC-001", 422, "docs/protocol.md §3";
    /// The researcher did not want this site, so it was not asked.
    SiteNotWanted = "PLC-002", 422, "docs/protocol.md §3";
    /// The site could never run the job.
    SiteTooSmall = "CAP-001", 403, "treaty: sites";
    /// The site has no room now and its queue is full.
    SiteFull = "CAP-002", 503, "treaty: sites";
    /// Guests already hold the share of the site that the treaty gives them.
    GuestShareUsed = "CAP-003", 403, "treaty: guest_share_percent";
    /// The site does not run this image.
    ImageUnknown = "CAP-004", 403, "docs/operations.md: images";
    /// The site has no account for the researcher.
    AccountMissing = "CAP-005", 403, "docs/operations.md: accounts";
    /// The site's operator does not allow an option of the job.
    OptionNotAllowed = "CAP-006", 403, "docs/operations.md: options";
    /// The site's engine cannot run a job of this form.
    EngineCannot = "CAP-007", 403, "docs/operations.md: engines";
    /// A job that this one waits for did not complete.
    DependencyFailed = "DEP-001", 403, "docs/protocol.md §3";
    /// A job that this one waits for is unknown, or another project's.
    DependencyUnknown = "DEP-002", 422, "docs/protocol.md §3";
    /// The project's files at the site would take more than its share of the disk.
    DiskQuotaUsed = "CAP-008", 403, "docs/operations.md: disk";
    /// A guest that writes no checkpoint would run longer than the treaty lets it.
    UnsavedTooLong = "CAP-009", 403, "treaty: sharing.unsaved_s_max";
    /// The allocation does not cover the highest price the job may come to.
    CreditExhausted = "LED-001", 403, "treaty: settlement; allocation of the project";
    /// The project does not exist, or the researcher is not in it.
    ProjectUnknown = "LED-002", 403, "docs/protocol.md §3";
    /// A passport or visa cannot be read.
    VisaMalformed = "VIS-001", 403, "GA4GH Passport v1.2";
    /// A passport or visa is over.
    VisaExpired = "VIS-002", 403, "GA4GH Passport v1.2, exp";
    /// No member of the treaty issued the visa with a key that the treaty names.
    VisaIssuerUnknown = "VIS-003", 403, "GA4GH Passport v1.2, jku; treaty: keys";
    /// A visa has conditions; none is known, so it is refused.
    VisaConditionsUnknown = "VIS-004", 403, "GA4GH Passport v1.2, conditions";
    /// The visa is not bound to the key that asked for the job.
    VisaHolderDiffers = "VIS-005", 403, "RFC 7800, cnf";
    /// The signature of a visa or passport is wrong.
    VisaSignatureWrong = "VIS-006", 403, "RFC 7515";
    /// A visa is valid longer than 24 hours, or not yet.
    VisaTimesWrong = "VIS-007", 403, "GA4GH Passport v1.2; treaty: visas";
    /// A visa or passport is about another person.
    VisaSubjectDiffers = "VIS-008", 403, "GA4GH Passport v1.2, sub";
    /// A signed request lacks a header or component.
    SignatureMissing = "SIG-001", 401, "RFC 9421 §3.2; docs/protocol.md §2";
    /// A signature header is not as RFC 9421 or our profile has it.
    SignatureMalformed = "SIG-002", 400, "RFC 9421; docs/protocol.md §2";
    /// The key is not one of the treaty.
    SignatureKeyUnknown = "SIG-003", 401, "treaty: keys";
    /// The signature is over.
    SignatureExpired = "SIG-004", 401, "RFC 9421 §2.3, expires";
    /// The peer's clock is more than 5 s away.
    ClockSkewed = "SIG-005", 401, "docs/protocol.md §2: clock";
    /// The body is not the one that was signed.
    BodyAltered = "SIG-006", 401, "RFC 9530";
    /// The signature does not fit the request.
    SignatureWrong = "SIG-007", 401, "RFC 9421 §3.2";
    /// The request was signed for another member's node.
    WronglyAddressed = "SIG-008", 401, "RFC 9421 §2.2.2, @target-uri";
    /// The same signed request came before.
    Replayed = "SIG-009", 401, "RFC 9421 §7.2.2, nonce";
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = "IDM-001", 422, "docs/protocol.md §2: Idempotency-Key";
    /// A signed document is wrong: its signature, type or signer.
    DocumentWrong = "DOC-001", 403, "RFC 7515; docs/protocol.md §4";
    /// The peer speaks of another treaty.
    TreatyDiffers = "TRE-001", 409, "treaty: digest";
    /// The output stays where it is until a data steward releases it.
    OutputHeld = "OUT-001", 403, "treaty: outputs inherit the strictest class of the inputs";
    /// The output holds weights, and these have not passed the gate for weights.
    WeightsHeld = "GAT-001", 403, "treaty: evaluation of weights";
    /// The bound on harm holds the request.
    HarmBound = "GRD-001", 403, "arXiv 2408.05284, Proposition 4.2";
    /// The job has no such output, or is not over.
    OutputUnknown = "OUT-002", 404, "docs/protocol.md §6";
    /// Another kind of person must decide on the hold.
    HoldWaitsForOthers = "HLD-001", 403, "treaty: gates; the rules that hold it";
    /// Nobody may release it: a DENY has no override, and what an order stopped goes on when the order is lifted.
    HoldHasNoRelease = "HLD-002", 403, "treaty: gates";
    /// The order to stop, or its lifting, is not signed by enough of those who may, or not in its time.
    StopOrderInvalid = "STP-001", 403, "treaty: stop_authorities";
    /// A report about the incident is still due by law.
    IncidentReportsDue = "INC-001", 409, "the rules that started its clocks";
    /// An incident is closed after it was resolved.
    IncidentNotResolved = "INC-002", 409, "docs/protocol.md §14";
    /// Nothing is added to a closed incident.
    IncidentClosed = "INC-003", 409, "docs/protocol.md §14";
    /// Nobody is logged in.
    NotAuthenticated = "AUT-001", 401, "RFC 6750";
    /// The person lacks the right that the route needs.
    RightMissing = "AUT-002", 403, "docs/operations.md: rights";
    /// The thing does not exist, or is not for this person or member to see.
    NotFound = "REQ-001", 404, "RFC 9110 §15.5.5";
    /// The request cannot be read.
    RequestMalformed = "REQ-002", 400, "RFC 9110 §15.5.1";
    /// The body is too large.
    BodyTooLarge = "REQ-003", 413, "docs/operations.md: limits";
    /// It exists already with other content, or its state does not allow it.
    Conflict = "REQ-004", 409, "RFC 9110 §15.5.10";
    /// A requested range is not within the file.
    RangeWrong = "REQ-005", 416, "RFC 9110 §14";
    /// A queue of the node is full, or it is stopping.
    Overloaded = "REQ-006", 503, "docs/operations.md: limits";
    /// The peer did not answer.
    PeerAway = "REQ-007", 502, "docs/protocol.md §2";
}
