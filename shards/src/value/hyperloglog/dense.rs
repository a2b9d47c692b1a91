//! The dense form: registers of 6 bits, one after the other, each from the low end of its byte on.

use super::Mark;
use crate::limits::HLL_REGISTERS;

const BITS: usize = 6;
/// The greatest rank that fits.
const RANK_MAX: u16 = (1 << BITS) - 1;
/// Bytes of all registers.
pub(super) const BYTES: usize = HLL_REGISTERS * BITS / 8;

const _: () = assert!((HLL_REGISTERS * BITS).is_multiple_of(24), "four registers fill three bytes");

/// The byte where a register begins, and the bit in it.
fn place(register: u16) -> (usize, usize) {
    let bit = usize::from(register) * BITS;
    (bit / 8, bit % 8)
}

/// Two bytes from `at` on, as one number; after the last byte comes a zero.
fn pair(body: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([body[at], body.get(at + 1).copied().unwrap_or(0)])
}

/// The rank in a register.
#[inline]
pub(super) fn rank(body: &[u8], register: u16) -> u8 {
    let (at, shift) = place(register);
    ((pair(body, at) >> shift) & RANK_MAX) as u8
}

/// Puts a rank into its register, whatever that held.
pub(super) fn put(body: &mut [u8], mark: Mark) {
    let (at, shift) = place(mark.register);
    let others = pair(body, at) & !(RANK_MAX << shift);
    let [low, high] = (others | (u16::from(mark.rank) & RANK_MAX) << shift).to_le_bytes();
    body[at] = low;
    if let Some(next) = body.get_mut(at + 1) {
        *next = high;
    }
}

/// Calls `note` with each register's index and rank, in order.
#[inline]
pub(super) fn each(body: &[u8], mut note: impl FnMut(usize, u8)) {
    let (threes, _) = body.as_chunks::<3>();
    for (index, &[one, two, three]) in threes.iter().enumerate() {
        let bits = u32::from_le_bytes([one, two, three, 0]);
        for part in 0..4 {
            note(index * 4 + part, ((bits >> (part * BITS)) & u32::from(RANK_MAX)) as u8);
        }
    }
}
