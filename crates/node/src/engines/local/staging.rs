// SPDX-License-Identifier: Apache-2.0
//! Puts a job's inputs into its working directory.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use super::record::{JobDirectory, create_private, failed};
use crate::engines::{EngineError, StagedInput};

/// Makes the directories the job may write to and copies its inputs; what an interrupted staging left is replaced.
///
/// Copied, not linked: a link is the same file, and a job that may change it would change what a digest names for everybody.
/// The copy shares blocks where the file system can.
pub(super) fn stage<'a>(
    directory: &JobDirectory,
    inputs: impl Iterator<Item = &'a StagedInput>,
    uid: Option<u32>,
) -> Result<(), EngineError> {
    let work = directory.work();
    for own in [&work, &directory.scratch()] {
        remove_tree(own)?;
        create_owned(own, uid)?;
    }
    for input in inputs {
        let parents =
            Path::new(&input.name).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        for parent in parents.collect::<Vec<_>>().into_iter().rev() {
            create_owned(&work.join(parent), uid)?;
        }
        let target = work.join(&input.name);
        fs::copy(&input.path, &target).map_err(|source| failed("copy the input", &input.path, source))?;
        // The copy stays ours, so that a job with a user of its own can read it and nothing else.
        // Executable, since a program can be an input and its content-addressed copy has no mode of its own.
        let read_only = fs::Permissions::from_mode(0o555);
        fs::set_permissions(&target, read_only).map_err(|source| failed("protect", &target, source))?;
    }
    Ok(())
}

/// Removes a directory with all that is in it; it may be gone already.
pub(super) fn remove_tree(path: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a directory that is the job's; it may be there already.
pub(super) fn create_owned(path: &Path, uid: Option<u32>) -> Result<(), EngineError> {
    create_private(path)?;
    match uid {
        Some(uid) => chown(path, Some(uid), Some(uid)).map_err(|source| failed("give away", path, source)),
        None => Ok(()),
    }
}
