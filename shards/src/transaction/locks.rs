//! The lock table of a shard: who holds which keys, who waits for them, in the order of arrival.
//!
//! A unit is whatever asks for locks together: a part of a transaction, a command, a long reply.
//! It gets all its locks or none, and never before an earlier unit that is in its way, so nothing
//! here overtakes and nobody starves. Keys are locked by their hashes: two keys of one hash are
//! one lock, which costs a wait and never an error.

use std::collections::{HashMap, HashSet, VecDeque};

/// Number of a unit; rises with every arrival.
pub(crate) type UnitId = u64;

/// How a lock is held.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Mode {
    /// Beside others that only read.
    Shared,
    /// Alone.
    Exclusive,
}

/// What a unit asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Keys, by hash.
    Keys(Vec<(u64, Mode)>),
    /// All keys of the shard.
    All(Mode),
}

/// A place in the queue for a key.
#[derive(Clone, Copy, Debug)]
struct Claim {
    id: UnitId,
    mode: Mode,
    granted: bool,
}

#[derive(Debug)]
struct Unit {
    keys: Vec<(u64, Mode)>,
    /// Keys not yet granted.
    left: usize,
    /// It has begun: what it holds stays as it is.
    begun: bool,
}

#[derive(Debug)]
struct Whole {
    id: UnitId,
    mode: Mode,
    granted: bool,
    begun: bool,
}

/// Locks held and waited for.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    count: UnitId,
    /// Units there are, whatever they wait for.
    present: usize,
    units: HashMap<UnitId, Unit>,
    queues: HashMap<u64, VecDeque<Claim>>,
    /// Units that want some key for themselves.
    exclusive: usize,
    /// Units that want all keys, none in another's way but perhaps in that of earlier `units`.
    whole: Vec<Whole>,
    /// What came after something in `whole` that is in its way, and all that came then.
    behind: VecDeque<(UnitId, Wanted)>,
    /// Units that hold all they asked for and have not been told.
    granted: VecDeque<UnitId>,
}

impl Mode {
    /// The lock that a command takes on its keys.
    pub(crate) fn of(write: bool) -> Self {
        if write { Self::Exclusive } else { Self::Shared }
    }

    fn bars(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

impl Wanted {
    /// Both together.
    pub(crate) fn and(&mut self, other: Self) {
        *self = match (std::mem::replace(self, Self::Keys(Vec::new())), other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                keys.extend(more);
                Self::Keys(keys)
            }
            (Self::All(mode), Self::All(other)) => Self::All(mode.max(other)),
            (Self::All(mode), Self::Keys(keys)) | (Self::Keys(keys), Self::All(mode)) => {
                Self::All(keys.into_iter().map(|(_, mode)| mode).fold(mode, Mode::max))
            }
        };
    }

    /// Each key once, in its stricter mode.
    fn tidy(&mut self) {
        if let Self::Keys(keys) = self {
            keys.sort_unstable_by_key(|&(hash, mode)| (hash, std::cmp::Reverse(mode)));
            keys.dedup_by_key(|(hash, _)| *hash);
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::All(mode) => *mode,
            Self::Keys(keys) => keys.iter().map(|&(_, mode)| mode).fold(Mode::Shared, Mode::max),
        }
    }

    /// True if the two have a key in common, however they want it.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keys(keys), Self::Keys(others)) => {
                let (few, many) =
                    if keys.len() < others.len() { (keys, others) } else { (others, keys) };
                if few.len() <= 4 {
                    return many.iter().any(|(hash, _)| few.iter().any(|(its, _)| its == hash));
                }
                let few: HashSet<u64> = few.iter().map(|(hash, _)| *hash).collect();
                many.iter().any(|(hash, _)| few.contains(hash))
            }
            (Self::All(_), _) | (_, Self::All(_)) => true,
        }
    }
}

impl Locks {
    /// True if nobody holds or wants anything.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// True if a unit that asked for this now would have to wait.
    pub(crate) fn bar(&self, wanted: &Wanted) -> bool {
        if !self.behind.is_empty() || self.is_barred_by_whole(wanted.mode()) {
            return true;
        }
        match wanted {
            Wanted::All(mode) => self.bars_whole(*mode),
            Wanted::Keys(keys) => keys.iter().any(|&(hash, mode)| {
                let queue = self.queues.get(&hash);
                queue.is_some_and(|queue| queue.iter().any(|claim| claim.mode.bars(mode)))
            }),
        }
    }

    /// True if a unit that has begun holds something of this in its way.
    pub(crate) fn holds(&self, hash: u64, mode: Mode) -> bool {
        let whole = self.whole.iter().any(|whole| whole.begun && whole.mode.bars(mode));
        whole || self.holds_key(hash, mode)
    }

    /// The same of all units but one that has seized all keys.
    pub(crate) fn others_hold(&self, own: UnitId, hash: u64, mode: Mode) -> bool {
        let others = self.whole.iter().filter(|whole| whole.id != own);
        { others }.any(|whole| whole.begun && whole.mode.bars(mode)) || self.holds_key(hash, mode)
    }

    fn holds_key(&self, hash: u64, mode: Mode) -> bool {
        self.queues.get(&hash).is_some_and(|queue| {
            let mut held = queue.iter().take_while(|claim| claim.granted);
            held.any(|claim| claim.mode.bars(mode) && self.units[&claim.id].begun)
        })
    }

    fn is_barred_by_whole(&self, mode: Mode) -> bool {
        self.whole.iter().any(|whole| whole.mode.bars(mode))
    }

    /// True if units in the queues are in the way of one that wants all keys.
    fn bars_whole(&self, mode: Mode) -> bool {
        if mode == Mode::Exclusive { !self.units.is_empty() } else { self.exclusive > 0 }
    }

    /// Adds a unit, which has its locks as soon as `next_granted` names it.
    pub(crate) fn enter(&mut self, mut wanted: Wanted) -> UnitId {
        wanted.tidy();
        self.count += 1;
        self.present += 1;
        let id = self.count;
        if !self.behind.is_empty() || self.is_barred_by_whole(wanted.mode()) {
            self.behind.push_back((id, wanted));
        } else {
            self.admit(id, wanted);
        }
        id
    }

    /// Adds a unit that has all keys at once, beside those that have begun: who runs holds them as
    /// it is. Nobody else begins before it leaves.
    pub(crate) fn seize(&mut self) -> UnitId {
        self.count += 1;
        self.present += 1;
        let id = self.count;
        self.whole.insert(0, Whole { id, mode: Mode::Exclusive, granted: true, begun: true });
        id
    }

    /// Puts a unit into the queues, where nothing in `whole` bars it.
    fn admit(&mut self, id: UnitId, wanted: Wanted) {
        match wanted {
            Wanted::All(mode) => {
                let granted = !self.bars_whole(mode);
                self.whole.push(Whole { id, mode, granted, begun: false });
                if granted {
                    self.granted.push_back(id);
                }
            }
            Wanted::Keys(keys) => {
                let mut left = 0;
                let mut exclusive = false;
                for &(hash, mode) in &keys {
                    let queue = self.queues.entry(hash).or_default();
                    let granted =
                        queue.back().is_none_or(|last| last.granted && !last.mode.bars(mode));
                    queue.push_back(Claim { id, mode, granted });
                    left += usize::from(!granted);
                    exclusive |= mode == Mode::Exclusive;
                }
                self.exclusive += usize::from(exclusive);
                self.units.insert(id, Unit { keys, left, begun: false });
                if left == 0 {
                    self.granted.push_back(id);
                }
            }
        }
    }

    /// The next unit that holds all it asked for; it has begun from now on.
    pub(crate) fn next_granted(&mut self) -> Option<UnitId> {
        let id = self.granted.pop_front()?;
        match self.units.get_mut(&id) {
            Some(unit) => unit.begun = true,
            None => {
                let whole = self.whole.iter_mut().find(|whole| whole.id == id);
                whole.expect("what is granted is there").begun = true;
            }
        }
        Some(id)
    }

    /// The same if that is this unit, which has just entered.
    pub(crate) fn next_granted_is(&mut self, id: UnitId) -> bool {
        self.granted.front() == Some(&id) && self.next_granted().is_some()
    }

    /// True if `next_granted` has one.
    pub(crate) fn has_granted(&self) -> bool {
        !self.granted.is_empty()
    }

    /// Gives back all that a unit holds.
    pub(crate) fn leave(&mut self, id: UnitId) {
        self.present -= 1;
        if let Some(unit) = self.units.remove(&id) {
            debug_assert_eq!(unit.left, 0, "who leaves has had its locks");
            let exclusive = unit.keys.iter().any(|&(_, mode)| mode == Mode::Exclusive);
            self.exclusive -= usize::from(exclusive);
            unit.keys.iter().for_each(|&(hash, _)| self.leave_queue(hash, id));
            self.grant_whole();
        } else {
            let at = self.whole.iter().position(|whole| whole.id == id);
            self.whole.remove(at.expect("who leaves is there"));
            while let Some((_, wanted)) = self.behind.front()
                && !self.is_barred_by_whole(wanted.mode())
            {
                let (id, wanted) = self.behind.pop_front().expect("it has a front");
                self.admit(id, wanted);
            }
        }
    }

    fn leave_queue(&mut self, hash: u64, id: UnitId) {
        let queue = self.queues.get_mut(&hash).expect("a unit stands in its queues");
        let at = queue.iter().position(|claim| claim.id == id);
        queue.remove(at.expect("a unit stands in its queues"));
        if queue.is_empty() {
            self.queues.remove(&hash);
            return;
        }
        // If any claim is granted, those after it are still in its way.
        let mut before = None;
        for claim in queue.iter_mut() {
            if claim.granted || before.is_some_and(|mode: Mode| mode.bars(claim.mode)) {
                break;
            }
            claim.granted = true;
            before = Some(claim.mode);
            let unit = self.units.get_mut(&claim.id).expect("a claim is a unit's");
            unit.left -= 1;
            if unit.left == 0 {
                self.granted.push_back(claim.id);
            }
        }
    }

    /// Lets units have all keys that waited for those that left.
    fn grant_whole(&mut self) {
        for at in 0..self.whole.len() {
            let Whole { id, mode, granted, .. } = self.whole[at];
            if !granted && !self.bars_whole(mode) {
                self.whole[at].granted = true;
                self.granted.push_back(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A unit as the model sees it.
    struct Known {
        id: UnitId,
        wanted: Wanted,
        granted: bool,
    }

    /// True if the two cannot be held together.
    fn bars(one: &Wanted, other: &Wanted) -> bool {
        match (one, other) {
            (Wanted::Keys(keys), Wanted::Keys(others)) => keys.iter().any(|&(hash, mode)| {
                others.iter().any(|&(its, other)| its == hash && mode.bars(other))
            }),
            _ => one.mode().bars(other.mode()),
        }
    }

    fn drawn(random: &mut Random) -> Wanted {
        let mode = Mode::of(random.below(2) == 0);
        if random.below(12) == 0 {
            return Wanted::All(mode);
        }
        let key = |random: &mut Random| (random.below(6) as u64, Mode::of(random.below(2) == 0));
        Wanted::Keys((0..1 + random.below(3)).map(|_| key(random)).collect())
    }

    /// Takes the grants, and compares with the rule: nobody holds what another has in its way, and
    /// nobody waits for nothing.
    fn check(locks: &mut Locks, known: &mut [Known]) {
        while let Some(id) = locks.next_granted() {
            let unit = known.iter_mut().find(|unit| unit.id == id).expect("it has entered");
            assert!(!unit.granted, "{id} is told once");
            unit.granted = true;
        }
        for (at, unit) in known.iter().enumerate() {
            let mut before = known[..at].iter();
            if unit.granted {
                let barred = before.any(|other| bars(&other.wanted, &unit.wanted));
                assert!(!barred, "{} does not overtake", unit.id);
            } else {
                // Behind one that wants all keys everything waits.
                let waits = before.any(|other| {
                    bars(&other.wanted, &unit.wanted) || matches!(other.wanted, Wanted::All(_))
                });
                assert!(waits, "{} waits for somebody", unit.id);
            }
        }
    }

    #[test]
    fn units_get_their_locks_in_order() {
        for seed in 0..200 {
            let (mut random, mut locks) = (Random(seed), Locks::default());
            let mut known: Vec<Known> = Vec::new();
            for _ in 0..200 {
                let held = known.iter().filter(|unit| unit.granted).count();
                if random.below(2) == 0 || held == 0 {
                    let wanted = drawn(&mut random);
                    let free = !locks.bar(&wanted);
                    let id = locks.enter(wanted.clone());
                    known.push(Known { id, wanted, granted: false });
                    check(&mut locks, &mut known);
                    let granted = known.last().is_some_and(|unit| unit.granted);
                    assert_eq!(free, granted, "what nothing bars is granted at once");
                } else {
                    let chosen = random.below(held);
                    let holders = known.iter().enumerate().filter(|(_, unit)| unit.granted);
                    let at = holders.map(|(at, _)| at).nth(chosen).expect("so many hold");
                    locks.leave(known.remove(at).id);
                    check(&mut locks, &mut known);
                }
            }
            while let Some(at) = known.iter().position(|unit| unit.granted) {
                locks.leave(known.remove(at).id);
                check(&mut locks, &mut known);
            }
            assert!(known.is_empty() && locks.is_empty(), "seed {seed}: all had their turn");
            assert!(locks.queues.is_empty() && locks.behind.is_empty() && locks.exclusive == 0);
        }
    }

    #[test]
    fn what_holds_a_key_has_begun() {
        let mut locks = Locks::default();
        let write = |key| Wanted::Keys(vec![(key, Mode::Exclusive)]);
        let first = locks.enter(write(1));
        assert!(!locks.holds(1, Mode::Shared), "it was not told yet");
        assert!(locks.next_granted_is(first) && locks.holds(1, Mode::Shared));
        let second = locks.enter(write(1));
        assert!(!locks.next_granted_is(second));
        locks.leave(first);
        assert!(!locks.holds(1, Mode::Shared) && locks.bar(&write(1)));
        assert_eq!(locks.next_granted(), Some(second));
    }
}
