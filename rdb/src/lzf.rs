//! LZF, as liblzf defines it: how long strings are compressed.
//!
//! A run of pieces, each with a control byte `c`:
//!
//! ```text
//! 000nnnnn                        n + 1 bytes follow as they are
//! nnnooooo oooooooo               n + 2 bytes (n from 1 to 6) as o + 1 bytes before
//! 111ooooo nnnnnnnn oooooooo      n + 9 bytes, the same
//! ```
//!
//! What is copied may overlap what is being written.

use crate::fault::Fault;

/// Bits of the table of places where three bytes were last seen. A short input uses the start of
/// it only, which stays in the nearest cache.
const TABLE_BITS: u32 = 14;
const TABLE_BITS_MIN: u32 = 8;
/// Bytes as they are, in one piece.
const PLAIN_MAX: usize = 32;
/// How far back a piece may be copied from.
const BACK_MAX: usize = 1 << 13;
/// Bytes of one copied piece.
const COPY_MAX: usize = 264;
/// What three bytes of input can become at most, by which a claimed length is judged.
const RATIO_MAX: u64 = COPY_MAX as u64 / 3;

/// Compresses, with a table that serves again and again.
#[derive(Clone)]
pub struct Compressor {
    /// Where three bytes with a hash were last seen, counted from the first input there was.
    table: Box<[u32]>,
    /// The first place of the next input: what is below was seen in others.
    base: u32,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor with its table of 64 KiB.
    pub fn new() -> Self {
        Self { table: vec![0; 1 << TABLE_BITS].into(), base: 1 }
    }

    /// Adds `input` compressed to `out`, if that takes fewer than `bytes_max`; else adds nothing
    /// and returns false.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let Ok(len) = u32::try_from(input.len()) else { return false };
        if len < 4 {
            return false;
        }
        if self.base.checked_add(len).is_none() {
            self.table.fill(0);
            self.base = 1;
            if len == u32::MAX {
                return false;
            }
        }
        let start = out.len();
        let done = self.pieces(input, out, start + bytes_max);
        self.base += len;
        if !done {
            out.truncate(start);
        }
        done
    }

    /// Writes all pieces; false if that led beyond `end`.
    fn pieces(&mut self, input: &[u8], out: &mut Vec<u8>, end: usize) -> bool {
        let base = self.base as usize;
        let bits = (input.len().ilog2() + 3).clamp(TABLE_BITS_MIN, TABLE_BITS);
        let table = &mut self.table[..1 << bits];
        let (mut at, mut plain) = (0, 0);
        while let Some(three) = three_at(input, at) {
            let slot = &mut table[hash(three, bits)];
            let seen = *slot as usize;
            *slot = (base + at) as u32;
            let before = seen.wrapping_sub(base);
            let is_there = seen >= base && at - before <= BACK_MAX;
            if !is_there || three_at(input, before) != Some(three) {
                at += 1;
                continue;
            }
            let most = (input.len() - at).min(COPY_MAX);
            let here = &input[at..at + most];
            let len = 3 + here[3..].iter().zip(&input[before + 3..]).take_while(same).count();
            write_plain(&input[plain..at], out);
            write_copy(len, at - before - 1, out);
            if out.len() >= end {
                return false;
            }
            let next = at + len;
            // The places at the end of a copied piece are the likeliest to be seen again.
            for at in next - 2..next {
                if let Some(three) = three_at(input, at) {
                    table[hash(three, bits)] = (base + at) as u32;
                }
            }
            (at, plain) = (next, next);
        }
        let rest = &input[plain..];
        if out.len() + rest.len() + rest.len().div_ceil(PLAIN_MAX) >= end {
            return false;
        }
        write_plain(rest, out);
        true
    }
}

fn same((one, other): &(&u8, &u8)) -> bool {
    one == other
}

/// Three bytes as a number; none at the last three, which begin no copied piece.
#[inline]
fn three_at(input: &[u8], at: usize) -> Option<u32> {
    let four = input.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four) & 0xff_ffff)
}

#[inline]
fn hash(three: u32, bits: u32) -> usize {
    (three.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

fn write_plain(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(PLAIN_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn write_copy(len: usize, back: usize, out: &mut Vec<u8>) {
    let high = (back >> 8) as u8;
    if len < 9 {
        out.push((len as u8 - 2) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (len - 9) as u8]);
    }
    out.push(back as u8);
}

/// Adds what `input` was compressed from, which must be `len` bytes, to `out`. No memory is asked
/// for that `input` could not fill.
///
/// # Errors
/// `Compressed` if it is damaged, or gives another length; `out` may have grown by then.
pub fn decompress(input: &[u8], len: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
    if len > (input.len() as u64).saturating_mul(RATIO_MAX) {
        return Err(Fault::Compressed);
    }
    let len = usize::try_from(len).map_err(|_| Fault::Compressed)?;
    let start = out.len();
    let end = start + len;
    out.reserve(len);
    let mut input = input;
    while let [control, rest @ ..] = input {
        let control = usize::from(*control);
        if control < PLAIN_MAX {
            let (plain, rest) = rest.split_at_checked(control + 1).ok_or(Fault::Compressed)?;
            if plain.len() > end - out.len() {
                return Err(Fault::Compressed);
            }
            out.extend_from_slice(plain);
            input = rest;
            continue;
        }
        let (count, low, rest) = match (control >> 5, rest) {
            (7, [more, low, rest @ ..]) => (usize::from(*more) + 9, *low, rest),
            (1..7, [low, rest @ ..]) => ((control >> 5) + 2, *low, rest),
            _ => return Err(Fault::Compressed),
        };
        let back = ((control & 31) << 8 | usize::from(low)) + 1;
        if back > out.len() - start || count > end - out.len() {
            return Err(Fault::Compressed);
        }
        copy_back(out, back, count);
        input = rest;
    }
    if out.len() == end { Ok(()) } else { Err(Fault::Compressed) }
}

/// Adds `count` bytes as they stand `back` bytes before the end, what is added among them.
fn copy_back(out: &mut Vec<u8>, back: usize, count: usize) {
    let mut left = count;
    while left > 0 {
        let from = out.len() - back;
        let here = left.min(back);
        out.extend_from_within(from..from + here);
        left -= here;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(compressor: &mut Compressor, input: &[u8]) -> Option<usize> {
        let mut packed = b"before".to_vec();
        if !compressor.compress(input, &mut packed, input.len()) {
            assert_eq!(packed, b"before");
            return None;
        }
        let mut out = b"out".to_vec();
        decompress(&packed[6..], input.len() as u64, &mut out).expect("what was packed");
        assert!(out[3..] == *input, "{} bytes", input.len());
        Some(packed.len() - 6)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut compressor = Compressor::new();
        let mut state = 1u64;
        for len in (0..600).chain([8_191, 8_192, 8_193, 70_000, 1 << 20]) {
            for letters in [1, 2, 4, 200] {
                let mut random = || {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    ((state >> 33) % letters) as u8
                };
                let input: Vec<u8> = (0..len).map(|_| random()).collect();
                let packed = round_trip(&mut compressor, &input);
                assert!(letters > 2 || len < 64 || packed.is_some_and(|packed| packed < len));
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let mut compressor = Compressor::new();
        let input = b"a text that says what it says, and says what it says again".repeat(3);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert!(compressor.compress(&input, &mut first, input.len()));
        compressor.base = u32::MAX - 5;
        assert!(compressor.compress(&input, &mut second, input.len()));
        assert_eq!(first, second);
    }

    #[test]
    fn damage_is_an_error() {
        let mut out = Vec::new();
        for (input, len) in [
            (&[][..], 1),
            (&[0], 1),
            (&[0, b'a'], 2),
            (&[1, b'a', b'b'], 1),
            (&[0x20, 0], 3),
            (&[0, b'a', 0x20, 1], 4),
            (&[0, b'a', 0x20], 4),
            (&[0, b'a', 0xe0, 0], 10),
            (&[0, b'a', 0x40, 0], 4),
            (&[0, b'a'], u64::MAX),
        ] {
            out.clear();
            let done = decompress(input, len, &mut out);
            assert_eq!(done, Err(Fault::Compressed), "{input:?}");
        }
        out.clear();
        assert_eq!(decompress(&[0, b'a', 0xe0, 0, 0], 10, &mut out), Ok(()));
        assert_eq!(out, b"aaaaaaaaaa");
    }
}
