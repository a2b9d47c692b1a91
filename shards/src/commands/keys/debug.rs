//! DEBUG, where a shard answers: how a value is kept, and digests of what there is.

use super::object::{LRU_CLOCK_MASK, look};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::digest::Digest;
use crate::error::Error;
use crate::fold::Fold;
use crate::shard::Scope;
use crate::value::{Kind as _, List, Rules, Value};
use pinion_io::resp::Reply;

/// `DEBUG OBJECT key`, in the words that test suites look for. Addresses are nobody's business,
/// and bytes in memory stand for those of a serialised form that does not exist yet.
fn object(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (now, rules) = (scope.now, scope.rules);
    let record = look(scope, args, reply).ok_or(Error::NoSuchKey)?;
    let idle = record.idle_seconds(now);
    let used = (now / 1000).wrapping_sub(u64::from(idle)) & LRU_CLOCK_MASK;
    let nodes = match record.value() {
        Value::List(list) => nodes(list, rules),
        _ => String::new(),
    };
    reply.simple(&format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{used} \
         lru_seconds_idle:{idle}{nodes}",
        record.encoding(),
        record.bytes(),
    ));
    Ok(())
}

/// What is told of the nodes of a long list, by the settings as they are now.
fn nodes(list: &List, rules: &Rules) -> String {
    let Some((nodes, bytes)) = list.nodes() else { return String::new() };
    let average = list.len() as f64 / nodes as f64;
    let max = rules.list_max_listpack_size.clamp(QUICKLIST_FILL_MIN, QUICKLIST_FILL_MAX);
    let compressed = u8::from(rules.list_compress_depth > 0);
    format!(
        " ql_nodes:{nodes} ql_avg_node:{average:.2} ql_listpack_max:{max} \
         ql_compressed:{compressed} ql_uncompressed_size:{bytes}"
    )
}

/// The largest size of a node that is told: -5 for 64 KiB, or as many elements.
const QUICKLIST_FILL_MIN: i32 = -5;
const QUICKLIST_FILL_MAX: i32 = i16::MAX as i32;

/// `DEBUG DIGEST`: the digest of this shard's keys in each database that has some, for the fold.
fn digest(scope: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let mut digests = Vec::new();
    for db in 0..scope.keyspace.databases() {
        let (mut keys, mut has_keys) = (Digest::default(), false);
        scope.keyspace.each(db, scope.now, |record| {
            keys.add(&Digest::of_key(record, scope.now).0);
            has_keys = true;
        });
        digests.extend(has_keys.then_some((db, keys)));
    }
    reply.array(digests.len() * 2);
    for (db, keys) in digests {
        reply.int(i64::from(db));
        reply.bulk(&keys.0);
    }
    Ok(())
}

/// `DEBUG DIGEST-VALUE [key ...]`.
fn digest_value(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    reply.array(args.len() - 2);
    for name in args.from(2) {
        let key = scope.key(name);
        let record = scope.keyspace.peek(key, scope.now);
        let digest = record.map(|record| Digest::of_value(record, scope.now));
        reply.simple(&digest.unwrap_or_default().to_string());
    }
    Ok(())
}

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

const DEBUG: &[Row] = &[
    Row::new("debug|digest", 2, Group::Server, Plan::Every { run: digest, fold: Fold::Digest })
        .flags(FLAGS)
        .about("1.0.0", "Digests all keys with their values, for tests"),
    Row::new("debug|digest-value", -2, Group::Server, Plan::each(digest_value, Fold::Interleave))
        .flags(FLAGS)
        .keys(&[KeySpec::rest(2, 1, &["RO"])])
        .about("1.0.0", "Digests the values of some keys, for tests"),
    Row::new("debug|object", 3, Group::Server, Plan::One(object))
        .flags(FLAGS)
        .keys(&[KeySpec::one(2, &["RO"])])
        .about("1.0.0", "Tells how a key's value is kept, for tests"),
];

/// DEBUG has more subcommands, which run in the session: these need shards.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("debug", -2, Group::Server, Plan::Container(DEBUG))
        .flags(FLAGS)
        .about("1.0.0", "Does what tests need")];
