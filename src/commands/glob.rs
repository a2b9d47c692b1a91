//! Patterns as Redis's globs match names: `*`, `?`, `[a-c]`, `[^a]` and `\` before any of these.

/// True if the whole of `name` fits `pattern`; letters fit in any case.
///
/// Takes time in proportion to the product of the lengths at most, whatever the pattern.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on after a mismatch: behind the last star, with one byte more given to it.
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if let Some(next) = fits(pattern, p, name[n]) {
            p = next;
            n += 1;
            continue;
        }
        let Some((after, from)) = retry else { return false };
        retry = Some((after, from + 1));
        (p, n) = (after, from + 1);
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Where the pattern goes on if the element at `p` fits `byte`.
fn fits(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    let byte = byte.to_ascii_lowercase();
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => {
            (pattern[p + 1].to_ascii_lowercase() == byte).then_some(p + 2)
        }
        wanted => (wanted.to_ascii_lowercase() == byte).then_some(p + 1),
    }
}

/// Reads the class that begins at `p`; one without its `]` ends with the pattern.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    while p < pattern.len() && pattern[p] != b']' {
        if pattern[p] == b'\\' && p + 1 < pattern.len() {
            found |= pattern[p + 1].to_ascii_lowercase() == byte;
            p += 2;
        } else if pattern.get(p + 1) == Some(&b'-') && p + 2 < pattern.len() {
            let (a, b) = (pattern[p].to_ascii_lowercase(), pattern[p + 2].to_ascii_lowercase());
            found |= (a.min(b)..=a.max(b)).contains(&byte);
            p += 3;
        } else {
            found |= pattern[p].to_ascii_lowercase() == byte;
            p += 1;
        }
    }
    (found != negated).then_some((p + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fit) in [
            ("*", "", true),
            ("*", "timeout", true),
            ("", "", true),
            ("", "a", false),
            ("max*", "maxclients", true),
            ("MAX*", "maxclients", true),
            ("*max*mem*", "a-max-b-mem-c", true),
            ("max[cm]*", "maxmemory", true),
            ("max[^cm]*", "maxmemory", false),
            ("t?me", "time", true),
            ("t?me", "tme", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[a-c", "b", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[\\]]", "]", true),
            ("save", "saves", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
        assert!(!matches("*a".repeat(50).as_bytes(), "a".repeat(49).as_bytes()));
    }
}
