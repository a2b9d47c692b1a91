//! Client-side caching: which clients hold what they have read, so that they hear when it changes.
//!
//! A client that caches has its name on its commands (`Speaker`). The owner of a key remembers who
//! has read it, whichever its database, and at the first change tells these clients' cores, and
//! forgets it. Where clients want to hear of all keys with some prefix (BCAST), every shard knows
//! how many such clients each core has (`channels::Kind::Prefix`), and tells these cores of every
//! such key once a batch.
//!
//! What is told goes the way of all news, in one order for each shard and core. At home it is put
//! behind the replies that the client still awaits, so a client never hears that a key has changed
//! before it gets the value which that change made old.

use crate::channels::{Channels, Kind, News};
use crate::commands::{Args, Flags, Row};
use crate::limits::{TRACKED_DROP_MAX, TRACKED_FREE_MAX};
use crate::shard::{Call, Shard};
use std::collections::{BTreeMap, HashMap, VecDeque, hash_map, vec_deque};
use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;

/// A client that caches, as its commands name it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Speaker(NonZeroU64);

/// Bits of a client's number; the others of a word hold its core and a mark.
const CLIENT_BITS: u32 = 46;
/// The mark of one whose reads do not count as use of a key.
const SILENT: u64 = 2;

impl Speaker {
    /// The client with this number on core `home`; `remembers` if the command's reads are to be
    /// remembered.
    ///
    /// # Panics
    /// If the number is 0, or beyond 2^46.
    pub fn new(client: u64, home: u16, remembers: bool) -> Self {
        assert!(client >> CLIENT_BITS == 0, "no server sees so many clients");
        let bits = client << 18 | u64::from(home) << 2 | u64::from(remembers);
        Self(NonZeroU64::new(bits).expect("clients are numbered from 1"))
    }

    /// Its number.
    pub fn client(self) -> u64 {
        self.0.get() >> 18
    }

    fn home(self) -> u16 {
        (self.0.get() >> 2) as u16
    }

    /// True if what the command reads is to be remembered.
    pub(crate) fn remembers(self) -> bool {
        self.0.get() & 1 == 1
    }

    /// The same client, of whose reads nothing is to be remembered.
    pub fn without_memory(self) -> Self {
        let own = Self::new(self.client(), self.home(), false);
        if self.is_silent() { own.silent() } else { own }
    }

    /// The same client, whose reads do not count as use of a key.
    #[must_use]
    pub fn silent(self) -> Self {
        Self(self.0 | SILENT)
    }

    /// True if its reads do not count as use of a key.
    pub(crate) fn is_silent(self) -> bool {
        self.0.get() & SILENT != 0
    }

    /// The same client, as it is remembered.
    fn remembered(self) -> Self {
        Self::new(self.client(), self.home(), true)
    }
}

/// A changed key, and the number of the client that changed it, or 0.
pub type Changed = (Box<[u8]>, u64);

/// Who has read one key.
#[derive(Debug)]
struct Readers {
    /// Unique among all there have been.
    number: u64,
    /// In order, so that one more read of a popular key is cheap. Clients are numbered as they
    /// come: a new one nearly always goes to the end.
    speakers: Vec<Speaker>,
}

/// What was forgotten at once: a table of readers, and the order of its keys.
type Forgotten = (hash_map::IntoIter<Arc<[u8]>, Readers>, vec_deque::IntoIter<(u64, Arc<[u8]>)>);

/// Who has read what, on one shard.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    readers: HashMap<Arc<[u8]>, Readers>,
    /// Its keys as they came, each with the number of its readers; those of other readers, or of
    /// none, have been told since. What is forgotten is its first, not that of the table: a table
    /// that is emptied from its beginning on crowds its end.
    order: VecDeque<(u64, Arc<[u8]>)>,
    /// Numbers given.
    numbers: u64,
    /// How many readers that is.
    entries: usize,
    /// Most keys, where there is a bound.
    keys_max: Option<usize>,
    /// What was forgotten at once and is freed in steps.
    freeing: Vec<Forgotten>,
    /// Changed keys that clients want to hear of, by prefix.
    broadcast: BTreeMap<Box<[u8]>, Vec<Changed>>,
}

impl Tracking {
    /// Keys, and their readers.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.readers.len(), self.entries)
    }

    fn remember(&mut self, key: &[u8], speaker: Speaker) {
        let Some(readers) = self.readers.get_mut(key) else {
            return self.remember_first(key.into(), speaker);
        };
        if let Err(place) = readers.speakers.binary_search(&speaker) {
            readers.speakers.insert(place, speaker);
            self.entries += 1;
        }
    }

    fn remember_first(&mut self, key: Arc<[u8]>, speaker: Speaker) {
        self.numbers += 1;
        let number = self.numbers;
        self.order.push_back((number, Arc::clone(&key)));
        self.readers.insert(key, Readers { number, speakers: vec![speaker] });
        self.entries += 1;
        // At most half of the order is of no use: of two looks at it one finds such a part.
        for _ in 0..2 {
            if self.order.len() <= 2 * self.readers.len() {
                return;
            }
            let oldest = self.order.pop_front().expect("it is longer than the table");
            if self.is_known(&oldest) {
                self.order.push_back(oldest);
            }
        }
    }

    /// True if the readers of this number have not been told.
    fn is_known(&self, (number, key): &(u64, Arc<[u8]>)) -> bool {
        self.readers.get(key).is_some_and(|readers| readers.number == *number)
    }

    /// Tells the readers of a key that it is not as they know it, and forgets them.
    fn tell(&mut self, key: &[u8], writer: u64, channels: &mut Channels) {
        let Some((key, readers)) = self.readers.remove_entry(key) else { return };
        let mut readers = readers.speakers;
        self.entries -= readers.len();
        readers.sort_unstable_by_key(|speaker| speaker.home());
        for own in readers.chunk_by(|one, other| one.home() == other.home()) {
            let clients = own.iter().map(|speaker| speaker.client()).collect();
            let news = News::Stale { key: Arc::clone(&key), clients, writer };
            channels.say(own[0].home(), news);
        }
    }

    /// Forgets some keys if there are too many, as Redis does: their readers take them for changed.
    fn keep_bound(&mut self, channels: &mut Channels) {
        for _ in 0..TRACKED_DROP_MAX {
            if self.keys_max.is_none_or(|max| self.readers.len() <= max) {
                return;
            }
            let Some(oldest) = self.order.pop_front() else { return };
            if self.is_known(&oldest) {
                self.tell(&oldest.1, 0, channels);
            }
        }
    }

    /// Notes a changed key for those who want to hear of all with its prefix.
    fn note(&mut self, key: &[u8], writer: u64, channels: &Channels) {
        for prefix in channels.names(Kind::Prefix).filter(|prefix| key.starts_with(prefix)) {
            match self.broadcast.get_mut(prefix) {
                Some(changed) => changed.push((key.into(), writer)),
                None => {
                    self.broadcast.insert(prefix.into(), vec![(key.into(), writer)]);
                }
            }
        }
    }

    /// True if there is something to be told that was put together.
    #[inline]
    pub(crate) fn has_broadcast(&self) -> bool {
        !self.broadcast.is_empty()
    }

    /// Tells what was put together.
    pub(crate) fn send_broadcast(&mut self, channels: &mut Channels) {
        for (prefix, mut changed) in std::mem::take(&mut self.broadcast) {
            changed.sort_unstable();
            changed.dedup();
            let changed: Arc<[Changed]> = changed.into();
            for core in channels.cores(Kind::Prefix, &prefix) {
                let (prefix, changed) = (prefix.clone(), Arc::clone(&changed));
                channels.say(core, News::Broadcast { prefix, changed });
            }
        }
    }

    /// Forgets everything: the clients are told by who flushes.
    pub(crate) fn forget(&mut self) {
        if !self.readers.is_empty() {
            let (readers, order) = (&mut self.readers, &mut self.order);
            self.freeing.push((mem::take(readers).into_iter(), mem::take(order).into_iter()));
            self.entries = 0;
        }
    }

    /// Frees some of what was forgotten; true if there is more.
    pub(crate) fn free_some(&mut self) -> bool {
        if let Some((readers, order)) = self.freeing.last_mut() {
            let counts = [
                readers.by_ref().take(TRACKED_FREE_MAX).count(),
                order.by_ref().take(TRACKED_FREE_MAX).count(),
            ];
            if counts.into_iter().all(|count| count < TRACKED_FREE_MAX) {
                self.freeing.pop();
            }
        }
        !self.freeing.is_empty()
    }
}

impl Shard {
    /// All shards together remember at most so many keys of caching clients from now on, or any
    /// number if 0. What is too much is told as if it had changed.
    pub fn set_tracked_max(&mut self, keys: u64) {
        let (index, shards) = (self.index() as u64, self.shards() as u64);
        let share = keys / shards + u64::from(index < keys % shards);
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        self.tracking.keys_max = (keys > 0).then_some(share);
    }

    /// Brings the remembered keys back within their bound, some at a time.
    pub(crate) fn keep_tracked_bound(&mut self) {
        self.tracking.keep_bound(&mut self.channels);
    }

    /// Has the keyspace note changed keys as long as somebody wants to hear of some.
    pub(crate) fn look_after_changes(&mut self) {
        let wanted = !self.tracking.readers.is_empty() || self.channels.has(Kind::Prefix);
        self.keyspace.note_changes(wanted);
    }

    /// Remembers who has read the keys of a command.
    #[cold]
    pub(crate) fn remember(&mut self, call: &Call<'_>, row: Option<&Row>) {
        let Some(speaker) = call.speaker.filter(|speaker| speaker.remembers()) else { return };
        match row {
            Some(row) if row.flags.has(Flags::READONLY) => {
                let keys = row.key_indexes(&call.args).map(|index| call.args.at(index));
                self.remember_keys(keys, speaker);
            }
            _ => {}
        }
    }

    /// Remembers who has read those of the words that are keys of this shard.
    #[cold]
    pub(crate) fn remember_own(&mut self, args: &Args<'_>, speaker: Speaker) {
        let (index, route) = (self.index(), self.route().clone());
        let own = args.from(0).filter(|key| route.owner(key) == index);
        self.remember_keys(own, speaker);
    }

    fn remember_keys<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>, speaker: Speaker) {
        for key in keys {
            self.tracking.remember(key, speaker.remembered());
            self.tracking.keep_bound(&mut self.channels);
        }
        self.look_after_changes();
    }

    /// Tells of the keys that have changed, by whom.
    #[cold]
    pub(crate) fn tell_changes(&mut self, writer: Option<Speaker>) {
        let writer = writer.map_or(0, Speaker::client);
        let (keys, flushed) = self.keyspace.take_changed();
        if flushed {
            self.tracking.forget();
        }
        for key in keys {
            self.tracking.tell(&key, writer, &mut self.channels);
            self.tracking.note(&key, writer, &self.channels);
        }
        self.look_after_changes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(channels: &mut Channels) -> Vec<(u16, String, Vec<u64>)> {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        let said = channels.take_said().map(|(core, _, news)| match news {
            News::Stale { key, clients, .. } => (core, text(&key), clients),
            News::Broadcast { prefix, changed } => {
                (core, text(&prefix), changed.iter().map(|(_, writer)| *writer).collect())
            }
            News::Message(_) => unreachable!("nobody publishes"),
        });
        said.collect()
    }

    #[test]
    fn a_speaker_is_one_word() {
        let speaker = Speaker::new(123_456_789_012, 511, true);
        assert_eq!((speaker.client(), speaker.home()), (123_456_789_012, 511));
        assert!(speaker.remembers() && !Speaker::new(1, 65_535, false).remembers());
        assert_eq!(size_of::<Option<Speaker>>(), 8);
        let silent = speaker.silent();
        assert!(silent.is_silent() && silent.without_memory().is_silent() && !speaker.is_silent());
        assert_eq!((silent.client(), silent.home()), (speaker.client(), speaker.home()));
        assert_eq!(silent.remembered(), speaker);
    }

    #[test]
    fn readers_are_told_once_and_by_core() {
        let (mut tracking, mut channels) = (Tracking::default(), Channels::default());
        for (key, client, home) in [("a", 1, 0), ("a", 2, 1), ("a", 3, 0), ("a", 1, 0), ("b", 1, 0)]
        {
            tracking.remember(key.as_bytes(), Speaker::new(client, home, true));
        }
        assert_eq!(tracking.len(), (2, 4));
        tracking.tell(b"a", 2, &mut channels);
        tracking.tell(b"a", 2, &mut channels);
        tracking.tell(b"x", 2, &mut channels);
        assert_eq!(told(&mut channels), [(0, "a".into(), vec![1, 3]), (1, "a".into(), vec![2])]);
        assert_eq!(tracking.len(), (1, 1));
        tracking.forget();
        assert_eq!(tracking.len(), (0, 0));
        assert!(!tracking.free_some());
    }

    #[test]
    fn too_many_keys_are_taken_for_changed() {
        let (mut tracking, mut channels) = (Tracking::default(), Channels::default());
        tracking.keys_max = Some(10);
        for number in 0..50_u8 {
            tracking.remember(&[number], Speaker::new(1, 0, true));
            tracking.keep_bound(&mut channels);
            assert!(tracking.len().0 <= 10);
        }
        assert_eq!(channels.take_said().count(), 40);
    }

    #[test]
    fn the_order_of_keys_stays_short() {
        let (mut tracking, mut channels) = (Tracking::default(), Channels::default());
        let read = |tracking: &mut Tracking, key: &str| {
            tracking.remember(key.as_bytes(), Speaker::new(1, 0, true));
        };
        for round in 0..1000 {
            read(&mut tracking, "hot");
            tracking.tell(b"hot", 1, &mut channels);
            read(&mut tracking, &format!("cold{}", round % 7));
        }
        assert!(tracking.order.len() <= 2 * 8, "{tracking:?}");
        read(&mut tracking, "hot");
        tracking.keys_max = Some(1);
        channels.take_said().for_each(drop);
        tracking.keep_bound(&mut channels);
        assert_eq!((told(&mut channels).len(), tracking.len()), (7, (1, 1)));
        tracking.forget();
        while tracking.free_some() {}
        assert!(tracking.order.is_empty());
    }

    #[test]
    fn what_has_a_prefix_is_told_together() {
        let (mut tracking, mut channels) = (Tracking::default(), Channels::default());
        channels.count(Kind::Prefix, b"a", 3, true);
        channels.count(Kind::Prefix, b"", 4, true);
        for (key, writer) in [("a1", 7), ("b", 8), ("a1", 7), ("a2", 0)] {
            tracking.note(key.as_bytes(), writer, &channels);
        }
        assert!(tracking.has_broadcast());
        tracking.send_broadcast(&mut channels);
        assert_eq!(
            told(&mut channels),
            [(4, String::new(), vec![7, 0, 8]), (3, "a".into(), vec![7, 0])]
        );
        assert!(!tracking.has_broadcast());
    }
}
