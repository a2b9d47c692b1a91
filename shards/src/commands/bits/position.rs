//! Where the first bit of a kind is.

use super::{Part, is_in_bits, read};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use pinion_io::resp::Reply;
use std::ops::Range;

/// `BITPOS key 0|1 [start [end [BYTE | BIT]]]`: -1 where there is none. A string goes on with
/// zeros behind its end, unless the client says where to stop.
fn bitpos(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::Text("ERR The bit argument must be 1 or 0.")),
    };
    let mut part = Part::WHOLE;
    if args.len() > 6 {
        return Err(Error::Syntax);
    }
    if args.len() > 3 {
        part.start = args.int(3)?;
    }
    if args.len() > 5 {
        part.in_bits = is_in_bits(args, 5)?;
    }
    if args.len() > 4 {
        part.end = args.int(4)?;
    }
    let Some(text) = read(scope, args)? else {
        reply.int(if bit { -1 } else { 0 });
        return Ok(());
    };
    let bits = part.of(text.len());
    let goes_on = !bit && args.len() <= 4 && !bits.is_empty();
    let found = find(&text, bits, bit).or(goes_on.then_some(text.len() * 8));
    reply.int(found.map_or(-1, |place| place as i64));
    Ok(())
}

/// The first bit in a range of bits that is as `bit` says.
fn find(text: &[u8], bits: Range<usize>, bit: bool) -> Option<usize> {
    if bits.is_empty() {
        return None;
    }
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    // What is searched for is made 1, and what lies before the range 0.
    let flip = if bit { 0 } else { 0xff };
    let head = (text[first] ^ flip) & (0xff >> (bits.start % 8));
    let found = match head {
        0 => {
            let byte = first + 1 + first_other(&text[first + 1..=last], flip)?;
            byte * 8 + (text[byte] ^ flip).leading_zeros() as usize
        }
        _ => first * 8 + head.leading_zeros() as usize,
    };
    Some(found).filter(|&found| found < bits.end)
}

/// Index of the first byte that is not `byte`, by words of 8 and blocks of 64 bytes.
fn first_other(bytes: &[u8], byte: u8) -> Option<usize> {
    let word = u64::from_ne_bytes([byte; 8]);
    let differs = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes) ^ word;
    let (words, _) = bytes.as_chunks::<8>();
    let (blocks, _) = words.as_chunks::<8>();
    let same = |block: &&[[u8; 8]; 8]| block.iter().fold(0, |all, word| all | differs(word)) == 0;
    let mut index = blocks.iter().take_while(same).count() * 8;
    index += words[index..].iter().take_while(|word| differs(word) == 0).count();
    let at = bytes[index * 8..].iter().position(|&other| other != byte)?;
    Some(index * 8 + at)
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("bitpos", -3, Group::Bitmap, Plan::One(bitpos))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("2.8.7", "Finds the first bit of a string that is set, or that is not")];

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn as_found_one_by_one() {
        for (fill, other) in [(0u8, 0x10u8), (0xff, 0xfb)] {
            for place in [0, 1, 7, 8, 9, 63, 64, 65, 130, 149] {
                let mut text = vec![fill; 150];
                text[place] = other;
                let bit = fill == 0;
                let is = |at: usize| (text[at / 8] >> (7 - at % 8) & 1 == 1) == bit;
                for start in (0..1200).step_by(5) {
                    for end in [start, start + 1, start + 9, 700, 1193, 1200] {
                        let end = end.min(1200);
                        let wanted = (start..end).find(|&at| is(at));
                        assert_eq!(find(&text, start..end, bit), wanted, "{place} {start}..{end}");
                    }
                }
            }
        }
    }
}
