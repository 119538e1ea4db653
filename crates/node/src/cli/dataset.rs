// SPDX-License-Identifier: Apache-2.0
//! `sta dataset add`: brings a dataset's files to its member's node and registers them under the member's signature.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use http::Method;
use sta_protocol::{
    class::Class,
    croissant::{CROISSANT_BYTES_MAX, Croissant},
    data_protection::DataProtection,
    federation::DatasetFile,
    ids::Jurisdiction,
};

use super::{
    failure::{Exit, Failure, Trying},
    files::{LocalFile, upload},
    print::{self, Style},
    profile::Who,
};
use crate::http::documents::{DatasetDocument, DatasetList, NewDatasetDocument};

/// The longest file of protection facts that is read, in bytes.
const PROTECTION_BYTES_MAX: u64 = 1 << 20;

/// What can be done with datasets.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum DatasetCommand {
    /// Register a dataset of this member, as its operator or a steward; again to replace its record
    Add(AddArgs),
    /// List the datasets that the node knows
    List {
        #[command(flatten)]
        who: Who,
    },
}

/// What `sta dataset add` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    who: Who,
    /// Its name within this member, such as `hospital`
    name: String,
    /// Its files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// open, internal, personal, special (health and the like, GDPR Art. 9) or protected
    #[arg(long)]
    class: Class,
    /// The jurisdiction whose law protects it
    #[arg(long)]
    origin: Jurisdiction,
    /// A jurisdiction, or group of them, where it may be processed; may be repeated; anywhere under the treaty if none
    #[arg(long)]
    residency: Vec<Jurisdiction>,
    /// A purpose that it may serve; may be repeated; any if none
    #[arg(long = "purpose")]
    purposes: Vec<String>,
    /// Its description in Croissant 1.0 (JSON-LD), whose facts go into the record
    #[arg(long, value_name = "croissant.json")]
    croissant: Option<PathBuf>,
    /// Whom it is about and which documents are on record, for the law on personal data (docs/operations.md)
    #[arg(long, value_name = "protection.toml")]
    protection: Option<PathBuf>,
    /// What people call it [default: its name]
    #[arg(long)]
    title: Option<String>,
}

/// Does it.
///
/// # Errors
/// A file cannot be read, or the node says no.
pub(super) async fn run(command: &DatasetCommand, style: Style) -> Result<(), Failure> {
    match command {
        DatasetCommand::Add(args) => add(args, style).await,
        DatasetCommand::List { who } => {
            let answer = who.client()?.get("/v1/datasets").await?;
            let list: DatasetList = print::part(&answer, "the datasets")?;
            style.answer(&answer, || text(&list));
            Ok(())
        }
    }
}

async fn add(args: &AddArgs, style: Style) -> Result<(), Failure> {
    let croissant = args.croissant.as_deref().map(read_croissant).transpose()?;
    if let Some(croissant) = &croissant {
        croissant
            .facts
            .check(args.class)
            .trying_to("register the dataset")
            .map_err(|failure| failure.exit(Exit::Usage))?;
    }
    let protection = args.protection.as_deref().map(read_protection).transpose()?;
    if let Some(protection) = &protection {
        protection
            .check(args.class)
            .trying_to("register the dataset")
            .map_err(|failure| failure.exit(Exit::Usage))?;
    }
    let client = args.who.client()?;
    let mut files = Vec::new();
    for path in &args.files {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let no_name = || {
            Failure::new(format!("register `{}`", path.display()), "it has no file name in Unicode")
                .exit(Exit::Usage)
        };
        let name = name.ok_or_else(no_name)?;
        let file = LocalFile::of(path)?;
        check_digest(croissant.as_ref(), &name, &file)?;
        upload(&client, &file).await?;
        files.push(DatasetFile { name, sha256: file.sha256, bytes: file.bytes });
    }
    let facts = croissant.map(|croissant| croissant.facts);
    let request = NewDatasetDocument {
        name: args.name.clone(),
        title: args.title.clone().unwrap_or_else(|| args.name.clone()),
        class: args.class,
        origin: args.origin.clone(),
        residency: args.residency.clone(),
        purposes: args.purposes.clone(),
        files,
        facts,
        protection,
    };
    let request = serde_json::to_value(request).trying_to("write the request")?;
    let answer = client.ask(Method::POST, "/v1/datasets", Some(&request)).await?;
    let record: DatasetDocument = print::part(&answer, "the dataset's record")?;
    style.answer(&answer, || {
        format!("Dataset {} registered: class {}, {} file(s).", record.id, record.class, record.files.len())
    });
    Ok(())
}

fn read_croissant(path: &Path) -> Result<Croissant, Failure> {
    let doing = format!("read the description `{}`", path.display());
    let mut json = Vec::new();
    let file = File::open(path).trying_to(&doing)?;
    file.take(CROISSANT_BYTES_MAX as u64 + 1).read_to_end(&mut json).trying_to(&doing)?;
    Croissant::from_json(&json).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

fn read_protection(path: &Path) -> Result<DataProtection, Failure> {
    let doing = format!("read the protection facts `{}`", path.display());
    let mut text = String::new();
    let file = File::open(path).trying_to(&doing)?;
    file.take(PROTECTION_BYTES_MAX).read_to_string(&mut text).trying_to(&doing)?;
    toml::from_str(&text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

/// A file that the description gives another digest is not the file that was described.
fn check_digest(croissant: Option<&Croissant>, name: &str, file: &LocalFile) -> Result<(), Failure> {
    let described = croissant.and_then(|croissant| croissant.files.iter().find(|known| known.name == name));
    match described.and_then(|known| known.sha256) {
        Some(sha256) if sha256 != file.sha256 => {
            let cause = format!("its SHA-256 is {}, and the description says {sha256}", file.sha256);
            Err(Failure::new(format!("register `{name}`"), cause)
                .exit(Exit::Usage)
                .mend("Give the file that was described, or describe this one."))
        }
        Some(_) | None => Ok(()),
    }
}

fn text(list: &DatasetList) -> String {
    let row = |dataset: &DatasetDocument| {
        let residency: Vec<_> = dataset.residency.iter().map(ToString::to_string).collect();
        let or_any = |items: Vec<String>| if items.is_empty() { "any".to_owned() } else { items.join(", ") };
        let bytes = dataset.files.iter().map(|file| file.bytes).sum();
        [
            dataset.id.to_string(),
            dataset.title.clone(),
            dataset.class.to_string(),
            dataset.origin.to_string(),
            or_any(residency),
            or_any(dataset.purposes.clone()),
            print::size(bytes),
        ]
    };
    print::table(
        ["dataset", "title", "class", "origin", "stays in", "purposes", ">size"],
        list.datasets.iter().map(row),
    )
}
