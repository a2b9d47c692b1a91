//! Scores and ends of ranges, as clients write them.

use crate::error::Error;
use crate::value::sorted_set::{LexEnd, ScoreEnd};

/// A score as C's `strtod` reads it: decimal or hexadecimal, or `inf`. None for other text, for
/// text around the number, for what is not a number, and for what is too large, or too small not
/// to be zero.
pub(in crate::commands) fn parse(text: &[u8]) -> Option<f64> {
    let (negative, bare) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if let [b'0', b'x' | b'X', digits @ ..] = bare {
        let value = hexadecimal(digits)?;
        return Some(if negative { -value } else { value });
    }
    let value = decimal(text)?;
    let digits = bare.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next()?;
    let is_named = bare.first().is_some_and(u8::is_ascii_alphabetic);
    let too_large = value.is_infinite() && !is_named;
    let too_small = value == 0.0 && digits.iter().any(|digit| (b'1'..=b'9').contains(digit));
    (!too_large && !too_small).then_some(value)
}

/// The same, but in the words of an error.
pub(in crate::commands) fn score(text: &[u8]) -> Result<f64, Error> {
    parse(text).ok_or(Error::NotFloat)
}

/// A number of decimal digits, or `inf`; what is too large is infinite, what is too small zero.
fn decimal(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// `digits [. digits] [p [sign] digits]` in base 16, the exponent a decimal power of two.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let mark = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'p'));
    let (mantissa, mut exponent) = match mark {
        Some(mark) => (&text[..mark], power(&text[mark + 1..])?),
        None => (text, 0),
    };
    let (mut bits, mut lost) = (0_u64, false);
    let (mut digits, mut after_point) = (0, false);
    for &byte in mantissa {
        if byte == b'.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        digits += 1;
        if bits >> 60 == 0 {
            bits = (bits << 4) | digit;
            exponent -= if after_point { 4 } else { 0 };
        } else {
            lost |= digit > 0;
            exponent += if after_point { 0 } else { 4 };
        }
    }
    if digits == 0 || bits == 0 {
        return (digits > 0).then_some(0.0);
    }
    // How many bits a double keeps of a number of this size: 53, or fewer near zero.
    let len = 64 - i64::from(bits.leading_zeros());
    let kept = (len + exponent + 1074).clamp(-1, 53);
    let mut shift = 0;
    if kept < len {
        shift = len - kept;
        let (rest, half) = match shift {
            ..64 => (bits & ((1 << shift) - 1), 1 << (shift - 1)),
            64 => (bits, 1 << 63),
            _ => return None,
        };
        bits = if shift == 64 { 0 } else { bits >> shift };
        bits += u64::from(rest > half || (rest == half && (lost || bits & 1 == 1)));
    }
    let value = scaled(bits as f64, exponent + shift);
    (value.is_finite() && value > 0.0).then_some(value)
}

/// A decimal exponent, held within bounds beyond which all are alike.
fn power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    for &digit in digits {
        value = (value * 10 + i64::from(char::from(digit).to_digit(10)?)).min(1 << 40);
    }
    (!digits.is_empty()).then_some(if negative { -value } else { value })
}

/// `value` times 2 to the `exponent`, in two steps, neither of which is beyond a double's range
/// if the result is not.
fn scaled(value: f64, exponent: i64) -> f64 {
    let exponent = exponent.clamp(-2200, 2200) as i32;
    let half = exponent / 2;
    value * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}

/// The ends of a range of scores: `5`, `(5`, `-inf`, `+inf`.
pub(super) fn score_ends(min: &[u8], max: &[u8]) -> Result<(ScoreEnd, ScoreEnd), Error> {
    let end = |text: &[u8]| {
        let (open, number) = match text {
            [b'(', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        // Nothing reads as zero, as Redis reads it; only decimal numbers are ends.
        let score = if number.is_empty() { Some(0.0) } else { decimal(number) };
        score.map(|score| ScoreEnd { score, open })
    };
    let ends = end(min).zip(end(max));
    ends.ok_or(Error::Text("ERR min or max is not a float"))
}

/// The ends of a range of members: `[a`, `(a`, `-`, `+`.
pub(super) fn lex_ends<'a>(
    min: &'a [u8],
    max: &'a [u8],
) -> Result<(LexEnd<'a>, LexEnd<'a>), Error> {
    let end = |text: &'a [u8]| match text {
        b"-" => Some(LexEnd::Least),
        b"+" => Some(LexEnd::Greatest),
        [b'[', member @ ..] => Some(LexEnd::Closed(member)),
        [b'(', member @ ..] => Some(LexEnd::Open(member)),
        _ => None,
    };
    let ends = end(min).zip(end(max));
    ends.ok_or(Error::Text("ERR min or max not valid string range item"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_c_reads_them() {
        for (text, value) in [
            ("1", Some(1.0)),
            ("+1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("00012", Some(12.0)),
            ("0e400", Some(0.0)),
            ("1e-320", Some(1e-320)),
            ("4.9e-324", Some(5e-324)),
            ("inf", Some(f64::INFINITY)),
            ("-INFINITY", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0x1p3", Some(-8.0)),
            ("0X1.8", Some(1.5)),
            ("0x.8p1", Some(1.0)),
            ("0x1p-1074", Some(5e-324)),
            ("0x1.8p-1075", Some(5e-324)),
            ("0x1.fffffffffffff8p0", Some(2.0)),
            ("0x1.fffffffffffff7ffffffffff", Some(1.999_999_999_999_999_8)),
            ("0x1fffffffffffffffffff", Some(151_115_727_451_828_646_838_272.0)),
            ("0x1.fffffffffffffp1023", Some(f64::MAX)),
            ("0x0p99999999999999999999", Some(0.0)),
            ("0x1p1024", None),
            ("0x1p-1075", None),
            ("0x1p-2000", None),
            ("0x", None),
            ("0x.", None),
            ("0x1p", None),
            ("0x1..1", None),
            ("1e400", None),
            ("-1e400", None),
            ("1e-400", None),
            ("2e-324", None),
            ("nan", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1e", None),
            (" 1", None),
            ("1 ", None),
            ("1_0", None),
            ("infin", None),
        ] {
            assert_eq!(parse(text.as_bytes()), value, "{text}");
        }
        assert!(parse(b"-0").is_some_and(f64::is_sign_negative));
    }
}
