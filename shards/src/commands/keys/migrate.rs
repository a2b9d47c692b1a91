//! What MIGRATE reads of a key: the request that makes the same key elsewhere.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Record;
use crate::shard::Scope;
use crate::snapshot::{Encoder, Purpose};
use pinion_io::resp::Reply;

/// Answers, in place of a reply, the RESTORE that makes a key on another server, or nothing where
/// there is none; a word behind the key is RESTORE's. No client can name it.
pub static SENT: Row = Row::new("|sent", -2, Group::Generic, Plan::One(sent))
    .flags(&[Flags::READONLY])
    .keys(&[KeySpec::one(1, &["RO"])]);

fn sent(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (key, now) = (scope.first(args), scope.now);
    let expiry = scope.keyspace.peek(key, now).and_then(Record::expiry);
    let Some(value) = scope.keyspace.get(key, now) else { return Ok(()) };
    let payload = Encoder::new(Purpose::Dump, scope.rules.rdb_compression).dump(value);
    // 0 is for ever, so what is due at this instant has a moment left.
    let ttl = expiry.map_or(0, |at| at.saturating_sub(now).max(1));
    reply.array(args.len() + 2);
    reply.bulk(b"RESTORE");
    reply.bulk(key.bytes);
    reply.bulk(itoa::Buffer::new().format(ttl).as_bytes());
    reply.bulk(&payload);
    args.from(2).for_each(|word| reply.bulk(word));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Words, find};
    use crate::{Call, Sender, Shard, Task};
    use pinion_io::resp::Protocol;

    fn run(shard: &mut Shard, row: &'static Row, request: &str) -> String {
        let mut words = Words::default();
        words.extend(request.split(' ').map(str::as_bytes));
        let (Plan::One(run) | Plan::Each { run, .. }) = row.plan else { unreachable!("of one") };
        let (args, hash) = (words.args(), shard.hash(words.args().at(1)));
        let (task, sender) = (Task::Run(row, run), Sender(0));
        let call = Call { task, sender, db: 0, hash, speaker: None, args };
        let mut out = Vec::new();
        shard.run(1000, &call, &mut Reply::new(&mut out, Protocol::Resp2));
        out.iter().map(|&byte| byte as char).collect()
    }

    #[test]
    fn a_key_is_sent_with_what_is_left_of_its_time() {
        let mut shard = Shard::new(0, 1, 1, 7);
        let set = find(b"set").expect("a row");
        assert_eq!(run(&mut shard, set, "set k v px 250"), "+OK\r\n");
        assert_eq!(run(&mut shard, set, "set j v"), "+OK\r\n");
        let text = run(&mut shard, &SENT, "|sent k REPLACE");
        let head = "*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$3\r\n250\r\n$13\r\n\0\u{1}v";
        assert!(text.starts_with(head) && text.ends_with("\r\n$7\r\nREPLACE\r\n"), "{text}");
        let text = run(&mut shard, &SENT, "|sent j");
        assert!(text.starts_with("*4\r\n$7\r\nRESTORE\r\n$1\r\nj\r\n$1\r\n0\r\n"), "{text}");
        assert_eq!(run(&mut shard, &SENT, "|sent nosuch"), "");
    }
}
