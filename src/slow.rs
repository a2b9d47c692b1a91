//! What one core remembers of slow and large commands: the three logs, and spikes by event.

use crate::config::Settings;
use crate::session::Session;
use pinion_shards::Millis;
use pinion_shards::commands::{Args, Flags, Row};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a command that an entry keeps, the last of them a note on the rest (as Redis).
const WORDS_MAX: usize = 32;
/// Bytes of a word that an entry keeps (as Redis).
const WORD_BYTES_MAX: usize = 128;
/// Spikes of an event that are kept, one a second at most (as Redis).
pub const SPIKES_MAX: usize = 160;

/// What a log is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Commands that took long, in microseconds.
    Slow,
    /// Requests of many bytes.
    LargeRequest,
    /// Replies of many bytes.
    LargeReply,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slow, Self::LargeRequest, Self::LargeReply];

    /// That which COMMANDLOG calls so.
    pub fn parse(word: &[u8]) -> Option<Self> {
        let names = ["slow", "large-request", "large-reply"];
        let at = names.iter().position(|name| word.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(Self::ALL[at])
    }
}

/// The numbers of entries, one row for each log, for all cores together.
#[derive(Debug, Default)]
pub struct Numbers([AtomicU64; 3]);

/// A command that was worth remembering.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Unique in its log, rising.
    pub id: u64,
    /// When it ended.
    pub at: Millis,
    /// Microseconds or bytes.
    pub value: u64,
    /// Its words, cut.
    pub words: Vec<Box<[u8]>>,
    /// The client's end.
    pub peer: String,
    /// The client's name.
    pub name: Box<[u8]>,
}

/// Spikes of one event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Spikes {
    /// When, in seconds since the Unix epoch, and how many milliseconds; the oldest first.
    pub samples: VecDeque<(u64, u64)>,
    /// The longest of all since the last reset.
    pub longest_ms: u64,
}

impl Spikes {
    fn add(&mut self, at: u64, ms: u64) {
        self.longest_ms = self.longest_ms.max(ms);
        match self.samples.back_mut() {
            Some((last, longest)) if *last == at => *longest = ms.max(*longest),
            _ => self.samples.push_back((at, ms)),
        }
        if self.samples.len() > SPIKES_MAX {
            self.samples.pop_front();
        }
    }

    /// Adds those of another core.
    pub fn merge(&mut self, other: &Self) {
        let mut all: Vec<_> = self.samples.iter().chain(&other.samples).copied().collect();
        all.sort_unstable();
        let longest = self.longest_ms.max(other.longest_ms);
        *self = Self::default();
        all.into_iter().for_each(|(at, ms)| self.add(at, ms));
        self.longest_ms = longest;
    }
}

/// From where on a command is worth remembering; the largest number where never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// It took so long.
    pub nanos: u64,
    /// Its request had so many bytes.
    pub request_bytes: u64,
    /// Its reply had.
    pub reply_bytes: u64,
}

/// A command that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Which it was.
    pub row: &'static Row,
    /// Its words.
    pub args: Args<'a>,
    /// How long it took.
    pub nanos: u64,
    /// Bytes of its request.
    pub request_bytes: u64,
    /// Bytes of its reply.
    pub reply_bytes: u64,
}

/// What a core remembers.
#[derive(Debug)]
pub struct Slow {
    thresholds: Thresholds,
    /// In the logs' own units: microseconds and bytes.
    from: [u64; 3],
    len_max: [usize; 3],
    /// Milliseconds from which an event is a spike, 0 for never.
    spike_ms: u64,
    logs: [VecDeque<Entry>; 3],
    spikes: BTreeMap<&'static str, Spikes>,
}

impl Slow {
    /// Nothing yet.
    pub fn new(settings: &Settings) -> Self {
        let mut slow = Self {
            thresholds: Thresholds { nanos: 0, request_bytes: 0, reply_bytes: 0 },
            from: [0; 3],
            len_max: [0; 3],
            spike_ms: 0,
            logs: Default::default(),
            spikes: BTreeMap::new(),
        };
        slow.follow(settings);
        slow
    }

    /// Follows the settings.
    pub fn follow(&mut self, settings: &Settings) {
        let logs = &settings.command_logs;
        // What is negative is never reached.
        self.from = logs.map(|log| u64::try_from(log.from).unwrap_or(u64::MAX));
        self.len_max = logs.map(|log| usize::try_from(log.len_max).unwrap_or(usize::MAX));
        self.spike_ms = settings.latency_threshold_ms;
        let spike = if self.spike_ms > 0 { self.spike_ms } else { u64::MAX };
        self.thresholds = Thresholds {
            nanos: self.from[0].saturating_mul(1000).min(spike.saturating_mul(1_000_000)),
            request_bytes: self.from[1],
            reply_bytes: self.from[2],
        };
    }

    /// From where on `note` has something to do.
    #[inline]
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Remembers a command that has ended, where it is worth it.
    #[cold]
    pub fn note(&mut self, numbers: &Numbers, ended: &Ended<'_>, session: &Session, now: Millis) {
        let fast = ended.row.flags.has(Flags::FAST);
        let event = if fast { "fast-command" } else { "command" };
        self.note_event(event, ended.nanos / 1_000_000, now);
        if ended.row.flags.has(Flags::SKIP_SLOWLOG) {
            return;
        }
        let values = [ended.nanos / 1000, ended.request_bytes, ended.reply_bytes];
        for (kind, value) in values.into_iter().enumerate() {
            if value < self.from[kind] || self.from[kind] == u64::MAX || self.len_max[kind] == 0 {
                continue;
            }
            let entry = Entry {
                id: numbers.0[kind].fetch_add(1, Ordering::Relaxed),
                at: now,
                value,
                words: cut(ended.row, &ended.args),
                peer: session.peer.to_string(),
                name: session.name.clone(),
            };
            self.logs[kind].push_front(entry);
            self.logs[kind].truncate(self.len_max[kind]);
        }
    }

    /// Remembers that an event took so many milliseconds, if that is a spike.
    pub fn note_event(&mut self, event: &'static str, ms: u64, now: Millis) {
        if self.spike_ms > 0 && ms >= self.spike_ms {
            self.spikes.entry(event).or_default().add(now / 1000, ms);
        }
    }

    /// The entries of a log, the newest first, `count` at most.
    pub fn log(&self, kind: Kind, count: usize) -> Vec<Entry> {
        self.logs[kind as usize].iter().take(count).cloned().collect()
    }

    /// How many entries a log has.
    pub fn log_len(&self, kind: Kind) -> usize {
        self.logs[kind as usize].len()
    }

    /// Forgets a log.
    pub fn reset_log(&mut self, kind: Kind) {
        self.logs[kind as usize].clear();
    }

    /// The spikes of each event.
    pub fn spikes(&self) -> &BTreeMap<&'static str, Spikes> {
        &self.spikes
    }

    /// Forgets the spikes of the events that are named, or of all; returns which those were.
    pub fn reset_spikes(&mut self, names: &[String]) -> Vec<&'static str> {
        let named = |event: &str| names.is_empty() || names.iter().any(|name| name == event);
        let gone: Vec<_> = self.spikes.keys().copied().filter(|event| named(event)).collect();
        self.spikes.retain(|event, _| !named(event));
        gone
    }
}

/// Bytes of a request in the protocol's usual form.
pub fn request_bytes(args: &Args<'_>) -> u64 {
    let bulk = |len: usize| u64::from(len.max(1).ilog10()) + len as u64 + 6;
    args.from(0).map(|word| bulk(word.len())).sum::<u64>() + bulk(args.len())
        - args.len() as u64
        - 2
}

/// The words of a command as a log shows them: few, short, and without what is secret.
fn cut(row: &Row, args: &Args<'_>) -> Vec<Box<[u8]>> {
    let many = args.len() > WORDS_MAX;
    let shown = if many { WORDS_MAX - 1 } else { args.len() };
    let mut words: Vec<Box<[u8]>> = Vec::with_capacity(shown + 1);
    for (index, word) in args.from(0).take(shown).enumerate() {
        if is_secret(row, args, index) {
            words.push(b"(redacted)"[..].into());
        } else if word.len() > WORD_BYTES_MAX {
            let more = format!("... ({} more bytes)", word.len() - WORD_BYTES_MAX);
            words.push([&word[..WORD_BYTES_MAX], more.as_bytes()].concat().into());
        } else {
            words.push(word.into());
        }
    }
    if many {
        words.push(format!("... ({} more arguments)", args.len() - shown).into_bytes().into());
    }
    words
}

/// Settings whose values nobody else may read.
const SECRET_SETTINGS: &[&str] = &[
    "requirepass",
    "masterauth",
    "primaryauth",
    "masteruser",
    "primaryuser",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
];

/// True if a word of a request is not to be shown to others: passwords, and who may do what.
pub fn is_secret(row: &Row, args: &Args<'_>, index: usize) -> bool {
    match row.name {
        "auth" => index > 0,
        "hello" => (2..index).any(|at| args.is(at, "AUTH") && index - at <= 2),
        "config|set" => {
            index > 2
                && index % 2 == 1
                && SECRET_SETTINGS.iter().any(|name| args.is(index - 1, name))
        }
        "migrate" => is_password(args, index),
        "acl|setuser" | "acl|getuser" | "acl|deluser" => index > 1,
        _ => false,
    }
}

/// True for a user or a password among the options of MIGRATE.
fn is_password(args: &Args<'_>, index: usize) -> bool {
    let mut option = 6;
    while option < index && !args.is(option, "KEYS") {
        let words = match () {
            () if args.is(option, "AUTH") => 1,
            () if args.is(option, "AUTH2") => 2,
            () => 0,
        };
        if index <= option + words {
            return true;
        }
        option += 1 + words;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_shards::commands::{Group, Plan, Words};

    fn shown(name: &'static str, request: &[&str]) -> Vec<String> {
        let row = Row::new(name, -1, Group::Server, Plan::Session);
        let mut words = Words::default();
        words.extend(request.iter().map(|word| word.as_bytes()));
        let cut = cut(&row, &words.args());
        cut.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn entries_are_short_and_tell_no_secret() {
        let long = "A".repeat(129);
        let kept = format!("{}... (1 more bytes)", "A".repeat(128));
        assert_eq!(shown("sadd", &["sadd", "s", &long]), ["sadd", "s", &kept]);
        let many: Vec<String> = (0..33).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let words = shown("x", &many);
        assert_eq!((words.len(), words[31].as_str()), (32, "... (2 more arguments)"));
        let hidden = "(redacted)";
        assert_eq!(shown("auth", &["auth", "u", "p"]), ["auth", hidden, hidden]);
        assert_eq!(
            shown("hello", &["hello", "3", "auth", "u", "p", "setname", "n"]),
            ["hello", "3", "auth", hidden, hidden, "setname", "n"]
        );
        assert_eq!(
            shown("config|set", &["config", "set", "timeout", "1", "REQUIREPASS", "p"]),
            ["config", "set", "timeout", "1", "REQUIREPASS", hidden]
        );
        assert_eq!(
            shown("migrate", &["m", "h", "1", "", "0", "5", "copy", "auth2", "keys", "p", "keys"]),
            ["m", "h", "1", "", "0", "5", "copy", "auth2", hidden, hidden, "keys"]
        );
        assert_eq!(
            shown("migrate", &["m", "h", "1", "", "0", "5", "auth", "p", "keys", "auth", "k"]),
            ["m", "h", "1", "", "0", "5", "auth", hidden, "keys", "auth", "k"]
        );
    }

    #[test]
    fn requests_are_as_long_as_on_the_wire() {
        let mut words = Words::default();
        words.extend([&b"SET"[..], b"k", b"0123456789"]);
        assert_eq!(
            request_bytes(&words.args()),
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n".len() as u64 + 17
        );
    }

    #[test]
    fn spikes_of_one_second_are_one() {
        let mut one = Spikes::default();
        one.add(5, 10);
        one.add(5, 30);
        one.add(6, 20);
        assert_eq!((one.samples.clone().into(), one.longest_ms), (vec![(5, 30), (6, 20)], 30));
        let mut other = Spikes::default();
        other.add(5, 40);
        one.merge(&other);
        assert_eq!((one.samples.into(), one.longest_ms), (vec![(5, 40), (6, 20)], 40));
    }
}
