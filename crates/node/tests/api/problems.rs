// SPDX-License-Identifier: Apache-2.0
//! Problems: every error is one document, in the language of who asks, and tells nobody what is inside.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use sta_node::{http::problem::Fault, text::Language};
use sta_protocol::refusal::RefusalCode;

use super::blotted;
use crate::harness::{World, token};

#[tokio::test(start_paused = true)]
async fn a_problem_is_an_rfc_9457_document() {
    let world = World::open().await;
    let answer = world.ca.get("", "/v1/jobs").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        (answer.header("content-type"), answer.header("www-authenticate")),
        ("application/problem+json", "Bearer")
    );
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-content-type-options")),
        ("no-store", "nosniff")
    );
    insta::assert_json_snapshot!("problem", blotted(&answer.json()));
}

#[tokio::test(start_paused = true)]
async fn a_problem_speaks_the_language_that_is_asked_for() {
    let world = World::open().await;
    let mut texts = Vec::new();
    for language in ["en", "fr-CA, en;q=0.5", "de-DE", "ja"] {
        let answer = world.ca.get_with("ada", "/v1/projects/none", ("accept-language", language)).await;
        texts.push(format!(
            "{}: {}",
            answer.header("content-language"),
            answer.json()["detail"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!("languages", texts.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_and_an_unknown_method_are_problems_too() {
    let world = World::open().await;
    let path = world.ca.get("ada", "/v1/nothing").await;
    assert_eq!((path.status, path.rule().as_deref()), (StatusCode::NOT_FOUND, Some("REQ-001")));
    let method = world.ca.ask("ada", Method::DELETE, "/v1/jobs", None).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    let mut allowed: Vec<_> = method.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    insta::assert_json_snapshot!("method_not_allowed", blotted(&method.json()));
}

#[tokio::test(start_paused = true)]
async fn a_body_above_1_mib_is_refused_and_one_that_is_no_json_is_named() {
    let world = World::open().await;
    let post = |body: Vec<u8>| {
        let request =
            Request::post("/v1/passports").header(header::AUTHORIZATION, format!("Bearer {}", token("ada")));
        request.body(Body::from(body)).unwrap()
    };
    let large = world.ca.send(post(vec![b' '; (1 << 20) + 1])).await;
    assert_eq!((large.status, large.rule().as_deref()), (StatusCode::PAYLOAD_TOO_LARGE, Some("REQ-003")));
    let broken = world.ca.send(post(b"{\"visas\": [}".to_vec())).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    insta::assert_json_snapshot!("body_malformed", blotted(&broken.json()));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_job_does_not_exist() {
    let world = World::open().await;
    let job = world.ca.submit("ada", &crate::harness::spec()).await.ok();
    let theirs = world.ca.get("eve", &format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await;
    let none = world.ca.get("eve", &format!("/v1/jobs/{}", world.ca.job_id())).await;
    assert_eq!((theirs.status, theirs.json()), (none.status, none.json()), "the two must look alike");
    assert_eq!(world.ca.get("eve", "/v1/jobs/not-an-id").await.rule().as_deref(), Some("REQ-002"));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_away_is_told_as_such() {
    let world = World::open().await;
    world.network.cut("node.de.example");
    let answer = world.ca.get("ada", "/v1/datasets/de/hospital").await;
    assert_eq!((answer.status, answer.rule().as_deref()), (StatusCode::BAD_GATEWAY, Some("REQ-007")));
    insta::assert_json_snapshot!("peer_away", blotted(&answer.json()));
}

#[tokio::test(start_paused = true)]
async fn a_stopping_node_is_not_ready() {
    let world = World::open().await;
    assert_eq!(world.ca.get("", "/readyz").await.ok(), json!({"status": "ok"}));
    world.ca.node.stop();
    let answer = world.ca.get("", "/readyz").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(answer.rule().as_deref(), Some("REQ-006"));
    assert_eq!(world.ca.get("", "/healthz").await.status, StatusCode::OK);
}

/// Every text that a person can meet, in the three languages: the codes of the list and the node's own.
#[tokio::test(start_paused = true)]
async fn every_problem_has_its_text_in_every_language() {
    let world = World::open().await;
    let node = &world.ca.node;
    let codes = RefusalCode::ALL.iter().map(|code| Fault::No(*code, Vec::new()));
    let own =
        [Fault::MethodNotAllowed, Fault::TimedOut { seconds_max: 30 }, Fault::RangeOutside { whole: 7 }];
    let mut texts = Vec::new();
    for fault in codes.chain(own) {
        let document = |language| fault.clone().document(node, language).0;
        let english = document(Language::En);
        texts.push(format!("{} {}", english.status, english.title));
        for language in Language::ALL {
            texts.push(format!("  {}: {}", language.as_str(), document(language).detail));
        }
        assert_ne!(document(Language::Fr).detail, english.detail, "{}", english.title);
        assert_ne!(document(Language::De).detail, english.detail, "{}", english.title);
    }
    insta::assert_snapshot!("problem_texts", texts.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_internal_error_shows_an_id_and_nothing_of_the_inside() {
    let world = World::open().await;
    let (document, _) =
        Fault::Internal("secret/path/node.sqlite".to_owned()).document(&world.ca.node, Language::En);
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(document.status, 500);
    assert!(!text.contains("secret") && document.detail.contains("under "), "{text}");
    // A file that is gone is such an error on the way of a real request.
    std::fs::remove_file(&world.ca.node.config.treaty).unwrap();
    let answer = world.ca.get("", "/v1/treaty").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value = answer.json();
    assert_eq!(body["type"], "https://sta.example/problems/internal");
    assert!(!answer.text().contains("treaty.json"), "{}", answer.text());
}
