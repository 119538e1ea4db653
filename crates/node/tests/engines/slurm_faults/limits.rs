// SPDX-License-Identifier: Apache-2.0
//! Limits of the site: memory, disk and quota, associations, qualities of service.

use std::{path::PathBuf, process::Command};

use sta_node::engines::{Engine, EngineError, Exit};

use super::{BadSite, on_both_majors};
use crate::engines::{finished, run, shell};

on_both_majors! {
    a_job_over_its_memory_is_told_so
    a_full_disk_at_a_submission_refuses_it_for_now_with_the_reason
    a_full_disk_at_the_begin_is_the_sites_fault_and_no_other_account_stops
    a_job_that_fills_the_disk_keeps_its_own_end
    an_account_that_slurm_does_not_know_is_refused_for_good
    a_limit_on_submissions_refuses_a_job_for_now_and_one_on_its_size_for_good
    a_limit_on_running_jobs_lets_a_job_wait_and_says_so
}

/// A small disk of its own for the directory of `dan`; gone at the end of the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn of(site: &BadSite, inodes: u32) -> Self {
        let cluster = &site.turn.cluster;
        let account = &cluster.accounts[3];
        let directory = cluster.directory.replace("{account}", account);
        // Where the cluster is another root of this machine, its accounts look for their directories below that.
        let root = cluster.prefix.iter().position(|word| word.starts_with("--userspec"));
        let root = root.map_or("", |at| cluster.prefix[at + 1].as_str());
        let path = PathBuf::from(format!("{root}{directory}"));
        cluster.ask(account, &["mkdir", "-p", "-m", "700", &directory]);
        let options = format!("size=64k,nr_inodes={inodes},mode=700,uid={account},gid={account}");
        let numbers = |option: &str| {
            let (name, value) = option.split_once('=').unwrap();
            let flag = match name {
                "uid" => "-u",
                "gid" => "-g",
                _ => return option.to_owned(),
            };
            let said = Command::new("id").args([flag, value]).output().unwrap();
            format!("{name}={}", String::from_utf8(said.stdout).unwrap().trim())
        };
        let options: Vec<String> = options.split(',').map(numbers).collect();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options.join(","), "sta-small-disk"]).arg(&path);
        assert!(mount.status().unwrap().success(), "{mount:?}");
        Self(path)
    }

    /// Leaves no room, until what this makes is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("fill");
        let full = std::fs::write(&path, vec![0; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn a_job_over_its_memory_is_told_so(site: BadSite) {
    if site.turn.cluster.tracking != "cgroup" {
        println!("left out: without control groups Slurm does not tell a job over its memory from others");
        return;
    }
    let engine = site.open();
    let mut job = site.job_that("head -c 900m /dev/zero | tail", 400);
    job.job.memory_bytes = 100 << 20;
    let other = site.job(2_000, 0);
    engine.submit(&other.job).await.unwrap();
    engine.submit(&job.job).await.unwrap();
    assert_eq!(finished(&engine, job.job.id).await.exit, Exit::MemoryLimit);
    other.ends(&engine, 0).await;
}

async fn a_full_disk_at_a_submission_refuses_it_for_now_with_the_reason(site: BadSite) {
    let engine = site.open();
    // Room for what every account has, and for no job.
    let disk = SmallDisk::of(&site, 3);
    let job = site.job(200, 0).of("dan");
    let error = engine.submit(&job.job).await.unwrap_err().to_string();
    let begins = "cannot submit a job at the site: the account's directory at the site is full: mkdir: cannot create directory ";
    assert!(error.starts_with(begins) && error.ends_with("No space left on device"), "{error}");
    drop(disk);
    engine.submit(&job.job).await.unwrap();
    job.ends(&engine, 0).await;
}

async fn a_full_disk_at_the_begin_is_the_sites_fault_and_no_other_account_stops(site: BadSite) {
    let engine = site.open();
    let disk = SmallDisk::of(&site, 1_000);
    // With no room for what all batch scripts of the account read, nothing is handed over yet.
    let fill = disk.fill();
    let first = site.job(0, 0).of("dan");
    let error = engine.submit(&first.job).await.unwrap_err().to_string();
    let says = "cannot submit a job at the site: the account's directory at the site is full: cat: ";
    assert!(error.starts_with(says) && error.contains("No space left on device"), "{error}");
    std::fs::remove_file(fill).unwrap();
    engine.submit(&first.job).await.unwrap();
    first.ends(&engine, 0).await;
    disk.fill();
    let (job, other) = (site.job(200, 0).of("dan"), site.job(200, 0));
    engine.submit(&job.job).await.unwrap();
    engine.submit(&other.job).await.unwrap();
    let outcome = finished(&engine, job.job.id).await;
    let full = "the job's directory at the site could not be written: the disk or the quota of its account is full, or the directory is gone";
    assert_eq!((outcome.exit, job.lines()), (Exit::SiteFault(full.to_owned()), Vec::new()));
    other.ends(&engine, 0).await;
}

async fn a_job_that_fills_the_disk_keeps_its_own_end(site: BadSite) {
    let engine = site.open();
    let _disk = SmallDisk::of(&site, 1_000);
    for code in [0, 3] {
        let fills = format!("head -c 1m /dev/zero >fill; echo full; exit {code}");
        let job = site.job_that(&fills, 400).of("dan");
        engine.submit(&job.job).await.unwrap();
        job.ends(&engine, code).await;
        engine.wipe(job.job.id).await.unwrap();
    }
}

async fn an_account_that_slurm_does_not_know_is_refused_for_good(site: BadSite) {
    let engine = site.open();
    let job = site.job(200, 0).of("eve");
    let error = engine.submit(&job.job).await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid { .. }), "{error:?}");
    let id = job.job.id;
    let text = format!(
        "job {id} cannot run: the account has no association at the site (Batch job submission failed: Invalid account or account/partition combination specified)"
    );
    assert_eq!((error.to_string(), job.lines()), (text, Vec::new()));
}

async fn a_limit_on_submissions_refuses_a_job_for_now_and_one_on_its_size_for_good(site: BadSite) {
    let engine = site.open();
    let jobs = [(); 3].map(|()| site.job(3_000, 0).of("dan"));
    engine.submit(&jobs[0].job).await.unwrap();
    engine.submit(&jobs[1].job).await.unwrap();
    let error = engine.submit(&jobs[2].job).await.unwrap_err().to_string();
    let limit = "QOSMaxSubmitJobPerUserLimit; Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
    assert_eq!(
        error,
        format!("cannot submit a job at the site: a limit of the account at the site is reached: {limit}")
    );
    jobs[0].ends(&engine, 0).await;
    jobs[1].ends(&engine, 0).await;
    engine.submit(&jobs[2].job).await.unwrap();
    jobs[2].ends(&engine, 0).await;
    let mut large = site.job(200, 0).of("dan");
    large.job.cpu_cores = 8;
    let error = engine.submit(&large.job).await.unwrap_err();
    let id = large.job.id;
    let text = format!(
        "job {id} cannot run: it is larger or longer than a limit of the account at the site allows one job (QOSMaxCpuPerJobLimit; Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits))"
    );
    assert_eq!(error.to_string(), text);
}

async fn a_limit_on_running_jobs_lets_a_job_wait_and_says_so(site: BadSite) {
    let engine = site.open();
    let limit = |count: &'static str| {
        let words = ["sacctmgr", "-i", "modify", "qos", "low", "set", count];
        site.turn.cluster.operate(&words);
    };
    limit("MaxJobsPerUser=1");
    let jobs = [(); 2].map(|()| site.job(4_000, 0).of("carol"));
    engine.submit(&jobs[0].job).await.unwrap();
    jobs[0].runs(&engine).await;
    engine.submit(&jobs[1].job).await.unwrap();
    let reason = "a limit of its account at the site is reached (QOSMaxJobsPerUserLimit)";
    jobs[1].waits_because(&engine, reason).await;
    let other = run(&engine, &shell("exit 0")).await;
    jobs[0].ends(&engine, 0).await;
    jobs[1].ends(&engine, 0).await;
    limit("MaxJobsPerUser=-1");
    assert_eq!(other.exit, Exit::Code(0));
}
