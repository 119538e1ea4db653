// SPDX-License-Identifier: Apache-2.0
//! Keeps what a job writes to standard output and error, up to a limit.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How long the last bytes may take once all processes of the job are gone.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A stream being kept.
///
/// The job writes to a pipe, not to the file: a limit on the file itself would bind the job's outputs too, or be found
/// overrun only afterwards; and a job whose supervisor is killed must not go on writing.
pub(super) struct Capture {
    done: Receiver<()>,
}

impl Capture {
    /// Begins to copy `from` to the file `to`, whose first `bytes_max` bytes are kept and the rest discarded with a note.
    pub(super) fn start(from: impl Read + Send + 'static, to: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(to)?;
        let (sender, done) = channel();
        let name = "capture".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            copy(from, file, bytes_max);
            drop(sender);
        })?;
        Ok(Self { done })
    }

    /// Waits for the end of the stream, which comes when the last process that could write is gone.
    pub(super) fn finish(self) {
        // Nothing is ever sent: either the sender is dropped at the end, or a process beyond our reach holds the pipe.
        let _ = self.done.recv_timeout(DRAIN_MAX);
    }
}

fn copy(mut from: impl Read, mut file: File, bytes_max: u64) {
    let mut left = bytes_max;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        // Beyond the limit, or on a full disk, it is read on all the same: a job must not hang on its own chatter.
        let kept = usize::try_from(left).unwrap_or(usize::MAX).min(length);
        if left > 0 {
            let _ = file.write_all(&buffer[..kept]);
            left -= kept as u64;
            if left == 0 {
                let _ = write!(file, "\n[sta: the log ends here, at its limit of {bytes_max} bytes]\n");
            }
        }
    }
    let _ = file.sync_all();
}
