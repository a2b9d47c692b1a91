//! SORT: the elements of a list, set or sorted set in order, by themselves or by other keys.
//!
//! The elements are copied out first, one behind the other; what is sorted are small rows that
//! name their places. Only as much is brought into order as LIMIT asks for.
//!
//! Where patterns name keys that may live on any shard, every shard gets a copy of the elements
//! and says what those keys hold that are its own, as a hash by pattern and element.

use crate::carried::copy_out;
use crate::commands::{
    Args, Ask, DANGEROUS, ELEMENTS, Flags, Group, KeySpec, Move, Others, Plan, Row,
};
use crate::error::Error;
use crate::keyspace::Class;
use crate::route;

use crate::shard::Scope;
use crate::value::{Hash, Kind as _, List, Side, Value};
use pinion_io::resp::Reply;
use std::cmp::Ordering;
use std::ops::Range;

/// What a command asks for, beside the key.
#[derive(Debug, Default)]
struct Options<'a> {
    descending: bool,
    /// By bytes, not by number.
    alpha: bool,
    /// First element, and how many if that is not negative.
    limit: Option<(i64, i64)>,
    by: By<'a>,
    gets: Vec<Get<'a>>,
    store: Option<&'a [u8]>,
}

/// What elements are compared by.
#[derive(Clone, Copy, Debug, Default)]
enum By<'a> {
    #[default]
    Element,
    /// Nothing: they stay as they are.
    Nothing,
    Pattern(Pattern<'a>),
}

/// What is answered of each element.
#[derive(Clone, Copy, Debug)]
enum Get<'a> {
    Element,
    /// A pattern that names no key.
    Nothing,
    Pattern(Pattern<'a>),
}

/// The name of a key, with the element in its middle, and perhaps a field of the hash it holds.
#[derive(Clone, Copy, Debug)]
struct Pattern<'a> {
    /// Index of its word.
    index: usize,
    before: &'a [u8],
    after: &'a [u8],
    field: Option<&'a [u8]>,
}

/// Bytes copied from many values, one behind the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// One element while it is sorted.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    index: usize,
    score: f64,
}

impl<'a> Pattern<'a> {
    /// The pattern, if it has a place for the element.
    fn parse(index: usize, word: &'a [u8]) -> Option<Self> {
        let star = memchr::memchr(b'*', word)?;
        let (before, rest) = (&word[..star], &word[star + 1..]);
        let arrow = rest.windows(2).position(|two| two == b"->");
        Some(match arrow.filter(|at| at + 2 < rest.len()) {
            Some(at) => Self { index, before, after: &rest[..at], field: Some(&rest[at + 2..]) },
            None => Self { index, before, after: rest, field: None },
        })
    }

    /// True if every key it names lives with `key`: in the slot of a hash tag before the element.
    fn is_with(self, key: &[u8]) -> bool {
        route::has_tag(self.before) && route::slot(self.before) == route::slot(key)
    }

    /// Makes `name` the key for `element`.
    fn key(self, element: &[u8], name: &mut Vec<u8>) {
        name.clear();
        name.extend_from_slice(self.before);
        name.extend_from_slice(element);
        name.extend_from_slice(self.after);
    }

    /// Adds what the key for `element` holds to `texts`; false if there is nothing of that kind.
    fn look_up(
        self,
        scope: &mut Scope<'_>,
        element: &[u8],
        name: &mut Vec<u8>,
        texts: &mut Texts,
    ) -> bool {
        let mut digits = itoa::Buffer::new();
        let (rules, now) = (scope.rules, scope.now);
        self.key(element, name);
        let text = if scope.told(0).is_some() {
            let owner = scope.route.owner(name);
            self.told_name(element, name);
            match scope.told(owner) {
                Some(Value::Hash(told)) => told.find(rules, now, name),
                _ => None,
            }
            .map(|pair| pair.value.text(&mut digits))
        } else {
            let key = scope.key(name);
            match (scope.keyspace.get(key, now), self.field) {
                (Some(Value::Hash(hash)), Some(field)) => {
                    hash.find(rules, now, field).map(|pair| pair.value.text(&mut digits))
                }
                (Some(value), None) => value.text(&mut digits).ok(),
                _ => None,
            }
        };
        if let Some(text) = text {
            texts.push(text);
        }
        text.is_some()
    }

    /// Makes `name` that of the field under which a shard tells what it knows.
    fn told_name(self, element: &[u8], name: &mut Vec<u8>) {
        name.clear();
        name.extend_from_slice(&(self.index as u32).to_le_bytes());
        name.extend_from_slice(element);
    }
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn at(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

impl<'a> Options<'a> {
    /// From word 2 on; `may_store` where STORE is one of them.
    fn parse(args: &Args<'a>, may_store: bool) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut index = 2;
        while index < args.len() {
            let left = args.len() - index - 1;
            if args.is(index, "ASC") {
                options.descending = false;
            } else if args.is(index, "DESC") {
                options.descending = true;
            } else if args.is(index, "ALPHA") {
                options.alpha = true;
            } else if args.is(index, "LIMIT") && left >= 2 {
                options.limit = Some((args.int(index + 1)?, args.int(index + 2)?));
                index += 2;
            } else if may_store && args.is(index, "STORE") && left >= 1 {
                options.store = Some(args.at(index + 1));
                index += 1;
            } else if args.is(index, "BY") && left >= 1 {
                // Once they are to stay as they are, a later pattern changes nothing.
                options.by = match Pattern::parse(index + 1, args.at(index + 1)) {
                    None => By::Nothing,
                    Some(_) if matches!(options.by, By::Nothing) => By::Nothing,
                    Some(pattern) => By::Pattern(pattern),
                };
                index += 1;
            } else if args.is(index, "GET") && left >= 1 {
                let word = args.at(index + 1);
                options.gets.push(match Pattern::parse(index + 1, word) {
                    None if word == b"#" => Get::Element,
                    None => Get::Nothing,
                    Some(pattern) => Get::Pattern(pattern),
                });
                index += 1;
            } else {
                return Err(Error::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }

    /// The patterns that name keys.
    fn patterns(&self) -> impl Iterator<Item = Pattern<'a>> {
        let by = match self.by {
            By::Pattern(pattern) => Some(pattern),
            By::Element | By::Nothing => None,
        };
        let gets = self.gets.iter().filter_map(|get| match get {
            Get::Pattern(pattern) => Some(*pattern),
            Get::Element | Get::Nothing => None,
        });
        by.into_iter().chain(gets)
    }

    /// The places that are answered, of `len`.
    fn range(&self, len: usize) -> Range<usize> {
        let Some((start, count)) = self.limit else { return 0..len };
        let start = usize::try_from(start).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// True if the patterns of a request name keys that may live elsewhere than its elements, or than
/// where these are stored.
fn asks(args: &Args<'_>) -> bool {
    let Ok(options) = Options::parse(args, true) else { return false };
    let source = args.at(1);
    let moves = options.store.is_some_and(|store| route::slot(store) != route::slot(source));
    options.patterns().any(|pattern| moves || !pattern.is_with(source))
}

/// Sends along what the keys of this shard hold that the patterns name for the elements.
fn tell(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    let (mut told, rules, now) = (Hash::default(), scope.rules, scope.now);
    // What is wrong with the request is said where it is put together.
    if let Ok(options) = Options::parse(args, true)
        && let Ok((elements, _)) = elements(scope, args, &options)
    {
        let (mut name, mut found) = (Vec::new(), Texts::default());
        for pattern in options.patterns() {
            for element in (0..elements.len()).map(|index| elements.at(index)) {
                pattern.key(element, &mut name);
                if scope.route.owner(&name) != scope.shard {
                    continue;
                }
                found.clear();
                if pattern.look_up(scope, element, &mut name, &mut found) {
                    pattern.told_name(element, &mut name);
                    told.set(rules, now, (&name, found.at(0)), false);
                }
            }
        }
    }
    scope.carry(Some(told.into_object()), None);
    Ok(())
}

fn sort(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let options = Options::parse(args, true)?;
    let Some(store) = options.store else { return answer(scope, args, &options, reply) };
    debug_assert!(
        KeySpec::indexes(&STORE, args).map(|index| args.at(index)).eq([store]),
        "rules and routes have looked at the key that is written"
    );
    let (elements, order) = sorted(scope, args, &options)?;
    let (mut list, rules) = (List::default(), scope.rules);
    let mut found = Texts::default();
    each(scope, &options, (&elements, &order), &mut found, |text| {
        let text = text.unwrap_or_default();
        list.push(rules, Side::Right, std::iter::once(text));
    });
    reply.int(list.len() as i64);
    let key = scope.key(store);
    scope.keyspace.store(key, scope.now, list, (Class::LIST, "sortstore"));
    Ok(())
}

fn sort_ro(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let options = Options::parse(args, false)?;
    answer(scope, args, &options, reply)
}

fn answer(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    options: &Options<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let (elements, order) = sorted(scope, args, options)?;
    reply.array(order.len() * options.gets.len().max(1));
    let mut found = Texts::default();
    each(scope, options, (&elements, &order), &mut found, |text| match text {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    });
    Ok(())
}

/// What is answered, one after the other; `found` is memory for what is looked up.
fn each(
    scope: &mut Scope<'_>,
    options: &Options<'_>,
    (elements, order): (&Texts, &[usize]),
    found: &mut Texts,
    mut visit: impl FnMut(Option<&[u8]>),
) {
    let mut name = Vec::new();
    for &index in order {
        let element = elements.at(index);
        if options.gets.is_empty() {
            visit(Some(element));
        }
        for get in &options.gets {
            match get {
                Get::Element => visit(Some(element)),
                Get::Nothing => visit(None),
                Get::Pattern(pattern) => {
                    found.clear();
                    let there = pattern.look_up(scope, element, &mut name, found);
                    visit(there.then(|| found.at(0)));
                }
            }
        }
    }
}

/// The elements, and the places of those that are answered, in order.
fn sorted(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    options: &Options<'_>,
) -> Result<(Texts, Vec<usize>), Error> {
    let (elements, is_set) = elements(scope, args, options)?;
    let alpha = match options.by {
        // A set has no order that could be kept; where the result stays, it must not be one that
        // comes out differently elsewhere.
        By::Nothing if is_set && options.store.is_some() => true,
        By::Nothing => {
            let range = if is_set { options.range(elements.len()) } else { 0..elements.len() };
            return Ok((elements, range.collect()));
        }
        _ => options.alpha,
    };
    let mut rows: Vec<Ranked> =
        (0..elements.len()).map(|index| Ranked { index, score: 0.0 }).collect();
    let mut weights = Texts::default();
    // Where each element's weight is, if it has one.
    let mut places = Vec::new();
    if let By::Pattern(pattern) = options.by {
        let mut name = Vec::new();
        for index in 0..elements.len() {
            let there = pattern.look_up(scope, elements.at(index), &mut name, &mut weights);
            places.push(there.then(|| weights.len() - 1));
        }
    }
    let by_pattern = matches!(options.by, By::Pattern(_));
    let weight = |index: usize| match by_pattern {
        true => places[index].map(|place| weights.at(place)),
        false => Some(elements.at(index)),
    };
    if !alpha {
        for row in &mut rows {
            row.score = weight(row.index).map_or(Ok(0.0), score)?;
        }
    }
    let compare = |one: &Ranked, other: &Ranked| {
        let order = if alpha {
            weight(one.index).cmp(&weight(other.index))
        } else {
            let scores = one.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal);
            scores.then_with(|| elements.at(one.index).cmp(elements.at(other.index)))
        };
        let order = if options.descending { order.reverse() } else { order };
        order.then(one.index.cmp(&other.index))
    };
    let range = options.range(rows.len());
    let rows = arrange(&mut rows, range, compare);
    let order = rows.iter().map(|row| row.index).collect();
    Ok((elements, order))
}

/// Copies the elements out; true for those of a set. Where a list or a sorted set is to stay as
/// it is, only those that are answered.
fn elements(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    options: &Options<'_>,
) -> Result<(Texts, bool), Error> {
    let mut elements = Texts::default();
    let mut digits = itoa::Buffer::new();
    let keep = matches!(options.by, By::Nothing);
    let is_set = match scope.sources(args, 1..=1)[0] {
        None => false,
        Some(Value::Set(set)) => {
            set.iter().for_each(|item| elements.push(item.text(&mut digits)));
            true
        }
        Some(Value::List(list)) => {
            let range = if keep { options.range(list.len()) } else { 0..list.len() };
            let items = match keep && options.descending && !range.is_empty() {
                true => list.items(list.len() - 1 - range.start, Side::Right),
                false => list.items(range.start, Side::Left),
            };
            items.take(range.len()).for_each(|item| elements.push(item.text(&mut digits)));
            false
        }
        Some(Value::SortedSet(set)) => {
            let range = if keep { options.range(set.len()) } else { 0..set.len() };
            if keep && options.descending {
                let range = set.len() - range.end..set.len() - range.start;
                let members = set.range(range).rev();
                members.for_each(|(item, _)| elements.push(item.text(&mut digits)));
            } else {
                let members = set.range(range);
                members.for_each(|(item, _)| elements.push(item.text(&mut digits)));
            }
            false
        }
        Some(_) => return Err(Error::WrongType),
    };
    Ok((elements, is_set))
}

/// A number to sort by; nothing at all counts as 0.
fn score(text: &[u8]) -> Result<f64, Error> {
    const ERROR: Error = Error::Text("ERR One or more scores can't be converted into double");
    if text.is_empty() {
        return Ok(0.0);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| !number.is_nan()).ok_or(ERROR)
}

/// The rows of a range as they would be if all were sorted. Sorts no more than those.
fn arrange<T>(
    rows: &mut [T],
    range: Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering + Copy,
) -> &[T] {
    if range.is_empty() {
        return &[];
    }
    let mut rows = rows;
    if range.end < rows.len() {
        rows.select_nth_unstable_by(range.end, compare);
        rows = &mut rows[..range.end];
    }
    if range.start > 0 {
        rows.select_nth_unstable_by(range.start, compare);
        rows = &mut rows[range.start..];
    }
    rows.sort_unstable_by(compare);
    rows
}

/// The options that take words, which say what they like.
const OTHERS: Others = &[("BY", 1), ("GET", 1), ("LIMIT", 2)];
/// The key after the last STORE.
const STORE: KeySpec = KeySpec::after_last("STORE", 2, OTHERS, &["OW", "UPDATE"]);
/// Where the result is to be; without STORE, where the one key is.
const STORED: Move =
    Move { to: 1, take: copy_out, put: sort, settle: None, back: None, ask: Some(ASK) };
const ANSWERED: Move = Move { to: 0, put: sort_ro, ..STORED };
const ASK: Ask = Ask { is_needed: asks, run: tell };

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("sort", -2, Group::Generic, Plan::Move(STORED))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
        .categories(DANGEROUS | ELEMENTS)
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"]), STORE])
        .about("1.0.0", "Answers or stores elements in order, by themselves or by other keys"),
    Row::new("sort_ro", -2, Group::Generic, Plan::Move(ANSWERED))
        .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
        .categories(DANGEROUS | ELEMENTS)
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("7.0.0", "Answers elements in order, by themselves or by other keys"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_as_if_all_were_sorted() {
        let rows: Vec<u32> = (0..97).map(|i: u32| i.wrapping_mul(2_654_435_761) >> 20).collect();
        let mut wanted = rows.clone();
        wanted.sort_unstable();
        for start in 0..=97 {
            for end in start..=97 {
                let mut rows = rows.clone();
                assert_eq!(arrange(&mut rows, start..end, u32::cmp), &wanted[start..end]);
            }
        }
    }

    #[test]
    fn patterns_have_a_place_for_the_element() {
        assert!(Pattern::parse(3, b"nosort").is_none());
        for (word, before, after, field) in [
            ("w*", "w", "", None),
            ("a*b*c", "a", "b*c", None),
            ("h*->f", "h", "", Some("f")),
            ("h*x->f->g", "h", "x", Some("f->g")),
            ("h*->", "h", "->", None),
            ("h->*", "h->", "", None),
        ] {
            let pattern = Pattern::parse(3, word.as_bytes()).unwrap();
            assert_eq!((pattern.before, pattern.after), (before.as_bytes(), after.as_bytes()));
            assert_eq!(pattern.field, field.map(str::as_bytes), "{word}");
        }
    }

    #[test]
    fn keys_of_a_pattern_are_near_by_a_tag_before_the_element() {
        let near = |word: &str| Pattern::parse(3, word.as_bytes()).unwrap().is_with(b"{tag}key");
        assert!(near("{tag}*") && near("w{tag}*->f"));
        assert!(!near("{other}*") && !near("*{tag}") && !near("{tag*}") && !near("{}*{tag}"));
        assert!(!near("key*"));
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("", Some(0.0)),
            ("-1.5", Some(-1.5)),
            ("+1", Some(1.0)),
            ("1e400", Some(f64::INFINITY)),
            ("-INF", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("0x10", None),
            (" 1", None),
            ("1 ", None),
        ] {
            assert_eq!(score(text.as_bytes()).ok(), number, "{text}");
        }
    }
}
