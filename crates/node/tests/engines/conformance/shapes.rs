// SPDX-License-Identifier: Apache-2.0
//! Jobs that ask for more than a processor: accelerators, several nodes, several processes.

use std::collections::BTreeSet;

use sta_node::engines::{EngineJob, Exit, Objection};
use sta_protocol::job::Shape;

use crate::engines::{Site, code, run, stdout};

pub(in crate::engines) async fn a_job_sees_the_accelerators_it_asked_for_and_no_others(site: &dyn Site) {
    let engine = site.open();
    let job = EngineJob { gpus: 2, ..site.shell("echo $CUDA_VISIBLE_DEVICES") };
    assert_eq!(engine.consents(&job).await.unwrap(), Ok(()));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    let seen = stdout(&*engine, job.id).await;
    let devices: BTreeSet<&str> = seen.trim().split(',').collect();
    assert_eq!((devices.len(), seen.trim().split(',').count()), (2, 2), "two different ones: {seen}");
    assert!(devices.iter().all(|device| !device.is_empty()), "{seen}");
    let none = site.shell("echo [$CUDA_VISIBLE_DEVICES]");
    assert_eq!(code(&run(&*engine, &none).await), 0);
    let seen = stdout(&*engine, none.id).await;
    // Empty, or a word that names no device, as `NoDevFiles`.
    assert!(!seen.bytes().any(|byte| byte.is_ascii_digit()), "a job without accelerators sees none: {seen}");
}

pub(in crate::engines) async fn accelerators_are_given_by_their_type(site: &dyn Site) {
    let engine = site.open();
    let of = |name: &str| {
        let shape = Shape { gpu_type: Some(name.to_owned()), ..Shape::default() };
        EngineJob { gpus: 1, shape, ..site.shell("echo $CUDA_VISIBLE_DEVICES") }
    };
    let job = of(site.gpu_type());
    assert_eq!(engine.consents(&job).await.unwrap(), Ok(()));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert!(!stdout(&*engine, job.id).await.trim().is_empty());
    let Err(Objection::Shape { reason }) = engine.consents(&of("abacus")).await.unwrap() else {
        panic!("the site has no accelerators of type `abacus`")
    };
    assert!(reason.contains("abacus"), "{reason}");
}

pub(in crate::engines) async fn a_job_over_several_nodes_runs_once_on_each_or_is_objected_to(
    site: &dyn Site,
) {
    let engine = site.open();
    let shape = Shape { nodes: 2, tasks: 2, ..Shape::default() };
    let script = "echo rank $STA_TASK_RANK on ${SLURMD_NODENAME:-$(uname -n)}; exit $((STA_TASK_RANK * 3))";
    let job = EngineJob { shape, ..site.shell(script) };
    if site.nodes() < 2 {
        let Err(Objection::Shape { reason }) = engine.consents(&job).await.unwrap() else {
            panic!("the site has one node")
        };
        assert!(!reason.is_empty());
        return;
    }
    assert_eq!(engine.consents(&job).await.unwrap(), Ok(()));
    assert_eq!(run(&*engine, &job).await.exit, Exit::Code(3), "the highest of the codes is the job's");
    let text = stdout(&*engine, job.id).await;
    let said = |line: &str| {
        line.strip_prefix("rank ")
            .and_then(|rest| rest.split_once(" on "))
            .map(|(rank, node)| (rank.to_owned(), node.to_owned()))
    };
    let said: Vec<(String, String)> = text.lines().filter_map(said).collect();
    let ranks: BTreeSet<&str> = said.iter().map(|(rank, _)| rank.as_str()).collect();
    let nodes: BTreeSet<&str> = said.iter().map(|(_, node)| node.as_str()).collect();
    assert_eq!((said.len(), ranks, nodes.len()), (2, BTreeSet::from(["0", "1"]), 2), "{text}");
}

pub(in crate::engines) async fn options_and_images_that_the_site_does_not_know_are_objected_to(
    site: &dyn Site,
) {
    let engine = site.open();
    let mut job = site.shell("true");
    job.site_options.insert("no-such-option".to_owned(), "1".to_owned());
    let objection = engine.consents(&job).await.unwrap();
    assert!(
        matches!(&objection, Err(Objection::Option { option, .. }) if option == "no-such-option"),
        "{objection:?}"
    );
    let job = EngineJob { image: "nowhere.example/no/such:image".to_owned(), ..site.shell("true") };
    let objection = engine.consents(&job).await.unwrap();
    assert!(
        matches!(&objection, Err(Objection::Image { image, .. }) if *image == job.image),
        "{objection:?}"
    );
}
