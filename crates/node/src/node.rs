// SPDX-License-Identifier: Apache-2.0
//! The node of one member: what it holds, how it starts, how it stops.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sta_decide::authorize::Rules;
use sta_protocol::{
    digest::Sha256Digest,
    ids::{MemberId, SiteId},
    keys::KnownSignatures,
    treaty::{Member, SignedTreaty, Site, VerifiedTreaty},
};
use tokio::sync::{Notify, Semaphore};

use crate::{
    config::{Config, SiteConfig},
    engines::{Engine, agent::AgentEngine},
    keys::{Keys, KeysError},
    metrics::Metrics,
    outside::Outside,
    peers::{distance::Distances, inbound::ReplayCache, outbound::Outbound, reports::StagingRate},
    policies::OwnPacks,
    rush::Rush,
    steps::{
        alone::{self, Shadows},
        arrive, disk,
        gates::guards::Guards,
        identity::VerifiedPassports,
        incident,
        registry::VerifiedRecords,
    },
    store::{
        LogKeys, Store, StoreError, WriterMode,
        audit::PendingEntry,
        blobs::Blobs,
        outbox::Lane,
        possessions::{self, Party},
    },
};

/// The engines of the sites a node drives.
pub type Engines = BTreeMap<SiteId, Arc<dyn Engine>>;

/// A node that is ready to run.
pub struct Node {
    /// What it was told.
    pub config: Config,
    /// The agreement it acts under, every signature checked.
    pub treaty: VerifiedTreaty,
    /// The rules in force, by the treaty's digests.
    pub rules: Rules,
    /// The packs of this member and of its sites' operators, over those of the treaty.
    pub own_packs: OwnPacks,
    /// Its private keys.
    pub keys: Keys,
    /// Its memory.
    pub store: Store,
    /// Its files.
    pub blobs: Blobs,
    /// What runs its jobs.
    pub engines: Engines,
    /// Time, chance, network.
    pub outside: Outside,
    /// What it counts.
    pub metrics: Metrics,
    /// How fast files come in from other members.
    pub staging_rate: StagingRate,
    /// How far away the other members are.
    pub(crate) distances: Distances,
    /// Signed requests it has seen.
    pub replays: ReplayCache,
    /// How many submissions wait for their answer.
    pub(crate) rush: Rush,
    /// How much may be on its way to this node at once, in units of [`crate::steps::arrive`].
    pub(crate) arriving: Semaphore,
    /// What its member's jobs would do without the others.
    pub shadows: Shadows,
    /// What bounds harm at its gates.
    pub guards: Arc<Guards>,
    /// Records of datasets whose signatures it has verified.
    pub(crate) records_verified: VerifiedRecords,
    /// Signatures that it has made or found to hold.
    pub(crate) signatures_known: KnownSignatures,
    /// Passports it has verified.
    pub(crate) passports_verified: VerifiedPassports,
    wakers: BTreeMap<String, Arc<Notify>>,
    stopping: AtomicBool,
    stopped: Notify,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not open.
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    /// A key cannot be used.
    #[error("cannot use the keys")]
    Keys(#[from] KeysError),
    /// The treaty is not one this node may act under.
    #[error("cannot act under the treaty: {0}")]
    Treaty(String),
    /// A pack of this member or of a site does not hold.
    #[error("cannot go by its own rule packs: {0}")]
    Policies(String),
    /// The guardrail's settings do not hold.
    #[error("cannot bound harm: {0}")]
    Guardrail(String),
}

impl Node {
    /// Opens a node over its directory: treaty, rules, keys and store must fit together before anything runs.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub async fn open(
        config: Config,
        keys: Keys,
        signed_treaty: &SignedTreaty,
        engines: Engines,
        outside: Outside,
        mode: WriterMode,
    ) -> Result<Arc<Self>, StartError> {
        let treaty = signed_treaty.verify().map_err(|error| StartError::Treaty(error.to_string()))?;
        check_treaty(&treaty, &config, &keys)?;
        let rules = crate::policies::in_force(&treaty, &config.directory).map_err(StartError::Treaty)?;
        let own_packs = OwnPacks::load(&config, &rules).map_err(StartError::Policies)?;
        let guards = Guards::new(config.gates.guardrail_terms())
            .map_err(|error| StartError::Guardrail(error.to_string()))?;
        let log_keys = LogKeys { signer: Keys::load_log(&config.directory.join("keys"))? };
        let store = Store::open(&config.directory, log_keys, Arc::clone(&outside.chance), mode)?;
        let blobs = Blobs::open(&config.directory.join("blobs"))?;
        let lane_names = lanes(&treaty, &config).map(|lane| lane.to_string());
        let site_names = config.sites.iter().map(|site| format!("site/{}", site.id));
        let names = lane_names.chain(site_names).chain([disk::WAKER.to_owned()]);
        let wakers = names.map(|name| (name, Arc::default())).collect();
        let node = Arc::new(Self {
            replays: ReplayCache::new(outside.now()),
            rush: Rush::new(),
            arriving: Semaphore::new(arrive::UNITS),
            records_verified: VerifiedRecords::default(),
            signatures_known: KnownSignatures::default(),
            passports_verified: VerifiedPassports::default(),
            shadows: Shadows::default(),
            guards: Arc::new(guards),
            wakers,
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
            metrics: Metrics::new(),
            staging_rate: StagingRate::default(),
            distances: Distances::default(),
            config,
            treaty,
            rules,
            own_packs,
            keys,
            store,
            blobs,
            engines,
            outside,
        });
        node.record_start().await?;
        Ok(node)
    }

    /// Starts the workers: one a lane of the outbox, one a site, one witness. Each stops soon after [`Node::stop`].
    pub fn start_workers(self: &Arc<Self>) -> Vec<tokio::task::JoinHandle<()>> {
        let mut workers = Vec::new();
        for lane in lanes(&self.treaty, &self.config) {
            workers.push(tokio::spawn(crate::worker::deliver(Arc::clone(self), lane)));
        }
        for site in self.engines.keys() {
            workers.push(tokio::spawn(crate::worker::watch_site(Arc::clone(self), site.clone())));
        }
        workers.push(tokio::spawn(crate::peers::witness::keep_witnessed(Arc::clone(self))));
        workers.push(tokio::spawn(crate::peers::reports::keep_reports(Arc::clone(self))));
        workers.push(tokio::spawn(crate::worker::keep_gates(Arc::clone(self))));
        workers.push(tokio::spawn(disk::keep_tidy(Arc::clone(self))));
        workers.push(tokio::spawn(incident::keep_clocks(Arc::clone(self))));
        workers.push(tokio::spawn(alone::keep_promise(Arc::clone(self))));
        workers
    }

    /// Asks everything to end; running jobs go on under their supervisors.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stopped.notify_waiters();
        for waker in self.wakers.values() {
            waker.notify_one();
        }
    }

    /// Whether the node is to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Waits for `time`, or less when the node is to end. False when it is.
    pub async fn pause(&self, time: std::time::Duration) -> bool {
        let stopped = self.stopped.notified();
        if self.is_stopping() {
            return false;
        }
        tokio::select! {
            biased;
            () = stopped => false,
            () = tokio::time::sleep(time) => !self.is_stopping(),
        }
    }

    /// This member.
    #[must_use]
    pub fn member(&self) -> &MemberId {
        &self.config.member
    }

    /// This member as the treaty has it; [`Node::open`] has looked for it.
    #[must_use]
    pub fn own_terms(&self) -> &Member {
        self.treaty
            .member(&self.config.member)
            .expect("a node opens only under a treaty that names its member")
    }

    /// Every other member.
    pub fn peers(&self) -> impl Iterator<Item = &Member> {
        self.treaty.members.iter().filter(|member| member.id != self.config.member)
    }

    /// Whether a file is here whole, and this party has it: it has sent it here itself, or it is the result of its job.
    ///
    /// # Errors
    /// The store does not say.
    pub fn has_for(&self, sha256: Sha256Digest, party: &Party) -> Result<bool, StoreError> {
        let is_noted = || self.store.read(|connection| possessions::is_noted(connection, sha256, party));
        Ok(self.blobs.has(sha256) && is_noted()?)
    }

    /// A site that this node drives: the treaty's terms and its own settings.
    #[must_use]
    pub fn own_site(&self, id: &SiteId) -> Option<(&Site, &SiteConfig)> {
        let settings = self.config.sites.iter().find(|site| site.id == *id)?;
        Some((self.treaty.site(id)?, settings))
    }

    /// The engine of a site that an agent serves.
    #[must_use]
    pub fn agent(&self, site: &SiteId) -> Option<&AgentEngine> {
        let engine: &dyn Any = self.engines.get(site)?.as_ref();
        engine.downcast_ref()
    }

    /// The digest under which requests are signed.
    #[must_use]
    pub fn treaty_digest(&self) -> Sha256Digest {
        self.treaty.digest()
    }

    /// A client that signs as this member.
    #[must_use]
    pub fn outbound(&self) -> Outbound<'_> {
        Outbound::new(self)
    }

    /// Tells a lane's worker that there is something to do.
    pub fn wake(&self, lane: &Lane) {
        if let Some(waker) = self.wakers.get(&lane.to_string()) {
            waker.notify_one();
        }
    }

    /// Tells a site's worker that there is something to look at.
    pub fn wake_site(&self, site: &SiteId) {
        if let Some(waker) = self.wakers.get(&format!("site/{site}")) {
            waker.notify_one();
        }
    }

    /// Tells the disk's worker that a job is over, and its files may go.
    pub fn wake_disk(&self) {
        if let Some(waker) = self.wakers.get(disk::WAKER) {
            waker.notify_one();
        }
    }

    /// What the worker of a lane, or of `site/NAME`, waits on.
    pub(crate) fn waker(&self, name: &str) -> Arc<Notify> {
        self.wakers.get(name).cloned().unwrap_or_default()
    }

    /// Loading a treaty and its rules is itself an audited act.
    async fn record_start(&self) -> Result<(), StoreError> {
        let entry = PendingEntry {
            kind: "node.started",
            subject: self.config.member.to_string(),
            payload: serde_json::json!({"treaty": self.treaty.digest(), "rules": self.rules.digest(), "own_rules": self.own_packs.digests().collect::<Vec<_>>(), "version": env!("CARGO_PKG_VERSION")}),
            at: self.outside.now(),
        };
        self.store
            .write(move |tx| {
                tx.audit(entry);
                Ok(())
            })
            .await
    }
}

/// Every lane of a node's outbox: its own as home, each member (itself too, for its own jobs), staging and engine of each site.
fn lanes<'a>(treaty: &'a VerifiedTreaty, config: &'a Config) -> impl Iterator<Item = Lane> + 'a {
    let peers = treaty.members.iter().map(|member| Lane::Peer(member.id.clone()));
    let sites = config.sites.iter();
    std::iter::once(Lane::Home)
        .chain(peers)
        .chain(sites.flat_map(|site| [Lane::Staging(site.id.clone()), Lane::Engine(site.id.clone())]))
}

/// The node's keys and sites must be the treaty's.
fn check_treaty(treaty: &VerifiedTreaty, config: &Config, keys: &Keys) -> Result<(), StartError> {
    let Some(member) = treaty.member(&config.member) else {
        let names: Vec<_> = treaty.members.iter().map(|member| member.id.as_str()).collect();
        return Err(StartError::Treaty(format!(
            "`{}` is none of its members ({})",
            config.member,
            names.join(", ")
        )));
    };
    if member.keys != keys.public() {
        let problem = "it lists other public keys for this member than the private ones in `keys/`: sign a treaty with the keys of `sta init`";
        return Err(StartError::Treaty(problem.to_owned()));
    }
    for site in &config.sites {
        match treaty.site(&site.id) {
            Some(terms) if terms.member == config.member => {}
            Some(terms) => {
                return Err(StartError::Treaty(format!(
                    "site `{}` belongs to `{}`, not to this node",
                    site.id, terms.member
                )));
            }
            None => {
                return Err(StartError::Treaty(format!(
                    "it has no site `{}`: take it out of sta.toml",
                    site.id
                )));
            }
        }
    }
    Ok(())
}
