//! Where secrets lie, and how they are fetched from there.
//!
//! The configuration holds only the way to a secret. Fetching is a step of its own, because it reads files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use crate::{
    config::{Config, Env, Place, Problem, Problems, settings::AlertTarget},
    model::ChannelId,
};

/// The largest secret that is read.
const BYTES_MAX: u64 = 64 * 1024;

/// The way to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    /// A file of this name in `$CREDENTIALS_DIRECTORY`, where systemd puts it.
    Credential(String),
    /// An environment variable, for containers.
    Env(String),
}

/// A secret's way, and which key of the configuration names it.
#[derive(Debug, Clone)]
pub struct SecretRef {
    pub source: SecretSource,
    pub(super) key: String,
    pub(super) origin: String,
    pub(super) place: Option<Place>,
}

impl SecretRef {
    /// Returns the key of the configuration that names it.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Two are equal if they lead to the same secret, wherever they are written.
impl PartialEq for SecretRef {
    fn eq(&self, other: &SecretRef) -> bool {
        self.source == other.source
    }
}

impl Eq for SecretRef {}

/// Every secret of a configuration. Shows nothing when printed.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The address that alerts are posted to, if it is kept as a secret.
    pub alerts_webhook: Option<SecretString>,
    pub shopify: BTreeMap<ChannelId, ShopifySecrets>,
    pub amazon: BTreeMap<ChannelId, AmazonSecrets>,
    pub tryton: BTreeMap<ChannelId, TrytonSecrets>,
}

#[derive(Debug, Clone)]
pub struct ShopifySecrets {
    /// The access token, or the client's secret.
    pub access: SecretString,
    pub webhook_secrets: Vec<SecretString>,
}

#[derive(Debug, Clone)]
pub struct AmazonSecrets {
    pub client_secret: SecretString,
    pub refresh_token: SecretString,
    /// Of the access key that reads the queue.
    pub queue: Option<SecretString>,
}

#[derive(Debug, Clone)]
pub struct TrytonSecrets {
    pub key: SecretString,
}

impl Secrets {
    /// Fetches every secret that `config` names. Tells all that cannot be had, not only the first.
    pub fn load(config: &Config, env: &Env) -> Result<Secrets, Problems> {
        let mut loader = Loader { env, problems: Vec::new() };
        let mut secrets = Secrets::default();
        match &config.alerts.target {
            Some(AlertTarget::Secret(at)) => secrets.alerts_webhook = loader.url(at),
            Some(AlertTarget::Plain(_)) | None => {}
        }
        for (id, shop) in &config.shopify {
            let access = loader.fetch(shop.access.secret());
            let signing = shop.webhook_secrets.iter().filter_map(|at| loader.fetch(at)).collect();
            if let Some(access) = access {
                secrets.shopify.insert(id.clone(), ShopifySecrets { access, webhook_secrets: signing });
            }
        }
        for (id, amazon) in &config.amazon {
            let secret = loader.fetch(&amazon.client_secret);
            let token = loader.fetch(&amazon.refresh_token);
            let key = amazon.queue.as_ref().and_then(|queue| queue.key.as_ref());
            let queue = key.and_then(|(_, at)| loader.fetch(at));
            if let (Some(client_secret), Some(refresh_token)) = (secret, token) {
                secrets.amazon.insert(id.clone(), AmazonSecrets { client_secret, refresh_token, queue });
            }
        }
        for (id, tryton) in &config.tryton {
            if let Some(key) = loader.fetch(&tryton.key) {
                secrets.tryton.insert(id.clone(), TrytonSecrets { key });
            }
        }
        if loader.problems.is_empty() { Ok(secrets) } else { Err(Problems::new(loader.problems)) }
    }
}

/// Why a secret cannot be had. Never says what it is.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot read `{path}`: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not a file")]
    NotAFile { path: PathBuf },
    #[error("`{path}` can be read or written by others than its owner (mode `{mode:03o}`)")]
    Open { path: PathBuf, mode: u32 },
    #[error("`{path}` is larger than `{BYTES_MAX}` bytes")]
    TooLarge { path: PathBuf },
    #[error("`CREDENTIALS_DIRECTORY` is not set, so there is no credential `{name}`")]
    NoDirectory { name: String },
    #[error("the environment variable `{name}` is not set")]
    NoVariable { name: String },
    #[error("the secret is empty")]
    Empty,
    #[error("the secret is not UTF-8 text")]
    NotText,
    #[error("the secret must be one line without white space around it")]
    NotOneLine,
    #[error("the secret must be an address that begins with `https://`, or `http://` for loopback")]
    NotAnAddress,
}

impl Fault {
    fn fix(&self) -> Option<String> {
        match self {
            Fault::Open { path, .. } => Some(format!("run `chmod 600 {}`", path.display())),
            Fault::NoDirectory { name } => Some(format!(
                "start it by systemd with `LoadCredential={name}:/path`, set `CREDENTIALS_DIRECTORY` to the directory \
                 that holds it, or use `file`"
            )),
            Fault::Unreadable { .. }
            | Fault::NotAFile { .. }
            | Fault::TooLarge { .. }
            | Fault::NoVariable { .. }
            | Fault::Empty
            | Fault::NotText
            | Fault::NotOneLine
            | Fault::NotAnAddress => None,
        }
    }
}

struct Loader<'a> {
    env: &'a Env,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn fetch(&mut self, at: &SecretRef) -> Option<SecretString> {
        self.noting(at, fetch(&at.source, self.env))
    }

    fn url(&mut self, at: &SecretRef) -> Option<SecretString> {
        let found = fetch(&at.source, self.env).and_then(|text| {
            let url: url::Url = text.parse().map_err(|_| Fault::NotAnAddress)?;
            let plain = url.scheme() == "http" && super::scope::is_loopback(&url);
            if url.scheme() == "https" || plain { Ok(text) } else { Err(Fault::NotAnAddress) }
        });
        self.noting(at, found)
    }

    fn noting(&mut self, at: &SecretRef, found: Result<String, Fault>) -> Option<SecretString> {
        found.map(SecretString::from).map_err(|fault| self.problems.push(at.problem(&fault))).ok()
    }
}

impl SecretRef {
    fn problem(&self, fault: &Fault) -> Problem {
        Problem {
            origin: self.origin.clone(),
            place: self.place,
            key: self.key.clone(),
            message: fault.to_string(),
            fix: fault.fix(),
            snippet: None,
        }
    }
}

fn fetch(source: &SecretSource, env: &Env) -> Result<String, Fault> {
    let text = match source {
        SecretSource::File(path) => read(path, 0o077)?,
        // systemd grants the service's user access by an ACL, and its mask shows as the group's bits.
        SecretSource::Credential(name) => match env.get("CREDENTIALS_DIRECTORY") {
            Some(directory) => read(&Path::new(directory).join(name), 0o007)?,
            None => return Err(Fault::NoDirectory { name: name.clone() }),
        },
        SecretSource::Env(name) => match env.get(name) {
            Some(value) => value.clone(),
            None => return Err(Fault::NoVariable { name: name.clone() }),
        },
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Fault::Empty);
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(Fault::NotOneLine);
    }
    Ok(text.to_owned())
}

/// Reads a small file, unless its mode has one of the bits in `refused`.
fn read(path: &Path, refused: u32) -> Result<String, Fault> {
    let unreadable = |source| Fault::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(Fault::NotAFile { path: path.to_owned() });
    }
    if about.mode() & refused != 0 {
        return Err(Fault::Open { path: path.to_owned(), mode: about.mode() & 0o777 });
    }
    let mut bytes = Vec::new();
    let limit = BYTES_MAX + 1;
    Read::by_ref(&mut file).take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Fault::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| Fault::NotText)
}
