//! The parsers of the other protocols, HTTP and memcached's: whatever comes, in whatever pieces,
//! they find the same requests.

use super::source::Source;
use pinion::http::{self, HEAD_BYTES_MAX, Sniff};
use pinion::memcached::{self, Ask, Step};
use pinion_io::resp::Range;

/// What memcached's clients write, to be mutated.
const LINES: [&str; 12] = [
    "get a b c\r\n",
    "gets key\r\n",
    "gat 10 a b\r\n",
    "set a 1 0 3\r\nx\ny\r\n",
    "cas a 1 -1 1 77 noreply\r\nx\r\n",
    "append a 0 0 0\r\n\r\n",
    "incr a 18446744073709551615\r\n",
    "delete a 0 noreply\r\n",
    "touch a 5\r\n",
    "flush_all 10\r\n",
    "stats items\r\nversion\r\n",
    "set big 0 0 1048577\r\n",
];

/// What a step is, in words; the words of requests lie in `input`.
fn shown(ask: &Ask, quiet: bool, input: &[u8]) -> String {
    let text = |word: &Range| String::from_utf8_lossy(word.of(input)).into_owned();
    let words = |words: &[Range]| words.iter().map(text).collect::<Vec<_>>();
    match ask {
        Ask::Read { row, name, end, keys } => {
            let end = end.as_ref().map(text);
            format!("{} {} {end:?} {:?} {quiet}", row.name, text(name), words(keys))
        }
        Ask::Change { row, words: all } => {
            assert!(row.accepts(all.len()), "a row gets the words it wants");
            format!("{} {:?} {quiet}", row.name, words(all))
        }
        Ask::Login { words } => format!("login {}", text(words)),
        Ask::Stats(kind) => format!("stats {:?}", kind.as_ref().map(text)),
        Ask::Flush(delay) => format!("flush {delay} {quiet}"),
        Ask::Version | Ask::Verbosity | Ask::Quit => format!("{ask:?} {quiet}"),
    }
}

/// Reads all requests of `bytes`, which arrive in pieces that end at `cuts` and at the end.
fn parse(bytes: &[u8], cuts: &[usize], locked_out: bool) -> Vec<String> {
    let (mut found, mut at) = (Vec::new(), 0);
    for &arrived in cuts.iter().chain(std::iter::once(&bytes.len())) {
        let input = &bytes[..arrived];
        while at < input.len() {
            let before = at;
            match memcached::read(input, at, locked_out) {
                Step::More(missing) => {
                    assert!(missing > 0, "something is missing");
                    break;
                }
                Step::Endless => {
                    found.push("endless".into());
                    return found;
                }
                Step::Refused { line, quiet, end, loses } => {
                    found.push(format!("{line} {quiet} {}", loses.is_some()));
                    at = end;
                }
                Step::Request { ask, quiet, end } => {
                    assert!(end <= input.len(), "a request has come whole");
                    found.push(shown(&ask, quiet, input));
                    at = end;
                }
            }
            assert!(before < at, "it goes on");
        }
    }
    found
}

#[test]
fn memcached() {
    let mut source = Source::new("memcached");
    while source.goes_on() {
        let mut bytes = Vec::new();
        for _ in 0..=source.below(6) {
            let mut line = source.one_of(&LINES).as_bytes().to_vec();
            if source.once_in(2) {
                source.mutate(&mut line);
            }
            bytes.extend(line);
        }
        let locked_out = source.once_in(4);
        let whole = parse(&bytes, &[], locked_out);
        let mut cuts: Vec<usize> = (0..4).map(|_| source.below(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let pieces = parse(&bytes, &cuts, locked_out);
        assert_eq!(pieces, whole, "{cuts:?} of {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn http() {
    const REQUESTS: [&str; 4] = [
        "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dTpwYXNz\r\n\r\n",
        "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET key\r\n",
    ];
    let mut source = Source::new("http");
    while source.goes_on() {
        let mut bytes = source.one_of(&REQUESTS).as_bytes().to_vec();
        source.mutate(&mut bytes);
        let last = http::sniff(&bytes);
        let whole = http::read(&bytes);
        for end in 1..=bytes.len() {
            let now = http::sniff(&bytes[..end]);
            assert!(now == Sniff::More || now == last, "what is known does not change");
            match http::read(&bytes[..end]) {
                Ok(None) => assert!(end <= HEAD_BYTES_MAX),
                Ok(Some((_, len))) => {
                    assert!(len <= end, "a request lies within what came");
                    assert_eq!(http::read(&bytes[..end]), whole);
                }
                Err(error) => assert_eq!(whole, Err(error)),
            }
        }
    }
}
