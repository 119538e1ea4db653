// SPDX-License-Identifier: Apache-2.0
//! The report in one language: its words with values put into them.

use super::{
    escape,
    words::{Language, Words},
};
use crate::report::{Cost, Report, Saving};

/// From how many units of money on their hundredths are left out.
const WHOLE_UNITS_FROM_MICRO: i64 = 10_000_000_000;

/// A report and the language to say it in.
#[derive(Clone, Copy)]
pub(super) struct Edition<'a> {
    pub(super) report: &'a Report,
    pub(super) words: &'static Words,
    pub(super) language: Language,
    /// Decimals of all amounts.
    money_places: usize,
}

impl<'a> Edition<'a> {
    /// The report in these words.
    pub(super) fn new(report: &'a Report, words: &'static Words) -> Self {
        let bills = report.savings.iter().map(|saving| total_micro(&saving.without));
        let largest = bills.chain([total_micro(&report.total.cost)]).max().unwrap_or(0);
        let money_places = if largest < WHOLE_UNITS_FROM_MICRO { 2 } else { 0 };
        Self { report, words, language: words.language, money_places }
    }

    /// An id that no other language has.
    pub(super) fn id(&self, own: &str) -> String {
        format!("{}-{own}", self.words.code)
    }

    /// A sentence with its values, which are HTML already. No value is looked through for further names.
    pub(super) fn say(&self, sentence: &str, values: &[(&str, &str)]) -> String {
        let mut said = String::with_capacity(sentence.len() + 64);
        let mut rest = sentence;
        while let Some((before, from)) = rest.split_once('{') {
            let (name, after) = from.split_once('}').unwrap_or((from, ""));
            said.push_str(before);
            let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            debug_assert!(value.is_some(), "`{sentence}` wants a value for `{name}`");
            said.push_str(value.unwrap_or_default());
            rest = after;
        }
        said + rest
    }

    /// The currency, safe.
    pub(super) fn currency(&self) -> String {
        escape::shortened(&self.report.currency, 12)
    }

    /// An amount without its currency.
    pub(super) fn amount(&self, micro: i64) -> String {
        self.language.amount(micro, self.money_places)
    }

    /// An amount with its sign and without its currency.
    pub(super) fn amount_signed(&self, micro: i64) -> String {
        self.language.amount_signed(micro, self.money_places)
    }

    /// An amount with its currency.
    pub(super) fn money(&self, micro: i64) -> String {
        self.language.with_currency(&self.amount(micro), &self.currency())
    }

    /// A count of seconds as time.
    pub(super) fn seconds(&self, seconds: u64) -> String {
        self.language.duration(seconds as f64)
    }

    /// A part of the jobs.
    pub(super) fn share(&self, percent: f64) -> String {
        self.language.percent(percent, if percent.fract() == 0.0 { 0 } else { 1 })
    }

    /// The code of a baseline as it stands on the command line.
    pub(super) fn code(saving: &Saving) -> String {
        format!("<code>{}</code>", escape::name(&saving.baseline))
    }

    /// What a baseline is, in words.
    pub(super) fn baseline(&self, saving: &Saving) -> String {
        let (kind, price) = saving.baseline.split_once(':').unwrap_or((&saving.baseline, ""));
        let price = self.language.with_currency(&self.price(price), &self.currency());
        let sentence = match kind {
            "alone" => self.words.baseline_alone,
            "cloud" => self.words.baseline_cloud,
            "rent-all" => self.words.baseline_rent_all,
            _ => return escape::name(&saving.baseline),
        };
        self.say(sentence, &[("price", &price)])
    }

    /// The saving and its baseline, in one line.
    pub(super) fn saving(&self, saving: &Saving) -> String {
        // Of what is given to two places.
        let is_dearer = saving.saving_percent <= -0.005;
        let sentence = if is_dearer { self.words.overspent } else { self.words.saved };
        let percent = self.language.change(saving.saving_percent.abs());
        let values = [
            ("percent", format!("<strong>{percent}</strong>")),
            ("code", Self::code(saving)),
            ("baseline", self.baseline(saving)),
        ];
        self.say(sentence, &values.each_ref().map(|(name, value)| (*name, value.as_str())))
    }

    /// What is paid without and with the pool.
    pub(super) fn both_totals(&self, saving: &Saving) -> String {
        let (without, with) =
            (self.money(total_micro(&saving.without)), self.money(total_micro(&saving.with)));
        self.say(self.words.from_to, &[("without", &without), ("with", &with)])
    }

    /// How a member is called among others, in running text.
    pub(super) fn member(&self, index: usize) -> String {
        self.report.members.get(index).map_or_else(String::new, |member| escape::isolated(&member.name))
    }

    /// The price of a baseline, with the decimals that it was given.
    fn price(&self, written: &str) -> String {
        let places = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        match written.parse::<f64>() {
            Ok(price) if price.is_finite() && places <= 6 => self.language.number(price, places),
            _ => escape::shortened(written, 24),
        }
    }
}

/// What all components cost together.
pub(super) fn total_micro(cost: &Cost) -> i64 {
    cost.owned_micro.saturating_add(cost.electricity_micro).saturating_add(cost.cloud_micro)
}

/// By how many percent one value is above another; nothing where there is nothing to compare with.
pub(super) fn change_percent(before: f64, after: f64) -> f64 {
    if before == 0.0 { f64::NAN } else { 100.0 * (after - before) / before.abs() }
}
