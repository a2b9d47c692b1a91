//! A shard's share of the memory that the server may use, and how it keeps to that.
//!
//! All shards draw on one bank (`Bank`), in grains, so that they seldom meet there; together they
//! never hold more than the limit leaves. A shard that needs more than is free evicts keys of its
//! own before it writes, unless another shard has colder ones: then it takes what it needs, and
//! the other, which sees at its next turn that too much is out, gives as much back. So no shard
//! evicts as long as another one has room, and a hot one does not while another is cold.
//!
//! What was removed and is not freed yet counts as used, and is freed before anything is evicted.

use crate::commands::{Flags, Row};
use crate::keyspace::{Choice, Policy};
use crate::limits::{EVICT_PER_COMMAND, EVICT_PER_TURN};
use crate::shard::{Millis, Shard};
use crate::transaction::Mode;
use std::fmt::Debug;
use std::sync::Arc;

/// The memory that all shards of a server share.
pub trait Bank: Debug + Send + Sync {
    /// Bytes that nobody has drawn; below 0, so many too much are out.
    fn free(&self) -> i64;
    /// Draws `bytes` if so many are free, and otherwise only if it `must`: whether it did.
    fn draw(&self, bytes: u64, must: bool) -> bool;
    /// Gives `bytes` back.
    fn give(&self, bytes: u64);
    /// Counts so many bytes more as drawn, or fewer, that were there before: of what is free
    /// nothing changes.
    fn adopt(&self, more: i64);
    /// Tells what a shard could do without.
    fn offer(&self, shard: usize, offer: Offer);
    /// True if another shard than this one has keys that would go before one of that score.
    fn has_colder(&self, shard: usize, score: u64) -> bool;
}

/// What a shard could do without.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offer {
    /// Bytes of all its keys.
    pub bytes: u64,
    /// Bytes of those with an expiry, about.
    pub volatile_bytes: u64,
    /// How soon its next key would go: the higher, the sooner.
    pub coldest: u64,
}

/// What a shard knows of its share.
#[derive(Debug, Default)]
pub(crate) struct Room {
    bank: Option<Arc<dyn Bank>>,
    /// There is a limit.
    limited: bool,
    /// Drawn, in bytes.
    held: usize,
    /// The most that a command or a turn evicts, over what is usual, in 1/256.
    tenacity: u32,
    offered: Offer,
}

/// Bytes drawn beyond what is needed, so that few writes ask the bank.
const GRAIN: usize = 16 * 1024;
/// The least that is drawn beyond what is needed where little is free.
const GRAIN_MIN: usize = 512;
/// `Room::tenacity` for 10, the usual one.
const TENACITY_USUAL: u32 = 256;
/// The share of what is free that is drawn at once, at most.
const SHARE_OF_FREE: i64 = 16;

/// Steps of freeing what was removed that one command takes, or one turn.
const FREE_STEPS_MAX: u32 = 4;

/// Bytes to draw beyond what is needed.
fn spare(bank: &dyn Bank) -> usize {
    (bank.free() / SHARE_OF_FREE).clamp(GRAIN_MIN as i64, GRAIN as i64) as usize
}

/// How much more than usual is evicted at once at a tenacity of 0 to 100, in 1/256: linear up to
/// 10, then 15% more each, as in Redis, and at 100 without end.
fn tenacity(setting: u32) -> u32 {
    match setting {
        0..=10 => TENACITY_USUAL / 10 * setting,
        11..100 => (f64::from(TENACITY_USUAL) * 1.15_f64.powi(setting as i32 - 10)) as u32,
        _ => u32::MAX,
    }
}

impl Shard {
    /// Has the shard share a server's memory.
    pub fn set_bank(&mut self, bank: Arc<dyn Bank>) {
        self.room.bank = Some(bank);
    }

    /// Follows a policy from now on; `limited` says whether there is a limit at all, `setting` how
    /// tenacious evictions are, from 0 to 100.
    pub fn set_memory_policy(&mut self, policy: &Policy, limited: bool, setting: u32) {
        self.keyspace.set_policy(policy);
        self.room.tenacity = tenacity(setting);
        let limited = limited && self.room.bank.is_some();
        if limited && !self.room.limited {
            self.adopt();
        }
        self.room.limited = limited;
    }

    /// Counts what is used as drawn, where that made no difference before.
    fn adopt(&mut self) {
        if let Some(bank) = &self.room.bank {
            let used = self.keyspace.memory_bytes();
            bank.adopt(used as i64 - self.room.held as i64);
            self.room.held = used;
        }
    }

    /// What the shard has drawn from the bank, in bytes; what it uses once it has settled.
    pub fn held_bytes(&self) -> usize {
        self.room.held
    }

    /// Sees to it that a command that may need memory finds some.
    #[inline]
    pub(crate) fn make_room_for(&mut self, row: Option<&Row>, now: Millis) {
        if self.room.limited && row.is_some_and(|row| row.flags.has(Flags::DENYOOM)) {
            let tight = self.keyspace.memory_bytes() > self.room.held;
            if tight || self.room.bank.as_ref().is_some_and(|bank| bank.free() < 0) {
                self.make_room(now, EVICT_PER_COMMAND);
            }
        }
    }

    /// Takes what is needed from the bank, or frees it: at most about `count` keys. True if more is
    /// to be done.
    #[cold]
    fn make_room(&mut self, now: Millis, count: usize) -> bool {
        let Some(bank) = self.room.bank.clone() else { return false };
        let count = (count as u64 * u64::from(self.room.tenacity) / u64::from(TENACITY_USUAL))
            .clamp(1, usize::MAX as u64) as usize;
        let (mut evicted, mut graves) = (0, FREE_STEPS_MAX);
        let more = loop {
            let used = self.keyspace.memory_bytes();
            let lacks = used.saturating_sub(self.room.held);
            let enough = bank.free() >= 0;
            if enough && (lacks == 0 || self.draw(&*bank, lacks + spare(&*bank), false)) {
                break false;
            }
            if lacks == 0 && self.give_back(&*bank, used) {
                continue;
            }
            if self.keyspace.has_graves() && graves > 0 {
                graves -= 1;
                self.keyspace.free_some();
                continue;
            }
            let goes_on = evicted < count && !self.leaves_it_to_others(&*bank, now);
            if !goes_on || !self.evict_one(now) {
                if lacks > 0 {
                    self.draw(&*bank, lacks, true);
                }
                break goes_on || evicted >= count;
            }
            evicted += 1;
        };
        if evicted > 0 {
            self.tell_of_evictions();
        }
        more && evicted > 0
    }

    fn draw(&mut self, bank: &dyn Bank, bytes: usize, must: bool) -> bool {
        let drawn = bank.draw(bytes as u64, must);
        self.room.held += if drawn { bytes } else { 0 };
        drawn
    }

    /// Gives back what is held and not used; false if that is nothing.
    fn give_back(&mut self, bank: &dyn Bank, used: usize) -> bool {
        let unused = self.room.held.saturating_sub(used);
        bank.give(unused as u64);
        self.room.held -= unused;
        unused > 0
    }

    /// True if keys of another shard should go before those of this one, by more than chance.
    fn leaves_it_to_others(&mut self, bank: &dyn Bank, now: Millis) -> bool {
        let coldest = self.keyspace.coldest(now);
        let margin = match self.keyspace.policy().choice {
            Choice::Never | Choice::Random => u64::MAX,
            Choice::Lru | Choice::Lrm => 1 + coldest / 8,
            Choice::Lfu => 2,
            Choice::Cache => 1 << 16,
            Choice::Ttl => 1000,
        };
        bank.has_colder(self.index(), coldest.saturating_add(margin))
    }

    /// Evicts a key that no transaction holds; false if there is none.
    fn evict_one(&mut self, now: Millis) -> bool {
        if self.keyspace.has_graves() {
            return false;
        }
        let locks = &self.turns.locks;
        self.keyspace.evict(now, &|hash| locks.is_empty() || !locks.holds(hash, Mode::Exclusive))
    }

    /// Tells those who watch, cache or listen what has gone.
    fn tell_of_evictions(&mut self) {
        if self.keyspace.has_changed() {
            self.tell_changes(None);
        }
        if self.keyspace.has_events() {
            self.publish_events();
        }
    }

    /// Evicts where too much is out and its keys are the coldest, and gives back what it does not
    /// need; to be called in every turn of the loop where there is a limit, and now and then where
    /// there is none. True if there is more to do at once.
    pub fn settle_memory(&mut self, now: Millis) -> bool {
        if self.is_paused() {
            return false;
        }
        let Some(bank) = self.room.bank.clone() else { return false };
        let mut more = false;
        if self.room.limited && bank.free() < 0 && self.keyspace.policy().evicts() {
            more = self.make_room(now, EVICT_PER_TURN) && bank.free() < 0;
            if self.keyspace.has_ready() {
                self.serve_waits(now);
            }
        }
        self.publish_memory(&*bank, now);
        more
    }

    /// Brings what the bank knows up to date, where that differs much.
    fn publish_memory(&mut self, bank: &dyn Bank, now: Millis) {
        if !self.room.limited {
            self.adopt();
        } else {
            let used = self.keyspace.memory_bytes();
            if used > self.room.held {
                self.draw(bank, used - self.room.held, true);
            } else if self.room.held - used > 2 * spare(bank) {
                self.give_back(bank, used);
            }
        }
        let (bytes, volatile) = self.keyspace.evictable_bytes();
        let coldest = if self.room.limited { self.keyspace.coldest(now) } else { 0 };
        let offer = Offer { bytes: bytes as u64, volatile_bytes: volatile as u64, coldest };
        if offer != self.room.offered {
            self.room.offered = offer;
            bank.offer(self.index(), offer);
        }
    }
}

#[cfg(test)]
mod tests;
