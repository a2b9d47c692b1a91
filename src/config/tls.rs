//! Settings of TLS, and what connections are accepted with by them.

use super::flag::{Flag, Refusal, Value};
use super::settings::Settings;
use pinion_io::tls::{Acceptor, ClientAuth, Error, Options};

/// How TLS is spoken, and where.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The main port speaks TLS.
    pub on_port: bool,
    /// A port that does; 0 for none, -1 for any free one.
    pub port: i64,
    /// File of the certificate.
    pub cert_file: String,
    /// File of its key.
    pub key_file: String,
    /// The pass phrase of the key.
    pub key_file_pass: String,
    /// File of certificates whose clients are trusted.
    pub ca_cert_file: String,
    /// Directory of such files.
    pub ca_cert_dir: String,
    /// Whether clients must show a certificate: `yes`, `no` or `optional`.
    pub auth_clients: String,
    /// Versions.
    pub protocols: String,
    /// Ciphers of TLS 1.2.
    pub ciphers: String,
    /// Those of TLS 1.3.
    pub ciphersuites: String,
    /// The order of ciphers is the server's.
    pub prefer_server_ciphers: bool,
    /// Sessions are remembered.
    pub session_caching: bool,
    /// How many.
    pub session_cache_size: u64,
    /// How long, in seconds.
    pub session_cache_timeout: u64,
    /// What connections are accepted with, where TLS is spoken.
    pub acceptor: Option<Acceptor>,
}

/// Sessions that are remembered, whatever the setting says: each takes about a kilobyte.
const SESSIONS_MAX: u64 = 1 << 20;
/// How long the library's own sessions live.
const SESSION_SECONDS: u64 = 300;

impl TlsSettings {
    /// True if TLS is spoken anywhere.
    pub fn is_on(&self) -> bool {
        self.on_port || self.port != 0
    }

    /// Everything that connections are accepted with.
    fn options(&self) -> Options<'_> {
        // Redis takes 0 for no bound.
        let sessions = match self.session_cache_size {
            0 => SESSIONS_MAX,
            size => size.min(SESSIONS_MAX),
        };
        Options {
            cert_file: &self.cert_file,
            key_file: &self.key_file,
            ca_cert_file: &self.ca_cert_file,
            ca_cert_dir: &self.ca_cert_dir,
            auth_clients: match self.auth_clients.as_str() {
                "no" => ClientAuth::No,
                "optional" => ClientAuth::Optional,
                _ => ClientAuth::Required,
            },
            protocols: &self.protocols,
            ciphers: &self.ciphers,
            ciphersuites: &self.ciphersuites,
            prefer_server_ciphers: self.prefer_server_ciphers,
            sessions_max: if self.session_caching { sessions as usize } else { 0 },
        }
    }

    /// Reads certificates and keys, if TLS is spoken anywhere; new connections use them from then
    /// on. Returns a sentence for each wish that cannot be met.
    ///
    /// # Errors
    /// One sentence: they are missing or wrong. Nothing has changed.
    pub fn load(&mut self) -> Result<Vec<String>, Error> {
        if !self.is_on() {
            return Ok(Vec::new());
        }
        let (acceptor, mut warnings) = Acceptor::new(&self.options())?;
        if self.session_caching && self.session_cache_timeout != SESSION_SECONDS {
            warnings.push(
                "tls_session_cache_timeout is told and not followed: what bounds the sessions \
                 remembered is their number"
                    .into(),
            );
        }
        self.acceptor = Some(acceptor);
        Ok(warnings)
    }

    /// True if a change of the setting that CONFIG calls `name` asks for certificates and keys to
    /// be read again; also if its text is the same, since a file may be another.
    pub(super) fn depends_on(name: &str) -> bool {
        TABLE.iter().any(|flag| flag.config == name && flag.live)
    }
}

const fn text(name: &'static str, value: Value, meaning: &'static str) -> Flag {
    Flag::new(name, value, "", meaning).live()
}

pub(super) const TABLE: &[Flag] = &[
    Flag::new(
        "tls_port",
        Value::Parsed { set: set_port, show: |settings| settings.tls.port.to_string() },
        "0",
        "TCP port that speaks TLS; 0 for none, -1 for any free one, which is printed",
    )
    .config("tls-port"),
    Flag::new(
        "tls",
        Value::Switch(|settings| &mut settings.tls.on_port),
        "no",
        "The main port speaks TLS",
    )
    .unlisted(),
    text(
        "tls_cert_file",
        Value::Text(|settings| &mut settings.tls.cert_file),
        "File of the server's certificate, in PEM form",
    )
    .config("tls-cert-file"),
    text(
        "tls_key_file",
        Value::Text(|settings| &mut settings.tls.key_file),
        "File of its key; it must not be encrypted",
    )
    .config("tls-key-file"),
    text(
        "tls_key_file_pass",
        Value::Text(|settings| &mut settings.tls.key_file_pass),
        "Pass phrase of the key; kept for those who ask",
    )
    .config("tls-key-file-pass")
    .hidden(),
    text(
        "tls_ca_cert_file",
        Value::Text(|settings| &mut settings.tls.ca_cert_file),
        "File of certificates whose clients are trusted",
    )
    .config("tls-ca-cert-file"),
    text(
        "tls_ca_cert_dir",
        Value::Text(|settings| &mut settings.tls.ca_cert_dir),
        "Directory of such files",
    )
    .config("tls-ca-cert-dir"),
    Flag::new(
        "tls_auth_clients",
        Value::Choice(|settings| &mut settings.tls.auth_clients, &["no", "yes", "optional"]),
        "yes",
        "Whether clients must show a certificate: yes, no, or optional",
    )
    .config("tls-auth-clients")
    .live(),
    text(
        "tls_protocols",
        Value::Text(|settings| &mut settings.tls.protocols),
        "Versions to speak: TLSv1.2, TLSv1.3, or both with a space between; both if empty",
    )
    .config("tls-protocols"),
    text(
        "tls_ciphers",
        Value::Text(|settings| &mut settings.tls.ciphers),
        "Ciphers of TLS 1.2 by OpenSSL's names, with colons between",
    )
    .config("tls-ciphers")
    .hidden(),
    text(
        "tls_ciphersuites",
        Value::Text(|settings| &mut settings.tls.ciphersuites),
        "Ciphers of TLS 1.3, with colons between",
    )
    .config("tls-ciphersuites")
    .alias("tls_cipher_suites")
    .hidden(),
    Flag::new(
        "tls_prefer_server_ciphers",
        Value::Switch(|settings| &mut settings.tls.prefer_server_ciphers),
        "no",
        "Choose ciphers in the server's order",
    )
    .config("tls-prefer-server-ciphers")
    .live()
    .hidden(),
    Flag::new(
        "tls_session_caching",
        Value::Switch(|settings| &mut settings.tls.session_caching),
        "yes",
        "Remember sessions, so that clients which come back are quick",
    )
    .config("tls-session-caching")
    .live()
    .hidden(),
    Flag::new(
        "tls_session_cache_size",
        Value::Count(|settings| &mut settings.tls.session_cache_size, 0, i32::MAX as u64),
        "20480",
        "Sessions that are remembered",
    )
    .config("tls-session-cache-size")
    .live()
    .hidden(),
    Flag::new(
        "tls_session_cache_timeout",
        Value::Count(|settings| &mut settings.tls.session_cache_timeout, 0, i32::MAX as u64),
        "300",
        "Seconds that they are remembered for",
    )
    .config("tls-session-cache-timeout")
    .live()
    .hidden(),
];

fn set_port(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let port = text.parse().ok().filter(|port| (-1..=65_535).contains(port));
    settings.tls.port = port.ok_or("argument must be between -1 and 65535 inclusive")?;
    Ok(())
}
