// SPDX-License-Identifier: Apache-2.0
//! `sta serve`: assembles a node from its directory, runs it, and stops it within a bounded time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use sta_protocol::treaty::SignedTreaty;
use tokio::net::TcpListener;

use super::{
    engines::engines,
    failure::{Exit, Failure, Trying},
    init::{KEYS, TREATY_FILE},
    print,
    profile::{OPERATOR_TOKEN, read_token},
};
use crate::{
    config::Config,
    keys::Keys,
    node::Node,
    outside::{HttpTransport, Outside, SystemChance, SystemClock},
    steps,
    store::{
        DieAt, WriterMode,
        registry::{Researcher, Role},
    },
};

/// The person that `operator.token` belongs to.
pub const OPERATOR: &str = "operator";
/// How long workers may take to end, after the open requests have.
const STOP_SECONDS_MAX: u64 = 10;

/// What `sta serve` is told.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The node's directory
    #[arg(long, env = "STA_DIR", value_name = "DIR")]
    pub dir: PathBuf,
    /// Write the log as JSON, one object a line
    #[arg(long)]
    pub log_json: bool,
    /// Kill the process at its N-th commit: for the test that walks every durable point
    #[arg(long, hide = true, value_name = "before:N|after:N")]
    pub die_at: Option<DieAt>,
}

/// Runs the node until SIGTERM or SIGINT.
///
/// # Errors
/// The first thing that does not fit together, or the address is taken.
pub async fn run(args: &ServeArgs) -> Result<(), Failure> {
    log_to_stderr(args.log_json);
    let mode = args.die_at.map_or(WriterMode::Durable, WriterMode::DurableUntil);
    let node = open(&args.dir, mode).await?;
    let doing = format!("listen on {}", node.config.listen);
    let mend = "Stop what listens there, or change `listen` in sta.toml.";
    let listener =
        TcpListener::bind(node.config.listen).await.trying_to(doing).map_err(|failure| failure.mend(mend))?;
    let stop = stop_signal()?;
    let workers = node.start_workers();
    let address = listener.local_addr().trying_to("find the address of the node")?;
    print::line(format!("sta: {} listens on http://{address}", node.member()));
    let stopping = Arc::clone(&node);
    tokio::spawn(async move {
        stop.await;
        stopping.stop();
    });
    let served = crate::http::serve(Arc::clone(&node), listener).await.trying_to("serve");
    // The listener may have failed by itself.
    node.stop();
    let ended = async {
        for worker in workers {
            // A worker that panicked has been logged; the others are still waited for.
            let _ended = worker.await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), ended).await.is_err() {
        tracing::warn!(
            "workers did not end within {STOP_SECONDS_MAX} s; what they did not finish waits in the outbox"
        );
    }
    node.store.stop();
    served
}

/// A node from its directory: configuration, keys, treaty, engines and store, and its operator known to it.
///
/// # Errors
/// The first of them that does not read or does not fit the others.
pub async fn open(directory: &Path, mode: WriterMode) -> Result<Arc<Node>, Failure> {
    let doing = format!("start the node in `{}`", directory.display());
    // Jobs run elsewhere, and paths in the engine's records must hold for every process.
    let directory =
        std::fs::canonicalize(directory).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    let config = Config::load(&directory).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    let keys = Keys::load(&directory.join(KEYS)).trying_to(&doing)?;
    let signed_treaty = read_treaty(&config.treaty)?;
    let engines = engines(&config, &signed_treaty)?;
    let outside = Outside {
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        transport: Arc::new(HttpTransport::new().trying_to(&doing)?),
    };
    let node = Node::open(config, keys, &signed_treaty, engines, outside, mode).await.trying_to(&doing)?;
    know_operator(&node, &directory).await.trying_to(doing)?;
    Ok(node)
}

/// A treaty as its members signed it; not verified yet.
///
/// # Errors
/// The file cannot be read, or is none.
pub fn read_treaty(path: &Path) -> Result<SignedTreaty, Failure> {
    let doing = format!("read the signed treaty `{}`", path.display());
    let mend = format!(
        "Make one with `sta treaty new`, have every member `sta treaty sign` it, and put it in the node's directory as `{TREATY_FILE}`."
    );
    let text = std::fs::read_to_string(path).trying_to(&doing).map_err(|failure| failure.mend(mend))?;
    serde_json::from_str(&text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

/// Makes the holder of `operator.token` the operator. Whoever can write in the node's directory is the operator anyway.
async fn know_operator(node: &Node, directory: &Path) -> Result<(), Failure> {
    let token = read_token(&directory.join(OPERATOR_TOKEN))?;
    let doing = "make the operator known";
    let digest = *sta_protocol::digest::Sha256Digest::of(token.as_bytes()).as_bytes();
    let known = node
        .store
        .read(|connection| crate::store::registry::researcher_by_token(connection, &digest))
        .trying_to(doing)?;
    if known.is_some_and(|person| person.id.as_str() == OPERATOR && person.roles.contains(&Role::Operator)) {
        return Ok(());
    }
    let operator = Researcher {
        id: OPERATOR.parse().trying_to(doing)?,
        // The operator runs no jobs, so no key signs any.
        holder: String::new(),
        roles: BTreeSet::from([Role::Operator]),
    };
    steps::registry::put_researcher(node, operator, &token).await.trying_to(doing)
}

/// Resolves at the first SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).trying_to("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).trying_to("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; running jobs go on under their supervisors");
    })
}

/// One line a record on standard error; `STA_LOG` chooses what, such as `sta_node=debug`.
pub(super) fn log_to_stderr(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process, as in tests, changes nothing.
    let _already = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
