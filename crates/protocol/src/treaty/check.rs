// SPDX-License-Identifier: Apache-2.0
//! What makes a treaty whole: unique names, references that lead somewhere, shares and series in their bounds.

use std::{collections::BTreeSet, fmt::Display};

use super::{Series, Site, TransferGround, TransferInstrument, Treaty, TreatyError};
use crate::ids::Jurisdiction;

/// The most members, sites, jurisdictions, grounds or packs that a treaty may list.
const LIST_LENGTH_MAX: usize = 1000;
/// The highest rate per hour: one million of the currency, so that no price can overflow.
const RATE_MICRO_MAX: i64 = 1_000_000_000_000;

impl Treaty {
    /// Checks the rules that hold within the text itself.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), TreatyError> {
        if self.version != 1 {
            return invalid("version", format!("is {}: this software reads version 1", self.version));
        }
        if self.valid_until <= self.valid_from {
            return invalid("valid_until", "is not after valid_from".to_owned());
        }
        self.check_terms()?;
        self.check_members()?;
        self.check_grounds()?;
        unique("jurisdictions", self.jurisdictions.iter().map(|terms| &terms.id))?;
        unique("sites", self.sites.iter().map(|site| &site.id))?;
        unique("policies", self.policies.iter().map(|pack| &pack.name))?;
        self.check_stop_authorities()?;
        self.sharing.map_or(Ok(()), |sharing| sharing.check())?;
        if self.policies.is_empty() {
            return invalid(
                "policies",
                "is empty: what no rule admits is refused, so nothing could run".to_owned(),
            );
        }
        self.sites.iter().try_for_each(|site| self.check_site(site))
    }

    fn check_terms(&self) -> Result<(), TreatyError> {
        let currency = &self.settlement.currency;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return invalid(
                "settlement.currency",
                format!("is `{currency}`: use an ISO 4217 code such as EUR"),
            );
        }
        if self.settlement.period != "month" {
            return invalid("settlement.period", format!("is `{}`: use month", self.settlement.period));
        }
        if self.settlement.rounding != "half-even" {
            return invalid(
                "settlement.rounding",
                format!("is `{}`: use half-even", self.settlement.rounding),
            );
        }
        if usize::from(self.witness.quorum) >= self.members.len().max(1) {
            let problem = format!(
                "is {}: at most the {} other members can witness",
                self.witness.quorum,
                self.members.len().saturating_sub(1)
            );
            return invalid("witness.quorum", problem);
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), TreatyError> {
        unique("members", self.members.iter().map(|member| &member.id))?;
        unique("members.url", self.members.iter().map(|member| &member.url))?;
        unique("members.keys.signing", self.members.iter().map(|member| member.keys.signing.key_id()))?;
        unique("members.keys.log", self.members.iter().map(|member| &member.keys.log))?;
        if self.members.is_empty() {
            return invalid("members", "is empty".to_owned());
        }
        for member in &self.members {
            let http = member.url.starts_with("https://") || member.url.starts_with("http://");
            if !http || member.url.ends_with('/') {
                return invalid(
                    "members.url",
                    format!("is `{}`: use http(s)://host[:port] without a trailing slash", member.url),
                );
            }
            self.check_jurisdiction("members.jurisdiction", &member.jurisdiction)?;
        }
        Ok(())
    }

    fn check_grounds(&self) -> Result<(), TreatyError> {
        for ground in &self.transfer_grounds {
            for end in [&ground.from, &ground.to] {
                self.check_jurisdiction("transfer_grounds", end)?;
            }
            if ground.ground.is_empty() || ground.classes.is_empty() || ground.operator_forms.is_empty() {
                let problem =
                    "needs a ground in law, at least one class and at least one form of operator".to_owned();
                return invalid("transfer_grounds", problem);
            }
            check_instrument(ground)?;
        }
        Ok(())
    }

    fn check_stop_authorities(&self) -> Result<(), TreatyError> {
        unique("stop_authorities", self.stop_authorities.iter().map(|authority| &authority.member))?;
        for authority in &self.stop_authorities {
            if self.member(&authority.member).is_none() {
                let problem = format!("names `{}`, which is no member", authority.member);
                return invalid("stop_authorities", problem);
            }
            authority.check().or_else(|broken| invalid(&broken.field, broken.problem))?;
        }
        Ok(())
    }

    fn check_site(&self, site: &Site) -> Result<(), TreatyError> {
        let field = format!("sites.{}", site.id);
        if self.member(&site.member).is_none() {
            return invalid(&field, format!("belongs to `{}`, which is no member", site.member));
        }
        self.check_jurisdiction(&field, &site.jurisdiction)?;
        if let Some(contract) = site.processor_contracts.iter().find(|c| self.member(&c.member).is_none()) {
            let problem = format!("has a contract with `{}`, which is no member", contract.member);
            return invalid(&format!("{field}.processor_contracts"), problem);
        }
        if site.guest_share_percent > 100 {
            return invalid(&field, format!("gives guests {} %: use 0 to 100", site.guest_share_percent));
        }
        let tariff = &site.tariff;
        let rates = [tariff.cpu_core_hour_micro, tariff.memory_gib_hour_micro, tariff.gpu_hour_micro];
        if rates.iter().any(|rate| !(0..=RATE_MICRO_MAX).contains(rate)) {
            return invalid(&field, "has a rate below 0 or above a million per hour".to_owned());
        }
        match &site.energy.carbon_mg_per_kwh {
            Series::HourlyUtc(values) if values.len() != 24 => invalid(
                &field,
                format!("has {} carbon values: use one number, or 24 for the hours of the day", values.len()),
            ),
            Series::HourlyUtc(_) | Series::Constant(_) => Ok(()),
        }
    }

    fn check_jurisdiction(&self, field: &str, id: &Jurisdiction) -> Result<(), TreatyError> {
        let known = self.jurisdictions.iter().any(|terms| terms.id == *id || terms.groups.contains(id));
        if known {
            Ok(())
        } else {
            invalid(field, format!("names `{id}`, which `jurisdictions` does not list"))
        }
    }
}

/// Clauses belong to the instrument that consists of them: beside another, nobody could say what the transfer rests on.
fn check_instrument(ground: &TransferGround) -> Result<(), TreatyError> {
    if ground.clauses.is_some() && ground.instrument != Some(TransferInstrument::StandardClauses) {
        let problem = format!(
            "has signed clauses for `{}`, which does not rest on them: use instrument = \"standard-clauses\"",
            ground.ground
        );
        return invalid("transfer_grounds", problem);
    }
    Ok(())
}

fn unique<T: Ord + Display>(field: &str, items: impl Iterator<Item = T>) -> Result<(), TreatyError> {
    let mut seen = BTreeSet::new();
    for item in items {
        if seen.len() == LIST_LENGTH_MAX {
            return invalid(field, format!("has more than {LIST_LENGTH_MAX} items"));
        }
        let text = item.to_string();
        if !seen.insert(item) {
            return invalid(field, format!("has `{text}` twice"));
        }
    }
    Ok(())
}

fn invalid(field: &str, problem: String) -> Result<(), TreatyError> {
    Err(TreatyError::Invalid { field: field.to_owned(), problem })
}
