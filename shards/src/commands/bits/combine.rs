//! BITOP: strings combined bit by bit.
//!
//! A string that ends early goes on with zeros. The result is made block by block, each from all
//! sources before the next, so that many sources cost no more memory traffic than reading them.

use super::text;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::BITOP_BLOCK_BYTES;
use crate::shard::Scope;
use pinion_io::resp::Reply;
use std::borrow::Cow;

/// What is done with the bits of a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
    /// In the first, and in no other.
    Diff,
    /// In one of the others at least, and not in the first.
    Diff1,
    /// In the first, and in one of the others at least.
    AndOr,
    /// In exactly one.
    One,
}

impl Operation {
    /// The operation, if it can be done with so many sources.
    fn parse(word: &[u8], sources: usize) -> Result<Self, Error> {
        const TWO_FOR_DIFF: &str = "ERR BITOP DIFF must be called with at least two source keys.";
        const TWO_FOR_DIFF1: &str = "ERR BITOP DIFF1 must be called with at least two source keys.";
        const TWO_FOR_ANDOR: &str = "ERR BITOP ANDOR must be called with at least two source keys.";
        const ONE_FOR_NOT: &str = "ERR BITOP NOT must be called with a single source key.";
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("AND") => Ok(Self::And),
            () if is("OR") => Ok(Self::Or),
            () if is("XOR") => Ok(Self::Xor),
            () if is("ONE") => Ok(Self::One),
            () if is("NOT") => (sources == 1).then_some(Self::Not).ok_or(ONE_FOR_NOT),
            () if is("DIFF") => (sources > 1).then_some(Self::Diff).ok_or(TWO_FOR_DIFF),
            () if is("DIFF1") => (sources > 1).then_some(Self::Diff1).ok_or(TWO_FOR_DIFF1),
            () if is("ANDOR") => (sources > 1).then_some(Self::AndOr).ok_or(TWO_FOR_ANDOR),
            () => return Err(Error::Syntax),
        }
        .map_err(Error::Text)
    }
}

/// `BITOP operation destination source ...`
fn bitop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let operation = Operation::parse(args.at(1), args.len() - 3)?;
    let sources = scope.sources(args, 3..args.len());
    let sources = sources.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let result = combine(operation, &sources);
    reply.int(result.len() as i64);
    let key = scope.key(args.at(2));
    scope.keyspace.store_text(key, scope.now, result);
    Ok(())
}

/// The result, as long as the longest source.
fn combine(operation: Operation, sources: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = vec![0; len];
    for (index, block) in result.chunks_mut(BITOP_BLOCK_BYTES).enumerate() {
        let at = index * BITOP_BLOCK_BYTES;
        let end = at + block.len();
        let parts = sources.iter().map(|source| {
            let part = source.get(at..).unwrap_or_default();
            &part[..part.len().min(end - at)]
        });
        combine_block(operation, block, parts);
    }
    result
}

/// One block of the result, which begins as zeros; the parts of the sources may be shorter.
fn combine_block<'a>(
    operation: Operation,
    block: &mut [u8],
    mut parts: impl Iterator<Item = &'a [u8]>,
) {
    let first = parts.next().unwrap_or_default();
    let or = |into: &mut u8, byte: u8| *into |= byte;
    match operation {
        Operation::And => {
            each(block, first, or);
            parts.for_each(|part| and(block, part));
        }
        Operation::Or => {
            each(block, first, or);
            parts.for_each(|part| each(block, part, or));
        }
        Operation::Xor => {
            each(block, first, or);
            parts.for_each(|part| each(block, part, |into, byte| *into ^= byte));
        }
        Operation::Not => {
            each(block, first, or);
            block.iter_mut().for_each(|byte| *byte = !*byte);
        }
        Operation::Diff => {
            each(block, first, or);
            parts.for_each(|part| each(block, part, |into, byte| *into &= !byte));
        }
        Operation::Diff1 => {
            parts.for_each(|part| each(block, part, or));
            each(block, first, |into, byte| *into &= !byte);
        }
        Operation::AndOr => {
            parts.for_each(|part| each(block, part, or));
            and(block, first);
        }
        Operation::One => {
            each(block, first, or);
            let mut more = [0; BITOP_BLOCK_BYTES];
            let more = &mut more[..block.len()];
            for part in parts {
                for ((into, more), byte) in block.iter_mut().zip(&mut *more).zip(part) {
                    *more |= *into & byte;
                    *into |= byte;
                }
            }
            each(block, more, |into, byte| *into &= !byte);
        }
    }
}

/// Changes each byte of `block` with the one of `part` at its place, as far as that goes. A loop
/// over bytes that the compiler turns into one over the widest words there are.
fn each(block: &mut [u8], part: &[u8], change: impl Fn(&mut u8, u8)) {
    for (into, &byte) in block.iter_mut().zip(part) {
        change(into, byte);
    }
}

/// Leaves what is in `part` too.
fn and(block: &mut [u8], part: &[u8]) {
    each(block, part, |into, byte| *into &= byte);
    block[part.len()..].fill(0);
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("bitop", -4, Group::Bitmap, Plan::gather(bitop))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(2, &["OW", "UPDATE"]), KeySpec::rest(3, 1, &["RO", "ACCESS"])])
        .about("2.6.0", "Combines strings bit by bit and stores what comes of it")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_combined_one_by_one() {
        let lens = [BITOP_BLOCK_BYTES * 2 + 77, 0, BITOP_BLOCK_BYTES + 5, 3, BITOP_BLOCK_BYTES];
        let source = |(seed, &len): (usize, &usize)| {
            let mut state = seed as u32 + 1;
            let bytes = (0..len).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 & (state >> 16) as u8
            });
            Cow::Owned(bytes.collect::<Vec<u8>>())
        };
        let sources: Vec<Cow<'_, [u8]>> = lens.iter().enumerate().map(source).collect();
        for (operation, wanted) in [
            (Operation::And, (|_, count, all| count == all) as fn(bool, usize, usize) -> bool),
            (Operation::Or, |_, count, _| count > 0),
            (Operation::Xor, |_, count, _| count % 2 == 1),
            (Operation::Diff, |first, count, _| first && count == 1),
            (Operation::Diff1, |first, count, _| !first && count > 0),
            (Operation::AndOr, |first, count, _| first && count > 1),
            (Operation::One, |_, count, _| count == 1),
        ] {
            for sources in [&sources[..], &sources[2..], &sources[1..3], &sources[..1]] {
                let result = combine(operation, sources);
                assert_eq!(result.len(), sources.iter().map(|s| s.len()).max().unwrap());
                for (at, &byte) in result.iter().enumerate() {
                    let has = |source: &Cow<'_, [u8]>, bit: u8| {
                        source.get(at).is_some_and(|byte| byte >> bit & 1 == 1)
                    };
                    for bit in 0..8 {
                        let count = sources.iter().filter(|source| has(source, bit)).count();
                        let wanted = wanted(has(&sources[0], bit), count, sources.len());
                        assert_eq!(byte >> bit & 1 == 1, wanted, "{operation:?} {at} {bit}");
                    }
                }
            }
        }
        let not = combine(Operation::Not, &sources[..1]);
        assert!(not.iter().zip(&*sources[0]).all(|(not, byte)| *not == !byte));
    }
}
