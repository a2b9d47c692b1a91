//! Unites, intersects and subtracts sorted sets, and plain sets whose members all score 1.

use super::score::parse;
use super::write_members;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, parse_int};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Item, Rules, SetRef, SortedSet, SortedSetRef, Value};
use pinion_io::resp::Reply;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What is made of several sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// What becomes of several scores of one member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            // Infinity less infinity counts as nothing.
            Self::Sum => zero_for_nan(one + other),
            Self::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Self::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

fn zero_for_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A set that is combined, with the weight of its scores.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    kept: Kept<'a>,
    weight: f64,
}

/// How the members of a source are kept.
#[derive(Clone, Copy, Debug)]
enum Kept<'a> {
    Nowhere,
    Sorted(SortedSetRef<'a>),
    /// All members score 1.
    Plain(SetRef<'a>),
}

impl<'a> Kept<'a> {
    fn of(value: Option<Value<'a>>) -> Result<Self, Error> {
        match value {
            None => Ok(Self::Nowhere),
            Some(Value::SortedSet(set)) => Ok(Self::Sorted(set)),
            Some(Value::Set(set)) => Ok(Self::Plain(set)),
            Some(_) => Err(Error::WrongType),
        }
    }
}

impl<'a> Source<'a> {
    fn len(&self) -> usize {
        match self.kept {
            Kept::Nowhere => 0,
            Kept::Sorted(set) => set.len(),
            Kept::Plain(set) => set.len(),
        }
    }

    /// The weighted score of a member, perhaps not a number.
    fn score(&self, member: &[u8], rules: &Rules) -> Option<f64> {
        let score = match self.kept {
            Kept::Nowhere => None,
            Kept::Sorted(set) => set.score(member, rules),
            Kept::Plain(set) => set.contains(rules, member).then_some(1.0),
        };
        Some(score? * self.weight)
    }

    /// Members with their weighted scores.
    fn iter(&self) -> impl Iterator<Item = (Item<'a>, f64)> + use<'a> {
        let (sorted, plain) = match self.kept {
            Kept::Nowhere => (None, None),
            Kept::Sorted(set) => (Some(set), None),
            Kept::Plain(set) => (None, Some(set)),
        };
        let weight = self.weight;
        let sorted = sorted.into_iter().flat_map(SortedSetRef::iter);
        let plain = plain.into_iter().flat_map(|set| set.iter().map(|member| (member, 1.0)));
        let members = sorted.chain(plain);
        members.map(move |(member, score)| (member, zero_for_nan(score * weight)))
    }
}

/// A command of this file: what it does, and which options it has.
#[derive(Clone, Copy, Debug)]
struct Form {
    name: &'static str,
    operation: Operation,
    /// Where the number of keys stands.
    number: usize,
    output: Output,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Output {
    /// The members are answered.
    Answer,
    /// They are kept under the first key.
    Store,
    /// They are counted.
    Count,
}

/// The words behind the keys.
#[derive(Clone, Copy, Debug)]
struct Options {
    /// Where the first weight stands, if there are some.
    weights: Option<usize>,
    aggregate: Aggregate,
    with_scores: bool,
    /// The most that is counted.
    limit: usize,
}

impl Form {
    /// How many keys there are.
    fn keys(&self, args: &Args<'_>) -> Result<usize, Error> {
        let count = args.int(self.number)?;
        let count = usize::try_from(count).ok().filter(|&count| count > 0);
        let count = count.ok_or(Error::NoInputKey(self.name))?;
        if count > args.len() - self.number - 1 { Err(Error::Syntax) } else { Ok(count) }
    }

    /// Reads the options from argument `at` on.
    fn options(&self, args: &Args<'_>, mut at: usize, keys: usize) -> Result<Options, Error> {
        let mut options = Options {
            weights: None,
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        let combines = self.operation != Operation::Diff && self.output != Output::Count;
        while at < args.len() {
            let rest = args.len() - at - 1;
            if combines && rest >= keys && args.is(at, "WEIGHTS") {
                options.weights = Some(at + 1);
                for index in at + 1..=at + keys {
                    weight(args, index)?;
                }
                at += keys;
            } else if combines && rest >= 1 && args.is(at, "AGGREGATE") {
                options.aggregate = if args.is(at + 1, "SUM") {
                    Aggregate::Sum
                } else if args.is(at + 1, "MIN") {
                    Aggregate::Min
                } else if args.is(at + 1, "MAX") {
                    Aggregate::Max
                } else {
                    return Err(Error::Syntax);
                };
                at += 1;
            } else if self.output == Output::Answer && args.is(at, "WITHSCORES") {
                options.with_scores = true;
            } else if self.output == Output::Count && rest >= 1 && args.is(at, "LIMIT") {
                let limit =
                    parse_int(args.at(at + 1)).and_then(|limit| usize::try_from(limit).ok());
                let limit = limit.ok_or(Error::Text("ERR LIMIT can't be negative"))?;
                options.limit = if limit == 0 { usize::MAX } else { limit };
                at += 1;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn weight(args: &Args<'_>, index: usize) -> Result<f64, Error> {
    parse(args.at(index)).ok_or(Error::Text("ERR weight value is not a float"))
}

/// A member of a result, and its score.
type Scored<'a> = (Cow<'a, [u8]>, f64);

fn text(member: Item<'_>) -> Cow<'_, [u8]> {
    match member {
        Item::Str(bytes) => Cow::Borrowed(bytes),
        Item::Int(value) => Cow::Owned(value.to_string().into_bytes()),
    }
}

/// A member with its hash, under which it is looked for.
#[derive(Eq)]
struct Hashed<'a> {
    hash: u64,
    member: Cow<'a, [u8]>,
}

impl PartialEq for Hashed<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.member == other.member
    }
}

impl Hash for Hashed<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

/// Takes a hash for what it is.
#[derive(Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is a word");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Adds scores up from the smallest set to the largest, as Redis does: the order shows in the last
/// digits.
fn union<'a>(sources: &mut [Source<'a>], aggregate: Aggregate, rules: &Rules) -> Vec<Scored<'a>> {
    sources.sort_by_key(Source::len);
    let largest = sources.last().map_or(0, Source::len);
    let mut scores: HashMap<Hashed<'a>, f64, BuildHasherDefault<Known>> = HashMap::default();
    scores.reserve(largest);
    for source in sources {
        for (member, score) in source.iter() {
            let member = text(member);
            let hash = rules.hasher.hash(&member);
            scores
                .entry(Hashed { hash, member })
                .and_modify(|sum| *sum = aggregate.of(*sum, score))
                .or_insert(score);
        }
    }
    scores.into_iter().map(|(hashed, score)| (hashed.member, score)).collect()
}

/// The members that all sets have, found from the smallest. What is not a number in another has
/// no part in the least or greatest score, and makes a sum 0: so it is in Redis.
fn inter<'a>(
    sources: &mut [Source<'a>],
    aggregate: Aggregate,
    rules: &Rules,
) -> impl Iterator<Item = Scored<'a>> {
    sources.sort_by_key(Source::len);
    let (smallest, others) = sources.split_first().expect("there is a key at least");
    smallest.iter().filter_map(move |(member, score)| {
        let member = text(member);
        let mut sum = score;
        for other in others.iter() {
            sum = aggregate.of(sum, other.score(&member, rules)?);
        }
        Some((member, sum))
    })
}

/// The members of the first set that no other has.
fn diff<'a>(sources: &[Source<'a>], rules: &Rules) -> Vec<Scored<'a>> {
    let (first, others) = sources.split_first().expect("there is a key at least");
    let members = first.iter().map(|(member, score)| (text(member), score));
    let is_left =
        |scored: &Scored<'_>| others.iter().all(|other| other.score(&scored.0, rules).is_none());
    members.filter(is_left).collect()
}

fn combine(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), Error> {
    let keys = form.keys(args)?;
    let first = form.number + 1;
    let rules = scope.rules;
    let values = scope.sources(args, first..first + keys);
    let sets = values.into_iter().map(Kept::of).collect::<Result<Vec<_>, _>>()?;
    let options = form.options(args, first + keys, keys)?;
    let mut sources = Vec::with_capacity(keys);
    for (index, kept) in sets.into_iter().enumerate() {
        let weight = options.weights.map_or(Ok(1.0), |at| weight(args, at + index))?;
        sources.push(Source { kept, weight });
    }
    if form.output == Output::Count {
        let count = inter(&mut sources, options.aggregate, rules).take(options.limit).count();
        reply.int(count as i64);
        return Ok(());
    }
    let mut result = match form.operation {
        Operation::Union => union(&mut sources, options.aggregate, rules),
        Operation::Inter => inter(&mut sources, options.aggregate, rules).collect(),
        Operation::Diff => diff(&sources, rules),
    };
    result.sort_unstable_by(|one, other| {
        let by_score = one.1.partial_cmp(&other.1).expect("scores have an order");
        by_score.then_with(|| one.0.cmp(&other.0))
    });
    if form.output == Output::Answer {
        let members = result.iter().map(|(member, score)| (Item::Str(member), *score));
        write_members(members, options.with_scores, reply);
        return Ok(());
    }
    let longest = result.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let mut stored = SortedSet::with_room(result.len(), longest, rules);
    for (member, score) in &result {
        stored.put(member, *score, rules);
    }
    reply.int(result.len() as i64);
    let key = scope.first(args);
    scope.keyspace.store(key, scope.now, stored, (Class::SORTED_SET, form.name));
    Ok(())
}

/// `ZUNION numkeys key... [WEIGHTS weight...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
fn zunion(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    answer(scope, args, reply, "zunion", Operation::Union)
}

/// `ZINTER numkeys key... [WEIGHTS weight...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
fn zinter(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    answer(scope, args, reply, "zinter", Operation::Inter)
}

/// `ZDIFF numkeys key... [WITHSCORES]`
fn zdiff(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    answer(scope, args, reply, "zdiff", Operation::Diff)
}

fn answer(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    name: &'static str,
    operation: Operation,
) -> Result<(), Error> {
    combine(scope, args, reply, Form { name, operation, number: 1, output: Output::Answer })
}

/// `ZUNIONSTORE destination numkeys key... [WEIGHTS weight...] [AGGREGATE SUM | MIN | MAX]`
fn zunionstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(scope, args, reply, "zunionstore", Operation::Union)
}

/// `ZINTERSTORE destination numkeys key... [WEIGHTS weight...] [AGGREGATE SUM | MIN | MAX]`
fn zinterstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(scope, args, reply, "zinterstore", Operation::Inter)
}

/// `ZDIFFSTORE destination numkeys key...`
fn zdiffstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(scope, args, reply, "zdiffstore", Operation::Diff)
}

fn store(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    name: &'static str,
    operation: Operation,
) -> Result<(), Error> {
    combine(scope, args, reply, Form { name, operation, number: 2, output: Output::Store })
}

/// `ZINTERCARD numkeys key... [LIMIT limit]`
fn zintercard(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let operation = Operation::Inter;
    let form = Form { name: "zintercard", operation, number: 1, output: Output::Count };
    combine(scope, args, reply, form)
}

const READ: &[KeySpec] = &[KeySpec::counted(1, 1, &["RO", "ACCESS"])];
const READ_FLAGS: &[Flags] = &[Flags::READONLY, Flags::MOVABLEKEYS];
const STORE: &[KeySpec] =
    &[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::counted(2, 1, &["RO", "ACCESS"])];
const STORE_FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zunion", -3, Group::SortedSet, Plan::gather(zunion))
        .flags(READ_FLAGS)
        .keys(READ)
        .about("6.2.0", "Unites sorted sets"),
    Row::new("zinter", -3, Group::SortedSet, Plan::gather(zinter))
        .flags(READ_FLAGS)
        .keys(READ)
        .about("6.2.0", "Finds the members that all of several sorted sets have"),
    Row::new("zdiff", -3, Group::SortedSet, Plan::gather(zdiff))
        .flags(READ_FLAGS)
        .keys(READ)
        .about("6.2.0", "Finds the members of a sorted set that no other has"),
    Row::new("zunionstore", -4, Group::SortedSet, Plan::gather(zunionstore))
        .flags(STORE_FLAGS)
        .keys(STORE)
        .about("2.0.0", "Unites sorted sets and keeps the result"),
    Row::new("zinterstore", -4, Group::SortedSet, Plan::gather(zinterstore))
        .flags(STORE_FLAGS)
        .keys(STORE)
        .about("2.0.0", "Keeps the members that all of several sorted sets have"),
    Row::new("zdiffstore", -4, Group::SortedSet, Plan::gather(zdiffstore))
        .flags(STORE_FLAGS)
        .keys(STORE)
        .about("6.2.0", "Keeps the members of a sorted set that no other has"),
    Row::new("zintercard", -3, Group::SortedSet, Plan::gather(zintercard))
        .flags(READ_FLAGS)
        .keys(READ)
        .about("7.0.0", "Counts the members that all of several sorted sets have"),
];
