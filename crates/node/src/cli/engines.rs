// SPDX-License-Identifier: Apache-2.0
//! The engines that the configuration names: of a node's sites, and of the one site that an agent serves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sta_protocol::treaty::{SignedTreaty, Site};

use super::failure::{Failure, Trying};
use crate::{
    config::{Config, DrivenEngine, SiteEngine},
    engines::{
        Capacity, Engine,
        agent::{AgentEngine, token},
        local::{LocalConfig, LocalEngine},
        slurm::{SlurmConfig, SlurmEngine},
    },
    node::Engines,
};

/// One engine for each site of a node.
///
/// # Errors
/// One of them does not open.
pub(super) fn engines(config: &Config, signed_treaty: &SignedTreaty) -> Result<Engines, Failure> {
    // `Node::open` verifies the signatures before anything runs on these numbers.
    let treaty = signed_treaty.peek_unverified().trying_to("read the treaty's sites")?;
    let mut engines = Engines::new();
    for site in &config.sites {
        let terms = treaty.site(&site.id);
        let engine = match &site.engine {
            SiteEngine::Agent => {
                let directory = token::directory_of(&config.directory, &site.id);
                let capacity = terms.map_or_else(Capacity::default, of_treaty);
                let engine = AgentEngine::open(directory, site.id.clone(), capacity);
                Arc::new(engine.trying_to(format!("open the engine of site `{}`", site.id))?)
            }
            SiteEngine::Driven(driven) => {
                let root = config.directory.join("engine").join(site.id.as_str());
                driven_engine(driven, root, &config.directory, terms)?
            }
        };
        engines.insert(site.id.clone(), engine);
    }
    Ok(engines)
}

/// An engine that this process drives: over `root`, with `secret` out of the jobs' sight. A node's site has what the treaty
/// opens, as far as this machine has it.
///
/// # Errors
/// It does not open.
pub(super) fn driven_engine(
    driven: &DrivenEngine,
    root: PathBuf,
    secret: &Path,
    terms: Option<&Site>,
) -> Result<Arc<dyn Engine>, Failure> {
    let doing = format!("open the engine in `{}`", root.display());
    match driven {
        DrivenEngine::Local => {
            let machine = Capacity::of_this_machine().trying_to(&doing)?;
            let capacity = terms.map_or_else(|| machine.clone(), |terms| within(&machine, terms));
            let mut local = LocalConfig::new(root, supervisor()?, capacity);
            local.hidden = vec![secret.to_owned()];
            Ok(Arc::new(LocalEngine::open(local).trying_to(doing)?))
        }
        DrivenEngine::Slurm(settings) => {
            // An agent knows no treaty: the node has checked each job against it, and the cluster checks it too.
            let boundless = || Capacity {
                cpu_cores: u32::MAX,
                memory_bytes: u64::MAX,
                gpus: [("gpu".to_owned(), u32::MAX)].into(),
            };
            let capacity = terms.map_or_else(boundless, of_treaty);
            let config = SlurmConfig { root, settings: (**settings).clone(), capacity };
            Ok(Arc::new(SlurmEngine::open(config).trying_to(doing)?))
        }
    }
}

/// The program that supervises jobs of the engine `local`: this one.
fn supervisor() -> Result<Vec<String>, Failure> {
    let doing = "find the program that supervises jobs";
    let program = std::env::current_exe().trying_to(doing)?;
    let program = program.to_str().ok_or_else(|| Failure::new(doing, "its path is not Unicode"))?;
    Ok(vec![program.to_owned(), "supervise".to_owned()])
}

fn within(machine: &Capacity, terms: &Site) -> Capacity {
    Capacity {
        cpu_cores: machine.cpu_cores.min(terms.resources.cpu_cores),
        memory_bytes: machine.memory_bytes.min(terms.resources.memory_bytes),
        gpus: machine.gpus.clone(),
    }
}

/// What a site has by the treaty, until its agent says it.
fn of_treaty(terms: &Site) -> Capacity {
    let gpus = terms.resources.gpus;
    Capacity {
        cpu_cores: terms.resources.cpu_cores,
        memory_bytes: terms.resources.memory_bytes,
        gpus: (gpus > 0).then(|| ("gpu".to_owned(), gpus)).into_iter().collect(),
    }
}
