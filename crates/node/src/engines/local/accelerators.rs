// SPDX-License-Identifier: Apache-2.0
//! Which accelerators a job gets: one lock file each, held by the job's supervisor for its life, so a crash frees them.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a job waits for accelerators that the one before is just giving back.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Accelerators held for one job.
#[derive(Debug, Default)]
pub(super) struct Accelerators {
    held: Vec<(u32, File)>,
}

impl Accelerators {
    /// Takes `wanted` of those with the numbers `there`. `None` when so many stay taken, or the job is `cancelled` meanwhile.
    pub(super) fn acquire(
        root: &Path,
        there: Range<u32>,
        wanted: u32,
        cancelled: impl Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let begun = Instant::now();
        loop {
            let mut taken = Self::default();
            for number in there.clone() {
                if taken.held.len() == wanted as usize {
                    break;
                }
                let path = root.join(format!("accelerator-{number}.lock"));
                let file =
                    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
                if file.try_lock().is_ok() {
                    taken.held.push((number, file));
                }
            }
            if taken.held.len() == wanted as usize {
                return Ok(Some(taken));
            }
            drop(taken); // never wait with some in hand: two jobs could each hold what the other needs
            if begun.elapsed() > WAIT_MAX || cancelled() {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The variables by which the runtimes of NVIDIA and AMD keep to these devices. They guide the job and do not
    /// confine it, so the job's record lists no limit for them.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let numbers: Vec<String> = self.held.iter().map(|(number, _)| number.to_string()).collect();
        let names = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"];
        names.map(|name| (name.to_owned(), numbers.join(","))).to_vec()
    }
}
