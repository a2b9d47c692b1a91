//! Sorted sets: members in the order of their scores.

pub(super) mod add;
pub(super) mod combine;
pub(super) mod pop;
pub(super) mod random;
pub(super) mod range;
pub(super) mod read;
pub(super) mod remove;
pub(super) mod score;

use crate::value::Item;
use pinion_io::resp::{Protocol, Reply};

/// Writes the head of so many members: with scores, each a pair of its own in RESP3 and two
/// values in RESP2.
fn write_head(count: usize, with_scores: bool, reply: &mut Reply<'_>) {
    let flat = with_scores && reply.protocol() == Protocol::Resp2;
    reply.array(if flat { count * 2 } else { count });
}

/// Writes one of the members that a head announced.
fn write_member(member: Item<'_>, score: f64, with_scores: bool, reply: &mut Reply<'_>) {
    if !with_scores {
        return member.write(reply);
    }
    if reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    member.write(reply);
    reply.double(score);
}

/// Writes members, with their scores or without.
fn write_members<'a>(
    members: impl ExactSizeIterator<Item = (Item<'a>, f64)>,
    with_scores: bool,
    reply: &mut Reply<'_>,
) {
    write_head(members.len(), with_scores, reply);
    members.for_each(|(member, score)| write_member(member, score, with_scores, reply));
}
