//! Configuration files in the form of Redis's own: a directive a line, with its words.
//!
//! A line that begins with `#` is a comment. Words may stand in quotes: in double ones with the
//! escapes of C, in single ones as they are. `include` reads another file in its place.

use super::flag::{Flag, Value};
use super::settings::Settings;
use super::table::FLAGS;
use crate::snapshot::show_save_points;

/// Files that include each other, at most.
const INCLUDES_MAX: usize = 16;
/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A directive of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Directive {
    /// Its name, in lower case.
    pub(super) name: String,
    /// Its other words.
    pub(super) words: Vec<Vec<u8>>,
    /// The file and line, for those who hear of a mistake.
    pub(super) place: String,
}

/// The words of a line; none if quotes are left open or something stands right behind one.
pub(super) fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start().chars().peekable();
    while rest.peek().is_some() {
        let mut word = Vec::new();
        while let Some(&c) = rest.peek() {
            rest.next();
            match c {
                _ if c.is_whitespace() => break,
                '"' | '\'' => {
                    read_quoted(c, &mut rest, &mut word)?;
                    if rest.peek().is_some_and(|next| !next.is_whitespace()) {
                        return None;
                    }
                }
                _ => add(c, &mut word),
            }
        }
        words.push(word);
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
    }
    Some(words)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn add(c: char, word: &mut Vec<u8>) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads up to the closing quote.
fn read_quoted(quote: char, rest: &mut Rest<'_>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match rest.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => match rest.next()? {
                'n' => word.push(b'\n'),
                'r' => word.push(b'\r'),
                't' => word.push(b'\t'),
                'b' => word.push(8),
                'a' => word.push(7),
                'x' => {
                    let mut ahead = rest.clone();
                    let digits: String = ahead.by_ref().take(2).collect();
                    match u8::from_str_radix(&digits, 16) {
                        Ok(byte) if digits.len() == 2 => {
                            word.push(byte);
                            *rest = ahead;
                        }
                        _ => word.push(b'x'),
                    }
                }
                c => add(c, word),
            },
            '\\' if rest.peek() == Some(&'\'') => {
                rest.next();
                word.push(b'\'');
            }
            c => add(c, word),
        }
    }
}

/// Words as one text.
fn joined(words: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&words.join(&b' ')).into_owned()
}

/// A text as one word of a line, in quotes.
pub(super) fn quoted(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => quoted.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}")));
    }
    quoted.push('"');
    quoted
}

/// The text of a file, if it is not a giant.
pub(super) fn text_of(path: &str) -> Result<String, String> {
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if size > FILE_BYTES_MAX {
        return Err(format!("configuration file {path} is larger than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read configuration file {path}: {error}"))
}

/// The directives of a file and of those that it includes.
///
/// # Errors
/// One sentence: a file cannot be read, a line has open quotes, or includes go in circles.
pub(super) fn directives(path: &str) -> Result<Vec<Directive>, String> {
    let mut found = Vec::new();
    read_into(path, INCLUDES_MAX, &mut found)?;
    Ok(found)
}

fn read_into(path: &str, depth: usize, found: &mut Vec<Directive>) -> Result<(), String> {
    let text = text_of(path)?;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{path} line {}", index + 1);
        let Some(mut words) = split(line) else {
            return Err(format!("{place}: quotes are left open in '{line}'"));
        };
        let name = String::from_utf8_lossy(&words.remove(0)).to_ascii_lowercase();
        if name == "include" {
            if depth == 0 {
                return Err(format!("{place}: files include each other without end"));
            }
            for path in &words {
                read_into(&String::from_utf8_lossy(path), depth - 1, found)?;
            }
            continue;
        }
        found.push(Directive { name, words, place });
    }
    Ok(())
}

/// The flag that a directive sets.
pub(super) fn flag_of(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.is_named(name) || flag.config == name)
}

/// Settings of which every line of a file adds a part.
pub(super) const SEVERAL_LINES: &[&str] = &["save", "client-output-buffer-limit"];

/// Takes over what a file says; what is not known, or has no effect, is named in a warning.
///
/// # Errors
/// One sentence: a value is bad.
pub(super) fn apply(
    settings: &mut Settings,
    directives: &[Directive],
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let mut saved = false;
    for Directive { name, words, place } in directives {
        let text = joined(words);
        match name.as_str() {
            "rename-command" => match &words[..] {
                [from, to] => {
                    let [from, to] = [from, to].map(|word| String::from_utf8_lossy(word));
                    let renamed = settings.renames.add(&from, &to);
                    renamed.map_err(|error| format!("{place}: {error}"))?;
                }
                _ => return Err(format!("{place}: rename-command takes two words")),
            },
            "user" => {
                settings.add_user(words).map_err(|error| format!("{place}: {error}"))?;
            }
            "save" if saved && !text.is_empty() => {
                let before = show_save_points(&settings.snapshots.save_points);
                set("save", settings, &format!("{before} {text}"), place)?;
            }
            name => {
                saved |= name == "save";
                let Some(flag) = flag_of(name) else {
                    warnings.push(format!("{place}: directive '{name}' is not known here"));
                    continue;
                };
                if words.is_empty() {
                    return Err(format!("{place}: directive '{name}' needs a value"));
                }
                set(name, settings, &text, place).or_else(|refusal| match flag.value {
                    Value::Constant(_) => {
                        warnings.push(refusal);
                        Ok(())
                    }
                    _ => Err(refusal),
                })?;
                if matches!(flag.value, Value::Kept(..)) && flag.show(settings) != flag.default {
                    warnings.push(format!("{place}: {name} is known, and has no effect yet"));
                }
            }
        }
    }
    Ok(())
}

fn set(name: &str, settings: &mut Settings, text: &str, place: &str) -> Result<(), String> {
    let flag = flag_of(name).expect("it was found before");
    flag.set(settings, text)
        .map_err(|refusal| format!("{place}: bad value '{text}' for {name}: {refusal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        let words =
            |line: &str| split(line).map(|words| String::from_utf8(words.join(&b'|')).unwrap());
        assert_eq!(words("  save 900   1 ").as_deref(), Some("save|900|1"));
        assert_eq!(words(r#"a "b c" 'd e' "" "#).as_deref(), Some("a|b c|d e|"));
        assert_eq!(words(r#""\x41\n\"\q" 'it\'s'"#).as_deref(), Some("A\n\"q|it's"));
        assert_eq!(words(r#"a"b c""#).as_deref(), Some("ab c"));
        for bad in [r#""open"#, "'open", r#""a"b"#, r#""a\"#] {
            assert_eq!(words(bad), None, "{bad}");
        }
        for text in
            [&b"plain"[..], b"two words", b"q\"uo\\te", b"line\nend\x01", b"", b"\xff\xc3\xa9"]
        {
            assert_eq!(split(&quoted(text)), Some(vec![text.to_vec()]));
        }
    }

    #[test]
    fn a_file_is_honoured_and_what_is_not_known_is_named() {
        let directive = |line: &str| {
            let mut words = split(line).unwrap();
            let name = String::from_utf8(words.remove(0)).unwrap();
            Directive { name, words, place: "f".into() }
        };
        let lines = [
            "timeout 7",
            "maxmemory 1gb",
            "save 900 1",
            "save 300 10",
            "bind 127.0.0.1 -::1",
            "client-output-buffer-limit pubsub 1mb 1kb 5",
            "rename-command FLUSHALL \"\"",
            "user alice on nopass",
            "loadmodule x.so",
            "appendonly yes",
            "hz 100",
            "daemonize no",
        ];
        let directives: Vec<_> = lines.into_iter().map(directive).collect();
        let (mut settings, mut warnings) = (Settings::initial(), Vec::new());
        apply(&mut settings, &directives, &mut warnings).unwrap();
        assert_eq!((settings.timeout, settings.memory_bytes_max), (7, 1 << 30));
        assert_eq!(show_save_points(&settings.snapshots.save_points), "900 1 300 10");
        assert_eq!(settings.bind, ["127.0.0.1", "-::1"]);
        assert_eq!(settings.output_pubsub.hard_bytes, 1 << 20);
        assert_eq!(settings.renames.pairs(), [("flushall", String::new())]);
        assert_eq!(settings.users[0], [&b"alice"[..], b"on", b"nopass"]);
        let about = |word: &str| warnings.iter().filter(|text| text.contains(word)).count();
        assert_eq!((about("loadmodule"), about("appendonly"), about("hz")), (1, 1, 1));
        let bad = apply(&mut settings, &[directive("timeout x")], &mut warnings).unwrap_err();
        assert!(bad.starts_with("f: bad value 'x' for timeout"), "{bad}");
    }
}
