//! The certificate authority of one cluster: made once, signs the keys of its nodes. ECDSA P-256 throughout.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};

use super::certificate::Subject;

const NAME: &str = "Ractorflow cluster CA";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clocks of hosts differ.
const BACKDATED: Duration = DAY;
const AUTHORITY_YEARS: u32 = 20;
const NODE_YEARS: u32 = 5;
const SERIAL_BYTES: usize = 16;
/// An uncompressed point on the curve.
const POINT_BYTES: usize = 65;
const POINT_UNCOMPRESSED: u8 = 4;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("make a key or certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the authority's key and its certificate do not belong together")]
    NotAPair,
    #[error("the authority's certificate cannot be read")]
    Unreadable,
    #[error("the name {0:?} cannot stand in a certificate")]
    BadName(String),
    #[error("the public key of {0} is not a point of P-256")]
    BadKey(String),
    #[error("get random bytes for a certificate: {0}")]
    Random(String),
}

/// From when to when a certificate counts.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    pub from: SystemTime,
    pub until: SystemTime,
}

impl Validity {
    pub fn of_node(now: SystemTime) -> Self {
        Self::years(now, NODE_YEARS)
    }

    fn years(now: SystemTime, years: u32) -> Self {
        Self { from: now - BACKDATED, until: now + DAY * 365 * years }
    }

    fn put_into(self, params: &mut CertificateParams) {
        params.not_before = self.from.into();
        params.not_after = self.until.into();
    }
}

/// Both in PEM.
pub struct NewAuthority {
    pub certificate: String,
    pub key: String,
}

/// The private key of a node, made where it is used.
pub struct NodeKey(KeyPair);

impl NodeKey {
    pub fn generate() -> Result<Self, TlsError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// In PEM.
    pub fn secret(&self) -> String {
        self.0.serialize_pem()
    }

    /// What the authority signs.
    pub fn public(&self) -> Vec<u8> {
        self.0.public_key_raw().to_vec()
    }
}

/// A new certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// In PEM.
    pub certificate: String,
    /// In hexadecimal.
    pub serial: String,
    pub until: SystemTime,
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn make(now: SystemTime) -> Result<NewAuthority, TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params();
        Validity::years(now, AUTHORITY_YEARS).put_into(&mut params);
        params.serial_number = Some(random_serial()?);
        let certificate = params.self_signed(&key)?;
        Ok(NewAuthority { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// From both in PEM.
    pub fn open(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(key)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| TlsError::Unreadable)?;
        let parsed = webpki::EndEntityCert::try_from(&certificate).map_err(|_| TlsError::Unreadable)?;
        if parsed.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(TlsError::NotAPair);
        }
        Ok(Self { issuer: Issuer::new(params(), key) })
    }

    pub fn issue(&self, subject: &Subject, public_key: &[u8], validity: Validity) -> Result<Issued, TlsError> {
        let name = subject.dns_name();
        if ServerName::try_from(name.as_str()).is_err() {
            return Err(TlsError::BadName(subject.name.to_string()));
        }
        let point = Point::new(public_key).ok_or_else(|| TlsError::BadKey(subject.name.to_string()))?;
        let serial = random_serial()?;
        let mut params = CertificateParams::new([name])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, &*subject.name);
        params.distinguished_name.push(DnType::OrganizationalUnitName, subject.role.to_string());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial.clone());
        validity.put_into(&mut params);
        let certificate = params.signed_by(&point, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), serial: hex::encode(serial.to_bytes()), until: validity.until })
    }
}

/// What a token carries of the authority: SHA-256 of its certificate, in hexadecimal.
pub fn fingerprint(certificate: &str) -> Result<String, TlsError> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| TlsError::Unreadable)?;
    Ok(hex::encode(Sha256::digest(&der)))
}

/// The same each time: the issuer in a certificate has to be the subject of the authority's own.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn random_serial() -> Result<SerialNumber, TlsError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| TlsError::Random(error.to_string()))?;
    // A positive number without leading zeros has one form only.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A public key as another host sent it.
struct Point(Vec<u8>);

impl Point {
    fn new(bytes: &[u8]) -> Option<Self> {
        let is_point = bytes.len() == POINT_BYTES && bytes[0] == POINT_UNCOMPRESSED;
        is_point.then(|| Self(bytes.to_vec()))
    }
}

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
