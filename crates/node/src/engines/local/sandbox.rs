// SPDX-License-Identifier: Apache-2.0
//! The stage between supervisor and job: a process that gives up, step by step, all that the job is not to have, and then becomes the job.
//!
//! Becoming it by `exec` keeps one process id, so exit code and signal reach the supervisor as they are. For the same reason
//! there is no process-id namespace: its first process ignores most signals, and a job that ends itself by `kill -TERM $$`
//! would run on. What such a namespace is wanted for, that nothing of a job outlives it, the job's cgroup gives.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::{self, Gid, Uid},
};
use serde::{Deserialize, Serialize};

/// Set, in an environment that is otherwise empty, for the process that is to become the job.
pub(super) const STAGE_VARIABLE: &str = "STA_STAGE";
/// The job's private directory for temporary files, its working directory, and where it saves its work, where there is a mount
/// namespace.
const TMP: &str = "/tmp";
const WORK: &str = "/tmp/job";
const CHECKPOINT: &str = "/tmp/checkpoint";
/// Files a job may have open at once.
const OPEN_FILES_MAX: u64 = 65_536;
/// Processes a user may have at once, where no cgroup counts them.
const PROCESSES_MAX: u64 = 4096;

/// What the supervisor tells the stage, as JSON to the end of its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) work: PathBuf,
    pub(super) scratch: PathBuf,
    /// Where the job saves its work, if it does.
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) hidden: Vec<String>,
    pub(super) network: bool,
    pub(super) uid: Option<u32>,
    /// The floor, where no cgroup limits memory.
    pub(super) address_space_bytes: Option<u64>,
}

/// What the stage answers before it becomes the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The job begins, with these limits beside those of its cgroup.
    Ready(Vec<String>),
    /// The job cannot begin, for this reason.
    Failed(String),
}

/// Runs the stage; returns only when the job could not begin.
pub(super) fn enter() -> ExitCode {
    close_inherited();
    let Ok(mut socket) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::FAILURE;
    };
    match prepare(&mut socket) {
        Ok((order, limits, inside)) => begin(socket, &order, limits, &inside),
        Err(reason) => {
            // The supervisor may be gone; then nobody is to be told.
            let _ = send(&socket, &Report::Failed(reason));
            ExitCode::FAILURE
        }
    }
}

/// Writes one JSON message and closes this direction.
pub(super) fn send<T: Serialize>(mut socket: &UnixStream, message: &T) -> io::Result<()> {
    socket.write_all(&serde_json::to_vec(message)?)?;
    socket.shutdown(Shutdown::Write)
}

/// The job's directories as it sees them.
struct Inside {
    work: PathBuf,
    tmp: PathBuf,
    checkpoint: Option<PathBuf>,
}

fn prepare(socket: &mut UnixStream) -> Result<(Order, Vec<String>, Inside), String> {
    let mut text = Vec::new();
    socket.read_to_end(&mut text).map_err(|error| format!("the order cannot be read: {error}"))?;
    let order: Order =
        serde_json::from_slice(&text).map_err(|error| format!("the order is not one: {error}"))?;
    let mut limits = Vec::new();
    let mut held = |name: &str, done: bool| {
        if done {
            limits.push(name.to_owned());
        }
        done
    };
    held("session", unistd::setsid().is_ok());
    limit_resources(&order, &mut held);
    if !Uid::effective().is_root() {
        held("user-namespace", own_user_namespace().is_ok());
    }
    if !order.network {
        // The new namespace has only a loopback device, and that is down.
        held("network-namespace", unshare(CloneFlags::CLONE_NEWNET).is_ok());
    }
    held("ipc-namespace", unshare(CloneFlags::CLONE_NEWIPC).is_ok());
    held("uts-namespace", unshare(CloneFlags::CLONE_NEWUTS).is_ok());
    let inside = if held("mount-namespace", own_mounts(&order).is_ok()) {
        held("hidden-directories", order.hidden.iter().all(|path| hide(path).is_ok()));
        let checkpoint = order.checkpoint.as_ref().map(|_| CHECKPOINT.into());
        Inside { work: WORK.into(), tmp: TMP.into(), checkpoint }
    } else {
        let checkpoint = order.checkpoint.clone();
        Inside { work: order.work.clone(), tmp: order.scratch.clone(), checkpoint }
    };
    // Before the change of user, who may not be allowed to walk there without the mount namespace.
    let work = &inside.work;
    env::set_current_dir(work).map_err(|error| format!("`{}` cannot be entered: {error}", work.display()))?;
    if let Some(uid) = order.uid {
        become_user(uid).map_err(|error| format!("the job's own user {uid} cannot be taken on: {error}"))?;
        held("own-user", true);
    }
    held("no-new-privileges", prctl::set_no_new_privs().is_ok());
    // Last, since a change of user takes it back. A job whose supervisor is killed must not run on unwatched.
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| format!("cannot be tied to its supervisor: {error}"))?;
    Ok((order, limits, inside))
}

fn begin(socket: UnixStream, order: &Order, limits: Vec<String>, inside: &Inside) -> ExitCode {
    if send(&socket, &Report::Ready(limits)).is_err() {
        return ExitCode::FAILURE; // the supervisor is gone, and with it the job's only watch
    }
    let Some((program, arguments)) = order.command.split_first() else { return ExitCode::FAILURE };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .env("HOME", &inside.work)
        .env("TMPDIR", &inside.tmp)
        .envs(inside.checkpoint.iter().map(|path| ("STA_CHECKPOINT_DIR", path)))
        .stdin(Stdio::null())
        .exec();
    drop(socket);
    // To the job's own standard error, and with the shell's two codes: it is the job that is wrong, not the site.
    let _ = writeln!(io::stderr(), "sta: cannot run `{program}`: {error}");
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Closes whatever the node, or whoever started it, left open without the close-on-exec mark.
fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    for descriptor in names.filter(|descriptor| *descriptor > 2).collect::<Vec<_>>() {
        let _ = unistd::close(descriptor); // the one that listed the directory is closed already
    }
}

fn limit_resources(order: &Order, held: &mut impl FnMut(&str, bool) -> bool) {
    held("rlimit:core", lower(Resource::RLIMIT_CORE, 0));
    held("rlimit:open-files", lower(Resource::RLIMIT_NOFILE, OPEN_FILES_MAX));
    if let Some(bytes) = order.address_space_bytes {
        held("rlimit:address-space", lower(Resource::RLIMIT_AS, bytes));
    }
    // The kernel counts all processes of a user, and none of root's: it means something for a user of the job's own.
    if order.uid.is_some() {
        held("rlimit:processes", lower(Resource::RLIMIT_NPROC, PROCESSES_MAX));
    }
}

fn lower(resource: Resource, value: u64) -> bool {
    let Ok((_, hard)) = getrlimit(resource) else { return false };
    let value = value.min(hard);
    setrlimit(resource, value, value).is_ok()
}

/// Without root the other namespaces need a user namespace, in which the user keeps its own number and gains nothing outside.
fn own_user_namespace() -> io::Result<()> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// A view of the file system with private `/tmp` and `/dev/shm`, and the working directory at one fixed place.
fn own_mounts(order: &Order) -> io::Result<()> {
    const NONE: Option<&Path> = None;
    let bind = |from: &Path, to: &Path| mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE);
    let place = place_below(&order.scratch, "job")?;
    let saved = order.checkpoint.as_ref().map(|_| place_below(&order.scratch, "checkpoint")).transpose()?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, Path::new("/"), NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    bind(&order.work, &place)?;
    if let Some((from, to)) = order.checkpoint.as_ref().zip(saved.as_ref()) {
        bind(from, to)?;
    }
    bind(&order.scratch, Path::new(TMP))?;
    match empty(Path::new("/dev/shm"), "mode=1777", MsFlags::empty()) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A directory to mount over; it may be there already.
fn place_below(scratch: &Path, name: &str) -> io::Result<PathBuf> {
    let place = scratch.join(name);
    match fs::create_dir(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(place),
    }
}

/// Puts an empty directory over one that the job must not see, such as the node's keys.
fn hide(path: &str) -> nix::Result<()> {
    match empty(Path::new(path), "mode=0755,size=4k", MsFlags::MS_RDONLY) {
        // Below the old `/tmp` it is out of sight already.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn empty(path: &Path, options: &str, flags: MsFlags) -> nix::Result<()> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options))
}

/// Takes on a user and group that own nothing else; with root's number go all its capabilities.
fn become_user(uid: u32) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    unistd::setgroups(&[])?;
    unistd::setresgid(group, group, group)?;
    unistd::setresuid(user, user, user)
}
