//! How many bits of a string are set.

use super::{Part, is_in_bits, read};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use pinion_io::resp::Reply;
use std::ops::Range;

/// `BITCOUNT key [start end [BYTE | BIT]]`
fn bitcount(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let part = match args.len() {
        2 => Part::WHOLE,
        4 | 5 => {
            let (start, end) = (args.int(2)?, args.int(3)?);
            Part { start, end, in_bits: args.len() == 5 && is_in_bits(args, 4)? }
        }
        _ => return Err(Error::Syntax),
    };
    let text = read(scope, args)?.unwrap_or_default();
    // Unlike BITPOS, where both may lie before the first byte and mean it then.
    if part.start < 0 && part.end < 0 && part.start > part.end {
        reply.int(0);
        return Ok(());
    }
    reply.int(count(&text, part.of(text.len())) as i64);
    Ok(())
}

/// Bits set in a range of bits.
fn count(text: &[u8], bits: Range<usize>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    let before = text[first] & !(0xff >> (bits.start % 8));
    let after = text[last] & (0x7f >> ((bits.end - 1) % 8));
    let outside = before.count_ones() + after.count_ones();
    count_all(&text[first..=last]) - u64::from(outside)
}

/// Bits set in all of these bytes: a word at a time, four sums beside each other.
fn count_all(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let (fours, more) = words.as_chunks::<4>();
    let ones = |word: &[u8; 8]| u64::from(u64::from_ne_bytes(*word).count_ones());
    let mut sums = [0u64; 4];
    for four in fours {
        for (sum, word) in sums.iter_mut().zip(four) {
            *sum += ones(word);
        }
    }
    let rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    sums.iter().sum::<u64>() + more.iter().map(ones).sum::<u64>() + u64::from(rest)
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("bitcount", -2, Group::Bitmap, Plan::One(bitcount))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("2.6.0", "Counts the bits that are set in a string or a part of it")];

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn as_counted_one_by_one() {
        let text: Vec<u8> =
            (0u32..75).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let bits = text.len() * 8;
        let is_set = |bit: usize| text[bit / 8] >> (7 - bit % 8) & 1 == 1;
        for start in 0..bits {
            for end in (start..=bits).step_by(7) {
                let wanted = (start..end).filter(|&bit| is_set(bit)).count() as u64;
                assert_eq!(count(&text, start..end), wanted, "{start}..{end}");
            }
        }
    }
}
