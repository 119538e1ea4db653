// SPDX-License-Identifier: Apache-2.0
//! Packs of a member and of a site over those of the treaty: they make answers stricter, and replay needs their texts.

use serde_json::json;

use super::{
    gates::{records as logged, replay, replay_with},
    training::{hold, submitted},
};
use crate::harness::{World, spec};

/// A rule on the gate for jobs that fires on commercial purposes.
fn pack(id: &str, effect: &str) -> String {
    format!(
        r#"@id("{id}")
@source("our own rules, no. 7")
@from("2026-01-01")
@effect("{effect}")
@facts("intent.purpose")
@text_en("Commercial work ({{intent.purpose}}) is not done here.")
@text_fr("Le travail commercial ({{intent.purpose}}) ne se fait pas ici.")
@text_de("Kommerzielle Arbeit ({{intent.purpose}}) wird hier nicht getan.")
@advice("Choose another site.")
@advice_fr("Choisissez un autre site.")
@advice_de("Wählen Sie einen anderen Standort.")
forbid (principal, action == Action::"screen", resource) when {{ context.intent.purpose == "commercial" }};"#
    )
}

fn job(purpose: &str, sites: &[&str]) -> sta_protocol::job::JobSpec {
    let sites_allowed = sites.iter().map(|site| site.parse().unwrap()).collect();
    sta_protocol::job::JobSpec { purpose: purpose.to_owned(), sites_allowed, ..spec() }
}

#[tokio::test(start_paused = true)]
async fn a_site_refuses_what_the_treaty_allows_and_the_job_goes_to_another_of_the_same_member() {
    let text = pack("JUE-1", "deny");
    let world = World::with_packs(&[("de", Some("juelich"), &text)]).await;
    world.run();
    let refused = submitted(&world.ca, &job("commercial", &["juelich"])).await;
    let refused = world.ca.wait_for("ada", &refused, "refused").await;
    let refusal = refused["refusals"].as_array().unwrap().iter().find(|one| one["rule"] == "JUE-1").unwrap();
    assert_eq!((&refusal["by"], &refusal["source"]), (&json!("de"), &json!("our own rules, no. 7")));
    assert_eq!(refusal["facts"]["intent.purpose"], "commercial");
    let elsewhere = submitted(&world.ca, &job("commercial", &["frankfurt-cloud"])).await;
    world.ca.wait_for("ada", &elsewhere, "completed").await;
    let science = submitted(&world.ca, &job("research", &["juelich"])).await;
    world.ca.wait_for("ada", &science, "completed").await;
    // Who has the log of the host alone cannot replay it; with the site's pack they can.
    let log = logged(&world.de);
    assert!(replay(&log).is_err());
    replay_with(&log, [text]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_nation_holds_what_runs_at_home_and_does_not_offer_it_where_nobody_could_release_it() {
    let text = pack("CA-7", "hold:safety");
    let world = World::with_packs(&[("ca", None, &text)]).await;
    world.run();
    let abroad = submitted(&world.ca, &job("commercial", &["juelich"])).await;
    let refused = world.ca.wait_for("ada", &abroad, "refused").await;
    let refusal = refused["refusals"].as_array().unwrap().iter().find(|one| one["rule"] == "CA-7").unwrap();
    assert_eq!(refusal["facts"]["released_by"], "safety");
    let here = submitted(&world.ca, &job("commercial", &["quebec-hydro"])).await;
    let held = hold(&world.ca).await;
    assert_eq!(
        (&held["job"], &held["code"], &held["awaits"]),
        (&json!(here), &json!("CA-7"), &json!(["safety"]))
    );
    for (language, words) in
        [("en", "not done here"), ("fr", "ne se fait pas ici"), ("de", "wird hier nicht getan")]
    {
        let path = format!("/v1/holds/{}", held["id"].as_str().unwrap());
        let told = world.ca.get_with("safia", &path, ("accept-language", language)).await.ok();
        assert!(told["reasons"][0]["text"].as_str().unwrap().contains(words), "{told}");
    }
    let path = format!("/v1/holds/{}/release", held["id"].as_str().unwrap());
    world.ca.post("safia", &path, &json!({"reason": "A pilot that the board agreed to."})).await.ok();
    world.ca.wait_for("ada", &here, "completed").await;
    replay_with(&logged(&world.ca), [text]).unwrap();
}
