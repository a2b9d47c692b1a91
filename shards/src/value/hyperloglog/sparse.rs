//! The sparse form: runs of neighbouring registers of equal rank, from the first to the last.
//!
//! Source: the comments on the format in Redis 7.2.
//!
//! ```text
//! 00nnnnnn           n + 1 registers of rank 0
//! 01nnnnnn nnnnnnnn  n + 1 registers of rank 0; the first byte is the high one
//! 1rrrrrnn           n + 1 registers of rank r + 1
//! ```
//!
//! Which of the runs that say the same is written is part of the form: it is what Redis writes.

use super::Mark;
use crate::limits::HLL_REGISTERS;
use std::fmt::Write as _;

/// Longest run of rank 0 in one byte.
const SHORT_MAX: u16 = 64;
/// Longest run of another rank.
const LEN_MAX: u16 = 4;
/// The greatest rank that this form holds.
const RANK_MAX: u8 = 32;
/// Runs that are looked at for neighbours to be joined, after a change.
const JOIN_RUNS_MAX: usize = 5;
/// The runs where nothing was seen yet: a single one.
pub(super) const EMPTY: [u8; 2] = [0x40 | ((HLL_REGISTERS - 1) >> 8) as u8, 0xff];

const _: () =
    assert!(HLL_REGISTERS == 1 << 14, "a run of all registers has 14 bits for its length");

/// A run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The register where it begins.
    pub(super) first: u16,
    /// How many registers.
    pub(super) len: u16,
    pub(super) rank: u8,
    /// Where it stands among the bytes, and how many it takes.
    at: usize,
    size: usize,
}

/// Goes over runs. What it yields covers registers that are there, without a gap; a run beyond the
/// last register, and an end before it, is none.
pub(super) struct Runs<'a> {
    body: &'a [u8],
    at: usize,
    first: usize,
}

impl<'a> Runs<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { body, at: 0, first: 0 }
    }

    /// The run whose bytes come next, whatever registers it covers.
    fn decode(&mut self) -> Option<Run> {
        let (at, byte) = (self.at, *self.body.get(self.at)?);
        let (size, len, rank) = match byte >> 6 {
            0 => (1, u16::from(byte) + 1, 0),
            1 => (2, u16::from_be_bytes([byte & 0x3f, *self.body.get(at + 1)?]) + 1, 0),
            _ => (1, u16::from(byte & 3) + 1, (byte >> 2 & 0x1f) + 1),
        };
        let first = self.first as u16;
        self.at += size;
        self.first += usize::from(len);
        Some(Run { first, len, rank, at, size })
    }
}

impl Iterator for Runs<'_> {
    /// None for a corrupt run, with which it ends.
    type Item = Option<Run>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.first > HLL_REGISTERS || self.at == self.body.len() && self.first == HLL_REGISTERS {
            return None;
        }
        let run = self.decode().filter(|_| self.first <= HLL_REGISTERS);
        if run.is_none() {
            self.first = HLL_REGISTERS + 1;
        }
        Some(run)
    }
}

/// The rank in a register; none if the runs are corrupt up to it.
pub(super) fn rank(body: &[u8], register: u16) -> Option<u8> {
    find(body, register).map(|(_, run)| run.rank)
}

/// The run of a register, and where the one before it stands.
fn find(body: &[u8], register: u16) -> Option<(Option<usize>, Run)> {
    let mut before = None;
    for run in Runs::of(body) {
        let run = run?;
        if register < run.first + run.len {
            return Some((before, run));
        }
        before = Some(run.at);
    }
    None
}

/// Raises a register, whose rank is less, in the runs that stand in `bytes` from `head` on.
/// Answers false, and changes nothing, where this form cannot hold the rank, or where it would grow
/// to more than `max` bytes, those before `head` among them; none if the runs are corrupt.
pub(super) fn raise(bytes: &mut Vec<u8>, head: usize, mark: Mark, max: usize) -> Option<bool> {
    let (before, run) = find(&bytes[head..], mark.register)?;
    debug_assert!(run.rank < mark.rank, "the register is raised");
    if mark.rank > RANK_MAX {
        return Some(false);
    }
    let mut parts = Parts::default();
    parts.push(run.rank, mark.register - run.first);
    parts.push(mark.rank, 1);
    parts.push(run.rank, run.first + run.len - 1 - mark.register);
    let grows = parts.len > run.size;
    if grows && bytes.len() + parts.len - run.size > max {
        return Some(false);
    }
    let at = head + run.at;
    bytes.splice(at..at + run.size, parts.bytes[..parts.len].iter().copied());
    join(bytes, head + before.unwrap_or(0));
    Some(true)
}

/// The few bytes of the runs that one run becomes.
#[derive(Default)]
struct Parts {
    bytes: [u8; 5],
    len: usize,
}

impl Parts {
    fn push(&mut self, rank: u8, len: u16) {
        let Some(more) = len.checked_sub(1) else { return };
        if rank > 0 {
            self.byte(0x80 | (rank - 1) << 2 | more as u8);
        } else if len <= SHORT_MAX {
            self.byte(more as u8);
        } else {
            let [high, low] = more.to_be_bytes();
            self.byte(0x40 | high);
            self.byte(low);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// Joins neighbours of one rank into one run where that is short enough, from `at` on over the few
/// runs that a change can have made.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_RUNS_MAX {
        let Some(&byte) = bytes.get(at) else { return };
        match byte >> 6 {
            0 => at += 1,
            1 => at += 2,
            _ => {
                let next = bytes.get(at + 1).copied().unwrap_or(0);
                // The two highest bits of a run: the mark of the kind, then of the rank.
                let same = byte >> 2 == next >> 2;
                let more = (byte & 3) + (next & 3) + 1;
                if same && u16::from(more) < LEN_MAX {
                    bytes[at] = byte & !3 | more;
                    bytes.remove(at + 1);
                } else {
                    at += 1;
                }
            }
        }
    }
}

/// The runs as PFDEBUG DECODE writes them; of corrupt ones, up to the first beyond the last
/// register.
pub(super) fn text(body: &[u8]) -> String {
    let mut runs = Runs::of(body);
    let mut text = String::new();
    while runs.first <= HLL_REGISTERS
        && let Some(run) = runs.decode()
    {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = match (run.rank, run.size) {
            (0, 1) => write!(text, "z:{}", run.len),
            (0, _) => write!(text, "Z:{}", run.len),
            (rank, _) => write!(text, "v:{rank},{}", run.len),
        };
    }
    text
}
