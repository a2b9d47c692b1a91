//! Adds entries and trims old ones: XADD, XTRIM.

use super::{BAD_ID, DELETE, UPDATE, id, write_id};
use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::limits::STREAM_TRIM_MAX;
use crate::shard::Scope;
use crate::value::stream::{Id, NewId, References, Refused, Trim, TrimTo};
use crate::value::{Encodings, Stream};
use pinion_io::resp::Reply;

const TWO_WAYS: Error =
    Error::Text("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const LIMIT_ALONE: Error =
    Error::Text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const LIMIT_EXACT: Error =
    Error::Text("ERR syntax error, LIMIT cannot be used without the special ~ option");
const NO_STRATEGY: Error =
    Error::Text("ERR syntax error, XTRIM must be called with a trimming strategy");

/// What stands before the id of XADD, and after the key of XTRIM.
#[derive(Default)]
struct Options {
    trim: Option<TrimTo>,
    coarse: bool,
    limit: Option<u64>,
    references: Option<References>,
    no_key: bool,
}

impl Options {
    /// Reads options up to the first word that is none; its index.
    fn parse(args: &Args<'_>, add: bool) -> Result<(Self, usize), Error> {
        let (mut options, mut at) = (Self::default(), 2);
        while at < args.len() {
            let more = at + 1 < args.len();
            if (args.is(at, "MAXLEN") || args.is(at, "MINID")) && more {
                at = options.parse_trim(args, at)?;
            } else if args.is(at, "LIMIT") && more {
                let limit = u64::try_from(args.int(at + 1)?);
                let negative = Error::Text("ERR The LIMIT argument must be >= 0.");
                options.limit = Some(limit.map_err(|_| negative)?);
                at += 2;
            } else if let Some(references) = references(args, at) {
                if options.references.is_some() {
                    return Err(Error::Syntax);
                }
                options.references = Some(references);
                at += 1;
            } else if add && args.is(at, "NOMKSTREAM") {
                options.no_key = true;
                at += 1;
            } else if add {
                break;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok((options, at))
    }

    /// Reads `MAXLEN | MINID [= | ~] threshold`; the index after it.
    fn parse_trim(&mut self, args: &Args<'_>, mut at: usize) -> Result<usize, Error> {
        if self.trim.is_some() {
            return Err(TWO_WAYS);
        }
        let by_len = args.is(at, "MAXLEN");
        if at + 2 < args.len() && (args.at(at + 1) == b"~" || args.at(at + 1) == b"=") {
            self.coarse = args.at(at + 1) == b"~";
            at += 1;
        }
        self.trim = Some(if by_len {
            let negative = Error::Text("ERR The MAXLEN argument must be >= 0.");
            TrimTo::Len(u64::try_from(args.int(at + 1)?).map_err(|_| negative)?)
        } else {
            TrimTo::From(id(args.at(at + 1))?)
        });
        Ok(at + 2)
    }

    /// The trimming they ask for.
    fn trim(&self, rules: &Encodings) -> Result<Option<Trim>, Error> {
        let Some(to) = self.trim else {
            return if self.limit.is_some() { Err(LIMIT_ALONE) } else { Ok(None) };
        };
        let limit = match self.limit {
            Some(_) if !self.coarse => return Err(LIMIT_EXACT),
            Some(limit) => limit,
            None if !self.coarse => 0,
            None => match rules.stream_node_max_entries as u64 * 100 {
                0 => 10_000,
                limit => limit.min(STREAM_TRIM_MAX),
            },
        };
        let references = self.references.unwrap_or_default();
        Ok(Some(Trim { to, coarse: self.coarse, limit, references }))
    }
}

/// `KEEPREF | DELREF | ACKED` at `at`.
pub(super) fn references(args: &Args<'_>, at: usize) -> Option<References> {
    let all = [
        ("KEEPREF", References::Keep),
        ("DELREF", References::Delete),
        ("ACKED", References::Acked),
    ];
    all.into_iter().find(|(word, _)| args.is(at, word)).map(|(_, references)| references)
}

/// `XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED]
/// [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]`
fn xadd(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (options, at) = Options::parse(args, true)?;
    let wish = match args.try_at(at) {
        None => None,
        Some(b"*") => Some(NewId::Auto),
        Some(text) => Some(Id::parse(text).map(|(ms, seq)| NewId::of(ms, seq)).ok_or(BAD_ID)?),
    };
    let trim = options.trim(scope.rules)?;
    let words = args.len().saturating_sub(at + 1);
    let Some(wish) = wish.filter(|_| words >= 2 && words.is_multiple_of(2)) else {
        return Err(Error::Arity("xadd"));
    };
    if wish == NewId::Exact(Id::MIN) {
        return Err(Error::Text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let (key, now) = (scope.first(args), scope.now);
    let fields = (at + 1..args.len()).map(|index| args.at(index));
    let mut stream = if options.no_key {
        let Some(stream) = scope.keyspace.open::<Stream>(key, now)? else {
            reply.null();
            return Ok(());
        };
        stream
    } else {
        scope.keyspace.open_or_new::<Stream>(key, now)?
    };
    let added = stream.log.push(wish, now, fields, scope.rules);
    if added.is_err() {
        stream.unchanged();
    } else {
        stream.notify(Class::STREAM, "xadd");
        if trim.is_some_and(|trim| stream.trim(&trim) > 0) {
            stream.notify(Class::STREAM, "xtrim");
        }
    }
    write_id(added.map_err(refusal)?, reply);
    Ok(())
}

fn refusal(refused: Refused) -> Error {
    Error::Text(match refused {
        Refused::NotAbove => {
            "ERR The ID specified in XADD is equal or smaller than the target stream top item"
        }
        Refused::Exhausted => {
            "ERR The stream has exhausted the last possible ID, unable to add more items"
        }
        Refused::TooLarge => "ERR Elements are too large to be stored",
    })
}

/// `XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]`
fn xtrim(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (options, _) = Options::parse(args, false)?;
    let trim = options.trim(scope.rules)?.ok_or(NO_STRATEGY)?;
    let key = scope.first(args);
    let mut deleted = 0;
    if let Some(mut stream) = scope.keyspace.open::<Stream>(key, scope.now)? {
        deleted = stream.trim(&trim);
        if deleted == 0 {
            stream.unchanged();
        } else {
            stream.notify(Class::STREAM, "xtrim");
        }
    }
    reply.int(deleted as i64);
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("xadd", -5, Group::Stream, Plan::One(xadd))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(UPDATE)
        .about("5.0.0", "Adds an entry at the end of a stream, and may trim it"),
    Row::new("xtrim", -4, Group::Stream, Plan::One(xtrim))
        .flags(&[Flags::WRITE])
        .keys(DELETE)
        .about("5.0.0", "Deletes the oldest entries of a stream"),
];
