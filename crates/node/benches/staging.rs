// SPDX-License-Identifier: Apache-2.0
//! A large file from one member's node to the other's, beside `curl` over TLS on the same machine in the same run; then
//! once more with two kills on the way.

use std::{
    net::TcpListener as Listener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sta_node::{
    cli::{
        client::Client,
        init::{self, InitArgs, KEYS, TREATY_FILE},
    },
    config::Config,
    engines::Engine,
    keys::Keys,
    node::{Engines, Node},
    outside::{HttpTransport, Outside, SystemChance, SystemClock},
    steps::disk,
    store::{WriterMode, possessions::Party},
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::JobId,
    job::{InputFile, JobSpec},
    keys::SigningKey,
    treaty::{SignedTreaty, Treaty},
};
use tokio::runtime::Runtime;

use crate::{
    scene::{self, Still, TOKEN},
    tls::TlsServer,
};

/// The first argument with which this program serves a node whose engine does nothing; the second is its directory.
pub(crate) const NODE: &str = "--only-node";
/// How large the file is unless `STA_STAGING_BYTES` says otherwise.
const BYTES: u64 = 8_000_000_000;
/// How often each way is measured, in turns.
const ROUNDS: usize = 3;
/// What a kill may cost.
const UNDER_WAY_BYTES_MAX: u64 = 4 << 20;
const PIECE_BYTES: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(600);

/// Both members, with the file at `ca` and a researcher who needs it at `de`.
struct Pair {
    directory: PathBuf,
    ports: [u16; 2],
    spec: JobSpec,
    passport: String,
    holder: SigningKey,
    file: InputFile,
    nodes: [Option<Child>; 2],
    /// The most memory that any life of the receiving node has had at its end, in bytes.
    peak: u64,
}

/// Measures and prints.
pub(crate) fn measure(directory: &Path) -> Result<()> {
    let bytes = std::env::var("STA_STAGING_BYTES").map_or(Ok(BYTES), |bytes| bytes.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut pair = Pair::found(&runtime, directory, bytes)?;
    let server = TlsServer::start(&directory.join("tls"), &pair.blob("ca"))?;
    println!(
        "{} of {} bytes, file to file, load {}",
        server.name,
        bytes,
        crate::table::system("/proc/loadavg")
    );
    println!(
        "| round | `curl` over TLS, MB/s | the same and `sync`, MB/s | `sta`, whole, checked and synced, MB/s |"
    );
    println!("| --- | --- | --- | --- |");
    let (mut plain, mut synced, mut staged) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (curl, curl_synced) = server.fetch(&directory.join("copy.bin"))?;
        let sta = pair.stage(&runtime, &[])?;
        let rate = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e6;
        println!("| {round} | {:.0} | {:.0} | {:.0} |", rate(curl), rate(curl_synced), rate(sta));
        plain.push(rate(curl));
        synced.push(rate(curl_synced));
        staged.push(rate(sta));
    }
    let [plain, synced, staged] = [plain, synced, staged].map(median);
    println!(
        "median {plain:.0}, {synced:.0}, {staged:.0} MB/s: {:.2} of `curl`, {:.2} of `curl` and `sync`",
        staged / plain,
        staged / synced
    );
    let before = pair.served(&runtime)?;
    let took = pair.stage(&runtime, &[0.3, 0.7])?;
    let again = pair.served(&runtime)? - before - bytes;
    println!("with two kills of the receiving node: {:.1} s, {again} bytes sent again", took.as_secs_f64());
    ensure!(again <= 2 * UNDER_WAY_BYTES_MAX, "a kill costs more than {UNDER_WAY_BYTES_MAX} bytes");
    println!(
        "memory at most: sending {} MB, receiving {} MB",
        pair.peak(0)? / 1_000_000,
        pair.peak / 1_000_000
    );
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Serves a node until it is killed.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = open(directory).await?;
        let listener = tokio::net::TcpListener::bind(node.config.listen).await?;
        let _workers = node.start_workers();
        Ok(sta_node::http::serve(node, listener).await?)
    })
}

async fn open(directory: &Path) -> Result<Arc<Node>> {
    let config = Config::load(directory)?;
    let still = |site: &sta_node::config::SiteConfig| (site.id.clone(), Arc::new(Still) as Arc<dyn Engine>);
    let engines: Engines = config.sites.iter().map(still).collect();
    let outside = Outside {
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        transport: Arc::new(HttpTransport::new()?),
    };
    let treaty: SignedTreaty = serde_json::from_str(&std::fs::read_to_string(&config.treaty)?)?;
    let keys = Keys::load(&directory.join(KEYS))?;
    Ok(Node::open(config, keys, &treaty, engines, outside, WriterMode::Durable).await?)
}

impl Pair {
    fn found(runtime: &Runtime, directory: &Path, bytes: u64) -> Result<Self> {
        let ports = [free_port()?, free_port()?];
        let mut treaty = Treaty::from_toml(scene::TREATY)?;
        for (member, port) in treaty.members.iter_mut().zip(ports) {
            let site = treaty.sites.iter().find(|site| site.member == member.id).context("a site")?;
            let args = InitArgs {
                dir: directory.join(member.id.as_str()),
                member: member.id.clone(),
                url: format!("http://127.0.0.1:{port}"),
                listen: None,
                sites: vec![site.id.clone()],
                name: Some(member.name.clone()),
                jurisdiction: Some(member.jurisdiction.clone()),
            };
            *member = init::create(&args).map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        }
        let mut signed = SignedTreaty::new(&treaty)?;
        for member in &treaty.members {
            signed.sign(&Keys::load(&directory.join(member.id.as_str()).join(KEYS))?.signing)?;
        }
        for member in &treaty.members {
            let path = directory.join(member.id.as_str()).join(TREATY_FILE);
            std::fs::write(path, serde_json::to_vec(&signed)?)?;
        }
        let holder = SigningKey::from_seed([7; 32]);
        let (passport, file) = runtime.block_on(async {
            let node = open(&directory.join("ca")).await?;
            let passport = scene::people(&node, &holder).await?;
            let file = put_file(&node, bytes).await?;
            node.store.stop();
            anyhow::Ok((passport, file))
        })?;
        let mut spec = scene::spec(sta_protocol::job::Objective::CHEAPEST)?;
        (spec.inputs, spec.sites_allowed) = (vec![file.clone()], vec!["juelich".parse()?]);
        (spec.datasets, spec.cpu_cores, spec.gpus) = (Vec::new(), 1, 0);
        let mut pair = Self {
            directory: directory.to_owned(),
            ports,
            spec,
            passport,
            holder,
            file,
            nodes: [None, None],
            peak: 0,
        };
        pair.start(0)?;
        Ok(pair)
    }

    fn start(&mut self, at: usize) -> Result<()> {
        let log = std::fs::File::create(self.directory.join(format!("{at}.log")))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(NODE).arg(self.directory.join(["ca", "de"][at]));
        self.nodes[at] = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.ports[at])).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(30), "node {at} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn kill(&mut self, at: usize) -> Result<()> {
        if let Some(mut node) = self.nodes[at].take() {
            node.kill()?;
            node.wait()?;
        }
        Ok(())
    }

    /// How long a job's file takes from submission until it is here, whole, checked and on the disk. The receiving node is
    /// killed where these parts of the file are here.
    fn stage(&mut self, runtime: &Runtime, kills: &[f64]) -> Result<Duration> {
        let blob = self.blob("de");
        self.start(1)?;
        nix::unistd::sync();
        let job = JobId::new(
            u64::try_from(jiff::Timestamp::now().as_millisecond())?,
            uuid::Uuid::now_v7().as_bytes()[6..].try_into()?,
        );
        let claims = HolderClaims {
            job,
            digest: Sha256Digest::of_json(&self.spec)?,
            audience: "ca".parse()?,
            issued_at: jiff::Timestamp::now(),
        };
        let proof = holder_proof(&self.holder, &claims)?;
        let body =
            json!({"job": job, "spec": self.spec, "passport": self.passport, "holder_proof": proof.as_str()});
        let client = self.client()?;
        let began = Instant::now();
        let submitted = runtime.block_on(client.ask(http::Method::POST, "/v1/jobs", Some(&body)));
        let submitted = submitted.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        ensure!(submitted["state"] == "offered", "{submitted}");
        for kill in kills {
            let pieces = (self.file.bytes.div_ceil(PIECE_BYTES) as f64 * kill) as u64;
            while self.landed() < pieces {
                ensure!(began.elapsed() < PATIENCE && !blob.exists(), "it was not killed on the way");
                std::thread::sleep(Duration::from_micros(500));
            }
            self.kill(1)?;
            self.start(1)?;
        }
        while !blob.exists() {
            ensure!(began.elapsed() < PATIENCE, "the file does not come");
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = began.elapsed();
        self.peak = self.peak.max(self.peak(1)?);
        // Its room is needed for the next round.
        self.kill(1)?;
        std::fs::remove_file(&blob)?;
        Ok(took)
    }

    fn landed(&self) -> u64 {
        let record = self.directory.join("de/blobs/arriving").join(format!("{}.pieces", self.file.sha256));
        std::fs::metadata(record).map_or(0, |metadata| metadata.len() / 40)
    }

    fn blob(&self, member: &str) -> PathBuf {
        let name = self.file.sha256.to_string();
        self.directory.join(member).join("blobs").join(&name[..2]).join(&name)
    }

    fn client(&self) -> Result<Client> {
        let url = format!("http://127.0.0.1:{}", self.ports[0]);
        Client::new(&url, Some(TOKEN.to_owned().into())).map_err(|failure| anyhow::anyhow!("{failure}"))
    }

    fn served(&self, runtime: &Runtime) -> Result<u64> {
        let metrics = runtime.block_on(self.client()?.text("/metrics"));
        let metrics = metrics.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let served = metrics.lines().find_map(|line| line.strip_prefix("sta_file_bytes_served_total "));
        Ok(served.context("the metric")?.parse()?)
    }

    /// `VmHWM` of a node, in bytes.
    fn peak(&self, at: usize) -> Result<u64> {
        let id = self.nodes[at].as_ref().context("a running node")?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for at in [0, 1] {
            if let Err(error) = self.kill(at) {
                eprintln!("node {at} may still run: {error}");
            }
        }
    }
}

/// Writes a file of which no two pieces are the same into a node's blobs, as if Ada had brought it.
async fn put_file(node: &Node, bytes: u64) -> Result<InputFile> {
    use sha2::{Digest, Sha256};
    let block = |offset: u64| -> Vec<u8> {
        let seed = Sha256Digest::of(&offset.to_le_bytes());
        let length = usize::try_from((bytes - offset).min(1 << 20)).unwrap_or(0);
        seed.as_bytes().iter().copied().cycle().take(length).collect()
    };
    let offsets = || (0..bytes).step_by(1 << 20);
    let whole = offsets().fold(Sha256::new(), |sum, offset| sum.chain_update(block(offset)));
    let sha256 = Sha256Digest::from_bytes(whole.finalize().into());
    let ada = Party::Person("ada".parse()?);
    for offset in offsets() {
        node.blobs.append(sha256, &ada, offset, &block(offset))?;
    }
    node.blobs.finish(sha256, &ada)?;
    disk::note_possession(node, sha256, ada).await?;
    Ok(InputFile { name: "large.bin".to_owned(), sha256, bytes, class: Class::Internal })
}

fn free_port() -> Result<u16> {
    // Below what the system gives to outgoing connections, so that a node that was killed finds it free again.
    let base = 20_000 + u16::try_from(std::process::id() % 9000)?;
    for port in base..30_000 {
        if Listener::bind(("127.0.0.1", port)).is_ok()
            && !TAKEN.lock().is_ok_and(|taken| taken.contains(&port))
        {
            TAKEN.lock().map_err(|_| anyhow::anyhow!("the list of ports"))?.push(port);
            return Ok(port);
        }
    }
    bail!("no port is free")
}

static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
