// SPDX-License-Identifier: Apache-2.0
//! What must hold when all is quiet again, each looked up where no node can have talked it into being true.

use std::{collections::BTreeMap, fs, path::PathBuf};

use sta_protocol::{federation::Receipt, jws::Signed};

use super::{
    MEMBERS,
    pair::{NOTE, Pair},
    work::{Job, RAN, Work},
};

/// Entries that are about one job, or one order to stop, and happen to it once at most, at each of the members.
const ONCE: &str = "'job.submitted', 'job.refused', 'job.admission-received', 'job.cancel-asked', 'job.settled', 'job.ended',
    'job.admitted', 'job.withdrawn', 'job.started', 'job.finished', 'offer.refused', 'offer.withdrawn',
    'job.suspended', 'job.resumed', 'hold.released', 'stop.received', 'stop.lifted'";

/// Holds both members to everything.
pub(super) async fn all_hold(pair: &Pair, work: &Work) {
    for job in &work.jobs {
        assert_eq!(job.look(pair, "state"), [job.end], "`{}` ended", job.name);
        runs_are_right(pair, job);
        receipts_are_equal(pair, job);
    }
    nothing_ran_unadmitted(pair);
    outputs_are_home(pair, &work.jobs[0]).await;
    work.held.iter().for_each(|held| held.was_obeyed(pair));
    ledger_is_settled(pair).await;
    statements_are_equal(pair, work).await;
    entries_are_once(pair);
    logs_verify(pair);
}

/// The directories that the engines of a member have made for jobs.
fn engine_directories(pair: &Pair, member: &str) -> Vec<PathBuf> {
    let sites = fs::read_dir(pair.path(member).join("engine")).unwrap();
    let jobs = sites.flat_map(|site| fs::read_dir(site.unwrap().path()).unwrap());
    jobs.map(|job| job.unwrap().path()).collect()
}

/// What a job says goes to the end of one file of its engine, however often it is begun.
fn runs_are_right(pair: &Pair, job: &Job) {
    let directories = MEMBERS.iter().flat_map(|member| engine_directories(pair, member));
    let own = directories.filter(|path| path.ends_with(job.id.to_string()));
    let said: String = own.map(|path| fs::read_to_string(path.join("stdout")).unwrap_or_default()).collect();
    let runs = said.matches(RAN).count();
    assert!(runs >= job.runs.0 && runs <= job.runs.1, "`{}` ran {runs} times", job.name);
    assert_eq!(said, RAN.repeat(runs), "`{}` said something else", job.name);
}

fn nothing_ran_unadmitted(pair: &Pair) {
    for member in MEMBERS {
        let admitted =
            pair.look(member, "SELECT job FROM hosted WHERE state = 'finished' AND receipt IS NOT NULL");
        for directory in engine_directories(pair, member) {
            let name = directory.file_name().unwrap().to_str().unwrap();
            assert!(admitted.iter().any(|job| job == name), "{member} has run {name} without an admission");
        }
    }
}

/// Home's and host's receipt of a job are the same bytes; a job that was never admitted has none on either side.
fn receipts_are_equal(pair: &Pair, job: &Job) {
    let at_home = job.look(pair, "coalesce(receipt, '')");
    let sql = format!("SELECT receipt FROM hosted WHERE job = '{}'", job.id);
    let at_host: Vec<String> = MEMBERS.iter().flat_map(|member| pair.look(member, &sql)).collect();
    assert!(at_host.len() <= 1, "`{}` was admitted twice", job.name);
    assert_eq!(at_home[0], at_host.first().cloned().unwrap_or_default(), "the receipts of `{}`", job.name);
    assert_eq!(
        at_home[0].is_empty(),
        job.end == "refused" || at_host.is_empty(),
        "the receipt of `{}`",
        job.name
    );
}

/// What a job made abroad is at home, made once.
async fn outputs_are_home(pair: &Pair, job: &Job) {
    let document = pair.ada().get(&format!("/v1/jobs/{}", job.id)).await.unwrap();
    assert_eq!(document["outputs"][0]["here"], true, "{document}");
    let copy = pair.ada().text(&format!("/v1/jobs/{}/outputs/copy.txt", job.id)).await.unwrap();
    assert_eq!(copy, NOTE);
}

/// Nothing is set aside any more, and what was paid is what the receipts say.
async fn ledger_is_settled(pair: &Pair) {
    let projects = pair.operator("ca").get("/v1/projects").await.unwrap();
    let receipts = pair.look("ca", "SELECT receipt FROM jobs WHERE receipt IS NOT NULL");
    let price = |text: String| {
        let receipt: Signed<Receipt> = serde_json::from_value(text.into()).unwrap();
        receipt.peek_unverified().unwrap().price_micro
    };
    let paid: i64 = receipts.into_iter().map(price).sum();
    let account = &projects["projects"][0];
    assert_eq!((account["pending_micro"].as_i64(), account["posted_micro"].as_i64()), (Some(0), Some(paid)));
    let open = "SELECT id FROM transfers AS hold WHERE kind = 'hold' AND NOT EXISTS (SELECT 1 FROM transfers WHERE hold = hold.id)";
    assert_eq!(pair.look("ca", open), [""; 0], "holds that were neither paid nor given back");
}

/// Both members come to the same statement, with one line for each receipt across the border.
async fn statements_are_equal(pair: &Pair, work: &Work) {
    let period = pair.look("ca", "SELECT DISTINCT period FROM receipts").pop().unwrap();
    let mut digests = Vec::new();
    for (member, other) in [("ca", "de"), ("de", "ca")] {
        let path = format!("/v1/statements/{period}/{other}?compare=true");
        let answer = pair.operator(member).get(&path).await.unwrap();
        assert_eq!(answer["equal"], true, "{member}: {answer}");
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for line in answer["statement"]["lines"].as_array().unwrap() {
            *lines.entry(line["job"].as_str().unwrap()).or_default() += 1;
        }
        for job in &work.jobs {
            let abroad = job.look(pair, "receipt IS NOT NULL AND host = 'de'") == ["1"];
            let found = lines.get(job.id.to_string().as_str()).copied().unwrap_or_default();
            assert_eq!(found, usize::from(abroad), "lines of `{}` in the statement of {member}", job.name);
        }
        digests.push(answer["digest"].clone());
    }
    assert_eq!(digests[0], digests[1]);
}

/// No log tells of the same thing twice.
fn entries_are_once(pair: &Pair) {
    let sql = format!(
        "SELECT kind || ' ' || subject FROM audit_payloads WHERE kind IN ({ONCE}) GROUP BY kind, subject HAVING count(*) > 1"
    );
    for member in MEMBERS {
        assert_eq!(pair.look(member, &sql), [""; 0], "entries that the log of {member} has more than once");
    }
}

/// Both logs, as anyone can export them, hold with nothing but the treaty's keys, up to their last entry.
fn logs_verify(pair: &Pair) {
    for member in MEMBERS {
        let exported = pair.sta(&["audit", "export", &format!("log-{member}"), "--dir", member]);
        let entries = pair.look(member, "SELECT count(*) FROM audit_entries");
        assert_eq!(exported["entries"].to_string(), entries[0], "the log of {member} is exported whole");
    }
    let verified = pair.sta(&["verify", "--treaty", "treaty.jws.json", "log-ca", "log-de"]);
    for outcome in verified["outcomes"].as_array().unwrap() {
        assert_eq!(outcome["holds"]["witnesses"].as_array().map(Vec::len), Some(1), "{verified}");
    }
}
