// SPDX-License-Identifier: Apache-2.0
//! Facts of a question as JSON and back, and what a requester may declare of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sta_decide::{
    authorize::{Action, Fact, FactSheet},
    gate::{
        Question,
        inputs::{DataRecord, Host, Intent, Model, Request, Serving, ToolCall, Training, Transfer},
        words::{self, Instrument, OperatorForm, Purpose, Region, Suite},
    },
};
use sta_protocol::{
    gate::Provenance,
    model::{DocumentKind, Modality},
};

use super::record::KnownFact;

/// The longest text of one declared fact, in bytes.
const TEXT_BYTES_MAX: usize = 200;
/// The most words in a declared list.
const WORDS_MAX: usize = 100;

/// A declared fact that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {problem}")]
pub struct WrongFact {
    /// Which, as `section.name`.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// The facts of a question to one of the gates G1 to G5 of which nothing is known: each counts against the request.
#[must_use]
pub fn cautious(action: Action) -> Option<FactSheet> {
    let (intent, model) = (Intent::cautious, || Box::new(Model::cautious()));
    let question = match action {
        Action::Screen => Question::Screen { intent: intent(), site: Host::cautious() },
        Action::MoveData => Question::MoveData {
            data: DataRecord::cautious(),
            transfer: Transfer::cautious(),
            site: Host::cautious(),
        },
        Action::Train => Question::Train {
            intent: intent(),
            model: model(),
            training: Training::cautious(),
            site: Host::cautious(),
        },
        Action::ExportWeights => Question::ExportWeights { intent: intent(), model: model() },
        Action::Serve => {
            Question::Serve { intent: intent(), model: model(), serving: Box::new(Serving::cautious()) }
        }
        Action::Infer => Question::Infer {
            intent: intent(),
            model: model(),
            serving: Box::new(Serving::cautious()),
            request: Request::cautious(),
        },
        Action::CallTool => Question::CallTool(ToolCall::cautious()),
        Action::Run
        | Action::Process
        | Action::Export
        | Action::Release
        | Action::Classify
        | Action::ClassifyTransfer
        | Action::Incident
        | Action::Stop => return None,
    };
    Some(question.sheet())
}

/// Puts what the requester states over the facts, as declared and no more. Says which facts nobody has stated.
///
/// # Errors
/// A fact that the question does not have, of another type, or with a word that is not on its list.
pub fn declare(
    sheet: &mut FactSheet,
    stated: &BTreeMap<String, BTreeMap<String, Value>>,
) -> Result<BTreeSet<String>, WrongFact> {
    let mut assumed: BTreeSet<String> = sheet.paths().collect();
    for (section, facts) in stated {
        for (name, value) in facts {
            let path = format!("{section}.{name}");
            let wrong = |problem: String| WrongFact { path: path.clone(), problem };
            let known = sheet.get(&path).ok_or_else(|| wrong("is no fact of this question".to_owned()))?;
            let fact = fact_of(value).map_err(&wrong)?;
            if std::mem::discriminant(known) != std::mem::discriminant(&fact) {
                return Err(wrong(format!("is {fact}: it is of the type of {known}")));
            }
            check_words(&path, &fact).map_err(wrong)?;
            sheet.set(&path, fact);
            sheet.vouch(&path, Provenance::Declared);
            assumed.remove(&path);
        }
    }
    Ok(assumed)
}

/// A fact from its JSON.
fn fact_of(value: &Value) -> Result<Fact, String> {
    let problem = "is neither yes or no, nor a whole number, a text, or a list of texts";
    let short = |text: &str| {
        if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) {
            Ok(text.to_owned())
        } else {
            Err(format!("is no text of at most {TEXT_BYTES_MAX} printable bytes"))
        }
    };
    match value {
        Value::Bool(flag) => Ok(Fact::Flag(*flag)),
        Value::Number(number) => number.as_i64().map(Fact::Number).ok_or_else(|| problem.to_owned()),
        Value::String(text) => short(text).map(Fact::Text),
        Value::Array(items) if items.len() <= WORDS_MAX => {
            let words = items.iter().map(|item| short(item.as_str().ok_or(problem)?));
            let mut words: Vec<String> = words.collect::<Result<_, _>>()?;
            words.sort_unstable();
            words.dedup();
            Ok(Fact::Words(words))
        }
        Value::Array(_) => Err(format!("has more than {WORDS_MAX} words")),
        Value::Null | Value::Object(_) => Err(problem.to_owned()),
    }
}

/// A word that no rule knows would slip past every rule: only those on the lists are taken.
fn check_words(path: &str, fact: &Fact) -> Result<(), String> {
    let of = |known: Vec<&'static str>| {
        let given: Vec<&str> = match fact {
            Fact::Text(word) => vec![word],
            Fact::Words(words) => words.iter().map(String::as_str).collect(),
            Fact::Flag(_) | Fact::Number(_) => Vec::new(),
        };
        match given.iter().find(|word| !known.contains(word)) {
            Some(word) => Err(format!("has `{word}`: use {}", known.join(", "))),
            None => Ok(()),
        }
    };
    match path {
        "intent.purpose" => of(Purpose::ALL.iter().map(|word| word.as_str()).collect()),
        "site.operator_form" | "serve.deployer_form" => {
            of(OperatorForm::ALL.iter().map(|word| word.as_str()).collect())
        }
        "data.subject_region" => of(Region::ALL.iter().map(|word| word.as_str()).collect()),
        "transfer.instrument" => of(Instrument::ALL.iter().map(|word| word.as_str()).collect()),
        "model.evaluations" => of(Suite::ALL.iter().map(|word| word.as_str()).collect()),
        "model.takes" | "model.generates" => of(words::MODALITIES.map(Modality::as_str).to_vec()),
        "model.documents" => of(words::DOCUMENT_KINDS.map(DocumentKind::as_str).to_vec()),
        _ => Ok(()),
    }
}

/// Puts the facts of `section` that `from` vouches for over those in the sheet; what is only declared there stays out.
pub fn overlay(sheet: &mut FactSheet, from: &FactSheet, section: &str, assumed: &mut BTreeSet<String>) {
    for path in from.paths() {
        let vouched = from.provenance(&path);
        let wanted = path.split('.').next() == Some(section) && vouched != Provenance::Declared;
        if let Some(fact) = from.get(&path).filter(|_| wanted && sheet.get(&path).is_some()) {
            sheet.set(&path, fact.clone());
            sheet.vouch(&path, vouched);
            assumed.remove(&path);
        }
    }
}

/// The facts as they are recorded.
#[must_use]
pub fn recorded(sheet: &FactSheet) -> BTreeMap<String, KnownFact> {
    let known = |path: String| {
        let value = match sheet.get(&path)? {
            Fact::Flag(flag) => Value::from(*flag),
            Fact::Number(number) => Value::from(*number),
            Fact::Text(text) => Value::from(text.as_str()),
            Fact::Words(words) => Value::from(words.clone()),
        };
        let vouched = sheet.provenance(&path);
        Some((path, KnownFact { value, vouched }))
    };
    sheet.paths().filter_map(known).collect()
}

/// The facts of a record.
///
/// # Errors
/// A value that is no fact.
pub fn sheet_of(facts: &BTreeMap<String, KnownFact>) -> Result<FactSheet, WrongFact> {
    let mut sheet = FactSheet::default();
    for (path, known) in facts {
        let wrong = |problem: String| WrongFact { path: path.clone(), problem };
        let fact = fact_of(&known.value).map_err(wrong)?;
        if !sheet.set(path, fact) {
            return Err(wrong("is not of the form section.name".to_owned()));
        }
        sheet.vouch(path, known.vouched);
    }
    Ok(sheet)
}
