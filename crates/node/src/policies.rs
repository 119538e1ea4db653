// SPDX-License-Identifier: Apache-2.0
//! The rule packs in force: those the treaty names, from the shipped ones or from the node's own `policies/`, by digest.

use std::path::Path;

use sta_decide::authorize::{Rules, SHIPPED_PACKS, SHIPPED_SCHEMA};
use sta_protocol::{digest::Sha256Digest, treaty::Treaty};

/// Loads exactly the packs that the treaty names; one byte of difference is another pack.
///
/// # Errors
/// A sentence saying which pack is missing, differs or does not load.
pub fn in_force(treaty: &Treaty, directory: &Path) -> Result<Rules, String> {
    let mut packs: Vec<(String, String)> = Vec::new();
    for pack in &treaty.policies {
        let text = find(&pack.name, pack.sha256, directory)?;
        packs.push((pack.name.clone(), text));
    }
    let packs: Vec<(&str, &str)> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Rules::load(&packs, SHIPPED_SCHEMA).map_err(|error| format!("its policy packs do not load: {error}"))
}

fn find(name: &str, digest: Sha256Digest, directory: &Path) -> Result<String, String> {
    let shipped =
        SHIPPED_PACKS.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| (*text).to_owned());
    let path = directory.join("policies").join(format!("{name}.cedar"));
    let own = std::fs::read_to_string(&path).ok();
    let found = own.into_iter().chain(shipped).find(|text| Sha256Digest::of(text.as_bytes()) == digest);
    found.ok_or_else(|| {
        format!("it names policy pack `{name}` with SHA-256 {digest}, which is neither shipped with this version nor in `{}`", path.display())
    })
}
