//! Lines of requests, and the data behind them.

use pinion_io::resp::Range;
use pinion_shards::commands::{Row, memcached};
use pinion_shards::limits::MEMCACHED_VALUE_BYTES_MAX;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 250;
/// Longest line that reads no keys, in bytes.
const LINE_BYTES_MAX: usize = 2048;
/// Longest line that reads many, in bytes.
const READ_LINE_BYTES_MAX: usize = 64 * 1024;
/// Most data that a client may send before it has authenticated, in bytes.
const LOGIN_BYTES_MAX: usize = 1024;

const ERROR: &str = "ERROR";
const BAD_LINE: &str = "CLIENT_ERROR bad command line format";
const BAD_DATA: &str = "CLIENT_ERROR bad data chunk";
const BAD_END: &str = "CLIENT_ERROR invalid exptime argument";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const LOCKED_OUT: &str = "CLIENT_ERROR unauthenticated";

/// What a connection remembers between two looks at its input.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Bytes that are still to be passed over: the data of a request that was refused.
    pub skip: usize,
    /// Keys of the request under way that have been read.
    pub keys_read: usize,
}

/// What the next bytes are.
#[derive(Debug)]
pub enum Step {
    /// Not a whole request; so many bytes at least are missing.
    More(usize),
    /// A request, which ends at `end`.
    Request {
        /// What it asks for.
        ask: Ask,
        /// It wants no reply.
        quiet: bool,
        /// Where the next one begins.
        end: usize,
    },
    /// One that is refused.
    Refused {
        /// The line to be answered.
        line: &'static str,
        /// It wants no reply.
        quiet: bool,
        /// Where the next one begins, perhaps behind what has arrived.
        end: usize,
        /// The key that loses its value by it: what was to replace that is not kept.
        loses: Option<Range>,
    },
    /// No request could be as long as this line is.
    Endless,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Ask {
    /// Keys, one after the other, and `END`.
    Read {
        /// The row that reads one.
        row: &'static Row,
        /// Its name, as it came.
        name: Range,
        /// When they are to end from now on.
        end: Option<Range>,
        /// The keys.
        keys: Vec<Range>,
    },
    /// A change of one key.
    Change {
        /// The row.
        row: &'static Row,
        /// Its words.
        words: Vec<Range>,
    },
    /// To be let in.
    Login {
        /// `user password`.
        words: Range,
    },
    /// That all keys go; after so many seconds.
    Flush(u64),
    /// The general figures, or those of this kind.
    Stats(Option<Range>),
    /// The version.
    Version,
    /// To log more or less; nothing comes of it.
    Verbosity,
    /// To be left.
    Quit,
}

/// A line under way.
struct Line<'a> {
    input: &'a [u8],
    words: Vec<Range>,
    /// Where the line's end ends.
    end: usize,
    quiet: bool,
}

type Read = Result<(Ask, usize), (&'static str, usize)>;

/// Reads the request that begins at `at`. A client that is `locked_out` can only ask to be let in.
pub fn read(input: &[u8], at: usize, locked_out: bool) -> Step {
    let rest = &input[at..];
    let line_max = match rest {
        [b'g', b'e' | b'a', b't', b' ' | b's', ..] if !locked_out => READ_LINE_BYTES_MAX,
        _ => LINE_BYTES_MAX,
    };
    let Some(len) = rest.iter().take(line_max).position(|byte| *byte == b'\n') else {
        return if rest.len() < line_max { Step::More(1) } else { Step::Endless };
    };
    let text = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
    let mut line = Line { input, words: split(text, at), end: at + len + 1, quiet: false };
    if line.words.len() > 1 && line.word(line.words.len() - 1) == b"noreply" {
        line.quiet = true;
        line.words.pop();
    }
    let (quiet, key) = (line.quiet, line.words.get(1).copied());
    let sets = line.word(0) == b"set";
    match line.read(locked_out) {
        Ok((_, end)) if end > input.len() => Step::More(end - input.len()),
        Ok((ask, end)) => Step::Request { ask, quiet, end },
        Err((line, end)) => {
            let loses = key.filter(|_| sets && line == TOO_LARGE);
            Step::Refused { line, quiet, end, loses }
        }
    }
}

/// The words of a line, which begins at `at`.
fn split(text: &[u8], at: usize) -> Vec<Range> {
    let mut words = Vec::new();
    let mut start = 0;
    for word in text.split(|byte| *byte == b' ') {
        if !word.is_empty() {
            words.push(Range { start: (at + start) as u32, len: word.len() as u32 });
        }
        start += word.len() + 1;
    }
    words
}

impl<'a> Line<'a> {
    fn word(&self, index: usize) -> &'a [u8] {
        self.words.get(index).map_or(b"", |word| word.of(self.input))
    }

    /// The number that a word is.
    fn number<T: std::str::FromStr>(&self, index: usize) -> Option<T> {
        std::str::from_utf8(self.word(index)).ok()?.parse().ok()
    }

    fn refused<T>(&self, text: &'static str) -> Result<T, (&'static str, usize)> {
        Err((text, self.end))
    }

    fn read(mut self, locked_out: bool) -> Read {
        let (name, count) = (self.word(0), self.words.len());
        if locked_out && name != b"set" {
            return self.refused(LOCKED_OUT);
        }
        let ask = match name {
            b"get" | b"gets" if count > 1 => self.reads(1)?,
            b"gat" | b"gats" if count > 2 => self.reads(2)?,
            b"set" | b"add" | b"replace" | b"append" | b"prepend" if count == 5 => {
                return self.store(locked_out);
            }
            b"cas" if count == 6 => return self.store(locked_out),
            b"incr" | b"decr" if count == 3 => {
                self.check_key(1)?;
                if self.number::<u64>(2).is_none() {
                    return self.refused(BAD_DELTA);
                }
                self.change()?
            }
            b"touch" if count == 3 => {
                self.check_key(1)?;
                if self.number::<i64>(2).is_none() {
                    return self.refused(BAD_END);
                }
                self.change()?
            }
            b"delete" if count > 1 => {
                // A time to wait was an option once, of which 0 is left.
                if count > 3 || count == 3 && self.word(2) != b"0" {
                    return self.refused(
                        "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]",
                    );
                }
                self.words.truncate(2);
                self.check_key(1)?;
                self.change()?
            }
            b"flush_all" if count == 1 => Ask::Flush(0),
            b"flush_all" if count == 2 => match self.number::<i64>(1) {
                Some(delay) => Ask::Flush(u64::try_from(delay).unwrap_or(0)),
                None => return self.refused(BAD_LINE),
            },
            b"stats" => Ask::Stats(self.words.get(1).copied()),
            b"version" => Ask::Version,
            b"verbosity" if count > 1 || self.quiet => Ask::Verbosity,
            b"quit" => Ask::Quit,
            _ => return self.refused(ERROR),
        };
        Ok((ask, self.end))
    }

    fn check_key(&self, index: usize) -> Result<(), (&'static str, usize)> {
        if self.word(index).len() > KEY_BYTES_MAX { self.refused(BAD_LINE) } else { Ok(()) }
    }

    fn row(&self) -> Result<&'static Row, (&'static str, usize)> {
        memcached::find(self.word(0)).ok_or((ERROR, self.end))
    }

    /// A read whose keys begin at word `first`.
    fn reads(&mut self, first: usize) -> Result<Ask, (&'static str, usize)> {
        if first == 2 && self.number::<i64>(1).is_none() {
            return self.refused(BAD_END);
        }
        for index in first..self.words.len() {
            self.check_key(index)?;
        }
        let end = (first == 2).then(|| self.words[1]);
        let (row, name, keys) = (self.row()?, self.words[0], self.words.split_off(first));
        Ok(Ask::Read { row, name, end, keys })
    }

    fn change(&mut self) -> Result<Ask, (&'static str, usize)> {
        Ok(Ask::Change { row: self.row()?, words: std::mem::take(&mut self.words) })
    }

    /// A line with data behind it: `name key flags exptime bytes [unique]`.
    fn store(mut self, locked_out: bool) -> Read {
        let numbers = (self.number::<u32>(2), self.number::<i64>(3), self.number::<i32>(4));
        let (Some(_), Some(_), Some(len)) = numbers else { return self.refused(BAD_LINE) };
        let unique = self.words.get(5).copied();
        if unique.is_some() && self.number::<u64>(5).is_none() {
            return self.refused(BAD_LINE);
        }
        self.check_key(1)?;
        let Ok(len) = usize::try_from(len) else { return self.refused(BAD_DATA) };
        let (start, end) = (self.end, self.end + len + 2);
        if locked_out && len > LOGIN_BYTES_MAX {
            return Err((LOCKED_OUT, end));
        }
        if len > MEMCACHED_VALUE_BYTES_MAX {
            return Err((TOO_LARGE, end));
        }
        let data = Range { start: start as u32, len: len as u32 };
        if end <= self.input.len() && &self.input[end - 2..end] != b"\r\n" {
            return Err((BAD_DATA, end));
        }
        if locked_out {
            return Ok((Ask::Login { words: data }, end));
        }
        self.words.truncate(4);
        self.words.push(data);
        self.words.extend(unique);
        Ok((self.change()?, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request becomes: the words of its row, or what is told.
    fn shown(input: &str) -> String {
        let bytes = input.as_bytes();
        let text = |word: &Range| String::from_utf8_lossy(word.of(bytes)).into_owned();
        let join = |words: &[Range]| words.iter().map(text).collect::<Vec<_>>().join("|");
        match read(bytes, 0, false) {
            Step::More(_) => "more".into(),
            Step::Endless => "endless".into(),
            Step::Refused { line, quiet, end, loses } => {
                let loses = loses.map(|key| format!(" loses {}", text(&key)));
                format!("{line} quiet={quiet} {end}{}", loses.unwrap_or_default())
            }
            Step::Request { ask, quiet, end } => {
                assert_eq!(end, bytes.len(), "{input}");
                let shown = match ask {
                    Ask::Read { name, end, keys, .. } => {
                        format!("{} {:?} {}", text(&name), end.as_ref().map(text), join(&keys))
                    }
                    Ask::Change { row, words } => format!("{} {}", row.name, join(&words)),
                    Ask::Stats(kind) => format!("stats {:?}", kind.as_ref().map(text)),
                    other => format!("{other:?}"),
                };
                if quiet { format!("{shown} quiet") } else { shown }
            }
        }
    }

    #[test]
    fn lines_become_requests() {
        for (input, wanted) in [
            ("get a\r\n", "get None a"),
            ("gets  a b\n", "gets None a|b"),
            ("gat 10 a b\r\n", "gat Some(\"10\") a|b"),
            ("set a 1 0 3\r\nx\ny\r\n", "memcached|set set|a|1|0|x\ny"),
            ("set a 1 0 0 noreply\r\n\r\n", "memcached|set set|a|1|0| quiet"),
            ("cas a 1 -1 1 77\r\nx\r\n", "memcached|cas cas|a|1|-1|x|77"),
            ("incr a 18446744073709551615\r\n", "memcached|incr incr|a|18446744073709551615"),
            ("delete a 0 noreply\r\n", "memcached|delete delete|a quiet"),
            ("touch a 5\r\n", "memcached|touch touch|a|5"),
            ("flush_all 10 noreply\r\n", "Flush(10) quiet"),
            ("stats items\r\n", "stats Some(\"items\")"),
            ("version\r\n", "Version"),
            ("verbosity 1\r\n", "Verbosity"),
            ("quit\r\n", "Quit"),
            ("get a", "more"),
            ("set a 1 0 3\r\nxy", "more"),
            ("set a 1 0 3\r\nxyz\r", "more"),
        ] {
            assert_eq!(shown(input), wanted, "{input:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_its_words() {
        for (input, line, end) in [
            ("\r\n", ERROR, 2),
            ("get\r\n", ERROR, 5),
            ("GET a\r\n", ERROR, 7),
            ("set a 0 0\r\n", ERROR, 11),
            ("set a x 0 1\r\n", BAD_LINE, 13),
            ("set a 0 0 -1\r\n", BAD_DATA, 14),
            ("set a 0 0 1\r\nxyz", BAD_DATA, 16),
            ("add a 0 0 1048577\r\n", TOO_LARGE, 19 + 1_048_577 + 2),
            ("cas a 0 0 1 x\r\n", BAD_LINE, 15),
            ("incr a -1\r\n", BAD_DELTA, 11),
            ("touch a x\r\n", BAD_END, 11),
            ("gat x a\r\n", BAD_END, 9),
        ] {
            assert_eq!(shown(input), format!("{line} quiet=false {end}"), "{input:?}");
        }
        let large = shown("set a 0 0 1048577\r\n");
        assert_eq!(large, format!("{TOO_LARGE} quiet=false 1048598 loses a"));
        let key = "k".repeat(KEY_BYTES_MAX + 1);
        assert!(shown(&format!("get {key}\r\n")).starts_with(BAD_LINE));
        assert!(shown(&format!("set {key} 0 0 1\r\nx\r\n")).starts_with(BAD_LINE));
        assert_eq!(shown(&"x".repeat(LINE_BYTES_MAX)), "endless");
        assert_eq!(shown(&format!("get {}", "x ".repeat(LINE_BYTES_MAX))), "more");
    }

    #[test]
    fn who_is_locked_out_can_only_ask_to_be_let_in() {
        assert!(matches!(
            read(b"get a\r\n", 0, true),
            Step::Refused { line: LOCKED_OUT, end: 7, .. }
        ));
        let asked = read(b"set auth 0 0 6\r\nme pwd\r\n", 0, true);
        let Step::Request { ask: Ask::Login { words }, .. } = asked else { panic!("{asked:?}") };
        assert_eq!(words, Range { start: 16, len: 6 });
        let large = read(b"set auth 0 0 9999\r\n", 0, true);
        assert!(matches!(large, Step::Refused { line: LOCKED_OUT, .. }));
    }
}
