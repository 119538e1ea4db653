// SPDX-License-Identifier: Apache-2.0
//! `sta verify`: logs, proofs and signed documents, checked offline with nothing trusted but the treaty's keys.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use sta_audit::{
    checkpoint::Checkpoint,
    cosignature::Cosigned,
    key::VerifierKey,
    note::{NOTE_BYTES_MAX, SignedNote},
    proof::{PROOF_BYTES_MAX, Proof},
    verify::{CHECKPOINT_PATH, LogFiles, VerifyError, verify_log},
};
use sta_protocol::treaty::{Member, VerifiedTreaty};

use super::{
    failure::{Exit, Failure, Trying},
    print::Style,
    treaty::verified,
};

mod documents;
pub(super) mod replay;

/// What a proof file begins with.
const PROOF_MAGIC: &[u8] = b"c2sp.org/tlog-proof@";
/// The longest single file that is read: a proof, or a document and the line end after it.
const FILE_BYTES_MAX: usize = if PROOF_BYTES_MAX > (1 << 20) { PROOF_BYTES_MAX } else { 1 << 20 } + 1;

/// What `sta verify` is told.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The signed treaty, whose keys decide
    #[arg(long, value_name = "treaty.jws.json")]
    treaty: PathBuf,
    /// Come to every decision of the gates again, from the payloads in exported logs (`sta audit export --payloads`)
    #[arg(long)]
    replay: bool,
    /// With --replay, a directory of rule packs beside the shipped ones: those of members and sites
    #[arg(long, value_name = "DIR", requires = "replay")]
    policies: Option<PathBuf>,
    /// Exported log directories, *.tlog-proof files, and signed documents (receipt, admission, offer, ...) as compact JWS
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Something that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Holds {
    /// A whole log.
    Log {
        /// Whose.
        member: String,
        /// Its origin.
        origin: String,
        /// How many entries were recomputed.
        entries: u64,
        /// The root hash in base64.
        root: String,
        /// Who cosigned its checkpoint.
        witnesses: Vec<String>,
        /// How many records of the gates were come to again, where that was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        replayed: Option<u64>,
    },
    /// One entry of a log.
    Proof {
        /// Whose log.
        member: String,
        /// Its origin.
        origin: String,
        /// The entry's index.
        index: u64,
        /// The size of the log that the proof is for.
        size: u64,
        /// The entry itself.
        entry: String,
        /// Who cosigned the checkpoint.
        witnesses: Vec<String>,
    },
    /// A signed document.
    Document {
        /// Its media type, such as `sta-receipt+jws`.
        typ: String,
        /// Who signed it.
        member: String,
        /// SHA-256 of its text.
        digest: String,
        /// What it says.
        document: serde_json::Value,
    },
}

/// What came of one path.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<Holds>,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The first entry that is wrong, where the fault is at an entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
}

/// Does it: every path is looked at, and exit code 5 says that one does not hold.
///
/// # Errors
/// The treaty itself does not hold.
pub fn run(args: &VerifyArgs, style: Style) -> Result<ExitCode, Failure> {
    let treaty = verified(&args.treaty)?;
    let mut outcomes = Vec::new();
    for path in &args.paths {
        let checked = verify(&treaty, path).and_then(|holds| match holds {
            Holds::Log { member, origin, entries, root, witnesses, .. } if args.replay => {
                let replayed = Some(replay::replay(path, entries, args.policies.as_deref())?);
                Ok(Holds::Log { member, origin, entries, root, witnesses, replayed })
            }
            other => Ok(other),
        });
        let (holds, fault) = match checked {
            Ok(holds) => (Some(holds), None),
            Err(fault) => (None, Some(fault)),
        };
        let entry = fault.as_ref().and_then(|fault| fault.entry);
        outcomes.push(Outcome {
            path: path.clone(),
            holds,
            problem: fault.map(|fault| fault.failure.to_string()),
            entry,
        });
    }
    let document = serde_json::json!({"treaty": treaty.digest(), "outcomes": outcomes});
    style.answer(&document, || text(&treaty, &outcomes));
    let good = outcomes.iter().all(|outcome| outcome.problem.is_none());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(Exit::Unverified as u8) })
}

fn text(treaty: &VerifiedTreaty, outcomes: &[Outcome]) -> String {
    let mut text = format!("Treaty {}, signed by all its members.\n", treaty.digest());
    for outcome in outcomes {
        let path = outcome.path.display();
        match &outcome.holds {
            Some(holds) => text += &format!("GOOD {path}: {}\n", holds.sentence()),
            None => text += &format!("BAD  {path}: {}\n", outcome.problem.as_deref().unwrap_or_default()),
        }
    }
    text
}

impl Holds {
    fn sentence(&self) -> String {
        match self {
            Self::Log { member, origin, entries, root, witnesses, replayed } => {
                let gates =
                    replayed.map(|count| format!("; {count} records of the gates replayed, bit for bit"));
                format!(
                    "log {origin} of {member}, all {entries} entries recomputed, root {root}, cosigned by {}{}",
                    witnesses.join(", "),
                    gates.unwrap_or_default()
                )
            }
            Self::Proof { member, origin, index, size, entry, witnesses } => {
                format!(
                    "entry {index} of {size} in log {origin} of {member}, cosigned by {}\n     {entry}",
                    witnesses.join(", ")
                )
            }
            Self::Document { typ, member, digest, .. } => {
                format!("{typ} signed by {member}, SHA-256 {digest}")
            }
        }
    }
}

/// Why something does not hold, and the entry to blame where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub failure: Failure,
    /// The first entry that is wrong.
    pub entry: Option<u64>,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure: failure.exit(Exit::Unverified), entry: None }
    }
}

/// Verifies what is at `path`: a log directory, a proof file or a signed document.
///
/// # Errors
/// What does not hold.
pub fn verify(treaty: &VerifiedTreaty, path: &Path) -> Result<Holds, Fault> {
    if path.is_dir() {
        return log(treaty, path);
    }
    let doing = format!("verify `{}`", path.display());
    let bytes = read_bounded(path, FILE_BYTES_MAX).trying_to(&doing)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::new(
            doing,
            format!("it is longer than the {FILE_BYTES_MAX} bytes that any proof or document has"),
        )
        .into());
    }
    if bytes.starts_with(PROOF_MAGIC) {
        proof(treaty, &bytes, &doing)
    } else {
        documents::verify(treaty, &bytes, &doing).map_err(Into::into)
    }
}

/// A whole log directory, whose owner is the member with its origin.
fn log(treaty: &VerifiedTreaty, directory: &Path) -> Result<Holds, Fault> {
    let doing = format!("verify the log in `{}`", directory.display());
    let files = Directory(directory);
    let checkpoint = files.read(CHECKPOINT_PATH, NOTE_BYTES_MAX).trying_to(&doing)?;
    let checkpoint = checkpoint.ok_or_else(|| {
        Failure::new(&doing, "it has no file `checkpoint`")
            .mend("Name a directory that `sta audit export` wrote.")
    })?;
    let note = SignedNote::parse(&checkpoint).trying_to(&doing)?;
    let keys = LogKeys::of(treaty, &note, &doing)?;
    let report = verify_log(&files, &keys.log, &keys.witnesses, keys.quorum);
    let report = report.map_err(|error: VerifyError<std::io::Error>| Fault {
        entry: error.entry_index(),
        failure: Failure::new(doing, super::failure::causes(&error)).exit(Exit::Unverified),
    })?;
    Ok(Holds::Log {
        member: keys.member,
        origin: report.origin,
        entries: report.size,
        root: report.root.to_string(),
        witnesses: names(&report.witnesses),
        replayed: None,
    })
}

/// A proof file; the entry travels in it as its extra data, and the proof shows that it is the one in the log.
fn proof(treaty: &VerifiedTreaty, bytes: &[u8], doing: &str) -> Result<Holds, Fault> {
    let proof = Proof::parse(bytes).trying_to(doing)?;
    let keys = LogKeys::of(treaty, proof.note(), doing)?;
    let entry = proof.extra();
    if entry.is_empty() {
        return Err(Failure::new(doing, "it carries no entry")
            .mend("Fetch the proof from a node, which puts the entry in.")
            .into());
    }
    let verified = proof.verify(entry, &keys.log, &keys.witnesses, keys.quorum).trying_to(doing)?;
    Ok(Holds::Proof {
        member: keys.member,
        origin: verified.checkpoint.origin().to_owned(),
        index: verified.index,
        size: verified.checkpoint.size(),
        entry: String::from_utf8_lossy(entry).into_owned(),
        witnesses: names(&verified.cosigned),
    })
}

fn names(cosigned: &[Cosigned]) -> Vec<String> {
    cosigned.iter().map(|witness| witness.name.clone()).collect()
}

/// Whose log a checkpoint is of, by its origin, and the keys that must have signed it.
struct LogKeys {
    member: String,
    log: VerifierKey,
    witnesses: Vec<VerifierKey>,
    quorum: usize,
}

impl LogKeys {
    fn of(treaty: &VerifiedTreaty, note: &SignedNote, doing: &str) -> Result<Self, Failure> {
        // Only to find the key; what the checkpoint says counts after the key has verified it.
        let origin = note.text().parse::<Checkpoint>().trying_to(doing)?.origin().to_owned();
        let key = |text: &str| text.parse::<VerifierKey>().trying_to("read the treaty's keys");
        for member in &treaty.members {
            let log = key(&member.keys.log)?;
            if log.name() != origin {
                continue;
            }
            let others = treaty.members.iter().filter(|other| other.id != member.id);
            let witnesses =
                others.map(|other: &Member| key(&other.keys.witness)).collect::<Result<_, _>>()?;
            return Ok(Self {
                member: member.id.to_string(),
                log,
                witnesses,
                quorum: treaty.witness.quorum.into(),
            });
        }
        let cause = format!("its origin is `{origin}`, and no member of the treaty has a log of that name");
        Err(Failure::new(doing, cause)
            .exit(Exit::Unverified)
            .mend("Use the treaty that the log was kept under."))
    }
}

/// A log in a directory.
struct Directory<'a>(&'a Path);

impl LogFiles for Directory<'_> {
    type Error = std::io::Error;

    fn read(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, std::io::Error> {
        match read_bounded(&self.0.join(path), bytes_max) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

/// A file, or its first `bytes_max` bytes and one more, by which the caller sees that it is too long.
fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
