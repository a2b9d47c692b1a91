//! `pinion check FILE`: looks at every byte of a snapshot, and tells what is in it.
//!
//! Every object is decoded as it is when it is loaded, and the checksum is compared. Memory is
//! needed for the longest record only. That no key comes twice is not looked at: loading does.

use pinion_rdb::{Checksum, Error, Fault, Item, Parser, Record, Version, kind};
use pinion_shards::snapshot::Decoder;
use pinion_shards::value::Rules;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// What is in a file.
#[derive(Debug, Default)]
pub struct Census {
    version: Option<Version>,
    /// What the file says of itself.
    said: Vec<(String, String)>,
    databases: BTreeMap<u32, Database>,
    /// Values of each type of object, and the bytes of these.
    kinds: BTreeMap<u8, (u64, u64)>,
    functions: u64,
    modules: u64,
    empty: u64,
    checksum: Option<Checksum>,
}

#[derive(Debug, Default)]
struct Database {
    keys: u64,
    expiring: u64,
    expired: u64,
    /// Bytes of keys and values.
    bytes: u64,
}

/// What is wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Damage {
    /// Its bytes, in one place; the key that stands there, if there is one.
    At(Error, Option<String>),
    /// All of them together: the checksum told, and that found.
    Sum(u64, u64),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(error, None) => write!(f, "{error}"),
            Self::At(error, Some(key)) => write!(f, "{error}, in the record of {key}"),
            Self::Sum(told, found) => {
                write!(f, "its checksum is {found:016x}, and should be {told:016x}")
            }
        }
    }
}

/// Looks at a file block by block.
#[derive(Debug)]
pub struct Check {
    parser: Parser,
    census: Census,
    decoder: Decoder,
    rules: Rules,
    database: u32,
    now: i64,
}

impl Check {
    /// Looks at a file of so many bytes, at this instant in milliseconds since the Unix epoch.
    pub fn new(file_bytes: u64, now: i64) -> Self {
        Self {
            parser: Parser::new(Some(file_bytes)),
            census: Census::default(),
            decoder: Decoder::default(),
            rules: Rules::new(0),
            database: 0,
            now,
        }
    }

    /// Looks at the next bytes of the file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn feed(&mut self, block: &[u8]) -> Result<(), Damage> {
        self.parser.feed(block);
        loop {
            let item = match self.parser.next() {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Damage::At(error, None)),
            };
            match item {
                Item::Version(version) => self.census.version = Some(version),
                Item::Aux { name, value } => self.census.say(name, value),
                Item::Database(number) => self.database = number,
                Item::Sizes { .. } => {}
                Item::Function(_) => self.census.functions += 1,
                Item::ModuleAux(_) => self.census.modules += 1,
                Item::Record(record) => {
                    let origin = self.census.version.expect("it stands at the start").origin;
                    let what = (origin, record.kind);
                    // At the beginning of time nothing is due: all of a value is looked at.
                    match self.decoder.decode(what, record.object, &self.rules, 0) {
                        Ok(_) => {}
                        Err(Fault::Empty) => self.census.empty += 1,
                        Err(fault) => {
                            let error = Error { at: record.at, fault };
                            return Err(Damage::At(error, Some(shown(record.key))));
                        }
                    }
                    self.census.count(self.database, &record, self.now);
                }
                Item::End(Checksum::Wrong { told, found }) => {
                    return Err(Damage::Sum(told, found));
                }
                Item::End(sum) => self.census.checksum = Some(sum),
            }
        }
    }

    /// What is in the file, of which all has been fed.
    ///
    /// # Errors
    /// It has not come to its end.
    pub fn end(self) -> Result<Census, Damage> {
        if self.parser.is_done() {
            Ok(self.census)
        } else {
            Err(Damage::At(self.parser.cut(), None))
        }
    }

    /// Keys seen so far.
    fn keys(&self) -> u64 {
        self.census.kinds.values().map(|(count, _)| count).sum()
    }
}

impl Census {
    fn say(&mut self, name: &[u8], value: &[u8]) {
        // What fills the ends of chunks has no name.
        if !name.is_empty() && self.said.len() < SAID_MAX {
            self.said.push((shown(name), shown(value)));
        }
    }

    fn count(&mut self, database: u32, record: &Record<'_>, now: i64) {
        let database = self.databases.entry(database).or_default();
        database.keys += 1;
        database.expiring += u64::from(record.expiry.is_some());
        database.expired += u64::from(record.expiry.is_some_and(|at| at < now));
        database.bytes += (record.key.len() + record.object.len()) as u64;
        let (count, bytes) = self.kinds.entry(record.kind).or_default();
        *count += 1;
        *bytes += record.object.len() as u64;
    }

    /// Writes what is in the file, for people to read.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(Version { origin, number }) = self.version {
            writeln!(out, "version    {number} ({origin:?})")?;
        }
        for (name, value) in &self.said {
            writeln!(out, "{name:<10} {value}")?;
        }
        for (number, database) in &self.databases {
            let Database { keys, expiring, expired, bytes } = database;
            writeln!(
                out,
                "db {number:<7} {keys} keys, {expiring} of them expire ({expired} by now), \
                 {bytes} bytes"
            )?;
        }
        for (&number, (count, bytes)) in &self.kinds {
            let origin = self.version.map_or(pinion_rdb::Origin::Redis, |version| version.origin);
            let name = kind::name(origin, number);
            writeln!(out, "type {number:<5} {count} values, {bytes} bytes: {name}")?;
        }
        for (count, what) in [
            (self.functions, "libraries of functions"),
            (self.modules, "notes of modules, which loading passes over"),
            (self.empty, "values without elements, which loading leaves out"),
        ] {
            if count > 0 {
                writeln!(out, "besides    {count} {what}")?;
            }
        }
        let checksum = match self.checksum {
            Some(Checksum::Right) => "right",
            _ => "none",
        };
        writeln!(out, "checksum   {checksum}")
    }
}

/// Names and values that a file says of itself, at most, as far as they are shown.
const SAID_MAX: usize = 64;
/// Characters that are shown of a text.
const SHOWN_MAX: usize = 80;

/// The start of a text, whatever its bytes.
fn shown(text: &[u8]) -> String {
    let start: String = text[..text.len().min(SHOWN_MAX)].escape_ascii().to_string();
    if text.len() > SHOWN_MAX { start + "..." } else { start }
}

/// Runs `pinion check` with these words behind it.
pub fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<_> = words.collect();
    let path = match words.as_slice() {
        [word] if word == "--help" => None,
        [path] => Some(PathBuf::from(path)),
        _ => None,
    };
    let Some(path) = path else {
        let _ = writeln!(io::stderr(), "pinion check FILE: looks at every byte of a snapshot");
        return ExitCode::FAILURE;
    };
    match check(&path) {
        Ok(census) => {
            let mut out = io::stdout().lock();
            let done =
                census.write(&mut out).and_then(|()| writeln!(out, "{}: OK", path.display()));
            // A reader that went away, such as `head`, is no failure.
            drop(done);
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "{}: {sentence}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// What is in a file.
///
/// # Errors
/// One sentence: it cannot be read, or is damaged.
pub fn check(path: &Path) -> Result<Census, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut check = Check::new(bytes, now.as_millis() as i64);
    let mut progress = Progress::new(bytes);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let len = match file.read(&mut block) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let fed = check.feed(&block[..len]);
        progress.show(len as u64, check.keys());
        fed.map_err(|damage| damage.to_string())?;
    }
    drop(progress);
    check.end().map_err(|damage| damage.to_string())
}

/// A line on the terminal that says how far it has come.
struct Progress {
    bytes: u64,
    done: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    fn new(bytes: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { bytes, done: 0, shown: None, terminal }
    }

    fn show(&mut self, more: u64, keys: u64) {
        self.done += more;
        if !self.terminal || self.shown.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let part = (self.done.min(self.bytes) * PARTS).checked_div(self.bytes).unwrap_or(PARTS);
        let bar = "#".repeat(part as usize) + &".".repeat((PARTS - part) as usize);
        let _ = write!(io::stderr(), "\r[{bar}] {} MiB, {keys} keys", self.done >> 20);
    }
}

/// Characters of the bar.
const PARTS: u64 = 40;

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            // The line goes, so that what follows stands by itself.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_rdb::write;

    fn file() -> Vec<u8> {
        let mut out = Vec::new();
        write::magic(&mut out, 11);
        write::aux(&mut out, b"redis-ver", b"7.2.0");
        write::database(&mut out, 3);
        write::expiry(&mut out, 5);
        out.extend_from_slice(&[kind::STRING, 1, b'k', 1, b'v']);
        out.extend_from_slice(&[kind::SET, 1, b's', 2, 1, b'a', 1, b'b']);
        out.extend_from_slice(&[kind::SET, 1, b'e', 0]);
        write::fill(&mut out, 50);
        let sum = pinion_rdb::crc::crc(&out);
        write::end(&mut out, sum);
        out
    }

    fn census(file: &[u8]) -> Result<String, Damage> {
        let mut check = Check::new(file.len() as u64, 10);
        for block in file.chunks(7) {
            check.feed(block)?;
        }
        let mut out = Vec::new();
        check.end()?.write(&mut out).expect("a vector takes all");
        Ok(String::from_utf8(out).expect("it is text"))
    }

    #[test]
    fn a_sound_file_is_told_of() {
        let text = census(&file()).expect("a sound file");
        for line in [
            "version    11 (Redis)",
            "redis-ver  7.2.0",
            "db 3       3 keys, 1 of them expire (1 by now), 11 bytes",
            "type 2     2 values, 6 bytes: set",
            "besides    1 values without elements, which loading leaves out",
            "checksum   right",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let file = file();
        let cut = census(&file[..file.len() - 1]).expect_err("it is cut");
        assert!(matches!(cut, Damage::At(Error { fault: Fault::Cut | Fault::TooMuch, .. }, None)));
        let mut twice = file.clone();
        let at = twice.iter().position(|&byte| byte == b'b').expect("a member");
        twice[at] = b'a';
        let error = census(&twice).expect_err("a member comes twice").to_string();
        assert!(error.ends_with("an element that is there twice, in the record of s"), "{error}");
        let mut other = file.clone();
        other[at] = b'c';
        assert!(matches!(census(&other), Err(Damage::Sum(..))));
    }
}
