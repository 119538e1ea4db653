// SPDX-License-Identifier: Apache-2.0
//! What a job saved, at the engine `local`: archives that nobody of good will made, and crashes in between.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sta_node::engines::{CHECKPOINT_BYTES_MAX, CHECKPOINT_INPUT, EngineError, EngineJob, RunId, StagedInput};
use sta_protocol::digest::Sha256Digest;
use tar::EntryType;
use tempfile::TempDir;

use super::{Site, code, local::LocalSite, new_id, run, shell, stdout};

/// An archive whose names and links say what they like: to each entry its type, name, target or content.
fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, name, more) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = if matches!(*kind, EntryType::Regular | EntryType::GNULongName) { more } else { "" };
        if content.is_empty() {
            header.set_link_name_literal(more).unwrap();
        }
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1_024, 0);
    bytes
}

fn coming_with(path: &Path, script: &str) -> EngineJob {
    let sha256 = Sha256Digest::of(&fs::read(path).unwrap());
    EngineJob {
        id: RunId { attempt: 2, ..new_id() },
        inputs: vec![StagedInput { name: CHECKPOINT_INPUT.to_owned(), sha256, path: path.to_owned() }],
        checkpoint: true,
        saved: Some(sha256),
        ..shell(script)
    }
}

fn checkpoint(site: &LocalSite, job: &EngineJob) -> PathBuf {
    site.root().join(format!("{}.checkpoint", job.id.job))
}

/// What lies in the engine's directory of what jobs saved.
fn left(site: &LocalSite) -> Vec<PathBuf> {
    let all = fs::read_dir(site.root()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().unwrap().contains(".checkpoint")).collect()
}

#[tokio::test]
async fn an_archive_that_leads_elsewhere_is_refused_and_nothing_is_written() {
    use EntryType::{Block, Char, Fifo, GNULongName, GNUSparse, Link, Regular, Symlink, XHeader};
    let (site, outside) = (LocalSite::new(), TempDir::new().unwrap());
    let engine = site.open();
    let file = outside.path().join("archive");
    let target = outside.path().join("target");
    fs::create_dir(&target).unwrap();
    let target = target.to_str().unwrap();
    let absolute = format!("{target}/x");
    let cases = [
        (vec![(Regular, "../x", "x")], "it holds `../x`, which leads out of it".to_owned()),
        (vec![(Regular, "a/../../x", "x")], "it holds `a/../../x`, which leads out of it".to_owned()),
        (vec![(Regular, &*absolute, "x")], format!("it holds `{absolute}`, which leads out of it")),
        (
            vec![(Symlink, "l", target), (Regular, "l/x", "x")],
            format!("its link `l` leads out of it, to `{target}`"),
        ),
        (
            vec![(Symlink, "d/l", "../../target")],
            "its link `d/l` leads out of it, to `../../target`".to_owned(),
        ),
        // By their words each stays inside; one after the other they do not.
        (
            vec![(Symlink, "d/l", ".."), (Symlink, "m", "d/l/../.."), (Regular, "m/target/x", "x")],
            "`m/target/x` lies below `m`, which is no directory".to_owned(),
        ),
        (vec![(Regular, "l/x", "x"), (Symlink, "l", "m")], "it holds `l` twice".to_owned()),
        (vec![(Symlink, "l", "m"), (Regular, "./l", "x")], "it holds `l` twice".to_owned()),
        (
            vec![(Link, "h", "/etc/passwd")],
            "`h` in it is neither a directory nor a file nor a link".to_owned(),
        ),
        (vec![(Block, "b", "")], "`b` in it is neither a directory nor a file nor a link".to_owned()),
        (vec![(Char, "c", "")], "`c` in it is neither a directory nor a file nor a link".to_owned()),
        (vec![(Fifo, "p", "")], "`p` in it is neither a directory nor a file nor a link".to_owned()),
    ];
    let long = "x".repeat(70_000);
    let hungry = [
        (vec![(GNUSparse, "s", "")], "`s` in it is neither a directory nor a file nor a link".to_owned()),
        (vec![(XHeader, "x", "")], "`x` in it is neither a directory nor a file nor a link".to_owned()),
        (vec![(GNULongName, "n", &*long)], "it says more of a file than 65536 bytes".to_owned()),
    ];
    for (entries, reason) in cases.into_iter().chain(hungry) {
        fs::write(&file, archive(&entries)).unwrap();
        let job = coming_with(&file, "echo never");
        let error = engine.submit(&job).await.unwrap_err();
        let EngineError::Invalid { reason: said, .. } = &error else { panic!("{error}") };
        assert_eq!(*said, format!("what it saved elsewhere cannot be unpacked: {reason}"));
        assert_eq!(left(&site), Vec::<PathBuf>::new(), "{reason}");
        assert_eq!(fs::read_dir(target).unwrap().count(), 0, "{reason}");
    }
}

#[tokio::test]
async fn what_comes_in_an_archive_is_the_jobs_own_and_no_more_than_it_could_have_made() {
    let (site, store) = (LocalSite::new(), TempDir::new().unwrap());
    let engine = site.open();
    let file = store.path().join("archive");
    fs::write(&file, archive(&[(EntryType::Regular, "deep/tool", "x"), (EntryType::Symlink, "l", "deep")]))
        .unwrap();
    let job = coming_with(&file, "cd $STA_CHECKPOINT_DIR && cat l/tool && rm -r deep l && ls -A | wc -l");
    // Left by a crash in between.
    let (part, new) = (
        checkpoint(&site, &job).with_extension("checkpoint.part"),
        checkpoint(&site, &job).with_extension("checkpoint.new"),
    );
    fs::create_dir_all(part.join("deep/tool")).unwrap();
    fs::write(new, "half").unwrap();
    let idle = coming_with(&file, "true");
    engine.submit(&idle).await.unwrap();
    let directory = checkpoint(&site, &idle);
    let owner = fs::metadata(&directory).unwrap().uid();
    for name in ["deep", "deep/tool", "l"] {
        let metadata = fs::symlink_metadata(directory.join(name)).unwrap();
        assert_eq!(metadata.uid(), owner, "{name}");
        assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{name}");
    }
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(stdout(&*engine, job.id).await, "x0\n");
    for job in [job, idle] {
        engine.wipe_checkpoint(job.id.job).await.unwrap();
    }
    assert_eq!(left(&site), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn nothing_is_left_of_what_is_too_much_to_be_packed() {
    let site = LocalSite::new();
    let engine = site.open();
    let script =
        format!("truncate -s {CHECKPOINT_BYTES_MAX} $STA_CHECKPOINT_DIR/a; echo x > $STA_CHECKPOINT_DIR/b");
    let job = EngineJob { checkpoint: true, ..shell(&script) };
    assert_eq!(code(&run(&*engine, &job).await), 0);
    engine.pack_checkpoint(job.id).await.unwrap_err();
    assert_eq!(left(&site), [checkpoint(&site, &job)]);
}
