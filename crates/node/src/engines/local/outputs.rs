// SPDX-License-Identifier: Apache-2.0
//! The files a finished job left behind: found without leaving its directory, and hashed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use sta_protocol::digest::Sha256Digest;

use crate::engines::OutputFile;

/// Looks for the declared outputs in `work`: those that are there, and the names of those that are not.
pub(super) fn collect(work: &Path, names: &[String]) -> (Vec<OutputFile>, Vec<String>) {
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match open(work, name).and_then(|file| digest(file, name)) {
            Ok(output) => there.push(output),
            Err(_) => missing.push(name.clone()),
        }
    }
    (there, missing)
}

/// Opens an output. A link, at its end or on the way, could lead to a file of somebody else, so none is followed.
fn open(work: &Path, name: &str) -> io::Result<File> {
    let path = fs::canonicalize(work)?.join(name);
    if fs::canonicalize(&path)? != path {
        return Err(io::Error::other("a symbolic link"));
    }
    // Without O_NONBLOCK a named pipe would keep us waiting for its writer.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn digest(mut file: File, name: &str) -> io::Result<OutputFile> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
            }
        }
    }
    // Durable before the result names it: the receipt that follows is signed.
    file.sync_all()?;
    Ok(OutputFile { name: name.to_owned(), bytes, sha256: Sha256Digest::from_bytes(hash.finalize().into()) })
}
