// SPDX-License-Identifier: Apache-2.0
//! Two acts about one run: it passes a threshold of training compute and is held until a named person lets it go; then an order
//! from Canada stops it in Germany, and the logs of both prove when.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::failure::{Failure, Trying},
    Stage,
    acts::id_of,
    report::Report,
};

const ADA: &str = "{}/people/ada";
const SOFIA: &str = "{}/people/sofia";
const OMAR: &str = "{}/people/omar";
/// How long the demo waits for a hold, an answer or a proof, in tenths of a second.
const TENTHS_MAX: u32 = 900;
/// The run: a base of 3 teraFLOP, of which a third is 1; two cores at 100 gigaFLOP/s have done that in five seconds.
const TRAINING: &str = r#"
[training]
model = "ca/digits-tuned"
generates = ["prediction"]
parameters = 650
tokens = 100000000

[training.base]
name = "digits"
weights = []
class = "open"
compute = { kind = "known", teraflop = 3 }
"#;

/// Both acts.
///
/// # Errors
/// Something did not come out as promised.
pub(super) async fn a_run_is_held_and_stopped(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    stage.say("\n7. Toronto tunes a model in Jülich. What its cores compute is metered while it runs, against a third of its base model's compute.");
    stage.sta(&["researcher", "add", "--dir", "{}/de", "sofia", "--role", "safety", "--profile", SOFIA])?;
    stage.sta(&["researcher", "add", "--dir", "{}/ca", "omar", "--role", "operator", "--profile", OMAR])?;
    let job = submit(stage)?;
    stage.wait_for(ADA, &job, &["running"])?;
    let hold = until(stage, "the run is held", || held(stage, &job)).await?;
    let text = |name: &str| hold[name].as_str().unwrap_or_default().to_owned();
    stage.say(&format!(
        "   held by {} at {}, while it ran: {}",
        text("code"),
        text("opened_at"),
        first_text(&hold)
    ));
    let words =
        ["hold", "release", &text("id"), "--profile", SOFIA, "--reason", "We take over a provider's duties"];
    let released = stage.sta(&words)?;
    expect("the hold is released", released["state"] == "released", &released)?;
    stage.say("   Sofia, responsible for safety in Germany, lets it go on, by name and with her reason; both are in the log.");
    stop(stage, &job).await?;
    let done = stage.wait_for(ADA, &job, &["completed"])?;
    stage.say(&format!("   lifted: it went on where it stood and is done, {}.", report.cost(&done)));
    report.add("held and stopped", &done, None, ADA);
    Ok(())
}

fn submit(stage: &Stage) -> Result<String, Failure> {
    let plain =
        std::fs::read_to_string(stage.path("examples/digits/job.toml")).trying_to("read an example")?;
    let file = stage.path("examples/digits/tune.toml");
    std::fs::write(file, plain + TRAINING).trying_to("write an example")?;
    let words = [
        "submit",
        "{}/examples/digits/tune.toml",
        "--profile",
        ADA,
        "--site-allow",
        "juelich",
        "--cpu",
        "2",
        "--name",
        "tune digits",
        "--",
        "python3",
        "train.py",
        "digits.csv.gz",
        "model.json",
        "--epochs",
        "400",
    ];
    id_of(&stage.sta(&words)?)
}

/// The open hold of a job at the German node.
fn held(stage: &Stage, job: &str) -> Result<Option<Value>, Failure> {
    let answer = stage.sta(&["hold", "list", "--profile", SOFIA])?;
    let mut holds = answer["holds"].as_array().into_iter().flatten();
    Ok(holds.find(|hold| hold["job"] == job).cloned())
}

fn first_text(hold: &Value) -> String {
    hold["reasons"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The second act: the order, the answer of every site, both proofs, and the lifting.
async fn stop(stage: &Stage, job: &str) -> Result<(), Failure> {
    stage.say("\n8. Canada orders the run in Jülich to stop: signed with a key that the treaty names, obeyed and answered by every site.");
    let target = format!("job:{job}");
    let order = stage.sta(&[
        "stop",
        "order",
        "--member",
        "ca",
        "--target",
        &target,
        "--reason",
        "It must be looked into",
        "--out",
        "{}/stop.json",
    ])?;
    let id = order["order"]["order"].as_str().unwrap_or_default().to_owned();
    stage.sta(&["stop", "sign", "{}/stop.json", "--key", "{}/ca/keys/signing.seed"])?;
    stage.sta(&["stop", "send", "{}/stop.json", "--profile", OMAR])?;
    let answer = until(stage, "every site has answered", || {
        let status = stage.sta(&["stop", "status", &id, "--profile", OMAR])?;
        Ok((status["unanswered"] == json!([])).then_some(status))
    })
    .await?;
    let answers = answer["answers"].as_array().cloned().unwrap_or_default();
    let juelich = answers.iter().find(|answer| answer["site"] == "juelich").cloned().unwrap_or_default();
    let stopped = &juelich["stopped"][0];
    expect("the run in Jülich stands still", stopped["job"] == job && stopped["state"].is_object(), &answer)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    stage.say(&format!(
        "   given {}, stopped {}; its state is kept, SHA-256 {}",
        text(&answer["issued_at"]),
        text(&stopped["stopped_at"]),
        text(&stopped["state"]["sha256"])
    ));
    for (member, profile, kind) in [("de", SOFIA, "stop.acknowledged"), ("ca", OMAR, "stop.answer-received")]
    {
        let entry =
            until(stage, "the log's witness has seen it", || proof(stage, &id, member, profile, kind))
                .await?;
        stage.say(&format!(
            "   proof from the log of {member}, cosigned by the other nation: {kind} at {}",
            text(&entry["at"])
        ));
    }
    stage.sta(&[
        "stop",
        "lift",
        "{}/stop.json",
        "--reason",
        "It was looked into",
        "--out",
        "{}/lift.json",
    ])?;
    stage.sta(&["stop", "sign", "{}/lift.json", "--key", "{}/ca/keys/signing.seed"])?;
    stage.sta(&["stop", "send", "{}/lift.json", "--profile", OMAR]).map(|_answer| ())
}

/// The entry that a member's proof shows, once its witnessed log has that kind of entry about the order.
fn proof(stage: &Stage, id: &str, member: &str, profile: &str, kind: &str) -> Result<Option<Value>, Failure> {
    let file = format!("{{}}/proofs/stop-{member}.tlog-proof");
    std::fs::create_dir_all(stage.path("proofs")).trying_to("make a place for proofs")?;
    let (code, _, _) = stage.try_sta(&["stop", "proof", id, "--profile", profile, "--out", &file])?;
    if code != 0 {
        return Ok(None);
    }
    let verified = stage.sta(&["verify", "--treaty", "{}/treaty.jws.json", &file])?;
    let entry = verified["outcomes"][0]["holds"]["entry"].as_str().unwrap_or_default();
    let entry: Value = serde_json::from_str(entry).unwrap_or_default();
    Ok((entry["kind"] == kind).then_some(entry))
}

async fn until<T>(
    stage: &Stage,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    stage.begin(&format!("waits until {what}"));
    for _ in 0..TENTHS_MAX {
        if let Some(found) = look()? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::new(format!("see that {what}"), "not in time"))
}

fn expect(what: &str, holds: bool, found: &Value) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(format!("see that {what}"), found.to_string())) }
}
