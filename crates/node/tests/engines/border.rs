// SPDX-License-Identifier: Apache-2.0
//! The link between two members is cut under load: both clusters go on starting jobs, and afterwards both ledgers agree.
//!
//! A Slurm federation freezes here. `STA_CUT_S` says for how many seconds the link is cut, 20 when it is not given.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime},
};

use crate::harness::clusters::{Cluster, clusters};

mod link;
mod members;

use members::Members;

/// A member of this test, its one site and its one researcher.
#[derive(Debug, Clone, Copy)]
struct Party {
    name: &'static str,
    site: &'static str,
    person: &'static str,
}

/// Both.
const MEMBERS: [Party; 2] = [
    Party { name: "ca", site: "quebec-hydro", person: "ada" },
    Party { name: "de", site: "juelich", person: "bruno" },
];
/// Every how many jobs of a researcher one goes abroad.
const ABROAD_EVERY: usize = 4;
/// How long each researcher takes between two jobs.
const PACE: Duration = Duration::from_millis(700);
/// How long they work before the cut and after it.
const AROUND: Duration = Duration::from_secs(6);
/// How many local jobs of each side must begin during a cut of 20 s; there is one each second or so.
const STARTED_MIN: usize = 5;
/// How long everything may take to come to rest after the cut; a call that was lost is tried again after up to 30 s.
const PATIENCE: Duration = Duration::from_secs(180);

/// A job that somebody has handed in.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    /// Where it is to run: the index of the member.
    host: usize,
    abroad: bool,
}

/// The seconds since 1970 between which the link was cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    began: u64,
    ended: u64,
}

/// One researcher hands in jobs until told otherwise. Each writes its id, once each time it runs.
fn work(members: &Members, home: usize, ends: Instant, marks: &[String; 2]) -> Vec<Job> {
    let mut jobs = Vec::new();
    while Instant::now() < ends {
        let begun = Instant::now();
        let abroad = jobs.len() % ABROAD_EVERY == ABROAD_EVERY - 1;
        let host = if abroad { 1 - home } else { home };
        let name = format!("{}-{}", MEMBERS[home].name, jobs.len());
        // Those abroad take longer, so that some run when the link is cut and end before it heals.
        let seconds = if abroad { 4 } else { 1 };
        let script = format!("echo {name} >> {}/$(id -un); sleep {seconds}", marks[host]);
        let id = members.submit(MEMBERS[home].person, MEMBERS[host].site, &name, &script);
        jobs.push(Job { id, host, abroad });
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
    jobs
}

fn now_s() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// A directory that every account of the cluster can write into, for the marks of this run.
fn marks_of(cluster: &Cluster) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = cluster.scratch.join(format!("border-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Cuts the link in the middle of the work; says when, and what had ended abroad by then and was not known at home.
async fn cut_under_load(members: &Members, cut_for: Duration) -> Cut {
    tokio::time::sleep(AROUND).await;
    members.link.cut();
    let began = now_s();
    // What was on its way is through.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let carried = members.link.carried();
    tokio::time::sleep(cut_for).await;
    let ended = now_s();
    assert_eq!(members.link.carried(), carried, "something came through the cut");
    for [home, host] in [[0, 1], [1, 0]] {
        let done = members.look(
            MEMBERS[host].name,
            &format!("SELECT job FROM hosted WHERE home = '{}' AND state = 'finished'", MEMBERS[home].name),
        );
        let known: BTreeSet<String> = members
            .look(MEMBERS[home].name, "SELECT id FROM jobs WHERE ended_at IS NOT NULL")
            .into_iter()
            .collect();
        let unknown = done.iter().filter(|job| !known.contains(*job)).count();
        println!(
            "{} had ended {unknown} jobs of {} by the end of the cut that were not known at home",
            MEMBERS[host].name, MEMBERS[home].name
        );
    }
    members.link.heal();
    Cut { began, ended }
}

/// Waits until no job and no effect is open at either member.
async fn rest(members: &Members) -> Duration {
    let begun = Instant::now();
    loop {
        let open: Vec<String> = MEMBERS.iter().flat_map(|member| open(members, member.name)).collect();
        if open.is_empty() {
            return begun.elapsed();
        }
        let said = || MEMBERS.map(|member| members.said(member.name)).join("\n");
        assert!(begun.elapsed() < PATIENCE, "left to do: {open:?}\n{}", said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn open(members: &Members, member: &str) -> Vec<String> {
    [
        "SELECT name || ' is ' || state FROM jobs WHERE ended_at IS NULL",
        "SELECT job || ' is ' || state FROM hosted WHERE state != 'finished'",
        "SELECT lane || ' ' || kind || ': ' || coalesce(last_error, '') FROM outbox",
    ]
    .iter()
    .flat_map(|sql| members.look(member, sql))
    .map(|what| format!("{member}: {what}"))
    .collect()
}

/// When each of these jobs began by Slurm's own accounting, as often as it has them.
fn starts(cluster: &Cluster) -> BTreeMap<String, Vec<u64>> {
    let line = "SLURM_TIME_FORMAT=%s sacct -n -X -P -a -S now-1day -o JobName,Start,State";
    let mut starts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in cluster.ask(&cluster.observer, &["sh", "-c", line]).lines() {
        let columns: Vec<&str> = row.split('|').collect();
        if let [name, start, _state] = columns[..]
            && let Some(id) = name.strip_prefix("sta-")
        {
            starts.entry(id.to_owned()).or_default().push(start.parse().unwrap_or_default());
        }
    }
    starts
}

/// The same once accounting has heard of all of these jobs, which takes it some time.
fn starts_of(cluster: &Cluster, jobs: &[&Job]) -> BTreeMap<String, Vec<u64>> {
    let begun = Instant::now();
    loop {
        let starts = starts(cluster);
        if jobs.iter().all(|job| starts.contains_key(&job.id)) || begun.elapsed() > Duration::from_secs(30) {
            return starts;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Each job ran once, by what it wrote and by Slurm's accounting; gives how many local ones of each began during the cut.
fn everything_ran_once(both: [&Cluster; 2], jobs: &[Job], marks: &[String; 2], cut: Cut) -> [usize; 2] {
    let wanted = [0, 1].map(|at| jobs.iter().filter(|job| job.host == at).collect::<Vec<_>>());
    let starts = [0, 1].map(|at| starts_of(both[at], &wanted[at]));
    let mut written = 0;
    for path in marks {
        for file in std::fs::read_dir(path).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names: BTreeSet<&str> = text.lines().collect();
            assert_eq!(names.len(), text.lines().count(), "a job wrote twice: {text}");
            written += names.len();
        }
    }
    assert_eq!(written, jobs.len(), "lines that jobs wrote");
    for job in jobs {
        let found = [0, 1].map(|at| starts[at].get(&job.id).map_or(0, Vec::len));
        let wanted = if job.host == 0 { [1, 0] } else { [0, 1] };
        assert_eq!(found, wanted, "how often each cluster's accounting has {job:?}");
    }
    [0, 1].map(|at| {
        let local = jobs.iter().filter(|job| !job.abroad && job.host == at);
        // Slurm's stamps are whole seconds.
        local
            .filter(|job| starts[at][&job.id].iter().any(|start| (cut.began + 1..cut.ended).contains(start)))
            .count()
    })
}

/// Every job has ended well, its receipt is at home, and where it crossed the border the same bytes are at its host.
fn receipts_are_there(members: &Members, jobs: &[Job]) {
    for (at, member) in MEMBERS.iter().enumerate() {
        let ended = members.look(member.name, "SELECT state FROM jobs");
        let wrong: Vec<_> = ended.iter().filter(|state| *state != "completed").collect();
        assert!(wrong.is_empty(), "jobs of {} ended {wrong:?}", member.name);
        assert!(members.look(member.name, "SELECT id FROM jobs WHERE receipt IS NULL").is_empty());
        let host = MEMBERS[1 - at].name;
        for job in jobs.iter().filter(|job| job.abroad && job.host == 1 - at) {
            let at_home =
                members.look(member.name, &format!("SELECT receipt FROM jobs WHERE id = '{}'", job.id));
            let abroad = members.look(host, &format!("SELECT receipt FROM hosted WHERE job = '{}'", job.id));
            assert_eq!(at_home, abroad, "the receipts of {job:?}");
        }
    }
}

/// Both statements are the same to the digit, with one line for each job that crossed.
fn ledgers_agree(members: &Members, jobs: &[Job]) -> String {
    let period = members.look("ca", "SELECT DISTINCT period FROM receipts").pop().unwrap();
    let statements = [("ca", "de"), ("de", "ca")]
        .map(|(member, other)| members.sta(&["statement", &period, other, "--dir", member]));
    let digests = statements.each_ref().map(|statement| statement["digest"].as_str().unwrap().to_owned());
    assert_eq!(digests[0], digests[1], "{statements:?}");
    let lines = statements[0]["statement"]["lines"].as_array().unwrap();
    let crossed: BTreeSet<&str> = jobs.iter().filter(|job| job.abroad).map(|job| job.id.as_str()).collect();
    let listed: BTreeSet<&str> = lines.iter().map(|line| line["job"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), listed), (crossed.len(), crossed));
    digests[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_clusters_start_jobs_while_the_border_is_cut_and_both_ledgers_agree_afterwards() {
    let Some(up) = clusters() else { return };
    let named = |name: &str| up.iter().find(|cluster| cluster.name == name);
    let quebec = named("quebec24").or_else(|| named("quebec")).expect("a cluster for Canada");
    let both = [quebec, named("juelich").expect("a cluster for Germany")];
    let cut_s = std::env::var("STA_CUT_S").map_or(20, |text| text.parse().expect("STA_CUT_S is a number"));
    let (members, marks) = (Members::found(both), both.map(marks_of));
    let ends = Instant::now() + AROUND * 2 + Duration::from_secs(cut_s);
    let (cut, jobs) = std::thread::scope(|scope| {
        let (members, marks) = (&members, &marks);
        let people = [0, 1].map(|home| scope.spawn(move || work(members, home, ends, marks)));
        let cut = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(cut_under_load(members, Duration::from_secs(cut_s)))
        });
        (cut, people.map(|person| person.join().unwrap()).concat())
    });
    let healed = rest(&members).await;
    receipts_are_there(&members, &jobs);
    let started = everything_ran_once(both, &jobs, &marks, cut);
    let digest = ledgers_agree(&members, &jobs);
    let abroad = jobs.iter().filter(|job| job.abroad).count();
    println!(
        "cut for {cut_s} s: {} jobs, {abroad} of them abroad; local jobs begun during the cut: {} {} (Slurm {}), {} {} (Slurm {}); all at rest {:.1} s after the last; both statements {digest}",
        jobs.len(),
        both[0].name,
        started[0],
        both[0].version,
        both[1].name,
        started[1],
        both[1].version,
        healed.as_secs_f64(),
    );
    for path in &marks {
        std::fs::remove_dir_all(path).unwrap();
    }
    assert!(started.iter().all(|count| *count >= STARTED_MIN), "a cluster stood still: {started:?}");
}
