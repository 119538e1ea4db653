// SPDX-License-Identifier: Apache-2.0
//! Files to and from the node: content-addressed, in parts, resumed where they broke off, verified at the end.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sta_protocol::{digest::Sha256Digest, ids::JobId, job::is_file_name};

use super::{
    client::{Client, segment},
    failure::{Exit, Failure, Trying},
    print,
};
use crate::store::{
    StoreError,
    blobs::{hash_file, read_range},
};

/// How much goes in one request.
const PART_BYTES: usize = 8 << 20;
/// How often in a row a transfer is taken up again without any progress.
const ATTEMPTS_MAX: u32 = 5;
/// How many bytes of a file the node has already.
const BYTES_HERE: &str = "sta-have";

/// A file of this machine and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub bytes: u64,
}

impl LocalFile {
    /// Reads a file to name it by its content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        let doing = format!("read `{}`", path.display());
        match hash_file(path) {
            Ok((sha256, bytes)) => Ok(Self { path: path.to_owned(), sha256, bytes }),
            // The file is the person's own here, and no store has anything to do with it.
            Err(StoreError::File { source, .. }) => Err(source).trying_to(doing),
            Err(error) => Err(error).trying_to(doing),
        }
    }
}

/// Brings a file to the node, from where an earlier attempt broke off.
///
/// # Errors
/// The node did not answer several times in a row, or said no; or the file changed meanwhile.
pub async fn upload(client: &Client, file: &LocalFile) -> Result<(), Failure> {
    let path = format!("/v1/blobs/{}", file.sha256);
    let mut attempts = 0;
    let mut reached = 0;
    loop {
        match upload_rest(client, file, &path, &mut reached, &mut attempts).await {
            Err(failure) if failure.exit == Exit::Unreachable && attempts < ATTEMPTS_MAX => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(200 << attempts)).await;
            }
            done => return done,
        }
    }
}

async fn upload_rest(
    client: &Client,
    file: &LocalFile,
    path: &str,
    reached: &mut u64,
    attempts: &mut u32,
) -> Result<(), Failure> {
    let doing = format!("bring `{}` to the node", file.path.display());
    let Some(mut offset) = bytes_here(client, path, &doing).await? else { return Ok(()) };
    if offset >= file.bytes {
        return close(client, file, path, &doing).await;
    }
    loop {
        if offset > *reached {
            (*reached, *attempts) = (offset, 0);
        }
        let (part, whole) = read_range(&file.path, offset, PART_BYTES).trying_to(&doing)?;
        let end = offset + part.len() as u64;
        if whole != file.bytes || part.is_empty() {
            return Err(Failure::new(doing, "the file changed while it was read")
                .mend("Submit again when nothing writes to it."));
        }
        let range = format!("bytes {offset}-{}/{whole}", end - 1);
        let headers =
            HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_str(&range).trying_to(&doing)?)]);
        client.send(Method::PUT, path, headers, part).await?.or_problem(&doing)?;
        if end == file.bytes {
            return Ok(());
        }
        let step = (whole / 50).max(PART_BYTES as u64 * 4);
        if end / step != offset / step {
            print::progress(format!(
                "{}: {} of {}",
                file.path.display(),
                print::size(end),
                print::size(whole)
            ));
        }
        offset = end;
    }
}

/// Has the node check and close a file whose bytes are all there, or which has none.
async fn close(client: &Client, file: &LocalFile, path: &str, doing: &str) -> Result<(), Failure> {
    let range = HeaderValue::from_str(&format!("bytes */{}", file.bytes)).trying_to(doing)?;
    let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, range)]);
    client.send(Method::PUT, path, headers, Vec::new()).await?.or_problem(doing).map(drop)
}

/// How many bytes the node has of a file that is not whole there; none when it is.
async fn bytes_here(client: &Client, path: &str, doing: &str) -> Result<Option<u64>, Failure> {
    let answer = client.send(Method::HEAD, path, HeaderMap::new(), Vec::new()).await?;
    if answer.status.is_success() {
        return Ok(None);
    }
    let here = answer.headers.get(BYTES_HERE).and_then(|value| value.to_str().ok()?.parse().ok());
    here.filter(|_| answer.status == StatusCode::NOT_FOUND).map(Some).ok_or_else(|| answer.problem(doing))
}

/// An output as the job's documents name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Fetches an output into `directory`: in ranges beside its place, verified, then renamed into it.
///
/// # Errors
/// The node said no (exit 4 when the output is held), did not answer, or the bytes are not the receipt's (exit 5).
pub async fn download(
    client: &Client,
    job: JobId,
    output: &Wanted,
    directory: &Path,
) -> Result<PathBuf, Failure> {
    if !is_file_name(&output.name) {
        // A node that is not honest must not choose where on this machine a file is written.
        let cause = format!("the node calls an output {:?}, which is no plain file name", output.name);
        return Err(Failure::new(format!("fetch the outputs of job {job}"), cause));
    }
    let target = directory.join(&output.name);
    let doing = format!("fetch output `{}` of job {job}", output.name);
    if hash_file(&target).is_ok_and(|(sha256, _)| sha256 == output.sha256) {
        return Ok(target);
    }
    let part = directory.join(format!("{}.part", output.name));
    let mut attempts = 0;
    while let Err(failure) = download_rest(client, job, output, &part, &doing).await {
        attempts += 1;
        if failure.exit != Exit::Unreachable || attempts > ATTEMPTS_MAX {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(200 << attempts)).await;
    }
    let (sha256, _) = hash_file(&part).trying_to(&doing)?;
    if sha256 != output.sha256 {
        fs::remove_file(&part).trying_to(&doing)?;
        let cause = format!("its bytes have SHA-256 {sha256}, but the host's receipt says {}", output.sha256);
        return Err(Failure::new(doing, cause)
            .exit(Exit::Unverified)
            .mend("Fetch it again; if it stays so, tell both operators."));
    }
    fs::rename(&part, &target).trying_to(doing)?;
    Ok(target)
}

async fn download_rest(
    client: &Client,
    job: JobId,
    output: &Wanted,
    part: &Path,
    doing: &str,
) -> Result<(), Failure> {
    let path = format!("/v1/jobs/{job}/outputs/{}", segment(&output.name));
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(part).trying_to(doing)?;
    let mut have = file.metadata().trying_to(doing)?.len();
    if have > output.bytes {
        file.set_len(0).trying_to(doing)?;
        have = 0;
    }
    // Even an output without a byte is asked for, so that one that is held is refused.
    loop {
        let last = (have + PART_BYTES as u64).min(output.bytes).saturating_sub(1);
        let mut headers = HeaderMap::new();
        if output.bytes > 0 && have < output.bytes {
            headers.insert(
                header::RANGE,
                HeaderValue::from_str(&format!("bytes={have}-{last}")).trying_to(doing)?,
            );
        }
        let answer = client.send(Method::GET, &path, headers, Vec::new()).await?.or_problem(doing)?;
        if answer.status != StatusCode::PARTIAL_CONTENT && have > 0 {
            // The whole file came although a part was asked for.
            file.set_len(0).trying_to(doing)?;
            have = 0;
        }
        have += append(&mut file, &answer.body, doing)?;
        if have >= output.bytes {
            return file.sync_all().trying_to(doing);
        }
        if answer.body.is_empty() {
            return Err(Failure::new(
                doing,
                format!("the node sent {have} of {} bytes and no more", output.bytes),
            ));
        }
    }
}

fn append(file: &mut File, bytes: &[u8], doing: &str) -> Result<u64, Failure> {
    file.write_all(bytes).trying_to(doing)?;
    Ok(bytes.len() as u64)
}
