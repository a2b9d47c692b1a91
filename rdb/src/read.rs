//! Reads lengths, strings, numbers and times from bytes that are all there.

use crate::fault::Fault;
use crate::lzf;

/// What begins with the two highest bits of a byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Head {
    /// A length.
    Length(u64),
    /// A string in one of the special forms.
    Special(u8),
}

/// How a string lies in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Plain,
    Int,
    /// Compressed from so many bytes.
    Compressed(u64),
}

/// The head at the start of `bytes` and how long it is; none if it is not whole.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Fault> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let low = first & 0x3f;
    let (len, bytes_len) = match first >> 6 {
        0 => (u64::from(low), 1),
        1 => match bytes.get(1) {
            Some(&second) => (u64::from(low) << 8 | u64::from(second), 2),
            None => return Ok(None),
        },
        2 => match (low, bytes) {
            (0, [_, a, b, c, d, ..]) => (u64::from(u32::from_be_bytes([*a, *b, *c, *d])), 5),
            (1, [_, a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 9)
            }
            (0 | 1, _) => return Ok(None),
            _ => return Err(Fault::Length),
        },
        _ => return Ok(Some((Head::Special(low), 1))),
    };
    Ok(Some((Head::Length(len), bytes_len)))
}

/// The form of the string at the start of `bytes`, where its body begins, and how many bytes that
/// has; none if that is not all there.
#[inline]
pub(crate) fn text_head(bytes: &[u8]) -> Result<Option<(Form, usize, u64)>, Fault> {
    let Some((first, at)) = head(bytes)? else { return Ok(None) };
    match first {
        Head::Length(len) => Ok(Some((Form::Plain, at, len))),
        Head::Special(width @ 0..=2) => Ok(Some((Form::Int, at, 1 << width))),
        Head::Special(3) => {
            let Some((packed, packed_at)) = length_head(&bytes[at..])? else { return Ok(None) };
            let at = at + packed_at;
            let Some((len, len_at)) = length_head(&bytes[at..])? else { return Ok(None) };
            Ok(Some((Form::Compressed(len), at + len_at, packed)))
        }
        Head::Special(_) => Err(Fault::Text),
    }
}

/// The length at the start of `bytes` and how long it is itself; none if it is not whole.
pub(crate) fn length_head(bytes: &[u8]) -> Result<Option<(u64, usize)>, Fault> {
    match head(bytes)? {
        Some((Head::Length(len), at)) => Ok(Some((len, at))),
        Some((Head::Special(_), _)) => Err(Fault::Length),
        None => Ok(None),
    }
}

/// Reads from the front of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// # Errors
    /// `Trailing` if there is something still to be read.
    pub fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }

    /// The next byte.
    ///
    /// # Errors
    /// `Cut` at the end.
    pub fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// `Cut` if there are not as many.
    #[inline]
    pub fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let len = usize::try_from(len).map_err(|_| Fault::Cut)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Fault::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `Cut` if there are not as many.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Fault::Cut)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A length, or any number written as one.
    ///
    /// # Errors
    /// `Cut`, or `Length` if there is something else.
    #[inline]
    pub fn length(&mut self) -> Result<u64, Fault> {
        let (len, at) = length_head(self.rest)?.ok_or(Fault::Cut)?;
        self.rest = &self.rest[at..];
        Ok(len)
    }

    /// How many elements follow, of which each takes `bytes_min` bytes at least: never more than
    /// there can be.
    ///
    /// # Errors
    /// Those of `length`, and `TooMuch`.
    #[inline]
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, Fault> {
        let count = self.length()?;
        let most = self.rest.len() / bytes_min.max(1);
        usize::try_from(count).ok().filter(|&count| count <= most).ok_or(Fault::TooMuch)
    }

    /// A string. What is not there as it is, is written into `room`.
    ///
    /// # Errors
    /// `Cut`, or what is wrong with the string.
    #[inline]
    pub fn text<'r>(&mut self, room: &'r mut Vec<u8>) -> Result<&'r [u8], Fault>
    where
        'a: 'r,
    {
        let (form, body) = self.form()?;
        match form {
            Form::Plain => Ok(body),
            _ => {
                room.clear();
                expand(form, body, room)?;
                Ok(room)
            }
        }
    }

    /// A string in memory of its own.
    ///
    /// # Errors
    /// As `text`.
    pub fn own_text(&mut self) -> Result<Vec<u8>, Fault> {
        let (form, body) = self.form()?;
        let mut text = Vec::new();
        expand(form, body, &mut text)?;
        Ok(text)
    }

    #[inline]
    fn form(&mut self) -> Result<(Form, &'a [u8]), Fault> {
        let (form, at, body) = text_head(self.rest)?.ok_or(Fault::Cut)?;
        self.rest = &self.rest[at..];
        Ok((form, self.take(body)?))
    }

    /// A number in 8 bytes, as times are.
    ///
    /// # Errors
    /// `Cut`.
    pub fn int(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }

    /// A time in milliseconds since the Unix epoch, which is not before it.
    ///
    /// # Errors
    /// `Cut` or `Time`.
    pub fn time(&mut self) -> Result<u64, Fault> {
        u64::try_from(self.int()?).map_err(|_| Fault::Time)
    }

    /// A score in 8 bytes.
    ///
    /// # Errors
    /// `Cut`, or `Score` if it is not a number.
    pub fn score(&mut self) -> Result<f64, Fault> {
        number(f64::from_le_bytes(self.array()?))
    }

    /// A score as text, in the form of old files.
    ///
    /// # Errors
    /// As `score`.
    pub fn score_text(&mut self) -> Result<f64, Fault> {
        match self.byte()? {
            SCORE_NAN => Err(Fault::Score),
            SCORE_INFINITE => Ok(f64::INFINITY),
            SCORE_INFINITE_BELOW => Ok(f64::NEG_INFINITY),
            len => {
                let text = self.take(u64::from(len))?;
                let text = std::str::from_utf8(text).map_err(|_| Fault::Score)?;
                number(text.trim().parse().map_err(|_| Fault::Score)?)
            }
        }
    }
}

/// What stands for a score, in place of the length of its text.
pub(crate) const SCORE_NAN: u8 = 253;
const SCORE_INFINITE: u8 = 254;
const SCORE_INFINITE_BELOW: u8 = 255;

fn number(score: f64) -> Result<f64, Fault> {
    if score.is_nan() { Err(Fault::Score) } else { Ok(score) }
}

/// Adds the text of a string to `out`.
pub(crate) fn expand(form: Form, body: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match form {
        Form::Plain => out.extend_from_slice(body),
        Form::Compressed(len) => lzf::decompress(body, len, out)?,
        Form::Int => {
            let value = match *body {
                [a] => i32::from(a as i8),
                [a, b] => i32::from(i16::from_le_bytes([a, b])),
                [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
                _ => return Err(Fault::Text),
            };
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
    }
    Ok(())
}
