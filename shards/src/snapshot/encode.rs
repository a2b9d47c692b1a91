//! Values become the objects of files, a long one in steps.
//!
//! `Encoder::record` writes a key with its value, or as much of it as is done at once; what is
//! left (`Rest`) is written by `Encoder::go_on` in steps of some hundred microseconds, while the
//! value stays as it is. So a hash of millions of fields holds nobody up for long, nor is copied.

mod streams;

use crate::limits::{
    ENCODE_AT_ONCE_MAX, ENCODE_COMPRESS_BYTES_MAX, ENCODE_STREAM_STEPS_MAX, ENCODE_TEXT_STEP_BYTES,
};
use crate::shard::Millis;
use crate::value::stream::{Id, Stream};
use crate::value::{
    HashRef, List, Listpack, Pair, SetRef, SortedSetRef, Stored, StoredNode, Value,
};
use pinion_rdb::kind;
use pinion_rdb::write::{self, Texts};

/// What objects are written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// For a file, which older servers should be able to load.
    File,
    /// For DUMP: as Redis 8 does it.
    Dump,
}

/// Writes values.
#[derive(Debug)]
pub struct Encoder {
    texts: Texts,
    plain: Texts,
    /// Where listpacks are made up as they stand in files.
    room: Vec<u8>,
    purpose: Purpose,
    version: u32,
}

/// What is left to be written of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rest(Stage);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// A long string, from this byte on.
    Text(usize),
    /// Members of a set.
    Members { next: u64, left: usize },
    /// Fields of a hash, with times from `since` on, if there are any.
    Fields { next: u64, left: usize, since: Option<Millis> },
    /// Members of a sorted set, those of the highest ranks first.
    Ranks { left: usize },
    /// Nodes of a list.
    Nodes { next: u64 },
    /// Nodes of a stream.
    Entries { next: Id },
    /// What is pending in a group.
    Pending { group: usize, next: Id },
    /// What is pending for a consumer of a group.
    Owned { group: usize, consumer: usize, next: Id },
}

impl Encoder {
    /// An encoder that compresses strings or not.
    pub fn new(purpose: Purpose, compress: bool) -> Self {
        let texts = if compress { Texts::compressed() } else { Texts::plain() };
        let (plain, version) = (Texts::plain(), kind::VERSION_REDIS_7_2);
        Self { texts, plain, room: Vec::new(), purpose, version }
    }

    /// The lowest version of Redis's format that has all that was written so far.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Writes a key with its value and expiry as they stand in a file. If something is left, the
    /// record is not whole until `go_on` has written that.
    #[inline]
    #[must_use]
    pub fn record(
        &mut self,
        (key, value, expiry): (&[u8], Value<'_>, Option<Millis>),
        out: &mut Vec<u8>,
    ) -> Option<Rest> {
        if let Some(at) = expiry {
            write::expiry(out, at);
        }
        out.push(self.kind(value));
        self.texts.text(out, key);
        self.begin(value, out)
    }

    /// Writes the object of a value, all at once.
    pub fn object(&mut self, value: Value<'_>, out: &mut Vec<u8>) {
        let mut rest = self.begin(value, out);
        while let Some(left) = &mut rest {
            if self.go_on(left, value, usize::MAX, out) {
                rest = None;
            }
        }
    }

    /// The payload of DUMP.
    pub fn dump(&mut self, value: Value<'_>) -> Vec<u8> {
        let mut out = vec![self.kind(value)];
        self.object(value, &mut out);
        super::seal(&mut out);
        out
    }

    /// The type of the object that a value becomes.
    #[inline]
    pub fn kind(&self, value: Value<'_>) -> u8 {
        match value {
            Value::Int(_) | Value::Str(_) => kind::STRING,
            Value::List(_) => kind::LIST_QUICKLIST_2,
            Value::Stream(_) => kind::STREAM_LISTPACKS_3,
            Value::Set(set) => match set.stored() {
                Stored::Ints(_) => kind::SET_INTSET,
                Stored::Packed(_) => kind::SET_LISTPACK,
                _ => kind::SET,
            },
            Value::SortedSet(set) => match set.stored() {
                Stored::Packed(_) => kind::ZSET_LISTPACK,
                _ => kind::ZSET_2,
            },
            Value::Hash(hash) => match (hash.stored(), hash.next_due()) {
                (Stored::Packed(_), _) => kind::HASH_LISTPACK,
                (Stored::Timed(_), None) if self.purpose == Purpose::File => kind::HASH,
                (Stored::Timed(_), _) => kind::HASH_LISTPACK_EX,
                (_, None) => kind::HASH,
                (_, Some(_)) => kind::HASH_METADATA,
            },
        }
    }

    /// Writes an object as far as that is done at once.
    #[inline]
    fn begin(&mut self, value: Value<'_>, out: &mut Vec<u8>) -> Option<Rest> {
        match value {
            Value::Str(text) => self.begin_text(text, out),
            Value::Int(number) => {
                self.texts.int(out, number);
                None
            }
            rich => self.begin_rich(rich, out),
        }
    }

    #[inline]
    fn begin_text(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<Rest> {
        if text.len() <= ENCODE_COMPRESS_BYTES_MAX || self.purpose == Purpose::Dump {
            self.texts.text(out, text);
            return None;
        }
        write::length(out, text.len() as u64);
        Some(Rest(Stage::Text(0)))
    }

    fn begin_rich(&mut self, value: Value<'_>, out: &mut Vec<u8>) -> Option<Rest> {
        let stage = match value {
            Value::Int(_) | Value::Str(_) => return None,
            Value::List(list) => {
                write::length(out, list.nodes().map_or(1, |(count, _)| count as u64));
                Stage::Nodes { next: 0 }
            }
            Value::Set(set) => match set.stored() {
                Stored::Ints(ints) => {
                    self.bytes(ints.as_bytes(), out);
                    return None;
                }
                Stored::Packed(packed) => return self.whole(packed, out),
                _ => {
                    write::length(out, set.len() as u64);
                    Stage::Members { next: 0, left: set.len() }
                }
            },
            Value::SortedSet(set) => match set.stored() {
                Stored::Packed(packed) => return self.whole(packed, out),
                _ => {
                    write::length(out, set.len() as u64);
                    Stage::Ranks { left: set.len() }
                }
            },
            Value::Hash(hash) => return self.begin_hash(hash, out),
            Value::Stream(stream) => {
                write::length(out, stream.log.nodes() as u64);
                Stage::Entries { next: Id::MIN }
            }
        };
        self.at_once(stage, value, out)
    }

    fn begin_hash(&mut self, hash: HashRef<'_>, out: &mut Vec<u8>) -> Option<Rest> {
        let (since, stored) = (hash.next_due(), hash.stored());
        if since.is_some() {
            self.version = self.version.max(kind::VERSION_REDIS_8);
        }
        match stored {
            Stored::Packed(packed) => return self.whole(packed, out),
            Stored::Timed(packed) if since.is_some() || self.purpose == Purpose::Dump => {
                self.version = kind::VERSION_REDIS_8;
                out.extend_from_slice(&since.unwrap_or(0).to_le_bytes());
                return self.whole(packed, out);
            }
            _ => {}
        }
        if let Some(since) = since {
            out.extend_from_slice(&since.to_le_bytes());
        }
        write::length(out, hash.len() as u64);
        let stage = Stage::Fields { next: 0, left: hash.len(), since };
        self.at_once(stage, Value::Hash(hash), out)
    }

    /// Writes what is done at once, which is all of a short value.
    fn at_once(&mut self, stage: Stage, value: Value<'_>, out: &mut Vec<u8>) -> Option<Rest> {
        let mut rest = Rest(stage);
        // Only a stream takes several steps though it is short: one for each group, and more.
        let steps = if matches!(value, Value::Stream(_)) { ENCODE_STREAM_STEPS_MAX } else { 1 };
        let budget = ENCODE_AT_ONCE_MAX / steps;
        for _ in 0..steps {
            if self.go_on(&mut rest, value, budget, out) {
                return None;
            }
        }
        Some(rest)
    }

    /// Writes a listpack that is all there is of a value.
    fn whole(&mut self, packed: &Listpack, out: &mut Vec<u8>) -> Option<Rest> {
        self.packed(packed, out);
        None
    }

    /// Writes a listpack.
    fn packed(&mut self, packed: &Listpack, out: &mut Vec<u8>) {
        let mut room = std::mem::take(&mut self.room);
        packed.write_to(&mut room);
        self.bytes(&room, out);
        room.clear();
        room.shrink_to(ENCODE_COMPRESS_BYTES_MAX);
        self.room = room;
    }

    /// Writes a string that is compressed unless that would take long.
    fn bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.len() <= ENCODE_COMPRESS_BYTES_MAX || self.purpose == Purpose::Dump {
            self.texts.long(out, bytes);
        } else {
            self.plain.long(out, bytes);
        }
    }

    /// Writes about `budget` elements more of a value that has not changed since the last step;
    /// true when that was the last.
    ///
    /// # Panics
    /// If the value has changed: what was promised at the head of the record would be wrong.
    pub fn go_on(
        &mut self,
        rest: &mut Rest,
        value: Value<'_>,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let budget = budget.max(1);
        let next = match (value, rest.0) {
            (Value::Str(text), Stage::Text(at)) => {
                let step = budget.saturating_mul(ENCODE_TEXT_STEP_BYTES);
                let end = at.saturating_add(step).min(text.len());
                out.extend_from_slice(&text[at..end]);
                (end < text.len()).then_some(Stage::Text(end))
            }
            (Value::List(list), Stage::Nodes { next }) => self.nodes(list, next, budget, out),
            (Value::Set(set), Stage::Members { next, left }) => {
                self.members(set, (next, left), budget, out)
            }
            (Value::Hash(hash), stage) => self.fields(hash, stage, budget, out),
            (Value::SortedSet(set), Stage::Ranks { left }) => self.ranks(set, left, budget, out),
            (Value::Stream(stream), stage) => self.stream(stream, stage, budget, out),
            _ => unreachable!("the rest is that of the value"),
        };
        match next {
            Some(stage) => {
                rest.0 = stage;
                false
            }
            None => true,
        }
    }

    fn nodes(
        &mut self,
        list: &List,
        place: u64,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let (mut place, mut left) = (place, budget);
        loop {
            let (node, next) = list.node_at(place).expect("the list is as it was");
            let cost = match node {
                StoredNode::Packed(packed) => {
                    write::length(out, kind::NODE_PACKED);
                    self.packed(packed, out);
                    packed.count()
                }
                StoredNode::Plain(text) => {
                    write::length(out, kind::NODE_PLAIN);
                    self.bytes(text, out);
                    1 + text.len() / ENCODE_TEXT_STEP_BYTES
                }
            };
            place = next?;
            left = left.saturating_sub(cost);
            if left == 0 {
                return Some(Stage::Nodes { next: place });
            }
        }
    }

    fn members(
        &mut self,
        set: SetRef<'_>,
        (next, left): (u64, usize),
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let mut left = left;
        let next = set.scan(next, budget, |member| {
            self.texts.text(out, member.text(&mut itoa::Buffer::new()));
            left = left.checked_sub(1).expect("the set is as it was");
        });
        assert!(next.is_some() || left == 0, "the set is as it was");
        next.map(|next| Stage::Members { next, left })
    }

    fn fields(
        &mut self,
        hash: HashRef<'_>,
        stage: Stage,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let Stage::Fields { next, mut left, since } = stage else {
            unreachable!("the rest is that of the value");
        };
        // At the beginning of time nothing is due: all that is counted is shown.
        let next = hash.scan(0, (next, budget), |pair| {
            self.field(pair, since, out);
            left = left.checked_sub(1).expect("the hash is as it was");
        });
        assert!(next.is_some() || left == 0, "the hash is as it was");
        next.map(|next| Stage::Fields { next, left, since })
    }

    fn field(&mut self, pair: Pair<'_>, since: Option<Millis>, out: &mut Vec<u8>) {
        if let Some(since) = since {
            // One more than the distance to the first, since 0 is none.
            write::length(out, pair.expiry.map_or(0, |at| at - since + 1));
        }
        let mut digits = itoa::Buffer::new();
        self.texts.text(out, pair.name.text(&mut digits));
        self.texts.text(out, pair.value.text(&mut digits));
    }

    fn ranks(
        &mut self,
        set: SortedSetRef<'_>,
        left: usize,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let until = left.saturating_sub(budget);
        for (member, score) in set.range(until..left).rev() {
            self.texts.text(out, member.text(&mut itoa::Buffer::new()));
            out.extend_from_slice(&score.to_le_bytes());
        }
        (until > 0).then_some(Stage::Ranks { left: until })
    }

    fn stream(
        &mut self,
        stream: &Stream,
        stage: Stage,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        match stage {
            Stage::Entries { next } => self.entries(stream, next, budget, out),
            Stage::Pending { group, next } => self.pending(stream, (group, next), budget, out),
            Stage::Owned { group, consumer, next } => {
                self.owned(stream, (group, consumer, next), budget, out)
            }
            _ => unreachable!("the rest is that of the value"),
        }
    }
}
