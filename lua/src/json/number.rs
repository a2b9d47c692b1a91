//! Numbers as text: as C prints them with `%g`, and as it reads them with `strtod`.

use std::io::Write as _;

/// Appends a number with up to so many digits, as `%.*g` does.
pub(super) fn write(out: &mut Vec<u8>, value: f64, precision: usize) {
    if value.fract() == 0.0 && value.abs() < 1e9 && !(value == 0.0 && value.is_sign_negative()) {
        // Whole numbers that need fewer digits than are wanted; most do.
        let whole = value as i64;
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(whole);
        if text.len() <= precision {
            return out.extend_from_slice(text.as_bytes());
        }
    }
    let mut text = [0; 40];
    let mut cursor = &mut text[..];
    write!(cursor, "{:.*e}", precision - 1, value).expect("a number is short");
    let left = cursor.len();
    let text = &text[..40 - left];
    let split = text.iter().position(|&byte| byte == b'e').unwrap_or(text.len());
    let exponent: i32 = std::str::from_utf8(&text[split + 1..])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let (sign, mantissa) = match &text[..split] {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if sign {
        out.push(b'-');
    }
    let digits = mantissa.iter().copied().filter(u8::is_ascii_digit);
    let mut digits: Vec<u8> = digits.collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    write_digits(out, &digits, exponent, precision);
}

/// Appends digits, the first of which stands for 10^exponent.
fn write_digits(out: &mut Vec<u8>, digits: &[u8], exponent: i32, precision: usize) {
    if exponent < -4 || exponent >= precision as i32 {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.abs()).expect("writing to memory does not fail");
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

/// The number at the beginning of a text, and its length; the length is 0 where there is none.
pub(super) fn read(text: &[u8]) -> (f64, usize) {
    let (negative, start) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let (value, len) = unsigned(&text[start..]);
    if len == 0 {
        return (0.0, 0);
    }
    (if negative { -value } else { value }, start + len)
}

fn unsigned(text: &[u8]) -> (f64, usize) {
    let begins =
        |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if begins(b"infinity") {
        return (f64::INFINITY, 8);
    }
    if begins(b"inf") {
        return (f64::INFINITY, 3);
    }
    if begins(b"nan") {
        return (f64::NAN, 3 + noted(&text[3..]));
    }
    if begins(b"0x") {
        let (value, len) = hexadecimal(&text[2..]);
        if len > 0 {
            return (value, len + 2);
        }
    }
    decimal(text)
}

/// The length of what may stand after `nan`, in parentheses.
fn noted(text: &[u8]) -> usize {
    if text.first() != Some(&b'(') {
        return 0;
    }
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = text[1..].iter().position(|byte| !word(byte)).map_or(text.len(), |end| end + 1);
    if text.get(end) == Some(&b')') { end + 1 } else { 0 }
}

/// How many digits a text begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of an exponent at the beginning of a text.
fn exponent(text: &[u8], mark: u8) -> usize {
    if text.first().is_none_or(|byte| !byte.eq_ignore_ascii_case(&mark)) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    match digits(&text[1 + sign..]) {
        0 => 0,
        count => 1 + sign + count,
    }
}

fn decimal(text: &[u8]) -> (f64, usize) {
    let mut len = digits(text);
    let mut count = len;
    if text.get(len) == Some(&b'.') {
        let part = digits(&text[len + 1..]);
        count += part;
        len += 1 + part;
    }
    if count == 0 {
        return (0.0, 0);
    }
    len += exponent(&text[len..], b'e');
    let number = std::str::from_utf8(&text[..len]).ok().and_then(|text| text.parse().ok());
    (number.unwrap_or_default(), len)
}

/// A number in hexadecimal digits, with what may be after its point and its exponent of 2.
fn hexadecimal(text: &[u8]) -> (f64, usize) {
    let (mut value, mut at, mut count, mut scale) = (0.0_f64, 0, 0, 0_i32);
    let mut after_point = false;
    while let Some(byte) = text.get(at) {
        if let Some(digit) = char::from(*byte).to_digit(16) {
            value = value * 16.0 + f64::from(digit);
            scale -= if after_point { 4 } else { 0 };
            count += 1;
        } else if *byte == b'.' && !after_point {
            after_point = true;
        } else {
            break;
        }
        at += 1;
    }
    if count == 0 {
        return (0.0, 0);
    }
    let len = exponent(&text[at..], b'p');
    if len > 0 {
        let power = std::str::from_utf8(&text[at + 1..at + len]).ok();
        let power: i32 = power.and_then(|text| text.parse().ok()).unwrap_or(i32::MAX / 2);
        scale = scale.saturating_add(power);
    }
    (value * f64::from(scale).exp2(), at + len)
}
