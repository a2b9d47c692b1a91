//! Over all keys of a database: SCAN, KEYS, RANDOMKEY, and the recount that tests rely on.

use super::{Key, Keyspace, Record};
use crate::limits::RANDOM_PICKS_MAX;
use crate::shard::Millis;
use crate::table::Position;

impl Keyspace {
    /// Shows the keys of a database from `position` on (0 is the start) until about `count` have
    /// been seen, and returns where to go on, or none at the end. Every key that is there from the
    /// first call to the last is shown, some perhaps twice. `visit` is told which of them are due
    /// at `now`, and removes those for which it answers true.
    pub fn scan(
        &mut self,
        db: u16,
        position: u64,
        count: usize,
        now: Millis,
        mut visit: impl FnMut(Record<'_>, bool) -> bool,
    ) -> Option<u64> {
        let table = &self.databases[usize::from(db)];
        let position = Position::decode(position);
        let mut due = Vec::new();
        let next = table.scan(position, count.max(1), &self.hasher, &mut |entry| {
            let is_due = entry.is_due(now);
            if visit(Record { entry }, is_due) && is_due {
                due.push(entry.key().to_vec());
            }
        });
        for bytes in due {
            let key = Key { db, hash: self.hash(&bytes), bytes: &bytes };
            let gone = !self.contains(key, now);
            debug_assert!(gone, "who asks for a key that is due removes it");
        }
        Some(next?.encode())
    }

    /// Shows every key of a database that is not due at `now`.
    pub fn each(&self, db: u16, now: Millis, mut visit: impl FnMut(Record<'_>)) {
        self.databases[usize::from(db)].each(|entry| {
            if !entry.is_due(now) {
                visit(Record { entry });
            }
        });
    }

    /// Any key of a database, each as likely as any other while its table is not nearly empty.
    /// Keys found due at `now` are removed; a database where nearly all are may answer none.
    pub fn random(&mut self, db: u16, now: Millis) -> Option<Record<'_>> {
        let index = usize::from(db);
        for _ in 0..RANDOM_PICKS_MAX {
            let place = (0..RANDOM_PICKS_MAX).find_map(|_| {
                let random = self.random_bits();
                let table = &self.databases[index];
                table.any_place(random).filter(|&place| !table.entry(place).is_empty())
            });
            let place = place.or_else(|| {
                let random = self.random_bits();
                let table = &self.databases[index];
                table.any_place(random).and_then(|place| table.occupied_from(place))
            })?;
            if self.still || !self.databases[index].entry(place).is_due(now) {
                return Some(Record { entry: self.databases[index].entry(place) });
            }
            self.expire(db, place);
        }
        None
    }

    /// 64 bits from the keyspace's own generator.
    pub fn random_bits(&mut self) -> u64 {
        self.random.bits()
    }

    /// Counts everything anew, entry by entry, and compares it with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    pub fn recount(&self) {
        for table in &self.databases {
            assert_eq!(table.recount(), table.sums(), "what is counted is what is there");
        }
        let kept: usize = self.databases.iter().map(|table| table.recount().bytes).sum();
        let all = kept + self.graves.recount() + self.retired_bytes() + self.ghosts.bytes();
        assert_eq!(all, self.memory_bytes(), "memory counted is memory recounted");
        self.recount_due();
        self.recount_epochs();
    }
}
