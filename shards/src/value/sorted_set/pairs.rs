//! The packed form of a sorted set: members and scores in turn, in order.
//!
//! A score is kept as the text that replies have, of which the listpack keeps whole numbers as
//! integers. This is how Redis's files have it; a negative zero loses its sign.

use crate::value::{Item, Listpack, Packed, Pos};
use pinion_io::resp::write_double;
use std::cmp::Ordering;

/// Bytes of a score and what a listpack adds to it, at most.
pub(super) const SCORE_BYTES_MAX: usize = 64;

/// Bytes of a member in a listpack beside its name, its score among them, at most.
pub(super) const PAIR_BYTES_MORE: usize = SCORE_BYTES_MAX + 16;

/// The score that an item stands for.
pub(super) fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(value) => value as f64,
        Item::Str(text) => {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            number.expect("a score reads back")
        }
    }
}

/// True if members and scores from elsewhere are in order; none if a score is no number.
pub(super) fn are_sorted(packed: &Listpack) -> Option<bool> {
    let (mut items, mut sorted) = (packed.iter(), true);
    let mut last: Option<(Item<'_>, f64)> = None;
    while let (Some(member), Some(score)) = (items.next(), items.next()) {
        let score = match score {
            Item::Int(value) => value as f64,
            Item::Str(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        };
        if score.is_nan() {
            return None;
        }
        if let Some((before, lower)) = last {
            let (mut one, mut other) = (itoa::Buffer::new(), itoa::Buffer::new());
            sorted &=
                lower < score || lower == score && before.text(&mut one) < member.text(&mut other);
        }
        last = Some((member, score));
    }
    Some(sorted)
}

/// Hands `put` the text of a score.
fn with_text(score: f64, put: impl FnOnce(&[u8])) {
    let mut text = Vec::with_capacity(24);
    // The sum is without the sign of a negative zero.
    write_double(&mut text, score + 0.0);
    put(&text);
}

/// The member at `pos` and its score.
#[inline]
pub(super) fn pair(packed: &Listpack, pos: Pos) -> (Item<'_>, f64) {
    let score = packed.next(pos).expect("a member has a score");
    (packed.at(pos), score_of(packed.at(score)))
}

/// Members from the first on: rank, place, and pair.
pub(super) fn each(packed: &Listpack) -> impl Iterator<Item = (usize, Pos, Item<'_>, f64)> {
    let next = |&pos: &Pos| packed.next(packed.next(pos)?);
    let places = std::iter::successors(packed.first(), next);
    places.enumerate().map(|(rank, pos)| {
        let (member, score) = pair(packed, pos);
        (rank, pos, member, score)
    })
}

/// A member's rank and score.
pub(super) fn rank(packed: &Listpack, member: &[u8]) -> Option<(usize, f64)> {
    let found = each(packed).find(|&(_, _, item, _)| item.is(member))?;
    Some((found.0, found.3))
}

/// Where a member stands.
pub(super) fn place(packed: &Listpack, member: &[u8]) -> Option<Pos> {
    packed.find(packed.first()?, member, 2)
}

/// Adds a member that stands behind all others.
pub(super) fn push(packed: &mut Packed, member: &[u8], score: f64) {
    packed.push_back(member);
    with_text(score, |text| packed.push_back(text));
}

/// Puts in a member that is not there.
pub(super) fn insert(packed: &mut Packed, member: &[u8], score: f64) {
    let after = each(packed).find(|&(_, _, item, other)| {
        let order = other.partial_cmp(&score).expect("scores have an order");
        let order = order.then_with(|| item.text(&mut itoa::Buffer::new()).cmp(member));
        order == Ordering::Greater
    });
    let after = after.map(|(_, pos, ..)| pos);
    with_text(score, |text| match after {
        Some(pos) => {
            packed.insert_before(pos, text);
            packed.insert_before(pos, member);
        }
        None => {
            packed.push_back(member);
            packed.push_back(text);
        }
    });
}
