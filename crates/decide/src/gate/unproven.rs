// SPDX-License-Identifier: Apache-2.0
//! What a rule says when a fact lacks the evidence it demands: which fact, who vouches now, who would have to, and how.

use sta_protocol::gate::{Provenance, Text, Unproven};

/// The sentence, with the rule's own text after it: the rule counts as if its condition held.
pub(super) fn text(unproven: &[Unproven], own: &Text) -> Text {
    let each = |words: fn(Provenance) -> [&'static str; 3], language: usize, or: &str| {
        let one = |gap: &Unproven| {
            let wants: Vec<&str> = gap.wants.iter().map(|want| words(*want)[language]).collect();
            (gap.fact.clone(), words(gap.has)[language], wants.join(or))
        };
        unproven.iter().map(one).collect::<Vec<_>>()
    };
    let joined = |sentences: Vec<String>, own: &str| format!("{} {own}", sentences.join(" "));
    let en = each(state, 0, " or ").into_iter().map(|(fact, has, wants)| {
        format!("The fact {fact} is {has}; it must be {wants}, and counts against the request until it is.")
    });
    let fr = each(state, 1, " ou ").into_iter().map(|(fact, has, wants)| {
        format!("Le fait {fact} est {has} ; il doit être {wants} et, d'ici là, joue contre la demande.")
    });
    let de = each(state, 2, " oder ").into_iter().map(|(fact, has, wants)| {
        format!("Die Angabe {fact} ist {has}; sie muss {wants} sein und zählt bis dahin gegen die Anfrage.")
    });
    Text {
        en: joined(en.collect(), &own.en),
        fr: joined(fr.collect(), &own.fr),
        de: joined(de.collect(), &own.de),
    }
}

/// How each missing evidence is got, before the rule's own advice.
pub(super) fn advice(unproven: &[Unproven], own: &Text) -> Text {
    let ways: std::collections::BTreeSet<Provenance> =
        unproven.iter().flat_map(|gap| gap.wants.iter().copied()).collect();
    let in_language = |language: usize, own: &str| {
        let sentences: Vec<&str> = ways.iter().map(|way| how_to_get(*way)[language]).collect();
        format!("{} {own}", sentences.join(" "))
    };
    Text { en: in_language(0, &own.en), fr: in_language(1, &own.fr), de: in_language(2, &own.de) }
}

fn state(provenance: Provenance) -> [&'static str; 3] {
    match provenance {
        Provenance::Declared => ["only declared", "seulement déclaré", "nur erklärt"],
        Provenance::Registry => ["registered", "inscrit au registre", "im Register eingetragen"],
        Provenance::Attested => ["attested", "attesté", "bescheinigt"],
        Provenance::Metered => ["metered", "mesuré", "gemessen"],
    }
}

fn how_to_get(provenance: Provenance) -> [&'static str; 3] {
    match provenance {
        Provenance::Declared => ["State it.", "Déclarez-le.", "Geben Sie es an."],
        Provenance::Registry => [
            "Have it entered in the signed record of the member that answers for it.",
            "Faites-le inscrire dans la fiche signée du membre qui en répond.",
            "Lassen Sie es in den signierten Eintrag des Mitglieds aufnehmen, das dafür einsteht.",
        ],
        Provenance::Attested => [
            "Attach a signed attestation that names the digest of the thing.",
            "Joignez une attestation signée qui nomme l'empreinte de l'objet.",
            "Fügen Sie eine signierte Bescheinigung bei, die den Hash der Sache nennt.",
        ],
        Provenance::Metered => {
            ["Let the node measure it.", "Laissez le nœud le mesurer.", "Lassen Sie es den Knoten messen."]
        }
    }
}
