//! DEBUG POPULATE: keys made by transactions over all shards, a few at a time, so that others are
//! served in between.

use super::snapshot::Asker;
use super::transact::Client;
use super::{Core, Work};
use crate::commands::Population;
use pinion_io::resp::Protocol;
use pinion_shards::commands::{FILLED, Words};
use pinion_shards::transaction::{self, Asked};
use slab::Slab;

/// Keys of one transaction at most.
const KEYS_MAX: u64 = 512;
/// Bytes of values that one transaction makes, about.
const BYTES_MAX: u64 = 128 * 1024;

/// What DEBUG POPULATE has begun on this core.
#[derive(Debug, Default)]
pub(super) struct Populating {
    under_way: Slab<Fill>,
    /// One of them may go on.
    stirred: bool,
}

#[derive(Debug)]
struct Fill {
    asker: Asker,
    population: Population,
    db: u16,
    /// The first number that is still to be done.
    next: u64,
    /// A transaction is under way.
    waits: bool,
}

impl Populating {
    /// True if there is something to do at once.
    #[inline]
    pub(super) fn is_stirred(&self) -> bool {
        self.stirred
    }

    /// Notes that a transaction has ended.
    pub(super) fn hear(&mut self, key: usize) {
        self.under_way[key].waits = false;
        self.stirred = true;
    }
}

impl Core {
    /// Begins to make keys.
    pub(super) fn begin_population(&mut self, asker: Asker, population: Population) {
        let client = self.work.connection(asker.socket);
        let db = client.map_or(0, |client| client.session.db);
        let fill = Fill { asker, population, db, next: 0, waits: false };
        self.work.populating.under_way.insert(fill);
        self.work.populating.stirred = true;
    }

    /// Makes some more.
    pub(super) fn tend_populations(&mut self) {
        self.work.populating.stirred = false;
        let table = self.work.populating.under_way.iter();
        let idle: Vec<usize> = table.filter(|(_, fill)| !fill.waits).map(|(key, _)| key).collect();
        for key in idle {
            let fill = &self.work.populating.under_way[key];
            let socket = fill.asker.socket;
            // Who is gone wants no more.
            if fill.next == fill.population.keys || self.work.connection(socket).is_none() {
                let Fill { asker, .. } = self.work.populating.under_way.remove(key);
                self.finish(asker.socket, asker.place, b"+OK\r\n", Some(&asker.command));
            } else if self.work.is_quiet || self.work.full_lane().is_some() {
                self.work.populating.stirred = true;
            } else {
                self.work.fill_some(key);
            }
        }
    }
}

impl Work {
    /// Begins a transaction that makes some keys.
    fn fill_some(&mut self, key: usize) {
        let fill = &mut self.populating.under_way[key];
        let Population { keys, ref prefix, size } = fill.population;
        let first = fill.next;
        let last = keys.min(first + (BYTES_MAX / size.max(1)).clamp(1, KEYS_MAX));
        (fill.next, fill.waits) = (last, true);
        let mut words = Words::default();
        words.extend([FILLED.name.as_bytes(), prefix]);
        words.extend(
            [first, last, size].map(|number| number.to_string()).each_ref().map(|it| it.as_bytes()),
        );
        let (client, protocol) = (Client::Population(key), Protocol::default());
        let asked = transaction::Request { client, protocol, watcher: 0, speaker: None };
        let command = Asked::Shard(&FILLED, fill.db, words);
        let tickets = &mut &self.server.tickets;
        self.coordinator.begin(&asked, &[], std::iter::once(command), tickets);
        self.pump();
    }
}
