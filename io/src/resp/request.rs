//! Parses requests where they lie: arguments come out as ranges of the input, nothing is copied.
//!
//! A parser remembers where it stopped inside a request that has not arrived whole, so a request of
//! a million arguments in a thousand pieces is read once, not a thousand times.

use crate::limits::{
    ARGS_KEPT_MAX, ARGS_MAX, ARGS_UNAUTHENTICATED_MAX, BULK_BYTES_MAX,
    BULK_UNAUTHENTICATED_BYTES_MAX, INLINE_BYTES_MAX,
};

/// A piece of an input buffer: `len` bytes from `start`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Range {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Range {
    /// The bytes it names in `input`.
    ///
    /// # Panics
    /// If it was made for a shorter input.
    #[inline]
    pub fn of<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &input[self.start as usize..(self.start + self.len) as usize]
    }
}

/// What a request may measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most arguments of one request.
    pub args_max: i64,
    /// Longest argument, in bytes.
    pub bulk_bytes_max: i64,
    /// False before AUTH: the two limits above are then the small ones, and errors say so.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { args_max: ARGS_MAX, bulk_bytes_max: BULK_BYTES_MAX, authenticated: true }
    }
}

impl Limits {
    /// What a client may send before it has authenticated.
    pub fn unauthenticated() -> Self {
        Self {
            args_max: ARGS_UNAUTHENTICATED_MAX,
            bulk_bytes_max: BULK_UNAUTHENTICATED_BYTES_MAX,
            authenticated: false,
        }
    }
}

/// A violation of the protocol: the connection gets the text and is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProtocolError {
    /// The count line of a request is longer than an inline request may be.
    LongCount,
    /// The length line of an argument is longer than an inline request may be.
    LongBulkCount,
    /// The number of arguments is not a number, or too large.
    Count,
    /// The number of arguments is too large for a client that has not authenticated.
    CountUnauthenticated,
    /// The length of an argument is not a number, negative, or too large.
    Bulk,
    /// The length of an argument is too large for a client that has not authenticated.
    BulkUnauthenticated,
    /// An argument does not begin with `$` but with this byte.
    NotBulk(u8),
    /// An inline request without a line end is too long.
    LongInline,
    /// An inline request ends inside quotes.
    Quotes,
}

impl ProtocolError {
    /// True if the same request may be right once the client has authenticated.
    pub fn is_lifted_by_auth(self) -> bool {
        matches!(self, Self::CountUnauthenticated | Self::BulkUnauthenticated)
    }

    /// The text after `-`, as Redis words it.
    pub fn text(self) -> Vec<u8> {
        let text: &[u8] = match self {
            Self::LongCount => b"too big mbulk count string",
            Self::LongBulkCount => b"too big bulk count string",
            Self::Count => b"invalid multibulk length",
            Self::CountUnauthenticated => b"unauthenticated multibulk length",
            Self::Bulk => b"invalid bulk length",
            Self::BulkUnauthenticated => b"unauthenticated bulk length",
            Self::NotBulk(got) => {
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.push(got);
                text.push(b'\'');
                return text;
            }
            Self::LongInline => b"too big inline request",
            Self::Quotes => b"unbalanced quotes in request",
        };
        [b"ERR Protocol error: ", text].concat()
    }
}

/// What `Parser::next` found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A whole request; its arguments (at least one) are in `args()`. The next begins at `end`.
    Request {
        /// Offset after the request.
        end: usize,
    },
    /// An inline request whose arguments had quotes: `rewritten` is the same request as an array.
    Inline {
        /// Offset after the request.
        end: usize,
        /// The request in RESP, to be parsed in its place.
        rewritten: Vec<u8>,
    },
    /// A request of no arguments, to be passed over.
    Empty {
        /// Offset after the request.
        end: usize,
    },
    /// The input ends inside a request, which needs at least `need` more bytes.
    Partial {
        /// Bytes that must still come; 1 where that is not known.
        need: usize,
    },
}

/// An incremental parser of one connection's input.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    /// Where to go on reading, inside the request under way.
    at: usize,
    /// Arguments of the request under way that have not been read.
    left: usize,
    /// Length of the argument under way, if its length line has been read.
    bulk: Option<usize>,
    args: Vec<Range>,
}

impl Parser {
    /// The arguments of the request that `next` just completed, as ranges of its input.
    #[inline]
    pub fn args(&self) -> &[Range] {
        &self.args
    }

    /// Forgets a request under way, and the memory that many arguments took.
    pub fn reset(&mut self) {
        self.at = 0;
        self.left = 0;
        self.bulk = None;
        self.args.clear();
        self.args.shrink_to(ARGS_KEPT_MAX);
    }

    /// True while a request has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.left > 0
    }

    /// Reads one request that begins at `start`; after `Partial`, call again with the same bytes
    /// and more behind them.
    ///
    /// # Errors
    /// The input breaks the protocol; the connection cannot go on.
    #[inline]
    pub fn next(
        &mut self,
        input: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Step, ProtocolError> {
        if self.left == 0 {
            self.args.clear();
            match input.get(start) {
                None => return Ok(Step::Partial { need: 1 }),
                Some(b'*') => {}
                Some(_) => return self.inline(input, start),
            }
            let (count, at) = match read_count(input, start + 1, ProtocolError::LongCount)? {
                Line::Partial => return Ok(Step::Partial { need: 1 }),
                Line::Bad => return Err(ProtocolError::Count),
                Line::Value(count, at) => (count, at),
            };
            if count > ARGS_MAX {
                return Err(ProtocolError::Count);
            }
            if count > limits.args_max {
                return Err(if limits.authenticated {
                    ProtocolError::Count
                } else {
                    ProtocolError::CountUnauthenticated
                });
            }
            if count <= 0 {
                return Ok(Step::Empty { end: at });
            }
            self.left = count as usize;
            self.at = at;
        }
        self.bulks(input, limits)
    }

    #[inline]
    fn bulks(&mut self, input: &[u8], limits: &Limits) -> Result<Step, ProtocolError> {
        while self.left > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => {
                    match input.get(self.at) {
                        None => return Ok(Step::Partial { need: 1 }),
                        Some(b'$') => {}
                        Some(&got) => return Err(ProtocolError::NotBulk(got)),
                    }
                    let (len, at) =
                        match read_count(input, self.at + 1, ProtocolError::LongBulkCount)? {
                            Line::Partial => return Ok(Step::Partial { need: 1 }),
                            Line::Bad => return Err(ProtocolError::Bulk),
                            Line::Value(len, at) => (len, at),
                        };
                    check_bulk(len, limits)?;
                    self.at = at;
                    self.bulk = Some(len as usize);
                    len as usize
                }
            };
            let end = self.at + len + 2;
            if input.len() < end {
                return Ok(Step::Partial { need: end - input.len() });
            }
            self.args.push(Range { start: self.at as u32, len: len as u32 });
            self.at = end;
            self.bulk = None;
            self.left -= 1;
        }
        Ok(Step::Request { end: self.at })
    }

    fn inline(&mut self, input: &[u8], start: usize) -> Result<Step, ProtocolError> {
        let rest = &input[start..];
        let Some(len) = memchr::memchr(b'\n', rest) else {
            if rest.len() > INLINE_BYTES_MAX {
                return Err(ProtocolError::LongInline);
            }
            return Ok(Step::Partial { need: 1 });
        };
        let end = start + len + 1;
        let line = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        if line.iter().any(|&b| b == b'"' || b == b'\'') {
            let words = split_quoted(line).ok_or(ProtocolError::Quotes)?;
            if words.is_empty() {
                return Ok(Step::Empty { end });
            }
            return Ok(Step::Inline { end, rewritten: as_array(&words) });
        }
        let mut at = 0;
        while at < line.len() {
            if is_space(line[at]) {
                at += 1;
                continue;
            }
            let len = line[at..].iter().position(|&b| is_space(b)).unwrap_or(line.len() - at);
            self.args.push(Range { start: (start + at) as u32, len: len as u32 });
            at += len;
        }
        Ok(if self.args.is_empty() { Step::Empty { end } } else { Step::Request { end } })
    }
}

fn check_bulk(len: i64, limits: &Limits) -> Result<(), ProtocolError> {
    if len < 0 {
        return Err(ProtocolError::Bulk);
    }
    if len > limits.bulk_bytes_max {
        return Err(if limits.authenticated {
            ProtocolError::Bulk
        } else {
            ProtocolError::BulkUnauthenticated
        });
    }
    Ok(())
}

enum Line {
    Partial,
    Bad,
    /// The number, and the offset after the line.
    Value(i64, usize),
}

/// Reads a decimal number and its line end from `at`.
#[inline]
fn read_count(input: &[u8], at: usize, too_long: ProtocolError) -> Result<Line, ProtocolError> {
    // The common lengths are one or two digits: read them without a search.
    if let Some(&[a, b'\r', b'\n']) = input.get(at..at + 3)
        && a.is_ascii_digit()
    {
        return Ok(Line::Value(i64::from(a - b'0'), at + 3));
    }
    if let Some(&[a, b, b'\r', b'\n']) = input.get(at..at + 4)
        && a.is_ascii_digit()
        && b.is_ascii_digit()
        && a != b'0'
    {
        return Ok(Line::Value(i64::from(a - b'0') * 10 + i64::from(b - b'0'), at + 4));
    }
    let rest = &input[at.min(input.len())..];
    let Some(len) = memchr::memchr(b'\r', rest) else {
        return if rest.len() > INLINE_BYTES_MAX { Err(too_long) } else { Ok(Line::Partial) };
    };
    if len + 1 >= rest.len() {
        return Ok(Line::Partial);
    }
    Ok(match parse_int(&rest[..len]) {
        Some(value) => Line::Value(value, at + len + 2),
        None => Line::Bad,
    })
}

/// A decimal 64-bit integer in its one canonical form: no plus sign, no leading zeros.
fn parse_int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits[0] == b'0' && text.len() > 1 {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

/// Splits an inline request as Redis does: double quotes with escapes, single quotes with `\'`.
/// None where a quote does not end, or is not followed by a space.
fn split_quoted(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at == line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        while at < line.len() && !is_space(line[at]) {
            at = match line[at] {
                b'"' => double_quoted(line, at + 1, &mut word)?,
                b'\'' => single_quoted(line, at + 1, &mut word)?,
                byte => {
                    word.push(byte);
                    at + 1
                }
            };
        }
        words.push(word);
    }
}

/// Reads up to the closing double quote; returns the offset after it.
fn double_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'"' => return closed(line, at + 1),
            b'\\' => {
                let hex = |i: usize| line.get(i).and_then(|&b| (b as char).to_digit(16));
                if line.get(at + 1) == Some(&b'x')
                    && let (Some(high), Some(low)) = (hex(at + 2), hex(at + 3))
                {
                    word.push((high * 16 + low) as u8);
                    at += 4;
                    continue;
                }
                word.push(match *line.get(at + 1)? {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// Reads up to the closing single quote; returns the offset after it.
fn single_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'\'' => return closed(line, at + 1),
            b'\\' if line.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// A closing quote must end its word.
fn closed(line: &[u8], at: usize) -> Option<usize> {
    line.get(at).is_none_or(|&b| is_space(b)).then_some(at)
}

fn as_array(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = super::Reply::new(&mut out, super::Protocol::Resp2);
    reply.array(words.len());
    for word in words {
        reply.bulk(word);
    }
    out
}

#[cfg(test)]
mod tests;
