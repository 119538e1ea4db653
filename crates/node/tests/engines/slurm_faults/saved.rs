// SPDX-License-Identifier: Apache-2.0
//! The way to the cluster fails while what a job saved comes from there or goes there.

use std::{fs, time::Duration};

use sta_node::engines::{
    CHECKPOINT_INPUT, Engine, EngineError, EngineJob, RunId, StagedInput, slurm::SlurmEngine,
};
use sta_protocol::digest::Sha256Digest;

use super::{BadSite, HonestJob, gate::Gate, on_both_majors};
use crate::engines::{code, finished, run, said, stdout};

on_both_majors! {
    a_packing_that_failed_is_made_again
    an_unpacking_that_failed_or_comes_late_takes_nothing_from_the_job
}

/// A job that has saved `old`, and where its archive is.
async fn packed(site: &BadSite, engine: &SlurmEngine, store: &tempfile::TempDir) -> StagedInput {
    let saving = saving(site, "echo old >$STA_CHECKPOINT_DIR/state");
    assert_eq!(code(&run(engine, &saving).await), 0);
    let path = engine.pack_checkpoint(saving.id).await.unwrap().unwrap();
    let kept = store.path().join("kept");
    fs::copy(path, &kept).unwrap();
    engine.wipe_checkpoint(saving.id.job).await.unwrap();
    let sha256 = Sha256Digest::of(&fs::read(&kept).unwrap());
    StagedInput { name: CHECKPOINT_INPUT.to_owned(), sha256, path: kept }
}

fn saving(site: &BadSite, script: &str) -> EngineJob {
    let command = ["sh", "-c", script].map(ToOwned::to_owned).to_vec();
    EngineJob { checkpoint: true, command, ..site.job(0, 0).job }
}

async fn a_packing_that_failed_is_made_again(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    let job = saving(&site, "echo old >$STA_CHECKPOINT_DIR/state");
    assert_eq!(code(&run(&engine, &job).await), 0);
    for trap in ["fails-before", "fails-after"] {
        gate.set(trap);
        let error = engine.pack_checkpoint(job.id).await.unwrap_err();
        assert!(matches!(error, EngineError::Site { .. }), "{error}");
        let spool = fs::read_dir(site.site.root().join("spool")).unwrap();
        let names = spool.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.contains("checkpoint")).count(), 0, "nothing is left of it");
    }
    assert!(engine.pack_checkpoint(job.id).await.unwrap().is_some());
    engine.wipe_checkpoint(job.id.job).await.unwrap();
}

async fn an_unpacking_that_failed_or_comes_late_takes_nothing_from_the_job(site: BadSite) {
    let (gate, store) = (Gate::new(), tempfile::tempdir().unwrap());
    let engine = gate.open(&site);
    let archive = packed(&site, &engine, &store).await;
    let coming = |script: &str| {
        let mut job = saving(&site, script);
        job.id = RunId { attempt: 2, ..job.id };
        (job.inputs, job.saved) = (vec![archive.clone()], Some(archive.sha256));
        job
    };
    for trap in ["fails-before", "fails-after"] {
        let job = coming("cat $STA_CHECKPOINT_DIR/state");
        gate.set(trap);
        let error = engine.submit(&job).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot unpack what a job saved at the site"), "{error}");
        assert_eq!(code(&run(&engine, &job).await), 0);
        assert_eq!(stdout(&engine, job.id).await, "old\n", "{trap}");
        engine.wipe_checkpoint(job.id.job).await.unwrap();
    }
    let script = "cd $STA_CHECKPOINT_DIR; cat state; echo new >state; echo on; sleep 12; cat state";
    let late = HonestJob { job: coming(script), truth: store.path().join("none") };
    gate.submit_and_crash(engine, &late, "late").await;
    let engine = gate.open(&site);
    engine.submit(&late.job).await.unwrap();
    said(&engine, late.job.id, "on").await;
    gate.late().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(code(&finished(&engine, late.job.id).await), 0);
    assert_eq!(stdout(&engine, late.job.id).await, "old\non\nnew\n");
    engine.wipe_checkpoint(late.job.id.job).await.unwrap();
}
