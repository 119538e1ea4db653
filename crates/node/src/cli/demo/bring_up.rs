// SPDX-License-Identifier: Apache-2.0
//! Clusters for the demo alone: brought up by `examples/two-clusters/up`, and taken down whatever happens.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::{
    super::failure::{Failure, Trying},
    clusters::{CLUSTERS_FILE, Clusters},
    voice::Voice,
};

/// Where the scripts are in a checkout.
const SCRIPTS: &str = "examples/two-clusters";
/// Where a checkout keeps the Debian that has Slurm 24.11, as `./check` does.
const CHROOT: &str = ".tools/slurm24";
/// The environment variable that names another place for it.
const CHROOT_VARIABLE: &str = "STA_SLURM24_CHROOT";
/// What `up` marks a directory with that is its own.
const MARK: &str = ".sta-clusters";
/// What is kept of what a failed script said, in lines.
const LINES_MAX: usize = 20;

/// Clusters that were brought up for this demo. They go down when this does.
#[derive(Debug)]
pub(super) struct BroughtUp {
    scripts: PathBuf,
    directory: PathBuf,
    voice: std::sync::Arc<Voice>,
    keep: bool,
}

impl BroughtUp {
    /// The clusters of a directory if there are any, or fresh ones.
    ///
    /// # Errors
    /// They cannot be brought up here, and why.
    pub(super) fn find_or_make(
        directory: Option<&Path>,
        voice: &std::sync::Arc<Voice>,
    ) -> Result<(Clusters, Option<Self>), Failure> {
        if let Some(directory) = directory.filter(|directory| directory.join(CLUSTERS_FILE).is_file()) {
            return Ok((Clusters::open(directory)?, None));
        }
        let own = || std::env::temp_dir().join(format!("sta-demo-clusters-{}", std::process::id()));
        let directory = directory.map_or_else(own, Path::to_owned);
        let checkout = checkout()?;
        let made = Self { scripts: checkout.join(SCRIPTS), directory, voice: voice.clone(), keep: false };
        made.bring_up(&checkout)?;
        Ok((Clusters::open(&made.directory)?, Some(made)))
    }

    /// Leaves them up when the demo ends.
    pub(super) fn keep(&mut self) {
        self.keep = true;
        self.voice.say(&format!(
            "   The clusters stay up in {0}; `{1}/down {0}` ends them.",
            self.directory.display(),
            self.scripts.display()
        ));
    }

    fn bring_up(&self, checkout: &Path) -> Result<(), Failure> {
        self.voice.say(&format!(
            "Two Slurm clusters on this machine, by {SCRIPTS}/up, in {}:",
            self.directory.display()
        ));
        match self.up(checkout, &["--with-24.11"]) {
            Ok(()) => Ok(()),
            // What is missing for the third cluster does not stop the two.
            Err(failure) if failure.cause.contains("--with-24.11") => {
                self.voice.go_on()?;
                self.voice.say(&format!("   without a cluster of Slurm 24.11: {}", failure.cause));
                self.up(checkout, &[])
            }
            Err(failure) => {
                self.voice.go_on()?;
                Err(failure)
            }
        }
    }

    fn up(&self, checkout: &Path, more: &[&str]) -> Result<(), Failure> {
        let mut command = self.script("up");
        command.args(more).args(["--port-offset", "auto"]);
        if std::env::var_os(CHROOT_VARIABLE).is_none() {
            command.env(CHROOT_VARIABLE, checkout.join(CHROOT));
        }
        self.voice.begin("the clusters come up");
        let mend = format!(
            "{SCRIPTS}/README.md tells what it needs: root, Debian 12, a few packages. Or name clusters that are up: sta demo --clusters DIR."
        );
        let (status, said) = run(&mut command, &self.voice, true)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new("bring up two Slurm clusters", said).mend(mend))
        }
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.scripts.join(name));
        command.arg(&self.directory);
        command
    }
}

impl Drop for BroughtUp {
    fn drop(&mut self) {
        if self.keep || !self.directory.join(MARK).exists() {
            return;
        }
        self.voice.begin("the clusters go down");
        match run(&mut self.script("down"), &self.voice, false) {
            Ok((status, _)) if status.success() => {}
            Ok((_, said)) => self.voice.say(&format!("   the clusters could not be taken down: {said}")),
            Err(failure) => self.voice.say(&format!("   {failure}")),
        }
    }
}

/// The checkout that we are in: the scripts are not part of the program.
fn checkout() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().trying_to("find the current directory")?;
    let found = here.ancestors().find(|directory| directory.join(SCRIPTS).join("up").is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        Failure::new("bring up two Slurm clusters", format!("there is no {SCRIPTS}/up here or above"))
            .mend("Run this in a checkout of sta, or name clusters that are up: sta demo --clusters DIR.")
    })
}

/// Runs a script in a process group of its own, so that Ctrl-C ends it only when we do; says its lines, and gives how it
/// ended with the last of what it said. One that can be interrupted is ended when the demo is.
fn run(
    command: &mut Command,
    voice: &Voice,
    can_be_interrupted: bool,
) -> Result<(ExitStatus, String), Failure> {
    let doing = format!("run `{}`", command.get_program().to_string_lossy());
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().trying_to(&doing)?;
    let (sender, lines) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as _),
        child.stderr.take().map(|stream| Box::new(stream) as _),
    ];
    for (is_error, stream) in streams.into_iter().enumerate() {
        let sender = sender.clone();
        let read = move || {
            for line in BufReader::new(stream?).lines().map_while(Result::ok) {
                sender.send((is_error == 1, line)).ok()?;
            }
            Some(())
        };
        thread::spawn(read);
    }
    let mut errors = Vec::new();
    // The daemons that it starts may hold its output open: the end is the script's, not that of its output.
    let status = loop {
        let ended = child.try_wait().trying_to(&doing)?;
        while let Ok((is_error, line)) = lines.recv_timeout(Duration::from_millis(100)) {
            if is_error {
                errors.push(line);
            } else {
                voice.say(&format!("   {line}"));
            }
        }
        if let Some(status) = ended {
            break status;
        }
        if can_be_interrupted && voice.go_on().is_err() {
            end_group(child.id());
        }
    };
    let last = errors.split_off(errors.len().saturating_sub(LINES_MAX));
    Ok((status, last.join("\n")))
}

fn end_group(process: u32) {
    if let Ok(group) = i32::try_from(process) {
        // It may have ended by itself.
        let _gone = killpg(Pid::from_raw(group), Signal::SIGTERM);
    }
}
