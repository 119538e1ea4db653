// SPDX-License-Identifier: Apache-2.0
//! Three members' nodes in one process: a treaty with fresh keys, people with tokens, an engine that obeys the test, and no sockets.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use axum::Router;
use sta_node::{
    config::{
        Config, DiskConfig, DrivenEngine, FlopsConfig, GatesConfig, PoliciesConfig, SiteConfig, SiteEngine,
        StopConfig,
    },
    engines::{
        Capacity,
        agent::{AgentEngine, token::directory_of},
        local::{LocalConfig, LocalEngine},
        slurm::{SlurmConfig, SlurmEngine},
    },
    http::router,
    keys::Keys,
    node::{Engines, Node},
    outside::Outside,
    steps::registry,
    store::{
        WriterMode,
        registry::{Researcher, Role},
    },
};
use sta_protocol::{
    ids::{MemberId, SiteId},
    keys::SigningKey,
    treaty::{Member, SignedTreaty, Treaty},
};
use tempfile::TempDir;

mod calls;
pub(crate) mod clusters;
mod engine;
mod jobs;
mod outside;
mod replayed;
mod rows;

pub(crate) use calls::{Answer, Signing};
use engine::FakeEngine;
pub(crate) use jobs::{about_canadians, dataset, spec, training_of};
use outside::{TestChance, TestClock, TestNetwork};
pub(crate) use replayed::ms;
pub(crate) use rows::first_column;

const TREATY: &str = include_str!("../../../../treaties/canada-germany.toml");

/// How many jobs a site that orders them itself is given at once where nothing runs.
pub(crate) const HANDED_OVER_MAX: u32 = 12;

/// Everybody at a node: name, roles.
pub(crate) const PEOPLE: [(&str, &[Role]); 6] = [
    ("ada", &[]),
    ("eve", &[]),
    ("otto", &[Role::Operator]),
    ("stella", &[Role::Steward]),
    ("aud", &[Role::Auditor]),
    ("safia", &[Role::Safety]),
];

/// What a test runs in. Its time is tokio's, which stands still while anything can run.
pub(crate) struct World {
    /// Canada, with the site `quebec-hydro`.
    pub(crate) ca: TestNode,
    /// Germany, with the sites `juelich` and `frankfurt-cloud`.
    pub(crate) de: TestNode,
    /// France, without a site.
    pub(crate) fr: TestNode,
    /// How the nodes reach each other.
    pub(crate) network: Arc<TestNetwork>,
}

/// One node.
pub(crate) struct TestNode {
    /// The node.
    pub(crate) node: Arc<Node>,
    /// Its routes.
    pub(crate) router: Router,
    /// What runs the jobs of all its sites.
    pub(crate) engine: Arc<FakeEngine>,
    directory: TempDir,
}

/// What runs the jobs of a test.
#[derive(Debug, Clone)]
enum EngineKind {
    /// Nothing runs, the test decides what would have.
    Fake,
    /// Whoever dials in.
    Agent,
    /// This machine, in real time.
    Local,
    /// For Jülich a real cluster, in real time; for all others nothing.
    Slurm(Box<SlurmConfig>),
}

impl World {
    /// Three nodes under one treaty, with people and the project `digits`.
    pub(crate) async fn open() -> Self {
        Self::open_over(EngineKind::Fake, roomy(), &[], |_| ()).await
    }

    /// The same, where nodes have rule packs of their own: member, site or none, text.
    pub(crate) async fn with_packs(packs: &[(&str, Option<&str>, &str)]) -> Self {
        Self::open_over(EngineKind::Fake, roomy(), packs, |_| ()).await
    }

    /// The same, with so much of the disk for files at each node.
    pub(crate) async fn open_on(disk: DiskConfig) -> Self {
        Self::open_over(EngineKind::Fake, disk, &[], |_| ()).await
    }

    /// The same with sites that wait for their agents.
    pub(crate) async fn with_agents(terms: impl FnOnce(&mut Treaty)) -> Self {
        Self::open_over(EngineKind::Agent, roomy(), &[], terms).await
    }

    /// The same under a treaty with other terms.
    pub(crate) async fn under(terms: impl FnOnce(&mut Treaty)) -> Self {
        Self::open_over(EngineKind::Fake, roomy(), &[], terms).await
    }

    /// The same over engines that really run the jobs, on this machine.
    pub(crate) async fn on_this_machine(terms: impl FnOnce(&mut Treaty)) -> Self {
        Self::open_over(EngineKind::Local, roomy(), &[], terms).await
    }

    /// The same over a real cluster, which is Jülich's.
    pub(crate) async fn on_cluster(config: SlurmConfig, terms: impl FnOnce(&mut Treaty)) -> Self {
        Self::open_over(EngineKind::Slurm(Box::new(config)), roomy(), &[], terms).await
    }

    async fn open_over(
        engine: EngineKind,
        disk: DiskConfig,
        packs: &[(&str, Option<&str>, &str)],
        terms: impl FnOnce(&mut Treaty),
    ) -> Self {
        let clock = Arc::new(match engine {
            EngineKind::Fake => TestClock::new(),
            EngineKind::Agent | EngineKind::Local | EngineKind::Slurm(_) => TestClock::of_this_machine(),
        });
        let network = Arc::new(TestNetwork::default());
        let directories: BTreeMap<&str, TempDir> =
            ["ca", "de", "fr"].into_iter().map(|id| (id, TempDir::new().unwrap())).collect();
        let outside_of = |id: &str| Outside {
            clock: clock.clone(),
            chance: Arc::new(TestChance::new(id)),
            transport: network.clone(),
        };
        for (id, directory) in &directories {
            let origin = format!("{}/log", host(id));
            Keys::create(&directory.path().join("keys"), &origin, &TestChance::new(&format!("{id} keys")))
                .unwrap();
        }
        let mut agreed = treaty(&directories);
        terms(&mut agreed);
        let treaty = sign(&agreed, &directories);
        let mut nodes = Vec::new();
        for (id, directory) in directories {
            let own: Vec<_> =
                packs.iter().filter(|pack| pack.0 == id).map(|(_, site, text)| (*site, *text)).collect();
            let node =
                TestNode::open(id, directory, &treaty, outside_of(id), (engine.clone(), disk.clone(), &own))
                    .await;
            network.connect(&host(id), node.router.clone());
            nodes.push(node);
        }
        let [ca, de, fr] = nodes.try_into().ok().expect("three nodes");
        Self { ca, de, fr, network }
    }

    /// Starts the workers of all nodes.
    pub(crate) fn run(&self) {
        for node in [&self.ca, &self.de, &self.fr] {
            let _tasks = node.node.start_workers();
        }
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> [&TestNode; 3] {
        [&self.ca, &self.de, &self.fr]
    }
}

/// Tests must not depend on how full this machine's disk is.
fn roomy() -> DiskConfig {
    DiskConfig { bytes_free_min: 0, ..DiskConfig::default() }
}

impl Drop for World {
    fn drop(&mut self) {
        for node in self.nodes() {
            node.node.stop();
        }
    }
}

fn site_config(id: &SiteId, engine: &EngineKind) -> SiteConfig {
    let handed_over_max = match engine {
        EngineKind::Fake => HANDED_OVER_MAX,
        EngineKind::Agent | EngineKind::Local | EngineKind::Slurm(_) => 5000,
    };
    let engine = match engine {
        EngineKind::Fake | EngineKind::Local | EngineKind::Slurm(_) => {
            SiteEngine::Driven(DrivenEngine::Local)
        }
        EngineKind::Agent => SiteEngine::Agent,
    };
    SiteConfig {
        id: id.clone(),
        engine,
        queue_max: 10,
        handed_over_max,
        flops: FlopsConfig::default(),
        policies: Vec::new(),
    }
}

/// Writes packs into a node's directory and names them where `sta.toml` would.
fn put_packs(directory: &Path, packs: &[(Option<&str>, &str)], sites: &mut [SiteConfig]) -> PoliciesConfig {
    let mut policies = PoliciesConfig::default();
    for (number, (site, text)) in packs.iter().enumerate() {
        let file = std::path::PathBuf::from(format!("own-{number}.cedar"));
        std::fs::write(directory.join(&file), text).unwrap();
        match site {
            None => policies.national.push(file),
            Some(name) => {
                let own = sites.iter_mut().find(|site| site.id.as_str() == *name);
                own.expect("a site of this member").policies.push(file);
            }
        }
    }
    policies
}

fn host(id: &str) -> String {
    format!("node.{id}.example")
}

/// The example treaty with fresh keys, and France as a third member.
fn treaty(directories: &BTreeMap<&str, TempDir>) -> Treaty {
    let mut treaty = Treaty::from_toml(TREATY).unwrap();
    let third = Member {
        id: "fr".parse().unwrap(),
        name: "France (example)".to_owned(),
        ..treaty.members[1].clone()
    };
    treaty.members.push(third);
    for member in &mut treaty.members {
        member.url = format!("https://{}", host(member.id.as_str()));
        member.keys = keys(directories[member.id.as_str()].path()).public();
    }
    treaty
}

fn keys(directory: &Path) -> Keys {
    Keys::load(&directory.join("keys")).unwrap()
}

fn sign(treaty: &Treaty, directories: &BTreeMap<&str, TempDir>) -> SignedTreaty {
    let mut signed = SignedTreaty::new(treaty).unwrap();
    for directory in directories.values() {
        signed.sign(&keys(directory.path()).signing).unwrap();
    }
    for directory in directories.values() {
        std::fs::write(directory.path().join("treaty.json"), serde_json::to_vec(&signed).unwrap()).unwrap();
    }
    signed
}

impl TestNode {
    async fn open(
        id: &str,
        directory: TempDir,
        treaty: &SignedTreaty,
        outside: Outside,
        (engine, disk, packs): (EngineKind, DiskConfig, &[(Option<&str>, &str)]),
    ) -> Self {
        let member: MemberId = id.parse().unwrap();
        let fake = Arc::new(FakeEngine::new(&directory.path().join("engine"), outside.clock.clone()));
        let terms = treaty.peek_unverified().unwrap();
        let sites = terms.sites.iter().filter(|site| site.member == member);
        let mut sites: Vec<_> = sites.map(|site| site_config(&site.id, &engine)).collect();
        let policies = put_packs(directory.path(), packs, &mut sites);
        let engine_of = |site: &SiteId| match &engine {
            EngineKind::Slurm(config) if site.as_str() == "juelich" => {
                Arc::new(SlurmEngine::open((**config).clone()).unwrap())
            }
            EngineKind::Fake | EngineKind::Slurm(_) => fake.clone() as Arc<dyn sta_node::engines::Engine>,
            EngineKind::Agent => {
                let agents = directory_of(directory.path(), site);
                Arc::new(AgentEngine::open(agents, site.clone(), Capacity::default()).unwrap())
            }
            EngineKind::Local => {
                let supervisor = [env!("CARGO_BIN_EXE_sta"), "supervise"].map(ToOwned::to_owned).to_vec();
                let root = directory.path().join("jobs").join(site.as_str());
                let has = terms.site(site).unwrap().resources;
                let capacity = Capacity {
                    cpu_cores: has.cpu_cores,
                    memory_bytes: has.memory_bytes,
                    gpus: BTreeMap::new(),
                };
                Arc::new(LocalEngine::open(LocalConfig::new(root, supervisor, capacity)).unwrap())
            }
        };
        let engines: Engines = sites.iter().map(|site| (site.id.clone(), engine_of(&site.id))).collect();
        let config = Config {
            directory: directory.path().to_owned(),
            member,
            listen: "127.0.0.1:0".parse().unwrap(),
            treaty: directory.path().join("treaty.json"),
            sites,
            disk,
            gates: GatesConfig::default(),
            stop: StopConfig::default(),
            policies,
        };
        let keys = keys(directory.path());
        let node = Node::open(config, keys, treaty, engines, outside, WriterMode::Simulated).await.unwrap();
        for (name, roles) in PEOPLE {
            let researcher = Researcher {
                id: name.parse().unwrap(),
                holder: holder(name).public_key().key_id(),
                roles: roles.iter().copied().collect(),
            };
            registry::put_researcher(&node, researcher, &token(name)).await.unwrap();
        }
        let people = vec!["ada".parse().unwrap()];
        registry::put_project(&node, "digits".parse().unwrap(), 1_000_000_000, people).await.unwrap();
        Self { router: router(Arc::clone(&node)), node, engine: fake, directory }
    }

    /// The node after a restart, when sites wait for their agents.
    pub(crate) async fn restart(&mut self) {
        let empty = TempDir::new().unwrap();
        let directory = std::mem::replace(&mut self.directory, empty);
        self.node.stop();
        self.node.store.stop();
        let (id, outside) = (self.id(), self.node.outside.clone());
        let treaty = std::fs::read(directory.path().join("treaty.json")).unwrap();
        let treaty = serde_json::from_slice(&treaty).unwrap();
        *self = Self::open(id.as_str(), directory, &treaty, outside, (EngineKind::Agent, roomy(), &[])).await;
    }

    /// This member.
    pub(crate) fn id(&self) -> MemberId {
        self.node.member().clone()
    }

    /// Its address in the treaty.
    pub(crate) fn url(&self) -> String {
        self.node.own_terms().url.clone()
    }

    /// Waits, in the world's time, until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Node) -> bool) {
        for _ in 0..1200 {
            if holds(&self.node) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`{}` waited two minutes in vain: {what}", self.id());
    }
}

/// A person's bearer token.
pub(crate) fn token(name: &str) -> String {
    format!("token-of-{name}-0123456789abcdefghijklmnop")
}

/// A person's session key.
pub(crate) fn holder(name: &str) -> SigningKey {
    let mut seed = [7; 32];
    for (byte, letter) in seed.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    SigningKey::from_seed(seed)
}
