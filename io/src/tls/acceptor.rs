//! What TLS connections are accepted with: certificate, key, whom to trust, and which ciphers.

use crate::limits::{TLS_FILE_BYTES_MAX, TLS_FILES_MAX};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, CipherSuite, InconsistentKeys, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
};
use std::fmt;
use std::io::{self, Read as _};
use std::sync::Arc;

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// They are not asked.
    No,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// What an acceptor is made of. Empty texts are for what is not given.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// File of the certificate, with those that lead to its root.
    pub cert_file: &'a str,
    /// File of its key.
    pub key_file: &'a str,
    /// File of certificates whose clients are trusted.
    pub ca_cert_file: &'a str,
    /// Directory of such files.
    pub ca_cert_dir: &'a str,
    /// Whether clients must show a certificate.
    pub auth_clients: ClientAuth,
    /// Versions, with spaces between: `TLSv1.2`, `TLSv1.3`.
    pub protocols: &'a str,
    /// Ciphers of TLS 1.2 by OpenSSL's names, with colons between.
    pub ciphers: &'a str,
    /// Those of TLS 1.3.
    pub ciphersuites: &'a str,
    /// The order of ciphers is the server's.
    pub prefer_server_ciphers: bool,
    /// Sessions that are remembered, so that clients which come back are quick.
    pub sessions_max: usize,
}

/// Why there is no acceptor: one sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn failed(doing: &str, path: &str, source: impl fmt::Display) -> Error {
    Error(format!("cannot {doing} {path}: {source}"))
}

/// What connections are accepted with; the connections of one share it.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// Reads certificates and keys; returns a sentence as well for each wish that cannot be met.
    ///
    /// # Errors
    /// A file is missing or wrong, or the wishes leave nothing to speak.
    pub fn new(options: &Options<'_>) -> Result<(Self, Vec<String>), Error> {
        let mut warnings = Vec::new();
        let provider = Arc::new(provider(options, &mut warnings)?);
        let versions = versions(options.protocols, &mut warnings)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|_| Error("tls_ciphers and tls_protocols leave no cipher".into()))?;
        let builder = match options.auth_clients {
            ClientAuth::No => builder.with_no_client_auth(),
            auth => {
                let roots = Arc::new(roots(options)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let verifier = match auth {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    ClientAuth::No | ClientAuth::Required => verifier,
                };
                let verifier = verifier.build().map_err(|error| Error(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let own = own(options, &provider)?;
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.ignore_client_order = options.prefer_server_ciphers;
        if options.sessions_max == 0 {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = ServerSessionMemoryCache::new(options.sessions_max);
            config.send_tls13_tickets = 1;
        }
        Ok((Self { config: Arc::new(config) }, warnings))
    }

    pub(super) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

/// The bytes of a file of certificates or keys.
fn bytes_of(doing: &str, path: &str) -> Result<Vec<u8>, Error> {
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        if file.take(TLS_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)? as u64 > TLS_FILE_BYTES_MAX {
            return Err(io::Error::other("it is too long"));
        }
        Ok(bytes)
    };
    read().map_err(|error| failed(doing, path, error))
}

/// The server's own certificate and its key.
fn own(options: &Options<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    const CERTIFICATE: &str = "read the certificate";
    const KEY: &str = "read the key";
    let (cert_file, key_file) = (options.cert_file, options.key_file);
    if cert_file.is_empty() {
        return Err(Error("TLS needs a certificate: --tls_cert_file".into()));
    }
    if key_file.is_empty() {
        return Err(Error("TLS needs the key of its certificate: --tls_key_file".into()));
    }
    let bytes = bytes_of(CERTIFICATE, cert_file)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(CERTIFICATE, cert_file, error))?;
    if chain.is_empty() {
        return Err(failed(CERTIFICATE, cert_file, "there is none in PEM form"));
    }
    let bytes = bytes_of(KEY, key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        if memchr::memmem::find(&bytes, b"ENCRYPTED").is_some() {
            return encrypted(key_file);
        }
        failed(KEY, key_file, error)
    })?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        // The old form is told by a line within.
        if memchr::memmem::find(&bytes, b"4,ENCRYPTED").is_some() {
            return encrypted(key_file);
        }
        failed(KEY, key_file, error)
    })?;
    let own = CertifiedKey::new(chain, key);
    match own.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let source = format!("it is not that of the certificate in {cert_file}");
            Err(failed("use the key", key_file, source))
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => {
            Err(failed(CERTIFICATE, cert_file, "it is damaged"))
        }
        // A certificate of the first version of X.509 is not looked into, and clients may take it.
        Ok(()) | Err(_) => Ok(own),
    }
}

fn encrypted(path: &str) -> Error {
    let source = "it is encrypted, and only keys that are not can be read (`openssl pkey` removes \
                  the pass phrase)";
    failed("read the key", path, source)
}

/// Whose clients are trusted.
fn roots(options: &Options<'_>) -> Result<RootCertStore, Error> {
    const DOING: &str = "read the trusted certificates";
    let (file, dir) = (options.ca_cert_file, options.ca_cert_dir);
    if file.is_empty() && dir.is_empty() {
        return Err(Error(
            "TLS needs the certificates whose clients are trusted (--tls_ca_cert_file or \
             --tls_ca_cert_dir), or --tls_auth_clients=no"
                .into(),
        ));
    }
    let mut roots = RootCertStore::empty();
    if !file.is_empty() && add_roots(&mut roots, &bytes_of(DOING, file)?) == 0 {
        return Err(failed(DOING, file, "there is none in PEM form"));
    }
    if !dir.is_empty() {
        let entries = std::fs::read_dir(dir).map_err(|error| failed(DOING, dir, error))?;
        let mut added = 0;
        for entry in entries.flatten().take(TLS_FILES_MAX) {
            // Among them may be lists, keys and links to nothing.
            let bytes = bytes_of(DOING, &entry.path().to_string_lossy()).unwrap_or_default();
            added += add_roots(&mut roots, &bytes);
        }
        if added == 0 {
            return Err(failed(DOING, dir, "there is none in PEM form"));
        }
    }
    Ok(roots)
}

fn add_roots(roots: &mut RootCertStore, bytes: &[u8]) -> usize {
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bytes).flatten()).0
}

/// Ciphers by OpenSSL's names, and by those of the standard.
#[rustfmt::skip]
const CIPHERS: &[(&str, CipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// Words of OpenSSL for sets of which all that are here are members, and for sets of which none is.
const ALL_WORDS: &[&str] = &["ALL", "DEFAULT", "HIGH", "SECURE"];
#[rustfmt::skip]
const NONE_WORDS: &[&str] = &[
    "!aNULL", "!eNULL", "!NULL", "!MEDIUM", "!LOW", "!EXPORT", "!EXP", "!DES", "!3DES", "!RC4",
    "!MD5", "!SHA1", "!PSK", "!SRP", "!DSS", "!kRSA", "!CAMELLIA", "!SEED", "!IDEA", "@STRENGTH",
];

/// The ciphers that are wished for, all where no wish is given.
fn provider(options: &Options<'_>, warnings: &mut Vec<String>) -> Result<CryptoProvider, Error> {
    let mut provider = ring::default_provider();
    let all = std::mem::take(&mut provider.cipher_suites);
    let newer =
        |suite: CipherSuite| all.iter().any(|its| its.suite() == suite && its.version() == &TLS13);
    let wishes = [("tls_ciphersuites", options.ciphersuites), ("tls_ciphers", options.ciphers)];
    for (at, (name, wish)) in wishes.into_iter().enumerate() {
        if wish.is_empty() {
            let rest = all.iter().filter(|its| newer(its.suite()) == (at == 0));
            provider.cipher_suites.extend(rest);
            continue;
        }
        let before = provider.cipher_suites.len();
        for word in wish.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
            if NONE_WORDS.contains(&word) {
                continue;
            }
            if ALL_WORDS.contains(&word) {
                let rest = all.iter().filter(|its| newer(its.suite()) == (at == 0));
                provider.cipher_suites.extend(rest);
                continue;
            }
            let known = CIPHERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            match known.filter(|(_, suite)| newer(*suite) == (at == 0)) {
                Some((_, suite)) => {
                    provider.cipher_suites.extend(all.iter().filter(|its| its.suite() == *suite));
                }
                None => warnings.push(format!("{name}: '{word}' is not a cipher known here")),
            }
        }
        if provider.cipher_suites.len() == before {
            return Err(Error(format!("{name} '{wish}' names no cipher that is known here")));
        }
    }
    Ok(provider)
}

/// The versions that are wished for, both where no wish is given.
fn versions(
    wish: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    if wish.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let mut versions = Vec::new();
    for word in wish.split([' ', ',']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1" | "tlsv1.1" => {
                warnings.push(format!("tls_protocols: {word} is not safe and not spoken here"));
            }
            _ => {
                return Err(Error(format!(
                    "tls_protocols '{wish}' has a word other than TLSv1, TLSv1.1, TLSv1.2 and \
                     TLSv1.3"
                )));
            }
        }
    }
    if versions.is_empty() {
        return Err(Error(format!("tls_protocols '{wish}' names no version spoken here")));
    }
    Ok(versions)
}
