//! Whom a certificate speaks for: `m1.master.ractorflow` as its one alternative name.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::cluster::identity::{NodeIdentity, Role};

const DOMAIN: &str = "ractorflow";

/// A node as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub name: Arc<str>,
    pub role: Role,
}

impl Subject {
    pub fn dns_name(&self) -> String {
        format!("{}.{}.{DOMAIN}", self.name, self.role)
    }

    fn parse(dns_name: &str) -> Option<Self> {
        let (name, role) = dns_name.strip_suffix(DOMAIN)?.strip_suffix('.')?.rsplit_once('.')?;
        Some(Self { name: name.into(), role: Role::from_word(role)? })
    }

    /// Whether a node may claim to be this one.
    pub fn is(&self, identity: &NodeIdentity) -> bool {
        self.name == identity.name && self.role == identity.role
    }
}

/// A certificate that was verified: who it is, and by which number it can be taken back. The number is signed, the
/// certificate's own hash is not: a signature can be written in two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    pub subject: Subject,
    /// In hexadecimal.
    pub serial: String,
}

impl Certified {
    /// `None` when it does not name exactly one node.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut names = certificate.valid_dns_names();
        let (Some(name), None) = (names.next(), names.next()) else { return None };
        Some(Self { subject: Subject::parse(name)?, serial: hex::encode(certificate.serial()) })
    }
}
