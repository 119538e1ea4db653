// SPDX-License-Identifier: Apache-2.0
//! What a guard of the gates says about itself in its pack: dates, effects, evidence it demands, texts in three languages.

use jiff::civil::Date;
use sta_protocol::gate::{Effect, Provenance, Text};

use super::classes;
use crate::authorize::Action;

/// Dates, effects, demands and texts of a guard of the gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRule {
    /// The first day on which it binds (`@from`); before, it warns.
    pub from: Date,
    /// The last day on which it binds (`@until`); after, it warns. `None`: no end.
    pub until: Option<Date>,
    /// What it does (`@effect`, parts separated by `;`, or `@sets`), sorted. Empty for a rule that takes a class back.
    pub effects: Vec<Effect>,
    /// The rule whose class it takes back where it fires (`@clears`).
    pub clears: Option<String>,
    /// The class at this path turns it into a warning (`@warn_when`).
    pub warn_when: Option<String>,
    /// The evidence that it wants (`@demands`).
    pub demands: Vec<Demand>,
    /// What it says (`@text_en`, `@text_fr`, `@text_de`); `{section.name}` stands for a fact that it quotes.
    pub text: Text,
    /// What would change the answer (`@advice`, `@advice_fr`, `@advice_de`).
    pub advice: Text,
}

/// A fact that somebody must vouch for: `model.evaluations:attested|metered if class.systemic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The fact, as `section.name`.
    pub fact: String,
    /// Any of these will do.
    pub wants: Vec<Provenance>,
    /// It is wanted only where this flag is not false.
    pub only_if: Option<String>,
}

impl GateRule {
    /// Reads the annotations of a guard.
    ///
    /// # Errors
    /// What is wrong with them, as the rest of a sentence that begins with the rule's name.
    pub(crate) fn of(
        actions: &[Action],
        facts: &[String],
        annotation: &impl Fn(&str) -> String,
    ) -> Result<Self, String> {
        let date = |name: &str| {
            annotation(name)
                .parse::<Date>()
                .map_err(|_| format!("needs a day in @{name}, such as @{name}(\"2025-02-02\")"))
        };
        let optional = |name: &str| Some(annotation(name)).filter(|text| !text.trim().is_empty());
        let from = date("from")?;
        let until = if optional("until").is_some() { Some(date("until")?) } else { None };
        if until.is_some_and(|until| until < from) {
            return Err("ends in @until before it begins in @from: it could never bind".to_owned());
        }
        let demands = optional("demands").map_or(Ok(Vec::new()), |text| {
            text.split(';').map(|part| Demand::read(part.trim())).collect::<Result<_, _>>()
        })?;
        let warn_when = optional("warn_when");
        if let Some(path) = warn_when.as_deref().filter(|path| !classes::is_loosening(path)) {
            return Err(format!(
                "has `{path}` in @warn_when: name a class that loosens, such as class.research_only"
            ));
        }
        let (effects, clears) = effects_of(actions, &optional)?;
        let text = Text { en: annotation("text_en"), fr: annotation("text_fr"), de: annotation("text_de") };
        let advice =
            Text { en: annotation("advice"), fr: annotation("advice_fr"), de: annotation("advice_de") };
        let whole = [&text, &advice]
            .into_iter()
            .all(|text| [&text.en, &text.fr, &text.de].into_iter().all(|words| !words.trim().is_empty()));
        if !whole {
            return Err(
                "needs @text_en, @text_fr, @text_de, @advice, @advice_fr and @advice_de: people read it in three languages"
                    .to_owned(),
            );
        }
        for text in [&text, &advice].into_iter().flat_map(|text| [&text.en, &text.fr, &text.de]) {
            if let Some(name) = placeholders(text).find(|name| !facts.iter().any(|fact| fact == name)) {
                return Err(format!("says {{{name}}} in a text: put `{name}` into @facts"));
            }
        }
        Ok(Self { from, until, effects, clears, warn_when, demands, text, advice })
    }

    /// The facts that it names beside those it quotes.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        let demanded = self.demands.iter().flat_map(|demand| [Some(&demand.fact), demand.only_if.as_ref()]);
        demanded.flatten().chain(self.warn_when.as_ref())
    }

    /// The class that it sets.
    #[must_use]
    pub fn sets(&self) -> Option<&str> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Sets(path) => Some(path.as_str()),
            Effect::Deny
            | Effect::Suspend
            | Effect::Hold(_)
            | Effect::Oblige(_)
            | Effect::Label(_)
            | Effect::Warn => None,
        })
    }
}

/// `@effect` of a gate, or `@sets` or `@clears` of a question before the gates.
fn effects_of(
    actions: &[Action],
    optional: &impl Fn(&str) -> Option<String>,
) -> Result<(Vec<Effect>, Option<String>), String> {
    let classifies = |action: &Action| matches!(action, Action::Classify | Action::ClassifyTransfer);
    match (optional("effect"), optional("sets"), optional("clears")) {
        (Some(text), None, None) if !actions.iter().any(classifies) => {
            let parts = text.split(';').map(|part| part.trim().parse::<Effect>());
            let mut effects: Vec<Effect> =
                parts.collect::<Result<_, _>>().map_err(|error| format!("has a wrong @effect: {error}"))?;
            if effects.iter().any(|effect| matches!(effect, Effect::Sets(_))) {
                return Err("sets a class in @effect: only rules on classify do, in @sets".to_owned());
            }
            effects.sort();
            effects.dedup();
            Ok((effects, None))
        }
        (None, Some(path), None) if actions.iter().all(classifies) => {
            let known = actions.iter().all(|action| classes::is_class_of(*action, &path));
            let sets = vec![Effect::Sets(path.clone())];
            if known { Ok((sets, None)) } else { Err(format!("sets `{path}`, which is no class of its action")) }
        }
        (None, None, Some(rule)) if actions.iter().all(classifies) => Ok((Vec::new(), Some(rule))),
        (_, _, _) => Err(
            "needs one of @effect (a rule of a gate), @sets or @clears (a rule on classify or classify-transfer)"
                .to_owned(),
        ),
    }
}

impl Demand {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "demands `{text}`: write section.name:attested|metered, and `if section.name` where it depends"
            )
        };
        let (head, only_if) = match text.split_once(" if ") {
            Some((head, flag)) => (head.trim(), Some(flag.trim().to_owned())),
            None => (text, None),
        };
        let (fact, wants) = head.split_once(':').ok_or_else(wrong)?;
        let word = |word: &str| {
            let known = Provenance::ALL.into_iter().find(|known| known.as_str() == word.trim());
            known.filter(|known| *known != Provenance::Declared).ok_or_else(wrong)
        };
        let mut wants: Vec<Provenance> = wants.split('|').map(word).collect::<Result<_, _>>()?;
        wants.sort();
        let is_path = |path: &str| {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
            path.split('.').count() == 2 && path.bytes().all(fits)
        };
        let (fact, paths_fit) = (fact.trim().to_owned(), only_if.as_deref().is_none_or(is_path));
        if is_path(&fact) && paths_fit { Ok(Self { fact, wants, only_if }) } else { Err(wrong()) }
    }
}

/// The names in braces.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}
