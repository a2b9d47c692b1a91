//! Splits a line into words, which may stand in quotes.
//!
//! ```text
//! "..."   may hold \n \r \t \b \a \xHH, and \ before any other byte that stands for itself
//! '...'   may hold \'
//! ```

/// The words of a line; none if a quote is open at its end, or a word goes on after one.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        found.push(word);
        rest = after.trim_ascii_start();
    }
    Some(found)
}

/// The first word, and what comes after it.
fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Some((word, rest)),
            [byte, ..] if byte.is_ascii_whitespace() => return Some((word, rest)),
            [b'"', after @ ..] => {
                rest = quoted(after, &mut word)?;
                return ends(rest).then_some((word, rest));
            }
            [b'\'', after @ ..] => {
                rest = plainly_quoted(after, &mut word)?;
                return ends(rest).then_some((word, rest));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// True if a word may end here.
fn ends(rest: &[u8]) -> bool {
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// Reads up to the closing `"`.
fn quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    loop {
        match rest {
            [] => return None,
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..]
                if digit(*high).is_some() && digit(*low).is_some() =>
            {
                word.push((digit(*high)? * 16 + digit(*low)?) as u8);
                rest = after;
            }
            [b'\\', byte, after @ ..] => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    byte => *byte,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads up to the closing `'`.
fn plainly_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}
