//! The reply parser: no input panics it, and what is whole is read as long as it is.

use super::source::Source;
use pinion_io::resp::{Protocol, Reply, decode};

/// A reply of random shape; `depth` bounds values within values.
fn write(source: &mut Source, depth: usize, reply: &mut Reply<'_>) {
    match source.below(if depth == 0 { 7 } else { 10 }) {
        0 => reply.ok(),
        1 => reply.int(source.below(1 << 40) as i64 - (1 << 39)),
        2 => reply.bulk(&source.bytes(50)),
        3 => reply.error(b"ERR damaged"),
        4 => reply.null(),
        5 => reply.simple("PONG"),
        6 => reply.bulk(&[b'v'; 3000]),
        kind => {
            let count = source.below(5);
            match kind {
                7 => reply.array(count),
                8 => reply.set(count),
                _ => reply.map(count),
            }
            for _ in 0..count * if kind == 9 { 2 } else { 1 } {
                write(source, depth - 1, reply);
            }
        }
    }
}

#[test]
fn whole_replies_are_read_and_damaged_ones_refused() {
    let mut source = Source::new("reply");
    while source.goes_on() {
        let mut bytes = Vec::new();
        let protocol = [Protocol::Resp2, Protocol::Resp3][source.below(2)];
        write(&mut source, 4, &mut Reply::new(&mut bytes, protocol));
        let whole = decode(&bytes).expect("a reply").expect("all of it");
        assert_eq!(whole.1, bytes.len());
        let cut = source.below(bytes.len());
        assert_eq!(decode(&bytes[..cut]), Ok(None), "{}", bytes[..cut].escape_ascii());
        source.mutate(&mut bytes);
        if let Ok(Some((_, len))) = decode(&bytes) {
            assert!(len <= bytes.len());
        }
    }
}
