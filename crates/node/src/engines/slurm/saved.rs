// SPDX-License-Identifier: Apache-2.0
//! What a job saved at the cluster: made into an archive there as the job's own account and brought here, and unpacked there where
//! the job comes from another site. All of it may take long, and none of it is done twice.
//!
//! Beside `ID.checkpoint` in the account's directory: `ID.checkpoint.from`, which names the archive that it began from;
//! `ID.checkpoint.part.N`, half unpacked; `ID.checkpoint.list`, what goes into an archive.

use std::path::{Path, PathBuf};

use sta_protocol::{digest::Sha256Digest, ids::JobId};

use super::{
    Inner,
    records::{Phase, Records},
    script::{cache_directory, checkpoint_directory},
};
use crate::engines::{
    EngineError, EngineJob, RunId, StagedInput,
    archive::{self, CHECKPOINT_BYTES_MAX, ENTRIES_MAX, Unfit},
};

/// Which links, of those given, stay inside by their words: as `archive::stays_inside`.
const LINKS_INSIDE: &str = r#"set -f
IFS=/
for link; do
  depth=-2
  for part in $link; do depth=$((depth + 1)); done
  target=$(readlink "$link") || exit 1
  case $target in /*) continue ;; esac
  for part in $target; do
    case $part in "" | .) ;; ..) depth=$((depth - 1)) ;; *) depth=$((depth + 1)) ;; esac
    [ "$depth" -ge 0 ] || continue 2
  done
  printf "%s\0" "$link"
done"#;

impl Inner {
    /// The archive of what a job saved, here; none where it saved nothing.
    pub(super) async fn pack_checkpoint(&self, run: RunId) -> Result<Option<PathBuf>, EngineError> {
        let record = self.records(Records::find, run).await?.ok_or(EngineError::Unknown { id: run })?;
        if record.phase != Phase::Finished {
            return Err(EngineError::NotFinished { id: run });
        }
        let account = record.account.unix;
        // Nothing was ever done as an account that has none.
        if account.is_empty() || !record.job.checkpoint {
            return Ok(None);
        }
        // One after the other: each may take all that the way to the cluster carries.
        let _turn = self.packing.lock().await;
        let (archive, new) = self.archive(run.job);
        if archive.is_file() {
            return Ok(Some(archive));
        }
        let directory = checkpoint_directory(&self.settings, &account, run.job);
        if !self.list_saved(run, &account, &directory).await? {
            return Ok(None);
        }
        let poured = self.commands.pour(&account, &packing(&directory), &new, CHECKPOINT_BYTES_MAX).await;
        let packed = match poured {
            Ok(_) => self.check(&new).await.map_err(|unfit| unfit.into_unpackable(run, &new)),
            Err(error) => Err(error),
        };
        if let Err(error) = packed {
            remove(&new)?;
            return Err(error);
        }
        let renamed = std::fs::rename(&new, &archive);
        renamed.map_err(|source| EngineError::Io { doing: "rename to", path: archive.clone(), source })?;
        Ok(Some(archive))
    }

    /// Lists there what goes into the archive; false where nothing does.
    async fn list_saved(&self, run: RunId, account: &str, directory: &str) -> Result<bool, EngineError> {
        const DOING: &str = "list what a job saved";
        let said = self.commands.patient_answer(account, DOING, &listing(directory)).await?.text();
        let number = |name: &str| -> Option<u64> {
            said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        if said.lines().any(|line| line == "none") {
            return Ok(false);
        }
        let (Some(names), Some(bytes)) = (number("names "), number("bytes ")) else {
            return Err(EngineError::Site { doing: DOING, said: "the answer is not whole".to_owned() });
        };
        let reason = if names > ENTRIES_MAX as u64 {
            format!("it holds more than {ENTRIES_MAX} files")
        } else if bytes > CHECKPOINT_BYTES_MAX {
            format!("it is longer than {CHECKPOINT_BYTES_MAX} bytes")
        } else {
            return Ok(true);
        };
        Err(EngineError::Unpackable { id: run, reason })
    }

    /// Whether the archive that a job comes with may be unpacked. One that is here no more was looked at before it went there.
    pub(super) async fn check_saved(&self, job: &EngineJob) -> Result<(), EngineError> {
        match job.saved_input() {
            Some(input) if input.path.exists() => {
                self.check(&input.path).await.map_err(|unfit| unfit.into_refusal(job.id, &input.path))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn check(&self, archive: &Path) -> Result<(), Unfit> {
        let archive = archive.to_owned();
        let checked = tokio::task::spawn_blocking(move || archive::check(&archive)).await;
        checked.unwrap_or_else(|error| Err(Unfit::Disk(std::io::Error::other(error))))
    }

    /// The inputs that have to be there before the job begins: not an archive that was unpacked for an attempt before.
    pub(super) async fn inputs_wanted(
        &self,
        job: &EngineJob,
        account: &str,
    ) -> Result<Vec<StagedInput>, EngineError> {
        let Some(saved) = job.saved_input() else { return Ok(job.inputs.clone()) };
        let directory = checkpoint_directory(&self.settings, account, job.id.job);
        let script = format!("if {}; then echo there; fi\n", is_unpacked(&directory, saved.sha256));
        let said = self.commands.answer(account, "look for what a job saved", &script).await?;
        Ok(if said.text().trim() == "there" {
            job.placed_inputs().cloned().collect()
        } else {
            job.inputs.clone()
        })
    }

    /// Unpacks the archive that a job comes with out of its account's cache.
    pub(super) async fn unpack(&self, job: &EngineJob, account: &str) -> Result<(), EngineError> {
        let Some(saved) = job.saved_input() else { return Ok(()) };
        let directory = checkpoint_directory(&self.settings, account, job.id.job);
        let cached = format!("{}/{}", cache_directory(&self.settings, account), saved.sha256);
        let script = unpacking(&directory, &cached, saved.sha256);
        self.commands.patient_answer(account, "unpack what a job saved", &script).await.map(drop)
    }

    /// Where the archive of a job is, and where it is half made.
    fn archive(&self, job: JobId) -> (PathBuf, PathBuf) {
        let spool = self.root.join("spool");
        (spool.join(format!("{job}.checkpoint.tar")), spool.join(format!("{job}.checkpoint.new")))
    }

    /// Removes the archive of a job: an attempt is to go on from it here, or none at all.
    pub(super) fn remove_archive(&self, job: JobId) -> Result<(), EngineError> {
        let (archive, new) = self.archive(job);
        // What is half made first: who is at it does not find it then, and makes none of it.
        remove(&new)?;
        remove(&archive)
    }
}

fn remove(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::Io { doing: "remove", path: path.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Has `ID.checkpoint.list` name what goes into an archive: no pipes, sockets and devices, and no links that lead elsewhere.
fn listing(directory: &str) -> String {
    let links = super::site_commands::quoted(LINKS_INSIDE);
    format!(
        "umask 077\n\
         [ -d {directory} ] || {{ echo none; exit 0; }}\n\
         cd {directory} || exit 1\n\
         find . -mindepth 1 '(' -type f -o -type d ')' -print0 >{directory}.list || exit 1\n\
         find . -mindepth 1 -type l -exec sh -c {links} sta {{}} + >>{directory}.list || exit 1\n\
         [ -s {directory}.list ] || {{ rm -f {directory}.list; echo none; exit 0; }}\n\
         LC_ALL=C sort -z -o {directory}.list {directory}.list || exit 1\n\
         echo \"names $(tr -cd '\\0' <{directory}.list | wc -c)\"\n\
         echo \"bytes $(du -sbl . | cut -f 1)\"\n"
    )
}

/// Writes the archive to standard output.
fn packing(directory: &str) -> String {
    format!(
        "cd {directory} || exit 1\n\
         tar --create --file=- --format=gnu --null --no-unquote --no-recursion --hard-dereference \
         --numeric-owner --owner=0 --group=0 --files-from={directory}.list\n\
         code=$?\nrm -f {directory}.list\nexit $code\n"
    )
}

fn is_unpacked(directory: &str, sha256: Sha256Digest) -> String {
    format!("[ -d {directory} ] && [ \"$(cat {directory}.from 2>/dev/null)\" = {sha256} ]")
}

/// Unpacks an archive beside the directory and puts it in its place. Whoever is cut off from us and goes on finds another in the
/// place, and removes nothing of it.
fn unpacking(directory: &str, archive: &str, sha256: Sha256Digest) -> String {
    format!(
        "umask 077\n\
         if {there}; then exit 0; fi\n\
         {removal}\
         part={directory}.part.$$\n\
         mkdir $part && tar --extract --file={archive} --directory=$part --preserve-permissions --no-same-owner \
         --delay-directory-restore && mv -T $part {directory} && echo {sha256} >$part && mv -T $part {directory}.from\n",
        there = is_unpacked(directory, sha256),
        removal = removal(directory),
    )
}

/// Removes what a job has saved and all that lies beside it.
pub(super) fn removal(directory: &str) -> String {
    format!(
        "chmod -R u+w {directory} {directory}.part.* 2>/dev/null\n\
         rm -rf -- {directory} {directory}.from {directory}.list {directory}.part.*\n"
    )
}
