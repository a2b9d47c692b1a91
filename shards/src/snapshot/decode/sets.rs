//! Sets and sorted sets.

use super::{Fault, Source};
use crate::value::{IntSet, Set, SortedSet};
use pinion_rdb::kind;

impl Source<'_, '_> {
    pub(super) fn set(&mut self, number: u8) -> Result<Set, Fault> {
        match number {
            kind::SET_INTSET => {
                let bytes = self.reader.own_text()?;
                let ints = IntSet::from_bytes(bytes).ok_or(Fault::Intset)?;
                Ok(Set::of_ints(ints, self.rules))
            }
            kind::SET_LISTPACK => {
                let packed = self.packed(1)?;
                if self.decoder.has_twins(self.rules, packed.iter()) {
                    return Err(Fault::Twice);
                }
                Ok(Set::of_packed(packed, self.rules))
            }
            _ => self.members(),
        }
    }

    fn members(&mut self) -> Result<Set, Fault> {
        let count = self.reader.count(1)?;
        let mut set = None;
        let rules = self.rules;
        for _ in 0..count {
            self.with_text(|member| {
                let set = set.get_or_insert_with(|| Set::with_room(rules, member, count));
                if set.add(rules, member) { Ok(()) } else { Err(Fault::Twice) }
            })?;
        }
        Ok(set.unwrap_or_default())
    }

    pub(super) fn sorted_set(&mut self, number: u8) -> Result<SortedSet, Fault> {
        let packed = match number {
            kind::ZSET_LISTPACK => self.packed(2)?,
            kind::ZSET_ZIPLIST => self.ziplist(2)?,
            _ => return self.scored(number),
        };
        if self.decoder.has_twins(self.rules, packed.iter().step_by(2)) {
            return Err(Fault::Twice);
        }
        SortedSet::of_packed(packed, self.rules).ok_or(Fault::Score)
    }

    fn scored(&mut self, number: u8) -> Result<SortedSet, Fault> {
        let (count, rules) = (self.reader.count(2)?, self.rules);
        let set = SortedSet::gather(count, rules, |member| {
            self.with_text(|text| {
                member.extend_from_slice(text);
                Ok(())
            })?;
            match number {
                kind::ZSET => self.reader.score_text(),
                _ => self.reader.score(),
            }
        });
        set?.ok_or(Fault::Twice)
    }
}
