//! The request parser: whatever comes, in whatever pieces, it finds the same requests.

use super::source::Source;
use pinion_io::resp::{Limits, Parser, Protocol, ProtocolError, Reply, Step};

type Words = Vec<Vec<u8>>;

/// Reads all requests of `bytes`, which arrive in pieces that end at `cuts` and at the end.
fn parse(bytes: &[u8], cuts: &[usize], limits: &Limits) -> (Vec<Words>, Option<ProtocolError>) {
    let mut parser = Parser::default();
    let mut requests = Vec::new();
    let mut start = 0;
    for &arrived in cuts.iter().chain(std::iter::once(&bytes.len())) {
        let input = &bytes[..arrived];
        loop {
            let before = start;
            match parser.next(input, start, limits) {
                Err(error) => return (requests, Some(error)),
                Ok(Step::Partial { need }) => {
                    assert!(need > 0, "something is missing");
                    break;
                }
                Ok(Step::Request { end }) => {
                    assert!(!parser.args().is_empty(), "a request has a name");
                    let words = parser.args().iter().map(|range| range.of(input).to_vec());
                    requests.push(words.collect());
                    start = end;
                }
                Ok(Step::Inline { end, rewritten }) => {
                    let (inner, error) = parse(&rewritten, &[], &Limits::default());
                    assert_eq!((inner.len(), error), (1, None), "a rewritten request is whole");
                    requests.extend(inner);
                    start = end;
                }
                Ok(Step::Empty { end }) => start = end,
            }
            assert!(before < start && start <= input.len(), "it goes on, within what came");
        }
    }
    (requests, None)
}

/// A request in one of its forms, as clients write it.
fn write(words: &Words, source: &mut Source, out: &mut Vec<u8>) {
    let plain = |word: &Vec<u8>| !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
    if source.once_in(4) && words.iter().all(plain) {
        out.extend(words.join(&b' '));
        out.extend(if source.once_in(2) { &b"\r\n"[..] } else { b"\n" });
    } else if source.once_in(4) {
        for word in words {
            out.push(b'"');
            word.iter().for_each(|byte| out.extend(format!("\\x{byte:02x}").bytes()));
            out.extend(b"\" ");
        }
        out.push(b'\n');
    } else {
        let mut reply = Reply::new(out, Protocol::Resp2);
        reply.array(words.len());
        words.iter().for_each(|word| reply.bulk(word));
    }
}

fn words(source: &mut Source) -> Words {
    let word = |source: &mut Source| match source.below(4) {
        0 => source.bytes(40),
        1 => source.bytes(3),
        2 => source.one_of(&["GET", "set", "key", "0", "-1"]).as_bytes().to_vec(),
        _ => vec![b'v'; source.below(700)],
    };
    (0..=source.below(6)).map(|_| word(source)).collect()
}

fn cuts(source: &mut Source, len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = (0..source.below(8)).map(|_| source.below(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

#[test]
fn what_is_written_is_read_in_any_pieces() {
    let mut source = Source::new("request");
    while source.goes_on() {
        let requests: Vec<Words> = (0..=source.below(6)).map(|_| words(&mut source)).collect();
        let mut bytes = Vec::new();
        for request in &requests {
            if source.once_in(5) {
                // Requests of no words are passed over.
                bytes.extend(source.one_of(&[&b"\r\n"[..], b"*0\r\n", b"*-1\r\n", b"  \n"]));
            }
            write(request, &mut source, &mut bytes);
        }
        for _ in 0..4 {
            let cuts = cuts(&mut source, bytes.len());
            let got = parse(&bytes, &cuts, &Limits::default());
            assert_eq!(got, (requests.clone(), None), "{cuts:?} of {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn what_is_damaged_reads_the_same_in_any_pieces() {
    let mut source = Source::new("request");
    while source.goes_on() {
        let mut bytes = Vec::new();
        for _ in 0..=source.below(4) {
            if source.once_in(8) {
                bytes.extend(source.bytes(60));
            } else {
                write(&words(&mut source), &mut source, &mut bytes);
            }
        }
        source.mutate(&mut bytes);
        let limits = [Limits::default(), Limits::unauthenticated()][source.below(2)];
        let whole = parse(&bytes, &[], &limits);
        for _ in 0..4 {
            let cuts = cuts(&mut source, bytes.len());
            let got = parse(&bytes, &cuts, &limits);
            assert_eq!(got, whole, "{cuts:?} of {}", bytes.escape_ascii());
        }
    }
}
