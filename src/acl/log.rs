//! ACL LOG: who was refused what, the like of it once.

use pinion_shards::Millis;
use std::collections::VecDeque;

/// Entries that are looked at for one like the new, from the latest on.
const LIKE_LOOK_MAX: usize = 10;
/// Longest time between two refusals that are one entry.
const LIKE_MS_MAX: Millis = 60_000;
/// Bytes that an entry keeps of a key, a channel or a name.
const NAME_BYTES_MAX: usize = 16 * 1024;

/// What was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Coming in.
    Auth,
    /// A command.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Command, Self::Key, Self::Channel];

    /// Its word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Key => "key",
            Self::Channel => "channel",
        }
    }
}

/// A refusal, or several alike.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How many.
    pub count: u64,
    /// What was refused.
    pub reason: Reason,
    /// Where the command stood: `toplevel` or `multi`.
    pub context: &'static str,
    /// The command, key or channel.
    pub object: Box<[u8]>,
    /// Who was refused it.
    pub user: Box<[u8]>,
    /// The client of the last refusal, as CLIENT LIST shows it.
    pub client: String,
    /// Rising from 0.
    pub id: u64,
    /// When it was made.
    pub created: Millis,
    /// When it was last refused.
    pub updated: Millis,
}

/// The entries, the latest first.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    next_id: u64,
}

/// A refusal as it comes.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What was refused.
    pub reason: Reason,
    /// Where the command stood.
    pub context: &'static str,
    /// The command, key or channel.
    pub object: &'a [u8],
    /// Who was refused it.
    pub user: &'a [u8],
    /// The client.
    pub client: String,
}

impl Log {
    /// Adds a refusal, and forgets the oldest beyond `len_max`. What is like one of the last few,
    /// within a minute, only counts there.
    pub fn add(&mut self, refused: Refused<'_>, now: Millis, len_max: usize) {
        let cut = |text: &'_ [u8]| text[..text.len().min(NAME_BYTES_MAX)].into();
        let (object, user): (Box<[u8]>, Box<[u8]>) = (cut(refused.object), cut(refused.user));
        let like = |known: &Entry| {
            known.reason == refused.reason
                && known.context == refused.context
                && now.saturating_sub(known.updated) <= LIKE_MS_MAX
                && known.object == object
                && known.user == user
        };
        let mut entry = match self.entries.iter().take(LIKE_LOOK_MAX).position(like) {
            Some(at) => self.entries.remove(at).expect("it was found there"),
            None => {
                self.next_id += 1;
                Entry {
                    count: 0,
                    reason: refused.reason,
                    context: refused.context,
                    object,
                    user,
                    client: String::new(),
                    id: self.next_id - 1,
                    created: now,
                    updated: now,
                }
            }
        };
        entry.count += 1;
        (entry.client, entry.updated) = (refused.client, now);
        self.entries.push_front(entry);
        self.entries.truncate(len_max);
    }

    /// The entries, the latest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries; the next has the next number.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<'a>(object: &'a [u8], client: &str) -> Refused<'a> {
        let (reason, context, user) = (Reason::Key, "toplevel", &b"bob"[..]);
        Refused { reason, context, object, user, client: client.into() }
    }

    fn told(log: &Log) -> Vec<(u64, &[u8], u64, &str)> {
        let tell = |entry: &'_ Entry| (entry.id, entry.count);
        let entries = log.entries().map(|entry| {
            let (id, count) = tell(entry);
            (id, &*entry.object, count, &*entry.client)
        });
        entries.collect()
    }

    #[test]
    fn the_like_within_a_minute_is_one_entry_and_moves_to_the_front() {
        let mut log = Log::default();
        log.add(refused(b"a", "1"), 1000, 128);
        log.add(refused(b"b", "2"), 2000, 128);
        log.add(refused(b"a", "3"), 61_000, 128);
        assert_eq!(told(&log), [(0, &b"a"[..], 2, "3"), (1, &b"b"[..], 1, "2")]);
        let first = log.entries().next().unwrap();
        assert_eq!((first.created, first.updated), (1000, 61_000));
        log.add(refused(b"b", "4"), 62_001, 128);
        assert_eq!(told(&log)[0], (2, &b"b"[..], 1, "4"));
        log.clear();
        log.add(refused(b"a", "5"), 62_001, 128);
        assert_eq!(told(&log), [(3, &b"a"[..], 1, "5")]);
    }

    #[test]
    fn the_log_and_its_names_have_a_bound() {
        let mut log = Log::default();
        for index in 0..100_u32 {
            log.add(refused(&index.to_le_bytes(), ""), 0, 5);
        }
        assert_eq!(log.entries().len(), 5);
        log.add(refused(&vec![b'x'; 1 << 20], ""), 0, 1);
        assert_eq!(log.entries().len(), 1);
        assert_eq!(log.entries().next().unwrap().object.len(), NAME_BYTES_MAX);
        log.add(refused(b"x", ""), 0, 0);
        assert_eq!(log.entries().len(), 0);
    }
}
