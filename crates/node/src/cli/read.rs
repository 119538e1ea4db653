// SPDX-License-Identifier: Apache-2.0
//! Reading what people name on the command line, up to a limit: a wrong path may be a disk image or a pipe without end.

use std::{fs::File, io::Read as _, path::Path};

use sta_protocol::jws::COMPACT_BYTES_MAX;

use super::failure::{Exit, Failure, Trying};

/// The most bytes of a file that are read: twice those of the largest document, as JSON may be indented.
const BYTES_MAX: usize = 2 * COMPACT_BYTES_MAX;

/// The text of a file of at most 2 MiB.
///
/// # Errors
/// The file cannot be read, is longer, or is no UTF-8.
pub(super) fn text_of(path: &Path, doing: &str) -> Result<String, Failure> {
    up_to(BYTES_MAX, path, doing)
}

fn up_to(bytes_max: usize, path: &Path, doing: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = bytes_max as u64;
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).trying_to(doing)?;
    if bytes.len() > bytes_max {
        let cause = format!("it has more than {bytes_max} bytes, which is the most that is read");
        let mend = "name the file that you mean";
        return Err(Failure::new(doing, cause).mend(mend).exit(Exit::Usage));
    }
    String::from_utf8(bytes).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_a_pipe_without_end_is_refused_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("order.json");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(up_to(4, &path, "read it").unwrap(), "1234");
        for (path, most) in [(path.as_path(), 3), (Path::new("/dev/zero"), 1000)] {
            let told = up_to(most, path, "read it").unwrap_err().to_string();
            assert!(told.contains(&format!("it has more than {most} bytes")), "{told}");
        }
    }
}
