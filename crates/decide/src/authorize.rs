// SPDX-License-Identifier: Apache-2.0
//! Authorize: whether the rules of the treaty's packs let a job run at a site, an output go home, a steward release it.
//!
//! Rules are Cedar policies: a few broad permits, and guards that forbid. What no permit admits is refused
//! ([`RefusalCode::NoRuleAdmits`]). A rule that cannot be evaluated refuses ([`RefusalCode::RulesFailed`]) whatever Cedar
//! answers, because Cedar skips a guard that errs, and a missing fact would then open the border.

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Decision, Entities, PolicyId, Request, Response};
use sta_protocol::{
    digest::Sha256Digest,
    ids::MemberId,
    refusal::{Refusal, RefusalCode},
};

use crate::{
    facts::{ExportFacts, ReleaseFacts, RunFacts},
    verdict::{Refusals, Verdict},
};

mod context;
mod pack;
mod rules;
mod shipped;

pub use context::{Fact, FactSheet};
pub use rules::{PackError, Rule, Rules, RulesError};
pub use shipped::{SHIPPED_CASES, SHIPPED_FACTS, SHIPPED_PACKS, SHIPPED_SCHEMA};

/// What the rules are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A job runs at a site.
    Run,
    /// One dataset is processed at a site.
    Process,
    /// An output leaves the host for the home member.
    Export,
    /// A steward lowers the class of an output.
    Release,
    /// Which classes of the law a model is in.
    Classify,
    /// Which classes of the law a transfer is in.
    ClassifyTransfer,
    /// G1: a job's purpose at a site.
    Screen,
    /// G1: a dataset goes to a site.
    MoveData,
    /// G2: a training run begins or goes on.
    Train,
    /// G3: weights leave their site.
    ExportWeights,
    /// G3: a model is served or placed on the market.
    Serve,
    /// G4: a request to a model.
    Infer,
    /// G5: an agent calls a tool.
    CallTool,
    /// G6: what follows from an incident.
    Incident,
    /// G7: whether an order stops it.
    Stop,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 15] = [
        Self::Run,
        Self::Process,
        Self::Export,
        Self::Release,
        Self::Classify,
        Self::ClassifyTransfer,
        Self::Screen,
        Self::MoveData,
        Self::Train,
        Self::ExportWeights,
        Self::Serve,
        Self::Infer,
        Self::CallTool,
        Self::Incident,
        Self::Stop,
    ];

    /// The action of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Every name, for a sentence.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Whether it is one of the gates (with the two questions before them): their rules have dates and effects.
    #[must_use]
    pub fn is_gate(self) -> bool {
        match self {
            Self::Run | Self::Process | Self::Export | Self::Release => false,
            Self::Classify
            | Self::ClassifyTransfer
            | Self::Screen
            | Self::MoveData
            | Self::Train
            | Self::ExportWeights
            | Self::Serve
            | Self::Infer
            | Self::CallTool
            | Self::Incident
            | Self::Stop => true,
        }
    }

    /// Its name in the schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Process => "process",
            Self::Export => "export",
            Self::Release => "release",
            Self::Classify => "classify",
            Self::ClassifyTransfer => "classify-transfer",
            Self::Screen => "screen",
            Self::MoveData => "move-data",
            Self::Train => "train",
            Self::ExportWeights => "export-weights",
            Self::Serve => "serve",
            Self::Infer => "infer",
            Self::CallTool => "call-tool",
            Self::Incident => "incident",
            Self::Stop => "stop",
        }
    }

    /// The types of principal and resource in the schema.
    fn principal_and_resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Run => ("Researcher", "Site"),
            Self::Process => ("Researcher", "Dataset"),
            Self::Export => ("Researcher", "Output"),
            Self::Release => ("Steward", "Output"),
            Self::Classify
            | Self::ClassifyTransfer
            | Self::Screen
            | Self::MoveData
            | Self::Train
            | Self::ExportWeights
            | Self::Serve
            | Self::Infer
            | Self::CallTool
            | Self::Incident
            | Self::Stop => ("Requester", "Subject"),
        }
    }
}

/// The proof that the rules let a job run at a site; only [`authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    facts: RunFacts,
    proof: Proof,
}

/// The proof that the rules let an output go home; only [`authorize_export`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPermit {
    facts: ExportFacts,
    proof: Proof,
}

/// The proof that the rules let a steward release an output; only [`authorize_release`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePermit {
    facts: ReleaseFacts,
    proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof {
    allowed_by: Vec<String>,
    rules: Sha256Digest,
}

macro_rules! permit_accessors {
    ($($permit:ident of $facts:ident;)*) => {$(
        impl $permit {
            /// The facts on which it was granted.
            #[must_use]
            pub fn facts(&self) -> &$facts {
                &self.facts
            }
            /// The ids of the permits that allowed it, sorted, each once.
            #[must_use]
            pub fn allowed_by(&self) -> &[String] {
                &self.proof.allowed_by
            }
            /// The digest of the rules that decided.
            #[must_use]
            pub fn rules(&self) -> Sha256Digest {
                self.proof.rules
            }
        }
    )*};
}

permit_accessors! {
    Permit of RunFacts;
    ExportPermit of ExportFacts;
    ReleasePermit of ReleaseFacts;
}

/// Whether a job may run at a site: the action `run` once, and `process` once for each of its data.
#[must_use]
pub fn authorize(rules: &Rules, facts: &RunFacts) -> Verdict<Permit> {
    let run = context::run_sheet(facts);
    let mut verdicts = vec![evaluate(rules, Action::Run, &run, &facts.by)];
    verdicts.extend(facts.data.iter().map(|data| {
        let sheet = context::process_sheet(&run, data);
        evaluate(rules, Action::Process, &sheet, &facts.by)
    }));
    all_granted(rules, verdicts).map_granted(|proof| Permit { facts: facts.clone(), proof })
}

/// Whether an output may leave the host for the home member.
#[must_use]
pub fn authorize_export(rules: &Rules, facts: &ExportFacts) -> Verdict<ExportPermit> {
    let verdict = evaluate(rules, Action::Export, &context::export_sheet(facts), &facts.by);
    all_granted(rules, vec![verdict]).map_granted(|proof| ExportPermit { facts: facts.clone(), proof })
}

/// Whether a steward may release a held output.
#[must_use]
pub fn authorize_release(rules: &Rules, facts: &ReleaseFacts) -> Verdict<ReleasePermit> {
    let verdict = evaluate(rules, Action::Release, &context::release_sheet(facts), &facts.by);
    all_granted(rules, vec![verdict]).map_granted(|proof| ReleasePermit { facts: facts.clone(), proof })
}

/// Asks the rules about one sheet of facts, as it is: facts may be missing. Granted with the sorted ids of the permits.
///
/// This is what the other functions here and the cases of the packs go through; it makes no permit.
#[must_use]
pub fn evaluate(rules: &Rules, action: Action, sheet: &FactSheet, by: &MemberId) -> Verdict<Vec<String>> {
    let asked = rules.asked(action);
    let context = match sheet.to_context() {
        Ok(context) => context,
        Err(error) => return refused_for_error(by, "context", error.to_string()),
    };
    // Every fact is in the context; principal and resource only say which things are meant.
    let (principal, resource) = (asked.principal.clone(), asked.resource.clone());
    let request = match Request::new(principal, asked.action.clone(), resource, context.clone(), None) {
        Ok(request) => request,
        Err(error) => return refused_for_error(by, "request", error.to_string()),
    };
    let response = Authorizer::new().is_authorized(&request, &asked.policies, &Entities::empty());
    match verdict_of(rules, &response, sheet, by) {
        // Guards compare words, and a fact of another type equals none of them: such a sheet gets no permit either.
        Verdict::Granted(permits) => match context.validate(rules.schema(), &asked.action) {
            Ok(()) => Verdict::Granted(permits),
            Err(error) => refused_for_error(by, "schema", error.to_string()),
        },
        Verdict::Refused(refusals) => Verdict::Refused(refusals),
    }
}

fn verdict_of(rules: &Rules, response: &Response, sheet: &FactSheet, by: &MemberId) -> Verdict<Vec<String>> {
    let failed = response.diagnostics().errors().map(
        |cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
            let facts = [("rule", error.policy_id().to_string()), ("problem", error.inner().to_string())];
            Refusal::new(RefusalCode::RulesFailed, by, facts)
        },
    );
    let mut reasons: Vec<Refusal> = failed.collect();
    let determining = || response.diagnostics().reason().map(PolicyId::to_string);
    match response.decision() {
        Decision::Deny => reasons
            .extend(determining().filter_map(|id| rules.rule(&id)).map(|rule| refusal(rule, sheet, by))),
        Decision::Allow => {}
    }
    match (Refusals::from_reasons(reasons), response.decision()) {
        (Some(refusals), Decision::Allow | Decision::Deny) => Verdict::Refused(refusals),
        (None, Decision::Deny) => {
            Verdict::Refused(Refusals::one(Refusal::new(RefusalCode::NoRuleAdmits, by, [])))
        }
        (None, Decision::Allow) => {
            let mut permits: Vec<String> = determining().collect();
            permits.sort_unstable();
            Verdict::Granted(permits)
        }
    }
}

fn refusal(rule: &Rule, sheet: &FactSheet, by: &MemberId) -> Refusal {
    let quoted =
        |path: &String| (path.clone(), sheet.get(path).map_or_else(|| "missing".to_owned(), Fact::to_string));
    Refusal {
        rule: rule.id.clone(),
        source: rule.source.clone(),
        facts: rule.facts.iter().map(quoted).collect::<BTreeMap<_, _>>(),
        advice: rule.advice.clone(),
        by: by.clone(),
    }
}

fn refused_for_error<T>(by: &MemberId, rule: &str, problem: String) -> Verdict<T> {
    let facts = [("rule", rule.to_owned()), ("problem", problem)];
    Verdict::Refused(Refusals::one(Refusal::new(RefusalCode::RulesFailed, by, facts)))
}

/// Granted only when every verdict is; the reasons of all that are not.
fn all_granted(rules: &Rules, verdicts: Vec<Verdict<Vec<String>>>) -> Verdict<Proof> {
    let mut allowed_by = Vec::new();
    let mut reasons = Vec::new();
    for verdict in verdicts {
        match verdict {
            Verdict::Granted(permits) => allowed_by.extend(permits),
            Verdict::Refused(refusals) => reasons.extend(refusals.into_vec()),
        }
    }
    match Refusals::from_reasons(reasons) {
        Some(refusals) => Verdict::Refused(refusals),
        None => {
            allowed_by.sort_unstable();
            allowed_by.dedup();
            Verdict::Granted(Proof { allowed_by, rules: rules.digest() })
        }
    }
}
