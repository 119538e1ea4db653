// SPDX-License-Identifier: Apache-2.0
//! Bringing inputs to the site: each content once into the account's own cache there, resumed where it stopped, checked there.

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use sta_protocol::digest::Sha256Digest;
use tokio::sync::Mutex;

use super::{Inner, lock, script};
use crate::engines::{EngineError, StagedInput};

impl Inner {
    /// Makes the account's directories, the first time that this engine comes to it.
    pub(super) async fn prepare(&self, account: &str) -> Result<(), EngineError> {
        if self.prepared.lock().await.contains(account) {
            return Ok(());
        }
        let script = script::preparation(&self.settings, account);
        self.commands.answer(account, "prepare an account's directory", &script).await?;
        self.prepared.lock().await.insert(account.to_owned());
        Ok(())
    }

    /// The lock of an account's cache.
    pub(super) fn cache_of(&self, account: &str) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.caches).entry(account.to_owned()).or_default())
    }

    /// Brings in what the account's cache does not have. Jobs that want the same file at once wait for one transfer.
    pub(super) async fn bring_in(&self, inputs: &[StagedInput], account: &str) -> Result<(), EngineError> {
        if inputs.is_empty() {
            return Ok(());
        }
        let cache = self.cache_of(account);
        let _turn = cache.lock().await;
        let wanted: BTreeSet<Sha256Digest> = inputs.iter().map(|input| input.sha256).collect();
        let there = self.in_cache(account, &wanted).await?;
        for (digest, state) in there {
            let Some(input) = inputs.iter().find(|input| input.sha256 == digest) else { continue };
            match state {
                Cached::Whole => {}
                Cached::Part(bytes) => self.send(account, input, bytes).await?,
            }
        }
        Ok(())
    }

    async fn in_cache(
        &self,
        account: &str,
        wanted: &BTreeSet<Sha256Digest>,
    ) -> Result<Vec<(Sha256Digest, Cached)>, EngineError> {
        let cache = script::cache_directory(&self.settings, account);
        let mut script = format!("cd {cache} || exit 1\n");
        for digest in wanted {
            let _ = writeln!(
                script,
                "if [ -f {digest} ]; then echo whole; else stat -c %s {digest}.part 2>/dev/null || echo 0; fi"
            );
        }
        let said = self.commands.answer(account, "look into the cache of inputs", &script).await?;
        let text = said.text();
        let states = text.lines().map(|line| line.trim().parse().map_or(Cached::Whole, Cached::Part));
        let found: Vec<_> = wanted.iter().copied().zip(states).collect();
        if found.len() == wanted.len() {
            return Ok(found);
        }
        Err(EngineError::Site {
            doing: "look into the cache of inputs",
            said: "it answered for fewer files".to_owned(),
        })
    }

    async fn send(&self, account: &str, input: &StagedInput, offset: u64) -> Result<(), EngineError> {
        let whole = tokio::fs::metadata(&input.path).await;
        let whole = whole
            .map_err(|source| EngineError::Io { doing: "read", path: input.path.clone(), source })?
            .len();
        let digest = input.sha256;
        let part = format!("{}/{digest}.part", script::cache_directory(&self.settings, account));
        if offset < whole {
            self.commands.send(account, &input.path, offset, &part).await?;
        }
        // Its own digest there decides; a wrong part is removed, so that the next attempt begins anew.
        let cache = script::cache_directory(&self.settings, account);
        let script = format!(
            "cd {cache} || exit 1\ntouch {digest}.part\n\
             if [ \"$(sha256sum <{digest}.part | cut -c 1-64)\" = {digest} ]; then chmod 400 {digest}.part && mv {digest}.part {digest}; \
             else rm -f {digest}.part; echo 'the file differs from what was sent' >&2; exit 1; fi\n"
        );
        self.commands.patient_answer(account, "check a file that was brought in", &script).await.map(drop)
    }
}

/// What a cache has of a file.
enum Cached {
    Whole,
    Part(u64),
}
