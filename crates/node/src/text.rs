// SPDX-License-Identifier: Apache-2.0
//! The texts that people read for refusals, in English, French and German: equal in rank, one catalogue each.
//!
//! The catalogues are `locales/*/refusals.ftl` (Project Fluent), built into the binary. A message holds without facts; its
//! attribute `with-facts` says it with them and counts only where every fact that it names is there.

use std::{cmp::Reverse, collections::HashMap, sync::LazyLock};

use fluent_templates::{LanguageIdentifier, fluent_bundle::FluentValue, langid};
use sta_decide::{authorize::Rules, gate::GateRule};
use sta_protocol::{gate::Text, refusal::Refusal};

fluent_templates::static_loader! {
    static CATALOGUES = {
        locales: "./locales",
        fallback_language: "en",
        // Isolation marks around facts would be invisible characters in what people copy and in what programs compare.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// The message for rules that the catalogues do not know: those of a member's own packs.
const OTHER_RULE: &str = "other-rule";
/// What `authorize` quotes for a fact that was not there: a text must not read "site missing".
const MISSING_FACT: &str = "missing";
/// The last parts of the names of facts that are jurisdictions: people write `DE`, and "the law of us" would mislead.
const JURISDICTIONS: [&str; 5] = ["exposed_to", "jurisdiction", "origin", "origins", "residency"];
/// The most characters of one fact within a sentence.
const FACT_CHARS_MAX: usize = 200;
/// The most characters of an advice that came with the refusal.
const ADVICE_CHARS_MAX: usize = 1000;
/// The most language ranges of an `Accept-Language` header that are read.
const RANGES_MAX: usize = 32;

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// German.
    De,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::En, Self::Fr, Self::De];

    /// The primary subtag of the language (BCP 47), as for `Content-Language`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::De => "de",
        }
    }

    /// The language that an `Accept-Language` header (RFC 9110 §12.5.4) prefers; English when it prefers none of ours.
    ///
    /// `fr-CA` asks for French as the lookup of RFC 4647 §3.4 does. Of equal qualities the first in the header wins; what is
    /// malformed is passed over, because a text in the second-best language is better than none.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Self {
        let ranges: Vec<(String, u16)> =
            header.split(',').take(RANGES_MAX).filter_map(language_range).collect();
        let best_of = |wanted: &str| {
            let matching = ranges.iter().enumerate().filter(|(_, (subtag, _))| subtag == wanted);
            matching.map(|(position, (_, quality))| (*quality, Reverse(position))).max()
        };
        let any = best_of("*");
        let preferred = Self::ALL.into_iter().enumerate().filter_map(|(rank, language)| {
            let (quality, position) = best_of(language.as_str()).or(any)?;
            (quality > 0).then_some((quality, position, Reverse(rank), language))
        });
        preferred.max().map(|(_, _, _, language)| language).unwrap_or_default()
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Self::En => langid!("en"),
            Self::Fr => langid!("fr"),
            Self::De => langid!("de"),
        }
    }
}

/// The primary subtag of one range in lower case, and its quality in thousandths; `None` when it is malformed.
fn language_range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let subtag = parts.next()?.split('-').next()?.to_ascii_lowercase();
    let quality = match parts.next() {
        Some(weight) => quality_thousandths(weight)?,
        None => 1000,
    };
    (!subtag.is_empty() && parts.next().is_none()).then_some((subtag, quality))
}

/// `q=0.8` as 800: at most three decimals, from 0 to 1 (RFC 9110 §12.4.2).
fn quality_thousandths(weight: &str) -> Option<u16> {
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let are_digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !are_digits {
        return None;
    }
    let quality = format!("{whole}{decimals:0<3}").parse().ok()?;
    (quality <= 1000).then_some(quality)
}

/// One sentence that says what was refused and why, with the facts where the catalogue has a place for them.
///
/// The facts need not all be in it: whoever shows it lists them beside it ([`Refusal::fact_line`]).
#[must_use]
pub fn sentence(language: Language, refusal: &Refusal) -> String {
    message_of(refusal)
        .and_then(|id| {
            let with_facts = || message(language, &format!("{id}.with-facts"), &facts_of(refusal));
            with_facts().or_else(|| message(language, &id, &facts_of(refusal)))
        })
        .or_else(|| of_pack(language, refusal, |rule| &rule.text))
        .or_else(|| message(language, OTHER_RULE, &rule_of(refusal)))
        // Only without a catalogue at all, which a test rules out; the code and its source still say something.
        .unwrap_or_else(|| format!("{} ({})", refusal.rule, refusal.source))
}

/// What would change the answer: the catalogue's words, else the refusal's own, else whom to ask.
#[must_use]
pub fn advice(language: Language, refusal: &Refusal) -> String {
    let own = || Some(one_line(&refusal.advice, ADVICE_CHARS_MAX)).filter(|advice| !advice.is_empty());
    message_of(refusal)
        .and_then(|id| message(language, &format!("{id}.advice"), &facts_of(refusal)))
        .or_else(|| of_pack(language, refusal, |rule| &rule.advice))
        .or_else(own)
        .or_else(|| message(language, &format!("{OTHER_RULE}.advice"), &rule_of(refusal)))
        .unwrap_or_default()
}

/// What people read of a clock of an incident: its `duty`, or the `authority` that the rule which started it names.
#[must_use]
pub fn of_clock(language: Language, what: &str, word: &str) -> String {
    let id = format!("incident-{what}-{}", word.to_ascii_lowercase());
    message(language, &id, &Arguments::new()).unwrap_or_else(|| word.to_owned())
}

/// The id of the message for the refusal's rule; `None` where the rule's id could not be one of ours.
///
/// Ours are of capitals, digits and `-`. A peer's rule `SOV-001.advice` or `sov-001` must not borrow our words.
fn message_of(refusal: &Refusal) -> Option<String> {
    let is_ours = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    let id = refusal.rule.to_ascii_lowercase();
    (refusal.rule.bytes().all(is_ours) && id != OTHER_RULE).then_some(id)
}

/// The shipped packs, for the texts that rules of gates bring with them.
static SHIPPED: LazyLock<Option<Rules>> = LazyLock::new(|| Rules::shipped().ok());

/// What a rule of a gate says in its pack, with the refusal's facts in their places.
fn of_pack(language: Language, refusal: &Refusal, part: fn(&GateRule) -> &Text) -> Option<String> {
    let rule = SHIPPED.as_ref()?.rule(&refusal.rule)?;
    let texts = part(rule.gate.as_ref()?);
    let text = match language {
        Language::En => &texts.en,
        Language::Fr => &texts.fr,
        Language::De => &texts.de,
    };
    let fill = |text: String, (name, value): (&String, &String)| {
        text.replace(&format!("{{{name}}}"), &one_line(value, FACT_CHARS_MAX))
    };
    Some(refusal.facts.iter().fold(text.clone(), fill))
}

type Arguments = HashMap<String, FluentValue<'static>>;

/// `None` when the language has no such message, or when an argument that it names is missing.
fn message(language: Language, id: &str, arguments: &Arguments) -> Option<String> {
    CATALOGUES.lookup_single_language(&language.identifier(), id, Some(arguments)).ok()
}

/// The facts as arguments: `site.id` is `$site-id`, because Fluent's names have no dots.
fn facts_of(refusal: &Refusal) -> Arguments {
    let there = refusal.facts.iter().filter(|(_, value)| *value != MISSING_FACT && !value.is_empty());
    there.map(|(name, value)| (name.replace('.', "-"), argument(&as_written(name, value)))).collect()
}

fn as_written(name: &str, value: &str) -> String {
    let is_jurisdiction = name.rsplit('.').next().is_some_and(|last| JURISDICTIONS.contains(&last));
    if is_jurisdiction { value.to_uppercase().replace(',', ", ") } else { value.to_owned() }
}

fn rule_of(refusal: &Refusal) -> Arguments {
    let values = [("rule", refusal.rule.as_str()), ("source", &refusal.source), ("by", refusal.by.as_str())];
    values.into_iter().map(|(name, value)| (name.to_owned(), argument(value))).collect()
}

fn argument(value: &str) -> FluentValue<'static> {
    FluentValue::from(one_line(value, FACT_CHARS_MAX))
}

/// The text without what could forge further lines or steer a terminal, and not longer than `chars_max`.
///
/// Facts and advice may come from another member's node.
fn one_line(text: &str, chars_max: usize) -> String {
    let steers = |character: char| {
        let is_direction_mark =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        character.is_control() || is_direction_mark || matches!(character, '\u{2028}' | '\u{2029}')
    };
    let line: String = text.chars().take(chars_max).map(|c| if steers(c) { ' ' } else { c }).collect();
    let is_cut = text.chars().nth(chars_max).is_some();
    if is_cut { format!("{line}…") } else { line.trim().to_owned() }
}
