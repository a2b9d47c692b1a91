//! What a key holds: the forms it is read in, written in, and kept in.
//!
//! A new type is a variant of `Object` (how it is kept) and one of `Value` (how it is read).
//! Small strings and integers never become an `Object`: they lie in the key's own record.

mod extended;
pub mod ranked;

pub use extended::Extended;

use crate::error::Error;

/// A value as a command reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// A string that is an integer in its one decimal form.
    Int(i64),
    /// Any other string.
    Str(&'a [u8]),
}

/// A value as a command writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content<'a> {
    /// An integer.
    Int(i64),
    /// A string.
    Str(&'a [u8]),
    /// A string that came from an edit, which OBJECT ENCODING calls `raw` whatever its length.
    Raw(&'a [u8]),
}

/// A value too large or too rich for its key's record; the record points at it.
#[derive(Debug)]
pub(crate) enum Object {
    /// A string of more than `INLINE_BYTES_MAX` bytes.
    Str(Vec<u8>),
}

impl<'a> Value<'a> {
    /// The name TYPE gives it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Int(_) | Self::Str(_) => "string",
        }
    }

    /// The bytes of a string; those of an integer are written into `digits`.
    ///
    /// # Errors
    /// `Error::WrongType` for anything but a string.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> Result<&'b [u8], Error>
    where
        'a: 'b,
    {
        match self {
            Self::Int(value) => Ok(digits.format(value).as_bytes()),
            Self::Str(bytes) => Ok(bytes),
        }
    }
}

impl<'a> Content<'a> {
    /// `bytes` as SET keeps them: as an integer where they are one in its one form.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        match crate::commands::parse_int(bytes) {
            Some(value) => Self::Int(value),
            None => Self::Str(bytes),
        }
    }
}

impl Object {
    /// The value, to be read.
    #[inline]
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Str(bytes) => Value::Str(bytes),
        }
    }

    /// Bytes of memory it takes, its own place among them.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Str(bytes) => bytes.capacity(),
            }
    }

    /// A copy that shares nothing.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Str(bytes) => Self::Str(bytes.clone()),
        }
    }
}
