//! Tells HTTP from other protocols, and reads its requests.

use super::answer::{Shape, Status};

/// Bytes of a request's head, at most.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of a request, at most.
const HEADERS_MAX: usize = 64;

/// What a connection speaks, as its first bytes tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sniff {
    /// HTTP.
    Http,
    /// Something else.
    Other,
    /// More bytes are needed to say.
    More,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Page {
    /// `/`: a page for people.
    Home,
    /// `/metrics`: all figures, for Prometheus.
    Metrics,
    /// `/healthz`: whether the server serves.
    Health,
}

/// A request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// What is asked for, or why it cannot be had.
    pub page: Result<Page, Status>,
    /// How the answer is to be.
    pub shape: Shape,
    /// The password that came with it.
    pub password: Option<Vec<u8>>,
}

/// Tells what a connection speaks by its first bytes.
pub fn sniff(bytes: &[u8]) -> Sniff {
    let methods: [&[u8]; 3] = [b"GET ", b"HEAD ", b"POST "];
    if !methods.iter().any(|method| bytes.starts_with(method) || method.starts_with(bytes)) {
        return Sniff::Other;
    }
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = bytes[..end].trim_ascii_end();
            let http = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
            if http { Sniff::Http } else { Sniff::Other }
        }
        None if bytes.len() < HEAD_BYTES_MAX => Sniff::More,
        None => Sniff::Other,
    }
}

/// Reads the request that `bytes` begin with, and says how long it is; nothing if it has not
/// arrived whole.
///
/// # Errors
/// It is none, or too large: nothing behind it can be read.
pub fn read(bytes: &[u8]) -> Result<Option<(Asked, usize)>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Status::TooLarge),
        Err(_) => return Err(Status::BadRequest),
    };
    let find = |name: &str| {
        let mut named = request.headers.iter().filter(|its| its.name.eq_ignore_ascii_case(name));
        named.next().map(|header| header.value.trim_ascii())
    };
    let modern = request.version == Some(1);
    let connection = find("Connection").unwrap_or_default();
    let says = |word: &str| {
        let mut words = connection.split(|byte| *byte == b',');
        words.any(|its| its.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    // What would follow the head is not read.
    let has_body = find("Transfer-Encoding").is_some()
        || find("Content-Length").is_some_and(|length| length != b"0");
    let stays = if modern { !says("close") } else { says("keep-alive") };
    let method = request.method.unwrap_or_default();
    let path = request.path.unwrap_or_default();
    let page = match path.split('?').next().unwrap_or_default() {
        _ if modern && find("Host").is_none() => Err(Status::BadRequest),
        _ if method != "GET" && method != "HEAD" => Err(Status::MethodNotAllowed),
        "/" => Ok(Page::Home),
        "/metrics" => Ok(Page::Metrics),
        "/healthz" => Ok(Page::Health),
        _ => Err(Status::NotFound),
    };
    let shape = Shape { head_only: method == "HEAD", close: !stays || has_body };
    let password = find("Authorization").and_then(basic_password);
    Ok(Some((Asked { page, shape, password }, len)))
}

/// The password of `Basic` credentials (RFC 7617).
fn basic_password(credentials: &[u8]) -> Option<Vec<u8>> {
    let (scheme, code) = credentials.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let pair = decode(code.trim_ascii())?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// The bytes that Base64 stands for (RFC 4648), with padding or without.
fn decode(code: &[u8]) -> Option<Vec<u8>> {
    let padding = code.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &code[..code.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut word, mut bits) = (0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = (word << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_from_inline_commands() {
        for (bytes, speaks) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Sniff::Http),
            ("POST /x HTTP/1.0\r\n", Sniff::Http),
            ("GET key\r\n", Sniff::Other),
            ("GET key", Sniff::More),
            ("G", Sniff::More),
            ("*1\r\n", Sniff::Other),
            ("PING\r\n", Sniff::Other),
            ("get / HTTP/1.1\r\n", Sniff::Other),
        ] {
            assert_eq!(sniff(bytes.as_bytes()), speaks, "{bytes}");
        }
        let long = [b"GET ".to_vec(), vec![b'x'; HEAD_BYTES_MAX]].concat();
        assert_eq!(sniff(&long), Sniff::Other);
    }

    fn asked(text: &str) -> Asked {
        let (asked, len) = read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.len(), "{text}");
        asked
    }

    #[test]
    fn requests_say_what_and_how() {
        let plain = asked("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(plain.page, Ok(Page::Metrics));
        assert_eq!(plain.shape, Shape { head_only: false, close: false });
        let old = asked("HEAD /healthz HTTP/1.0\r\n\r\n");
        assert_eq!(old.page, Ok(Page::Health));
        assert_eq!(old.shape, Shape { head_only: true, close: true });
        let kept = asked("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n");
        assert_eq!((kept.page, kept.shape.close), (Ok(Page::Home), false));
        let body = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        assert_eq!((body.page, body.shape.close), (Err(Status::MethodNotAllowed), true));
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n").page, Err(Status::BadRequest));
        assert_eq!(asked("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").page, Err(Status::NotFound));
    }

    #[test]
    fn requests_are_bounded() {
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: a"), Ok(None));
        assert_eq!(read(b"GET / HTTP/1.1\r\n\x01\r\n\r\n"), Err(Status::BadRequest));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(read(many.as_bytes()), Err(Status::TooLarge));
        let long = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(long.as_bytes()), Err(Status::TooLarge));
    }

    #[test]
    fn passwords_come_as_basic_credentials() {
        let password = |header: &str| {
            asked(&format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {header}\r\n\r\n")).password
        };
        assert_eq!(password("Basic dXNlcjpwYTpzcw=="), Some(b"pa:ss".to_vec()));
        assert_eq!(password("basic dTpwYXNz"), Some(b"pass".to_vec()));
        assert_eq!(password("Basic dTo="), Some(Vec::new()));
        for none in ["Basic", "Basic dXNlcg==", "Bearer dTpwYXNz", "Basic dTpw!", "Basic d"] {
            assert_eq!(password(none), None, "{none}");
        }
    }
}
