//! Packed forms that Redis no longer writes, and sets of integers: read and checked.
//!
//! Each is checked whole while it is gone over: every length, every way back, the totals and the
//! counts. Nothing is allocated.

mod intset;
mod ziplist;
mod zipmap;

pub use intset::Intset;
pub use ziplist::Ziplist;
pub use zipmap::Zipmap;

/// An element of a packed form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Element<'a> {
    /// An integer.
    Int(i64),
    /// A text.
    Text(&'a [u8]),
}
