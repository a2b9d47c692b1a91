//! Matches names against patterns as KEYS, SCAN and CONFIG GET take them, byte by byte.
//!
//! `*` stands for any bytes, `?` for any one, `[ab]`, `[a-z]` and `[^a]` for one of some, and `\`
//! takes the next byte as it is. A class may lack its end; a `\` at the very end is itself. After
//! a mismatch only the last `*` tries again, so time is bounded by the product of the lengths,
//! whatever the pattern. A pattern with too many `*` matches nothing that reaches the last of them.
//! As in Redis, an empty text is matched by an empty pattern only.

use crate::limits::GLOB_STARS_MAX;

/// True if all of `text` is as `pattern` says, letters in the case given.
pub fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, |byte| byte)
}

/// True if all of `text` is as `pattern` says, letters in any case.
pub fn is_match_any_case(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, |byte| byte.to_ascii_lowercase())
}

/// True if a listing that `pattern` filters shows `text`: `*` stands for all there are, also for
/// the empty one.
pub fn shows(pattern: &[u8], text: &[u8]) -> bool {
    pattern == b"*" || is_match(pattern, text)
}

/// Matches bytes that are the same after `fold`.
fn matches(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut place, mut at) = (0, 0);
    // Behind the last `*`, and where in the text that part was tried.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if pattern.get(place) == Some(&b'*') {
            place += 1;
            if place == pattern.len() {
                return true;
            }
            // Several in a row are as one.
            stars += usize::from(pattern[place] != b'*');
            if stars > GLOB_STARS_MAX {
                return false;
            }
            retry = Some((place, at));
            continue;
        }
        let Some(byte) = text.get(at).map(|&byte| fold(byte)) else {
            // A later try would have less text for the same pattern.
            return place == pattern.len();
        };
        match pattern.get(place).and_then(|_| match_one(pattern, place, byte, fold)) {
            Some(next) => {
                place = next;
                at += 1;
            }
            None => {
                let Some((behind, tried)) = retry else { return false };
                (place, at) = (behind, tried + 1);
                retry = Some((behind, at));
            }
        }
    }
}

/// Matches one byte with what stands at `place`; returns the place behind it.
fn match_one(pattern: &[u8], place: usize, byte: u8, fold: impl Fn(u8) -> u8) -> Option<usize> {
    match (pattern[place], pattern.get(place + 1)) {
        (b'?', _) => Some(place + 1),
        (b'[', _) => match_class(pattern, place + 1, byte, fold),
        (b'\\', Some(&escaped)) => (fold(escaped) == byte).then_some(place + 2),
        (literal, _) => (fold(literal) == byte).then_some(place + 1),
    }
}

/// Matches one byte with the class whose inside begins at `place`; returns the place behind it.
fn match_class(
    pattern: &[u8],
    mut place: usize,
    byte: u8,
    fold: impl Fn(u8) -> u8,
) -> Option<usize> {
    let negated = pattern.get(place) == Some(&b'^');
    place += usize::from(negated);
    let mut found = false;
    while let Some(&first) = pattern.get(place) {
        match (first, pattern.get(place + 1), pattern.get(place + 2)) {
            (b'\\', Some(&escaped), _) => {
                found |= fold(escaped) == byte;
                place += 2;
            }
            (b']', ..) => {
                place += 1;
                break;
            }
            (_, Some(b'-'), Some(&last)) => {
                let (first, last) = (fold(first), fold(last));
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                place += 3;
            }
            _ => {
                found |= fold(first) == byte;
                place += 1;
            }
        }
    }
    (found != negated).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::{GLOB_STARS_MAX, is_match, is_match_any_case};
    use std::time::{Duration, Instant};

    #[test]
    fn patterns_of_every_kind() {
        for (pattern, text, is) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("a*", "a", true),
            ("**", "ab", true),
            ("?", "", false),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*a*b", "xaxxb", true),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[b-a]llo", "hallo", true),
            ("h[\\]]llo", "h]llo", true),
            ("h[]llo", "hllo", false),
            ("h[^]llo", "hxllo", true),
            ("h[a", "ha", true),
            ("h[a-", "h-", true),
            ("h[a-]", "h`", true),
            ("h\\*", "h*", true),
            ("h\\*", "hx", false),
            ("h\\", "h\\", true),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), text.as_bytes()), is, "{pattern} {text}");
        }
    }

    #[test]
    fn letters_in_any_case_where_that_is_asked() {
        assert!(is_match_any_case(b"MAX[C-M]*\\Y", b"maxmemory"));
        assert!(!is_match(b"MAX*", b"maxmemory"));
        assert!(is_match_any_case(b"timeout", b"TimeOut"));
        assert!(!is_match_any_case(b"[^A]", b"a"));
    }

    #[test]
    fn too_many_stars_match_nothing() {
        let matches = |count: usize, rest: &[u8]| {
            is_match(&[&b"*?".repeat(count), rest].concat(), &b"a".repeat(3000))
        };
        assert!(matches(GLOB_STARS_MAX, b"") && matches(GLOB_STARS_MAX, b"*"));
        assert!(!matches(GLOB_STARS_MAX + 1, b""));
        assert!(is_match(&[&b"*".repeat(3000)[..], b"a"].concat(), b"aa"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let start = Instant::now();
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        assert!(!is_match(&pattern, &b"a".repeat(10_000)));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
