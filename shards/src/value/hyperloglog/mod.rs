//! HyperLogLogs: how many different elements a key has seen, to within 0.8 %, in 12 KiB at most.
//!
//! An element's hash names one of 16384 registers, and a rank: one more than the zeros at the low
//! end of the rest of the hash. A register keeps the greatest rank it has seen. A HyperLogLog is a
//! string, whose bytes are those of Redis, so that clients may GET one and SET it elsewhere:
//!
//! ```text
//! bytes 0-3    "HYLL"
//! byte 4       0 dense, 1 sparse
//! bytes 5-7    zero
//! bytes 8-15   the estimate last made, little-endian; its highest bit: registers changed since
//! then         dense: 16384 registers of 6 bits, each from the low end of its byte on
//!              sparse: runs of equal registers, see `sparse`
//! ```
//!
//! Method: Flajolet et al., "HyperLogLog"; Heule et al., "HyperLogLog in Practice" (sparse form).

mod dense;
mod estimate;
mod hash;
mod sparse;

use crate::error::Error;
use crate::limits::HLL_REGISTERS;
use sparse::Runs;

/// Bytes before the registers.
const HEAD: usize = 16;
/// Bytes of a dense HyperLogLog.
const DENSE_LEN: usize = HEAD + dense::BYTES;
const MAGIC: &[u8] = b"HYLL";
/// Where the form stands.
const FORM: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the estimate last made stands.
const ESTIMATE: std::ops::Range<usize> = 8..HEAD;

const CORRUPT: Error = Error::Text("INVALIDOBJ Corrupted HLL object detected");
const INVALID: Error = Error::Text("WRONGTYPE Key is not a valid HyperLogLog string value.");

/// What an element does: the register it names, and the rank that register has from then on at
/// least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Index of the register.
    pub register: u16,
    /// From 1 to 51.
    pub rank: u8,
}

/// A HyperLogLog as it lies in a string, looked at and not changed. Its head is sound; a sparse
/// one's runs may be anything, and are checked where they are read.
#[derive(Clone, Copy, Debug)]
pub struct HyperLogLog<'a> {
    bytes: &'a [u8],
}

/// A HyperLogLog of one's own, to be changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Draft {
    bytes: Vec<u8>,
}

/// One byte a register: where several HyperLogLogs are merged.
pub struct Registers(Box<[u8; HLL_REGISTERS]>);

impl Mark {
    /// The mark of an element.
    pub fn of(element: &[u8]) -> Self {
        let hash = hash::murmur_64a(element);
        let rest = hash >> HLL_REGISTERS.ilog2();
        let width = u64::BITS - HLL_REGISTERS.ilog2();
        // A rest of zeros alone ranks as if a one stood above it.
        let rank = (rest | 1 << width).trailing_zeros() + 1;
        Self { register: (hash % HLL_REGISTERS as u64) as u16, rank: rank as u8 }
    }
}

impl<'a> HyperLogLog<'a> {
    /// The HyperLogLog in a string.
    ///
    /// # Errors
    /// If the string is none.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        let sound = bytes.len() >= HEAD
            && bytes.starts_with(MAGIC)
            && match bytes[FORM] {
                DENSE => bytes.len() == DENSE_LEN,
                form => form == SPARSE,
            };
        if sound { Ok(Self { bytes }) } else { Err(INVALID) }
    }

    /// True for the form that has room for every register.
    pub fn is_dense(self) -> bool {
        self.bytes[FORM] == DENSE
    }

    /// The estimate last made, if no register has changed since.
    pub fn known_estimate(self) -> Option<u64> {
        let bytes = self.bytes[ESTIMATE].try_into().expect("an estimate has 8 bytes");
        Some(u64::from_le_bytes(bytes)).filter(|estimate| estimate >> 63 == 0)
    }

    /// True if the mark would raise a register.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn lacks(self, mark: Mark) -> Result<bool, Error> {
        let rank = if self.is_dense() {
            dense::rank(self.body(), mark.register)
        } else {
            sparse::rank(self.body(), mark.register).ok_or(CORRUPT)?
        };
        Ok(rank < mark.rank)
    }

    /// An estimate of how many different elements it has seen, made anew.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn estimate(self) -> Result<u64, Error> {
        let mut counts = [0; estimate::RANKS];
        if self.is_dense() {
            dense::each(self.body(), |_, rank| counts[usize::from(rank)] += 1);
        } else {
            for run in Runs::of(self.body()) {
                let run = run.ok_or(CORRUPT)?;
                counts[usize::from(run.rank)] += u32::from(run.len);
            }
        }
        Ok(estimate::of(&counts))
    }

    /// The dense form; none if that is what it is.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn to_dense(self) -> Result<Option<Draft>, Error> {
        if self.is_dense() {
            return Ok(None);
        }
        let mut bytes = vec![0; DENSE_LEN];
        bytes[..HEAD].copy_from_slice(&self.bytes[..HEAD]);
        bytes[FORM] = DENSE;
        for run in Runs::of(self.body()) {
            let run = run.ok_or(CORRUPT)?;
            if run.rank > 0 {
                let registers = run.first..run.first + run.len;
                registers.for_each(|register| {
                    dense::put(&mut bytes[HEAD..], Mark { register, rank: run.rank });
                });
            }
        }
        Ok(Some(Draft { bytes }))
    }

    /// The runs of the sparse form as text; none where it is dense.
    pub fn runs_text(self) -> Option<String> {
        (!self.is_dense()).then(|| sparse::text(self.body()))
    }

    /// The ranks of all registers, in order.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn registers(self) -> Result<Registers, Error> {
        let mut registers = Registers::default();
        registers.merge(self)?;
        Ok(registers)
    }

    fn body(self) -> &'a [u8] {
        &self.bytes[HEAD..]
    }
}

impl Default for Draft {
    /// One that has seen nothing: sparse, no estimate made.
    fn default() -> Self {
        let mut bytes = vec![0; HEAD];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[FORM] = SPARSE;
        bytes.extend(sparse::EMPTY);
        let mut draft = Self { bytes };
        forget_estimate(&mut draft.bytes);
        draft
    }
}

impl Draft {
    /// A copy.
    pub fn of(original: HyperLogLog<'_>) -> Self {
        Self { bytes: original.bytes.to_vec() }
    }

    /// To be looked at.
    pub fn view(&self) -> HyperLogLog<'_> {
        HyperLogLog { bytes: &self.bytes }
    }

    /// The bytes to keep in a string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Notes a mark; true if that raised a register. A sparse one that would take more than
    /// `sparse_max` bytes, or whose form cannot hold the rank, becomes dense.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn raise(&mut self, mark: Mark, sparse_max: usize) -> Result<bool, Error> {
        if !self.view().lacks(mark)? {
            return Ok(false);
        }
        if !self.view().is_dense() {
            if sparse::raise(&mut self.bytes, HEAD, mark, sparse_max).ok_or(CORRUPT)? {
                forget_estimate(&mut self.bytes);
                return Ok(true);
            }
            self.make_dense()?;
        }
        dense::put(&mut self.bytes[HEAD..], mark);
        forget_estimate(&mut self.bytes);
        Ok(true)
    }

    /// Raises registers to those of `others`.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn raise_all(&mut self, others: &Registers, sparse_max: usize) -> Result<(), Error> {
        for (register, &rank) in (0..).zip(others.0.iter()) {
            if rank > 0 {
                self.raise(Mark { register, rank }, sparse_max)?;
            }
        }
        forget_estimate(&mut self.bytes);
        Ok(())
    }

    /// Takes the dense form.
    ///
    /// # Errors
    /// If the HyperLogLog is corrupt.
    pub fn make_dense(&mut self) -> Result<(), Error> {
        if let Some(dense) = self.view().to_dense()? {
            *self = dense;
        }
        Ok(())
    }
}

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; HLL_REGISTERS]))
    }
}

impl Registers {
    /// Raises each register to what it is in `other`.
    ///
    /// # Errors
    /// If `other` is corrupt; some registers may have been raised.
    pub fn merge(&mut self, other: HyperLogLog<'_>) -> Result<(), Error> {
        if other.is_dense() {
            dense::each(other.body(), |index, rank| self.0[index] = self.0[index].max(rank));
            return Ok(());
        }
        for run in Runs::of(other.body()) {
            let run = run.ok_or(CORRUPT)?;
            let first = usize::from(run.first);
            for rank in &mut self.0[first..first + usize::from(run.len)] {
                *rank = run.rank.max(*rank);
            }
        }
        Ok(())
    }

    /// An estimate of how many different elements all that were merged have seen.
    pub fn estimate(&self) -> u64 {
        let mut counts = [0; estimate::RANKS];
        self.ranks().for_each(|rank| counts[usize::from(rank)] += 1);
        estimate::of(&counts)
    }

    /// The ranks, in order.
    pub fn ranks(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }
}

impl std::fmt::Debug for Registers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registers").finish_non_exhaustive()
    }
}

/// Notes marks in a dense HyperLogLog where it lies.
pub fn raise_dense(bytes: &mut [u8], marks: impl Iterator<Item = Mark>) {
    debug_assert_eq!(bytes.len(), DENSE_LEN);
    for mark in marks {
        if dense::rank(&bytes[HEAD..], mark.register) < mark.rank {
            dense::put(&mut bytes[HEAD..], mark);
            forget_estimate(bytes);
        }
    }
}

/// Keeps an estimate in a HyperLogLog where it lies.
pub fn keep_estimate(bytes: &mut [u8], estimate: u64) {
    bytes[ESTIMATE].copy_from_slice(&estimate.to_le_bytes());
}

fn forget_estimate(bytes: &mut [u8]) {
    bytes[HEAD - 1] |= 0x80;
}

#[cfg(test)]
mod tests;
