// SPDX-License-Identifier: Apache-2.0
//! The simulated world: three members on turmoil's network, the operations that befall them, and a trace of it all.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_node::{
    http,
    keys::Keys,
    node::{Engines, Node},
    outside::Outside,
    steps::{cancel, submit, submit::SubmitRequest},
    store::WriterMode,
};
use sta_protocol::{
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::JobId,
    job::JobSpec,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use turmoil::{Sim, net::TcpListener};

use super::{
    Violation,
    chance::{Random, SeededChance, SimClock, beginning},
    fixture::{MEMBERS, PORT, config, fixture, member_id, members},
    machines::{Machines, SimEngine},
    network::{SimListener, SimTransport, Weather},
    operations::Operation,
    orders::Order,
};

/// How finely simulated time is cut; a message takes at least one of these.
const TICK: Duration = Duration::from_millis(20);
/// The longest a message takes on its way.
const LATENCY_MAX: Duration = Duration::from_millis(120);

/// Something done within a member's process: it is lost when the process is.
pub(super) type Command = Box<dyn FnOnce(Arc<Node>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
/// A value that somebody in the simulation writes and somebody outside reads.
pub(super) type Shared<T> = Arc<Mutex<T>>;

/// Locks a shared value.
pub(super) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job that a person submitted.
#[derive(Clone)]
pub(super) struct Submission {
    pub(super) home: usize,
    person: usize,
    request: SubmitRequest,
    /// Whether home said that it has the job.
    pub(super) acknowledged: bool,
}

/// The world of one seed.
pub(super) struct World {
    sim: Sim<'static>,
    directory: TempDir,
    doors: Vec<Shared<Option<UnboundedSender<Command>>>>,
    stores: Vec<Connection>,
    pub(super) machines: Arc<Machines>,
    pub(super) weather: Arc<Weather>,
    pub(super) submissions: Shared<Vec<Submission>>,
    pub(super) orders: Shared<Vec<Order>>,
    pub(super) broken: Shared<Vec<String>>,
    pub(super) random: Random,
    trace: Shared<Vec<String>>,
    prints: bool,
}

impl World {
    /// Starts all three members.
    pub(super) fn new(seed: u64, prints: bool) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        fixture().copy_to(directory.path());
        let beginning_ms = u64::try_from(beginning().as_millisecond()).expect("after 1970");
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(beginning_ms))
            .simulation_duration(Duration::from_secs(24 * 3600))
            .tick_duration(TICK)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(LATENCY_MAX)
            .tcp_capacity(1024)
            .build();
        let (machines, weather) = (Arc::new(Machines::new(seed)), Arc::new(Weather::new(seed)));
        let mut skew = Random::of(seed, "clocks");
        let mut doors = Vec::new();
        for (member, name) in MEMBERS.into_iter().enumerate() {
            let door: Shared<Option<UnboundedSender<Command>>> = Arc::default();
            let clock = SimClock { skew_ms: skew.between(0, 3000).cast_signed() - 1500 };
            let place = Arc::new(Place {
                member,
                directory: directory.path().join(name),
                clock,
                chance: Arc::new(SeededChance::new(Random::of(seed, name))),
                machines: Arc::clone(&machines),
                weather: Arc::clone(&weather),
                door: Arc::clone(&door),
            });
            sim.host(name, move || run_member(Arc::clone(&place)));
            doors.push(door);
        }
        let stores = MEMBERS.iter().map(|name| open_store(&directory.path().join(name))).collect();
        Self {
            sim,
            directory,
            doors,
            stores,
            machines,
            weather,
            submissions: Arc::default(),
            orders: Arc::default(),
            broken: Arc::default(),
            random: Random::of(seed, "people"),
            trace: Arc::default(),
            prints,
        }
    }

    /// The directory of a member's node.
    pub(super) fn directory(&self, member: usize) -> PathBuf {
        self.directory.path().join(MEMBERS[member])
    }

    /// What a member has on disk, read beside its node.
    pub(super) fn store(&self, member: usize) -> &Connection {
        &self.stores[member]
    }

    /// The true time.
    pub(super) fn now(&self) -> Timestamp {
        beginning() + SignedDuration::from_millis(self.elapsed_ms().cast_signed())
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).expect("a simulation ends before that")
    }

    /// Notes what happened, and when.
    pub(super) fn note(&self, text: &str) {
        note(&self.trace, self.prints, self.elapsed_ms(), text);
    }

    /// What happened so far.
    pub(super) fn trace(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }

    /// Lets simulated time go by.
    pub(super) fn run(&mut self, milliseconds: u64) -> Result<(), Violation> {
        let end = self.elapsed_ms() + milliseconds;
        while self.elapsed_ms() < end {
            self.sim.step().map_err(|error| Violation(format!("a member ended: {error}")))?;
        }
        let mut broken = lock(&self.broken).clone();
        broken.extend(self.machines.broken());
        broken.into_iter().next().map_or(Ok(()), |first| Err(Violation(first)))
    }

    /// Does one operation.
    pub(super) fn apply(&mut self, operation: &Operation) {
        self.note(&operation.to_string());
        match operation {
            Operation::Submit { person, spec, after } => self.submit(*person, spec, *after),
            Operation::SubmitAgain { earlier } => self.send(*earlier),
            Operation::Cancel { earlier } => self.cancel(*earlier),
            Operation::Order { member, earlier } => self.order(*member, *earlier),
            Operation::Lift { order } => self.lift(*order),
            Operation::Crash { member } => self.crash(*member),
            Operation::Restart { member } => self.restart(*member),
            Operation::Cut { between: (a, b) } => self.sim.partition(MEMBERS[*a], MEMBERS[*b]),
            Operation::Heal { between: (a, b) } => self.sim.repair(MEMBERS[*a], MEMBERS[*b]),
            Operation::Delay { member, by_ms } => self.weather.slow(*member, *by_ms),
            Operation::Duplicate { member, calls } => self.weather.repeat(*member, *calls),
        }
    }

    /// The storm is over: everybody runs and reaches everybody, and nothing fails any more.
    pub(super) fn calm(&mut self) {
        self.note("everything is healed");
        self.weather.clear();
        self.machines.clear();
        for member in members() {
            self.restart(member);
            for other in MEMBERS.iter().skip(member + 1) {
                self.sim.repair(MEMBERS[member], *other);
            }
        }
    }

    fn crash(&mut self, member: usize) {
        *lock(&self.doors[member]) = None;
        self.sim.crash(MEMBERS[member]);
    }

    /// Starts a member that does not run.
    fn restart(&mut self, member: usize) {
        if !self.sim.is_host_running(MEMBERS[member]) {
            self.sim.bounce(MEMBERS[member]);
        }
    }

    /// Does something within a member's process, if it runs.
    pub(super) fn within(&self, member: usize, command: Command) {
        if let Some(door) = lock(&self.doors[member]).as_ref() {
            // A process that is just being killed does not listen any more.
            let _lost = door.send(command).is_err();
        }
    }

    fn submit(&mut self, person: usize, spec: &JobSpec, after: Option<usize>) {
        let who = &fixture().people[person];
        let mut spec = spec.clone();
        // Home refuses to wait for a job that it does not know, or of another project.
        let others = lock(&self.submissions);
        let earlier = after.and_then(|number| others.get(number)).filter(|earlier| {
            earlier.acknowledged && earlier.home == who.home && earlier.request.spec.project == spec.project
        });
        spec.after = earlier.map(Submission::job).into_iter().collect();
        drop(others);
        let job =
            JobId::new(u64::try_from(self.now().as_millisecond()).expect("after 1970"), self.random.bytes());
        let claims = HolderClaims {
            job,
            digest: Sha256Digest::of_json(&spec).expect("a canonical form"),
            audience: member_id(who.home),
            issued_at: self.now(),
        };
        let proof = holder_proof(&who.holder, &claims).expect("a proof");
        let request = SubmitRequest {
            job,
            spec,
            passport: who.passport.clone(),
            holder_proof: proof.as_str().to_owned(),
        };
        lock(&self.submissions).push(Submission { home: who.home, person, request, acknowledged: false });
        let newest = lock(&self.submissions).len() - 1;
        self.send(newest);
    }

    /// Sends a submission to its home, for the first time or once more.
    fn send(&self, number: usize) {
        let Submission { home, person, request, .. } = lock(&self.submissions)[number].clone();
        let (submissions, broken, trace) =
            (Arc::clone(&self.submissions), Arc::clone(&self.broken), Arc::clone(&self.trace));
        let (prints, at) = (self.prints, self.elapsed_ms());
        let command: Command = Box::new(move |node| {
            Box::pin(async move {
                match submit::submit(&node, &fixture().people[person].researcher, request).await {
                    Ok(job) => {
                        lock(&submissions)[number].acknowledged = true;
                        let host = job.site.map(|site| site.to_string()).unwrap_or_default();
                        note(
                            &trace,
                            prints,
                            at,
                            &format!("job {number} is {} {} {host}", job.id, job.state.as_str()),
                        );
                    }
                    Err(error) => lock(&broken).push(format!("submission {number} is not taken: {error}")),
                }
            })
        });
        self.within(home, command);
    }

    fn cancel(&self, number: usize) {
        let Submission { home, request, .. } = lock(&self.submissions)[number].clone();
        let (trace, prints, at) = (Arc::clone(&self.trace), self.prints, self.elapsed_ms());
        let command: Command = Box::new(move |node| {
            Box::pin(async move {
                let outcome = match cancel::cancel(&node, request.job).await {
                    Ok(job) => format!("asked while it is {}", job.state.as_str()),
                    Err(error) => format!("not asked: {error}"),
                };
                note(&trace, prints, at, &format!("cancelling job {number}: {outcome}"));
            })
        });
        self.within(home, command);
    }
}

impl Submission {
    pub(super) fn job(&self) -> JobId {
        self.request.job
    }
}

fn note(trace: &Mutex<Vec<String>>, prints: bool, at_ms: u64, text: &str) {
    let line = format!("{:>8.3} {text}", Duration::from_millis(at_ms).as_secs_f64());
    if prints {
        println!("{line}");
    }
    lock(trace).push(line);
}

fn open_store(directory: &Path) -> Connection {
    Connection::open(directory.join("node.sqlite")).expect("the member's store")
}

/// Where a member runs, and what outlives its process.
struct Place {
    member: usize,
    directory: PathBuf,
    clock: SimClock,
    chance: Arc<SeededChance>,
    machines: Arc<Machines>,
    weather: Arc<Weather>,
    door: Shared<Option<UnboundedSender<Command>>>,
}

impl Place {
    fn engines(&self, keys: &Keys) -> Engines {
        let treaty = &fixture().verified_treaty;
        let own = config(self.member, &self.directory).sites;
        let engine = |site: sta_node::config::SiteConfig| {
            let engine = SimEngine {
                machines: Arc::clone(&self.machines),
                resources: treaty.site(&site.id).expect("a site of the treaty").resources,
                site: site.id.clone(),
                clock: self.clock,
                directory: self.directory.clone(),
                host_key: keys.signing.public_key(),
                named: Mutex::default(),
            };
            (site.id, Arc::new(engine) as Arc<dyn sta_node::engines::Engine>)
        };
        own.into_iter().map(engine).collect()
    }
}

/// A member's process, from its start to its crash.
async fn run_member(place: Arc<Place>) -> turmoil::Result {
    let keys = Keys::load(&place.directory.join("keys"))?;
    let outside = Outside {
        clock: Arc::new(place.clock),
        chance: place.chance.clone(),
        transport: Arc::new(SimTransport { member: place.member, weather: Arc::clone(&place.weather) }),
    };
    let engines = place.engines(&keys);
    let config = config(place.member, &place.directory);
    let node = Node::open(config, keys, &fixture().treaty, engines, outside, WriterMode::Simulated).await?;
    let _workers = node.start_workers();
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    tokio::spawn(http::serve(Arc::clone(&node), SimListener(listener)));
    let (sender, mut commands) = unbounded_channel::<Command>();
    *lock(&place.door) = Some(sender);
    while let Some(command) = commands.recv().await {
        tokio::spawn(command(Arc::clone(&node)));
    }
    Ok(())
}

/// Counts by name, as text.
pub(super) fn counted(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
