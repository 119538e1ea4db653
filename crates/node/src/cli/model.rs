// SPDX-License-Identifier: Apache-2.0
//! `sta model`: registers a model's record at a node, and writes it as a CycloneDX 1.6 ML-BOM or as SPDX 3.0.1, which is offline.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::json;
use sta_protocol::{
    digest::Sha256Digest,
    exports::{ModelExport, cyclonedx, serial_of, spdx},
    jws::Signed,
    model::ModelRecord,
    record::Record as _,
};

use super::{
    evaluation,
    failure::{Exit, Failure, Trying},
    print::{self, Style},
    profile::Who,
    read::text_of,
    signers::SignersArgs,
};
use crate::http::documents::ModelDocument;

/// What can be done with models.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ModelCommand {
    /// Register a model at the node, as its operator or a steward
    Register(RegisterArgs),
    /// Write a model's record in another format
    Export(ExportArgs),
}

/// What `sta model register` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct RegisterArgs {
    #[command(flatten)]
    who: Who,
    /// The record of a model of this member as JSON, which the node signs; or any member's, signed as compact JWS
    file: PathBuf,
}

/// What `sta model export` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// The record: JSON, or signed as compact JWS (then with --treaty or --public-key)
    file: PathBuf,
    /// The format
    #[arg(long)]
    format: Format,
    /// An attestation over its weights, whose values go into the document; may be repeated
    #[arg(long = "evaluation", value_name = "FILE")]
    evaluations: Vec<PathBuf>,
    #[command(flatten)]
    signers: SignersArgs,
    /// The document to write [default: standard output]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A format for models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// CycloneDX 1.6 ML-BOM
    Cyclonedx,
    /// SPDX 3.0.1 AI package, JSON-LD
    Spdx,
}

/// Does it.
///
/// # Errors
/// A file cannot be read, or the record or an attestation does not hold.
pub(super) async fn run(command: &ModelCommand, style: Style) -> Result<(), Failure> {
    match command {
        ModelCommand::Register(args) => register(args, style).await,
        ModelCommand::Export(args) => export(args, style),
    }
}

async fn register(args: &RegisterArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("register the model `{}`", args.file.display());
    let text = text_of(&args.file, &doing)?;
    let text = text.trim();
    let request = if text.starts_with('{') {
        let record: serde_json::Value =
            serde_json::from_str(text).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
        json!({ "record": record })
    } else {
        json!({ "signed": text })
    };
    let answer = args.who.client()?.ask(Method::POST, "/v1/models", Some(&request)).await?;
    let model: ModelDocument = print::part(&answer, "the model's record")?;
    style.answer(&answer, || {
        format!(
            "Model {} registered, record {}.",
            model.record["id"].as_str().unwrap_or_default(),
            model.sha256
        )
    });
    Ok(())
}

fn export(args: &ExportArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("export the model `{}`", args.file.display());
    let record = read(args, &doing)?;
    let weights = record.weights_digests();
    let mut evaluations = Vec::new();
    for path in &args.evaluations {
        let evaluation = evaluation::read(path, &args.signers.read(&doing)?)?;
        if let Some(missing) = evaluation.missing(&weights) {
            let cause =
                format!("the attestation `{}` says nothing about the weights {missing}", path.display());
            return Err(Failure::new(doing, cause)
                .exit(Exit::Usage)
                .mend("Give the attestation over this model's weights, or leave it out."));
        }
        evaluations.push(evaluation);
    }
    let serial = serial_of(Sha256Digest::of_json(&record).trying_to(&doing)?);
    // The record's own moment: the same record gives the same document on every machine.
    let source = ModelExport {
        record: &record,
        evaluations: &evaluations,
        at: record.recorded_at,
        serial,
        software_version: env!("CARGO_PKG_VERSION"),
    };
    let document = match args.format {
        Format::Cyclonedx => cyclonedx(&source),
        Format::Spdx => spdx(&source),
    };
    let Some(out) = &args.out else {
        print::json(&document);
        return Ok(());
    };
    let text = serde_json::to_string_pretty(&document).trying_to(&doing)?;
    fs::write(out, text + "\n").trying_to(format!("write `{}`", out.display()))?;
    style.answer(&serde_json::json!({"file": out, "model": record.id}), || {
        format!("Model {} written to {}.", record.id, out.display())
    });
    Ok(())
}

fn read(args: &ExportArgs, doing: &str) -> Result<ModelRecord, Failure> {
    let text = text_of(&args.file, doing)?;
    let text = text.trim();
    if text.starts_with('{') {
        let usage = |failure: Failure| failure.exit(Exit::Usage);
        let record: ModelRecord = serde_json::from_str(text).trying_to(doing).map_err(usage)?;
        record.check().trying_to(doing).map_err(usage)?;
        return Ok(record);
    }
    let signers = args.signers.read(doing)?;
    let signed: Signed<ModelRecord> = Signed::from_compact(text.to_owned()).trying_to(doing)?;
    let verified = signed
        .verify_record(|key_id| signers.key(key_id))
        .trying_to(doing)
        .map_err(|failure| failure.exit(Exit::Unverified))?;
    Ok(verified.into_inner())
}
