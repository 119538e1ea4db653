// SPDX-License-Identifier: Apache-2.0
//! The gates: what the law says of a job, a dataset, a training run, a model, a request, a tool call, an incident.
//!
//! [`ask`] is the one call: a [`Question`] made of typed facts, the [`Layers`] of rules in force, and the day. The answer is
//! the strictest of all layers (national and treaty and site), each reason with its layer. Time is the argument `today`: a
//! rule that fires before its first day or after its last is a warning. What cannot be evaluated is a `DENY` (`POL-500`),
//! whatever day it is, and what the treaty's rules do not permit is one too (`ADM-404`): a permit of another layer opens
//! nothing, so that a layer can only tighten.
//!
//! Classes of the law (is this a high-risk system? an adequate transfer?) are found first, by rules on `classify` and
//! `classify-transfer`, and are facts of the other rules. A class that tightens counts in every layer as soon as one layer
//! finds it; one that loosens counts only in the layer that finds it. A class found by a rule that is not in force binds
//! nobody: the rules that would fire on it alone are warnings.

use jiff::civil::Date;
use sta_protocol::gate::{Answer, Layer};

use crate::authorize::{Action, FactSheet, Rules};

mod classes;
pub mod clocks;
mod evaluate;
pub mod inputs;
mod question;
mod rule;
mod unproven;
pub mod words;

pub use classes::{CLASSES, Class};
pub use question::Question;
pub use rule::{Demand, GateRule};

/// The rules in force, by whose they are. All are asked, and the strictest wins.
#[derive(Debug, Clone)]
pub struct Layers<'a>(Vec<(Layer, &'a Rules)>);

impl<'a> Layers<'a> {
    /// The packs that the treaty names, alone.
    #[must_use]
    pub fn treaty(rules: &'a Rules) -> Self {
        Self(vec![(Layer::Treaty, rules)])
    }

    /// These layers and one more.
    #[must_use]
    pub fn and(mut self, layer: Layer, rules: &'a Rules) -> Self {
        self.0.push((layer, rules));
        self
    }

    /// Each layer with its rules.
    pub fn iter(&self) -> impl Iterator<Item = (Layer, &'a Rules)> {
        self.0.iter().map(|(layer, rules)| (*layer, *rules))
    }
}

/// What the rules answer to a question on that day.
#[must_use]
pub fn ask(layers: &Layers<'_>, question: &Question, today: Date) -> Answer {
    evaluate(layers, question.action(), &question.sheet(), today)
}

/// The same for a sheet of facts as it is: facts may be missing, and then the answer is `DENY`.
///
/// The section `class` is not asked for: what a sheet says there is replaced by what the rules find.
#[must_use]
pub fn evaluate(layers: &Layers<'_>, action: Action, sheet: &FactSheet, today: Date) -> Answer {
    evaluate::answer(layers, action, sheet, today)
}

/// The sections of facts that a question of that action is made of; empty for a question about jobs.
#[must_use]
pub fn sections(action: Action) -> &'static [&'static str] {
    match action {
        Action::Run | Action::Process | Action::Export | Action::Release => &[],
        Action::Classify | Action::ExportWeights => &["intent", "model"],
        Action::ClassifyTransfer | Action::MoveData => &["data", "transfer", "site"],
        Action::Screen => &["intent", "site"],
        Action::Train => &["intent", "model", "training", "site"],
        Action::Serve => &["intent", "model", "serve"],
        Action::Infer => &["intent", "model", "serve", "request"],
        Action::CallTool => &["tool"],
        Action::Incident => &["intent", "model", "incident"],
        Action::Stop => &["order"],
    }
}

/// Whether a sheet has the facts of the schema, with their types, so that a case cannot test what never happens.
pub(crate) fn fits_schema(rules: &Rules, action: Action, sheet: &FactSheet) -> Result<(), String> {
    let sheet = match classes::asked_before(action) {
        Some((stage, _)) => classes::with_classes(sheet, stage, &std::collections::BTreeSet::new()),
        None => sheet.clone(),
    };
    let context = sheet.to_context().map_err(|error| error.to_string())?;
    context.validate(rules.schema(), &rules.asked(action).action).map_err(|error| error.to_string())
}
