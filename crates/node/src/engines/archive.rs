// SPDX-License-Identifier: Apache-2.0
//! What a job saved, as one file that goes to another site: how a job names it, and which archives are taken, whoever made them.
//!
//! Directories, files, and links that stay inside, in the format of GNU tar (ustar with long names). What is taken holds each name once and nothing below a link, so that whoever
//! unpacks it into an empty directory writes nowhere else.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use nix::errno::Errno;
use tar::{Archive, Entry, EntryType};

use super::{EngineError, EngineJob, RunId, StagedInput};

/// The name among a job's inputs of the archive that it goes on from.
pub const CHECKPOINT_INPUT: &str = ".sta-checkpoint.tar";
/// The longest archive of what a job saved, in bytes.
pub const CHECKPOINT_BYTES_MAX: u64 = 1 << 40;
/// The most directories, files and links in one.
pub(super) const ENTRIES_MAX: usize = 1 << 20;
/// The most bytes that the names in one have together, those above them counted once: whoever looks through it holds them in memory.
const NAMES_BYTES_MAX: usize = 256 << 20;
/// The longest entry that only says more of the next one, such as a long name, in bytes: the reader holds it in memory.
const REMARK_BYTES_MAX: u64 = 64 << 10;
/// What an archive is divided into, in bytes; two of them, empty, end it.
const BLOCK_BYTES: u64 = 512;

impl EngineJob {
    /// The archive that it goes on from.
    #[must_use]
    pub fn saved_input(&self) -> Option<&StagedInput> {
        self.inputs.iter().find(|input| self.is_saved(input))
    }

    /// What stands in its working directory: all inputs but that archive.
    pub fn placed_inputs(&self) -> impl Iterator<Item = &StagedInput> {
        self.inputs.iter().filter(|input| !self.is_saved(input))
    }

    fn is_saved(&self, input: &StagedInput) -> bool {
        self.saved == Some(input.sha256) && input.name == CHECKPOINT_INPUT
    }

    /// What is wrong with how it says that it goes on from elsewhere.
    pub(super) fn saved_wrongly(&self) -> Option<String> {
        let saved = self.saved?;
        if !self.checkpoint {
            return Some("it goes on from what it saved, and does not say that it saves its work".to_owned());
        }
        let is_missing = self.saved_input().is_none();
        is_missing.then(|| format!("it goes on from {saved}, and no input `{CHECKPOINT_INPUT}` is that"))
    }
}

/// Why an archive was not made or not taken.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It can never be.
    Never(String),
    /// The disk said no.
    Disk(io::Error),
}

impl Unfit {
    /// As an answer to who submits the job.
    pub(super) fn into_refusal(self, id: RunId, archive: &Path) -> EngineError {
        match self {
            Self::Never(reason) => {
                let reason = format!("what it saved elsewhere cannot be unpacked: {reason}");
                EngineError::Invalid { id, reason }
            }
            Self::Disk(source) => EngineError::Io { doing: "unpack", path: archive.to_owned(), source },
        }
    }

    /// As an answer to who wants what the job saved.
    pub(super) fn into_unpackable(self, id: RunId, directory: &Path) -> EngineError {
        match self {
            Self::Never(reason) => EngineError::Unpackable { id, reason },
            Self::Disk(source) => EngineError::Io { doing: "pack", path: directory.to_owned(), source },
        }
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        const NEVER: [Errno; 2] = [Errno::EACCES, Errno::ENAMETOOLONG];
        match error.raw_os_error().map(Errno::from_raw) {
            Some(said) if !NEVER.contains(&said) => Self::Disk(error),
            // What no system call said, the reader found in the archive.
            Some(_) | None => Self::Never(format!("it does not read: {error}")),
        }
    }
}

/// One thing in an archive.
#[derive(Debug)]
pub(super) struct Found {
    /// Where, below the directory.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// Who may do what with it; never more than that.
    pub(super) mode: u32,
    /// When it was last changed, in seconds since 1970.
    pub(super) modified_s: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// To where.
    Link(PathBuf),
}

/// Reads an archive through, without the contents of its files, and finds whether it may be unpacked.
pub(super) fn check(archive: &Path) -> Result<(), Unfit> {
    let mut seen = Seen::default();
    each(archive, |Found { path, kind, .. }, _| {
        let is_directory = kind == Kind::Directory;
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            if !seen.is_directory(above)? {
                let (path, above) = (path.display(), above.display());
                return Err(Unfit::Never(format!("`{path}` lies below `{above}`, which is no directory")));
            }
        }
        match seen.note(&path, is_directory)? {
            Some(before) if !(before && is_directory) => {
                Err(Unfit::Never(format!("it holds `{}` twice", path.display())))
            }
            Some(_) | None => Ok(()),
        }
    })
}

/// The names that were seen in an archive, and whether each is a directory.
#[derive(Default)]
struct Seen {
    names: BTreeMap<PathBuf, bool>,
    bytes: usize,
}

impl Seen {
    /// Whether the name is a directory, as one is of which only something below it was seen.
    fn is_directory(&mut self, name: &Path) -> Result<bool, Unfit> {
        match self.names.get(name) {
            Some(is_directory) => Ok(*is_directory),
            None => self.note(name, true).map(|_| true),
        }
    }

    /// Notes a name, and says whether it was seen as a directory before; none where it was not seen.
    fn note(&mut self, name: &Path, is_directory: bool) -> Result<Option<bool>, Unfit> {
        let before = self.names.insert(name.to_owned(), is_directory);
        if before.is_none() {
            self.bytes += name.as_os_str().len();
        }
        if self.names.len() > ENTRIES_MAX {
            return Err(Unfit::Never(format!("it holds more than {ENTRIES_MAX} files")));
        }
        if self.bytes > NAMES_BYTES_MAX {
            return Err(Unfit::Never(format!("its names are longer than {NAMES_BYTES_MAX} bytes")));
        }
        Ok(before)
    }
}

/// Gives everything in an archive, in its order, with the content of each file.
pub(super) fn each(
    archive: &Path,
    mut take: impl FnMut(Found, &mut Entry<'_, File>) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let mut file = File::open(archive)?;
    let length = file.metadata()?.len();
    if length > CHECKPOINT_BYTES_MAX {
        return Err(Unfit::Never(format!("it is longer than {CHECKPOINT_BYTES_MAX} bytes")));
    }
    if !has_end(&mut file, length)? {
        return Err(Unfit::Never("it has no end as an archive has".to_owned()));
    }
    let mut archive = Archive::new(look_over(file)?);
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.raw_file_position().saturating_add(entry.header().entry_size()?) > length {
            return Err(Unfit::Never(format!("`{}` is cut off in it", entry.path()?.display())));
        }
        if let Some(found) = found(&entry)? {
            take(found, &mut entry)?;
        }
    }
    Ok(())
}

/// Looks at the headers alone: the reader would hold what some kinds of entries say in memory, however much that is. Those that
/// say how long the next one is (the extended headers of POSIX) would have it read other headers than these.
fn look_over(file: File) -> Result<File, Unfit> {
    let mut archive = Archive::new(file);
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        let (kind, name) = (entry.header().entry_type(), entry.path()?);
        let is_remark = matches!(kind, EntryType::GNULongName | EntryType::GNULongLink);
        let is_known = is_remark
            || matches!(
                kind,
                EntryType::Directory | EntryType::Regular | EntryType::Continuous | EntryType::Symlink
            );
        if !is_known {
            return Err(other_kind(&name));
        }
        if is_remark && entry.header().entry_size()? > REMARK_BYTES_MAX {
            return Err(Unfit::Never(format!("it says more of a file than {REMARK_BYTES_MAX} bytes")));
        }
    }
    let mut file = archive.into_inner();
    file.rewind()?;
    Ok(file)
}

/// Hard links are among them: an archive of ours has none, and what one would write to is another file.
fn other_kind(name: &Path) -> Unfit {
    Unfit::Never(format!("`{}` in it is neither a directory nor a file nor a link", name.display()))
}

/// Whether it ends with two empty blocks, as one does that is whole.
fn has_end(file: &mut File, length: u64) -> io::Result<bool> {
    let mut end = [1; 2 * BLOCK_BYTES as usize];
    if length < 2 * BLOCK_BYTES || !length.is_multiple_of(BLOCK_BYTES) {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(length - 2 * BLOCK_BYTES))?;
    file.read_exact(&mut end)?;
    file.rewind()?;
    Ok(end.iter().all(|byte| *byte == 0))
}

/// What an entry stands for; none for the directory itself.
fn found(entry: &Entry<'_, File>) -> Result<Option<Found>, Unfit> {
    let named = entry.path()?;
    let outside = || Unfit::Never(format!("it holds `{}`, which leads out of it", named.display()));
    let path = inside(&named).ok_or_else(outside)?;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Symlink => {
            let target = entry.link_name()?.unwrap_or_default().into_owned();
            if !stays_inside(&path, &target) {
                let (path, target) = (path.display(), target.display());
                return Err(Unfit::Never(format!("its link `{path}` leads out of it, to `{target}`")));
            }
            Kind::Link(target)
        }
        _ => return Err(other_kind(&path)),
    };
    Ok(Some(Found { path, kind, mode: header.mode()? & 0o777, modified_s: header.mtime()? }))
}

/// A name in an archive as a path below the directory; none where it leads elsewhere.
fn inside(named: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in named.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Whether a link, by its words alone, leads to something below the directory that it lies in.
pub(super) fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_by_its_words() {
        for (link, target) in [("a", "b"), ("a", "b/.."), ("d/a", "../b"), ("d/e/a", "../../b"), ("a", ".")] {
            assert!(stays_inside(Path::new(link), Path::new(target)), "{link} -> {target}");
        }
        for (link, target) in [("a", "/b"), ("a", ".."), ("d/a", "../../b"), ("a", "b/../../c"), ("a", "")] {
            assert!(!stays_inside(Path::new(link), Path::new(target)), "{link} -> {target}");
        }
    }
}
