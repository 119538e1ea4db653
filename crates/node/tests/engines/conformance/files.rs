// SPDX-License-Identifier: Apache-2.0
//! The files of a job: logs, inputs, outputs, and what is left of them.

use sta_node::engines::{EngineError, StagedInput, Stream};
use sta_protocol::digest::Sha256Digest;

use crate::engines::{Site, code, finished, run, said, stdout};

pub(in crate::engines) async fn logs_are_read_while_the_job_runs(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo first; until [ -e go ]; do sleep 0.05; done; echo second");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "first").await;
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 2, 3).await.unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.end), (&b"rst"[..], false));
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 6, 100).await.unwrap();
    assert_eq!((chunk.bytes.len(), chunk.end), (0, false), "a running job may still write");
    engine.cancel(job.id).await.unwrap();
    finished(&*engine, job.id).await;
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 4, 100).await.unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.end), (&b"t\n"[..], true));
    assert!(
        engine.logs(job.id, 0, Stream::Stdout, 4_000, 100).await.unwrap().end,
        "beyond the end is the end"
    );
}

pub(in crate::engines) async fn outputs_are_hashed_and_missing_ones_named(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("mkdir -p model; printf weights > model/w; mkdir folder; mkfifo pipe; exit 1");
    job.outputs = ["model/w", "folder", "pipe", "never"].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.outputs_missing, ["folder", "pipe", "never"]);
    let [output] = outcome.outputs.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((output.name.as_str(), output.bytes), ("model/w", 7));
    assert_eq!(output.sha256, Sha256Digest::of(b"weights"));
    let path = engine.output_path(job.id, "model/w").await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"weights");
    let never = engine.output_path(job.id, "never").await;
    assert!(matches!(never, Err(EngineError::NoOutput { .. })), "{never:?}");
}

pub(in crate::engines) async fn a_link_is_not_an_output(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("ln -s /etc/hostname direct; ln -s /etc folder; echo x > x; ln -s x inside");
    job.outputs = ["direct", "folder/hostname", "inside"].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.outputs_missing, job.outputs, "{outcome:?}");
}

pub(in crate::engines) async fn inputs_stand_under_their_names_and_cannot_be_written_through(
    site: &dyn Site,
) {
    let engine = site.open();
    let store = tempfile::tempdir().unwrap();
    let path = store.path().join("content");
    std::fs::write(&path, "treasure\n").unwrap();
    let mut job = site.shell(
        "cat data/in.csv; (echo spoilt > data/in.csv) 2>/dev/null; (chmod u+w data/in.csv) 2>/dev/null; ./program",
    );
    job.inputs = vec![staged("data/in.csv", &path)];
    // What is staged can also be the program.
    let program = store.path().join("program");
    std::fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    job.inputs.push(staged("program", &program));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(stdout(&*engine, job.id).await, "treasure\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "treasure\n");
}

fn staged(name: &str, path: &std::path::Path) -> StagedInput {
    let sha256 = Sha256Digest::of(&std::fs::read(path).unwrap());
    StagedInput { name: name.to_owned(), sha256, path: path.to_owned() }
}

pub(in crate::engines) async fn a_wiped_job_keeps_its_record_and_logs_only(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("echo said; echo x > x");
    job.outputs = vec!["x".to_owned()];
    let outcome = run(&*engine, &job).await;
    let path = engine.output_path(job.id, "x").await.unwrap();
    engine.wipe(job.id).await.unwrap();
    engine.wipe(job.id).await.unwrap();
    assert!(!path.exists());
    assert!(matches!(engine.output_path(job.id, "x").await, Err(EngineError::NoOutput { .. })));
    engine.submit(&job).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
    assert_eq!(stdout(&*engine, job.id).await, "said\n");
    assert!(!path.exists(), "it was not run again");
}
