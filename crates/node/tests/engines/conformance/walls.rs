// SPDX-License-Identifier: Apache-2.0
//! What a job sees of the machine, and what it leaves running there.

use std::{net::TcpListener, os::fd::AsRawFd};

use sta_node::engines::{EngineJob, Stream};

use crate::engines::{Site, code, new_id, new_mark, processes_with, run, stdout, text};

pub(in crate::engines) async fn nothing_of_the_nodes_environment_reaches_a_job(site: &dyn Site) {
    // Cargo sets this for every test, so it stands in for a secret without a change to our own environment.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let engine = site.open();
    let mut job = site.shell("env; pwd");
    job.environment = vec![("ASKED_FOR".to_owned(), "yes".to_owned())];
    run(&*engine, &job).await;
    let text = stdout(&*engine, job.id).await;
    let mut names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // Those that the shell makes for itself, the accelerators a job may see, and what a scheduler tells its jobs.
    names.retain(|name| {
        !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)
            && !name.ends_with("_VISIBLE_DEVICES")
            && !site.scheduler_variables().iter().any(|prefix| name.starts_with(prefix))
    });
    names.sort_unstable();
    assert_eq!(names, ["ASKED_FOR", "HOME", "LANG", "PATH", "STA_JOB_ID", "TMPDIR"]);
    let home = text.lines().find_map(|line| line.strip_prefix("HOME="));
    assert_eq!(home, text.lines().last(), "the job is at home in its working directory");
}

pub(in crate::engines) async fn a_job_has_no_descriptors_beyond_the_three(site: &dyn Site) {
    // One that is inherited, as a careless library or shell would leave it behind.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let leak = nix::unistd::dup(&listener).unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    assert!(leak.as_raw_fd() > 2);
    let engine = site.open();
    // The shell itself has one more while it lists, and none when it looks again.
    let job = site.shell("for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; true");
    run(&*engine, &job).await;
    assert_eq!(stdout(&*engine, job.id).await, "0\n1\n2\n");
}

pub(in crate::engines) async fn the_network_is_there_only_for_those_who_ask(site: &dyn Site) {
    let engine = site.open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    let mut job = site.shell("");
    job.command = vec!["python3".to_owned(), "-c".to_owned(), script];
    let without = run(&*engine, &job).await;
    let isolated = without.limits_enforced.iter().any(|limit| limit == "network-namespace");
    assert_eq!(code(&without) != 0, isolated, "the record says what held: {without:?}");
    let asking = EngineJob { id: new_id(), network: true, ..job };
    let with = run(&*engine, &asking).await;
    assert_eq!(code(&with), 0, "{}", text(&*engine, asking.id, Stream::Stderr).await);
    assert!(!with.limits_enforced.iter().any(|limit| limit == "network-namespace"), "{with:?}");
}

pub(in crate::engines) async fn what_a_job_leaves_running_is_killed_at_its_end(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = site.shell(&format!("setsid sh -c 'trap \"\" TERM HUP; sleep {mark}' & sleep 0.2; exit 0"));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(processes_with(&mark), [0; 0]);
}
