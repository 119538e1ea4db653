// SPDX-License-Identifier: Apache-2.0
//! Rules: policy packs read once, checked against the published schema, and named by one digest.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityId, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use sta_protocol::digest::Sha256Digest;

use super::{
    Action,
    pack::{self, ParsedRule},
    shipped::{SHIPPED_PACKS, SHIPPED_SCHEMA},
};
use crate::gate::GateRule;

/// The most rules that may be in force at once: a decision evaluates them all.
const RULES_MAX: usize = 1000;
/// The most bytes of one pack.
const PACK_BYTES_MAX: usize = 1 << 20;

/// A rule as its pack describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its stable id, such as `SOV-003`.
    pub id: String,
    /// The pack it is in.
    pub pack: String,
    /// The line of the pack on which it begins.
    pub line: usize,
    /// Whether it forbids; else it permits.
    pub is_guard: bool,
    /// The article, treaty clause or standard it comes from; empty for a permit.
    pub source: String,
    /// What would change its answer; empty for a permit.
    pub advice: String,
    /// The facts that its refusal quotes, as `section.name`.
    pub facts: Vec<String>,
    /// What it is asked about.
    pub actions: Vec<Action>,
    /// Dates, effects and texts of a guard of the gates; `None` for a permit and for the rules about jobs.
    pub gate: Option<GateRule>,
}

/// What is wrong with a pack, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy pack `{pack}`, line {line}: rule `{rule}` {problem}")]
pub struct PackError {
    /// The pack.
    pub pack: String,
    /// The rule's id; `?` where it has none.
    pub rule: String,
    /// The line on which the rule begins.
    pub line: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Why rules do not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The schema does not parse.
    #[error("the policy schema does not read: {0}")]
    Schema(String),
    /// A rule is wrong.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Two packs have one name.
    #[error("policy pack `{0}` is given twice: each pack needs a name of its own")]
    PackTwice(String),
    /// More than this software evaluates in one decision.
    #[error("policy pack `{0}` is too long: at most 1 MiB a pack and 1000 rules over all packs")]
    TooLong(String),
}

/// Rules in force, ready to decide.
#[derive(Debug, Clone)]
pub struct Rules {
    asked: BTreeMap<Action, Asked>,
    rules: BTreeMap<String, Rule>,
    packs: Vec<(String, Sha256Digest)>,
    digest: Sha256Digest,
    schema: Schema,
}

/// What does not change from one question about an action to the next.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The policies that can apply to the action: the same answer as from all of them, in a fraction of the time.
    pub(crate) policies: PolicySet,
    /// Of a gate, the guards and the permits apart: Cedar tells no permits where a guard fired.
    pub(crate) guards: PolicySet,
    pub(crate) permits: PolicySet,
    /// The guards of a gate that demand evidence.
    pub(crate) demanding: Vec<String>,
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
}

impl Rules {
    /// Reads packs, given as name and text, and checks every rule against the schema.
    ///
    /// # Errors
    /// The first thing that is wrong, with pack, rule and line: syntax; a guard without `@id`, `@source`, `@advice` or
    /// `@facts`; an id that occurs twice; a type or fact that the schema does not have; a rule that can never apply.
    pub fn load(packs: &[(&str, &str)], schema: &str) -> Result<Self, RulesError> {
        let (parsed_schema, _) =
            Schema::from_cedarschema_str(schema).map_err(|error| RulesError::Schema(error.to_string()))?;
        let mut names = BTreeSet::new();
        let mut parsed: Vec<ParsedRule> = Vec::new();
        for (name, text) in packs {
            if !names.insert(*name) {
                return Err(RulesError::PackTwice((*name).to_owned()));
            }
            if text.len() > PACK_BYTES_MAX {
                return Err(RulesError::TooLong((*name).to_owned()));
            }
            parsed.extend(pack::parse(name, text)?);
            if parsed.len() > RULES_MAX {
                return Err(RulesError::TooLong((*name).to_owned()));
            }
        }
        let rules = unique_rules(&parsed)?;
        validate(&parsed, &parsed_schema)?;
        let mut digests: Vec<_> = packs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Sha256Digest::of(text.as_bytes())))
            .collect();
        digests.sort();
        let digest = digest_of(&digests, schema);
        Ok(Self { asked: by_action(&parsed), rules, packs: digests, digest, schema: parsed_schema })
    }

    /// The packs that come with the software.
    ///
    /// # Errors
    /// As [`Rules::load`]; a test holds that the shipped packs load.
    pub fn shipped() -> Result<Self, RulesError> {
        Self::load(&SHIPPED_PACKS, SHIPPED_SCHEMA)
    }

    /// SHA-256 over the names and digests of packs and schema: the same on two nodes exactly when their rules are the same.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Name and SHA-256 of each pack's text, in the order of the names: what a treaty's `policies` lists.
    #[must_use]
    pub fn packs(&self) -> &[(String, Sha256Digest)] {
        &self.packs
    }

    /// The rule of that id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// Every rule, in the order of the ids.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The schema they were checked against.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn asked(&self, action: Action) -> &Asked {
        // `by_action` fills in every action.
        &self.asked[&action]
    }
}

fn unique_rules(parsed: &[ParsedRule]) -> Result<BTreeMap<String, Rule>, PackError> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    for ParsedRule { rule, .. } in parsed {
        if let Some(first) = rules.insert(rule.id.clone(), rule.clone()) {
            return Err(error_at(
                rule,
                format!("has the @id of a rule in `{}`, line {}: ids are unique", first.pack, first.line),
            ));
        }
    }
    Ok(rules)
}

fn by_action(parsed: &[ParsedRule]) -> BTreeMap<Action, Asked> {
    let asked = |action: Action| {
        let (principal, resource) = action.principal_and_resource();
        let applying: Vec<&ParsedRule> =
            parsed.iter().filter(|parsed| parsed.rule.actions.contains(&action)).collect();
        let of_kind = |guards: bool| {
            let found = applying.iter().filter(|parsed| action.is_gate() && parsed.rule.is_guard == guards);
            policy_set(found.map(|parsed| &parsed.policy))
        };
        let demands =
            |parsed: &&&ParsedRule| parsed.rule.gate.as_ref().is_some_and(|gate| !gate.demands.is_empty());
        Asked {
            policies: policy_set(applying.iter().filter(|_| !action.is_gate()).map(|parsed| &parsed.policy)),
            guards: of_kind(true),
            permits: of_kind(false),
            demanding: applying.iter().filter(demands).map(|parsed| parsed.rule.id.clone()).collect(),
            principal: entity(principal, "this"),
            action: entity("Action", action.as_str()),
            resource: entity(resource, "this"),
        }
    };
    Action::ALL.into_iter().map(|action| (action, asked(action))).collect()
}

fn entity(kind: &'static str, id: &str) -> EntityUid {
    let kind = kind.parse().expect("the types of `Action::principal_and_resource` are plain words");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn policy_set<'a>(policies: impl Iterator<Item = &'a Policy>) -> PolicySet {
    PolicySet::from_policies(policies.cloned()).expect("the ids are unique: `unique_rules` came before")
}

/// Checks every rule strictly, and that the facts it quotes exist for each of its actions.
fn validate(parsed: &[ParsedRule], schema: &Schema) -> Result<(), PackError> {
    let validator = Validator::new(schema.clone());
    let result =
        validator.validate(&policy_set(parsed.iter().map(|rule| &rule.policy)), ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| (error.policy_id(), error.to_string()));
    let warnings = result.validation_warnings().map(|warning| (warning.policy_id(), warning.to_string()));
    let mut problems: Vec<(String, String)> =
        errors.chain(warnings).map(|(id, problem)| (id.to_string(), problem)).collect();
    problems.sort();
    let place = |id: &str| parsed.iter().find(|rule| rule.rule.id == *id);
    match problems.iter().find_map(|(id, problem)| Some((place(id)?, problem))) {
        Some((rule, problem)) => Err(error_at(&rule.rule, format!("does not fit the schema: {problem}"))),
        None => validate_facts(parsed, &validator),
    }
}

/// Asks the validator whether policies that read just the quoted facts would fit the schema.
///
/// Each fact is asked about once for each action, however many rules quote it: validation is most of what loading costs.
fn validate_facts(parsed: &[ParsedRule], validator: &Validator) -> Result<(), PackError> {
    let mut first_quoted: BTreeMap<(Action, &str), &ParsedRule> = BTreeMap::new();
    for rule in parsed {
        for (action, path) in rule.rule.actions.iter().flat_map(|action| {
            let read = rule.rule.facts.iter().chain(rule.rule.gate.iter().flat_map(GateRule::paths));
            read.map(move |path| (*action, path.as_str()))
        }) {
            first_quoted.entry((action, path)).or_insert(rule);
        }
    }
    let mut probes = PolicySet::new();
    let mut asked: BTreeMap<String, (Action, &str, &ParsedRule)> = BTreeMap::new();
    for ((action, path), rule) in first_quoted {
        let id = format!("{}/{path}", action.as_str());
        let text = format!(
            "permit(principal, action == Action::\"{}\", resource) when {{ context.{path} == context.{path} }};",
            action.as_str()
        );
        let unreadable =
            |problem: String| error_at(&rule.rule, format!("quotes `{path}` in @facts: {problem}"));
        let probe =
            Policy::parse(Some(PolicyId::new(&id)), text).map_err(|error| unreadable(error.to_string()))?;
        probes.add(probe).map_err(|error| unreadable(error.to_string()))?;
        asked.insert(id, (action, path, rule));
    }
    let result = validator.validate(&probes, ValidationMode::Strict);
    let mut wrong: Vec<String> =
        result.validation_errors().map(|error| error.policy_id().to_string()).collect();
    wrong.sort_unstable();
    match wrong.first().and_then(|id| asked.get(id)) {
        Some((action, path, rule)) => {
            let action = action.as_str();
            let problem =
                format!("quotes `{path}` in @facts, which the schema does not have for the action {action}");
            Err(error_at(&rule.rule, problem))
        }
        None => Ok(()),
    }
}

fn error_at(rule: &Rule, problem: String) -> PackError {
    PackError { pack: rule.pack.clone(), rule: rule.id.clone(), line: rule.line, problem }
}

fn digest_of(packs: &[(String, Sha256Digest)], schema: &str) -> Sha256Digest {
    let schema = format!("schema {}\n", Sha256Digest::of(schema.as_bytes()));
    let lines: String = packs.iter().map(|(name, digest)| format!("pack {name} {digest}\n")).collect();
    Sha256Digest::of(format!("sta rules 1\n{schema}{lines}").as_bytes())
}
