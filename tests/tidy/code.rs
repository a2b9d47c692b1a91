//! Takes a Rust text apart: code, comments, and what is in quotes.

/// What is left of a text; the rest becomes spaces, and lines stay where they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kept {
    /// Neither comments nor what is in quotes.
    Code,
    /// All but what is in quotes.
    Comments,
}

/// The text with the rest blanked.
pub(crate) fn keep(text: &str, kept: Kept) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (len, blank) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), kept == Kept::Code)
        } else if rest.starts_with("/*") {
            (block_comment(rest), kept == Kept::Code)
        } else if let Some(len) = raw_string(rest) {
            (len, true)
        } else if first == '"' {
            (quoted(rest, '"'), true)
        } else if first == '\'' && is_character(rest) {
            (quoted(rest, '\''), true)
        } else if first.is_alphanumeric() || first == '_' {
            // A whole word, so that the `r` of `for"` begins no raw string.
            let end = |c: char| !c.is_alphanumeric() && c != '_';
            (rest.find(end).unwrap_or(rest.len()), false)
        } else {
            (first.len_utf8(), false)
        };
        let (piece, after) = rest.split_at(len);
        if blank {
            out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

/// Bytes of a block comment, those inside it included.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Bytes of a raw string, if one begins here.
fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = start.len() - start.trim_start_matches('#').len();
    let body = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + len)
}

/// Bytes up to the closing quote, passing over what a backslash precedes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// True for a character, false for a lifetime.
fn is_character(text: &str) -> bool {
    let mut following = text.chars().skip(1);
    following.next() == Some('\\') || following.next() == Some('\'')
}

/// The words of a line of code.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[test]
fn quotes_and_comments_go() {
    let code = |text: &str| keep(text, Kept::Code).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code("a /* b /* c */ d */ e // f\ng"), "a e g");
    assert_eq!(code(r##"for r#"a " b"# br"\" c"##), "for c");
    assert_eq!(code(r#"a "b \" c" 'd' '\'' &'e str b"f" g"#), "a &'e str b g");
    assert_eq!(keep("a // b\n\"c\"", Kept::Comments), "a // b\n   ");
}
