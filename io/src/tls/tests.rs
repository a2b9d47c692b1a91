//! Streams against the client of the same library: whole, cut anywhere, and damaged.

use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read as _, Write as _};

/// An acceptor, and how clients speak that trust it.
fn ends() -> (Acceptor, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let place = std::env::temp_dir().join(format!("pinion-stream-{}", random_number(1)));
    let (cert_file, key_file) = (place.with_extension("crt"), place.with_extension("key"));
    std::fs::write(&cert_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let options = Options {
        cert_file: &cert_file.to_string_lossy(),
        key_file: &key_file.to_string_lossy(),
        ca_cert_file: "",
        ca_cert_dir: "",
        auth_clients: ClientAuth::No,
        protocols: "",
        ciphers: "",
        ciphersuites: "",
        prefer_server_ciphers: false,
        sessions_max: 16,
    };
    let (acceptor, warnings) = Acceptor::new(&options).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let _ = (std::fs::remove_file(&cert_file), std::fs::remove_file(&key_file));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (acceptor, Arc::new(config))
}

#[test]
fn wishes_are_followed_or_named() {
    let place = std::env::temp_dir().join(format!("pinion-wishes-{}", random_number(3)));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&place, params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).unwrap();
    let file = place.to_string_lossy().into_owned();
    let wish = |protocols, ciphers, ciphersuites| {
        let options = Options {
            cert_file: &file,
            key_file: &file,
            ca_cert_file: "",
            ca_cert_dir: "",
            auth_clients: ClientAuth::No,
            protocols,
            ciphers,
            ciphersuites,
            prefer_server_ciphers: true,
            sessions_max: 0,
        };
        let made = Acceptor::new(&options);
        let told = made.map(|(acceptor, warnings)| {
            (acceptor.config().crypto_provider().cipher_suites.len(), warnings.len())
        });
        told.map_err(|error| error.to_string())
    };
    assert_eq!(wish("", "", ""), Ok((9, 0)));
    assert_eq!(wish("TLSv1.1 TLSv1.2", "DEFAULT:!MEDIUM", ""), Ok((9, 1)));
    let few = ("ECDHE-RSA-AES128-GCM-SHA256:RC4-MD5", "TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(wish("TLSv1.3", few.0, few.1), Ok((2, 1)));
    assert!(wish("TLSv1.1", "", "").unwrap_err().contains("no version"));
    assert!(wish("SSLv3", "", "").unwrap_err().contains("other than"));
    assert!(wish("", "RC4-MD5", "").unwrap_err().contains("tls_ciphers 'RC4-MD5'"));
    assert!(wish("", "", "TLS_NONE").unwrap_err().contains("tls_ciphersuites"));
    std::fs::remove_file(&place).unwrap();
}

/// A number that no other test of this process or another has.
fn random_number(salt: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(salt)
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % below
    }
}

/// Gives a client what a stream has to send; false if the client does not like it.
fn hand_back(stream: &mut Stream, client: &mut ClientConnection, got: &mut Vec<u8>) -> bool {
    let sealed = stream.take_outgoing();
    let mut rest = &sealed[..];
    while !rest.is_empty() {
        // After the end was said it takes nothing.
        match client.read_tls(&mut rest) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        if client.process_new_packets().is_err() {
            return false;
        }
        let mut piece = [0; 4096];
        while let Ok(len) = client.reader().read(&mut piece)
            && len > 0
        {
            got.extend_from_slice(&piece[..len]);
        }
    }
    true
}

fn take_sealed(client: &mut ClientConnection) -> Vec<u8> {
    let mut sealed = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut sealed).unwrap();
    }
    sealed
}

#[test]
fn bytes_go_both_ways_however_they_are_cut() {
    let (acceptor, config) = ends();
    for cut in [1, 2, 3, 5, 7, 100, 1000, 16_384, 100_000] {
        let (mut stream, mut client) = (Stream::new(&acceptor).unwrap(), client(&config));
        let (mut plain, mut got) = (Vec::new(), Vec::new());
        let sent: Vec<u8> = (0..60_000_u32).map(|n| (n % 251) as u8).collect();
        let mut written = false;
        while plain.len() < sent.len() || got.len() < sent.len() {
            if !client.is_handshaking() && !written {
                client.writer().write_all(&sent).unwrap();
                written = true;
            }
            for piece in take_sealed(&mut client).chunks_mut(cut) {
                stream.open(piece, &mut plain).unwrap();
                assert!(stream.incoming_bytes() <= TLS_WAITING_BYTES_MAX);
            }
            if plain.len() == sent.len() && got.is_empty() {
                assert!(stream.is_open() && !stream.is_fresh());
                stream.seal(&plain).unwrap();
            }
            assert!(hand_back(&mut stream, &mut client, &mut got));
        }
        assert!(plain == sent && got == sent, "{cut}");
        assert_eq!(stream.incoming_bytes(), 0);
        client.send_close_notify();
        stream.open(&mut take_sealed(&mut client), &mut plain).unwrap();
        assert!(stream.is_ended());
        stream.seal(b"late").unwrap();
        assert!(stream.end() && !stream.end());
        assert!(hand_back(&mut stream, &mut client, &mut got));
        assert!(got.ends_with(b"late"));
    }
}

#[test]
fn keys_are_renewed_when_the_client_asks() {
    let (acceptor, config) = ends();
    let (mut stream, mut client) = (Stream::new(&acceptor).unwrap(), client(&config));
    let (mut plain, mut got) = (Vec::new(), Vec::new());
    for round in 0..20 {
        if !client.is_handshaking() {
            client.refresh_traffic_keys().unwrap();
            client.writer().write_all(&[round]).unwrap();
        }
        stream.open(&mut take_sealed(&mut client), &mut plain).unwrap();
        if stream.is_open() {
            stream.seal(&plain).unwrap();
            plain.clear();
        }
        assert!(hand_back(&mut stream, &mut client, &mut got));
    }
    assert!(got.len() > 10, "{got:?}");
}

/// Whatever arrives, a stream neither panics nor holds much.
#[test]
fn damage_is_a_fault_and_no_more() {
    let (acceptor, config) = ends();
    let seed = random_number(2);
    println!("seed {seed}");
    let mut dice = Dice(seed);
    for _ in 0..600 {
        let (mut stream, mut client) = (Stream::new(&acceptor).unwrap(), client(&config));
        let (mut plain, mut got) = (Vec::new(), Vec::new());
        let clean_rounds = dice.roll(5);
        for round in 0..8 {
            let _ = client.writer().write_all(&vec![b'x'; dice.roll(300)]);
            let mut sealed = take_sealed(&mut client);
            if round >= clean_rounds {
                damage(&mut sealed, &mut dice);
            }
            let cut = 1 + dice.roll(400);
            for piece in sealed.chunks_mut(cut) {
                let _ = stream.open(piece, &mut plain);
                assert!(stream.incoming_bytes() <= TLS_WAITING_BYTES_MAX);
                assert!(stream.outgoing_bytes() < 64 * 1024);
            }
            if stream.is_open() && dice.roll(2) == 0 {
                let _ = stream.seal(&vec![b'y'; dice.roll(500)]);
            }
            if dice.roll(20) == 0 {
                stream.end();
            }
            if !hand_back(&mut stream, &mut client, &mut got) {
                break;
            }
        }
    }
}

/// Changes, repeats, removes or adds some bytes; sometimes makes up a record.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            2 => bytes.splice(at..at, (0..dice.roll(50)).map(|n| n as u8)).for_each(drop),
            3 => bytes.extend_from_within(at..),
            4 => {
                // A record of some kind, or the beginning of one, with a piece of a message.
                let kind = 20 + dice.roll(5) as u8;
                let len = dice.roll(40) as u8;
                let mut record = vec![kind, 3, 3, 0, len, dice.roll(25) as u8, 0, 0];
                record.resize(5 + usize::from(len), dice.roll(256) as u8);
                bytes.splice(at..at, record).for_each(drop);
            }
            _ => {}
        }
    }
}
