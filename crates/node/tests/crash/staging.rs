// SPDX-License-Identifier: Apache-2.0
//! A large file on its way to another member, whose node is killed twice meanwhile: real processes, real sockets.
//!
//! ```text
//! STA_STAGING_BYTES=1000000000 cargo test -p sta-node --test node crash::staging -- --nocapture
//! ```

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http::Method;
use sta_node::cli::files::{LocalFile, upload};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    ids::JobId,
    job::{InputFile, JobSpec, Objective, Shape},
};

use super::{
    pair::{Nodes, Pair},
    work::{new_id, request},
};

/// What docs/operations.md promises: so much is under way at once, and is all that a kill costs.
const UNDER_WAY_BYTES_MAX: u64 = 4 << 20;
/// What a node may need, whatever the size of the file.
const MEMORY_BYTES_MAX: u64 = 100_000_000;
/// A line of the record beside a file that comes in.
const LINE_BYTES: u64 = 40;
const PIECE_BYTES: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(240);

/// A file of which no two pieces are the same.
fn write_file(path: &Path, bytes: u64) {
    let mut file = File::create(path).unwrap();
    let mut block = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let seed = Sha256Digest::of(&left.to_le_bytes());
        block.clear();
        seed.as_bytes().iter().cycle().take(1 << 20).for_each(|byte| block.push(*byte));
        let length = block.len().min(usize::try_from(left).unwrap());
        file.write_all(&block[..length]).unwrap();
        left -= length as u64;
    }
}

fn spec(input: &LocalFile) -> JobSpec {
    JobSpec {
        version: 1,
        name: "large".to_owned(),
        command: ["sh", "-c", "sha256sum < large.bin > sum.txt"].map(str::to_owned).to_vec(),
        image: "host".to_owned(),
        project: "crossing".parse().unwrap(),
        purpose: "research".to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets: Vec::new(),
        inputs: vec![InputFile {
            name: "large.bin".to_owned(),
            sha256: input.sha256,
            bytes: input.bytes,
            class: Class::Internal,
        }],
        outputs: vec!["sum.txt".to_owned()],
        cpu_cores: 1,
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

/// Pieces of the file that have landed at `de`.
fn landed(pair: &Pair, file: &LocalFile) -> u64 {
    let begun = std::fs::read_dir(pair.path("de").join("blobs/arriving")).into_iter().flatten();
    let names = begun.map(|entry| entry.unwrap().path());
    let is_record = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&file.sha256.to_string()) && name.ends_with(".pieces")
    };
    let record = names.into_iter().find(is_record);
    record.and_then(|record| std::fs::metadata(record).ok()).map_or(0, |metadata| metadata.len() / LINE_BYTES)
}

/// Waits until so many pieces have landed and kills `de` right then.
fn kill_at(pair: &Pair, nodes: &mut Nodes, file: &LocalFile, pieces: u64) {
    let began = Instant::now();
    while landed(pair, file) < pieces {
        let late = || format!("{} of {pieces} pieces landed\n{}", landed(pair, file), nodes.said(1));
        assert!(began.elapsed() < PATIENCE, "{}", late());
        std::thread::sleep(Duration::from_micros(200));
    }
    let peak = nodes.memory_peak("de");
    nodes.restart("de");
    println!("killed with {pieces} pieces or a little more; {} MB of memory at most", peak / 1_000_000);
    assert!(peak < MEMORY_BYTES_MAX, "{peak} bytes of memory");
}

fn wait_until_completed(pair: &Pair, nodes: &Nodes, job: JobId) {
    let began = Instant::now();
    loop {
        match pair.look("ca", &format!("SELECT state FROM jobs WHERE id = '{job}'")).concat().as_str() {
            "completed" => return,
            "offered" | "admitted" | "running" if began.elapsed() < PATIENCE => {}
            state => panic!("the job is {state}\nca: {}\nde: {}", nodes.said(0), nodes.said(1)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn served_by_ca(pair: &Pair) -> u64 {
    let metrics = pair.operator("ca").text("/metrics").await.unwrap();
    let served = metrics.lines().find_map(|line| line.strip_prefix("sta_file_bytes_served_total "));
    served.unwrap().parse().unwrap()
}

#[test]
fn a_large_file_goes_on_where_two_kills_left_it_and_no_more_is_sent_again_than_was_under_way() {
    let bytes = std::env::var("STA_STAGING_BYTES").map_or(201_000_000, |bytes| bytes.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pair = Pair::found().await;
        let mut nodes = pair.start([Vec::new(), Vec::new()]);
        let path = pair.path("large.bin");
        write_file(&path, bytes);
        let file = LocalFile::of(&path).unwrap();
        upload(&pair.ada(), &file).await.unwrap();
        let job = new_id();
        let began = Instant::now();
        pair.ada().ask(Method::POST, "/v1/jobs", Some(&request(&pair, job, spec(&file)))).await.unwrap();
        let pieces = bytes.div_ceil(PIECE_BYTES);
        let chance = u64::from(uuid::Uuid::now_v7().as_bytes()[15]);
        kill_at(&pair, &mut nodes, &file, 1 + pieces * chance / 600);
        kill_at(&pair, &mut nodes, &file, pieces / 2 + pieces * chance / 900);
        wait_until_completed(&pair, &nodes, job);
        let served = served_by_ca(&pair).await;
        println!(
            "{bytes} bytes in {:.1} s, {} more were sent",
            began.elapsed().as_secs_f64(),
            served - bytes
        );
        assert!(served - bytes <= 2 * UNDER_WAY_BYTES_MAX, "{served} bytes were sent for {bytes}");
        for member in ["ca", "de"] {
            let peak = nodes.memory_peak(member);
            println!("{member}: {} MB of memory at most", peak / 1_000_000);
            assert!(peak < MEMORY_BYTES_MAX, "{member}: {peak} bytes of memory");
        }
        let sum = pair.path("sum.txt");
        let wanted = sta_node::cli::files::Wanted {
            name: "sum.txt".to_owned(),
            sha256: Sha256Digest::of(format!("{}  -\n", file.sha256).as_bytes()),
            bytes: 68,
        };
        sta_node::cli::files::download(&pair.ada(), job, &wanted, sum.parent().unwrap()).await.unwrap();
        assert!(std::fs::read_to_string(sum).unwrap().starts_with(&file.sha256.to_string()));
        assert_eq!(landed(&pair, &file), 0, "the record goes when the file is whole");
    });
}
