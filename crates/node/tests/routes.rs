// SPDX-License-Identifier: Apache-2.0
//! Every route, walked by everybody: nobody, strangers, people with and without roles, and members. The matrix is a snapshot.

use std::{collections::BTreeSet, fmt::Write as _};

use http::Method;
use serde_json::{Value, json};
use sta_node::{
    engines::agent::token,
    http::{
        openapi,
        router::{Right, Route, table},
    },
};
use sta_protocol::keys::SigningKey;

use crate::harness::{self, Answer, TestNode, World, spec};

/// Who walks. `ada` is the job's researcher, `de` the home of the guest's job, `fr` a member that has no job here.
const CALLERS: [&str; 12] = [
    "nobody",
    "forger",
    "ada",
    "eve",
    "otto",
    "stella",
    "aud",
    "safia",
    "member de",
    "member fr",
    "stranger",
    "agent",
];

/// A request for each row of the table: what is in braces is filled in, a body that no handler takes proves that the caller
/// came as far as the handler and changes nothing.
const WALK: [(&str, &str, &str); 80] = [
    ("POST", "/v1/jobs", "/v1/jobs"),
    ("GET", "/v1/jobs", "/v1/jobs"),
    ("GET", "/v1/jobs/{job}", "/v1/jobs/{job}"),
    ("GET", "/v1/jobs/{job}/why", "/v1/jobs/{job}/why"),
    ("POST", "/v1/jobs/{job}/cancel", "/v1/jobs/{job}/cancel"),
    ("GET", "/v1/jobs/{job}/logs/{stream}", "/v1/jobs/{job}/logs/stdout"),
    ("GET", "/v1/jobs/{job}/outputs/{name}", "/v1/jobs/{job}/outputs/model.json"),
    ("GET", "/v1/jobs/{job}/receipt", "/v1/jobs/{job}/receipt"),
    ("GET", "/v1/jobs/{job}/proof", "/v1/jobs/{job}/proof"),
    ("GET", "/v1/jobs/{job}/standing", "/v1/jobs/{job}/standing"),
    ("GET", "/v1/hosted/{job}", "/v1/hosted/{guest}"),
    ("POST", "/v1/hosted/{job}/outputs/{name}/release", "/v1/hosted/{guest}/outputs/model.json/release"),
    ("PUT", "/v1/blobs/{sha256}", "/v1/blobs/nothing"),
    ("HEAD", "/v1/blobs/{sha256}", "/v1/blobs/{sha256}"),
    ("GET", "/v1/datasets", "/v1/datasets"),
    ("POST", "/v1/datasets", "/v1/datasets"),
    ("GET", "/v1/datasets/{member}/{name}", "/v1/datasets/ca/weather"),
    ("GET", "/v1/projects", "/v1/projects"),
    ("GET", "/v1/projects/{project}", "/v1/projects/digits"),
    ("PUT", "/v1/projects/{project}", "/v1/projects/digits"),
    ("PUT", "/v1/researchers/{researcher}", "/v1/researchers/ada"),
    ("POST", "/v1/visas", "/v1/visas"),
    ("POST", "/v1/passports", "/v1/passports"),
    ("GET", "/v1/sites", "/v1/sites"),
    ("GET", "/v1/statements/{period}/{member}", "/v1/statements/2026-11/de"),
    ("GET", "/v1/standing", "/v1/standing"),
    ("POST", "/v1/gate", "/v1/gate"),
    ("GET", "/v1/gate/{decision}", "/v1/gate/0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b11"),
    ("POST", "/v1/gate/{decision}/outcome", "/v1/gate/0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b11/outcome"),
    ("POST", "/v1/models", "/v1/models"),
    ("GET", "/v1/models/{digest}", "/v1/models/{sha256}"),
    ("POST", "/v1/evaluations", "/v1/evaluations"),
    ("GET", "/v1/jobs/{job}/gates", "/v1/jobs/{job}/gates"),
    ("GET", "/v1/hosted/{job}/gates", "/v1/hosted/{guest}/gates"),
    ("GET", "/v1/holds", "/v1/holds"),
    ("GET", "/v1/holds/{hold}", "/v1/holds/{job}"),
    ("POST", "/v1/holds/{hold}/release", "/v1/holds/{job}/release"),
    ("POST", "/v1/holds/{hold}/deny", "/v1/holds/{job}/deny"),
    ("GET", "/v1/stop-orders", "/v1/stop-orders"),
    ("POST", "/v1/stop-orders", "/v1/stop-orders"),
    ("GET", "/v1/stop-orders/{order}", "/v1/stop-orders/{job}"),
    ("GET", "/v1/stop-orders/{order}/proof", "/v1/stop-orders/{job}/proof"),
    ("POST", "/v1/stop-lifts", "/v1/stop-lifts"),
    ("GET", "/v1/incidents", "/v1/incidents"),
    ("POST", "/v1/incidents", "/v1/incidents"),
    ("GET", "/v1/incidents/{incident}", "/v1/incidents/{job}"),
    ("GET", "/v1/incidents/{incident}/evidence", "/v1/incidents/{job}/evidence"),
    ("GET", "/v1/incidents/{incident}/proof", "/v1/incidents/{job}/proof"),
    ("POST", "/v1/incidents/{incident}/events", "/v1/incidents/{job}/events"),
    ("POST", "/v1/incidents/{incident}/close", "/v1/incidents/{job}/close"),
    ("POST", "/federation/v1/stop-orders", "/federation/v1/stop-orders"),
    ("POST", "/federation/v1/stop-lifts", "/federation/v1/stop-lifts"),
    ("POST", "/federation/v1/stop-acknowledgements", "/federation/v1/stop-acknowledgements"),
    ("GET", "/v1/node", "/v1/node"),
    ("GET", "/v1/treaty", "/v1/treaty"),
    ("GET", "/audit/checkpoint", "/audit/checkpoint"),
    ("GET", "/audit/tile/{*path}", "/audit/tile/entries/000.p/2"),
    ("POST", "/witness/add-checkpoint", "/witness/add-checkpoint"),
    ("GET", "/.well-known/jwks.json", "/.well-known/jwks.json"),
    ("GET", "/healthz", "/healthz"),
    ("GET", "/readyz", "/readyz"),
    ("GET", "/metrics", "/metrics"),
    ("GET", "/openapi.json", "/openapi.json"),
    ("POST", "/federation/v1/offers", "/federation/v1/offers"),
    ("POST", "/federation/v1/withdrawals", "/federation/v1/withdrawals"),
    ("POST", "/federation/v1/take-backs", "/federation/v1/take-backs"),
    ("POST", "/federation/v1/progress", "/federation/v1/progress"),
    ("POST", "/federation/v1/receipts", "/federation/v1/receipts"),
    ("POST", "/federation/v1/transfers", "/federation/v1/transfers"),
    ("GET", "/federation/v1/transfers/{job}/{sha256}", "/federation/v1/transfers/{guest}/{sha256}"),
    ("GET", "/federation/v1/jobs/{job}/outputs/{name}", "/federation/v1/jobs/{guest}/outputs/model.json"),
    ("GET", "/federation/v1/jobs/{job}/logs/{stream}", "/federation/v1/jobs/{guest}/logs/stdout"),
    ("GET", "/federation/v1/statements/{period}", "/federation/v1/statements/2026-11"),
    ("GET", "/federation/v1/datasets/{name}", "/federation/v1/datasets/weather"),
    ("GET", "/federation/v1/sites", "/federation/v1/sites"),
    ("POST", "/agent/v1/sites/{site}/hello", "/agent/v1/sites/quebec-hydro/hello"),
    ("POST", "/agent/v1/sites/{site}/calls", "/agent/v1/sites/quebec-hydro/calls"),
    ("POST", "/agent/v1/sites/{site}/answers", "/agent/v1/sites/quebec-hydro/answers"),
    ("PUT", "/agent/v1/sites/{site}/calls/{call}/part", "/agent/v1/sites/quebec-hydro/calls/1/part"),
    ("GET", "/agent/v1/sites/{site}/inputs/{sha256}", "/agent/v1/sites/quebec-hydro/inputs/{sha256}"),
];

/// What the walk needs to be there: a job of Ada's at home, and a job of Germany's that ran here.
struct Stage {
    world: World,
    job: String,
    guest: String,
}

impl Stage {
    async fn set() -> Self {
        let world = World::open().await;
        let site = "quebec-hydro".parse().unwrap();
        token::expect(&world.ca.node.config.directory, &site, &harness::token("agent")).unwrap();
        world.run();
        let mut here = spec();
        here.sites_allowed = vec!["quebec-hydro".parse().unwrap()];
        let job = world.ca.finished("ada", &here).await["id"].as_str().unwrap().to_owned();
        let guest = world.de.finished("ada", &here).await["id"].as_str().unwrap().to_owned();
        world
            .ca
            .until("the log is cosigned", |node| {
                let published = |connection: &_| sta_node::store::audit::checkpoint(connection, "published");
                node.store.read(published).unwrap().is_some_and(|(size, _)| {
                    size == node.store.read(sta_node::store::audit::log_size).unwrap()
                })
            })
            .await;
        Self { world, job, guest }
    }

    fn path(&self, sample: &str) -> String {
        let sha256 = "0".repeat(64);
        sample.replace("{job}", &self.job).replace("{guest}", &self.guest).replace("{sha256}", &sha256)
    }

    async fn ask(&self, caller: &str, method: &str, sample: &str) -> Answer {
        let (node, path) = (&self.world.ca, self.path(sample));
        let method: Method = method.parse().unwrap();
        let body = (method == Method::POST || method == Method::PUT).then(|| json!({"nobody": "knows this"}));
        let signed = |by: &TestNode, key: Option<SigningKey>| {
            let mut signing = by.signing(node, method.clone(), &path);
            signing.key = key.unwrap_or(signing.key);
            match &body {
                Some(body) => signing.json(body),
                None => signing,
            }
        };
        match caller {
            "nobody" => node.ask("", method, &path, body.as_ref()).await,
            "member de" => node.answer(&signed(&self.world.de, None)).await,
            "member fr" => node.answer(&signed(&self.world.fr, None)).await,
            "stranger" => node.answer(&signed(&self.world.de, Some(SigningKey::from_seed([9; 32])))).await,
            // A token that no person has is a person called `forger`; that of the site's agent is no person's either.
            person => node.ask(person, method, &path, body.as_ref()).await,
        }
    }
}

/// What a right means for a caller, said a second time: `None` when the handler must be reached.
fn expected(right: Right, caller: &str) -> Option<&'static str> {
    let person = ["ada", "eve", "otto", "stella", "aud", "safia"].contains(&caller);
    let allowed: &[&str] = match right {
        Right::Anyone => return None,
        Right::Peer => {
            return match caller {
                "member de" | "member fr" => None,
                "stranger" => Some("SIG-003"),
                _ => Some("SIG-001"),
            };
        }
        Right::Agent => return (caller != "agent").then_some("AUT-001"),
        Right::LoggedIn => &["ada", "eve", "otto", "stella", "aud", "safia"],
        Right::OwnJob => &["ada"],
        Right::OwnJobOrOperator => &["ada", "otto"],
        Right::OwnJobOrOverseer => &["ada", "otto", "aud"],
        Right::Operator => &["otto"],
        Right::Steward => &["stella"],
        Right::OperatorOrSteward => &["otto", "stella"],
        Right::OperatorOrAuditor => &["otto", "aud"],
        Right::Responder => &["otto", "safia"],
        Right::LegalOrSafety => &["safia"],
        Right::Releaser => &["stella", "safia"],
        Right::AnyRole => &["otto", "stella", "aud", "safia"],
    };
    match (person, allowed.contains(&caller)) {
        (false, _) => Some("AUT-001"),
        (true, true) => None,
        (true, false) if right.is_about_a_job() => Some("REQ-001"),
        (true, false) => Some("AUT-002"),
    }
}

fn rows() -> Vec<(Route, &'static str)> {
    let sample = |route: &Route| {
        let found =
            WALK.iter().find(|(method, path, _)| *method == route.method.as_str() && *path == route.path);
        found.unwrap_or_else(|| panic!("{} {} is not walked: add it to WALK", route.method, route.path)).2
    };
    table()
        .into_iter()
        .map(|route| {
            let sample = sample(&route);
            (route, sample)
        })
        .collect()
}

#[test]
fn every_route_is_walked_and_nothing_else() {
    assert_eq!(rows().len(), WALK.len(), "WALK names a route that is not served");
}

#[tokio::test(start_paused = true)]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let stage = Stage::set().await;
    let mut matrix =
        format!("{:<56}{:<32}{}\n", "", "", CALLERS.map(|caller| format!("{caller:<11}")).concat());
    for (route, sample) in rows() {
        write!(matrix, "{:<56}{:<32}", format!("{} {}", route.method, route.path), route.right.as_str())
            .unwrap();
        for caller in CALLERS {
            let answer = stage.ask(caller, route.method.as_str(), sample).await;
            // HEAD has no body to tell the reason in.
            let rule = answer
                .rule()
                .or_else(|| (route.method == Method::HEAD).then(|| head_rule(&answer)).flatten());
            let at =
                format!("{} {} as {caller}: {} {}", route.method, route.path, answer.status, answer.text());
            match expected(route.right, caller) {
                Some(code) => assert_eq!(rule.as_deref(), Some(code), "{at}"),
                None => {
                    let stopped = rule
                        .as_deref()
                        .is_some_and(|rule| rule.starts_with("AUT-") || rule.starts_with("SIG-"));
                    assert!(!stopped && answer.status.as_u16() != 500, "{at}");
                    let hidden = route.right.is_about_a_job() && rule.as_deref() == Some("REQ-001");
                    assert!(!hidden, "{at}");
                }
            }
            write!(matrix, "{:<11}", rule.unwrap_or_else(|| answer.status.as_u16().to_string())).unwrap();
        }
        matrix = format!("{}\n", matrix.trim_end());
    }
    insta::assert_snapshot!("routes", matrix);
}

fn head_rule(answer: &Answer) -> Option<String> {
    (answer.status == 401).then(|| "AUT-001".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_member_sees_its_own_jobs_only() {
    let stage = Stage::set().await;
    for path in ["outputs/model.json", "logs/stdout"] {
        let sample = format!("/federation/v1/jobs/{{guest}}/{path}");
        assert_eq!(stage.ask("member de", "GET", &sample).await.status, 200);
        assert_eq!(stage.ask("member fr", "GET", &sample).await.rule().as_deref(), Some("REQ-001"));
    }
}

#[test]
fn the_openapi_document_has_every_route_with_its_right_and_no_other() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let right = operation["x-sta-right"].as_str().unwrap_or("none").to_owned();
            documented.insert((method.to_uppercase(), path.clone(), right));
        }
    }
    let row = |route: Route| {
        (route.method.to_string(), route.path.replace("{*", "{"), route.right.as_str().to_owned())
    };
    assert_eq!(documented, table().into_iter().map(row).collect());
}

/// `STA_WRITE_OPENAPI=1 cargo test` writes the file anew; the difference is then part of the review.
#[test]
fn the_openapi_document_is_the_committed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let document = format!("{}\n", serde_json::to_string_pretty(&openapi::document()).unwrap());
    if std::env::var_os("STA_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let is_same = serde_json::from_str::<Value>(&committed).ok() == serde_json::from_str(&document).ok();
    assert!(
        is_same,
        "the API has changed: write crates/node/openapi.json anew with STA_WRITE_OPENAPI=1 and review it"
    );
}
