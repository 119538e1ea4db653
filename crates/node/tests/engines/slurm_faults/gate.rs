// SPDX-License-Identifier: Apache-2.0
//! A program between the engine and its cluster, that loses a submission, a notice or an archive at a moment of the test's choosing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use sta_node::engines::{Engine, slurm::SlurmEngine};

use super::{BadSite, HonestJob};

/// Passes everything on, but for the next script that submits, calls a guest back, or packs or unpacks what a job saved, when the
/// file `trap` says what is to become of it; with `trap.for`, for the next that has what this names.
const GATE: &str = r#"#!/bin/sh
directory=$1
shift
script=$(mktemp "$directory/script.XXXXXX")
cat >"$script"
which=$(cat "$directory/trap.for" 2>/dev/null || echo 'sbatch .*--parsable|>.notice |tar --(create|extract)')
grep -Eq -e "$which" "$script" && trap=$(cat "$directory/trap" 2>/dev/null) && rm "$directory/trap"
case ${trap:-} in
  fails-before) echo 'the login node went away' >&2; exit 255 ;;
  fails-after) "$@" <"$script" >/dev/null; echo 'the login node went away' >&2; exit 255 ;;
  hangs-before) touch "$directory/reached"; exec sleep 60 ;;
  hangs-after) "$@" <"$script" >/dev/null; touch "$directory/reached"; exec sleep 60 ;;
  slow) sed -i "s/$which.*/&; sleep 3/" "$script"; exec "$@" <"$script" ;;
  late) setsid sh -c 'sleep 7; "$@"; touch "$0/late"' "$directory" "$@" <"$script" >/dev/null 2>&1 & touch "$directory/reached"; exec sleep 60 ;;
  *) exec "$@" <"$script" ;;
esac
"#;

/// The gate of a site.
pub(super) struct Gate {
    directory: tempfile::TempDir,
}

impl Gate {
    pub(super) fn new() -> Self {
        let gate = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(gate.file("gate"), GATE).unwrap();
        fs::set_permissions(gate.file("gate"), fs::Permissions::from_mode(0o755)).unwrap();
        gate
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An engine that reaches its cluster through the gate.
    pub(super) fn open(&self, site: &BadSite) -> SlurmEngine {
        let words = [self.file("gate"), self.directory.path().to_owned()];
        let words = words.map(|path| path.to_str().unwrap().to_owned());
        site.open_with(|settings| {
            drop(settings.prefix.splice(0..0, words));
            // What hangs is given up soon.
            settings.command_s = 20;
        })
    }

    /// What is to become of the next submission or notice.
    pub(super) fn set(&self, trap: &str) {
        fs::write(self.file("trap"), trap).unwrap();
    }

    /// What is to become of the next script that has these words.
    pub(super) fn set_for(&self, words: &str, trap: &str) {
        fs::write(self.file("trap.for"), words).unwrap();
        self.set(trap);
    }

    /// Waits until the trap holds somebody.
    pub(super) async fn reached(&self) {
        self.waits_for("reached").await;
        fs::remove_file(self.file("reached")).unwrap();
    }

    /// Submits a job, and is gone with its engine once the gate has been reached.
    pub(super) async fn submit_and_crash(&self, engine: SlurmEngine, job: &HonestJob, trap: &str) {
        self.set(trap);
        let reached = self.waits_for("reached");
        tokio::select! {
            submitted = engine.submit(&job.job) => panic!("the gate let it through: {submitted:?}"),
            () = reached => {}
        }
        fs::remove_file(self.file("reached")).unwrap();
    }

    /// Waits until the submission that came late has been made.
    pub(super) async fn late(&self) {
        self.waits_for("late").await;
    }

    async fn waits_for(&self, name: &str) {
        let begun = Instant::now();
        while !self.file(name).exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the gate was never {name}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
