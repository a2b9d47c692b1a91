//! Writes replies, each value once, straight into the buffer that will be sent.

use super::grisu::Digits;
use std::io::Write as _;

/// The protocol version a connection speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// RESP2: no maps, sets, doubles or pushes; null is `$-1` or `*-1`.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// An encoder over an output buffer. Types that RESP2 lacks are written as Redis degrades them.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Reply<'a> {
    /// Appends to `out` in `protocol`.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self { out, protocol }
    }

    /// The protocol being written.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Bytes in the buffer so far: a mark for `truncate`.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True if the buffer holds nothing.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Forgets everything written after `mark`.
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// Takes back everything written after `mark`.
    pub fn take_from(&mut self, mark: usize) -> Vec<u8> {
        self.out.split_off(mark)
    }

    /// Puts what `write` writes before everything after `mark`: the head of an array whose length
    /// is known only at its end.
    pub fn insert(&mut self, mark: usize, write: impl FnOnce(&mut Self)) {
        let end = self.out.len();
        write(self);
        let len = self.out.len() - end;
        self.out[mark..].rotate_right(len);
    }

    /// Bytes that are already encoded.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// `+text`; the text must hold no line break.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']), "a simple string is one line");
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// `-text`, with line breaks turned to spaces, since the text may quote a client.
    pub fn error(&mut self, text: &[u8]) {
        self.out.push(b'-');
        self.out.extend(text.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.raw(b"\r\n");
    }

    /// `:value`.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        // Once for all that follows.
        self.out.reserve(bytes.len() + BULK_OVERHEAD_MAX);
        self.number(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A missing value: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.protocol == Protocol::Resp2 { b"$-1\r\n" } else { b"_\r\n" });
    }

    /// A missing array: `*-1` or `_`.
    pub fn null_array(&mut self) {
        self.raw(if self.protocol == Protocol::Resp2 { b"*-1\r\n" } else { b"_\r\n" });
    }

    /// The head of an array of `len` values.
    pub fn array(&mut self, len: usize) {
        self.number(b'*', len as i64);
    }

    /// The head of a map of `len` pairs; a flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len * 2),
            Protocol::Resp3 => self.number(b'%', len as i64),
        }
    }

    /// The head of a set of `len` values; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len),
            Protocol::Resp3 => self.number(b'~', len as i64),
        }
    }

    /// The head of an out-of-band message of `len` values; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len),
            Protocol::Resp3 => self.number(b'>', len as i64),
        }
    }

    /// A boolean; 0 or 1 in RESP2.
    pub fn bool(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Resp2, value) => self.int(i64::from(value)),
            (Protocol::Resp3, true) => self.raw(b"#t\r\n"),
            (Protocol::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// A double; a bulk string in RESP2. The shortest text that reads back to `value`.
    pub fn double(&mut self, value: f64) {
        if let Some(whole) = whole(value) {
            match self.protocol {
                Protocol::Resp2 => self.bulk_int(whole),
                Protocol::Resp3 => self.number(b',', whole),
            }
            return;
        }
        let mut text = Vec::with_capacity(24);
        write_double(&mut text, value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(&text),
            Protocol::Resp3 => self.line(b',', &text),
        }
    }

    /// An integer of any size, in decimal; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Text with a three-letter format such as `txt`; a bulk string in RESP2.
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.number(b'=', text.len() as i64 + 4);
                self.raw(format);
                self.raw(b":");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        self.out.push(mark);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn number(&mut self, mark: u8, value: i64) {
        // Most lengths have one or two digits.
        let digit = |value: i64| b'0' + value as u8;
        match value {
            0..10 => self.out.extend_from_slice(&[mark, digit(value), b'\r', b'\n']),
            10..100 => {
                let digits = [mark, digit(value / 10), digit(value % 10), b'\r', b'\n'];
                self.out.extend_from_slice(&digits);
            }
            _ => self.long_number(mark, value),
        }
    }

    #[inline(never)]
    fn long_number(&mut self, mark: u8, value: i64) {
        self.line(mark, itoa::Buffer::new().format(value).as_bytes());
    }
}

/// Bytes of a bulk string beside its text: a mark, 20 digits and two line ends, at most.
const BULK_OVERHEAD_MAX: usize = 32;

/// Whole numbers up to here are printed as integers.
const WHOLE_MAX: f64 = (1_u64 << 62) as f64;

/// The integer as which `value` is printed, if it is: a negative zero is not.
#[inline]
fn whole(value: f64) -> Option<i64> {
    let negative_zero = value.to_bits() == (-0.0_f64).to_bits();
    (value.abs() <= WHOLE_MAX && value.fract() == 0.0 && !negative_zero).then_some(value as i64)
}

/// Writes `value` as Redis prints doubles: whole numbers up to 2^62 as integers, others as
/// short digits that read back to the same value, plain where that is short, else with an
/// exponent; `inf`, `-inf` and `nan`.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if let Some(whole) = whole(value) {
        return out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    }
    write_shortest(out, value);
}

/// Writes `value` as `write_double` does, but whole numbers as well with an exponent where that is
/// short: 1000000000 is `1e+9`.
pub fn write_shortest(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value == 0.0 {
        return out.push(b'0');
    }
    let digits = Digits::of(value.abs());
    write_decimal(out, digits.text(), digits.exponent());
}

/// Writes `d.ddd` x 10^`exponent`: plain where that is short, else with an exponent.
fn write_decimal(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let count = digits.len() as i32;
    // Of the last digit.
    let place = exponent - (count - 1);
    if place >= 0 && exponent < count + 7 {
        out.extend_from_slice(digits);
        out.resize(out.len() + place as usize, b'0');
    } else if place < 0 && (place > -7 || exponent.abs() < 4) {
        if exponent >= 0 {
            let (whole, part) = digits.split_at(exponent as usize + 1);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(part);
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-exponent - 1) as usize, b'0');
            out.extend_from_slice(digits);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{}", exponent.abs()).expect("writing to memory does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, protocol));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_print_as_redis_prints_them() {
        for (value, text) in [
            (3.0, "3"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1e20, "1e+20"),
            (1e-7, "1e-7"),
            (123456789.25, "123456789.25"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1e18, "1000000000000000000"),
            (-4_611_686_018_427_387_904.0, "-4611686018427387904"),
            (4.7e18, "4.7e+18"),
            (39_647.462_400_000_004, "3.9647462400000004e+4"),
            (396.474_624_000_000_06, "396.47462400000006"),
            (28_000_000_000_000.004, "28000000000000.004"),
            (0.000_157, "0.000157"),
            (0.000_120_000_000_000_000_02, "1.2000000000000002e-4"),
            (1e7, "10000000"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
        ] {
            let mut out = Vec::new();
            write_double(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn types_degrade_in_resp2() {
        let two = Protocol::Resp2;
        let three = Protocol::Resp3;
        assert_eq!(written(two, |r| r.map(2)), "*4\r\n");
        assert_eq!(written(three, |r| r.map(2)), "%2\r\n");
        assert_eq!(written(two, |r| r.set(2)), "*2\r\n");
        assert_eq!(written(three, |r| r.push(2)), ">2\r\n");
        assert_eq!(written(two, |r| r.bool(true)), ":1\r\n");
        assert_eq!(written(three, |r| r.bool(true)), "#t\r\n");
        assert_eq!(written(two, |r| r.null()), "$-1\r\n");
        assert_eq!(written(two, |r| r.null_array()), "*-1\r\n");
        assert_eq!(written(three, |r| r.null_array()), "_\r\n");
        assert_eq!(written(two, |r| r.double(2.5)), "$3\r\n2.5\r\n");
        assert_eq!(written(three, |r| r.double(2.5)), ",2.5\r\n");
        assert_eq!(written(two, |r| r.verbatim(b"txt", b"ab")), "$2\r\nab\r\n");
        assert_eq!(written(three, |r| r.verbatim(b"txt", b"ab")), "=6\r\ntxt:ab\r\n");
        assert_eq!(written(three, |r| r.big_number("12")), "(12\r\n");
    }

    #[test]
    fn a_head_is_put_before_its_array() {
        let text = written(Protocol::Resp2, |r| {
            r.int(1);
            let mark = r.len();
            r.int(2);
            r.int(3);
            r.insert(mark, |r| r.array(2));
        });
        assert_eq!(text, ":1\r\n*2\r\n:2\r\n:3\r\n");
    }

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        assert_eq!(written(Protocol::Resp2, |r| r.error(b"ERR a\r\nb")), "-ERR a  b\r\n");
    }

    #[test]
    fn integers_at_their_edges() {
        assert_eq!(written(Protocol::Resp2, |r| r.int(9)), ":9\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.int(10)), ":10\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.int(99)), ":99\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.int(100)), ":100\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.int(-1)), ":-1\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.int(i64::MIN)), ":-9223372036854775808\r\n");
    }
}
