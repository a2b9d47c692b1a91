//! Reads replies, the client's side of the protocol: for tests, tools and the folding of replies.
//!
//! Reads both protocols, whatever was asked for, and takes nothing on trust: depth and lengths are
//! bounded, and memory is used only for bytes that came. Streamed values (`$?`) are refused.

use crate::limits::{BULK_BYTES_MAX, REPLY_DEPTH_MAX, REPLY_LINE_BYTES_MAX};

/// One reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `+`: a line of text.
    Simple(Vec<u8>),
    /// `-`, or the long form `!`: an error, its code first.
    Error(Vec<u8>),
    /// `:`: an integer.
    Int(i64),
    /// `$`: bytes.
    Bulk(Vec<u8>),
    /// `_`: nothing, in RESP3.
    Null,
    /// `$-1`: nothing in the place of a string, in RESP2.
    NullBulk,
    /// `*-1`: nothing in the place of an array, in RESP2.
    NullArray,
    /// `*`: values in order.
    Array(Vec<Value>),
    /// `%`: pairs, in the order they came.
    Map(Vec<(Value, Value)>),
    /// `~`: values, in the order they came.
    Set(Vec<Value>),
    /// `>`: a message nobody asked for at this moment.
    Push(Vec<Value>),
    /// `,`: a float, as the text that came; it parses as one.
    Double(String),
    /// `#`: a truth value.
    Bool(bool),
    /// `(`: an integer of any size, in decimal.
    BigNumber(String),
    /// `=`: text with a format of three letters.
    Verbatim([u8; 3], Vec<u8>),
}

/// How a reply breaks the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DecodeError {
    /// A reply cannot begin with this byte.
    Mark(u8),
    /// A line that should hold a number, a truth value or nothing holds something else.
    Line,
    /// A line longer than `REPLY_LINE_BYTES_MAX`.
    LongLine,
    /// A negative or far too large length.
    Length,
    /// A string does not end where its length says.
    Unterminated,
    /// Values within values deeper than `REPLY_DEPTH_MAX`.
    Depth,
}

/// The first line of a value.
#[derive(Clone, Copy)]
struct Head<'a> {
    mark: u8,
    line: &'a [u8],
    /// Offset after the line.
    next: usize,
}

type Decoded<T> = Result<Option<T>, DecodeError>;

/// Reads the first reply of `input` and says how many bytes it took; `None` until it is whole.
/// Attributes (`|`) before a value are read and dropped.
///
/// # Errors
/// `input` cannot become a reply, however much more comes.
pub fn decode(input: &[u8]) -> Result<Option<(Value, usize)>, DecodeError> {
    value(input, 0, 0)
}

/// The length in bytes of the first reply of `input`, with the attributes before it; `None` if it
/// is not whole, or not a reply. Allocates nothing and does not look into strings.
pub fn skip(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut left: usize = 1;
    while left > 0 {
        let head = head(input, at).ok()??;
        at = head.next;
        left -= 1;
        match head.mark {
            b'$' | b'=' | b'!' => {
                if let Some(len) = length(head.line).ok()? {
                    at += len + 2;
                    if at > input.len() {
                        return None;
                    }
                }
            }
            b'*' | b'~' | b'>' => left = left.checked_add(length(head.line).ok()?.unwrap_or(0))?,
            b'%' | b'|' => {
                let pairs = length(head.line).ok()?.unwrap_or(0);
                left = left.checked_add(pairs * 2 + usize::from(head.mark == b'|'))?;
            }
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
            _ => return None,
        }
    }
    Some(at)
}

fn value(input: &[u8], at: usize, depth: usize) -> Decoded<(Value, usize)> {
    let mut at = at;
    loop {
        let Some(head) = head(input, at)? else { return Ok(None) };
        match head.mark {
            b'|' => match attribute(input, head, depth)? {
                Some(next) => at = next,
                None => return Ok(None),
            },
            b'$' | b'=' | b'!' => return text(input, head),
            b'*' | b'%' | b'~' | b'>' => return aggregate(input, head, depth),
            _ => return scalar(head).map(|value| Some((value, head.next))),
        }
    }
}

/// Passes over the pairs of an attribute; returns the offset of the value it belongs to.
fn attribute(input: &[u8], head: Head<'_>, depth: usize) -> Decoded<usize> {
    let pairs = length(head.line)?.ok_or(DecodeError::Length)?;
    Ok(values(input, head.next, pairs * 2, depth + 1)?.map(|(_, next)| next))
}

fn scalar(head: Head<'_>) -> Result<Value, DecodeError> {
    let line = || std::str::from_utf8(head.line).map_err(|_| DecodeError::Line);
    Ok(match head.mark {
        b'+' => Value::Simple(head.line.to_vec()),
        b'-' => Value::Error(head.line.to_vec()),
        b':' => Value::Int(line()?.parse().map_err(|_| DecodeError::Line)?),
        b'_' if head.line.is_empty() => Value::Null,
        b',' => {
            let _: f64 = line()?.parse().map_err(|_| DecodeError::Line)?;
            Value::Double(line()?.to_owned())
        }
        b'#' if head.line == b"t" => Value::Bool(true),
        b'#' if head.line == b"f" => Value::Bool(false),
        b'(' => {
            let digits = head.line.strip_prefix(b"-").unwrap_or(head.line);
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(DecodeError::Line);
            }
            Value::BigNumber(line()?.to_owned())
        }
        b'_' | b'#' => return Err(DecodeError::Line),
        mark => return Err(DecodeError::Mark(mark)),
    })
}

fn text(input: &[u8], head: Head<'_>) -> Decoded<(Value, usize)> {
    let Some(len) = length(head.line)? else {
        let null = (head.mark == b'$').then_some(Value::NullBulk);
        return null.map(|null| Some((null, head.next))).ok_or(DecodeError::Length);
    };
    let end = head.next + len;
    let Some(line_end) = input.get(end..end + 2) else { return Ok(None) };
    if line_end != b"\r\n" {
        return Err(DecodeError::Unterminated);
    }
    let bytes = &input[head.next..end];
    let value = match (head.mark, bytes) {
        (b'$', _) => Value::Bulk(bytes.to_vec()),
        (b'!', _) => Value::Error(bytes.to_vec()),
        (_, [a, b, c, b':', rest @ ..]) => Value::Verbatim([*a, *b, *c], rest.to_vec()),
        _ => return Err(DecodeError::Line),
    };
    Ok(Some((value, end + 2)))
}

fn aggregate(input: &[u8], head: Head<'_>, depth: usize) -> Decoded<(Value, usize)> {
    let Some(len) = length(head.line)? else {
        let null = (head.mark == b'*').then_some(Value::NullArray);
        return null.map(|null| Some((null, head.next))).ok_or(DecodeError::Length);
    };
    let count = if head.mark == b'%' { len * 2 } else { len };
    let Some((list, next)) = values(input, head.next, count, depth + 1)? else { return Ok(None) };
    let value = match head.mark {
        b'*' => Value::Array(list),
        b'~' => Value::Set(list),
        b'>' => Value::Push(list),
        _ => {
            let mut list = list.into_iter();
            let mut pairs = Vec::with_capacity(len);
            while let (Some(key), Some(value)) = (list.next(), list.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
    };
    Ok(Some((value, next)))
}

/// Reads `count` values. The list grows as they come, since the count is the sender's claim.
fn values(input: &[u8], at: usize, count: usize, depth: usize) -> Decoded<(Vec<Value>, usize)> {
    if depth > REPLY_DEPTH_MAX {
        return Err(DecodeError::Depth);
    }
    let mut list = Vec::new();
    let mut at = at;
    for _ in 0..count {
        let Some((value, next)) = value(input, at, depth)? else { return Ok(None) };
        list.push(value);
        at = next;
    }
    Ok(Some((list, at)))
}

/// Reads the mark and the line after it.
fn head(input: &[u8], at: usize) -> Decoded<Head<'_>> {
    let Some(&mark) = input.get(at) else { return Ok(None) };
    let rest = &input[at + 1..];
    let Some(len) = memchr::memchr(b'\n', &rest[..rest.len().min(REPLY_LINE_BYTES_MAX + 2)]) else {
        let too_long = rest.len() > REPLY_LINE_BYTES_MAX + 1;
        return if too_long { Err(DecodeError::LongLine) } else { Ok(None) };
    };
    let line = rest[..len].strip_suffix(b"\r").ok_or(DecodeError::Line)?;
    Ok(Some(Head { mark, line, next: at + len + 2 }))
}

/// A length or count line: `None` for -1, which stands for nothing at all.
fn length(line: &[u8]) -> Result<Option<usize>, DecodeError> {
    match line {
        b"-1" => return Ok(None),
        [b'0'..=b'9', ..] if line.len() <= 10 => {}
        _ => return Err(DecodeError::Length),
    }
    let mut value: usize = 0;
    for &digit in line {
        if !digit.is_ascii_digit() {
            return Err(DecodeError::Length);
        }
        value = value * 10 + usize::from(digit - b'0');
    }
    // Both a string's bytes and an aggregate's values: neither ever comes near it.
    if value as i64 > BULK_BYTES_MAX * 2 { Err(DecodeError::Length) } else { Ok(Some(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    fn all() -> Vec<(&'static str, Value)> {
        let one = || Value::Int(1);
        vec![
            ("+OK\r\n", Value::Simple(b"OK".to_vec())),
            ("-ERR no\r\n", Value::Error(b"ERR no".to_vec())),
            ("!6\r\nERR no\r\n", Value::Error(b"ERR no".to_vec())),
            (":-9223372036854775808\r\n", Value::Int(i64::MIN)),
            ("$3\r\na\r\n\r\n", bulk("a\r\n")),
            ("$0\r\n\r\n", bulk("")),
            ("$-1\r\n", Value::NullBulk),
            ("*-1\r\n", Value::NullArray),
            ("_\r\n", Value::Null),
            (",1.5e+20\r\n", Value::Double("1.5e+20".into())),
            (",-inf\r\n", Value::Double("-inf".into())),
            ("#t\r\n", Value::Bool(true)),
            ("#f\r\n", Value::Bool(false)),
            ("(-12345678901234567890\r\n", Value::BigNumber("-12345678901234567890".into())),
            ("=6\r\ntxt:ab\r\n", Value::Verbatim(*b"txt", b"ab".to_vec())),
            ("*0\r\n", Value::Array(vec![])),
            (
                "*2\r\n:1\r\n*1\r\n$1\r\na\r\n",
                Value::Array(vec![one(), Value::Array(vec![bulk("a")])]),
            ),
            ("%1\r\n+a\r\n:1\r\n", Value::Map(vec![(Value::Simple(b"a".to_vec()), one())])),
            ("~1\r\n:1\r\n", Value::Set(vec![one()])),
            (">1\r\n:1\r\n", Value::Push(vec![one()])),
            ("|1\r\n+a\r\n*1\r\n:2\r\n:1\r\n", one()),
            ("*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n", Value::Array(vec![one()])),
        ]
    }

    #[test]
    fn every_type_whole_and_cut_anywhere() {
        for (text, value) in all() {
            let input = [text.as_bytes(), b"+next\r\n"].concat();
            assert_eq!(decode(&input), Ok(Some((value, text.len()))), "{text:?}");
            assert_eq!(skip(&input), Some(text.len()), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(decode(&input[..cut]), Ok(None), "{text:?} cut at {cut}");
                assert_eq!(skip(&input[..cut]), None, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (text, error) in [
            ("hello\r\n", DecodeError::Mark(b'h')),
            (":x\r\n", DecodeError::Line),
            (":\r\n", DecodeError::Line),
            ("+a\n", DecodeError::Line),
            ("_x\r\n", DecodeError::Line),
            ("#x\r\n", DecodeError::Line),
            (",x\r\n", DecodeError::Line),
            ("(1x\r\n", DecodeError::Line),
            ("=2\r\nab\r\n", DecodeError::Line),
            ("$-2\r\n", DecodeError::Length),
            ("$+1\r\n", DecodeError::Length),
            ("$?\r\n", DecodeError::Length),
            ("=-1\r\n", DecodeError::Length),
            ("~-1\r\n", DecodeError::Length),
            ("|-1\r\n", DecodeError::Length),
            ("$99999999999999999999\r\n", DecodeError::Length),
            ("*9999999999\r\n", DecodeError::Length),
            ("$1\r\nabc\r\n", DecodeError::Unterminated),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(error), "{text:?}");
        }
        let line = [b"+".to_vec(), vec![b'a'; REPLY_LINE_BYTES_MAX + 2]].concat();
        assert_eq!(decode(&line), Err(DecodeError::LongLine));
    }

    #[test]
    fn depth_is_bounded_and_claims_cost_nothing() {
        let fits = [b"*1\r\n".repeat(REPLY_DEPTH_MAX), b":1\r\n".to_vec()].concat();
        assert!(matches!(decode(&fits), Ok(Some(_))));
        let deep = b"*1\r\n".repeat(1_000_000);
        assert_eq!(decode(&deep), Err(DecodeError::Depth));
        assert_eq!(skip(&deep), None);
        assert_eq!(decode(&b"|1\r\n".repeat(1_000_000)), Err(DecodeError::Depth));
        assert_eq!(decode(b"*1000000000\r\n"), Ok(None));
        assert_eq!(skip(&b"*1000000000\r\n".repeat(3)), None);
    }
}
