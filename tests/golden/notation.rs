//! The notation of replies: read as patterns, matched in either protocol, written back.

use pinion_io::resp::{Protocol, Value};
use std::collections::HashMap;
use std::fmt::Write as _;

/// What a reply must be.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Anything at all.
    Any,
    /// The end of the connection.
    Closed,
    Simple(Text),
    Error(Text),
    /// Bounds, both included, and the name under which the integer is kept.
    Int(i64, i64, Option<String>),
    Bulk(Text),
    Null,
    NullArray,
    Double(String),
    Bool(bool),
    BigNumber(String),
    Verbatim(String, Text),
    /// An array, set or push (by its mark) of exactly these, unless the order says otherwise.
    List(char, Order, Vec<Pattern>),
    Map(Order, Vec<(Pattern, Pattern)>),
    /// An array of any length.
    AnyArray,
}

/// Which order the items of an aggregate must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// As written.
    Written,
    /// Any.
    Unordered,
    /// Any, and there may be others among them.
    Among,
}

/// What a text must be.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Exact(Vec<u8>),
    /// `*` stands for any bytes.
    Like(Vec<u8>),
}

impl Text {
    fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text == bytes,
            Self::Like(pattern) => is_like(pattern, bytes),
        }
    }
}

/// Matches `pattern`, in which `*` stands for any bytes.
fn is_like(pattern: &[u8], bytes: &[u8]) -> bool {
    let mut pieces = pattern.split(|&b| b == b'*');
    let Some(mut rest) = pieces.next().and_then(|first| bytes.strip_prefix(first)) else {
        return false;
    };
    let pieces: Vec<&[u8]> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = find(rest, piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

fn find(bytes: &[u8], piece: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return Some(0);
    }
    bytes.windows(piece.len()).position(|window| window == piece)
}

/// Integers kept under a name.
pub(crate) type Names = HashMap<String, i64>;

impl Pattern {
    /// Reads all patterns of these lines.
    pub(crate) fn parse_all(lines: &[String]) -> Result<Vec<Self>, String> {
        let mut lines = lines.iter().map(|line| line.trim_start());
        let mut patterns = Vec::new();
        while let Some(line) = lines.next() {
            patterns.push(Self::parse(line, &mut lines)?);
        }
        Ok(patterns)
    }

    fn parse<'a>(line: &str, more: &mut impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let bad = || format!("not a reply: {line}");
        let (mark, rest) = (line.chars().next().ok_or_else(bad)?, line.get(1..).unwrap_or(""));
        Ok(match mark {
            '+' => Self::Simple(line_text(rest)?),
            '-' => Self::Error(line_text(rest)?),
            ':' => rest.parse().map(|value| Self::Int(value, value, None)).map_err(|_| bad())?,
            '"' => Self::Bulk(Text::Exact(quoted(line)?)),
            '_' if rest.is_empty() => Self::Null,
            '_' if rest == "*" => Self::NullArray,
            ',' => Self::Double(rest.into()),
            '#' => Self::Bool(rest == "t"),
            '(' => Self::BigNumber(rest.into()),
            '=' => {
                let (format, text) = rest.split_once(' ').ok_or_else(bad)?;
                Self::Verbatim(format.into(), any_text(text)?)
            }
            '*' | '~' | '>' | '%' => Self::parse_aggregate(mark, rest, more)?,
            '<' => Self::parse_matcher(line)?,
            _ if line == "closed" => Self::Closed,
            _ => return Err(bad()),
        })
    }

    fn parse_aggregate<'a>(
        mark: char,
        rest: &str,
        more: &mut impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let (count, order) = rest.split_once(' ').unwrap_or((rest, ""));
        let order = match order {
            "" => Order::Written,
            "unordered" => Order::Unordered,
            "among" => Order::Among,
            _ => return Err(format!("no such order: {order}")),
        };
        let count: usize = count.parse().map_err(|_| format!("not a count: {count}"))?;
        let mut next = || -> Result<Self, String> {
            let line = more.next().ok_or("fewer lines than the count says")?;
            Self::parse(line, more)
        };
        if mark == '%' {
            let pairs: Result<_, String> = (0..count).map(|_| Ok((next()?, next()?))).collect();
            return Ok(Self::Map(order, pairs?));
        }
        let items: Result<_, String> = (0..count).map(|_| next()).collect();
        Ok(Self::List(mark, order, items?))
    }

    fn parse_matcher(line: &str) -> Result<Self, String> {
        let bad = || format!("no such matcher: {line}");
        let inner = line.strip_prefix('<').and_then(|l| l.strip_suffix('>')).ok_or_else(bad)?;
        match inner {
            "any" => return Ok(Self::Any),
            "array" => return Ok(Self::AnyArray),
            "int" => return Ok(Self::Int(i64::MIN, i64::MAX, None)),
            _ => {}
        }
        if let Some(name) = inner.strip_prefix("int as ") {
            return Ok(Self::Int(i64::MIN, i64::MAX, Some(name.into())));
        }
        if let Some(bounds) = inner.strip_prefix("int ") {
            let (low, high) = bounds.split_once("..").ok_or_else(bad)?;
            let (low, high) = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
            return Ok(Self::Int(low, high, None));
        }
        Ok(Self::Bulk(any_text(line)?))
    }

    /// True if `value`, which came in `protocol`, is as written. Types that RESP2 lacks are
    /// expected in the form Redis gives them there.
    pub(crate) fn matches(&self, value: &Value, protocol: Protocol, names: &mut Names) -> bool {
        let two = protocol == Protocol::Resp2;
        match (self, value) {
            (Self::Any, _) | (Self::AnyArray, Value::Array(_)) => true,
            (Self::Simple(text), Value::Simple(got)) | (Self::Error(text), Value::Error(got)) => {
                text.matches(got)
            }
            (Self::Int(low, high, name), Value::Int(got)) => {
                if let Some(name) = name {
                    names.insert(name.clone(), *got);
                }
                (low..=high).contains(&got)
            }
            (Self::Bulk(text), Value::Bulk(got)) => text.matches(got),
            (Self::Null, Value::NullBulk) | (Self::NullArray, Value::NullArray) => two,
            (Self::Null | Self::NullArray, Value::Null) => !two,
            (Self::Double(text) | Self::BigNumber(text), Value::Bulk(got)) => {
                two && text.as_bytes() == got
            }
            (Self::Double(text), Value::Double(got)) => text == got,
            (Self::BigNumber(text), Value::BigNumber(got)) => text == got,
            (Self::Bool(truth), Value::Int(got)) => two && i64::from(*truth) == *got,
            (Self::Bool(truth), Value::Bool(got)) => truth == got,
            (Self::Verbatim(_, text), Value::Bulk(got)) => two && text.matches(got),
            (Self::Verbatim(format, text), Value::Verbatim(got_format, got)) => {
                format.as_bytes() == got_format && text.matches(got)
            }
            (Self::List(mark, order, items), value) => {
                let got = match (mark, value) {
                    ('*', Value::Array(got)) => got,
                    (_, Value::Array(got)) if two => got,
                    ('~', Value::Set(got)) | ('>', Value::Push(got)) => got,
                    _ => return false,
                };
                let got: Vec<&Value> = got.iter().collect();
                items_match(items, &got, *order, |item, got| item.matches(got, protocol, names))
            }
            (Self::Map(order, pairs), value) => {
                let Some(got) = pairs_of(value, two) else { return false };
                items_match(pairs, &got, *order, |pair, got| {
                    pair.0.matches(got.0, protocol, names) && pair.1.matches(got.1, protocol, names)
                })
            }
            _ => false,
        }
    }
}

/// The pairs of a map, which in RESP2 is an array of twice as many.
fn pairs_of(value: &Value, two: bool) -> Option<Vec<(&Value, &Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs.iter().map(|(key, value)| (key, value)).collect()),
        Value::Array(list) if two && list.len().is_multiple_of(2) => {
            Some(list.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect())
        }
        _ => None,
    }
}

fn items_match<P, V: Copy>(
    items: &[P],
    got: &[V],
    order: Order,
    mut matches: impl FnMut(&P, V) -> bool,
) -> bool {
    if order != Order::Among && items.len() != got.len() {
        return false;
    }
    if order == Order::Written {
        return items.iter().zip(got).all(|(item, got)| matches(item, *got));
    }
    let mut left = got.to_vec();
    items.iter().all(|item| {
        let place = left.iter().position(|got| matches(item, *got));
        place.map(|place| left.swap_remove(place)).is_some()
    })
}

fn line_text(text: &str) -> Result<Text, String> {
    match text.as_bytes() {
        [b'<' | b'"', ..] => any_text(text),
        bytes => Ok(Text::Exact(bytes.to_vec())),
    }
}

/// `"exact"` or `<like "pat*tern">`.
fn any_text(text: &str) -> Result<Text, String> {
    match text.strip_prefix("<like ").and_then(|rest| rest.strip_suffix('>')) {
        Some(pattern) => quoted(pattern).map(Text::Like),
        None => quoted(text).map(Text::Exact),
    }
}

fn quoted(text: &str) -> Result<Vec<u8>, String> {
    match split_words(text)?.as_mut_slice() {
        [word] if text.starts_with('"') => Ok(std::mem::take(word)),
        _ => Err(format!("not one quoted text: {text}")),
    }
}

/// Splits a line into words: bare, or in double quotes with the escapes `\n \r \t \\ \" \xHH`;
/// `"x"*50` is the text fifty times.
pub(crate) fn split_words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b' ' {
            at += 1;
        } else if bytes[at] == b'"' {
            let (word, next) = quoted_word(bytes, at + 1)?;
            words.push(word);
            at = next;
        } else {
            let len = bytes[at..].iter().position(|&b| b == b' ').unwrap_or(bytes.len() - at);
            words.push(bytes[at..at + len].to_vec());
            at += len;
        }
    }
    Ok(words)
}

/// Reads a word after its opening quote; returns the offset after it.
fn quoted_word(bytes: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), String> {
    let mut word = Vec::new();
    loop {
        match *bytes.get(at).ok_or("a quote does not end")? {
            b'"' => break,
            b'\\' => {
                let escape = *bytes.get(at + 1).ok_or("an escape does not end")?;
                if escape == b'x' {
                    let hex = bytes.get(at + 2..at + 4).and_then(|h| std::str::from_utf8(h).ok());
                    let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                    word.push(byte.ok_or("\\x needs two hexadecimal digits")?);
                    at += 4;
                    continue;
                }
                word.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
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
    at += 1;
    if bytes.get(at) == Some(&b'*') {
        let len = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = std::str::from_utf8(&bytes[at + 1..at + 1 + len]).expect("digits are ASCII");
        word = word.repeat(digits.parse().map_err(|_| "a repetition needs a count")?);
        at += 1 + len;
    }
    Ok((word, at))
}

/// Writes `value` in the notation, one line each, items indented.
pub(crate) fn lines(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    write_value(&mut out, value, 0);
    out
}

fn write_value(out: &mut Vec<String>, value: &Value, depth: usize) {
    let line = match value {
        Value::Simple(text) => format!("+{}", plain(text)),
        Value::Error(text) => format!("-{}", plain(text)),
        Value::Int(value) => format!(":{value}"),
        Value::Bulk(text) => quote(text),
        Value::Null | Value::NullBulk => "_".into(),
        Value::NullArray => "_*".into(),
        Value::Double(text) => format!(",{text}"),
        Value::Bool(truth) => if *truth { "#t" } else { "#f" }.into(),
        Value::BigNumber(text) => format!("({text}"),
        Value::Verbatim(format, text) => {
            format!("={} {}", String::from_utf8_lossy(format), quote(text))
        }
        Value::Array(list) => format!("*{}", list.len()),
        Value::Set(list) => format!("~{}", list.len()),
        Value::Push(list) => format!(">{}", list.len()),
        Value::Map(pairs) => format!("%{}", pairs.len()),
    };
    out.push(format!("{}{line}", "  ".repeat(depth)));
    match value {
        Value::Array(list) | Value::Set(list) | Value::Push(list) => {
            for item in list {
                write_value(out, item, depth + 1);
            }
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                write_value(out, key, depth + 1);
                write_value(out, value, depth + 2);
            }
        }
        _ => {}
    }
}

/// A line of text as it is, or quoted where that would not be read back.
fn plain(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(line) if line == line.trim() && !line.starts_with(['<', '"']) => line.into(),
        _ => quote(text),
    }
}

fn quote(text: &[u8]) -> String {
    if text.len() > 40 && text.iter().all(|&b| b == text[0]) {
        return format!("{}*{}", quote(&text[..1]), text.len());
    }
    let mut out = String::from("\"");
    for &byte in text {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("writing to memory does not fail"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str, value: &Value, protocol: Protocol) -> bool {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let patterns = Pattern::parse_all(&lines).unwrap();
        patterns.len() == 1 && patterns[0].matches(value, protocol, &mut Names::new())
    }

    #[test]
    fn a_null_has_the_form_of_its_protocol() {
        let (two, three) = (Protocol::Resp2, Protocol::Resp3);
        assert!(fits("_", &Value::NullBulk, two) && !fits("_", &Value::NullBulk, three));
        assert!(fits("_", &Value::Null, three) && !fits("_", &Value::Null, two));
        assert!(fits("_*", &Value::NullArray, two) && !fits("_*", &Value::NullBulk, two));
    }

    #[test]
    fn order_is_as_written_unless_said() {
        let got = Value::Array(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
        let three = Protocol::Resp3;
        assert!(fits("*3\n:1\n:2\n:3", &got, three) && !fits("*3\n:2\n:1\n:3", &got, three));
        assert!(fits("*3 unordered\n:2\n:1\n:3", &got, three));
        assert!(!fits("*2 unordered\n:2\n:1", &got, three));
        assert!(fits("*1 among\n:2", &got, three) && !fits("*1 among\n:4", &got, three));
        assert!(
            !fits("~3\n:1\n:2\n:3", &got, three) && fits("~3\n:1\n:2\n:3", &got, Protocol::Resp2)
        );
    }

    #[test]
    fn a_map_is_flat_in_the_older_protocol() {
        let flat = Value::Array(vec![Value::Bulk(b"a".to_vec()), Value::Int(1)]);
        assert!(fits("%1\n\"a\"\n:1", &flat, Protocol::Resp2));
        assert!(!fits("%1\n\"a\"\n:1", &flat, Protocol::Resp3));
    }

    #[test]
    fn stars_stand_for_any_bytes() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*c", "acd", false),
            ("abc", "abc", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), is, "{pattern} {text}");
        }
    }

    #[test]
    fn words_are_split_and_written_back() {
        let words = split_words("SET k \"a \\x00\\n\\\"\" \"x\"*3").unwrap();
        assert_eq!(words, [b"SET".to_vec(), b"k".to_vec(), b"a \0\n\"".to_vec(), b"xxx".to_vec()]);
        assert_eq!(quote(b"a \0\n\""), "\"a \\x00\\n\\\"\"");
        assert!(split_words("\"open").is_err());
    }
}
