// SPDX-License-Identifier: Apache-2.0
//! A real node for the benchmarks: fresh keys, a treaty of two members, durable writes, HTTP on loopback, workers running.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::json;
use sta_node::{
    cli::init::{self, InitArgs, KEYS, TREATY_FILE},
    config::Config,
    engines::{
        Answer, Capacity, Engine, EngineError, EngineJob, LogChunk, Objection, Observation, RunId, Stream,
    },
    keys::Keys,
    node::{Engines, Node},
    outside::{HttpTransport, Outside, SystemChance, SystemClock},
    steps::registry::{self, NewDataset},
    store::{WriterMode, registry::Researcher},
};
use sta_protocol::{
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::JobId,
    job::{JobSpec, Objective, Shape},
    keys::SigningKey,
    treaty::{Member, SignedTreaty, Treaty},
};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::load::Requests;

pub(crate) const TREATY: &str = include_str!("../../../treaties/canada-germany.toml");
pub(crate) const TOKEN: &str = "token-of-the-benchmark-0123456789abcdefghijklmnop";
/// How many jobs may wait at the node's own site: more than one run of the benchmarks submits.
const QUEUE_MAX: u32 = 1_000_000;
/// How long the other member may be away before its sites are refused: longer than the benchmarks run.
const BEHIND_S_MAX: u32 = 24 * 3600;

/// Canada's node with the site `quebec-hydro`. Germany has two sites, and its node does not run.
pub(crate) struct Scene {
    /// The node.
    pub(crate) node: Arc<Node>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    passport: String,
    holder: SigningKey,
}

impl Scene {
    /// Founds a node in a directory and starts it.
    pub(crate) fn open(runtime: &Runtime, directory: &Path) -> Result<Self> {
        Self::open_over(runtime, directory, &(Arc::new(Still) as Arc<dyn Engine>))
    }

    /// The same over another engine.
    pub(crate) fn open_over(runtime: &Runtime, directory: &Path, engine: &Arc<dyn Engine>) -> Result<Self> {
        let home = found(directory)?;
        runtime.block_on(async {
            let mut config = Config::load(&home)?;
            config.sites.iter_mut().for_each(|site| site.queue_max = QUEUE_MAX);
            config.sites.iter_mut().for_each(|site| site.handed_over_max = QUEUE_MAX);
            let engines: Engines =
                config.sites.iter().map(|site| (site.id.clone(), Arc::clone(engine))).collect();
            let outside = Outside {
                clock: Arc::new(SystemClock),
                chance: Arc::new(SystemChance),
                transport: Arc::new(HttpTransport::new()?),
            };
            let treaty: SignedTreaty = serde_json::from_str(&std::fs::read_to_string(&config.treaty)?)?;
            let keys = Keys::load(&home.join(KEYS))?;
            let node = Node::open(config, keys, &treaty, engines, outside, WriterMode::Durable).await?;
            let holder = SigningKey::from_seed([7; 32]);
            let passport = people(&node, &holder).await?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let _workers = node.start_workers();
            tokio::spawn(sta_node::http::serve(Arc::clone(&node), listener));
            Ok(Self { node, address, passport, holder })
        })
    }

    /// Submissions, each with an id and a holder proof of its own, made before anything is timed.
    pub(crate) fn submissions(&self, objective: Objective, count: usize) -> Result<(Vec<JobId>, Requests)> {
        self.submissions_of(&spec(objective)?, count)
    }

    /// Submissions of one description.
    pub(crate) fn submissions_of(&self, spec: &JobSpec, count: usize) -> Result<(Vec<JobId>, Requests)> {
        let digest = Sha256Digest::of_json(spec)?;
        let mut jobs = Vec::with_capacity(count);
        let mut bytes = Vec::with_capacity(count);
        for _ in 0..count {
            let job = JobId::new(self.node.outside.now_ms(), self.node.outside.random());
            let audience = self.node.member().clone();
            let claims = HolderClaims { job, digest, audience, issued_at: Timestamp::now() };
            let proof = holder_proof(&self.holder, &claims)?;
            let body =
                json!({"job": job, "spec": spec, "passport": self.passport, "holder_proof": proof.as_str()});
            bytes.push(request("POST", "/v1/jobs", &body.to_string()));
            jobs.push(job);
        }
        Ok((jobs, Requests { bytes, wanted: (201, "\"state\":\"offered\"") }))
    }

    /// Looks at jobs, one after the other and over again.
    pub(crate) fn looks(jobs: &[JobId], count: usize) -> Requests {
        let look = |job: &JobId| request("GET", &format!("/v1/jobs/{job}"), "");
        Requests { bytes: jobs.iter().cycle().take(count).map(look).collect(), wanted: (200, "\"id\":\"") }
    }

    /// Ends the node.
    pub(crate) fn stop(self) {
        self.node.stop();
        // Workers end within their pauses; the store takes no more after that.
        std::thread::sleep(Duration::from_millis(700));
        self.node.store.stop();
    }
}

/// Makes both members' directories under one treaty and gives that of `ca`, ready for `sta serve`.
pub(crate) fn found(directory: &Path) -> Result<PathBuf> {
    let mut treaty = Treaty::from_toml(TREATY)?;
    treaty.witness.behind_s_max = BEHIND_S_MAX;
    let mut directories = Vec::new();
    for member in &mut treaty.members {
        let home = directory.join(member.id.as_str());
        *member = init(
            &home,
            member,
            &treaty.sites.iter().find(|site| site.member == member.id).context("a site")?.id,
        )?;
        directories.push(home);
    }
    let mut signed = SignedTreaty::new(&treaty)?;
    for home in &directories {
        signed.sign(&Keys::load(&home.join(KEYS))?.signing)?;
    }
    let home = directories.into_iter().next().context("a first member")?;
    std::fs::write(home.join(TREATY_FILE), serde_json::to_vec(&signed)?)?;
    Ok(home)
}

fn init(home: &Path, member: &Member, site: &sta_protocol::ids::SiteId) -> Result<Member> {
    // Port 9 (discard): nobody answers there, as if the node were down on a machine that is up.
    let args = InitArgs {
        dir: home.to_owned(),
        member: member.id.clone(),
        url: format!("http://127.0.0.1:9/{}", member.id),
        listen: Some("127.0.0.1:0".parse()?),
        sites: vec![site.clone()],
        name: Some(member.name.clone()),
        jurisdiction: Some(member.jurisdiction.clone()),
    };
    init::create(&args).map_err(|failure| anyhow::anyhow!("{failure:?}"))
}

/// A researcher with a passport, a project that can pay for everything, and an open dataset.
pub(crate) async fn people(node: &Node, holder: &SigningKey) -> Result<String> {
    let id = "ada".parse()?;
    let researcher = Researcher { id, holder: holder.public_key().key_id(), roles: [].into() };
    registry::put_researcher(node, researcher.clone(), TOKEN).await?;
    registry::put_project(node, "digits".parse()?, 1_000_000_000_000_000, vec![researcher.id.clone()])
        .await?;
    let digits = NewDataset {
        name: "digits".to_owned(),
        title: "Handwritten digits".to_owned(),
        class: "open".parse().map_err(|_| anyhow::anyhow!("`open` is a class"))?,
        origin: "ca".parse()?,
        residency: Vec::new(),
        purposes: vec!["research".to_owned()],
        files: Vec::new(),
        facts: None,
        protection: None,
    };
    registry::add_dataset(node, digits).await?;
    Ok(registry::issue_passport(node, &researcher, Vec::new()).await?.as_str().to_owned())
}

/// A job that would hold most of the site.
pub(crate) fn spec(objective: Objective) -> Result<JobSpec> {
    Ok(JobSpec {
        version: 1,
        name: "digits".to_owned(),
        command: ["python3", "train.py", "--rounds", "40"].map(str::to_owned).to_vec(),
        image: "host".to_owned(),
        project: "digits".parse()?,
        purpose: "research".to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets: vec!["ca/digits".parse()?],
        inputs: Vec::new(),
        outputs: vec!["model.json".to_owned()],
        // More than half of `quebec-hydro`: one runs, the others wait.
        cpu_cores: 48,
        memory_bytes: 1 << 30,
        gpus: 0,
        time_limit_s: 600,
        network: false,
        objective,
        sites_allowed: Vec::new(),
        sites_refused: Vec::new(),
        shape: Shape::default(),
        outputs_weights: Vec::new(),
        after: Vec::new(),
        attempts_max: 1,
        site_options: BTreeMap::new(),
        training: None,
        inputs_about: None,
        checkpoint: None,
    })
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An engine whose jobs run for ever and do nothing, so that what is measured is the node.
pub(crate) struct Still;

impl Engine for Still {
    fn check(&self, _job: &EngineJob) -> Result<(), Objection> {
        Ok(())
    }

    fn submit<'a>(&'a self, _job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn observe(&self, _id: RunId) -> Answer<'_, Observation> {
        Box::pin(async { Ok(Observation::Running { started_at: Timestamp::UNIX_EPOCH, suspended: false }) })
    }

    fn cancel(&self, _id: RunId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn suspend(&self, _id: RunId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn resume(&self, _id: RunId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn reclaim(&self, _id: RunId, _grace: Duration) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn logs(
        &self,
        id: RunId,
        _index: u32,
        _stream: Stream,
        _offset: u64,
        _length_max: usize,
    ) -> Answer<'_, LogChunk> {
        Box::pin(async move { Err(EngineError::Unknown { id }) })
    }

    fn output_path<'a>(&'a self, id: RunId, _name: &'a str) -> Answer<'a, PathBuf> {
        Box::pin(async move { Err(EngineError::Unknown { id }) })
    }

    fn wipe(&self, _id: RunId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn capacity(&self) -> Capacity {
        Capacity { cpu_cores: 64, memory_bytes: 1 << 38, gpus: [].into() }
    }
}
