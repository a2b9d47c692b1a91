//! DEBUG POPULATE: many keys of one form, some of them at a time.

use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::fold::Fold;
use crate::keyspace::Expiry;

use crate::shard::Scope;
use crate::value::Content;
use pinion_io::resp::Reply;

/// Gives every key `prefix:number` of this shard, of numbers from a first to before a last, a value
/// `value:number`, unless it is there. Where a size is asked for, the value is cut to it, or filled
/// up with zeros. The words are those four. No client can name it.
pub static FILLED: Row =
    Row::new("|filled", 5, Group::Server, Plan::Every { run: filled, fold: Fold::Ok })
        .flags(&[Flags::WRITE]);

fn filled(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let prefix = args.at(1);
    let (first, last) = (args.int(2)?, args.int(3)?);
    let size = usize::try_from(args.int(4)?).unwrap_or(0);
    let (mut name, mut value) = ([prefix, b":"].concat(), Vec::new());
    for number in first..last {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        name.truncate(prefix.len() + 1);
        name.extend_from_slice(digits);
        let key = scope.key(&name);
        if scope.route.owner(&name) != scope.shard || scope.keyspace.contains(key, scope.now) {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits);
        if size > 0 {
            value.resize(size, 0);
        }
        scope.keyspace.set(key, scope.now, Content::of(&value), Expiry::Clear);
    }
    reply.ok();
    Ok(())
}
