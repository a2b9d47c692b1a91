//! Memory for many allocations of like sizes that one value owns, without holes.
//!
//! Slots of a size lie dense: where one is given back, the last of its size takes its place, and
//! whoever owns that is told. So memory goes back as soon as there is a page of it, whatever order
//! slots come and go in; the allocator, which moves nothing, would keep what lies between them. A
//! small pool has a page for each slot; once it is large, slots share pages.

/// Bytes of the smallest slots.
pub(super) const SLOT_BYTES_MIN: usize = 256;
/// Sizes of slots from each power of two to the next: those that the allocator has, too.
const STEPS: usize = 4;
/// Slots from which on they share pages.
const SHARED_MIN: usize = 512;
/// Bytes of shared pages: the allocator adds some kilobytes to each, and as much as a slot may be
/// left over.
const PAGE_BYTES: usize = 128 << 10;

/// Where a slot lies, until another is given back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Slot {
    page: u32,
    class: u16,
    /// Which of the page's.
    nth: u16,
}

/// Slots of a size.
#[derive(Debug, Default)]
struct Class {
    pages: Vec<Vec<u8>>,
    owners: Vec<u32>,
    /// Bytes of a slot.
    len: usize,
    /// Slots of a page.
    per_page: usize,
}

/// Slots of all sizes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    classes: Vec<Class>,
    slots: usize,
    shared: bool,
    /// Bytes of pages and of what is known of them.
    bytes: usize,
}

/// The smallest class whose slots have `len` bytes.
fn class_of(len: usize) -> usize {
    let len = len.max(SLOT_BYTES_MIN);
    let doubling = (len / SLOT_BYTES_MIN).ilog2() as usize;
    let step = (SLOT_BYTES_MIN << doubling) / STEPS;
    doubling * STEPS + len.div_ceil(step) - STEPS
}

/// The bytes of a slot of a class.
fn bytes_of(class: usize) -> usize {
    (SLOT_BYTES_MIN << (class / STEPS)) / STEPS * (STEPS + class % STEPS)
}

impl Pool {
    /// Bytes of memory that it owns.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.classes.capacity() * size_of::<Class>()
    }

    #[inline]
    pub(super) fn slot(&self, slot: Slot) -> &[u8] {
        let class = &self.classes[usize::from(slot.class)];
        &class.pages[slot.page as usize][usize::from(slot.nth) * class.len..][..class.len]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, slot: Slot) -> &mut [u8] {
        let class = &mut self.classes[usize::from(slot.class)];
        &mut class.pages[slot.page as usize][usize::from(slot.nth) * class.len..][..class.len]
    }

    /// Two slots of different sizes: one to be read, another to be written.
    pub(super) fn slots(&mut self, from: Slot, to: Slot) -> (&[u8], &mut [u8]) {
        let classes = [usize::from(from.class), usize::from(to.class)];
        let both = self.classes.get_disjoint_mut(classes).expect("the sizes are different");
        let [one, other] = both;
        let start = usize::from(from.nth) * one.len;
        let begin = usize::from(to.nth) * other.len;
        let from = &one.pages[from.page as usize][start..][..one.len];
        (from, &mut other.pages[to.page as usize][begin..][..other.len])
    }

    /// A slot of `len` bytes at least.
    pub(super) fn allocate(&mut self, len: usize, owner: u32) -> Slot {
        self.slots += 1;
        self.push(class_of(len), owner)
    }

    fn push(&mut self, class: usize, owner: u32) -> Slot {
        if class >= self.classes.len() {
            self.classes.reserve_exact(class + 1 - self.classes.len());
            self.classes.resize_with(class + 1, Class::default);
        }
        let slots = &mut self.classes[class];
        self.bytes -= slots.bytes();
        if slots.pages.is_empty() {
            slots.len = bytes_of(class);
            slots.per_page = if self.shared { (PAGE_BYTES / slots.len).max(1) } else { 1 };
        }
        let index = slots.owners.len();
        slots.owners.push(owner);
        if index == slots.pages.len() * slots.per_page {
            let shares = slots.per_page > 1;
            slots.pages.push(vec![0; if shares { PAGE_BYTES } else { slots.len }]);
        }
        self.bytes += slots.bytes();
        slots.at(class, index)
    }

    /// Gives a slot back; the owner of the one that lies there now, if there is one.
    #[must_use]
    pub(super) fn release(&mut self, slot: Slot) -> Option<u32> {
        let class = usize::from(slot.class);
        let slots = &mut self.classes[class];
        self.bytes -= slots.bytes();
        self.slots -= 1;
        let index = slot.page as usize * slots.per_page + usize::from(slot.nth);
        slots.owners.swap_remove(index);
        let last = slots.at(class, slots.owners.len());
        if last != slot {
            slots.copy(last, slot);
        }
        if last.nth == 0 {
            slots.pages.pop();
        }
        if slots.owners.is_empty() {
            *slots = Class::default();
        }
        self.bytes += slots.bytes();
        slots.owners.get(index).copied()
    }

    /// True if so many slots should share pages, and do not yet.
    #[inline]
    pub(super) fn should_share(&self) -> bool {
        self.slots >= SHARED_MIN && !self.shared
    }

    /// Puts slots that have pages of their own together, and tells all owners where.
    #[cold]
    pub(super) fn share(&mut self, mut tell: impl FnMut(u32, Slot)) {
        let classes = std::mem::take(&mut self.classes);
        (self.shared, self.bytes) = (true, 0);
        for (class, slots) in classes.into_iter().enumerate() {
            for (page, owner) in slots.pages.into_iter().zip(slots.owners) {
                let slot = self.push(class, owner);
                self.slot_mut(slot).copy_from_slice(&page);
                tell(owner, slot);
            }
        }
    }

    /// Drops a page of what nobody uses any more.
    pub(super) fn drop_page(&mut self) {
        while let Some(slots) = self.classes.last_mut() {
            if let Some(page) = slots.pages.pop() {
                self.bytes -= page.capacity();
                return;
            }
            self.bytes -= slots.bytes();
            self.classes.pop();
        }
    }

    /// A copy with as much memory, so that what counts one counts the other.
    pub(super) fn duplicate(&self) -> Self {
        let mut copy = Self { shared: self.shared, slots: self.slots, ..Self::default() };
        for class in &self.classes {
            let (pages, owners) = (class.pages.clone(), class.owners.clone());
            copy.classes.push(Class { pages, owners, ..*class });
        }
        copy.bytes = copy.classes.iter().map(Class::bytes).sum();
        copy
    }

    /// Compares what is kept with what is there; `slots` are those in use, owner by owner.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self, slots: impl Iterator<Item = Slot>) {
        let bytes: usize = self.classes.iter().map(Class::bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes counted are bytes recounted");
        let mut count = 0;
        for (owner, slot) in slots.enumerate() {
            let class = &self.classes[usize::from(slot.class)];
            let index = slot.page as usize * class.per_page + usize::from(slot.nth);
            let found = class.owners[index];
            assert_eq!(found as usize, owner, "who owns a slot is known");
            count += 1;
        }
        let kept: usize = self.classes.iter().map(|class| class.owners.len()).sum();
        assert_eq!((count, kept), (self.slots, self.slots), "every slot has an owner");
    }
}

impl Class {
    /// The slot of this number.
    fn at(&self, class: usize, index: usize) -> Slot {
        let (page, nth) = (index / self.per_page, index % self.per_page);
        Slot { page: page as u32, class: class as u16, nth: nth as u16 }
    }

    /// Copies what lies in a slot to another, which is before it.
    fn copy(&mut self, from: Slot, to: Slot) {
        let (start, end) = (usize::from(from.nth) * self.len, usize::from(to.nth) * self.len);
        let (front, back) = self.pages.split_at_mut(from.page as usize);
        match front.get_mut(to.page as usize) {
            Some(page) => page[end..end + self.len].copy_from_slice(&back[0][start..][..self.len]),
            None => back[0].copy_within(start..start + self.len, end),
        }
    }

    /// Bytes of memory that it owns.
    fn bytes(&self) -> usize {
        let pages = self.pages.first().map_or(0, |page| page.capacity() * self.pages.len());
        pages
            + self.pages.capacity() * size_of::<Vec<u8>>()
            + self.owners.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_fine_steps() {
        for len in 1..100_000 {
            let class = class_of(len);
            assert!(bytes_of(class) >= len && (class == 0 || bytes_of(class - 1) < len), "{len}");
        }
    }

    #[test]
    fn slots_keep_what_is_in_them() {
        for seed in 1..6_u64 {
            println!("seed {seed}");
            let mut state = seed;
            let mut random = |bound: usize| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as usize % bound
            };
            let mut pool = Pool::default();
            // What each owner has: the slot and the byte that it is filled with.
            let mut owned: Vec<(Slot, u8)> = Vec::new();
            for step in 0..3000 {
                let fill = random(256) as u8;
                let most = [400, 5000, 40_000][random(3)];
                let len = 1 + random(most);
                if owned.is_empty() || random(3) == 0 && step < 1500 {
                    let slot = pool.allocate(len, owned.len() as u32);
                    pool.slot_mut(slot).fill(fill);
                    assert!(pool.slot(slot).len() >= len);
                    owned.push((slot, fill));
                    if pool.should_share() {
                        pool.share(|owner, slot| owned[owner as usize].0 = slot);
                    }
                    continue;
                }
                // Another slot for one who has one; or, in the end, none any more.
                let owner = if step < 1500 { random(owned.len()) } else { owned.len() - 1 };
                let slot = owned[owner].0;
                if let Some(moved) = pool.release(slot) {
                    owned[moved as usize].0 = slot;
                }
                if step < 1500 {
                    let slot = pool.allocate(len, owner as u32);
                    pool.slot_mut(slot).fill(fill);
                    owned[owner] = (slot, fill);
                } else {
                    owned.pop();
                }
                if step % 50 == 0 {
                    pool.recount(owned.iter().map(|&(slot, _)| slot));
                    for &(slot, fill) in &owned {
                        assert!(pool.slot(slot).iter().all(|&byte| byte == fill));
                    }
                }
            }
        }
    }
}
