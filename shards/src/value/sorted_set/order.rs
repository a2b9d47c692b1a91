//! Members in the order of their scores, and by their bytes where scores are equal.
//!
//! Leaves of up to some dozen members stand in chunks of up to some hundred leaves, each chunk
//! with the first score of every leaf and how many members it has. So a member is found by score
//! or by rank with a search among chunks, one among leaves and one in a leaf, and its rank is a
//! sum of counts. A leaf keeps its number for as long as it lives, so that others can name it.

use super::leaf::Leaf;
use crate::limits::CHUNK_LEAVES_MAX;
use std::ops::Range;

/// Leaves of a page of the arena: a page is never moved.
const PAGE_LEAVES: usize = 64;
/// Places by which the arrays of a chunk grow and shrink.
const STEP: usize = 8;

/// Leaves in order, with what is asked of all of them.
#[derive(Debug, Default)]
struct Chunk {
    ids: Vec<u32>,
    /// The first score of each.
    firsts: Vec<f64>,
    /// The members of each.
    counts: Vec<u8>,
    len: usize,
}

const _: () = assert!(crate::limits::LEAF_MEMBERS_MAX <= u8::MAX as usize, "a byte counts them");

/// Members in order.
#[derive(Debug, Default)]
pub(super) struct Order {
    chunks: Vec<Chunk>,
    pages: Vec<Vec<Leaf>>,
    /// Numbers of leaves that are not used.
    free: Vec<u32>,
    len: usize,
    /// Bytes that leaves, pages and chunks own.
    bytes: usize,
}

/// Where a member stands, or would: its chunk, its leaf in that, its place in the leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    chunk: usize,
    leaf: usize,
    at: usize,
}

/// The name of a member that a search looks at, if it asks.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    order: &'a Order,
    id: u32,
    at: usize,
}

impl<'a> Name<'a> {
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.order.leaf(self.id).name(self.at)
    }
}

impl Chunk {
    fn bytes(&self) -> usize {
        self.ids.capacity() * (size_of::<u32>() + size_of::<f64>() + size_of::<u8>())
    }

    fn insert(&mut self, at: usize, id: u32, leaf: &Leaf) {
        if self.ids.len() == self.ids.capacity() {
            self.ids.reserve_exact(STEP);
            self.firsts.reserve_exact(STEP);
            self.counts.reserve_exact(STEP);
        }
        self.ids.insert(at, id);
        self.firsts.insert(at, leaf.score(0));
        self.counts.insert(at, leaf.len() as u8);
    }

    fn remove(&mut self, at: usize) {
        self.ids.remove(at);
        self.firsts.remove(at);
        self.counts.remove(at);
        let places = self.ids.len().next_multiple_of(STEP);
        if self.ids.capacity() >= places + STEP {
            self.shrink(places);
        }
    }

    fn shrink(&mut self, places: usize) {
        self.ids.shrink_to(places);
        self.firsts.shrink_to(places);
        self.counts.shrink_to(places);
    }

    fn before(&self, leaf: usize) -> usize {
        self.counts[..leaf].iter().map(|&count| usize::from(count)).sum()
    }

    fn split_off(&mut self, at: usize) -> Self {
        let len = self.before(at);
        let right = Self {
            ids: self.ids.split_off(at),
            firsts: self.firsts.split_off(at),
            counts: self.counts.split_off(at),
            len: self.len - len,
        };
        self.len = len;
        self.shrink(self.ids.len().next_multiple_of(STEP));
        right
    }
}

impl Order {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that it owns.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.pages.capacity() * size_of::<Vec<Leaf>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// The leaf of this number.
    #[inline]
    pub(super) fn leaf(&self, id: u32) -> &Leaf {
        &self.pages[id as usize / PAGE_LEAVES][id as usize % PAGE_LEAVES]
    }

    /// Changes a leaf, and counts what that did to its memory.
    fn edit<T>(&mut self, id: u32, change: impl FnOnce(&mut Leaf) -> T) -> T {
        let leaf = &mut self.pages[id as usize / PAGE_LEAVES][id as usize % PAGE_LEAVES];
        let before = leaf.bytes();
        let result = change(leaf);
        self.bytes = self.bytes - before + leaf.bytes();
        result
    }

    /// Changes a chunk, and counts what that did to its memory.
    fn edit_chunk<T>(&mut self, chunk: usize, change: impl FnOnce(&mut Chunk) -> T) -> T {
        let chunk = &mut self.chunks[chunk];
        let before = chunk.bytes();
        let result = change(chunk);
        self.bytes = self.bytes - before + chunk.bytes();
        result
    }

    /// Keeps a leaf; its number.
    fn keep(&mut self, leaf: Leaf) -> u32 {
        self.bytes += leaf.bytes();
        if let Some(id) = self.free.pop() {
            self.pages[id as usize / PAGE_LEAVES][id as usize % PAGE_LEAVES] = leaf;
            return id;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE_LEAVES) {
            // The first page is as large as it must be; there may be many small sets.
            self.pages.push(Vec::new());
        }
        let (index, page) = (self.pages.len() - 1, self.pages.last_mut());
        let page = page.expect("a page was added");
        if page.len() == page.capacity() {
            let more = if index == 0 { page.len().max(4) } else { PAGE_LEAVES };
            page.reserve_exact(more.min(PAGE_LEAVES - page.len()));
            self.bytes += more.min(PAGE_LEAVES - page.len()) * size_of::<Leaf>();
        }
        page.push(leaf);
        (index * PAGE_LEAVES + page.len() - 1) as u32
    }

    /// The first place for which `before` is false, asked with scores and names. It must be true
    /// for all members up to some place, and false for all after.
    pub(super) fn seek(&self, before: impl Fn(f64, Name<'_>) -> bool) -> Spot {
        let first = |chunk: &Chunk, leaf: usize| {
            before(chunk.firsts[leaf], Name { order: self, id: chunk.ids[leaf], at: 0 })
        };
        let chunk = self.chunks.partition_point(|chunk| first(chunk, 0)).saturating_sub(1);
        let Some(found) = self.chunks.get(chunk) else { return Spot { chunk: 0, leaf: 0, at: 0 } };
        let (mut low, mut high) = (0, found.ids.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if first(found, middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let leaf = low.saturating_sub(1);
        let id = found.ids[leaf];
        let at =
            self.leaf(id).count_before(|score, at| before(score, Name { order: self, id, at }));
        Spot { chunk, leaf, at }
    }

    /// Where a member stands that is in.
    pub(super) fn member(&self, score: f64, name: &[u8]) -> Spot {
        let spot = self.place(score, name);
        // The first of a leaf would fit behind the last of the one before as well.
        let (_, leaf, at) = self.leaf_of(spot);
        if at < leaf.len() { spot } else { self.next_leaf(spot, 0) }
    }

    /// Where a member with this score and name would be put in.
    pub(super) fn place(&self, score: f64, name: &[u8]) -> Spot {
        debug_assert!(!score.is_nan(), "scores have an order");
        self.seek(|other, its| other < score || other == score && its.bytes() < name)
    }

    /// How many members stand before a place.
    pub(super) fn rank(&self, spot: Spot) -> usize {
        let Some(chunk) = self.chunks.get(spot.chunk) else { return 0 };
        let before: usize = self.chunks[..spot.chunk].iter().map(|chunk| chunk.len).sum();
        before + chunk.before(spot.leaf) + spot.at
    }

    /// The place of a rank below `len`.
    pub(super) fn at(&self, rank: usize) -> Spot {
        let mut at = rank;
        for (chunk, found) in self.chunks.iter().enumerate() {
            if at >= found.len {
                at -= found.len;
                continue;
            }
            for (leaf, &count) in found.counts.iter().enumerate() {
                if at < usize::from(count) {
                    return Spot { chunk, leaf, at };
                }
                at -= usize::from(count);
            }
        }
        unreachable!("a rank is below the number of members")
    }

    /// The leaf of a place, its number, and the place in it.
    #[inline]
    pub(super) fn leaf_of(&self, spot: Spot) -> (u32, &Leaf, usize) {
        let id = self.chunks[spot.chunk].ids[spot.leaf];
        (id, self.leaf(id), spot.at)
    }

    /// Puts a member in at a place; the number of its leaf. A leaf without room is split before,
    /// and `moved` told of the names that are in another leaf then: names, the old number, the new.
    pub(super) fn insert(
        &mut self,
        spot: Spot,
        (score, mark, name): (f64, u8, &[u8]),
        moved: &mut dyn FnMut(&Leaf, u32, u32),
    ) -> u32 {
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
            return self.begin_leaf(Spot { chunk: 0, leaf: 0, at: 0 }, (score, mark, name));
        }
        let (id, leaf, at) = self.leaf_of(spot);
        if leaf.has_room(name) {
            return self.insert_in(spot, (score, mark, name));
        }
        let Spot { chunk, leaf: index, .. } = spot;
        // What comes behind all others begins a leaf: the one before stays full.
        let is_last = chunk + 1 == self.chunks.len() && index + 1 == self.chunks[chunk].ids.len();
        if at == leaf.len() && is_last {
            return self.begin_leaf(Spot { leaf: index + 1, ..spot }, (score, mark, name));
        }
        if at == 0 && leaf.len() == 1 {
            return self.begin_leaf(spot, (score, mark, name));
        }
        let middle = match leaf.len() {
            1 => 1,
            _ => leaf.middle(),
        };
        if middle == leaf.len() {
            return self.begin_leaf(Spot { leaf: index + 1, ..spot }, (score, mark, name));
        }
        let right = self.edit(id, |leaf| leaf.split_off(middle));
        let len = right.len();
        let new = self.keep(right);
        moved(self.leaf(new), id, new);
        self.chunks[chunk].counts[index] = middle as u8;
        self.chunks[chunk].len -= len;
        let spot = self.add_leaf(Spot { leaf: index + 1, ..spot }, new, spot);
        // Halves of few long names may have no room either.
        let spot = match at > middle {
            true => self.next_leaf(spot, at - middle),
            false => Spot { at, ..spot },
        };
        self.len -= 1;
        self.insert(spot, (score, mark, name), moved)
    }

    /// Names a leaf at a place; `old` is where it is after that.
    fn add_leaf(&mut self, spot: Spot, id: u32, old: Spot) -> Spot {
        let leaf = &self.pages[id as usize / PAGE_LEAVES][id as usize % PAGE_LEAVES];
        let chunk = &mut self.chunks[spot.chunk];
        let before = chunk.bytes();
        chunk.insert(spot.leaf, id, leaf);
        chunk.len += leaf.len();
        self.bytes = self.bytes - before + chunk.bytes();
        if chunk.ids.len() <= CHUNK_LEAVES_MAX {
            return old;
        }
        let middle = CHUNK_LEAVES_MAX / 2;
        let right = self.edit_chunk(spot.chunk, |chunk| chunk.split_off(middle));
        self.bytes += right.bytes();
        self.chunks.insert(spot.chunk + 1, right);
        match old.leaf.checked_sub(middle) {
            Some(leaf) => Spot { chunk: old.chunk + 1, leaf, ..old },
            None => old,
        }
    }

    fn next_leaf(&self, spot: Spot, at: usize) -> Spot {
        if spot.leaf + 1 < self.chunks[spot.chunk].ids.len() {
            Spot { leaf: spot.leaf + 1, at, ..spot }
        } else {
            Spot { chunk: spot.chunk + 1, leaf: 0, at }
        }
    }

    /// Puts a member into a leaf of its own.
    fn begin_leaf(&mut self, spot: Spot, (score, mark, name): (f64, u8, &[u8])) -> u32 {
        let mut leaf = Leaf::default();
        leaf.insert(0, score, mark, name);
        let id = self.keep(leaf);
        self.add_leaf(spot, id, spot);
        id
    }

    fn insert_in(&mut self, spot: Spot, (score, mark, name): (f64, u8, &[u8])) -> u32 {
        let chunk = &mut self.chunks[spot.chunk];
        let id = chunk.ids[spot.leaf];
        chunk.len += 1;
        chunk.counts[spot.leaf] += 1;
        if spot.at == 0 {
            chunk.firsts[spot.leaf] = score;
        }
        self.edit(id, |leaf| leaf.insert(spot.at, score, mark, name));
        id
    }

    /// Gives the member at a place another score, if it may stay where it is.
    pub(super) fn set_score(&mut self, spot: Spot, score: f64) -> bool {
        let (id, leaf, at) = self.leaf_of(spot);
        let stays = at > 0
            && at + 1 < leaf.len()
            && leaf.score(at - 1) < score
            && score < leaf.score(at + 1);
        if stays {
            self.edit(id, |leaf| leaf.set_score(at, score));
        }
        stays
    }

    /// Takes out up to `most` members in a row of one leaf, telling `gone` of it before; how many.
    /// Leaves that join are told to `moved`, as in `insert`.
    pub(super) fn remove(
        &mut self,
        spot: Spot,
        most: usize,
        gone: &mut dyn FnMut(&Leaf, u32, Range<usize>),
        moved: &mut dyn FnMut(&Leaf, u32, u32),
    ) -> usize {
        let (id, leaf, at) = self.leaf_of(spot);
        let range = at..leaf.len().min(at + most);
        let (count, left) = (range.len(), leaf.len() - range.len());
        gone(leaf, id, range.clone());
        self.edit(id, |leaf| leaf.remove(range));
        self.len -= count;
        self.chunks[spot.chunk].len -= count;
        if left == 0 {
            self.drop_leaf(spot);
            return count;
        }
        let first = self.leaf(id).score(0);
        let chunk = &mut self.chunks[spot.chunk];
        chunk.counts[spot.leaf] = left as u8;
        chunk.firsts[spot.leaf] = first;
        if self.leaf(id).is_sparse() {
            self.join(spot, moved);
        }
        count
    }

    /// Forgets a leaf; its members are gone or elsewhere.
    fn drop_leaf(&mut self, spot: Spot) {
        let id = self.chunks[spot.chunk].ids[spot.leaf];
        self.edit(id, |leaf| *leaf = Leaf::default());
        self.free.push(id);
        self.edit_chunk(spot.chunk, |chunk| chunk.remove(spot.leaf));
        let width = self.chunks[spot.chunk].ids.len();
        if width == 0 {
            let chunk = self.chunks.remove(spot.chunk);
            self.bytes -= chunk.bytes();
        } else if width < CHUNK_LEAVES_MAX / 8 {
            self.join_chunk(spot.chunk);
        }
    }

    /// Lets a chunk of few leaves join a neighbour.
    fn join_chunk(&mut self, chunk: usize) {
        let left = if chunk + 1 < self.chunks.len() { chunk } else { chunk.saturating_sub(1) };
        let Some(right) = self.chunks.get(left + 1) else { return };
        if self.chunks[left].ids.len() + right.ids.len() > CHUNK_LEAVES_MAX / 2 {
            return;
        }
        let right = self.chunks.remove(left + 1);
        self.bytes -= right.bytes();
        self.edit_chunk(left, |left| {
            let places = (left.ids.len() + right.ids.len()).next_multiple_of(STEP);
            left.ids.reserve_exact(places - left.ids.len());
            left.firsts.reserve_exact(places - left.firsts.len());
            left.counts.reserve_exact(places - left.counts.len());
            left.ids.extend_from_slice(&right.ids);
            left.firsts.extend_from_slice(&right.firsts);
            left.counts.extend_from_slice(&right.counts);
            left.len += right.len;
        });
    }

    /// Lets a leaf of few members join a neighbour in its chunk, if they have room in one.
    fn join(&mut self, spot: Spot, moved: &mut dyn FnMut(&Leaf, u32, u32)) {
        let ids = &self.chunks[spot.chunk].ids;
        let pairs = [(spot.leaf, spot.leaf + 1), (spot.leaf.wrapping_sub(1), spot.leaf)];
        let fits = |&(left, right): &(usize, usize)| {
            let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) else { return false };
            self.leaf(left).can_join(self.leaf(right))
        };
        let Some((left, right)) = pairs.into_iter().find(fits) else { return };
        let (left_id, right_id) = (ids[left], ids[right]);
        moved(self.leaf(right_id), right_id, left_id);
        let gone = self.edit(right_id, std::mem::take);
        self.edit(left_id, |leaf| leaf.append(&gone));
        self.chunks[spot.chunk].counts[left] = self.leaf(left_id).len() as u8;
        self.drop_leaf(Spot { leaf: right, ..spot });
    }

    /// Drops about `budget` members of many that nobody uses any more; true while some are left.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut freed = 0;
        while freed < budget {
            let Some(mut page) = self.pages.pop() else {
                *self = Self::default();
                return false;
            };
            // Counts of what is taken apart are nobody's business any more, but for the memory.
            freed += page.iter().map(Leaf::len).sum::<usize>() + PAGE_LEAVES;
            let leaves: usize = page.iter().map(Leaf::bytes).sum();
            self.bytes -= leaves + page.capacity() * size_of::<Leaf>();
            page.clear();
        }
        true
    }

    /// A copy that shares nothing, with leaves of the same numbers.
    pub(super) fn duplicate(&self) -> Self {
        let chunk = |chunk: &Chunk| Chunk {
            ids: chunk.ids.clone(),
            firsts: chunk.firsts.clone(),
            counts: chunk.counts.clone(),
            len: chunk.len,
        };
        let page = |page: &Vec<Leaf>| page.iter().map(Leaf::duplicate).collect();
        let mut copy = Self {
            chunks: self.chunks.iter().map(chunk).collect(),
            pages: self.pages.iter().map(page).collect(),
            free: self.free.clone(),
            len: self.len,
            bytes: 0,
        };
        // What is counted by capacity is counted by that of the copy.
        copy.bytes = copy.recounted();
        copy
    }

    fn recounted(&self) -> usize {
        let page = |page: &Vec<Leaf>| {
            page.capacity() * size_of::<Leaf>() + page.iter().map(Leaf::bytes).sum::<usize>()
        };
        let pages: usize = self.pages.iter().map(page).sum();
        pages + self.chunks.iter().map(Chunk::bytes).sum::<usize>()
    }

    /// Counts everything anew, and looks whether all stands in order.
    ///
    /// # Panics
    /// If anything is not as it must be.
    pub(super) fn recount(&self) {
        assert_eq!(self.recounted(), self.bytes, "bytes counted are bytes recounted");
        let mut last: Option<(f64, &[u8])> = None;
        let (mut len, mut leaves) = (0, 0);
        for chunk in &self.chunks {
            assert!((1..=CHUNK_LEAVES_MAX).contains(&chunk.ids.len()), "a chunk is not too wide");
            assert_eq!(chunk.len, chunk.before(chunk.ids.len()), "a chunk counts its members");
            leaves += chunk.ids.len();
            for (index, &id) in chunk.ids.iter().enumerate() {
                let leaf = self.leaf(id);
                assert_eq!(leaf.len(), usize::from(chunk.counts[index]), "a leaf is counted");
                let first = chunk.firsts[index].to_bits();
                assert_eq!(leaf.score(0).to_bits(), first, "the first score is noted");
                for at in 0..leaf.len() {
                    let (score, name) = (leaf.score(at), leaf.name(at));
                    let in_order = last
                        .is_none_or(|(low, before)| low < score || low == score && before < name);
                    assert!(in_order, "members stand in order");
                    last = Some((score, name));
                    len += 1;
                }
            }
        }
        assert_eq!(len, self.len, "members are counted");
        let kept: usize = self.pages.iter().map(Vec::len).sum();
        assert_eq!(kept, leaves + self.free.len(), "every leaf is used or free");
    }
}
