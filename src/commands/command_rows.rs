//! How a row is told to clients: COMMAND INFO and COMMAND DOCS, derived from the row alone.

use super::table::{FindError, Found, find_word, session_rows};
use super::{SessionRow, syntax};
use pinion_io::resp::Reply;
use pinion_shards::commands::{
    ADMINISTRATION, Access, Begin, CONNECTION, DANGEROUS, ELEMENTS, Find, Flags, Group, KEYSPACE,
    KeySpec, Plan, Row, rows,
};
use pinion_shards::fold::Fold;

/// A command as clients know it: its row, and those of its subcommands wherever they run.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What is said about it.
    pub(crate) row: &'static Row,
    /// Its subcommands, if it is a container.
    pub(crate) subcommands: Vec<&'static Row>,
    /// False for a command whose parts have rows of their own only because they run on the shards.
    pub(crate) is_container: bool,
}

impl Entry {
    fn new(shard: Option<&'static Row>, session: Option<&'static SessionRow>) -> Option<Self> {
        let row = session.map(|session| &session.row).or(shard)?;
        let here = session.map_or(&[][..], |session| session.subcommands);
        let there = match shard.map(|row| row.plan) {
            Some(Plan::Container(rows)) => rows,
            _ => &[],
        };
        let subcommands = here.iter().map(|inner| &inner.row).chain(there).collect();
        let is_container = session.is_none_or(|session| !session.subcommands.is_empty());
        Some(Self { row, subcommands, is_container })
    }

    /// Every command, without the subcommands.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let here = session_rows().filter_map(|session| {
            Self::new(pinion_shards::commands::find(session.row.name.as_bytes()), Some(session))
        });
        let only_there =
            |row: &&'static Row| super::table::find_session(row.name.as_bytes()).is_none();
        here.chain(rows().filter(only_there).filter_map(|row| Self::new(Some(row), None)))
    }

    /// The command, or the subcommand as `container|name`, in any case.
    pub(super) fn find(name: &[u8]) -> Option<Self> {
        match name.iter().position(|&byte| byte == b'|') {
            None => {
                Self::new(pinion_shards::commands::find(name), super::table::find_session(name))
            }
            Some(bar) => match find_word(&name[..bar], Some(&name[bar + 1..])) {
                Ok(found) if found.row().name.contains('|') => {
                    let subcommands = Vec::new();
                    Some(Self { row: found.row(), subcommands, is_container: false })
                }
                Ok(Found::Shard(_) | Found::Session(_)) | Err(FindError::UnknownCommand) => None,
                Err(FindError::UnknownSubcommand(_) | FindError::SubcommandMissing(_)) => None,
            },
        }
    }

    /// Writes the ten values that COMMAND INFO gives.
    pub(super) fn write_info(&self, reply: &mut Reply<'_>) {
        write_head(self.row, reply);
        if self.subcommands.is_empty() {
            reply.set(0);
        } else {
            reply.array(self.subcommands.len());
        }
        for row in &self.subcommands {
            write_head(row, reply);
            reply.set(0);
        }
    }

    /// Writes the map that COMMAND DOCS gives.
    pub(super) fn write_docs(&self, reply: &mut Reply<'_>) {
        let inner = !self.subcommands.is_empty();
        write_about(self.row, inner, reply);
        if inner {
            reply.bulk(b"subcommands");
            reply.map(self.subcommands.len());
            for row in &self.subcommands {
                reply.bulk(row.name.as_bytes());
                write_about(row, false, reply);
            }
        }
    }
}

/// Writes all that COMMAND INFO gives of a row but the subcommands, which are the tenth value.
fn write_head(row: &Row, reply: &mut Reply<'_>) {
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.int(i64::from(row.arity));
    write_words(&flags(row), reply);
    for number in key_range(row) {
        reply.int(number);
    }
    write_words(&categories(row), reply);
    let tips = tips(row);
    reply.set(tips.len());
    for tip in tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(row.keys.len());
    for spec in row.keys {
        write_key_spec(spec, reply);
    }
}

/// Writes a set of words, each a simple string.
fn write_words(words: &[&str], reply: &mut Reply<'_>) {
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

/// Writes what happens to a key: its kind of access in capitals, as in `RW`, and details.
pub(super) fn write_access(access: Access, reply: &mut Reply<'_>) {
    reply.set(access.0.len());
    for word in access.0 {
        if word.len() == 2 {
            reply.simple(word);
        } else {
            reply.simple(&word.to_ascii_lowercase());
        }
    }
}

/// Writes the map of what is said about a row, but for its subcommands.
fn write_about(row: &Row, inner: bool, reply: &mut Reply<'_>) {
    let arguments = syntax::arguments(row.name);
    reply.map(3 + usize::from(!arguments.is_empty()) + usize::from(inner));
    let summary = format!("{}.", row.summary);
    for (key, value) in
        [("summary", summary.as_str()), ("since", row.since), ("group", row.group.name())]
    {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        syntax::write(&arguments, reply);
    }
}

fn write_key_spec(spec: &KeySpec, reply: &mut Reply<'_>) {
    let varies = spec.access.0.iter().any(|word| word.eq_ignore_ascii_case("variable_flags"));
    reply.map(3 + usize::from(varies));
    if varies {
        reply.bulk(b"notes");
        reply.bulk(b"The arguments say which of the flags hold");
    }
    reply.bulk(b"flags");
    write_access(spec.access, reply);
    match spec.begin {
        Begin::Index(index) | Begin::Unless(index, ..) => {
            write_part("begin_search", "index", &[("index", index.into())], reply);
        }
        Begin::Keyword(word, from, _) | Begin::LastKeyword(word, from, _) => {
            write_keyword(word, from.into(), reply);
        }
        Begin::Tail(word, ..) => write_keyword(word, FROM_END, reply),
    }
    match spec.find {
        Find::Range { last, step, limit } => {
            let numbers =
                [("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())];
            write_part("find_keys", "range", &numbers, reply);
        }
        Find::Counted { step } => {
            let numbers = [("keynumidx", 0), ("firstkey", 1), ("keystep", step.into())];
            write_part("find_keys", "keynum", &numbers, reply);
        }
    }
}

/// Where clients begin that look for an option from the end on: at the word before the last.
const FROM_END: i64 = -2;

fn write_keyword(word: &str, from: i64, reply: &mut Reply<'_>) {
    write_kind("begin_search", "keyword", 2, reply);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    reply.bulk(b"startfrom");
    reply.int(from);
}

fn write_part(part: &str, kind: &str, numbers: &[(&str, i64)], reply: &mut Reply<'_>) {
    write_kind(part, kind, numbers.len(), reply);
    for &(key, value) in numbers {
        reply.bulk(key.as_bytes());
        reply.int(value);
    }
}

fn write_kind(part: &str, kind: &str, len: usize, reply: &mut Reply<'_>) {
    reply.bulk(part.as_bytes());
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(len);
}

/// First key, last key and step in the old form, which knows one run of keys: the first run, and
/// those that follow it without a gap.
fn key_range(row: &Row) -> [i64; 3] {
    let mut range = [0; 3];
    for spec in row.keys {
        let (Begin::Index(index) | Begin::Unless(index, ..), Find::Range { last, step, .. }) =
            (spec.begin, spec.find)
        else {
            continue;
        };
        let first = i64::from(index);
        let last = if last >= 0 { first + i64::from(last) } else { i64::from(last) };
        if range[0] == 0 {
            range = [first, last, i64::from(step)];
        } else if first == range[1] + 1 {
            range[1] = last;
        }
    }
    range
}

/// Names of the flags, in Redis's order.
fn flags(row: &Row) -> Vec<&'static str> {
    [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::MOVABLEKEYS, "movablekeys"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::ALLOW_BUSY, "allow_busy"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    ]
    .into_iter()
    .filter(|(flag, _)| row.flags.has(*flag))
    .map(|(_, name)| name)
    .collect()
}

/// Names of the ACL categories, in Redis's order: most follow from the flags and the group.
pub(crate) fn categories(row: &Row) -> Vec<&'static str> {
    let has = |flag| row.flags.has(flag);
    let marked = |bit| row.categories & bit != 0;
    // A container has no flags, and is not in the category of its group: its subcommands are.
    let of = |group| row.group == group && row.flags != Flags(0);
    [
        (marked(KEYSPACE), "@keyspace"),
        (has(Flags::READONLY), "@read"),
        (has(Flags::WRITE), "@write"),
        (marked(ELEMENTS) || of(Group::Set), "@set"),
        (marked(ELEMENTS) || of(Group::SortedSet), "@sortedset"),
        (marked(ELEMENTS) || of(Group::List), "@list"),
        (of(Group::Hash), "@hash"),
        (of(Group::String), "@string"),
        (of(Group::Bitmap), "@bitmap"),
        (of(Group::HyperLogLog), "@hyperloglog"),
        (of(Group::Geo), "@geo"),
        (of(Group::Stream), "@stream"),
        (of(Group::Transactions), "@transaction"),
        (of(Group::Scripting), "@scripting"),
        (has(Flags::PUBSUB), "@pubsub"),
        (marked(ADMINISTRATION) || has(Flags::ADMIN), "@admin"),
        (has(Flags::FAST), "@fast"),
        (!has(Flags::FAST), "@slow"),
        (has(Flags::BLOCKING), "@blocking"),
        (marked(DANGEROUS) || has(Flags::ADMIN), "@dangerous"),
        (marked(CONNECTION) || of(Group::Connection), "@connection"),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, name)| name)
    .collect()
}

/// Hints for clients of a cluster, which follow from how the work is laid over shards.
fn tips(row: &Row) -> Vec<&'static str> {
    let (request, fold) = match row.plan {
        Plan::Each { fold, .. } => ("request_policy:multi_shard", fold),
        Plan::Every { fold, .. } => ("request_policy:all_shards", fold),
        _ => return Vec::new(),
    };
    let mut tips = vec![request];
    match fold {
        Fold::Sum => tips.push("response_policy:agg_sum"),
        Fold::Ok => tips.push("response_policy:all_succeeded"),
        _ => {}
    }
    tips
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_io::resp::Protocol;

    const TWO: &[KeySpec] = &[KeySpec::one(1, &["RO"]), KeySpec::one(2, &["OW"])];
    const PAIRS: &[KeySpec] = &[KeySpec::rest(1, 2, &["OW"])];

    #[test]
    fn the_old_form_of_key_positions() {
        let row = Row::new("x", 3, Group::String, Plan::Session);
        assert_eq!(key_range(&row), [0, 0, 0]);
        assert_eq!(key_range(&row.keys(TWO)), [1, 2, 1]);
        assert_eq!(key_range(&row.keys(PAIRS)), [1, -1, 2]);
    }

    #[test]
    fn an_entry_of_redis_s_shape() {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, Protocol::Resp2);
        Entry::find(b"CLIENT|Id").unwrap().write_info(&mut reply);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "*10\r\n$9\r\nclient|id\r\n:2\r\n*3\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n\
             :0\r\n*2\r\n+@slow\r\n+@connection\r\n*0\r\n*0\r\n*0\r\n"
        );
    }

    #[test]
    fn entries_are_found_and_stand_once() {
        let names: Vec<_> = Entry::all().map(|entry| entry.row.name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name} stands once");
            assert_eq!(Entry::find(name.to_uppercase().as_bytes()).unwrap().row.name, *name);
        }
        assert!(names.contains(&"config"));
        for name in ["", "|", "client|", "client|nosuch", "get|set", "ping|x", "nosuch"] {
            assert!(Entry::find(name.as_bytes()).is_none(), "{name}");
        }
    }
}
