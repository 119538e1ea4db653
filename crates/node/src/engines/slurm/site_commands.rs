// SPDX-License-Identifier: Apache-2.0
//! The one way to a cluster: a shell script or a plain program, run there as an account, with limits on time and size.

use std::{path::Path, process::Stdio, time::Duration};

use sha2::{Digest, Sha256};
use sta_protocol::digest::Sha256Digest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::{Semaphore, SemaphorePermit},
};

use super::settings::SlurmSettings;
use crate::engines::EngineError;

/// The most a command may say on each of its streams, unless it is a file that is fetched.
const SAID_BYTES_MAX: u64 = 64 << 20;
/// How much of a file is moved at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Runs commands at the site.
#[derive(Debug)]
pub(super) struct SiteCommands {
    settings: SlurmSettings,
    /// Every command holds one place.
    places: Semaphore,
}

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// Its exit code; none when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Said {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl SiteCommands {
    pub(super) fn new(settings: SlurmSettings) -> Self {
        Self { places: Semaphore::new(settings.commands_max), settings }
    }

    /// Runs a shell script as an account. It goes over standard input, so that no shell on the way reads its words twice.
    ///
    /// # Errors
    /// It could not be started, took longer than `command_s`, or said too much: whether it did anything is unknown.
    pub(super) async fn script(
        &self,
        account: &str,
        doing: &'static str,
        script: &str,
    ) -> Result<Said, EngineError> {
        let place = self.place(doing).await?;
        self.script_in(&place, account, doing, script).await
    }

    /// A place for one command; the site runs no more than `commands_max` at once.
    ///
    /// # Errors
    /// The engine is closing.
    pub(super) async fn place(&self, doing: &'static str) -> Result<SemaphorePermit<'_>, EngineError> {
        self.places.acquire().await.map_err(|_| closed(doing))
    }

    /// As [`Self::script`], for whoever has a place already.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn script_in(
        &self,
        _place: &SemaphorePermit<'_>,
        account: &str,
        doing: &'static str,
        script: &str,
    ) -> Result<Said, EngineError> {
        let mut child = self.start(account, doing, &["sh".to_owned(), "-s".to_owned()])?;
        let limit = Duration::from_secs(u64::from(self.settings.command_s));
        let talk = async {
            let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A script that ends before it has read all of itself says why in its status.
                    let _ = stdin.write_all(whole(script).as_bytes()).await;
                }
            };
            let read_out = async {
                let mut bytes = Vec::new();
                match out {
                    Some(out) => out.take(SAID_BYTES_MAX).read_to_end(&mut bytes).await.map(|_| bytes),
                    None => Ok(bytes),
                }
            };
            let read_err = async {
                let mut bytes = Vec::new();
                match err {
                    Some(err) => err.take(1 << 20).read_to_end(&mut bytes).await.map(|_| bytes),
                    None => Ok(bytes),
                }
            };
            let ((), out, err) = tokio::join!(write, read_out, read_err);
            let status = child.wait().await?;
            Ok::<_, std::io::Error>(Said {
                code: status.code(),
                out: out?,
                err: String::from_utf8_lossy(&err?).trim().to_owned(),
            })
        };
        match tokio::time::timeout(limit, talk).await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(EngineError::Site { doing, said: error.to_string() }),
            Err(_) => {
                Err(EngineError::Site { doing, said: format!("no answer within {} s", limit.as_secs()) })
            }
        }
    }

    /// As [`Self::script`], where only code 0 is an answer.
    ///
    /// # Errors
    /// As there, or another code, with what the command said.
    pub(super) async fn answer(
        &self,
        account: &str,
        doing: &'static str,
        script: &str,
    ) -> Result<Said, EngineError> {
        let said = self.script(account, doing, script).await?;
        if said.code == Some(0) { Ok(said) } else { Err(failed(doing, &said)) }
    }

    /// As [`Self::answer`], for what may take as long as there is much of something: it is lost when nothing is heard of it for
    /// `command_s`. Between its words stand empty lines.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn patient_answer(
        &self,
        account: &str,
        doing: &'static str,
        script: &str,
    ) -> Result<Said, EngineError> {
        let _place = self.place(doing).await?;
        let mut child = self.start(account, doing, &["sh".to_owned(), "-s".to_owned()])?;
        if let Some(mut stdin) = child.stdin.take() {
            let script = whole(&beating(script, self.settings.command_s));
            self.in_time(doing, stdin.write_all(script.as_bytes())).await?;
        }
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (out.ok_or_else(|| closed(doing))?, err.ok_or_else(|| closed(doing))?);
        let read_out = async {
            let (mut all, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                let read = self.in_time(doing, out.read(&mut piece)).await?;
                if read == 0 || all.len() as u64 > SAID_BYTES_MAX {
                    return Ok::<_, EngineError>(all);
                }
                all.extend_from_slice(&piece[..read]);
            }
        };
        let read_err = async {
            let mut first = Vec::new();
            // What more it says is of no use, and must not keep it from going on.
            let _unseen = (&mut err).take(1 << 16).read_to_end(&mut first).await;
            let _unseen = tokio::io::copy(&mut err, &mut tokio::io::sink()).await;
            Ok(first)
        };
        let (out, err) = tokio::try_join!(read_out, read_err)?;
        let status = self.in_time(doing, child.wait()).await?;
        let err = String::from_utf8_lossy(&err).trim().to_owned();
        let said = Said { code: status.code(), out, err };
        if status.success() { Ok(said) } else { Err(failed(doing, &said)) }
    }

    /// Fetches a file of an account into a file here, and hashes it on the way.
    ///
    /// # Errors
    /// The site did not give all of it, it is longer than `bytes_max`, or the disk here is full.
    pub(super) async fn fetch(
        &self,
        account: &str,
        from: &str,
        to: &Path,
        bytes_max: u64,
    ) -> Result<(Sha256Digest, u64), EngineError> {
        // Over standard input, because the name is the researcher's and may hold anything.
        self.pour(account, &format!("exec cat -- {}\n", quoted(from)), to, bytes_max).await
    }

    /// Fetches the first bytes of a file.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(super) async fn fetch_head(
        &self,
        account: &str,
        from: &str,
        to: &Path,
        bytes: u64,
    ) -> Result<(), EngineError> {
        self.pour(account, &format!("exec head -c {bytes} -- {}\n", quoted(from)), to, bytes).await.map(drop)
    }

    /// Has the output of a script of an account become a file here, and hashes it on the way.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(super) async fn pour(
        &self,
        account: &str,
        script: &str,
        to: &Path,
        bytes_max: u64,
    ) -> Result<(Sha256Digest, u64), EngineError> {
        const DOING: &str = "fetch a file";
        let _place = self.places.acquire().await.map_err(|_| closed(DOING))?;
        let mut child = self.start(account, DOING, &["sh".to_owned(), "-s".to_owned()])?;
        if let Some(mut stdin) = child.stdin.take() {
            self.in_time(DOING, stdin.write_all(whole(script).as_bytes())).await?;
        }
        let here = |source| EngineError::Io { doing: "write", path: to.to_owned(), source };
        let mut file = tokio::fs::File::create(to).await.map_err(here)?;
        let mut out = child.stdout.take().ok_or_else(|| closed(DOING))?;
        let (mut hasher, mut bytes, mut piece) = (Sha256::new(), 0u64, vec![0; PIECE_BYTES]);
        loop {
            let read = self.in_time(DOING, out.read(&mut piece)).await?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            if bytes > bytes_max {
                return Err(EngineError::Site {
                    doing: DOING,
                    said: format!("a file is longer than {bytes_max} bytes"),
                });
            }
            hasher.update(&piece[..read]);
            file.write_all(&piece[..read]).await.map_err(here)?;
        }
        file.sync_all().await.map_err(here)?;
        self.ended(DOING, child).await?;
        Ok((Sha256Digest::from_bytes(hasher.finalize().into()), bytes))
    }

    /// Appends the rest of a file here, from `offset` on, to a file of an account.
    ///
    /// # Errors
    /// The site did not take all of it: how much it has is asked before the next attempt.
    pub(super) async fn send(
        &self,
        account: &str,
        from: &Path,
        offset: u64,
        to: &str,
    ) -> Result<(), EngineError> {
        const DOING: &str = "bring a file in";
        let _place = self.places.acquire().await.map_err(|_| closed(DOING))?;
        let words = [
            "dd".to_owned(),
            format!("of={to}"),
            "bs=256k".to_owned(),
            "oflag=append".to_owned(),
            "conv=notrunc".to_owned(),
            "status=none".to_owned(),
        ];
        let mut child = self.start(account, DOING, &words)?;
        let here = |source| EngineError::Io { doing: "read", path: from.to_owned(), source };
        let mut file = tokio::fs::File::open(from).await.map_err(here)?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(offset)).await.map_err(here)?;
        let mut stdin = child.stdin.take().ok_or_else(|| closed(DOING))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = file.read(&mut piece).await.map_err(here)?;
            if read == 0 {
                break;
            }
            if self.in_time(DOING, stdin.write_all(&piece[..read])).await.is_err() {
                // The program has ended; its status says why, such as a full disk.
                break;
            }
        }
        drop(stdin);
        self.ended(DOING, child).await
    }

    /// Waits for one step of a transfer: the whole may take long, no single piece of it may.
    async fn in_time<T>(
        &self,
        doing: &'static str,
        step: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, EngineError> {
        let limit = Duration::from_secs(u64::from(self.settings.command_s));
        match tokio::time::timeout(limit, step).await {
            Ok(done) => done.map_err(|error| EngineError::Site { doing, said: error.to_string() }),
            Err(_) => {
                Err(EngineError::Site { doing, said: format!("nothing moved for {} s", limit.as_secs()) })
            }
        }
    }

    async fn ended(&self, doing: &'static str, mut child: Child) -> Result<(), EngineError> {
        let mut text = Vec::new();
        if let Some(err) = child.stderr.take() {
            self.in_time(doing, err.take(1 << 16).read_to_end(&mut text)).await?;
        }
        let status = self.in_time(doing, child.wait()).await?;
        let said = Said {
            code: status.code(),
            out: Vec::new(),
            err: String::from_utf8_lossy(&text).trim().to_owned(),
        };
        if status.success() { Ok(()) } else { Err(failed(doing, &said)) }
    }

    fn start(&self, account: &str, doing: &'static str, words: &[String]) -> Result<Child, EngineError> {
        let mut line = self.settings.words(account);
        line.extend_from_slice(words);
        let [program, arguments @ ..] = line.as_slice() else { return Err(closed(doing)) };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map_err(|source| EngineError::Io { doing: "start", path: program.into(), source })
    }
}

/// A script that runs whole or not at all: a shell that is cut off from us midway finds its brace open, and runs no part of
/// it, such as a removal whose path ends too early. It also keeps the programs in it from reading the rest of the script.
fn whole(script: &str) -> String {
    format!("{{\n{script}\n}}\n")
}

/// A script of which something is heard as long as it runs, several times in so many seconds.
fn beating(script: &str, within_s: u32) -> String {
    let pause = f64::from(within_s) / 4.0;
    format!(
        "( while echo; do sleep {pause} >/dev/null; done ) </dev/null 2>/dev/null &\nbeat=$!\n\
         (\n{script}\n) </dev/null\ncode=$?\nkill $beat\nexit $code"
    )
}

/// What a command said, as an error.
pub(super) fn failed(doing: &'static str, said: &Said) -> EngineError {
    EngineError::Site { doing, said: words_of(said) }
}

/// The last lines of what a command said, which tell most, and how it ended.
pub(super) fn words_of(said: &Said) -> String {
    let code = said.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
    let lines: Vec<&str> = said.err.lines().rev().take(4).collect();
    let text = if lines.is_empty() {
        "it said nothing".to_owned()
    } else {
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    };
    format!("{text} (it ended with {code})")
}

/// What is said to who comes while the engine closes.
pub(super) fn closed(doing: &'static str) -> EngineError {
    EngineError::Site { doing, said: "the engine is closing".to_owned() }
}

/// A word as a POSIX shell reads it, whatever it holds.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{beating, quoted};

    #[test]
    fn a_script_is_heard_of_while_it_runs_and_ends_as_it_ends() {
        for (end, code) in [("true", 0), ("exit 7", 7), ("false", 1)] {
            let begun = std::time::Instant::now();
            let script = beating(&format!("sleep 0.6; echo said; {end}"), 1);
            let said = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            let text = String::from_utf8(said.stdout).unwrap();
            assert_eq!(said.status.code(), Some(code));
            assert!(text.lines().any(|line| line == "said") && text.lines().count() > 2, "{text:?}");
            assert!(begun.elapsed().as_millis() < 5_000, "nothing is waited for that goes on");
        }
    }

    #[test]
    fn a_quoted_word_is_one_word_to_the_shell() {
        for word in ["", "a b", "it's", "$(rm -rf /)", "a\nb", "\\", "'\"'"] {
            let script = format!("printf %s {}", quoted(word));
            let said = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}
