//! A set of integers as it stands in files.
//!
//! ```text
//! 4 bytes    width of an integer: 2, 4 or 8
//! 4 bytes    how many there are
//! then       the integers in rising order, little-endian, each signed
//! ```

use crate::fault::Fault;

/// The integers of a set.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl<'a> Intset<'a> {
    /// The integers in these bytes.
    ///
    /// # Errors
    /// `Intset` if the sizes do not agree; `Order` if one is not above the one before.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (head, bytes) = bytes.split_first_chunk::<8>().ok_or(Fault::Intset)?;
        let [a, b, c, d, e, f, g, h] = *head;
        let width = u32::from_le_bytes([a, b, c, d]) as usize;
        let count = u32::from_le_bytes([e, f, g, h]) as usize;
        if !matches!(width, 2 | 4 | 8) || count.checked_mul(width) != Some(bytes.len()) {
            return Err(Fault::Intset);
        }
        let set = Self { width, bytes };
        if set.iter().zip(set.iter().skip(1)).any(|(one, next)| one >= next) {
            return Err(Fault::Order);
        }
        Ok(set)
    }

    /// The integers, in rising order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> + use<'a> {
        let width = self.width;
        self.bytes.chunks_exact(width).map(move |bytes| match *bytes {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_order_are_checked() {
        let bytes = |width: u32, count: u32, rest: &[u8]| {
            [&width.to_le_bytes()[..], &count.to_le_bytes()[..], rest].concat()
        };
        let set = bytes(2, 2, &[0xff, 0xff, 1, 0]);
        let set = Intset::new(&set).expect("a set");
        assert_eq!(set.iter().collect::<Vec<_>>(), [-1, 1]);
        for (bytes, fault) in [
            (bytes(2, 2, &[1, 0, 1, 0]), Fault::Order),
            (bytes(2, 2, &[1, 0, 0, 0]), Fault::Order),
            (bytes(2, 2, &[1, 0]), Fault::Intset),
            (bytes(3, 1, &[1, 0, 0]), Fault::Intset),
            (bytes(8, u32::MAX, &[0; 8]), Fault::Intset),
            (vec![2, 0, 0, 0], Fault::Intset),
        ] {
            assert_eq!(Intset::new(&bytes).err(), Some(fault));
        }
    }
}
