// SPDX-License-Identifier: Apache-2.0
//! A guest that has to leave and whose turn has come at home goes on there with what it saved, while both members die again and again:
//! it comes to its end with nothing lost, nothing counted twice, and both of one mind.

use std::time::{Duration, Instant};

use sta_protocol::job::{Checkpoint, JobSpec, Objective};

use super::{
    Death, LIVES, MEMBERS,
    notice::{Asked, PATIENCE, counting_to, quiet, spec},
    pair::Pair,
};

/// How far the guest counts, ten times a second at best.
const COUNT: u32 = 150;

/// Two sites with so few cores that any machine has them: Québec with one, Jülich with two, of which guests may have one.
fn small(treaty: &str) -> String {
    let small = treaty
        .replace("cpu_cores = 64", "cpu_cores = 1")
        .replace("cpu_cores = 96", "cpu_cores = 2")
        .replace("guest_share_percent = 40", "guest_share_percent = 50");
    assert!(small.contains("cpu_cores = 1,") && small.contains("cpu_cores = 2,"), "{small}");
    small.replace("grace_s = 30", "grace_s = 2")
}

/// Goes where it begins soonest, of the sites of both members.
fn counting() -> JobSpec {
    let checkpoint = Some(Checkpoint { on_signal: true, every_s: None });
    let sites_allowed = ["quebec-hydro", "juelich"].map(|site| site.parse().unwrap()).to_vec();
    let script = counting_to(COUNT);
    JobSpec {
        checkpoint,
        objective: Objective::SOONEST,
        sites_allowed,
        ..spec("guest", "crossing", 1, &script, "counted")
    }
}

#[test]
fn a_guest_that_goes_home_while_both_members_die_again_and_again_comes_to_its_end_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pair = Pair::found_under(small).await;
        let at_home = |n: u64| Death { side: ["after", "before"][n as usize % 2], commit: 5 + n * 7 % 11 };
        let at_host = |n: u64| Death { side: ["before", "after"][n as usize % 2], commit: 3 + n * 5 % 9 };
        let deaths = [(0..4 * LIVES).map(at_home).collect(), (0..4 * LIVES).map(at_host).collect()];
        let mut nodes = pair.start(deaths);
        let began = Instant::now();
        let filler = spec("filler", "crossing", 1, "sleep 20; echo x > out", "out");
        let quebec = vec!["quebec-hydro".parse().unwrap()];
        let mut filler = Asked::new(&pair, ("ada", "ca"), JobSpec { sites_allowed: quebec, ..filler });
        filler.until(&pair, &mut nodes, "running 1", began).await;
        while pair.look("ca", "SELECT site FROM site_reports WHERE site = 'juelich'").is_empty() {
            nodes.revive(&pair);
            assert!(began.elapsed() < PATIENCE, "Germany never tells of Jülich");
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        let mut guest = Asked::new(&pair, ("ada", "ca"), counting());
        guest.until(&pair, &mut nodes, "running 1", began).await;
        assert_eq!(guest.site(&pair), "juelich");
        // It holds Jülich for longer than the filler holds Québec.
        let burst = spec("burst", "lending", 2, "sleep 60; echo x > out", "out");
        let mut burst = Asked::new(&pair, ("sofia", "de"), burst);
        burst.until(&pair, &mut nodes, "running 1", began).await;
        guest.until(&pair, &mut nodes, "completed", began).await;
        assert_eq!(guest.site(&pair), "quebec-hydro");
        burst.until(&pair, &mut nodes, "completed", began).await;
        println!("{} deaths while the guest went home: {:?}", nodes.owed.len(), nodes.owed);
        let moving = ["take-back", "hand-back", "fetch-saved"];
        let is_met = |owed: &Vec<String>| owed.iter().any(|effect| moving.contains(&effect.as_str()));
        assert!(nodes.owed.len() > 6 && nodes.owed.iter().any(is_met), "they hardly died: {:?}", nodes.owed);
        nodes.restart("ca");
        nodes.restart("de");
        quiet(&pair, &mut nodes, began).await;
        nothing_is_lost(&pair, &guest).await;
    });
}

async fn nothing_is_lost(pair: &Pair, guest: &Asked) {
    let id = guest.id;
    let counted = pair.ada().text(&format!("/v1/jobs/{id}/outputs/counted")).await.unwrap();
    let all: String = (1..=COUNT).map(|number| format!("{number}\n")).collect();
    assert_eq!(counted, all, "nothing is lost and nothing is counted twice");
    let document = pair.ada().get(&format!("/v1/jobs/{id}")).await.unwrap();
    let attempts = document["attempts"].as_array().unwrap();
    let ends: Vec<&str> = attempts.iter().map(|one| one["exit"]["kind"].as_str().unwrap()).collect();
    assert_eq!(ends, ["reclaimed", "cancelled", "code"], "{document}");
    // The host has the receipts that are its own, the same ones as home, and each member tells of its part.
    let receipts = format!("SELECT receipt FROM receipts WHERE job = '{id}' ORDER BY attempt");
    let [at_home, at_host] = MEMBERS.map(|member| pair.look(member, &receipts));
    assert_eq!((at_home.len(), &at_home[..2]), (3, &at_host[..]));
    let entries = |member: &str, kind: &str| {
        let sql = format!("SELECT count(*) FROM audit_payloads WHERE kind = '{kind}' AND subject = '{id}'");
        pair.look(member, &sql).pop().unwrap()
    };
    assert_eq!([entries("de", "job.handed-back"), entries("ca", "job.taken-back")], ["1", "1"]);
    // Each attempt that began did so once.
    for place in [format!("de/engine/juelich/{id}"), format!("ca/engine/quebec-hydro/{id}.3")] {
        let said = std::fs::read_to_string(pair.path(&format!("{place}/stdout"))).unwrap();
        assert_eq!(said, "ran\n", "{place}");
    }
    for place in ["de/engine/juelich", "ca/engine/quebec-hydro"] {
        assert!(
            !pair.path(&format!("{place}/{id}.checkpoint")).exists(),
            "what it saved is gone from {place}"
        );
    }
    let account = pair.look("ca", "SELECT pending FROM projects WHERE id = 'crossing'");
    assert_eq!(account, ["0"], "nothing is set aside any more");
}
