//! What SCAN, SSCAN, HSCAN and ZSCAN have in common: a cursor, a pattern, and how much to look at.

use crate::commands::Args;
use crate::error::Error;
use crate::glob;
use crate::limits::SCAN_COUNT_MAX;
use pinion_io::resp::Reply;

/// Elements a call looks at where the client says nothing.
const COUNT_DEFAULT: usize = 10;

/// What is scanned: some options are only for one of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scanned {
    /// The keys of a database, whose type may be asked for.
    Keys,
    /// The members of a set or of a sorted set.
    Members,
    /// The fields of a hash, which may come without their values.
    Fields,
}

/// The options of a scan: `[MATCH pattern] [COUNT count] [TYPE type] [NOVALUES]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanning<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
    /// Elements to look at.
    pub(super) count: usize,
    /// HSCAN is to show fields without their values.
    pub(super) names_only: bool,
}

/// Where a scan inside a key goes on, by the word at index 2.
///
/// # Errors
/// What is not an unsigned 64-bit number.
pub(super) fn position(args: &Args<'_>) -> Result<u64, Error> {
    let cursor = args.at(2);
    let number = cursor.iter().all(u8::is_ascii_digit).then_some(cursor);
    let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    number.ok_or(Error::Text("ERR invalid cursor"))
}

impl<'a> Scanning<'a> {
    /// Reads the options, which follow the cursor.
    ///
    /// # Errors
    /// `Syntax`, `NotInteger`, and what says that NOVALUES is for HSCAN.
    pub(super) fn read(args: &Args<'a>, scanned: Scanned) -> Result<Self, Error> {
        let mut scanning =
            Self { pattern: None, type_name: None, count: COUNT_DEFAULT, names_only: false };
        let mut at = if scanned == Scanned::Keys { 2 } else { 3 };
        while at < args.len() {
            let has_value = at + 1 < args.len();
            if args.is(at, "COUNT") && has_value {
                let wanted = args.int(at + 1)?;
                if wanted < 1 {
                    return Err(Error::Syntax);
                }
                let count = usize::try_from(wanted).unwrap_or(SCAN_COUNT_MAX);
                scanning.count = count.min(SCAN_COUNT_MAX);
            } else if args.is(at, "MATCH") && has_value {
                scanning.pattern = Some(args.at(at + 1));
            } else if args.is(at, "TYPE") && has_value && scanned == Scanned::Keys {
                scanning.type_name = Some(args.at(at + 1));
            } else if args.is(at, "NOVALUES") {
                if scanned != Scanned::Fields {
                    return Err(Error::Text("ERR NOVALUES option can only be used in HSCAN"));
                }
                scanning.names_only = true;
                at += 1;
                continue;
            } else {
                return Err(Error::Syntax);
            }
            at += 2;
        }
        Ok(scanning)
    }

    /// True if a name is as the client wants.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::shows(pattern, name))
    }

    /// True if a type is the one the client wants, if it wants one.
    pub(super) fn wants_type(&self, name: &str) -> bool {
        self.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Writes what a scan answers: where to go on, or 0 at the end, and `values` bulk strings that
/// stand encoded in `found`.
pub(super) fn write_scanned(next: Option<u64>, values: usize, found: &[u8], reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk(next.unwrap_or(0).to_string().as_bytes());
    reply.array(values);
    reply.raw(found);
}
