//! Every command and subcommand under a number, the categories they are in, and sets of them.

use crate::commands::{Entry, categories};
use pinion_shards::commands::{Row, memcached};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The categories, in the order in which they are listed.
pub static CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Requests of memcached's, and the commands that a user must be allowed for them.
static OTHERS: &[(&str, &str)] = &[
    ("get", "get"),
    ("gets", "get"),
    ("gat", "getex"),
    ("gats", "getex"),
    ("set", "set"),
    ("add", "set"),
    ("replace", "set"),
    ("cas", "set"),
    ("append", "append"),
    ("prepend", "append"),
    ("incr", "incrby"),
    ("decr", "decrby"),
    ("delete", "del"),
    ("touch", "expire"),
];

const _: () = assert!(CATEGORIES.len() <= u32::BITS as usize, "a set of categories is a word");

/// A command's number.
pub(super) type Id = u16;

/// A command or subcommand, as rules name it.
#[derive(Debug)]
pub struct Command {
    /// Its row.
    pub row: &'static Row,
    /// Its container, if it is a subcommand.
    pub parent: Option<Id>,
    /// Its subcommands.
    pub inner: Vec<Id>,
    /// The categories it is in, by their places in `CATEGORIES`.
    categories: u32,
}

/// All commands.
#[derive(Debug)]
pub struct Directory {
    commands: Vec<Command>,
    by_name: BTreeMap<&'static str, Id>,
    /// Addresses of rows, in order. Several may be one command: what DEBUG does on the shards has
    /// rows of its own, and for rules DEBUG has no subcommands.
    by_row: Vec<(usize, Id)>,
}

static DIRECTORY: LazyLock<Directory> = LazyLock::new(Directory::new);

/// The place of a category in `CATEGORIES`, by its name in any case.
pub fn category(name: &[u8]) -> Option<u32> {
    let place = CATEGORIES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name));
    place.map(|place| place as u32)
}

impl Directory {
    /// The one of this server.
    pub fn here() -> &'static Self {
        &DIRECTORY
    }

    fn new() -> Self {
        let mut directory =
            Self { commands: Vec::new(), by_name: BTreeMap::new(), by_row: Vec::new() };
        for entry in Entry::all() {
            let id = directory.add(entry.row, None);
            for row in entry.subcommands {
                if entry.is_container {
                    let inner = directory.add(row, Some(id));
                    directory.commands[usize::from(id)].inner.push(inner);
                } else {
                    directory.by_row.push((address(row), id));
                }
            }
        }
        for (name, like) in OTHERS {
            let row = memcached::find(name.as_bytes()).expect("a request of memcached's");
            let id = directory.find(like.as_bytes()).expect("a command of Redis's");
            directory.by_row.push((address(row), id));
        }
        directory.by_row.sort_unstable();
        directory
    }

    fn add(&mut self, row: &'static Row, parent: Option<Id>) -> Id {
        let id = self.commands.len() as Id;
        let bit = |name: &&str| category(&name.as_bytes()[1..]).map_or(0, |place| 1 << place);
        let categories = categories(row).iter().map(bit).fold(0, |all, bit: u32| all | bit);
        self.commands.push(Command { row, parent, inner: Vec::new(), categories });
        self.by_name.insert(row.name, id);
        self.by_row.push((address(row), id));
        id
    }

    /// The number of a command or, as `container|name`, of a subcommand, in any case.
    pub fn find(&self, name: &[u8]) -> Option<Id> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.by_name.get(name.as_str()).copied()
    }

    /// The number of a row.
    ///
    /// # Panics
    /// If the row is in no table of commands.
    pub fn id(&self, row: &'static Row) -> Id {
        let at = self.by_row.binary_search_by_key(&address(row), |(address, _)| *address);
        self.by_row[at.expect("a row is in a table")].1
    }

    /// The name under which rules know a row.
    pub fn name(&self, row: &'static Row) -> &'static str {
        self.command(self.id(row)).row.name
    }

    /// The command of a number.
    pub fn command(&self, id: Id) -> &Command {
        &self.commands[usize::from(id)]
    }

    /// The numbers of all commands of a category, given by its place.
    pub fn in_category(&self, place: u32) -> impl Iterator<Item = Id> {
        let all = (0..).zip(&self.commands);
        all.filter(move |(_, command)| command.categories & 1 << place != 0).map(|(id, _)| id)
    }

    /// How many commands there are.
    pub fn count(&self) -> usize {
        self.commands.len()
    }
}

fn address(row: &'static Row) -> usize {
    std::ptr::from_ref(row).addr()
}

/// A set of commands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CommandSet(Box<[u64]>);

impl CommandSet {
    /// No command, or every one.
    pub(super) fn filled(with: bool) -> Self {
        let words = Directory::here().count().div_ceil(64);
        Self(vec![if with { u64::MAX } else { 0 }; words].into())
    }

    /// True if the command is in it.
    pub(super) fn has(&self, id: Id) -> bool {
        self.0[usize::from(id) / 64] >> (id % 64) & 1 == 1
    }

    /// Puts the command in, or takes it out.
    pub(super) fn set(&mut self, id: Id, to: bool) {
        let (word, bit) = (&mut self.0[usize::from(id) / 64], 1 << (id % 64));
        *word = if to { *word | bit } else { *word & !bit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Found, find};
    use pinion_io::resp::Range;
    use pinion_shards::commands::Args;

    #[test]
    fn every_command_has_a_number_a_category_and_its_name() {
        let directory = Directory::here();
        for id in 0..directory.count() as Id {
            let command = directory.command(id);
            assert_eq!(directory.find(command.row.name.to_uppercase().as_bytes()), Some(id));
            assert_eq!(directory.id(command.row), id);
            assert_ne!(command.categories, 0, "{}", command.row.name);
            if let Some(parent) = command.parent {
                assert!(directory.command(parent).inner.contains(&id));
                assert_eq!(categories(command.row).len(), command.categories.count_ones() as usize);
            }
        }
        assert!(directory.find(b"nosuch").is_none() && directory.find(b"client|").is_none());
        assert_eq!(directory.find(b"debug|object"), None, "DEBUG has no subcommands for rules");
    }

    #[test]
    fn a_subcommand_on_the_shards_of_a_plain_command_is_that_command() {
        let line = b"debug object k";
        let words = [(0, 5), (6, 6), (13, 1)].map(|(start, len)| Range { start, len });
        let found = find(&Args::new(line, &words)).map(|found: Found| found.row()).unwrap();
        let directory = Directory::here();
        assert_eq!(directory.command(directory.id(found)).row.name, "debug");
    }

    #[test]
    fn sets_hold_what_is_put_in() {
        let mut set = CommandSet::filled(false);
        for id in [0, 63, 64, 100] {
            assert!(!set.has(id));
            set.set(id, true);
            assert!(set.has(id) && !set.has(id + 1));
            set.set(id, false);
            assert!(!set.has(id));
        }
        assert!(CommandSet::filled(true).has(Directory::here().count() as Id - 1));
    }
}
