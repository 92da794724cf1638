//! What a node shows and what it accepts, as its files say at this moment: a rotated certificate and a longer list of
//! revoked ones count without a restart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::joining;
use crate::cluster::error::LinkError;
use crate::cluster::session::locked;

/// Where a node finds them; all but the list of revoked certificates must be there.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// One serial number a line, what follows it is for people.
    pub revoked: PathBuf,
}

pub(super) struct Credentials {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    stamps: Stamps,
    loaded: Arc<Loaded>,
}

/// Change times of the files: none for one that is not there.
type Stamps = [Option<(SystemTime, u64)>; 4];

pub(super) struct Loaded {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// For those who have no certificate yet. Leads to the join desk and nowhere else.
    pub(super) greeter: Arc<ServerConfig>,
    revoked: BTreeSet<String>,
}

impl Loaded {
    pub(super) fn is_revoked(&self, serial: &str) -> bool {
        self.revoked.contains(serial)
    }
}

impl Credentials {
    pub(super) fn open(files: TlsFiles) -> Result<Self, LinkError> {
        let stamps = stamps(&files);
        let loaded = Arc::new(load(&files)?);
        Ok(Self { files, current: Mutex::new(Current { stamps, loaded }) })
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        let mut current = locked(&self.current);
        let stamps = stamps(&self.files);
        if stamps != current.stamps {
            match load(&self.files) {
                Ok(loaded) => {
                    tracing::info!("the certificates of the cluster link were read again");
                    current.loaded = Arc::new(loaded);
                }
                // Half of a rotation, perhaps: the next change of a file is looked at again.
                Err(error) => tracing::warn!("the former certificates are used on: {error}"),
            }
            current.stamps = stamps;
        }
        current.loaded.clone()
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    [&files.authority, &files.certificate, &files.key, &files.revoked].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn load(files: &TlsFiles) -> Result<Loaded, LinkError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let authority = certificate(&files.authority)?;
    let own = certificate(&files.certificate)?;
    let key = || {
        let bytes = read(&files.key)?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| bad(&files.key, &error))
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|error| bad(&files.authority, &error))?;
    let roots = Arc::new(roots);
    // Whoever joins checks the authority by its hash, so it goes along.
    let chain = vec![own, authority];
    let failed = |error: &dyn std::fmt::Display| bad(&files.certificate, error);

    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = verifier.build().map_err(|error| failed(&error))?;
    let server = ServerConfig::builder_with_provider(provider.clone());
    let server = server.with_protocol_versions(&[&TLS13]).map_err(|error| failed(&error))?;
    let strict = server.clone().with_client_cert_verifier(verifier);
    let mut strict = strict.with_single_cert(chain.clone(), key()?).map_err(|error| failed(&error))?;
    without_memory(&mut strict);
    let mut greeter =
        server.with_no_client_auth().with_single_cert(chain.clone(), key()?).map_err(|error| failed(&error))?;
    without_memory(&mut greeter);
    greeter.alpn_protocols = vec![joining::PROTOCOL.to_vec()];

    let client = ClientConfig::builder_with_provider(provider);
    let client = client.with_protocol_versions(&[&TLS13]).map_err(|error| failed(&error))?;
    let client = client.with_root_certificates(roots).with_client_auth_cert(chain, key()?);
    let mut client = client.map_err(|error| failed(&error))?;
    client.resumption = Resumption::disabled();
    Ok(Loaded {
        server: Arc::new(strict),
        client: Arc::new(client),
        greeter: Arc::new(greeter),
        revoked: revoked(&files.revoked)?,
    })
}

/// A resumed session would skip the look at dates.
fn without_memory(server: &mut ServerConfig) {
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
}

fn revoked(path: &Path) -> Result<BTreeSet<String>, LinkError> {
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Ok(text.lines().filter_map(revoked_serial).collect())
}

/// The serial number in a line of the list of revoked certificates: its first word, hexadecimal. Comments have none.
pub fn revoked_serial(line: &str) -> Option<String> {
    let word = line.split_whitespace().next()?;
    word.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| word.to_ascii_lowercase())
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, LinkError> {
    CertificateDer::from_pem_slice(&read(path)?).map_err(|error| bad(path, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    std::fs::read(path).map_err(|error| bad(path, &error))
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> LinkError {
    LinkError::Certificate { path: path.to_owned(), why: error.to_string() }
}
