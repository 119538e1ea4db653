// SPDX-License-Identifier: Apache-2.0
//! The examples that the demo runs, embedded, so that it works wherever the program is.

use super::{
    super::failure::{Failure, Trying},
    Stage,
};

macro_rules! example {
    ($path:literal) => {
        ($path, include_bytes!(concat!("../../../../../examples/", $path)) as &[u8])
    };
}

/// The files of `examples/` that the demo uses.
const FILES: [(&str, &[u8]); 9] = [
    example!("digits/job.toml"),
    example!("digits/train.py"),
    example!("digits/digits.csv.gz"),
    example!("digits/LICENSE-DATA.md"),
    example!("hospital/job.toml"),
    example!("hospital/train.py"),
    example!("hospital/breast_cancer.csv"),
    example!("hospital/LICENSE-DATA.md"),
    example!("hospital/protection.toml"),
];

/// Writes them into the demo's directory.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(stage: &Stage) -> Result<(), Failure> {
    for (name, bytes) in FILES {
        let path = stage.path("examples").join(name);
        let doing = format!("write `{}`", path.display());
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).trying_to(&doing)?;
        }
        std::fs::write(&path, bytes).trying_to(doing)?;
    }
    Ok(())
}
