// SPDX-License-Identifier: Apache-2.0
//! What a job saves over its attempts: the directory, the archive that is made of it for another site, and the one that it came with.
//!
//! Beside the directories of the attempts: `ID.checkpoint`; `ID.checkpoint.tar`, made of it; `ID.checkpoint.from`, which names the
//! archive that it began from, so that this one is unpacked once; and `ID.checkpoint.part` and `ID.checkpoint.new`, half made.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, BufWriter, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{fcntl::OFlag, unistd::syncfs};
use sta_protocol::{digest::Sha256Digest, ids::JobId};
use tar::{Builder, EntryType, Header};

use super::{
    record::{JobDirectory, create_private, failed, sync_directory},
    staging::{create_owned, remove_tree},
};
use crate::engines::{
    EngineError, EngineJob, RunId, StagedInput,
    archive::{self, CHECKPOINT_BYTES_MAX, ENTRIES_MAX, Found, Kind, Unfit},
};

/// What one job has saved here.
pub(super) struct Saved<'a> {
    root: &'a Path,
    job: JobId,
}

impl<'a> Saved<'a> {
    pub(super) fn of(root: &'a Path, job: JobId) -> Self {
        Self { root, job }
    }

    fn directory(&self) -> PathBuf {
        JobDirectory::checkpoint(self.root, self.job)
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.root.join(format!("{}.checkpoint.{what}", self.job))
    }

    /// Makes the directory ready for an attempt: empty before the first; with what the job came with, where that was not here
    /// before; as the attempt before left it otherwise.
    pub(super) fn open(&self, job: &EngineJob, uid: Option<u32>) -> Result<(), EngineError> {
        let directory = self.directory();
        // What is packed is of the attempt before.
        remove_file(&self.beside("tar"))?;
        match job.saved_input() {
            Some(input) if !(directory.is_dir() && self.began_from() == Some(input.sha256)) => {
                self.begin_from(job.id, input, uid)?;
            }
            None if job.id.attempt == 1 => self.wipe()?,
            Some(_) | None => {}
        }
        create_owned(&directory, uid)
    }

    fn began_from(&self) -> Option<Sha256Digest> {
        fs::read_to_string(self.beside("from")).ok()?.trim().parse().ok()
    }

    fn begin_from(&self, id: RunId, input: &StagedInput, uid: Option<u32>) -> Result<(), EngineError> {
        let (part, directory) = (self.beside("part"), self.directory());
        archive::check(&input.path).map_err(|unfit| unfit.into_refusal(id, &input.path))?;
        remove_tree(&part)?;
        create_private(&part)?;
        let unpacked = unpack(&input.path, &part, uid);
        unpacked.map_err(|unfit| {
            // The next attempt at it removes what is left, too.
            let _ = fs::remove_dir_all(&part);
            unfit.into_refusal(id, &input.path)
        })?;
        remove_tree(&directory)?;
        fs::rename(&part, &directory).map_err(|source| failed("rename to", &directory, source))?;
        // A crash before this is durable has it unpacked again, before anything of the job has begun.
        let (new, from) = (self.beside("new"), self.beside("from"));
        let written = fs::write(&new, input.sha256.to_string()).and_then(|()| File::open(&new)?.sync_all());
        written.and_then(|()| fs::rename(&new, &from)).map_err(|source| failed("write", &from, source))?;
        sync_directory(self.root)
    }

    /// Makes the archive; none where nothing is saved. Whoever calls holds the lock of an attempt that ended.
    pub(super) fn pack(&self, run: RunId, uid: Option<u32>) -> Result<Option<PathBuf>, EngineError> {
        let (directory, new, archive) = (self.directory(), self.beside("new"), self.beside("tar"));
        if archive.is_file() {
            return Ok(Some(archive));
        }
        if !directory.is_dir() {
            return Ok(None);
        }
        let packed = pack(&directory, &new, uid).and_then(|packed| {
            if packed {
                archive::check(&new)?;
            }
            Ok(packed)
        });
        match packed {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(unfit) => {
                remove_file(&new)?;
                return Err(unfit.into_unpackable(run, &directory));
            }
        }
        fs::rename(&new, &archive).map_err(|source| failed("rename to", &archive, source))?;
        sync_directory(self.root)?;
        Ok(Some(archive))
    }

    /// Removes all of it; there may be nothing.
    pub(super) fn wipe(&self) -> Result<(), EngineError> {
        for directory in [self.directory(), self.beside("part")] {
            remove_tree(&directory)?;
        }
        // What is half made first: who is at it does not find it then, and makes none of it.
        ["new", "tar", "from"].iter().try_for_each(|what| remove_file(&self.beside(what)))
    }
}

fn remove_file(path: &Path) -> Result<(), EngineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes what lies in a directory into a new archive; false, and no archive, where nothing does. All processes of the job have
/// ended, so that nobody changes anything meanwhile.
fn pack(directory: &Path, archive: &Path, uid: Option<u32>) -> Result<bool, Unfit> {
    let found = list(directory)?;
    if found.is_empty() {
        return Ok(false);
    }
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(archive)?;
    let mut builder = Builder::new(BufWriter::new(file));
    for Found { path, kind, mode, modified_s } in found {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(modified_s);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match kind {
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, path.join(""), io::empty())?;
            }
            Kind::File => {
                let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
                let file = OpenOptions::new().read(true).custom_flags(flags).open(directory.join(&path))?;
                let metadata = file.metadata()?;
                // Whatever the job did, what we can read and it could not is not its work.
                if uid.is_some_and(|uid| uid != metadata.uid()) || !metadata.is_file() {
                    return Err(Unfit::Never(format!("`{}` is not the job's own file", path.display())));
                }
                let bytes = metadata.len();
                header.set_entry_type(EntryType::Regular);
                header.set_size(bytes);
                builder.append_data(&mut header, path, file.take(bytes))?;
            }
            Kind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, path, target)?;
            }
        }
    }
    let file = builder.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(true)
}

/// What is to be packed, by name: no sockets, pipes and devices, and no links that lead elsewhere.
fn list(directory: &Path) -> Result<Vec<Found>, Unfit> {
    let (mut all, mut bytes, mut open) = (Vec::new(), 0u64, vec![PathBuf::new()]);
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(directory.join(&below))? {
            let path = below.join(entry?.file_name());
            let whole = directory.join(&path);
            let metadata = fs::symlink_metadata(&whole)?;
            let kind = if metadata.is_dir() {
                open.push(path.clone());
                Kind::Directory
            } else if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
                Kind::File
            } else if metadata.is_symlink() {
                match fs::read_link(&whole)? {
                    target if archive::stays_inside(&path, &target) => Kind::Link(target),
                    _elsewhere => continue,
                }
            } else {
                continue;
            };
            let modified_s = u64::try_from(metadata.mtime()).unwrap_or(0);
            all.push(Found { path, kind, mode: metadata.mode() & 0o777, modified_s });
            // Before anything is written.
            if all.len() > ENTRIES_MAX {
                return Err(Unfit::Never(format!("it holds more than {ENTRIES_MAX} files")));
            }
            if bytes > CHECKPOINT_BYTES_MAX {
                return Err(Unfit::Never(format!("it is longer than {CHECKPOINT_BYTES_MAX} bytes")));
            }
        }
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(all)
}

/// Unpacks an archive that was checked into an empty directory of ours, and gives it away. Links come last: nothing is written
/// through one.
fn unpack(archive: &Path, into: &Path, uid: Option<u32>) -> Result<(), Unfit> {
    let mut directories: BTreeMap<PathBuf, (u32, Option<u64>)> = BTreeMap::new();
    let mut links = Vec::new();
    archive::each(archive, |Found { path, kind, mode, modified_s }, content| {
        let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
        for above in above.map(Path::to_owned) {
            directories.entry(above).or_insert((0o700, None));
        }
        let directory = if kind == Kind::Directory { Some(path.as_path()) } else { path.parent() };
        let whole = into.join(directory.unwrap_or(Path::new("")));
        DirBuilder::new().recursive(true).mode(0o700).create(whole)?;
        match kind {
            Kind::Directory => drop(directories.insert(path, (mode, Some(modified_s)))),
            Kind::File => {
                let mut options = OpenOptions::new();
                let mut file = options.create_new(true).write(true).mode(0o600).open(into.join(&path))?;
                if io::copy(content, &mut file)? != content.size() {
                    return Err(Unfit::Never(format!("`{}` is cut off in it", path.display())));
                }
                file.set_permissions(Permissions::from_mode(mode))?;
                file.set_modified(moment(modified_s))?;
                if uid.is_some() {
                    fchown(&file, uid, uid)?;
                }
            }
            Kind::Link(target) => links.push((into.join(path), target)),
        }
        Ok(())
    })?;
    for (path, target) in links {
        symlink(target, &path)?;
        if uid.is_some() {
            lchown(&path, uid, uid)?;
        }
    }
    // The innermost first: one that its owner may not write to takes nothing more in.
    for (path, (mode, modified_s)) in directories.into_iter().rev() {
        let directory = File::open(into.join(path))?;
        if uid.is_some() {
            fchown(&directory, uid, uid)?;
        }
        directory.set_permissions(Permissions::from_mode(mode))?;
        if let Some(modified_s) = modified_s {
            directory.set_modified(moment(modified_s))?;
        }
    }
    // All of it at once: it may be many files.
    syncfs(File::open(into)?).map_err(|error| Unfit::Disk(error.into()))
}

fn moment(seconds: u64) -> SystemTime {
    // What no clock has is no reason not to go on.
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}
