// SPDX-License-Identifier: Apache-2.0
//! The last act: both statements equal to the digit, both logs witnessed and verified offline, and one flipped byte found.

use std::{fs, path::Path};

use super::{
    super::failure::{Failure, Trying},
    Stage,
    nodes::Nodes,
    report::Report,
};

/// The exit code of `sta verify` for something that does not hold.
const UNVERIFIED: i32 = 5;

/// Compares, exports, verifies, alters a copy and verifies again.
///
/// # Errors
/// It did not come out as promised.
pub(super) async fn both_sides_agree(
    stage: &Stage,
    nodes: &Nodes,
    report: &mut Report,
) -> Result<(), Failure> {
    stage.say("\n9. What is left behind: two ledgers, two logs, each witnessed by the other nation.");
    let period = report.period();
    let ca = stage.sta(&["statement", &period, "de", "--dir", "{}/ca"])?;
    let de = stage.sta(&["statement", &period, "ca", "--dir", "{}/de"])?;
    let (digest, equal) = (ca["digest"].clone(), ca["digest"] == de["digest"] && ca["digest"].is_string());
    report.statements(equal, &digest);
    if !equal {
        return Err(Failure::new("see that both statements are equal", format!("{ca} and {de}")));
    }
    let net = ca["statement"]["net_micro"].as_i64().unwrap_or_default();
    let (payer, payee) = if net >= 0 { ("ca", "de") } else { ("de", "ca") };
    stage.say(&format!(
        "   statements of {period}: equal to the digit on both sides; {payer} owes {payee} {}.",
        report.money(net.abs())
    ));
    report.ask_slurm(stage)?;
    if !stage.clusters().is_empty() {
        stage.say("   Slurm's own accounting has each of the completed jobs exactly once.");
    }
    stage.begin("the other nation cosigns");
    // Each proof waits for the witness, so after them the other nation has cosigned everything about the jobs.
    report.fetch_proofs(stage).await?;
    let mut entries = 0;
    for node in [&nodes.ca, &nodes.de] {
        entries += export_and_verify(stage, node.member)?;
    }
    stage.say(&format!("   logs: {entries} entries, every leaf and hash recomputed, each checkpoint cosigned by the other nation. Nothing but the treaty's keys was used. Every answer of a gate was come to again, bit for bit."));
    let found = flip_one_byte(stage, "ca")?;
    stage.say(&format!("   one byte of one entry flipped in a copy: the verifier names entry {found}."));
    report.verified(entries, found);
    report.nodes(stage, nodes)
}

/// Exports a log and verifies it with nothing but the treaty; gives the number of its entries.
fn export_and_verify(stage: &Stage, member: &str) -> Result<u64, Failure> {
    let (directory, node) = (format!("{{}}/log-{member}"), format!("{{}}/{member}"));
    stage.sta(&["audit", "export", &directory, "--dir", &node, "--payloads"])?;
    let answer = stage.sta(&["verify", "--treaty", "{}/treaty.jws.json", "--replay", &directory])?;
    let holds = &answer["outcomes"][0]["holds"];
    let witnessed = holds["witnesses"].as_array().is_some_and(|witnesses| !witnesses.is_empty());
    // Each member's gate was asked for the jobs it sent or took in.
    let all_replayed = holds["replayed"].as_u64() > Some(0);
    match holds["entries"].as_u64() {
        Some(entries) if witnessed && all_replayed => Ok(entries),
        Some(_) | None => {
            Err(Failure::new(format!("see {member}'s log verified and witnessed"), answer.to_string()))
        }
    }
}

/// Flips one byte in the middle of a stored entry of a copy of the log; gives the entry that the verifier names.
fn flip_one_byte(stage: &Stage, member: &str) -> Result<u64, Failure> {
    let (from, to) = (stage.path(&format!("log-{member}")), stage.path(&format!("log-{member}-altered")));
    copy(&from, &to)?;
    let bundle = first_bundle(&to.join("tile/entries"))?;
    let mut bytes = fs::read(&bundle).trying_to("read a bundle of entries")?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bundle, bytes).trying_to("alter a bundle of entries")?;
    let words = ["verify", "--treaty", "{}/treaty.jws.json", &format!("{{}}/log-{member}-altered")];
    let (code, answer, said) = stage.try_sta(&words)?;
    let found = answer["outcomes"][0]["entry"].as_u64();
    match found {
        Some(found) if code == UNVERIFIED => Ok(found),
        Some(_) | None => {
            Err(Failure::new("see the altered entry found", format!("exit code {code}: {said} {answer}")))
        }
    }
}

/// The first bundle of entries, full or partial.
fn first_bundle(directory: &Path) -> Result<std::path::PathBuf, Failure> {
    let doing = format!("find a bundle of entries in `{}`", directory.display());
    let full = directory.join("000");
    if full.is_file() {
        return Ok(full);
    }
    let partial = directory.join("000.p").read_dir().trying_to(&doing)?.next();
    partial.ok_or_else(|| Failure::new(&doing, "there is none"))?.trying_to(&doing).map(|entry| entry.path())
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let doing = format!("copy `{}`", from.display());
    fs::create_dir_all(to).trying_to(&doing)?;
    for entry in fs::read_dir(from).trying_to(&doing)? {
        let entry = entry.trying_to(&doing)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).trying_to(&doing)?;
        }
    }
    Ok(())
}
