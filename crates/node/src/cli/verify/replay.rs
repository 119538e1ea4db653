// SPDX-License-Identifier: Apache-2.0
//! `sta verify --replay`: every decision of the gates in an exported log, come to again from its payload, in the log's order.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sta_audit::tile::{Tile, bundles_for_size, read_bundle};

use super::{Fault, read_bounded};
use crate::{
    cli::failure::{Exit, Failure, Trying},
    steps::gates::{
        record::{DecisionRecord, OutcomeRecord},
        replay::Replay,
    },
};

/// The file in an exported log that has the payloads of the gates, one a line.
pub(in crate::cli) const PAYLOADS: &str = "gates.jsonl";
/// The longest such file.
const PAYLOADS_BYTES_MAX: usize = 1 << 30;
/// The longest rule pack.
const PACK_BYTES_MAX: usize = 1 << 20;
/// The longest bundle of entries.
const BUNDLE_BYTES_MAX: usize = 256 * (2 + 65_535);

/// One payload with what binds it to its entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Line {
    /// The entry's index in the log.
    pub(in crate::cli) index: u64,
    /// The salt, in hexadecimal digits.
    pub(in crate::cli) salt: String,
    /// The payload as it was committed to: canonical JSON.
    pub(in crate::cli) payload: String,
}

/// What an entry of a log says of itself.
#[derive(Deserialize)]
struct Entry {
    kind: String,
    commitment: String,
}

/// Replays the decisions of a log that was verified; says how many records there were.
///
/// # Errors
/// A payload is missing or not the one that was logged, or a record does not follow from those before it; with the entry.
pub(super) fn replay(directory: &Path, size: u64, policies: Option<&Path>) -> Result<u64, Fault> {
    let doing = format!("replay the gates in `{}`", directory.display());
    let text =
        read_bounded(&directory.join(PAYLOADS), PAYLOADS_BYTES_MAX).trying_to(&doing).map_err(|failure| {
            failure.mend("Export the log with `sta audit export DIR --dir NODE --payloads`.")
        })?;
    let text = String::from_utf8(text).trying_to(&doing)?;
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).trying_to(&doing)?;
        lines.insert(line.index, line);
    }
    let mut replay = Replay::new(packs(policies)?);
    let mut count = 0;
    for tile in bundles_for_size(size) {
        let bundle = bundle(directory, tile, &doing)?;
        for (entry, index) in
            read_bundle(&bundle, tile.width()).trying_to(&doing)?.into_iter().zip(tile.start()..)
        {
            let at = |cause: String| Fault {
                failure: Failure::new(&doing, format!("entry {index}: {cause}")).exit(Exit::Unverified),
                entry: Some(index),
            };
            let entry: Entry = serde_json::from_slice(entry).map_err(|error| at(error.to_string()))?;
            if entry.kind == "gate.decided" || entry.kind == "gate.outcome" {
                let line = lines
                    .get(&index)
                    .ok_or_else(|| at("its payload is not there: it was erased or left out".to_owned()))?;
                one(&mut replay, &entry, line).map_err(at)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// The texts of the packs in a directory.
fn packs(directory: Option<&Path>) -> Result<Vec<String>, Failure> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let doing = format!("read the rule packs in `{}`", directory.display());
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(directory).trying_to(&doing)? {
        let path = entry.trying_to(&doing)?.path();
        if path.extension().is_some_and(|ending| ending == "cedar") {
            let text = read_bounded(&path, PACK_BYTES_MAX).trying_to(&doing)?;
            texts.push(String::from_utf8(text).trying_to(&doing)?);
        }
    }
    Ok(texts)
}

fn bundle(directory: &Path, tile: Tile, doing: &str) -> Result<Vec<u8>, Fault> {
    Ok(read_bounded(&directory.join(tile.to_string()), BUNDLE_BYTES_MAX).trying_to(doing)?)
}

/// One record: its payload is what was committed to, and it follows from the records before it.
fn one(replay: &mut Replay, entry: &Entry, line: &Line) -> Result<(), String> {
    let digits = line.salt.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    let salt: Result<Vec<u8>, _> = digits.map(|pair| u8::from_str_radix(pair, 16)).collect();
    let salt = salt.map_err(|error| format!("its salt does not read: {error}"))?;
    let commitment = Sha256::new().chain_update(salt).chain_update(line.payload.as_bytes()).finalize();
    let commitment: String = commitment.iter().map(|byte| format!("{byte:02x}")).collect();
    if commitment != entry.commitment {
        return Err("its payload is not the one that was logged".to_owned());
    }
    let read = |error: serde_json::Error| format!("its payload does not read: {error}");
    if entry.kind == "gate.decided" {
        let record: DecisionRecord = serde_json::from_str(&line.payload).map_err(read)?;
        return replay.decided(&record).map_err(|differs| differs.to_string());
    }
    let mut payload: serde_json::Value = serde_json::from_str(&line.payload).map_err(read)?;
    // Who reported it is in the payload and in no guard.
    if let Some(fields) = payload.as_object_mut() {
        fields.remove("reported_by");
    }
    let record: OutcomeRecord = serde_json::from_value(payload).map_err(read)?;
    replay.outcome(&record).map_err(|differs| differs.to_string())
}
