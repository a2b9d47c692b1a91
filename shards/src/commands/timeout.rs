//! How long a command waits that finds nothing.

use crate::commands::Args;
use crate::error::Error;
use crate::shard::Millis;
use crate::value::Extended;
use crate::waiting::{Null, Wait};

const NO_TIME: Error = Error::Text("ERR timeout is not a float or out of range");
const TOO_LONG: Error = Error::Text("ERR timeout is out of range");
const NEGATIVE: Error = Error::Text("ERR timeout is negative");

/// What a command waits for by the seconds in the word at `index`, rounded up to milliseconds; for
/// ever if they are 0. When they are over it replies a missing array.
///
/// # Errors
/// What is no number of seconds, negative, or beyond 64 bits of milliseconds since the epoch.
pub(super) fn wait(args: &Args<'_>, index: usize, now: Millis) -> Result<Wait, Error> {
    let until = deadline(args.at(index), now)?;
    Ok(Wait { until, null: Null::Array, ..Wait::default() })
}

fn deadline(word: &[u8], now: Millis) -> Result<Option<Millis>, Error> {
    let seconds = Extended::parse(word).ok_or(NO_TIME)?;
    let mut text = Vec::new();
    seconds.write(&mut text);
    let (negative, text) = match text.as_slice() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let ms = match milliseconds(text, !negative).filter(|_| seconds.is_finite()) {
        // Less than the text has digits for is more than nothing.
        Some(0) if seconds != Extended::ZERO && word.first() != Some(&b'-') => 1,
        Some(0) => return Ok(None),
        _ if negative => return Err(NEGATIVE),
        ms => ms.ok_or(TOO_LONG)?,
    };
    let at = now.checked_add(ms).filter(|&at| i64::try_from(at).is_ok());
    at.map(Some).ok_or(TOO_LONG)
}

/// Seconds such as `1.0305` as milliseconds, rounded up or down; none beyond 63 bits, or if the
/// text is not all digits around one point.
fn milliseconds(text: &[u8], up: bool) -> Option<u64> {
    let point = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let (whole, part) = (&text[..point], text.get(point + 1..).unwrap_or(b""));
    let mut ms: u64 = 0;
    let thousandths = part.iter().chain(b"000").take(3);
    for digit in whole.iter().chain(thousandths) {
        let digit = char::from(*digit).to_digit(10)?;
        ms = ms.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    let rest = up && part.iter().skip(3).any(|&digit| digit != b'0');
    ms.checked_add(u64::from(rest)).filter(|&ms| i64::try_from(ms).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_to_milliseconds() {
        for (text, wanted) in [
            ("0", Ok(None)),
            ("-0", Ok(None)),
            ("-0.0001", Ok(None)),
            ("-1e-400", Ok(None)),
            ("1e-400", Ok(Some(1001))),
            ("0.00001", Ok(Some(1001))),
            ("0.001", Ok(Some(1001))),
            ("0.0011", Ok(Some(1002))),
            ("2.5", Ok(Some(3500))),
            ("+1", Ok(Some(2000))),
            ("1e3", Ok(Some(1_001_000))),
            ("0x10", Ok(Some(17_000))),
            ("-1", Err(NEGATIVE)),
            ("-0.002", Err(NEGATIVE)),
            ("-inf", Err(NEGATIVE)),
            ("-1e400", Err(NEGATIVE)),
            ("inf", Err(TOO_LONG)),
            ("1e400", Err(TOO_LONG)),
            ("9223372036854775", Err(TOO_LONG)),
            ("9223372036854776", Err(TOO_LONG)),
            ("99999999999999999999", Err(TOO_LONG)),
            ("1e5000", Err(NO_TIME)),
            ("nan", Err(NO_TIME)),
            ("", Err(NO_TIME)),
            (" 1", Err(NO_TIME)),
            ("abc", Err(NO_TIME)),
        ] {
            assert_eq!(deadline(text.as_bytes(), 1000), wanted, "{text}");
        }
    }
}
