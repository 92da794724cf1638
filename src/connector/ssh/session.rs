//! One connection to a host, signed in.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{Algorithm, PrivateKeyWithHashAlg, load_secret_key};
use russh::{ChannelMsg, ChannelStream, Disconnect, MethodKind};
use tokio::net::{TcpStream, lookup_host};

use super::PORT;
use super::error::{ErrorKind, SshError};
use super::trust::Trust;
use crate::connector::link::{FileKind, FileLink};
use crate::model::message::Message;
use crate::say;

/// A silent server is asked whether it is still there ...
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// ... and given up after so many questions.
const KEEPALIVES_MAX: usize = 3;
/// Questions of one login by keyboard-interactive.
const PROMPTS_MAX: usize = 5;
/// Keys of the user that are tried when the link names none.
const OWN_KEYS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

pub struct Session {
    pub(super) handle: Handle<Trust>,
    pub(super) link: FileLink,
}

impl Session {
    /// Connects and signs in: by the link's private key, else by its password, else by the user's own keys.
    pub async fn open(link: &FileLink, conf_dir: &Path, within: Duration) -> Result<Self, SshError> {
        if link.kind != FileKind::Sftp {
            return Err(SshError::new(link, ErrorKind::NotSsh { word: link.kind.word() }));
        }
        match tokio::time::timeout(within, opened(link, conf_dir)).await {
            Ok(opened) => opened,
            Err(_) => {
                let seconds = within.as_secs();
                Err(SshError::new(link, ErrorKind::Unreachable(say!("no answer within {} s", seconds))))
            }
        }
    }

    /// What the server offers under this name, as a stream.
    pub(in crate::connector) async fn subsystem(&self, name: &str) -> Result<ChannelStream<client::Msg>, SshError> {
        let mut channel = self.handle.channel_open_session().await.map_err(|error| self.lost(&error))?;
        channel.request_subsystem(true, name).await.map_err(|error| self.lost(&error))?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel.into_stream()),
                Some(ChannelMsg::Failure) => {
                    let why = say!("the server has no {}", name);
                    return Err(SshError::new(&self.link, ErrorKind::Refused(why)));
                }
                Some(_) => {}
                None => return Err(self.lost(&"EOF")),
            }
        }
    }

    /// Says goodbye.
    pub(in crate::connector) async fn close(&self) {
        // It may be gone already.
        let _ = self.handle.disconnect(Disconnect::ByApplication, "", "en").await;
    }

    /// What broke, in a word of ours.
    pub(super) fn lost(&self, why: &dyn std::fmt::Display) -> SshError {
        SshError::new(&self.link, ErrorKind::Lost(self.link.quoted(&why.to_string())))
    }
}

async fn opened(link: &FileLink, conf_dir: &Path) -> Result<Session, SshError> {
    let trust = Trust::of(link, conf_dir);
    let fault = trust.fault();
    let mut config = client::Config {
        keepalive_interval: Some(KEEPALIVE_EVERY),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        ..client::Config::default()
    };
    let mut kinds = config.preferred.key.to_vec();
    let known = trust.algorithms();
    kinds.sort_by_key(|kind| !known.iter().any(|known| is_same_kind(known, kind)));
    config.preferred.key = Cow::Owned(kinds);
    let socket = connected(link).await.map_err(|why| SshError::new(link, ErrorKind::Unreachable(why)))?;
    let connected = client::connect_stream(Arc::new(config), socket, trust).await;
    let mut handle = connected.map_err(|error| {
        let kind = fault.take().unwrap_or_else(|| ErrorKind::Unreachable(link.quoted(&error.to_string())));
        SshError::new(link, kind)
    })?;
    sign_in(&mut handle, link, conf_dir).await?;
    Ok(Session { handle, link: link.clone() })
}

/// Each address of the host is tried; the error says which step failed.
async fn connected(link: &FileLink) -> Result<TcpStream, Message> {
    let host = link.host.as_str();
    let found = lookup_host((host, link.port.unwrap_or(PORT))).await;
    let found = found.map_err(|error| say!("the name {} has no address: {}", host, error.to_string()))?;
    let mut failed = say!("the name {} has no address: {}", host, "");
    for address in found {
        match TcpStream::connect(address).await {
            Ok(socket) => {
                // Answers are waited for: what is ready goes at once.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => failed = say!("{} does not answer: {}", address.to_string(), error.to_string()),
        }
    }
    Err(failed)
}

/// RSA keys are one kind, whatever they sign with.
fn is_same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || one == other
}

async fn sign_in(handle: &mut Handle<Trust>, link: &FileLink, conf_dir: &Path) -> Result<(), SshError> {
    let lost = |error: russh::Error| SshError::new(link, ErrorKind::Unreachable(link.quoted(&error.to_string())));
    let mut accepts: Vec<MethodKind> = Vec::new();
    for (path, is_named) in keys(link, conf_dir) {
        let key = match load_secret_key(&path, link.property("passphrase")) {
            Ok(key) => key,
            // One of the user's own that needs a passphrase is not for programs.
            Err(_) if !is_named => continue,
            Err(error) => {
                let why = say!("the private key {} cannot be read: {}", path, error.to_string());
                return Err(SshError::new(link, ErrorKind::Key(why)));
            }
        };
        let hash = handle.best_supported_rsa_hash().await.map_err(lost)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        match handle.authenticate_publickey(&link.username, key).await.map_err(lost)? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, .. } => accepts = remaining_methods.to_vec(),
        }
    }
    if !link.password.is_empty() {
        let password = link.password.expose();
        match handle.authenticate_password(&link.username, password).await.map_err(lost)? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, .. } => accepts = remaining_methods.to_vec(),
        }
        if accepts.contains(&MethodKind::KeyboardInteractive) && by_prompts(handle, link).await.map_err(lost)? {
            return Ok(());
        }
    } else if accepts.is_empty()
        && let AuthResult::Failure { remaining_methods, .. } =
            handle.authenticate_none(&link.username).await.map_err(lost)?
    {
        accepts = remaining_methods.to_vec();
    }
    let names: Vec<&'static str> = accepts.iter().map(Into::into).collect();
    Err(SshError::new(link, ErrorKind::Login { accepts: names.join(", ") }))
}

/// Files of private keys, and whether the link names them.
fn keys(link: &FileLink, conf_dir: &Path) -> Vec<(PathBuf, bool)> {
    if let Some(named) = link.property("private-key") {
        return vec![(conf_dir.join(named), true)];
    }
    if !link.password.is_empty() {
        return Vec::new();
    }
    let own = std::env::home_dir().map(|home| home.join(".ssh")).unwrap_or_default();
    OWN_KEYS.iter().map(|name| (own.join(name), false)).filter(|(path, _)| path.is_file()).collect()
}

/// A server that asks for the password instead of taking it: every prompt is answered with it.
async fn by_prompts(handle: &mut Handle<Trust>, link: &FileLink) -> Result<bool, russh::Error> {
    let mut answer = handle.authenticate_keyboard_interactive_start(&link.username, None).await?;
    for _ in 0..PROMPTS_MAX {
        match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                let said = prompts.iter().map(|_| link.password.expose().to_owned()).collect();
                answer = handle.authenticate_keyboard_interactive_respond(said).await?;
            }
        }
    }
    Ok(false)
}
