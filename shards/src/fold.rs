//! Folds the replies of a command's parts, one a shard, into the one reply of the client.

use crate::commands::parse_int;
use crate::digest::{DIGEST_BYTES, Digest};
use pinion_io::resp::{Reply, skip};
use std::collections::BTreeMap;

/// How parts become one reply. Each works on encoded replies, so a part may come from any core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fold {
    /// Integers are added: DEL, EXISTS, DBSIZE.
    Sum,
    /// `+OK` from every part: MSET, FLUSHALL.
    Ok,
    /// Every part replies the same: MSETNX.
    Same,
    /// Arrays with one element a key go back to the keys' places: MGET.
    Interleave,
    /// Arrays, or maps, are joined: KEYS. A part may have nothing to say.
    Concat,
    /// Each part is an array of a weight and a value: one is chosen by weight; RANDOMKEY.
    Pick,
    /// Each part is an array of the numbers of databases, rising, each with the digest of its
    /// keys: one digest of all; DEBUG DIGEST.
    Digest,
}

/// The replies of a command's parts, and how they fit together.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// One reply a part.
    pub replies: &'a [Vec<u8>],
    /// For `Interleave`: the part that answers each key, in the order of the keys.
    pub places: &'a [u16],
    /// For `Pick`: a random number.
    pub random: u64,
}

/// Writes the one reply. The first part that is an error is the reply of the whole.
pub fn fold(fold: Fold, parts: &Parts<'_>, reply: &mut Reply<'_>) {
    if let Some(error) = parts.replies.iter().find(|part| part.first() == Some(&b'-')) {
        return reply.raw(error);
    }
    match fold {
        Fold::Sum => reply.int(parts.replies.iter().map(|part| head(part, b':').0).sum()),
        Fold::Ok => reply.ok(),
        Fold::Same => reply.raw(&parts.replies[0]),
        Fold::Interleave => interleave(parts, reply),
        Fold::Concat => {
            let mark = parts.replies.iter().find_map(|part| part.first().copied());
            let said = || parts.replies.iter().filter(|part| !part.is_empty());
            let heads = || said().map(|part| head(part, mark.unwrap_or(b'*')));
            let len = heads().map(|(len, _)| len as usize).sum();
            if mark == Some(b'%') {
                reply.map(len);
            } else {
                reply.array(len);
            }
            heads().for_each(|(_, rest)| reply.raw(rest));
        }
        Fold::Pick => pick(parts, reply),
        Fold::Digest => reply.simple(&digest(parts).to_string()),
    }
}

fn interleave(parts: &Parts<'_>, reply: &mut Reply<'_>) {
    let mut rest: Vec<&[u8]> = parts.replies.iter().map(|part| head(part, b'*').1).collect();
    reply.array(parts.places.len());
    for &place in parts.places {
        let part = &mut rest[usize::from(place)];
        let len = skip(part).expect("a part answers each of its keys");
        let (element, after) = part.split_at(len);
        reply.raw(element);
        *part = after;
    }
}

fn pick(parts: &Parts<'_>, reply: &mut Reply<'_>) {
    let weighted = |part| {
        let (len, rest) = head(part, b'*');
        debug_assert_eq!(len, 2, "a weight and a value");
        head(rest, b':')
    };
    let total: i64 = parts.replies.iter().map(|part| weighted(part).0).sum();
    if total <= 0 {
        return reply.null();
    }
    let mut chosen = (parts.random % total as u64) as i64;
    for part in parts.replies {
        let (weight, value) = weighted(part);
        if chosen < weight {
            return reply.raw(value);
        }
        chosen -= weight;
    }
}

fn digest(parts: &Parts<'_>) -> Digest {
    let mut databases = BTreeMap::<u32, Digest>::new();
    for part in parts.replies {
        let (len, mut rest) = head(part, b'*');
        for _ in 0..len / 2 {
            let (number, after) = head(rest, b':');
            let (_, after) = head(after, b'$');
            let (bytes, after) =
                after.split_first_chunk::<DIGEST_BYTES>().expect("a digest is whole");
            databases.entry(number as u32).or_default().fold(Digest(*bytes));
            rest = &after[2..];
        }
    }
    let mut whole = Digest::default();
    for (number, keys) in databases {
        whole.mix_number(number);
        whole.fold(keys);
    }
    whole
}

/// Splits `<mark><number>\r\n` off a reply that one of our own shards wrote.
fn head(part: &[u8], mark: u8) -> (i64, &[u8]) {
    assert_eq!(part.first(), Some(&mark), "a part replies as its fold expects");
    let end = memchr::memchr(b'\r', part).expect("a head ends");
    let number = parse_int(&part[1..end]).expect("a head is a number");
    (number, &part[end + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_io::resp::Protocol;

    fn folded(kind: Fold, replies: &[&str], places: &[u16], random: u64) -> String {
        let replies: Vec<Vec<u8>> = replies.iter().map(|r| r.as_bytes().to_vec()).collect();
        let mut out = Vec::new();
        let parts = Parts { replies: &replies, places, random };
        fold(kind, &parts, &mut Reply::new(&mut out, Protocol::Resp2));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sums_and_errors() {
        assert_eq!(folded(Fold::Sum, &[":2\r\n", ":40\r\n"], &[], 0), ":42\r\n");
        assert_eq!(folded(Fold::Sum, &[":2\r\n", "-ERR x\r\n"], &[], 0), "-ERR x\r\n");
        assert_eq!(folded(Fold::Ok, &["+OK\r\n", "+OK\r\n"], &[], 0), "+OK\r\n");
    }

    #[test]
    fn arrays_go_back_to_their_places_or_join() {
        let replies = ["*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n$1\r\nb\r\n"];
        assert_eq!(
            folded(Fold::Interleave, &replies, &[0, 1, 0], 0),
            "*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n"
        );
        assert_eq!(folded(Fold::Concat, &replies, &[], 0), "*3\r\n$1\r\na\r\n$-1\r\n$1\r\nb\r\n");
    }

    #[test]
    fn a_digest_is_the_same_however_the_keys_are_spread() {
        let part = |databases: &[(i64, [u8; DIGEST_BYTES])]| {
            let mut out = Vec::new();
            let mut reply = Reply::new(&mut out, Protocol::Resp2);
            reply.array(databases.len() * 2);
            for (number, bytes) in databases {
                reply.int(*number);
                reply.bulk(bytes);
            }
            out
        };
        let folded =
            |replies: &[Vec<u8>]| digest(&Parts { replies, places: &[], random: 0 }).to_string();
        let together = folded(&[part(&[(0, [3; 20]), (9, [4; 20])])]);
        assert_eq!(together, folded(&[part(&[(0, [1; 20])]), part(&[(0, [2; 20]), (9, [4; 20])])]));
        assert_ne!(together, folded(&[part(&[(0, [3; 20]), (8, [4; 20])])]));
        assert_eq!(folded(&[part(&[]), part(&[])]), "0".repeat(40));
    }

    #[test]
    fn a_pick_is_by_weight() {
        let replies = ["*2\r\n:1\r\n$1\r\na\r\n", "*2\r\n:0\r\n$-1\r\n", "*2\r\n:2\r\n$1\r\nb\r\n"];
        let picked: Vec<_> = (0..3).map(|r| folded(Fold::Pick, &replies, &[], r)).collect();
        assert_eq!(picked, ["$1\r\na\r\n", "$1\r\nb\r\n", "$1\r\nb\r\n"]);
        assert_eq!(folded(Fold::Pick, &["*2\r\n:0\r\n$-1\r\n"], &[], 5), "$-1\r\n");
    }
}
