// SPDX-License-Identifier: Apache-2.0
//! Reads the logs of evaluations that Inspect writes: one JSON file, or a `.eval` archive, of which only the header is unpacked.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use sta_protocol::{
    digest::Sha256Digest,
    evaluation::{Evaluated, LOG_BYTES_MAX, LogFile, LogRefused},
};
use zip::{ZipArchive, result::ZipError};

/// The file of an archive that says how the whole run went.
const HEADER: &str = "header.json";
/// The largest log file, in bytes: 16 GiB.
const FILE_BYTES_MAX: u64 = 16 << 30;
/// The most files of an archive; each sample is one.
const FILES_MAX: usize = 2_000_000;
/// The longest header of an archive once it is unpacked, in bytes.
const HEADER_BYTES_MAX: u64 = 64 << 20;

/// Why a log is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The file cannot be read.
    #[error("cannot read the log `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name is no plain one.
    #[error("the log `{0}` has no file name in Unicode")]
    Name(PathBuf),
    /// Larger than is read.
    #[error("the log has {0} bytes; at most {FILE_BYTES_MAX} are read")]
    TooLarge(u64),
    /// The archive does not open.
    #[error("the log is no `.eval` archive that can be opened: copy it again from where it was written")]
    Archive(#[source] ZipError),
    /// The run was cut off before Inspect wrote the header.
    #[error("the archive has no `{HEADER}`: the evaluation was not ended, run it again to its end")]
    NoHeader,
    /// The header would be larger than is read.
    #[error("the archive's `{HEADER}` has more than {HEADER_BYTES_MAX} bytes")]
    HeaderTooLarge,
    /// More files than are looked at.
    #[error("the archive has {0} files; at most {FILES_MAX} are looked at")]
    TooManyFiles(usize),
    /// The log proves nothing.
    #[error(transparent)]
    Refused(#[from] LogRefused),
}

/// Reads a log and digests the whole file.
///
/// # Errors
/// [`ReadLogError`].
pub fn read(path: &Path) -> Result<(Evaluated, LogFile), ReadLogError> {
    let failed = |source| ReadLogError::File { path: path.to_owned(), source };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ReadLogError::Name(path.to_owned()))?.to_owned();
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(ReadLogError::TooLarge(bytes));
    }
    let sha256 = digest_of(&mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let header = if name.ends_with(".eval") {
        header_of_archive(file)?
    } else {
        let mut text = Vec::new();
        let limit = u64::try_from(LOG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut text).map_err(failed)?;
        text
    };
    Ok((Evaluated::from_header(&header)?, LogFile { name, sha256 }))
}

fn digest_of(file: &mut File) -> io::Result<Sha256Digest> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(Sha256Digest::from_bytes(digest.finalize().into()));
        }
        digest.update(&piece[..length]);
    }
}

/// The unpacked header of an archive. What an archive says of its own sizes is not believed.
fn header_of_archive(archive: impl Read + Seek) -> Result<Vec<u8>, ReadLogError> {
    let mut archive = ZipArchive::new(archive).map_err(ReadLogError::Archive)?;
    if archive.len() > FILES_MAX {
        return Err(ReadLogError::TooManyFiles(archive.len()));
    }
    let header = match archive.by_name(HEADER) {
        Ok(header) => header,
        Err(ZipError::FileNotFound) => return Err(ReadLogError::NoHeader),
        Err(error) => return Err(ReadLogError::Archive(error)),
    };
    let mut text = Vec::new();
    let unpacked = header.take(HEADER_BYTES_MAX + 1).read_to_end(&mut text);
    unpacked.map_err(|error| ReadLogError::Archive(ZipError::Io(error)))?;
    if text.len() as u64 > HEADER_BYTES_MAX { Err(ReadLogError::HeaderTooLarge) } else { Ok(text) }
}
