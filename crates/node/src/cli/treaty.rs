// SPDX-License-Identifier: Apache-2.0
//! `sta treaty`: make a treaty from a template and the members' public parts, sign it, verify it, read it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::json;
use sta_decide::authorize::Rules;
use sta_protocol::{
    digest::Sha256Digest,
    treaty::{PolicyPack, SignedTreaty, Treaty},
};

use super::{
    failure::{Exit, Failure, Trying},
    init::{KEYS, read_member},
    print::Style,
    read::text_of,
    serve::read_treaty,
};
use crate::keys::Keys;

mod diff;
mod show;

pub use diff::{Difference, differences};

/// What can be done with treaties.
#[derive(Debug, Clone, Subcommand)]
pub enum TreatyCommand {
    /// Fill a template with the members' keys and the shipped rule packs
    New {
        /// A treaty in TOML; its members and policies are replaced
        #[arg(long, value_name = "TEMPLATE.toml")]
        from: PathBuf,
        /// A member's public part, as `sta init` wrote it; once for each member
        #[arg(long = "member", value_name = "member.toml", required = true)]
        members: Vec<PathBuf>,
        /// The treaty to write
        #[arg(long, value_name = "treaty.toml")]
        out: PathBuf,
    },
    /// Sign a treaty as a member: makes treaty.jws.json beside the TOML, or adds a signature to it
    Sign {
        /// The node's directory, whose keys sign
        #[arg(long, env = "STA_DIR", value_name = "DIR")]
        dir: PathBuf,
        /// treaty.toml, or a treaty.jws.json that other members have signed
        file: PathBuf,
        /// Where to write the signed treaty [default: beside the file, as *.jws.json]
        #[arg(long, value_name = "treaty.jws.json")]
        out: Option<PathBuf>,
    },
    /// Verify that every member has signed exactly this treaty
    Verify {
        /// The signed treaty
        file: PathBuf,
    },
    /// Show a treaty, signed or not
    Show {
        /// treaty.toml or treaty.jws.json
        file: PathBuf,
    },
    /// Show what differs between two treaties
    Diff {
        /// The one before
        before: PathBuf,
        /// The one after
        after: PathBuf,
    },
}

/// Does it.
///
/// # Errors
/// A file does not read, the treaty is not whole, or a signature does not hold.
pub fn run(command: &TreatyCommand, style: Style) -> Result<(), Failure> {
    match command {
        TreatyCommand::New { from, members, out } => {
            let treaty = new(from, members, out)?;
            let digest = digest_of(&treaty)?;
            style.answer(&json!({"file": out, "digest": digest, "treaty": treaty}), || {
                let out = out.display();
                format!("Treaty written to {out}, digest {digest}.\nRead it (`sta treaty show {out}`); then each member signs it: sta treaty sign --dir DIR {out}")
            });
        }
        TreatyCommand::Sign { dir, file, out } => {
            let signed = sign(dir, file, out.as_deref())?;
            style.answer(
                &json!({"file": signed.file, "digest": signed.digest, "unsigned": signed.unsigned}),
                || signed.text(),
            );
        }
        TreatyCommand::Verify { file } => {
            let treaty = verified(file)?;
            let members: Vec<_> = treaty.members.iter().map(|member| member.id.to_string()).collect();
            style.answer(&json!({"verified": true, "digest": treaty.digest(), "members": members}), || {
                format!(
                    "Verified: signed by every member ({}), digest {}.",
                    members.join(", "),
                    treaty.digest()
                )
            });
        }
        TreatyCommand::Show { file } => {
            let (treaty, unsigned) = read_any(file)?;
            let digest = digest_of(&treaty)?;
            style.answer(&json!({"digest": digest, "unsigned": unsigned, "treaty": treaty}), || {
                show::text(&treaty, digest, &unsigned)
            });
        }
        TreatyCommand::Diff { before, after } => {
            let found =
                differences(&read_any(before)?.0, &read_any(after)?.0).trying_to("compare the treaties")?;
            style.answer(&json!(found), || diff::text(&found));
        }
    }
    Ok(())
}

/// Makes a treaty of a template: its members and policies are replaced, everything else stays.
///
/// # Errors
/// A file does not read, or the treaty is not whole.
pub fn new(template: &Path, members: &[PathBuf], out: &Path) -> Result<Treaty, Failure> {
    let usage = |failure: Failure| failure.exit(Exit::Usage);
    let doing = format!("make a treaty of the template `{}`", template.display());
    let text = text_of(template, &doing)?;
    let mut table: toml::Table = toml::from_str(&text).trying_to(&doing).map_err(usage)?;
    let mut listed = Vec::new();
    for path in members {
        listed.push(toml::Value::try_from(read_member(path)?).trying_to(&doing)?);
    }
    let rules = Rules::shipped().trying_to("load the shipped rule packs")?;
    let pack = |(name, sha256): &(String, Sha256Digest)| {
        toml::Value::try_from(PolicyPack { name: name.clone(), sha256: *sha256 })
    };
    let packs = rules.packs().iter().map(pack).collect::<Result<_, _>>().trying_to(&doing)?;
    table.insert("members".to_owned(), toml::Value::Array(listed));
    table.insert("policies".to_owned(), toml::Value::Array(packs));
    let text = toml::to_string(&table).trying_to(&doing)?;
    let treaty = Treaty::from_toml(&text).trying_to(&doing).map_err(usage)?;
    fs::write(out, treaty.to_toml().trying_to(&doing)?).trying_to(format!("write `{}`", out.display()))?;
    Ok(treaty)
}

/// What came of signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOutcome {
    /// Where the signed treaty is.
    pub file: PathBuf,
    /// The treaty's digest.
    pub digest: Sha256Digest,
    /// Who has not signed yet.
    pub unsigned: Vec<sta_protocol::ids::MemberId>,
}

impl SignOutcome {
    fn text(&self) -> String {
        let file = self.file.display();
        let missing: Vec<_> = self.unsigned.iter().map(ToString::to_string).collect();
        let next = if missing.is_empty() {
            "All members have signed: put it into each node's directory as treaty.jws.json.".to_owned()
        } else {
            format!("Still to sign: {}. Send them {file}.", missing.join(", "))
        };
        format!("Signed {file}, digest {}.\n{next}", self.digest)
    }
}

/// Signs with a node's key. Signing again changes nothing.
///
/// # Errors
/// The treaty does not list the key, or another treaty is where this one would be written.
pub fn sign(dir: &Path, file: &Path, out: Option<&Path>) -> Result<SignOutcome, Failure> {
    let doing = format!("sign `{}`", file.display());
    let keys = Keys::load(&dir.join(KEYS)).trying_to(&doing)?;
    let is_signed = file.extension().is_some_and(|extension| extension == "json");
    let out = out.map_or_else(
        || if is_signed { file.to_owned() } else { file.with_extension("jws.json") },
        Path::to_owned,
    );
    let mut signed = if is_signed {
        read_treaty(file)?
    } else {
        SignedTreaty::new(&read_toml(file)?).trying_to(&doing)?
    };
    let treaty = signed.peek_unverified().trying_to(&doing)?;
    if out != *file && out.exists() {
        let known = read_treaty(&out)?;
        if known.peek_unverified().trying_to(&doing)? != treaty {
            let cause = format!("`{}` holds another treaty, with signatures for that one", out.display());
            return Err(Failure::new(doing, cause)
                .exit(Exit::Usage)
                .mend("Move it away, or write to another place with --out."));
        }
        signed = known;
    }
    signed.sign(&keys.signing).trying_to(&doing)?;
    let text = serde_json::to_string_pretty(&signed).trying_to(&doing)?;
    fs::write(&out, text + "\n").trying_to(format!("write `{}`", out.display()))?;
    let unsigned = signed.unsigned_members().trying_to(doing)?;
    Ok(SignOutcome { file: out, digest: digest_of(&treaty)?, unsigned })
}

/// A treaty that every member has signed.
///
/// # Errors
/// Exit 5: a signature is missing or wrong.
pub fn verified(file: &Path) -> Result<sta_protocol::treaty::VerifiedTreaty, Failure> {
    let signed = read_treaty(file)?;
    let doing = format!("verify the treaty `{}`", file.display());
    signed.verify().trying_to(doing).map_err(|failure| {
        let missing = signed.unsigned_members().unwrap_or_default();
        let failure = failure.exit(Exit::Unverified);
        if missing.is_empty() {
            return failure;
        }
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        failure
            .mend(format!("These members have not signed it with the keys it lists: {}.", names.join(", ")))
    })
}

fn read_toml(file: &Path) -> Result<Treaty, Failure> {
    let doing = format!("read the treaty `{}`", file.display());
    let text = text_of(file, &doing)?;
    Treaty::from_toml(&text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

/// A treaty from either form, and who has not signed it.
fn read_any(file: &Path) -> Result<(Treaty, Vec<sta_protocol::ids::MemberId>), Failure> {
    if file.extension().is_none_or(|extension| extension != "json") {
        let treaty = read_toml(file)?;
        let unsigned = treaty.members.iter().map(|member| member.id.clone()).collect();
        return Ok((treaty, unsigned));
    }
    let signed = read_treaty(file)?;
    let doing = format!("read the treaty `{}`", file.display());
    Ok((signed.peek_unverified().trying_to(&doing)?, signed.unsigned_members().trying_to(doing)?))
}

fn digest_of(treaty: &Treaty) -> Result<Sha256Digest, Failure> {
    Sha256Digest::of_json(treaty).trying_to("compute the treaty's digest")
}
