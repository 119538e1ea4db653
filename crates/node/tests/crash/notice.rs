// SPDX-License-Identifier: Apache-2.0
//! A guest that has to leave for the owner's jobs, again and again, while its host dies again and again: it comes to its end with
//! nothing lost, nothing counted twice, and both members of one mind.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use sta_protocol::{
    ids::JobId,
    job::{Checkpoint, JobSpec, Objective, Shape},
};

use super::{
    Death, LIVES, MEMBERS,
    pair::{Nodes, Pair},
    work::{answered, new_id, request_of},
};

/// How long all of it may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// How far the guest counts, ten times a second at best.
const COUNT: u32 = 200;
/// How many jobs the owner hands in, one after the other.
const BURSTS: usize = 2;

/// Jülich with so few cores that any machine has them: one for guests, and the owner's jobs want both.
fn small(treaty: &str) -> String {
    let small = treaty
        .replace("cpu_cores = 96", "cpu_cores = 2")
        .replace("guest_share_percent = 40", "guest_share_percent = 50");
    assert_ne!(small, treaty);
    small.replace("grace_s = 30", "grace_s = 2")
}

pub(super) fn spec(name: &str, project: &str, cpu_cores: u32, script: &str, output: &str) -> JobSpec {
    JobSpec {
        version: 1,
        name: name.to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        image: "host".to_owned(),
        project: project.parse().unwrap(),
        purpose: "research".to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets: Vec::new(),
        inputs: Vec::new(),
        outputs: vec![output.to_owned()],
        cpu_cores,
        memory_bytes: 64 << 20,
        gpus: 0,
        time_limit_s: 300,
        network: false,
        objective: Objective::CHEAPEST,
        sites_allowed: vec!["juelich".parse().unwrap()],
        sites_refused: Vec::new(),
        shape: Shape::default(),
        outputs_weights: Vec::new(),
        after: Vec::new(),
        attempts_max: 1,
        site_options: BTreeMap::new(),
        training: None,
        inputs_about: None,
        checkpoint: None,
    }
}

/// Counts in a file, which it saves when it has to leave.
pub(super) fn counting_to(count: u32) -> String {
    format!(
        "echo ran; trap 'cp counted $STA_CHECKPOINT_DIR/counted; exit 75' TERM
         cp $STA_CHECKPOINT_DIR/counted . 2>/dev/null; i=$(cat counted 2>/dev/null | wc -l)
         while [ $i -lt {count} ]; do i=$((i + 1)); echo $i >> counted; sleep 0.1; done"
    )
}

fn counting() -> JobSpec {
    let script = counting_to(COUNT);
    let checkpoint = Some(Checkpoint { on_signal: true, every_s: None });
    JobSpec { checkpoint, ..spec("guest", "crossing", 1, &script, "counted") }
}

/// A job, what hands it in, and whether that was answered.
pub(super) struct Asked {
    pub(super) id: JobId,
    who: &'static str,
    home: &'static str,
    request: Value,
    answered: bool,
}

impl Asked {
    pub(super) fn new(pair: &Pair, (who, home): (&'static str, &'static str), spec: JobSpec) -> Self {
        let id = new_id();
        Self { id, who, home, request: request_of(&pair.profile_of(who), id, spec), answered: false }
    }

    /// Where home has it; of one that runs, with its attempt.
    fn state(&self, pair: &Pair) -> String {
        let of_attempt = "CASE state WHEN 'running' THEN ' ' || attempt ELSE '' END";
        let sql = format!("SELECT state || {of_attempt} FROM jobs WHERE id = '{}'", self.id);
        pair.look(self.home, &sql).pop().unwrap_or_default()
    }

    /// At which site home has it.
    pub(super) fn site(&self, pair: &Pair) -> String {
        let sql = format!("SELECT site FROM jobs WHERE id = '{}'", self.id);
        pair.look(self.home, &sql).pop().unwrap_or_default()
    }

    /// Goes on until the job is in that state, through whatever deaths.
    pub(super) async fn until(&mut self, pair: &Pair, nodes: &mut Nodes, state: &str, began: Instant) {
        loop {
            nodes.revive(pair);
            if !self.answered {
                let client = pair.profile_of(self.who).client().unwrap();
                self.answered = answered(&client, "/v1/jobs", Some(&self.request)).await;
            }
            let now = self.state(pair);
            if now == state {
                return;
            }
            let late = || format!("{} is {now}\nca: {}\nde: {}", self.id, nodes.said(0), nodes.said(1));
            assert!(began.elapsed() < PATIENCE && now != "failed" && now != "refused", "{}", late());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
}

#[test]
fn a_guest_that_leaves_while_its_host_dies_again_and_again_comes_to_its_end_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pair = Pair::found_under(small).await;
        let death = |n: u64| Death { side: ["before", "after"][n as usize % 2], commit: 2 + n * 5 % 9 };
        let mut nodes = pair.start([Vec::new(), (0..LIVES).map(death).collect()]);
        let began = Instant::now();
        let mut guest = Asked::new(&pair, ("ada", "ca"), counting());
        guest.until(&pair, &mut nodes, "running 1", began).await;
        for burst in 1..=BURSTS {
            let spec = spec("burst", "lending", 2, "echo ran; sleep 1; echo x > out", "out");
            let mut owner = Asked::new(&pair, ("sofia", "de"), spec);
            owner.until(&pair, &mut nodes, "completed", began).await;
            assert_ne!(guest.state(&pair), "completed", "it was not there any more when the owner came");
            guest.until(&pair, &mut nodes, &format!("running {}", burst + 1), began).await;
        }
        guest.until(&pair, &mut nodes, "completed", began).await;
        println!("{} deaths while the guest left {BURSTS} times", nodes.owed.len());
        assert!(nodes.owed.len() > 3, "it hardly died");
        nodes.restart("de");
        quiet(&pair, &mut nodes, began).await;
        nothing_is_lost(&pair, guest.id).await;
    });
}

pub(super) async fn quiet(pair: &Pair, nodes: &mut Nodes, began: Instant) {
    let owed =
        || MEMBERS.iter().flat_map(|member| pair.look(member, "SELECT kind FROM outbox")).collect::<Vec<_>>();
    while !owed().is_empty() {
        nodes.revive(pair);
        assert!(began.elapsed() < PATIENCE, "{:?} is left to do", owed());
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn nothing_is_lost(pair: &Pair, guest: JobId) {
    let counted = pair.ada().text(&format!("/v1/jobs/{guest}/outputs/counted")).await.unwrap();
    let all: String = (1..=COUNT).map(|number| format!("{number}\n")).collect();
    assert_eq!(counted, all, "nothing is lost and nothing is counted twice");
    let document = pair.ada().get(&format!("/v1/jobs/{guest}")).await.unwrap();
    let ends: Vec<&str> = document["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["exit"]["kind"].as_str().unwrap())
        .collect();
    let (last, before) = ends.split_last().unwrap();
    assert!(
        *last == "code" && before.iter().all(|end| *end == "reclaimed") && before.len() >= BURSTS,
        "{ends:?}"
    );
    // Both have a receipt for each attempt, the same ones, and the log of the host a notice for each that left.
    let sql = format!("SELECT receipt FROM receipts WHERE job = '{guest}' ORDER BY attempt");
    let [at_home, at_host] = MEMBERS.map(|member| pair.look(member, &sql));
    assert_eq!(at_home, at_host);
    assert_eq!(at_home.len(), ends.len());
    let notices =
        format!("SELECT count(*) FROM audit_payloads WHERE kind = 'job.reclaimed' AND subject = '{guest}'");
    assert_eq!(pair.look("de", &notices), [before.len().to_string()]);
    // Each attempt began once.
    for attempt in 1..=ends.len() {
        let run = if attempt == 1 { guest.to_string() } else { format!("{guest}.{attempt}") };
        let said = std::fs::read_to_string(pair.path(&format!("de/engine/juelich/{run}/stdout"))).unwrap();
        assert_eq!(said, "ran\n", "attempt {attempt}");
    }
    assert!(!pair.path(&format!("de/engine/juelich/{guest}.checkpoint")).exists(), "what it saved is gone");
    // What was paid is what the receipts say, and nothing is set aside any more.
    let account = pair.look("ca", "SELECT posted || ' ' || pending FROM projects WHERE id = 'crossing'");
    let price = document["price_micro"].as_i64().unwrap();
    assert_eq!(account, [format!("{price} 0")]);
}
