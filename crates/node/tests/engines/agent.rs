// SPDX-License-Identifier: Apache-2.0
//! Engines through an agent: a node that serves HTTP, an agent that dials it, and behind it the engine; the conformance suite over all of it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use sta_node::{
    engines::{
        Engine, EngineJob,
        agent::{
            AgentEngine,
            link::{Link, LinkError},
            runner::Agent,
            token,
        },
    },
    http,
    outside::SystemChance,
};
use sta_protocol::{ids::SiteId, treaty::Treaty};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Site, local::LocalSite, slurm::SlurmSite};
use crate::harness::World;

/// The token of the suite's agents.
pub(super) const TOKEN: &str = "token-of-an-agent-0123456789abcdefghijklmnop";

/// A site behind an agent. Opening its engine kills the agent and starts it again.
pub(super) struct AgentSite<S> {
    pub(super) world: World,
    /// Where the agent runs.
    pub(super) behind: S,
    pub(super) directory: TempDir,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
    agent: Mutex<Option<JoinHandle<()>>>,
    token: Mutex<String>,
}

impl<S: Site> AgentSite<S> {
    pub(super) async fn over(behind: S) -> Self {
        Self::under(behind, |_| ()).await
    }

    /// The same under a treaty with other terms.
    pub(super) async fn under(behind: S, terms: impl FnOnce(&mut Treaty)) -> Self {
        let world = World::with_agents(terms).await;
        token::expect(&world.ca.node.config.directory, &site(), TOKEN).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(&world, listener);
        let (directory, token) = (TempDir::new().unwrap(), Mutex::new(TOKEN.to_owned()));
        Self { world, behind, directory, address, serving, agent: Mutex::default(), token }
    }

    pub(super) fn node_engine(&self) -> AgentEngine {
        self.world.ca.node.agent(&site()).unwrap().clone()
    }

    /// The way to the node, with whatever token.
    pub(super) fn link(&self, token: &str) -> Link {
        Link::new(&format!("http://{}", self.address), &site(), token.to_owned().into()).unwrap()
    }

    pub(super) fn agent_directory(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    /// Starts an agent over an engine; the one before is killed.
    pub(super) fn start(&self, engine: Arc<dyn Engine>) {
        self.kill();
        let (directory, link) = (self.agent_directory(), self.link(&self.token.lock().unwrap()));
        let agent = tokio::spawn(async move {
            let agent = loop {
                // The one before holds its lock until its tasks have ended.
                match Agent::open(&directory, link.clone(), engine.clone(), &SystemChance) {
                    Ok(agent) => break Arc::new(agent),
                    Err(error) => assert!(error.to_string().contains("another agent"), "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            agent.run(std::future::pending()).await.unwrap();
        });
        *self.agent.lock().unwrap() = Some(agent);
    }

    /// Makes a new token and gives it to the agents that are started from now on.
    pub(super) fn renew_token(&self, token: &str) {
        token::expect(&self.world.ca.node.config.directory, &site(), token).unwrap();
        token.clone_into(&mut self.token.lock().unwrap());
    }

    pub(super) fn kill(&self) {
        if let Some(agent) = self.agent.lock().unwrap().take() {
            agent.abort();
        }
    }

    /// Ends the node and starts it again at the same address.
    pub(super) async fn restart_node(&mut self) {
        self.serving.abort();
        self.world.ca.restart().await;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_still_taken) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        self.serving = serve(&self.world, listener);
    }

    /// An agent that only says hello, with another directory or token.
    pub(super) async fn stranger(&self, token: &str) -> Result<(), LinkError> {
        let directory = TempDir::new().unwrap();
        let engine = Arc::from(self.behind.open());
        let agent = Agent::open(directory.path(), self.link(token), engine, &SystemChance).unwrap();
        Arc::new(agent).run(tokio::time::sleep(Duration::from_secs(2))).await
    }
}

impl<S> Drop for AgentSite<S> {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.lock().unwrap().take() {
            agent.abort();
        }
        self.serving.abort();
    }
}

impl<S: Site> Site for AgentSite<S> {
    fn open(&self) -> Box<dyn Engine> {
        self.start(Arc::from(self.behind.open()));
        Box::new(self.node_engine())
    }
    fn grace(&self) -> Duration {
        self.behind.grace()
    }
    fn scheduler_variables(&self) -> &[&str] {
        self.behind.scheduler_variables()
    }
    fn nodes(&self) -> u32 {
        self.behind.nodes()
    }
    fn gpu_type(&self) -> &str {
        self.behind.gpu_type()
    }
    fn shell(&self, script: &str) -> EngineJob {
        self.behind.shell(script)
    }
}

/// The site that the agents are of.
pub(super) fn site() -> SiteId {
    "quebec-hydro".parse().unwrap()
}

fn serve(world: &World, listener: TcpListener) -> JoinHandle<()> {
    let node = Arc::clone(&world.ca.node);
    tokio::spawn(async move { http::serve(node, listener).await.unwrap() })
}

/// The Slurm cluster whose version begins so, through an agent; none where no such cluster is up.
async fn slurm(version: &str) -> Option<AgentSite<SlurmSite>> {
    Some(AgentSite::over(SlurmSite::of(version)?).await)
}

mod local {
    use super::{AgentSite, LocalSite};
    crate::engines::conforms! { Some(AgentSite::over(LocalSite::new()).await) }
}

mod slurm_v22 {
    crate::engines::conforms! { super::slurm("22.").await }
}

mod slurm_v24 {
    crate::engines::conforms! { super::slurm("24.").await }
}
