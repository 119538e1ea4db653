// SPDX-License-Identifier: Apache-2.0
//! Who asks, and at which node: a researcher's profile directory, or the operator's token in the node's own directory.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    ids::{MemberId, ResearcherId},
    keys::SigningKey,
};
use zeroize::Zeroizing;

use super::{
    client::Client,
    failure::{Exit, Failure, Trying},
    serve,
};
use crate::{
    config::Config,
    keys::{read_secret, write_secret},
};

/// The operator's token in a node's directory.
pub const OPERATOR_TOKEN: &str = "operator.token";
const PROFILE_FILE: &str = "profile.toml";
const TOKEN_FILE: &str = "token";
const HOLDER_FILE: &str = "holder.seed";
const PASSPORT_FILE: &str = "passport.jwt";

/// Who asks: a researcher by their profile, or the operator by the node's directory.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// The researcher's profile directory [default: the only one in ~/.config/sta]
    #[arg(long, env = "STA_PROFILE", value_name = "DIR")]
    pub profile: Option<PathBuf>,
    /// The node's own directory: ask as its operator
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The node's address [default: the one in the profile or directory]
    #[arg(long, env = "STA_NODE", value_name = "URL")]
    pub node: Option<String>,
}

impl Who {
    /// A client that asks in this name. `--dir` is more deliberate than a profile from the environment, so it goes first.
    ///
    /// # Errors
    /// There is no profile, it does not read, or others can read its secrets.
    pub fn client(&self) -> Result<Client, Failure> {
        if let Some(directory) = &self.dir {
            return operator(directory, self.node.as_deref());
        }
        let profile = Profile::open(self.profile.as_deref())?;
        Client::new(self.node.as_deref().unwrap_or(&profile.about.node), Some(profile.token()?))
    }
}

/// A client of the operator, by the node's directory.
///
/// # Errors
/// The directory is no node's, or its token cannot be read.
pub fn operator(directory: &Path, node: Option<&str>) -> Result<Client, Failure> {
    let token = read_token(&directory.join(OPERATOR_TOKEN))?;
    let url = match node {
        Some(url) => url.to_owned(),
        None => listen_url(Config::load(directory).trying_to("find the node's address")?.listen),
    };
    Client::new(&url, Some(token))
}

/// How this machine reaches a node that listens at `listen`: one that listens everywhere also listens on loopback.
#[must_use]
pub fn listen_url(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{listen}")
}

/// The address under which the treaty names a node, for profiles that are used elsewhere too.
///
/// # Errors
/// The directory is no node's.
pub fn public_url(directory: &Path) -> Result<(MemberId, String), Failure> {
    let config = Config::load(directory).trying_to("find the node's address")?;
    let listen = listen_url(config.listen);
    let url = match serve::read_treaty(&config.treaty)
        .and_then(|treaty| treaty.peek_unverified().trying_to("read the treaty"))
    {
        Ok(treaty) => treaty.member(&config.member).map_or(listen, |member| member.url.clone()),
        // A node without a treaty yet is still reached where it listens.
        Err(_) => listen,
    };
    Ok((config.member, url))
}

/// `profile.toml`: whose profile this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The home node's address.
    pub node: String,
    /// The home member.
    pub member: MemberId,
    /// The researcher's pseudonym.
    pub researcher: ResearcherId,
}

/// A researcher's profile directory: token, session key, passport.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where it is.
    pub directory: PathBuf,
    /// Whose it is.
    pub about: About,
}

impl Profile {
    /// Makes the directory (0700) with `profile.toml`, a token and a session key (0600). A profile that is there keeps
    /// its secrets, so that an interrupted `researcher add` can be repeated.
    ///
    /// # Errors
    /// A file cannot be written, or the directory is another researcher's.
    pub fn create(
        directory: &Path,
        about: &About,
        chance: &dyn crate::outside::Chance,
    ) -> Result<Self, Failure> {
        let doing = || format!("make the profile `{}`", directory.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).trying_to(doing())?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).trying_to(doing())?;
        if directory.join(PROFILE_FILE).exists() {
            let known = Self::open(Some(directory))?;
            if (&known.about.member, &known.about.researcher) != (&about.member, &about.researcher) {
                let cause = format!("it is the profile of {}@{}", known.about.researcher, known.about.member);
                return Err(Failure::new(doing(), cause).mend("Choose another directory with --profile."));
            }
        }
        let mut seed = Zeroizing::new([0; 32]);
        chance.fill(&mut *seed);
        write_secret(&directory.join(HOLDER_FILE), &*seed).trying_to(doing())?;
        write_secret(&directory.join(TOKEN_FILE), fresh_token(chance).as_bytes()).trying_to(doing())?;
        let text = toml::to_string_pretty(about).trying_to(doing())?;
        fs::write(directory.join(PROFILE_FILE), text).trying_to(doing())?;
        Ok(Self { directory: directory.to_owned(), about: about.clone() })
    }

    /// Opens a profile: the directory given, or the only one in `~/.config/sta`.
    ///
    /// # Errors
    /// There is none, there are several, or it does not read.
    pub fn open(directory: Option<&Path>) -> Result<Self, Failure> {
        let directory = directory.map_or_else(only_profile, |directory| Ok(directory.to_owned()))?;
        let path = directory.join(PROFILE_FILE);
        let doing = format!("read the profile `{}`", path.display());
        let missing = "Make one with `sta researcher add`, or name yours with --profile or STA_PROFILE.";
        let text = fs::read_to_string(&path)
            .trying_to(&doing)
            .map_err(|failure| failure.exit(Exit::Usage).mend(missing))?;
        let about = toml::from_str(&text).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
        Ok(Self { directory, about })
    }

    /// A client that asks as this researcher.
    ///
    /// # Errors
    /// The token cannot be read, or others can read it.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.about.node, Some(self.token()?))
    }

    /// The bearer token.
    ///
    /// # Errors
    /// It cannot be read, or others can read it.
    pub fn token(&self) -> Result<Zeroizing<String>, Failure> {
        read_token(&self.directory.join(TOKEN_FILE))
    }

    /// The session key that signs this researcher's jobs.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is no key.
    pub fn holder(&self) -> Result<SigningKey, Failure> {
        let path = self.directory.join(HOLDER_FILE);
        let seed = read_secret(&path).trying_to("read the session key")?;
        let seed: &[u8; 32] =
            seed.as_slice().try_into().trying_to(format!("use the session key `{}`", path.display()))?;
        Ok(SigningKey::from_seed(*seed))
    }

    /// The passport that was fetched last.
    ///
    /// # Errors
    /// None was fetched yet.
    pub fn passport(&self) -> Result<String, Failure> {
        let path = self.directory.join(PASSPORT_FILE);
        let read = fs::read_to_string(&path).trying_to(format!("read the passport `{}`", path.display()));
        read.map(|text| text.trim().to_owned())
            .map_err(|failure| failure.mend("Fetch one with `sta passport issue`."))
    }

    /// Keeps a passport; the file is replaced as a whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_passport(&self, passport: &str) -> Result<PathBuf, Failure> {
        let (path, new) = (self.directory.join(PASSPORT_FILE), self.directory.join("passport.new"));
        let doing = format!("keep the passport in `{}`", path.display());
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).trying_to(doing),
            Ok(()) | Err(_) => {}
        }
        write_secret(&new, passport.as_bytes()).trying_to(&doing)?;
        fs::rename(&new, &path).trying_to(&doing)?;
        Ok(path)
    }
}

/// Where a researcher's profile is made unless another place is named.
///
/// # Errors
/// There is no home directory.
pub fn default_directory(member: &MemberId, researcher: &ResearcherId) -> Result<PathBuf, Failure> {
    Ok(profiles_directory()?.join(format!("{member}-{researcher}")))
}

fn profiles_directory() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let nowhere = || {
        Failure::new("find your profiles", "HOME is not set")
            .exit(Exit::Usage)
            .mend("Name a profile with --profile.")
    };
    base.map(|base| base.join("sta")).ok_or_else(nowhere)
}

fn only_profile() -> Result<PathBuf, Failure> {
    let base = profiles_directory()?;
    let mut found: Vec<PathBuf> = match fs::read_dir(&base) {
        Ok(entries) => entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join(PROFILE_FILE).exists())
            .collect(),
        Err(_) => Vec::new(),
    };
    found.sort();
    let choose = |cause: String| {
        let mend =
            "Name yours with --profile or STA_PROFILE; an operator makes one with `sta researcher add`.";
        Failure::new("choose a profile", cause).exit(Exit::Usage).mend(mend)
    };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(choose(format!("there is none in `{}`", base.display()))),
        several => Err(choose(format!(
            "there are {}: {}",
            several.len(),
            several.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// A token of 32 random bytes in base64url (RFC 6750 allows its letters).
#[must_use]
pub fn fresh_token(chance: &dyn crate::outside::Chance) -> Zeroizing<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = Zeroizing::new([0; 32]);
    chance.fill(&mut *bytes);
    Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))
}

/// Reads a token file, which only its owner may read.
///
/// # Errors
/// It is missing, exposed, or no token.
pub fn read_token(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let doing = format!("read the token `{}`", path.display());
    let bytes = read_secret(path).trying_to(&doing)?;
    let text = std::str::from_utf8(&bytes).trying_to(&doing)?.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::new(doing, "it is empty or has characters that a token does not have"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
