// SPDX-License-Identifier: Apache-2.0
//! `sta init`: a member's node directory with fresh keys, its configuration, and the public part for the treaty.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sta_protocol::{
    ids::{Jurisdiction, MemberId, SiteId},
    treaty::Member,
};

use super::{
    failure::{Exit, Failure, Trying},
    print::Style,
    profile::{OPERATOR_TOKEN, fresh_token},
    read::text_of,
};
use crate::{
    config::{
        CONFIG_FILE, DiskConfig, FlopsConfig, GatesConfig, PoliciesConfig, RawConfig, RawSite, StopConfig,
    },
    keys::{Keys, write_secret},
    outside::SystemChance,
};

/// The signed treaty in a node's directory.
pub const TREATY_FILE: &str = "treaty.jws.json";
/// The public part of a node, for the treaty.
pub const MEMBER_FILE: &str = "member.toml";
/// The keys in a node's directory.
pub const KEYS: &str = "keys";
const LISTEN_DEFAULT: &str = "127.0.0.1:7411";
const QUEUE_MAX: u32 = 1000;

/// What `sta init` is told.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The directory to make
    #[arg(long, env = "STA_DIR", value_name = "DIR")]
    pub dir: PathBuf,
    /// The member's short name, such as `ca`
    #[arg(long)]
    pub member: MemberId,
    /// The address under which other members reach the node; the treaty names it and signatures cover it
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// Where the node listens [default: the address in --url if it is one of loopback, else 127.0.0.1:7411]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    /// A site that the node drives with the engine `local`; may be repeated
    #[arg(long = "site", value_name = "SITE")]
    pub sites: Vec<SiteId>,
    /// What people call the member [default: its short name]
    #[arg(long)]
    pub name: Option<String>,
    /// The jurisdiction whose law the member answers to [default: its short name]
    #[arg(long)]
    pub jurisdiction: Option<Jurisdiction>,
}

/// `member.toml`: the public part of a node, as a treaty lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberFile {
    /// One member.
    pub members: Vec<Member>,
}

/// Makes the node's directory and says what to do next.
///
/// # Errors
/// The address is none, the directory is a node's already, or a file cannot be written.
pub fn run(args: &InitArgs, style: Style) -> Result<(), Failure> {
    let member = create(args)?;
    let directory = args.dir.display();
    let document = json!({"directory": args.dir, "member": member});
    style.answer(&document, || {
        format!(
            "Node of `{id}` made in {directory} (mode 0700), keys in {directory}/{KEYS} (mode 0600).

Next:
  1. Send {directory}/{MEMBER_FILE} to the other members; it holds public keys only.
  2. sta treaty new --from TEMPLATE.toml --member {directory}/{MEMBER_FILE} --member OTHER/{MEMBER_FILE} --out treaty.toml
  3. sta treaty sign --dir {directory} treaty.toml     (each member signs the same treaty.jws.json)
  4. Put the treaty that all have signed at {directory}/{TREATY_FILE}
  5. sta serve --dir {directory}
",
            id = member.id,
        )
    });
    Ok(())
}

/// Makes the node's directory.
///
/// # Errors
/// As [`run`].
pub fn create(args: &InitArgs) -> Result<Member, Failure> {
    let doing = format!("make a node in `{}`", args.dir.display());
    let (url, origin) = address(&args.url)?;
    if args.dir.join(CONFIG_FILE).exists() {
        let failure = Failure::new(doing, format!("there is a node already: it has a `{CONFIG_FILE}`"));
        return Err(failure.exit(Exit::Usage).mend("Choose another directory; keys are never overwritten."));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&args.dir).trying_to(&doing)?;
    // It may have been there before, open to others.
    fs::set_permissions(&args.dir, fs::Permissions::from_mode(0o700)).trying_to(&doing)?;
    let keys = args.dir.join(KEYS);
    Keys::create(&keys, &origin, &SystemChance).trying_to(&doing)?;
    let member = Member {
        id: args.member.clone(),
        name: args.name.clone().unwrap_or_else(|| args.member.to_string()),
        jurisdiction: match &args.jurisdiction {
            Some(jurisdiction) => jurisdiction.clone(),
            None => args.member.as_str().parse().trying_to(&doing)?,
        },
        url,
        keys: Keys::load(&keys).trying_to(&doing)?.public(),
    };
    write_secret(&args.dir.join(OPERATOR_TOKEN), fresh_token(&SystemChance).as_bytes()).trying_to(&doing)?;
    let public = toml::to_string_pretty(&MemberFile { members: vec![member.clone()] }).trying_to(&doing)?;
    fs::write(args.dir.join(MEMBER_FILE), public).trying_to(&doing)?;
    // Last, because its presence says that the node is whole.
    write_config(args, &origin).trying_to(doing)?;
    Ok(member)
}

fn write_config(args: &InitArgs, origin: &str) -> Result<(), Failure> {
    let authority = origin.split('/').next().unwrap_or_default();
    let loopback = authority.parse().ok().filter(|address: &std::net::SocketAddr| address.ip().is_loopback());
    let listen =
        args.listen.or(loopback).map_or_else(|| LISTEN_DEFAULT.to_owned(), |address| address.to_string());
    let site = |id: &SiteId| RawSite {
        flops: FlopsConfig::default(),
        id: id.clone(),
        engine: "local".to_owned(),
        slurm: None,
        queue_max: QUEUE_MAX,
        handed_over_max: None,
        policies: Vec::new(),
    };
    let config = RawConfig {
        stop: StopConfig::default(),
        member: args.member.clone(),
        listen,
        treaty: TREATY_FILE.into(),
        sites: args.sites.iter().map(site).collect(),
        disk: DiskConfig::default(),
        gates: GatesConfig::default(),
        policies: PoliciesConfig::default(),
    };
    let path = args.dir.join(CONFIG_FILE);
    let doing = format!("write `{}`", path.display());
    let text = toml::to_string_pretty(&config).trying_to(&doing)?;
    fs::write(&path, format!("# The node of one member; docs/operations.md describes every field.\n{text}"))
        .trying_to(doing)
}

/// The address without a slash at its end, and the origin of the log: where it is served, without the scheme (C2SP tlog-tiles).
fn address(url: &str) -> Result<(String, String), Failure> {
    let url = url.trim_end_matches('/');
    let refused = |cause: &str| {
        Failure::new(format!("take `{url}` as the node's address"), cause)
            .exit(Exit::Usage)
            .mend("Give it such as https://node.ca.example or http://127.0.0.1:7411.")
    };
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(|| refused("it begins with neither https:// nor http://"))?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'+');
    if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(is_plain) {
        return Err(refused("it has no host, or characters that such an address has not"));
    }
    Ok((url.to_owned(), format!("{rest}/audit")))
}

/// The public part of a node.
///
/// # Errors
/// The file cannot be read, or does not hold exactly one member.
pub fn read_member(path: &Path) -> Result<Member, Failure> {
    let doing = format!("read the member file `{}`", path.display());
    let text = text_of(path, &doing)?;
    let file: MemberFile =
        toml::from_str(&text).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    let count = file.members.len();
    let one: Result<[Member; 1], _> = file.members.try_into();
    one.map(|[member]| member).map_err(|_| {
        let cause = format!("it lists {count} members; `sta init` writes one with exactly one");
        Failure::new(doing, cause).exit(Exit::Usage)
    })
}
