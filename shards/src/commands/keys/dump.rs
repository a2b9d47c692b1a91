//! Values as bytes that any server of this kind understands: DUMP, RESTORE.

use crate::commands::{Args, DANGEROUS, Flags, Group, KEYSPACE, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Aside;
use crate::shard::{Millis, Scope};
use crate::snapshot::{Decoded, Decoder, Encoder, Purpose, opened};
use pinion_io::resp::Reply;

/// `DUMP key`.
fn dump(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    match scope.keyspace.get(key, scope.now) {
        Some(value) => {
            let mut encoder = Encoder::new(Purpose::Dump, scope.rules.rdb_compression);
            reply.bulk(&encoder.dump(value));
        }
        None => reply.null(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    replace: bool,
    absolute: bool,
    /// Seconds.
    idle: Option<i64>,
    frequency: Option<i64>,
}

impl Options {
    fn of(args: &Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut index = 4;
        while index < args.len() {
            let has_value = index + 1 < args.len();
            if args.is(index, "REPLACE") {
                options.replace = true;
            } else if args.is(index, "ABSTTL") {
                options.absolute = true;
            } else if args.is(index, "IDLETIME") && has_value && options.frequency.is_none() {
                index += 1;
                options.idle = Some(args.int(index)?);
                if options.idle < Some(0) {
                    return Err(IDLE);
                }
            } else if args.is(index, "FREQ") && has_value && options.idle.is_none() {
                index += 1;
                options.frequency = Some(args.int(index)?);
                if !(0..=255).contains(&args.int(index)?) {
                    return Err(FREQUENCY);
                }
            } else {
                return Err(Error::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }

    /// When a key with this time to live expires; 0 is never.
    fn expiry(&self, ttl: i64, now: Millis) -> Option<Millis> {
        let ttl = u64::try_from(ttl).ok().filter(|&ttl| ttl > 0)?;
        Some(if self.absolute { ttl } else { ttl.saturating_add(now).min(i64::MAX as u64) })
    }
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`.
fn restore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let options = Options::of(args)?;
    let (key, now) = (scope.first(args), scope.now);
    if !options.replace && scope.keyspace.contains(key, now) {
        return Err(BUSY);
    }
    let ttl = args.int(2)?;
    if ttl < 0 {
        return Err(TTL);
    }
    let (what, object) = opened(args.at(3)).ok_or(PAYLOAD)?;
    let mut decoder = Decoder::default();
    let value = decoder.decode(what, object, scope.rules, now).map_err(|_| BAD)?;
    let expiry = options.expiry(ttl, now);
    if matches!(value, Decoded::Nothing) || expiry.is_some_and(|at| at <= now) {
        scope.keyspace.delete(key, now);
    } else {
        let idle_seconds = options.idle.unwrap_or(0).unsigned_abs();
        let frequency = options.frequency.and_then(|count| u8::try_from(count).ok());
        scope.keyspace.restore(key, now, value, Aside { expiry, idle_seconds, frequency });
    }
    reply.ok();
    Ok(())
}

const BUSY: Error = Error::Text("BUSYKEY Target key name already exists.");
const TTL: Error = Error::Text("ERR Invalid TTL value, must be >= 0");
const IDLE: Error = Error::Text("ERR Invalid IDLETIME value, must be >= 0");
const FREQUENCY: Error = Error::Text("ERR Invalid FREQ value, must be >= 0 and <= 255");
const PAYLOAD: Error = Error::Text("ERR DUMP payload version or checksum are wrong");
const BAD: Error = Error::Text("ERR Bad data format");

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("dump", 2, Group::Generic, Plan::One(dump))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RO", "access"])])
        .about("2.6.0", "Answers a value as bytes that RESTORE takes"),
    Row::new("restore", -4, Group::Generic, Plan::One(restore))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .categories(KEYSPACE | DANGEROUS)
        .keys(&[KeySpec::one(1, &["OW", "update"])])
        .about("2.6.0", "Gives a key the value that DUMP made bytes of"),
];
