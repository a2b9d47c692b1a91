//! Takes a file apart that comes in blocks of any size.
//!
//! The caller feeds what it has read (`Parser::feed`) and asks for items (`Parser::next`) until
//! none is whole any more. Objects are not looked into: a record comes with the bytes of its
//! object, for whoever owns its key. What is kept is the record that is not whole yet, which the
//! length of the file bounds.

use crate::crc::Crc;
use crate::fault::{Error, Fault};
use crate::kind::{self, Origin, Version};
use crate::read::{Form, Reader, text_head};
use crate::skip::Skip;

/// Bytes that a file begins with.
const MAGIC_BYTES: usize = 9;

/// What a file is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'a> {
    /// What it begins with.
    Version(Version),
    /// Something said about the file.
    Aux {
        /// What it is about.
        name: &'a [u8],
        /// What is said.
        value: &'a [u8],
    },
    /// The database of the keys that follow.
    Database(u32),
    /// How many keys follow.
    Sizes {
        /// All of them.
        keys: u64,
        /// Those that expire.
        expiring: u64,
    },
    /// A library of functions.
    Function(&'a [u8]),
    /// What a module keeps beside keys; the number says which module.
    ModuleAux(u64),
    /// A key with its value.
    Record(Record<'a>),
    /// The end.
    End(Checksum),
}

/// A key with its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    /// Offset of its type in the file.
    pub at: u64,
    /// Its name.
    pub key: &'a [u8],
    /// The type of its object.
    pub kind: u8,
    /// Its object.
    pub object: &'a [u8],
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<i64>,
    /// For how many seconds it was not used.
    pub idle: Option<u64>,
    /// How often it was used, on a logarithmic scale.
    pub frequency: Option<u8>,
    /// The name of the key behind it, if that is there as it is: whoever takes records one by one
    /// may ask for the memory it will need.
    pub next_key: Option<&'a [u8]>,
}

/// What a file says of its own bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// Nothing.
    None,
    /// What is true.
    Right,
    /// What is not true.
    Wrong {
        /// The checksum at the end of the file.
        told: u64,
        /// That of its bytes.
        found: u64,
    },
}

/// Takes a file apart.
#[derive(Debug)]
pub struct Parser {
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the file.
    base: u64,
    /// Bytes of the file, if they are known.
    file_bytes: Option<u64>,
    /// Where what was not yet an item begins; what is before it is done with.
    start: usize,
    /// How far what begins at `start` has been read.
    at: usize,
    /// Up to where the checksum goes.
    summed: usize,
    crc: Option<Crc>,
    version: Option<Version>,
    stage: Stage,
    /// The way to the end of what begins at `start`.
    skip: Skip,
    /// What was said of the next record.
    ahead: Ahead,
    /// Where texts lie that are not there as they are.
    rooms: [Vec<u8>; 2],
}

/// What is being read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The file's first bytes.
    Magic,
    /// What comes next.
    Between,
    /// What begins with this opcode or type, up to its end.
    Inside(u8),
    /// Nothing more.
    Done,
}

/// What stands before a record and is said of it.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    expiry: Option<i64>,
    idle: Option<u64>,
    frequency: Option<u8>,
}

/// Bytes of the buffer that are kept once a long record is done with.
const KEPT_BYTES_MAX: usize = 16 << 20;

impl Parser {
    /// Takes a whole file apart, of which so many bytes will come if that is known.
    pub fn new(file_bytes: Option<u64>) -> Self {
        Self {
            buffer: Vec::new(),
            base: 0,
            file_bytes,
            start: 0,
            at: 0,
            summed: 0,
            crc: Some(Crc::new()),
            version: None,
            stage: Stage::Magic,
            skip: Skip::NOTHING,
            ahead: Ahead::default(),
            rooms: [Vec::new(), Vec::new()],
        }
    }

    /// Takes a part of a file of this version apart that begins at byte `base` with an opcode, and
    /// of which `bytes` bytes will come. Its checksum is left to the caller.
    pub fn inside(version: Version, base: u64, bytes: u64) -> Self {
        Self {
            base,
            crc: None,
            version: Some(version),
            stage: Stage::Between,
            ..Self::new(Some(base.saturating_add(bytes)))
        }
    }

    /// Leaves checksums aside: nothing is summed up, and the end says that there is none.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.crc = None;
        self
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, block: &[u8]) {
        if self.start > 0 {
            self.sum_up(self.start);
            self.buffer.drain(..self.start);
            self.base += self.start as u64;
            self.at -= self.start;
            self.summed = 0;
            self.start = 0;
            if self.buffer.capacity() > KEPT_BYTES_MAX {
                self.buffer.shrink_to(KEPT_BYTES_MAX.max(self.buffer.len() + block.len()));
            }
        }
        self.buffer.extend_from_slice(block);
    }

    /// The next item, if it is whole.
    ///
    /// # Errors
    /// What is wrong with the file, and where. Nothing more can be read then.
    #[allow(clippy::should_implement_trait, reason = "items are lent")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Error> {
        loop {
            let error = |fault| Error { at: self.base + self.at as u64, fault };
            let begin = self.start;
            let opcode = match self.stage {
                Stage::Done => return Ok(None),
                Stage::Magic => return self.magic().map_err(|fault| Error { at: 0, fault }),
                Stage::Between => match self.buffer.get(begin) {
                    None if self.most(begin) == 0 => return Err(error(Fault::Cut)),
                    None => return Ok(None),
                    Some(&kind::STRING) if let Some(end) = self.whole_string(begin) => {
                        (self.at, self.start) = (end, end);
                        return self.record(kind::STRING, begin).map(Some);
                    }
                    Some(&opcode) => {
                        self.skip = self.way(opcode).map_err(error)?;
                        self.at = begin + 1;
                        self.stage = Stage::Inside(opcode);
                        opcode
                    }
                },
                Stage::Inside(opcode) => opcode,
            };
            if !self.pass()? {
                return Ok(None);
            }
            (self.stage, self.start) = (Stage::Between, self.at);
            if opcode < kind::SLOT_INFO {
                return self.record(opcode, begin).map(Some);
            }
            if self.heed(opcode, begin) {
                return self.special(opcode, begin).map(Some);
            }
        }
    }

    /// Offset in the file of what is read next.
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// True when the end has come.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// True between two items, with nothing left of what was fed.
    pub fn is_between(&self) -> bool {
        self.stage == Stage::Between && self.start == self.buffer.len()
    }

    /// The error of a file that ends here, before its end.
    pub fn cut(&self) -> Error {
        Error { at: self.base + self.buffer.len() as u64, fault: Fault::Cut }
    }

    /// The file's version, once it is known.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Bytes that can still come from `at` on.
    #[inline]
    fn most(&self, at: usize) -> u64 {
        let end = self.file_bytes.unwrap_or(u64::MAX);
        end.saturating_sub(self.base + at as u64)
    }

    fn sum_up(&mut self, to: usize) {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer[self.summed..to]);
        }
        self.summed = to;
    }

    fn magic(&mut self) -> Result<Option<Item<'_>>, Fault> {
        let known = self.buffer.len().min(MAGIC_BYTES);
        let begins = |magic: &[u8]| {
            let len = known.min(magic.len());
            self.buffer[..len] == magic[..len]
        };
        if !begins(b"REDIS") && !begins(b"VALKEY") {
            return Err(Fault::Magic);
        }
        if known < MAGIC_BYTES {
            return if self.most(known) == 0 { Err(Fault::Cut) } else { Ok(None) };
        }
        let (origin, digits) = match begins(b"REDIS") {
            true => (Origin::Redis, &self.buffer[5..MAGIC_BYTES]),
            false => (Origin::Valkey, &self.buffer[6..MAGIC_BYTES]),
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Magic);
        }
        let number = digits.iter().fold(0, |all, digit| all * 10 + u32::from(digit - b'0'));
        let version = Version::of_number(number)?;
        if version.origin != origin {
            return Err(Fault::Version(number));
        }
        (self.start, self.at) = (MAGIC_BYTES, MAGIC_BYTES);
        (self.stage, self.version) = (Stage::Between, Some(version));
        Ok(Some(Item::Version(version)))
    }

    /// The end of the record of a string that begins at `begin`, if all of it is there: most
    /// records of most files.
    #[inline]
    fn whole_string(&self, begin: usize) -> Option<usize> {
        let key = begin + 1;
        let value = text_end(&self.buffer, key)?;
        text_end(&self.buffer, value)
    }

    /// The way from an opcode, or from the key of a record of this type, to the end.
    #[inline]
    fn way(&self, opcode: u8) -> Result<Skip, Fault> {
        let version = self.version.expect("it stands at the start");
        if opcode < kind::SLOT_INFO {
            return Skip::record(version.origin, opcode);
        }
        Skip::special(version.number, opcode)
    }

    #[inline]
    fn pass(&mut self) -> Result<bool, Error> {
        let most = self.most(self.at);
        let passed = self.skip.go_on(&self.buffer, &mut self.at, most);
        passed.map_err(|fault| Error { at: self.base + self.at as u64, fault })
    }

    /// A record that begins at `begin` and is whole.
    #[inline]
    fn record(&mut self, kind: u8, begin: usize) -> Result<Item<'_>, Error> {
        let ahead = std::mem::take(&mut self.ahead);
        let at = self.base + begin as u64;
        let mut reader = Reader::new(&self.buffer[begin + 1..self.start]);
        let key = reader.text(&mut self.rooms[0]).map_err(|fault| Error { at, fault })?;
        Ok(Item::Record(Record {
            at,
            key,
            kind,
            object: reader.rest(),
            expiry: ahead.expiry,
            idle: ahead.idle,
            frequency: ahead.frequency,
            next_key: next_key(&self.buffer[self.start..]),
        }))
    }

    /// Notes what is said of the next record; true if it is something else, for the caller.
    fn heed(&mut self, opcode: u8, begin: usize) -> bool {
        let mut reader = Reader::new(&self.buffer[begin + 1..self.start]);
        match opcode {
            kind::EXPIRY_MS => self.ahead.expiry = reader.int().ok(),
            kind::EXPIRY_SECONDS => {
                let seconds = reader.array().map(i32::from_le_bytes);
                self.ahead.expiry = seconds.ok().map(|at| i64::from(at) * 1000);
            }
            kind::IDLE => self.ahead.idle = reader.length().ok(),
            kind::FREQ => self.ahead.frequency = reader.byte().ok(),
            kind::SLOT_INFO => {}
            _ => return true,
        }
        false
    }

    /// What else may stand between records.
    fn special(&mut self, opcode: u8, begin: usize) -> Result<Item<'_>, Error> {
        if opcode == kind::END {
            return Ok(Item::End(self.end(begin)));
        }
        let at = self.base + begin as u64;
        let error = |fault| Error { at, fault };
        let mut reader = Reader::new(&self.buffer[begin + 1..self.start]);
        let [one, other] = &mut self.rooms;
        let item = match opcode {
            kind::AUX => {
                reader.text(one).and_then(|name| Ok(Item::Aux { name, value: reader.text(other)? }))
            }
            kind::FUNCTION => reader.text(one).map(Item::Function),
            kind::MODULE_AUX => reader.length().map(Item::ModuleAux),
            kind::SIZES => reader
                .length()
                .and_then(|keys| Ok(Item::Sizes { keys, expiring: reader.length()? })),
            kind::DATABASE => reader.length().and_then(|number| {
                u32::try_from(number).map(Item::Database).map_err(|_| Fault::Database)
            }),
            _ => Err(Fault::Type(opcode)),
        };
        item.map_err(error)
    }

    /// The end, whose opcode stands at `begin`.
    fn end(&mut self, begin: usize) -> Checksum {
        self.stage = Stage::Done;
        self.sum_up(begin + 1);
        let told = Reader::new(&self.buffer[begin + 1..self.start]).array();
        match (&self.crc, told.map_or(0, u64::from_le_bytes)) {
            (None, _) | (_, 0) => Checksum::None,
            (Some(crc), told) if crc.sum() == told => Checksum::Right,
            (Some(crc), told) => Checksum::Wrong { told, found: crc.sum() },
        }
    }
}

/// The end of the string at `at`, if all of it is there.
#[inline]
fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (_, head, body) = text_head(bytes.get(at..)?).ok()??;
    let end = (at + head).checked_add(usize::try_from(body).ok()?)?;
    (end <= bytes.len()).then_some(end)
}

/// The key of a record that these bytes begin with, perhaps behind its expiry.
#[inline]
fn next_key(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    let key = match first {
        ..kind::SLOT_INFO => rest,
        kind::EXPIRY_MS => rest.get(EXPIRY_MS_BYTES + 1..)?,
        _ => return None,
    };
    match text_head(key) {
        Ok(Some((Form::Plain, at, len))) => key[at..].get(..usize::try_from(len).ok()?),
        _ => None,
    }
}

/// Bytes of an expiry behind its opcode.
const EXPIRY_MS_BYTES: usize = 8;

#[cfg(test)]
mod tests;
