// SPDX-License-Identifier: Apache-2.0
//! Bad days of an agent and its node: killed, restarted, cut off, mistaken for another. Nothing is lost and nothing runs twice.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sta_node::{
    engines::{
        Answer, Capacity, Engine, EngineError, EngineJob, Exit, LogChunk, Objection, Observation, RunId,
        StagedInput, Stream,
        agent::{AgentEngine, link::LinkError, runner::Agent, token},
    },
    outside::SystemChance,
};
use sta_protocol::digest::Sha256Digest;
use tempfile::TempDir;

use super::{
    Site,
    agent::{AgentSite, site},
    code, finished,
    local::LocalSite,
    new_id, run, said, shell, stdout,
};

/// An engine that carries calls out and never says so.
struct Mute {
    inner: Box<dyn Engine>,
    has_submitted: Arc<AtomicBool>,
}

impl Engine for Mute {
    fn check(&self, job: &EngineJob) -> Result<(), Objection> {
        self.inner.check(job)
    }
    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async move {
            self.inner.submit(job).await?;
            self.has_submitted.store(true, Ordering::SeqCst);
            std::future::pending().await
        })
    }
    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        self.inner.observe(id)
    }
    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        self.inner.cancel(id)
    }
    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        self.inner.suspend(id)
    }
    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        self.inner.resume(id)
    }
    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        self.inner.reclaim(id, grace)
    }
    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        self.inner.pack_checkpoint(run)
    }
    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk> {
        self.inner.logs(id, index, stream, offset, length_max)
    }
    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        self.inner.output_path(id, name)
    }
    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        self.inner.wipe(id)
    }
    fn capacity(&self) -> Capacity {
        self.inner.capacity()
    }
}

/// A job that writes a line each time it runs.
fn counted(more: &str) -> EngineJob {
    let mut job = shell(&format!("echo line >> lines; {more}"));
    job.outputs = vec!["lines".to_owned()];
    job
}

async fn ran_once(engine: &dyn Engine, id: RunId) {
    let outcome = finished(engine, id).await;
    assert_eq!((code(&outcome), outcome.outputs[0].bytes), (0, 5), "it ran once");
}

/// A job with an input of so many bytes, which it copies to an output.
fn copying(store: &TempDir, bytes: usize) -> EngineJob {
    let content: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let path = store.path().join("content");
    fs::write(&path, &content).unwrap();
    let mut job = shell("cat input > output");
    job.inputs = vec![StagedInput { name: "input".to_owned(), sha256: Sha256Digest::of(&content), path }];
    job.outputs = vec!["output".to_owned()];
    job
}

async fn copied(engine: &dyn Engine, job: &EngineJob) {
    let outcome = finished(engine, job.id).await;
    assert_eq!(outcome.outputs[0].sha256, job.inputs[0].sha256);
    let path = engine.output_path(job.id, "output").await.unwrap();
    assert_eq!(Sha256Digest::of(&fs::read(path).unwrap()), job.inputs[0].sha256);
}

#[tokio::test]
async fn an_agent_killed_between_an_effect_and_its_answer_repeats_the_call_without_a_second_effect() {
    let site = AgentSite::over(LocalSite::new()).await;
    let has_submitted = Arc::new(AtomicBool::new(false));
    site.start(Arc::new(Mute { inner: site.behind.open(), has_submitted: has_submitted.clone() }));
    let (engine, job) = (site.node_engine(), counted("sleep 0.2"));
    let submitting = tokio::spawn({
        let (engine, job) = (engine.clone(), job.clone());
        async move { engine.submit(&job).await }
    });
    while !has_submitted.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!submitting.is_finished());
    let again = site.open();
    submitting.await.unwrap().unwrap();
    ran_once(&*again, job.id).await;
}

#[tokio::test]
async fn an_agent_killed_while_a_job_runs_finds_it_again() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = site.open();
    let job = counted("echo on; sleep 1");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    site.kill();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    ran_once(&*site.open(), job.id).await;
}

#[tokio::test]
async fn of_many_jobs_none_is_lost_or_run_twice_while_the_agent_is_killed_again_and_again() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = Arc::<dyn Engine>::from(site.open());
    let jobs: Vec<EngineJob> = (0..16).map(|_| counted("sleep 0.1")).collect();
    let mut submitting = tokio::task::JoinSet::new();
    for (turn, job) in (0..).zip(jobs.clone()) {
        let engine = Arc::clone(&engine);
        submitting.spawn(async move {
            tokio::time::sleep(Duration::from_millis(turn * 90)).await;
            engine.submit(&job).await
        });
    }
    // At another point each time: the lengths are no multiples of what the calls take.
    for turn in 0..12 {
        tokio::time::sleep(Duration::from_millis(60 + turn * 13)).await;
        let _restarted = site.open();
    }
    while let Some(submitted) = submitting.join_next().await {
        submitted.unwrap().unwrap();
    }
    for job in &jobs {
        ran_once(&*engine, job.id).await;
    }
}

#[tokio::test]
async fn a_node_that_is_restarted_finds_its_agent_and_its_jobs() {
    let mut site = AgentSite::over(LocalSite::new()).await;
    let job = counted("echo on; sleep 1");
    {
        let engine = site.open();
        engine.submit(&job).await.unwrap();
        said(&*engine, job.id, "on").await;
    }
    site.restart_node().await;
    // The same agent, which was not restarted, says hello to the new node.
    let engine = site.node_engine();
    assert_eq!(engine.capacity(), super::capacity(), "it is known before the agent says it again");
    engine.submit(&job).await.unwrap();
    ran_once(&engine, job.id).await;
    assert_eq!(stdout(&engine, job.id).await, "on\n");
}

#[tokio::test(start_paused = true)]
async fn while_the_agent_is_away_calls_fail_with_a_text_that_says_so() {
    let directory = TempDir::new().unwrap();
    let engine = AgentEngine::open(directory.path().to_owned(), site(), Capacity::default()).unwrap();
    let job = shell("true");
    let error = engine.submit(&job).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot hand the job over at the site: the agent of site `quebec-hydro` has not fetched the call for 40 s"
    );
    tokio::time::sleep(Duration::from_secs(20)).await;
    let error = engine.submit(&job).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot hand the job over at the site: the agent of site `quebec-hydro` has not called for since this node started, 60 s: see that `sta agent` runs there and reaches this node"
    );
    let consent = engine.consents(&job).await;
    assert!(matches!(consent, Err(EngineError::Site { .. })), "nothing is admitted unasked: {consent:?}");
}

#[tokio::test]
async fn an_agent_with_a_wrong_token_is_told_so_and_ends() {
    let site = AgentSite::over(LocalSite::new()).await;
    let error = site.stranger("a-token-that-nobody-made").await.unwrap_err();
    assert!(matches!(error, LinkError::Token { .. }), "{error}");
    assert!(error.to_string().contains("does not know this agent's token: make a new one"), "{error}");
}

#[tokio::test]
async fn another_agent_is_refused_until_a_new_token_is_made() {
    let node_site = AgentSite::over(LocalSite::new()).await;
    let engine = node_site.open();
    run(&*engine, &shell("true")).await;
    let error = node_site.stranger(super::agent::TOKEN).await.unwrap_err();
    assert!(error.to_string().contains("another agent serves this site"), "{error}");
    node_site.kill();
    let fresh = "a-fresh-token-0123456789";
    token::expect(&node_site.world.ca.node.config.directory, &site(), fresh).unwrap();
    node_site.stranger(fresh).await.unwrap();
}

#[tokio::test]
async fn jobs_whose_records_an_agent_has_lost_end_as_a_fault_of_the_site() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = site.open();
    let job = shell("sleep 3");
    engine.submit(&job).await.unwrap();
    site.kill();
    fs::remove_dir_all(site.agent_directory()).unwrap();
    let anew = LocalSite::new();
    site.renew_token("a-fresh-token-0123456789");
    site.start(Arc::from(anew.open()));
    let outcome = finished(&*engine, job.id).await;
    assert!(matches!(&outcome.exit, Exit::SiteFault(reason) if reason.contains("lost its records")));
    assert_eq!(finished(&*engine, job.id).await, outcome, "an outcome never changes");
    assert!(matches!(engine.wipe(job.id).await, Err(EngineError::Unknown { .. })));
    // One that was never handed over is only unknown.
    assert_eq!(engine.observe(new_id()).await.unwrap(), Observation::Unknown);
    run(&*engine, &shell("true")).await;
}

#[tokio::test]
async fn two_agents_in_one_directory_are_one_too_many() {
    let site = AgentSite::over(LocalSite::new()).await;
    let open = || {
        let engine = Arc::from(site.behind.open());
        Agent::open(&site.agent_directory(), site.link("any"), engine, &SystemChance)
    };
    let first = open().unwrap();
    let second = open().err().unwrap().to_string();
    assert!(second.contains("another agent runs in"), "{second}");
    drop(first);
    open().unwrap();
}

#[tokio::test]
async fn long_files_come_in_parts_both_ways_and_an_interrupted_one_goes_on() {
    let site = AgentSite::over(LocalSite::new()).await;
    let store = TempDir::new().unwrap();
    let job = copying(&store, 11_000_000);
    let name = job.inputs[0].sha256.to_string();
    // As an agent leaves it that was killed in the middle.
    let files = site.agent_directory().join("inputs/files");
    let (uses, content) =
        (site.agent_directory().join("inputs/uses"), fs::read(&job.inputs[0].path).unwrap());
    fs::create_dir_all(&files).unwrap();
    fs::create_dir_all(&uses).unwrap();
    fs::write(uses.join(job.id.to_string()), serde_json::to_vec(&[job.inputs[0].sha256]).unwrap()).unwrap();
    fs::write(files.join(format!("{name}.part")), &content[..5_000_000]).unwrap();
    // As a node leaves it.
    let spool = token::directory_of(&site.world.ca.node.config.directory, &self::site());
    let spool = spool.join("outputs").join(job.id.to_string());
    fs::create_dir_all(&spool).unwrap();
    fs::write(spool.join(format!("{name}.part")), &content[..9_000_000]).unwrap();
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    copied(&*engine, &job).await;
}

#[tokio::test]
async fn damaged_parts_of_files_are_found_out_and_fetched_anew() {
    let site = AgentSite::over(LocalSite::new()).await;
    let store = TempDir::new().unwrap();
    let job = copying(&store, 3_000_000);
    let name = job.inputs[0].sha256.to_string();
    let engine = site.open();
    // One that runs, so that the agent's directories are there.
    run(&*engine, &shell("true")).await;
    let part = site.agent_directory().join("inputs/files").join(format!("{name}.part"));
    fs::write(part, vec![b'x'; 1_000_000]).unwrap();
    let spool = token::directory_of(&site.world.ca.node.config.directory, &self::site());
    let spool = spool.join("outputs").join(job.id.to_string());
    fs::create_dir_all(&spool).unwrap();
    fs::write(spool.join(format!("{name}.part")), vec![b'x'; 1_000_000]).unwrap();
    let error = engine.submit(&job).await.unwrap_err().to_string();
    assert!(error.contains("it came with SHA-256"), "{error}");
    engine.submit(&job).await.unwrap();
    copied(&*engine, &job).await;
}

#[tokio::test]
async fn inputs_stay_at_the_agent_while_a_job_needs_them_and_no_longer() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = site.open();
    let store = TempDir::new().unwrap();
    let first = copying(&store, 1_000);
    let second = EngineJob { id: new_id(), ..first.clone() };
    for job in [&first, &second] {
        engine.submit(job).await.unwrap();
        copied(&*engine, job).await;
    }
    let file = site.agent_directory().join("inputs/files").join(first.inputs[0].sha256.to_string());
    engine.wipe(first.id).await.unwrap();
    assert!(file.exists());
    engine.wipe(second.id).await.unwrap();
    assert!(!file.exists());
    assert_eq!(fs::read_dir(site.agent_directory().join("inputs/uses")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_job_saved_comes_whole_though_the_agent_is_killed_while_it_comes() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = Arc::<dyn Engine>::from(site.open());
    let mut job =
        shell("cd $STA_CHECKPOINT_DIR && head -c 40000000 /dev/urandom > state && sha256sum < state");
    job.checkpoint = true;
    assert_eq!(code(&run(&*engine, &job).await), 0);
    let packing = tokio::spawn({
        let (engine, id) = (Arc::clone(&engine), job.id);
        async move {
            loop {
                match engine.pack_checkpoint(id).await {
                    Ok(packed) => return packed.unwrap(),
                    Err(EngineError::Site { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    for turn in 0..4 {
        tokio::time::sleep(Duration::from_millis(40 + turn * 70)).await;
        let _restarted = site.open();
    }
    let path = packing.await.unwrap();
    assert!(path.starts_with(&site.world.ca.node.config.directory), "it is at the node: {}", path.display());
    let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
    let mut state = Vec::new();
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    std::io::Read::read_to_end(&mut entry, &mut state).unwrap();
    let digest = Sha256Digest::of(&state).to_string();
    assert!(stdout(&*engine, job.id).await.starts_with(&digest));
    engine.wipe_checkpoint(job.id.job).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn an_agent_reads_only_the_files_of_jobs_that_were_handed_to_it() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = site.open();
    let store = TempDir::new().unwrap();
    let job = copying(&store, 1_000);
    let (link, sha256) = (site.link(super::agent::TOKEN), job.inputs[0].sha256);
    let before = link.input(sha256, 0).await.unwrap_err();
    assert!(matches!(before, LinkError::Refused { status, .. } if status.as_u16() == 404), "{before}");
    engine.submit(&job).await.unwrap();
    assert_eq!(link.input(sha256, 990).await.unwrap().0.len(), 10);
    let wrong = site.link("another").input(sha256, 0).await.unwrap_err();
    assert!(matches!(wrong, LinkError::Token { .. }), "{wrong}");
    finished(&*engine, job.id).await;
}

#[tokio::test]
async fn what_the_engine_behind_the_agent_cannot_run_is_said_before_the_job_is_admitted() {
    let site = AgentSite::over(LocalSite::new()).await;
    let engine = site.open();
    let job = EngineJob { image: "docker.io/x".to_owned(), ..shell("true") };
    let objection = engine.consents(&job).await.unwrap().unwrap_err();
    assert_eq!(objection.to_string(), "the site cannot run the image `docker.io/x`: it knows host");
    assert_eq!(engine.check(&job).unwrap_err(), objection, "it is remembered");
    engine.consents(&shell("true")).await.unwrap().unwrap();
}
