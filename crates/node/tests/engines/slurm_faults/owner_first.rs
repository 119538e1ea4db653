// SPDX-License-Identifier: Apache-2.0
//! The running federation over real clusters: a burst of the owner has guests leave within the grace time, those that run and those
//! that wait before it, and no others; they go on from what they saved, and nothing is lost. Beside them the cluster has load of
//! which the treaty knows nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sta_node::engines::{
    Engine, RunId,
    slurm::{SlurmConfig, SlurmEngine},
};
use sta_protocol::{
    ids::SiteId,
    job::{Checkpoint, JobSpec, Objective},
    treaty::{Resources, Sharing, Treaty},
};

use super::{BadSite, on_both_majors};
use crate::{
    engines::{Site, agent::AgentSite},
    harness::{TestNode, World, clusters::Cluster, spec},
};

/// How long a guest has to save its work.
const GRACE: Duration = Duration::from_secs(2);
/// What may pass beside it until the owner's jobs run: two looks at the queue, and what a busy machine adds.
const BESIDE: Duration = Duration::from_secs(30);

on_both_majors! {
    a_burst_of_the_owner_reclaims_guests_within_the_grace_time_and_nothing_is_lost
    the_same_burst_at_a_site_behind_an_agent
    a_guest_stays_while_its_going_would_not_help_and_leaves_once_it_does
}

/// A site whose operator knows the researchers of two members.
struct Shared(SlurmConfig);

impl Site for Shared {
    fn open(&self) -> Box<dyn Engine> {
        Box::new(SlurmEngine::open(self.0.clone()).unwrap())
    }
    fn grace(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The engine's settings with an account for Ada of each member.
fn shared(site: &BadSite) -> SlurmConfig {
    let mut config = site.config();
    let cluster = &site.turn.cluster;
    let row = |(member, account): (&str, &String)| {
        let row = json!({"member": member, "researcher": "ada", "account": account, "slurm_account": cluster.slurm_account});
        serde_json::from_value(row).unwrap()
    };
    config.settings.accounts = ["ca", "de"].into_iter().zip(&cluster.accounts).map(row).collect();
    config
}

/// The treaty gives the whole cluster to the site, and guests nine tenths of it.
fn terms(cluster: &Cluster, site: &str) -> impl FnOnce(&mut Treaty) {
    let nodes = u32::try_from(cluster.nodes.len()).unwrap();
    let resources = Resources {
        cpu_cores: cluster.cpus_per_node * nodes,
        memory_bytes: (cluster.memory_mb_per_node * u64::from(nodes)) << 20,
        gpus: cluster.gpus_per_node * nodes,
    };
    let site: SiteId = site.parse().unwrap();
    move |treaty| {
        let grace_s = u32::try_from(GRACE.as_secs()).unwrap();
        treaty.sharing = Some(Sharing { grace_s, ..Sharing::default() });
        let terms = treaty.sites.iter_mut().find(|terms| terms.id == site).unwrap();
        (terms.resources, terms.guest_share_percent) = (resources, 90);
    }
}

/// Waits until nothing is left on the cluster of what earlier tests began there.
async fn emptied(site: &BadSite) {
    for account in &site.turn.cluster.accounts {
        site.operate(&["scancel", "-u", account]).await;
    }
    let begun = Instant::now();
    while !site.operate(&["squeue", "-h", "-t", "PD,R,CG", "-o", "%A"]).await.trim().is_empty() {
        assert!(begun.elapsed() < crate::engines::PATIENCE, "the cluster is never empty");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Who meets at a site.
struct Meeting<'a> {
    owner: &'a TestNode,
    guest: &'a TestNode,
    site: &'a str,
    cluster: &'a Cluster,
}

/// Work of somebody else on the cluster; gone with this.
struct OtherLoad<'a>(&'a Cluster);

impl<'a> OtherLoad<'a> {
    /// All of these nodes.
    fn on(cluster: &'a Cluster, nodes: &[String]) -> Self {
        for node in nodes {
            let list = format!("--nodelist={node}");
            let account = format!("--account={}", cluster.slurm_account);
            let words = ["sbatch", "--exclusive", "--job-name=other", "--output=/dev/null", "--time=10"];
            let words = [&words[..], &[&list, &account, "--chdir=/", "--wrap=sleep 300"]].concat();
            cluster.ask(&cluster.accounts[2], &words);
        }
        Self(cluster)
    }
}

impl Drop for OtherLoad<'_> {
    fn drop(&mut self) {
        self.0.ask(&self.0.accounts[2], &["scancel", "-n", "other", "-u", &self.0.accounts[2]]);
    }
}

impl Meeting<'_> {
    /// So many quarters of a node's cores.
    fn quarters(&self, count: u32) -> u32 {
        self.cluster.cpus_per_node * count / 4
    }

    fn shell(&self, name: &str, quarters: u32, script: &str, outputs: &[&str]) -> JobSpec {
        JobSpec {
            name: name.to_owned(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            cpu_cores: self.quarters(quarters),
            memory_bytes: 64 << 20,
            outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
            sites_allowed: vec![self.site.parse().unwrap()],
            ..spec()
        }
    }

    /// A guest that counts in a file, saves the file when it has to leave, and goes on from it.
    fn counting(&self) -> JobSpec {
        let script = "trap 'cp counted $STA_CHECKPOINT_DIR/counted; exit 75' TERM
            cp $STA_CHECKPOINT_DIR/counted . 2>/dev/null; i=$(cat counted 2>/dev/null | wc -l)
            while [ $i -lt 100 ]; do i=$((i + 1)); echo $i >> counted; sleep 0.1; done";
        let checkpoint = Some(Checkpoint { on_signal: true, every_s: None });
        JobSpec { checkpoint, ..self.shell("counting", 3, script, &["counted"]) }
    }

    async fn of_guest(&self, spec: &JobSpec, state: &str) -> String {
        let job = submitted(self.guest, spec).await;
        self.guest.wait_for("ada", &job, state).await;
        job
    }

    /// Waits until the cluster itself has a job, and what it says of it.
    async fn in_queue(&self, job: &str, state: &str) {
        let begun = Instant::now();
        let name = format!("sta-{job}");
        loop {
            let said = self.cluster.ask(&self.cluster.observer, &["squeue", "-h", "-n", &name, "-o", "%T"]);
            if said.trim() == state {
                return;
            }
            assert!(begun.elapsed() < crate::engines::PATIENCE, "it is not {state} but {said}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn completes(&self, node: &TestNode, job: &str) -> Value {
        node.wait_for("ada", job, "completed").await
    }

    async fn output(&self, node: &TestNode, job: &str, name: &str) -> String {
        node.get("ada", &format!("/v1/jobs/{job}/outputs/{name}")).await.text()
    }

    async fn burst(&self) {
        let nodes = &self.cluster.nodes;
        // Two nodes are left to the members.
        let _other = OtherLoad::on(self.cluster, &nodes[2..]);
        let saving = self.of_guest(&self.counting(), "running").await;
        let deaf = self.shell(
            "deaf",
            3,
            "trap '' TERM; n=0; while [ $n -lt 20 ]; do sleep 1; n=$((n + 1)); done; echo all > work",
            &["work"],
        );
        let deaf = self.of_guest(&deaf, "running").await;
        // The youngest of all, whose going would not help; and one that waits in the queue before the burst.
        let small =
            self.of_guest(&self.shell("small", 1, "sleep 20; echo small > work", &["work"]), "running").await;
        let waits = self.of_guest(&self.shell("waits", 3, "echo late > work", &["work"]), "admitted").await;
        self.in_queue(&waits, "PENDING").await;

        let burst = Instant::now();
        let mut owners = Vec::new();
        for _ in 0..2 {
            let spec = self.shell("burst", 3, "sleep 6; echo done > out", &["out"]);
            owners.push(submitted(self.owner, &spec).await);
        }
        for owner in &owners {
            self.owner.wait_for("ada", owner, "running").await;
        }
        let waited = burst.elapsed();
        assert!(waited < GRACE + BESIDE, "{waited:?}");
        for guest in [&saving, &deaf, &waits] {
            let told = self.guest.wait_for("ada", guest, "admitted").await;
            assert_eq!(kinds(&told), ["reclaimed"], "{told}");
        }
        for owner in &owners {
            let told = self.completes(self.owner, owner).await;
            assert_eq!((kinds(&told), told.get("notice_at")), (vec!["code"], None));
            assert_eq!(self.output(self.owner, owner, "out").await, "done\n");
        }
        for guest in [&saving, &deaf, &waits] {
            let told = self.completes(self.guest, guest).await;
            assert_eq!(kinds(&told), ["reclaimed", "code"], "{told}");
        }
        let told = self.completes(self.guest, &small).await;
        assert_eq!(kinds(&told), ["code"], "it was not needed: {told}");
        let all: String = (1..=100).map(|number| format!("{number}\n")).collect();
        assert_eq!(self.output(self.guest, &saving, "counted").await, all, "nothing is lost or repeated");
        assert_eq!(self.output(self.guest, &deaf, "work").await, "all\n");
        assert_eq!(self.output(self.guest, &waits, "work").await, "late\n");
        let began = |job: &Value| job["attempts"][0]["started_at"].clone();
        let unbegun = self.guest.get("ada", &format!("/v1/jobs/{waits}")).await.ok();
        assert_eq!(began(&unbegun), Value::Null, "what waited was ended where it waited");
        assert_eq!(self.guest.stands_as_replayed().await.len(), 4);
        assert_eq!(self.owner.stands_as_replayed().await.len(), 2);
        let taken_ms = self.guest.stands_as_beside(self.owner).await;
        assert!(taken_ms >= u64::from(self.quarters(3)) * 30_000, "ten seconds and twenty alone: {taken_ms}");
        println!("the owner's two jobs ran {waited:?} after the burst, with a grace of {GRACE:?}");
    }
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> String {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned()
}

fn kinds(job: &Value) -> Vec<&str> {
    job["attempts"].as_array().unwrap().iter().map(|ended| ended["exit"]["kind"].as_str().unwrap()).collect()
}

async fn a_burst_of_the_owner_reclaims_guests_within_the_grace_time_and_nothing_is_lost(site: BadSite) {
    emptied(&site).await;
    let cluster = &site.turn.cluster;
    let world = World::on_cluster(shared(&site), terms(cluster, "juelich")).await;
    world.run();
    Meeting { owner: &world.de, guest: &world.ca, site: "juelich", cluster }.burst().await;
}

async fn the_same_burst_at_a_site_behind_an_agent(site: BadSite) {
    emptied(&site).await;
    let cluster = &site.turn.cluster;
    let behind = AgentSite::under(Shared(shared(&site)), terms(cluster, "quebec-hydro")).await;
    behind.world.run();
    let _engine = behind.open();
    Meeting { owner: &behind.world.ca, guest: &behind.world.de, site: "quebec-hydro", cluster }.burst().await;
}

async fn a_guest_stays_while_its_going_would_not_help_and_leaves_once_it_does(site: BadSite) {
    emptied(&site).await;
    let cluster = &site.turn.cluster;
    let world = World::on_cluster(shared(&site), terms(cluster, "juelich")).await;
    world.run();
    let meeting = Meeting { owner: &world.de, guest: &world.ca, site: "juelich", cluster };
    let other = OtherLoad::on(cluster, &cluster.nodes[2..]);
    let guest = meeting.of_guest(&meeting.shell("guest", 3, "sleep 600", &[]), "running").await;
    // By the treaty's figures there is room for it, and were the guest gone there would be; on the cluster there is not.
    let over_three = JobSpec {
        shape: sta_protocol::job::Shape { nodes: 3, tasks: 3, ..spec().shape },
        ..meeting.shell("wide", 4, "echo wide > out", &["out"])
    };
    let wide = submitted(meeting.owner, &over_three).await;
    meeting.in_queue(&wide, "PENDING").await;
    // One node is free, so that this one has room behind it.
    let narrow = meeting.shell("narrow", 4, "sleep 25; echo narrow > out", &["out"]);
    let narrow = submitted(meeting.owner, &JobSpec { time_limit_s: 60, ..narrow }).await;
    meeting.in_queue(&narrow, "RUNNING").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let told = meeting.guest.get("ada", &format!("/v1/jobs/{guest}")).await.ok();
    assert_eq!((&told["state"], told.get("notice_at")), (&json!("running"), None), "{told}");
    // Without the other load the guest alone is in the way, there where it is: it leaves.
    drop(other);
    let told = meeting.guest.wait_for("ada", &guest, "admitted").await;
    assert_eq!(kinds(&told), ["reclaimed"], "{told}");
    meeting.completes(meeting.owner, &wide).await;
    meeting.guest.post("ada", &format!("/v1/jobs/{guest}/cancel"), &json!({})).await.ok();
    meeting.guest.wait_for("ada", &guest, "cancelled").await;
}

/// The way home from a cluster; how its archives are made and read on each kind of site, the conformance suite has.
#[tokio::test]
async fn a_guest_that_had_to_leave_a_cluster_goes_home_with_what_it_saved() {
    let Some(site) = BadSite::of("22.").await else { return };
    emptied(&site).await;
    let cluster = &site.turn.cluster;
    let world = World::on_cluster(shared(&site), terms(cluster, "juelich")).await;
    world.run();
    let meeting = Meeting { owner: &world.de, guest: &world.ca, site: "juelich", cluster };
    let _other = OtherLoad::on(cluster, &cluster.nodes[1..]);
    let filler = JobSpec {
        command: vec!["wait".to_owned()],
        cpu_cores: 64,
        sites_allowed: vec!["quebec-hydro".parse().unwrap()],
        ..spec()
    };
    let filler = meeting.of_guest(&filler, "running").await;
    // Until the members have told each other of their sites.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let sites_allowed = ["quebec-hydro", "juelich"].map(|site| site.parse().unwrap()).to_vec();
    let guest = JobSpec { sites_allowed, objective: Objective::SOONEST, ..meeting.counting() };
    let guest = meeting.of_guest(&guest, "running").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let burst = submitted(meeting.owner, &meeting.shell("burst", 3, "sleep 590", &[])).await;
    meeting.owner.wait_for("ada", &burst, "running").await;
    meeting.guest.post("ada", &format!("/v1/jobs/{filler}/cancel"), &json!({})).await.ok();
    let began = Instant::now();
    let told = loop {
        let told = meeting.guest.get("ada", &format!("/v1/jobs/{guest}")).await.ok();
        if told["site"] == "quebec-hydro" && told["state"] == "running" {
            break told;
        }
        assert!(began.elapsed() < crate::engines::PATIENCE, "it never goes home: {told}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!((kinds(&told), &told["attempt"]), (vec!["reclaimed", "cancelled"], &json!(3)), "{told}");
    let run = RunId { job: guest.parse().unwrap(), attempt: 3 };
    let (_, archive) = world.ca.engine.came_with(run).expect("it came with what it saved");
    let mut archive = tar::Archive::new(&archive[..]);
    let mut counted = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("counted") {
            std::io::Read::read_to_string(&mut entry, &mut counted).unwrap();
        }
    }
    let lines = counted.lines().count();
    let so_far: String = (1..=lines).map(|number| format!("{number}\n")).collect();
    assert!(lines > 10 && counted == so_far, "what it had counted until it left: {counted}");
    for (node, job) in [(meeting.owner, &burst), (meeting.guest, &guest)] {
        node.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
        node.wait_for("ada", job, "cancelled").await;
    }
    meeting.guest.stands_as_replayed().await;
    assert!(meeting.guest.stands_as_beside(meeting.owner).await > 0);
}
