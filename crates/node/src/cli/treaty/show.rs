// SPDX-License-Identifier: Apache-2.0
//! A treaty as people read it: members, jurisdictions, grounds, sites and rules as tables.

use sta_protocol::{
    digest::Sha256Digest,
    ids::MemberId,
    keys::PublicKey,
    treaty::{Series, Sharing, Site, Treaty},
};

use crate::cli::print::{decimal, pairs, size, table};

/// The whole treaty as text.
pub(super) fn text(treaty: &Treaty, digest: Sha256Digest, unsigned: &[MemberId]) -> String {
    let missing: Vec<_> = unsigned.iter().map(ToString::to_string).collect();
    let head = pairs(&[
        ("treaty", treaty.name.clone()),
        ("digest", digest.to_string()),
        ("in force", format!("{} to {}", treaty.valid_from, treaty.valid_until)),
        (
            "settlement",
            format!(
                "each {} in {}, rounded {}",
                treaty.settlement.period, treaty.settlement.currency, treaty.settlement.rounding
            ),
        ),
        (
            "witnesses",
            format!(
                "{} other member(s) cosign each log, at most {} s behind",
                treaty.witness.quorum, treaty.witness.behind_s_max
            ),
        ),
        (
            "not signed by",
            if missing.is_empty() { "- (all members have signed)".to_owned() } else { missing.join(", ") },
        ),
    ]);
    let members = treaty.members.iter().map(|member| {
        [
            member.id.to_string(),
            member.name.clone(),
            member.jurisdiction.to_string(),
            member.url.clone(),
            member.keys.signing.key_id(),
        ]
    });
    let areas = treaty.jurisdictions.iter().map(|terms| [terms.id.to_string(), join(&terms.groups)]);
    let grounds = treaty.transfer_grounds.iter().map(|ground| {
        let route = format!("{} -> {}", ground.from, ground.to);
        [
            route,
            join(&ground.classes),
            ground.operator_forms.join(", "),
            ground.ground.clone(),
            ground.valid_until.to_string(),
        ]
    });
    let packs = treaty.policies.iter().map(|pack| [pack.name.clone(), pack.sha256.to_string()]);
    let currency = &treaty.settlement.currency;
    let mut parts = vec![
        head,
        table(["member", "name", "law", "node", "signing key"], members),
        table(["jurisdiction", "in"], areas),
        table(["data may go", "class", "operators", "ground", "until"], grounds),
        sites(treaty),
        format!(
            "Tariffs in {currency} an hour: a core, a GiB of memory, an accelerator. CO2 in g a kWh, lowest to highest hour of the day."
        ),
        table(["rule pack", "SHA-256"], packs),
    ];
    parts.extend(treaty.sharing.map(|terms| sharing(&terms)));
    if !treaty.stop_authorities.is_empty() {
        let authorities = treaty.stop_authorities.iter().map(|authority| {
            let keys: Vec<_> = authority.keys.iter().map(PublicKey::key_id).collect();
            let of = format!("{} of {}", authority.signatures_min, keys.len());
            [authority.member.to_string(), of, keys.join(", ")]
        });
        parts.push(table(["may order a stop", "signatures", "keys"], authorities));
    }
    parts.join("\n\n")
}

/// The terms on which guests leave for the owner of a site.
fn sharing(terms: &Sharing) -> String {
    let Sharing { grace_s, staging_s, restart_s, unsaved_s_max } = *terms;
    let unsaved =
        unsaved_s_max.map_or_else(|| "without limit".to_owned(), |most| format!("at most {most} s"));
    pairs(&[
        ("sharing", "the owner of a site goes first, and may have guests leave".to_owned()),
        ("notice", format!("{grace_s} s from SIGTERM to the end of a guest, who then waits again")),
        ("without checkpoint", format!("a guest that does not save its work runs {unsaved}")),
        ("allowed delays", format!("{staging_s} s to bring files in, {restart_s} s for each restart")),
    ])
}

fn sites(treaty: &Treaty) -> String {
    let row = |site: &Site| {
        let operator = if site.operator.exposed_to.is_empty() {
            format!("{} ({})", site.operator.name, site.operator.form)
        } else {
            format!(
                "{} ({}; also answers to {})",
                site.operator.name,
                site.operator.form,
                join(&site.operator.exposed_to)
            )
        };
        let has = format!(
            "{} cores, {}, {} gpus",
            site.resources.cpu_cores,
            size(site.resources.memory_bytes),
            site.resources.gpus
        );
        let tariff = &site.tariff;
        let rates = [tariff.cpu_core_hour_micro, tariff.memory_gib_hour_micro, tariff.gpu_hour_micro]
            .map(decimal)
            .join(" / ");
        let place = format!("{} in {}", site.member, site.jurisdiction);
        [
            site.id.to_string(),
            place,
            operator,
            has,
            format!("{} %", site.guest_share_percent),
            rates,
            carbon(&site.energy.carbon_mg_per_kwh),
        ]
    };
    table(["site", "of", "operator", "has", ">guests", ">tariff", ">CO2"], treaty.sites.iter().map(row))
}

fn carbon(series: &Series) -> String {
    let grams = |mg: u32| format!("{}", mg / 1000);
    match series {
        Series::Constant(value) => grams(*value),
        Series::HourlyUtc(values) => {
            let ends = values.iter().min().zip(values.iter().max());
            ends.map_or_else(String::new, |(low, high)| format!("{} to {}", grams(*low), grams(*high)))
        }
    }
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
