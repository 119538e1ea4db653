// SPDX-License-Identifier: Apache-2.0
//! What a job saved at one site and goes on from at another.

use std::{fs, path::Path, time::Duration};

use sta_node::engines::{
    CHECKPOINT_BYTES_MAX, CHECKPOINT_INPUT, Engine, EngineError, EngineJob, Exit, RunId, StagedInput,
};
use sta_protocol::digest::Sha256Digest;
use tempfile::TempDir;

use crate::engines::{Site, code, finished, new_id, run, said, stdout};

const LONG: Duration = Duration::from_secs(60);

/// A job that saves files of many kinds when it is asked to leave.
fn saving(site: &dyn Site) -> EngineJob {
    let script = r#"save() {
        cd "$STA_CHECKPOINT_DIR" || exit 1
        mkdir -p deep/er && echo step 7 > deep/er/state && : > empty && touch -d @1700000000 empty
        printf '#!/bin/sh\necho ran' > program && chmod 750 program && chmod 555 deep/er
        ln -s deep/er/state latest && ln -s ../program deep/within && ln -s er/state deep/state
        ln -s /etc/hostname absolute && ln -s .. out && ln -s ../../program deep/beyond && ln -s deep/../../x roundabout
        mkfifo pipe && echo odd > 'a b\c' && ln deep/er/state twin
        echo long > "$(printf '%0150d' 0)" && exit 75
        }
        trap save TERM; echo on; while :; do sleep 0.05; done"#;
    EngineJob { checkpoint: true, ..site.shell(script) }
}

/// A job that says what it finds.
const FINDING: &str = r#"cd "$STA_CHECKPOINT_DIR" && find . ! -name . | LC_ALL=C sort | sed 's/0000*/0s/'
    cat deep/er/state latest deep/state twin 'a b\c' "$(printf '%0150d' 0)"; ./program
    readlink deep/within; stat -c '%a %s %Y' empty program deep/er | sed '2,3s/ [0-9]*$//'
    echo new > state && echo can write > deep/more"#;
const FOUND: &str = "./0s\n./a b\\c\n./deep\n./deep/er\n./deep/er/state\n./deep/state\n./deep/within\n./empty\n./latest\n./program\n./twin
step 7\nstep 7\nstep 7\nstep 7\nodd\nlong\nran\n../program\n600 0 1700000000\n750 18\n";

/// The same job as another site has it that takes it over: of a fresh id here, its second attempt, with what it saved.
fn elsewhere(site: &dyn Site, script: &str, archive: &Path) -> EngineJob {
    let sha256 = Sha256Digest::of(&fs::read(archive).unwrap());
    let input = StagedInput { name: CHECKPOINT_INPUT.to_owned(), sha256, path: archive.to_owned() };
    EngineJob {
        id: RunId { attempt: 2, ..new_id() },
        inputs: vec![input],
        checkpoint: true,
        saved: Some(sha256),
        ..site.shell(script)
    }
}

/// Runs the job until it said so, and has it leave.
async fn leaves(engine: &dyn Engine, job: &EngineJob, word: &str) {
    engine.submit(job).await.unwrap();
    said(engine, job.id, word).await;
    engine.reclaim(job.id, LONG).await.unwrap();
    assert_eq!(finished(engine, job.id).await.exit, Exit::Reclaimed);
}

pub(in crate::engines) async fn what_a_job_saved_goes_to_another_site_and_it_goes_on_from_there(
    site: &dyn Site,
) {
    let engine = site.open();
    let job = saving(site);
    leaves(&*engine, &job, "on").await;
    let packed = engine.pack_checkpoint(job.id).await.unwrap().unwrap();
    // As its home keeps it.
    let home = TempDir::new().unwrap();
    let kept = home.path().join("kept");
    fs::copy(&packed, &kept).unwrap();
    let again = site.open().pack_checkpoint(job.id).await.unwrap().unwrap();
    assert!(fs::read(again).unwrap() == fs::read(&kept).unwrap(), "it is the same, and was not made anew");

    let mut goes_on = elsewhere(site, &format!("ls -A | wc -l; {FINDING}"), &kept);
    goes_on.outputs = vec!["out".to_owned()];
    goes_on.command =
        ["sh", "-c", &format!("echo done > out; ls -A; {FINDING}")].map(ToOwned::to_owned).to_vec();
    assert_eq!(code(&run(&*engine, &goes_on).await), 0);
    let text = stdout(&*engine, goes_on.id).await;
    let (found, modes) = text.split_at(text.find("555").unwrap());
    assert_eq!(found, format!("out\n{FOUND}"), "the archive is no file of the working directory");
    assert!(modes.starts_with("555"), "{modes}");
    let path = engine.output_path(goes_on.id, "out").await.unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "done\n");

    // A later attempt here finds what the one before left, which is newer.
    let id = RunId { attempt: 3, ..goes_on.id };
    let command = ["sh", "-c", "cat $STA_CHECKPOINT_DIR/state $STA_CHECKPOINT_DIR/deep/more"];
    let later =
        EngineJob { id, command: command.map(ToOwned::to_owned).to_vec(), outputs: Vec::new(), ..goes_on };
    run(&*engine, &later).await;
    assert_eq!(stdout(&*engine, later.id).await, "new\ncan write\n");

    engine.wipe_checkpoint(job.id.job).await.unwrap();
    assert!(!packed.exists());
    assert_eq!(engine.pack_checkpoint(job.id).await.unwrap(), None);
    engine.wipe_checkpoint(later.id.job).await.unwrap();
}

pub(in crate::engines) async fn what_is_packed_is_what_the_last_attempt_left(site: &dyn Site) {
    let engine = site.open();
    let script =
        "trap 'echo x >> $STA_CHECKPOINT_DIR/x; exit 75' TERM; echo on; while :; do sleep 0.05; done";
    let first = EngineJob { checkpoint: true, ..site.shell(script) };
    let running = engine.pack_checkpoint(first.id).await;
    assert!(matches!(running, Err(EngineError::Unknown { .. })), "{running:?}");
    let mut archives = Vec::new();
    let second = EngineJob { id: RunId { attempt: 2, ..first.id }, ..first.clone() };
    for job in [first, second] {
        engine.submit(&job).await.unwrap();
        said(&*engine, job.id, "on").await;
        let running = engine.pack_checkpoint(job.id).await;
        assert!(matches!(running, Err(EngineError::NotFinished { .. })), "{running:?}");
        leaves(&*engine, &job, "on").await;
        let path = engine.pack_checkpoint(job.id).await.unwrap().unwrap();
        archives.push(fs::read(path).unwrap());
    }
    assert!(archives[0] != archives[1]);
    let store = TempDir::new().unwrap();
    let last = store.path().join("last");
    fs::write(&last, &archives[1]).unwrap();
    let goes_on = elsewhere(site, "cat $STA_CHECKPOINT_DIR/x", &last);
    run(&*engine, &goes_on).await;
    assert_eq!(stdout(&*engine, goes_on.id).await, "x\nx\n");
}

pub(in crate::engines) async fn a_job_that_saved_nothing_is_packed_to_none(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("true");
    for checkpoint in [false, true] {
        (job.id, job.checkpoint) = (new_id(), checkpoint);
        run(&*engine, &job).await;
        assert_eq!(engine.pack_checkpoint(job.id).await.unwrap(), None);
        engine.wipe_checkpoint(job.id.job).await.unwrap();
    }
    // Nor what cannot be taken along.
    job.command = ["sh", "-c", "cd $STA_CHECKPOINT_DIR && mkfifo pipe && ln -s /etc out"]
        .map(ToOwned::to_owned)
        .to_vec();
    job.id = new_id();
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(engine.pack_checkpoint(job.id).await.unwrap(), None);
}

pub(in crate::engines) async fn what_is_too_much_to_be_packed_is_said(site: &dyn Site) {
    let engine = site.open();
    let script =
        format!("truncate -s {CHECKPOINT_BYTES_MAX} $STA_CHECKPOINT_DIR/a && echo x > $STA_CHECKPOINT_DIR/b");
    let job = EngineJob { checkpoint: true, ..site.shell(&script) };
    assert_eq!(code(&run(&*engine, &job).await), 0);
    for _ in 0..2 {
        let error = engine.pack_checkpoint(job.id).await.unwrap_err().to_string();
        let reason = format!("it is longer than {CHECKPOINT_BYTES_MAX} bytes");
        assert_eq!(error, format!("what job {} saved cannot be packed: {reason}", job.id));
    }
    engine.wipe_checkpoint(job.id.job).await.unwrap();
}

pub(in crate::engines) async fn a_job_that_comes_back_goes_on_from_what_it_came_with(site: &dyn Site) {
    let engine = site.open();
    let first = EngineJob { checkpoint: true, ..site.shell("echo here > $STA_CHECKPOINT_DIR/state") };
    let other = EngineJob { checkpoint: true, ..site.shell("echo there > $STA_CHECKPOINT_DIR/state") };
    for job in [&first, &other] {
        assert_eq!(code(&run(&*engine, job).await), 0);
    }
    let path = engine.pack_checkpoint(other.id).await.unwrap().unwrap();
    let id = RunId { attempt: 3, ..first.id };
    let back = EngineJob { id, ..elsewhere(site, "cat $STA_CHECKPOINT_DIR/state", &path) };
    run(&*engine, &back).await;
    assert_eq!(stdout(&*engine, back.id).await, "there\n", "and not from what it once left here");
    for job in [first.id.job, other.id.job] {
        engine.wipe_checkpoint(job).await.unwrap();
    }
}

pub(in crate::engines) async fn an_archive_that_does_not_read_is_refused_and_says_why(site: &dyn Site) {
    let engine = site.open();
    let store = TempDir::new().unwrap();
    let path = store.path().join("archive");
    let whole = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3_000);
        header.set_mode(0o644);
        builder.append_data(&mut header, "state", &[7; 3_000][..]).unwrap();
        builder.into_inner().unwrap()
    };
    let mut spoilt = whole.clone();
    spoilt[0] ^= 1;
    let cases = [
        (whole[..1_536].to_vec(), "it has no end as an archive has"),
        (Vec::new(), "it has no end as an archive has"),
        ([&whole[..1_024], &[0; 1_024][..]].concat(), "`state` is cut off in it"),
        (spoilt, "it does not read: archive header checksum mismatch"),
    ];
    for (content, reason) in cases {
        fs::write(&path, &content).unwrap();
        let job = elsewhere(site, "echo never", &path);
        for _ in 0..2 {
            let error = engine.submit(&job).await.unwrap_err();
            let EngineError::Invalid { reason: said, .. } = &error else { panic!("{error}") };
            assert_eq!(*said, format!("what it saved elsewhere cannot be unpacked: {reason}"));
        }
    }
    fs::write(&path, &whole).unwrap();
    let goes_on = elsewhere(site, "wc -c < $STA_CHECKPOINT_DIR/state", &path);
    run(&*engine, &goes_on).await;
    assert_eq!(stdout(&*engine, goes_on.id).await, "3000\n");
    let unnamed = EngineJob { inputs: Vec::new(), ..elsewhere(site, "echo never", &path) };
    let error = engine.submit(&unnamed).await.unwrap_err().to_string();
    assert!(error.contains(&format!("and no input `{CHECKPOINT_INPUT}` is that")), "{error}");
}
