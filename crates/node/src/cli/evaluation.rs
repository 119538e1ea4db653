// SPDX-License-Identifier: Apache-2.0
//! `sta evaluation`: binds an Inspect log to the weights it is about, and verifies such attestations. Both are offline; a third brings them to a node.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sta_protocol::{
    digest::Sha256Digest,
    dsse::{ENVELOPE_BYTES_MAX, Envelope},
    evaluation::{Criterion, NewAttestation, TestResult, VerifiedEvaluation, verify},
};

use super::{
    failure::{Exit, Failure, Trying},
    files::LocalFile,
    print::{self, Style},
    profile::Who,
    signers::{Signers, SignersArgs, signing_key},
};
use crate::{evaluation_log, http::documents::EvaluationDocument};

/// What can be done with evaluations.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum EvaluationCommand {
    /// Sign an attestation of a finished evaluation over the digests of weights
    Attest(AttestArgs),
    /// Bring an attestation to the node, whose gates then count it
    Submit {
        #[command(flatten)]
        who: Who,
        /// The attestation
        file: PathBuf,
    },
    /// Verify an attestation: signature, result, weights, age
    Verify(VerifyArgs),
}

/// What `sta evaluation attest` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct AttestArgs {
    /// The log that Inspect wrote, `.eval` or `.json`
    #[arg(long)]
    log: PathBuf,
    /// A file of the weights that were evaluated; may be repeated
    #[arg(long, required = true, num_args = 1..)]
    weights: Vec<PathBuf>,
    /// What a measured value must reach, such as "includes/accuracy >= 0.9"; may be repeated
    #[arg(long = "require", value_name = "CRITERION")]
    criteria: Vec<Criterion>,
    /// A hazard that the suite looks for, such as cyber-offence; may be repeated
    #[arg(long = "covers", value_name = "HAZARD")]
    covers: Vec<String>,
    /// The private Ed25519 key that signs: 32 bytes, mode 0600, as `sta init` makes keys/signing.seed
    #[arg(long)]
    key: PathBuf,
    /// The attestation to write
    #[arg(long)]
    out: PathBuf,
}

/// What `sta evaluation verify` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct VerifyArgs {
    /// The attestation
    file: PathBuf,
    #[command(flatten)]
    signers: SignersArgs,
    /// A file of weights that it must be about; may be repeated
    #[arg(long)]
    weights: Vec<PathBuf>,
    /// The oldest that the evaluation may be
    #[arg(long, value_name = "DAYS")]
    days_max: Option<u16>,
}

/// Does it.
///
/// # Errors
/// A file cannot be read, the log proves nothing, or the attestation does not hold.
pub(super) async fn run(command: &EvaluationCommand, style: Style) -> Result<ExitCode, Failure> {
    match command {
        EvaluationCommand::Submit { who, file } => submit(who, file, style).await.map(|()| ExitCode::SUCCESS),
        EvaluationCommand::Attest(args) => attest(args, style).map(|()| ExitCode::SUCCESS),
        EvaluationCommand::Verify(args) => check(args, style),
    }
}

async fn submit(who: &Who, file: &Path, style: Style) -> Result<(), Failure> {
    let doing = format!("submit the attestation `{}`", file.display());
    let mut bytes = Vec::new();
    let limit = ENVELOPE_BYTES_MAX as u64 + 1;
    fs::File::open(file).trying_to(&doing)?.take(limit).read_to_end(&mut bytes).trying_to(&doing)?;
    let envelope: Value =
        serde_json::from_slice(&bytes).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
    let answer = who.client()?.ask(Method::POST, "/v1/evaluations", Some(&envelope)).await?;
    let taken: EvaluationDocument = print::part(&answer, "the evaluation")?;
    style.answer(&answer, || {
        let advice = if taken.result == "PASSED" { "" } else { " No gate counts it: it did not pass." };
        format!("Evaluation {} taken: {} of {}.{advice}", taken.sha256, taken.result, taken.completed_at)
    });
    Ok(())
}

fn attest(args: &AttestArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("attest the evaluation `{}`", args.log.display());
    let (evaluated, log) = evaluation_log::read(&args.log).trying_to(&doing)?;
    let weights = args.weights.iter().map(|path| named_digest(path)).collect::<Result<Vec<_>, _>>()?;
    let key = signing_key(&args.key, &doing)?;
    let new = NewAttestation {
        evaluated,
        log,
        weights,
        criteria: args.criteria.clone(),
        covers: args.covers.clone(),
    };
    let envelope = new.sign(&key).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    let verified = verify(&envelope, |_| Some(key.public_key())).trying_to(&doing)?;
    let bytes = envelope.to_json().trying_to(&doing)?;
    fs::write(&args.out, bytes).trying_to(format!("write `{}`", args.out.display()))?;
    let mut document = document(&verified);
    document["file"] = json!(args.out);
    style.answer(&document, || {
        let written =
            format!("Attestation written to {}, SHA-256 {}.", args.out.display(), verified.digest());
        format!("{written}\n{}{}", text(&verified), advice(verified.result()))
    });
    Ok(())
}

fn check(args: &VerifyArgs, style: Style) -> Result<ExitCode, Failure> {
    let doing = format!("verify the attestation `{}`", args.file.display());
    let signers = args.signers.read(&doing)?;
    let verified = read(&args.file, &signers)?;
    let mut problems = Vec::new();
    for path in &args.weights {
        let (name, digest) = named_digest(path)?;
        if verified.missing(&[digest]).is_some() {
            problems.push(format!(
                "It says nothing about `{name}` (SHA-256 {digest}): evaluate these weights, or give those it names."
            ));
        }
    }
    let days = verified.age_s(Timestamp::now()) / 86_400;
    if let Some(days_max) = args.days_max {
        let age_max = SignedDuration::from_hours(i64::from(days_max) * 24);
        if !verified.is_current(Timestamp::now(), age_max) {
            problems.push(format!(
                "The evaluation ended {} ({days} days ago); at most {days_max} days are taken: run it again.",
                verified.evaluated().completed_at
            ));
        }
    }
    if verified.result() == TestResult::Failed {
        let (_, failed) = verified.tests();
        problems.push(format!("It did not pass: {} does not hold.", failed.join(", ")));
    }
    let names = signers.names(verified.key_ids());
    let mut document = document(&verified);
    document["signers"] = json!(names);
    document["problems"] = json!(problems);
    style.answer(&document, || {
        let mut told = format!("Signed by {}.\n{}", names.join(", "), text(&verified));
        for problem in &problems {
            told += &format!("BAD  {problem}\n");
        }
        told
    });
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Unverified as u8) })
}

/// An attestation from a file, if one of the known keys signed it.
///
/// # Errors
/// Exit 5: it does not hold.
pub(super) fn read(path: &Path, signers: &Signers) -> Result<VerifiedEvaluation, Failure> {
    let doing = format!("verify the attestation `{}`", path.display());
    let mut bytes = Vec::new();
    let limit = ENVELOPE_BYTES_MAX as u64 + 1;
    let file = fs::File::open(path).trying_to(&doing)?;
    file.take(limit).read_to_end(&mut bytes).trying_to(&doing)?;
    let envelope = Envelope::from_json(&bytes).trying_to(&doing)?;
    verify(&envelope, |key_id| signers.key(key_id))
        .trying_to(doing)
        .map_err(|failure| failure.exit(Exit::Unverified))
}

/// The name of a file, without its path, and the SHA-256 of its bytes.
fn named_digest(path: &Path) -> Result<(String, Sha256Digest), Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let no_name = || {
        Failure::new(format!("read `{}`", path.display()), "it has no file name in Unicode").exit(Exit::Usage)
    };
    Ok((name.ok_or_else(no_name)?, LocalFile::of(path)?.sha256))
}

fn document(verified: &VerifiedEvaluation) -> Value {
    let weights = verified.weights().iter().map(|(name, sha256)| json!({"name": name, "sha256": sha256}));
    let (passed, failed) = verified.tests();
    json!({
        "sha256": verified.digest(),
        "result": verified.result(),
        "passed": passed,
        "failed": failed,
        "covers": verified.covers(),
        "weights": weights.collect::<Vec<_>>(),
        "log": {"name": verified.log().name, "sha256": verified.log().sha256},
        "evaluated": verified.evaluated(),
    })
}

fn text(verified: &VerifiedEvaluation) -> String {
    let evaluated = verified.evaluated();
    let mut text = format!(
        "{}: {} {} on {}, {} of {} samples, ended {}.\n",
        verified.result().as_str(),
        evaluated.task,
        evaluated.task_version,
        evaluated.model,
        evaluated.samples_completed,
        evaluated.samples_total,
        evaluated.completed_at
    );
    for (score, value) in &evaluated.scores {
        text += &format!("  {score} = {value}\n");
    }
    let (passed, failed) = verified.tests();
    text.extend(passed.iter().map(|test| format!("  holds: {test}\n")));
    text.extend(failed.iter().map(|test| format!("  does not hold: {test}\n")));
    text.extend(verified.weights().iter().map(|(name, sha256)| format!("  weights {name} {sha256}\n")));
    text
}

/// What follows from the result for who attests.
fn advice(result: TestResult) -> &'static str {
    match result {
        TestResult::Passed => "",
        TestResult::Warned => {
            "Nobody said what would be good enough, so no gate takes it as passed: say it with --require.\n"
        }
        TestResult::Failed => "A gate that asks for this evaluation will not let these weights leave.\n",
    }
}
