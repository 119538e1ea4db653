// SPDX-License-Identifier: Apache-2.0
//! The witness protocol, both sides of `add-checkpoint` (C2SP tlog-witness v1.0.0), without the HTTP around it.

use std::fmt;

use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError, parse_decimal};
use crate::cosignature::Cosigner;
use crate::key::VerifierKey;
use crate::merkle::{Hash, MerkleError, verify_consistency};
use crate::note::{NOTE_BYTES_MAX, NoteError, NoteSignature, SignedNote, parse_signature_lines};

/// The most consistency proof lines of a request.
pub const PROOF_LINES_MAX: usize = 63;

/// The longest request body, in bytes: a note, and the lines before it.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 4 * 1024;

/// The content type of requests and of answers with cosignatures or texts.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The content type of the answer to a conflict, whose body is a tree size.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// A request to witness a checkpoint: the size that the witness is believed to know, the proof that the log only grew
/// since, and the checkpoint. Its text form is the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old_size: u64,
    proof: Vec<Hash>,
    note: SignedNote,
    checkpoint: Checkpoint,
}

/// A checkpoint that a witness accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// Origin of the log.
    pub origin: String,
    /// Size to persist as the latest of this log, before the answer goes out.
    pub size: u64,
    /// Root to persist with it.
    pub root: Hash,
    /// Body of the 200 answer: the cosignature line. Its content type is [`TEXT_CONTENT_TYPE`].
    pub response: String,
}

/// Why a witness does not cosign. [`WitnessRefusal::status`] and [`WitnessRefusal::body`] are the answer to send.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessRefusal {
    /// 400: not the body of a request.
    #[error("the request is malformed: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// 400: the old size is more than the checkpoint's.
    #[error("the old size {old} is more than the checkpoint's {new}")]
    OldBeyondNew {
        /// Old size of the request.
        old: u64,
        /// Size of the checkpoint.
        new: u64,
    },
    /// 403: not signed by the log's trusted key.
    #[error("the log's trusted key has not signed: {reason}")]
    NotSigned {
        /// What the signature check says.
        reason: CheckpointError,
    },
    /// 404: no log of this origin is known here.
    #[error("this witness does not know the log `{origin}`")]
    UnknownOrigin {
        /// Origin line of the checkpoint.
        origin: String,
    },
    /// 409: the log believes that the witness knows another size than it does.
    #[error("the latest checkpoint witnessed here has {current} entries: prove consistency from there")]
    WrongOldSize {
        /// Size of the latest witnessed checkpoint.
        current: u64,
    },
    /// 409: another root at the size that was already witnessed. Two signed checkpoints of one size prove that the log
    /// shows different people different histories: keep both.
    #[error("another root was witnessed for {current} entries: the log has two histories")]
    TwoHistories {
        /// Size of both checkpoints.
        current: u64,
    },
    /// 422: the consistency proof does not hold.
    #[error("the consistency proof does not hold: {reason}")]
    BadProof {
        /// What is wrong with it.
        reason: MerkleError,
    },
    /// 500: the witness's own clock gave a time that no cosignature can carry.
    #[error("the clock of this witness is wrong")]
    Clock,
}

impl WitnessRefusal {
    /// The HTTP status code that tlog-witness prescribes.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed { .. } | Self::OldBeyondNew { .. } => 400,
            Self::NotSigned { .. } => 403,
            Self::UnknownOrigin { .. } => 404,
            Self::WrongOldSize { .. } | Self::TwoHistories { .. } => 409,
            Self::BadProof { .. } => 422,
            Self::Clock => 500,
        }
    }

    /// The body of the answer: the witnessed size for a conflict, a sentence otherwise.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::WrongOldSize { current } | Self::TwoHistories { current } => format!("{current}\n"),
            Self::Malformed { .. }
            | Self::OldBeyondNew { .. }
            | Self::NotSigned { .. }
            | Self::UnknownOrigin { .. }
            | Self::BadProof { .. }
            | Self::Clock => format!("{self}\n"),
        }
    }

    /// The content type of [`WitnessRefusal::body`].
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        if self.status() == 409 { SIZE_CONTENT_TYPE } else { TEXT_CONTENT_TYPE }
    }
}

impl AddCheckpoint {
    /// A request for a log to send: `proof` proves that `note`'s checkpoint grew from `old_size` entries.
    ///
    /// # Errors
    /// [`WitnessRefusal`], as the witness would answer, when no witness could accept it.
    pub fn new(old_size: u64, proof: Vec<Hash>, note: SignedNote) -> Result<Self, WitnessRefusal> {
        if proof.len() > PROOF_LINES_MAX {
            return Err(malformed(format!("more than {PROOF_LINES_MAX} consistency proof lines")));
        }
        let checkpoint: Checkpoint =
            note.text().parse().map_err(|error: CheckpointError| malformed(error.to_string()))?;
        Ok(Self { old_size, proof, note, checkpoint })
    }

    /// Reads a request body, strictly.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, WitnessRefusal> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(malformed(format!("more than {REQUEST_BYTES_MAX} bytes")));
        }
        let body = std::str::from_utf8(body).map_err(|_| malformed("not UTF-8"))?;
        let (head, note) = body.split_once("\n\n").ok_or_else(|| malformed("no blank line"))?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_decimal);
        let old_size = old_size.ok_or_else(|| malformed("the first line must be `old` and a tree size"))?;
        let mut proof = Vec::new();
        for line in lines.take(PROOF_LINES_MAX + 1) {
            let hash = Hash::from_base64(line);
            proof.push(hash.ok_or_else(|| malformed("a proof line must be 32 bytes in base64"))?);
        }
        let note = SignedNote::parse(note.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        Self::new(old_size, proof, note)
    }

    /// The origin the checkpoint claims: look up the log's key and its latest witnessed size and root by it.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.origin()
    }

    /// The size that the log believes the witness to know.
    #[must_use]
    pub fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The checkpoint, not yet checked.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint's note, not yet checked.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }
}

/// The request body.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.note)
    }
}

/// Decides whether a witness cosigns a checkpoint, at a time in unix seconds.
///
/// `log_key` is the trusted key of [`AddCheckpoint::origin`], None if the origin is unknown. `last` is the latest size
/// and root that this witness cosigned for the origin, None if it never did.
///
/// **Reading `last`, this decision, and persisting [`Witnessed::size`] and [`Witnessed::root`] must be one atomic step,
/// durable before the answer is sent.** Otherwise two requests at once could roll the witness back, and it would cosign
/// two histories: the one thing that a witness exists to prevent. A crash after the persist and before the answer is
/// harmless: the log asks again with the new size and an empty proof.
///
/// # Errors
/// [`WitnessRefusal`], in the order that tlog-witness gives: origin, signature, sizes, proof.
pub fn witness(
    request: &AddCheckpoint,
    log_key: Option<&VerifierKey>,
    last: Option<(u64, Hash)>,
    signer: &Cosigner,
    time: u64,
) -> Result<Witnessed, WitnessRefusal> {
    let origin = request.origin().to_owned();
    let Some(log_key) = log_key else {
        return Err(WitnessRefusal::UnknownOrigin { origin });
    };
    let checkpoint =
        Checkpoint::open(&request.note, log_key).map_err(|reason| WitnessRefusal::NotSigned { reason })?;
    let (old, new) = (request.old_size, checkpoint.size());
    if old > new {
        return Err(WitnessRefusal::OldBeyondNew { old, new });
    }
    let (current, current_root) = last.unwrap_or_else(|| (0, Hash::of_empty_tree()));
    if old != current {
        return Err(WitnessRefusal::WrongOldSize { current });
    }
    let root = checkpoint.root();
    if old == new && root != current_root {
        return Err(WitnessRefusal::TwoHistories { current });
    }
    verify_consistency(old, new, &current_root, &root, &request.proof)
        .map_err(|reason| WitnessRefusal::BadProof { reason })?;
    let cosignature = signer.cosign(request.note.text(), time).map_err(|_| WitnessRefusal::Clock)?;
    Ok(Witnessed { origin, size: new, root, response: cosignature.to_string() })
}

/// A witness's answer, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCosignature {
    /// The line to add to the checkpoint's note.
    pub signature: NoteSignature,
    /// When the witness signed, in unix seconds of its clock.
    pub time: u64,
}

/// Why a witness's answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not signature lines.
    #[error("the answer of witness `{name}` is malformed: {reason}")]
    Malformed {
        /// Name of the witness's key.
        name: String,
        /// What is wrong with it.
        reason: NoteError,
    },
    /// Lines, but none by the witness's key.
    #[error("the answer carries no cosignature by witness `{name}`: is this the right key for its address?")]
    NotCosigned {
        /// Name of the witness's key.
        name: String,
    },
    /// The body of a conflict is not a tree size.
    #[error("the answer to the conflict is not a tree size on a line of its own")]
    Size,
}

/// Reads the body of a 200 answer to the request with this note, ignoring lines of other keys.
///
/// # Errors
/// [`ResponseError`] when it holds no valid cosignature by this witness.
pub fn parse_cosignature_response(
    body: &[u8],
    note: &SignedNote,
    witness_key: &VerifierKey,
) -> Result<ReceivedCosignature, ResponseError> {
    let name = || witness_key.name().to_owned();
    let refused = |reason| ResponseError::Malformed { name: name(), reason };
    if body.len() > NOTE_BYTES_MAX {
        return Err(refused(NoteError::TooLong { bytes: body.len() }));
    }
    let lines = std::str::from_utf8(body).map_err(|_| refused(NoteError::NotPlainText))?;
    for signature in parse_signature_lines(lines).map_err(refused)? {
        if !signature.is_by(witness_key) {
            continue;
        }
        let verified = witness_key.verify(note.text(), signature.bytes());
        // A key of the log's kind carries no time, so what it signs is no cosignature.
        if let Some(time) = verified.map_err(|bad| refused(bad.into()))? {
            return Ok(ReceivedCosignature { signature, time });
        }
    }
    Err(ResponseError::NotCosigned { name: name() })
}

/// Reads the body of a 409 answer: the size from which the witness wants the consistency proof.
///
/// # Errors
/// [`ResponseError::Size`].
pub fn parse_size_response(body: &[u8]) -> Result<u64, ResponseError> {
    let text = std::str::from_utf8(body).ok().and_then(|text| text.strip_suffix('\n'));
    text.and_then(parse_decimal).ok_or(ResponseError::Size)
}

fn malformed(reason: impl Into<String>) -> WitnessRefusal {
    WitnessRefusal::Malformed { reason: reason.into() }
}
