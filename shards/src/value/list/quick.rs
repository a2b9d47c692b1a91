//! The nodes of a long list, in chunks that know how many elements they hold, so that an element
//! in the middle is found by its index without walking all nodes.

use super::Side;
use super::node::{Limits, Node};
use crate::limits::LIST_CHUNK_NODES_MAX;
use std::collections::VecDeque;

/// Nodes in order. No node is empty, no chunk is empty.
#[derive(Debug, Default)]
pub(super) struct Quick {
    chunks: VecDeque<Chunk>,
    /// Elements.
    len: usize,
    /// Bytes of all nodes, and of the memory they lie in.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Chunk {
    /// Elements.
    len: usize,
    nodes: VecDeque<Node>,
}

impl Chunk {
    fn own_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    fn bytes(&self) -> usize {
        self.own_bytes() + self.nodes.iter().map(Node::heap_bytes).sum::<usize>()
    }
}

/// Where a node lies, until one is added or removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spot {
    chunk: usize,
    node: usize,
}

impl Spot {
    /// The same as a number; 0 is the first of all.
    pub(super) fn place(self) -> u64 {
        (self.chunk * LIST_CHUNK_NODES_MAX + self.node) as u64
    }
}

impl Quick {
    /// The spot with this number, if there is a node.
    pub(super) fn spot_of(&self, place: u64) -> Option<Spot> {
        let place = usize::try_from(place).ok()?;
        let (chunk, node) = (place / LIST_CHUNK_NODES_MAX, place % LIST_CHUNK_NODES_MAX);
        (node < self.chunks.get(chunk)?.nodes.len()).then_some(Spot { chunk, node })
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory it owns, beside its own place.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// How many nodes there are, and the bytes of their elements. Walks them all.
    pub(super) fn nodes(&self) -> (usize, usize) {
        let nodes = self.chunks.iter().flat_map(|chunk| &chunk.nodes);
        nodes.fold((0, 0), |(count, bytes), node| (count + 1, bytes + node.bytes()))
    }

    #[inline]
    pub(super) fn node(&self, spot: Spot) -> &Node {
        &self.chunks[spot.chunk].nodes[spot.node]
    }

    /// The node at one end.
    #[inline]
    pub(super) fn edge(&self, side: Side) -> Option<Spot> {
        let last = self.chunks.len().checked_sub(1)?;
        Some(match side {
            Side::Left => Spot { chunk: 0, node: 0 },
            Side::Right => Spot { chunk: last, node: self.chunks[last].nodes.len() - 1 },
        })
    }

    /// The node after this one, seen from one side.
    #[inline]
    pub(super) fn following(&self, spot: Spot, from: Side) -> Option<Spot> {
        match from {
            Side::Left if spot.node + 1 < self.chunks[spot.chunk].nodes.len() => {
                Some(Spot { node: spot.node + 1, ..spot })
            }
            Side::Left => {
                let chunk = spot.chunk + 1;
                (chunk < self.chunks.len()).then_some(Spot { chunk, node: 0 })
            }
            Side::Right if spot.node > 0 => Some(Spot { node: spot.node - 1, ..spot }),
            Side::Right => {
                let chunk = spot.chunk.checked_sub(1)?;
                Some(Spot { chunk, node: self.chunks[chunk].nodes.len() - 1 })
            }
        }
    }

    /// The node of an element, and the element's offset in it.
    pub(super) fn seek(&self, index: usize) -> Option<(Spot, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut rest = index;
            for (chunk, it) in self.chunks.iter().enumerate() {
                if rest < it.len {
                    return Some(it.seek(chunk, rest));
                }
                rest -= it.len;
            }
        } else {
            let mut first = self.len;
            for (chunk, it) in self.chunks.iter().enumerate().rev() {
                first -= it.len;
                if index >= first {
                    return Some(it.seek(chunk, index - first));
                }
            }
        }
        unreachable!("chunks hold as many elements as they say")
    }

    /// The node of the first element that is `text`, and the element's offset in it.
    pub(super) fn find(&self, text: &[u8]) -> Option<(Spot, usize)> {
        let mut next = self.edge(Side::Left);
        while let Some(spot) = next {
            if let Some(offset) = self.node(spot).find(text) {
                return Some((spot, offset));
            }
            next = self.following(spot, Side::Left);
        }
        None
    }

    /// Adds an element at one end.
    #[inline]
    pub(super) fn push(&mut self, side: Side, text: &[u8], limits: Limits) {
        match self.edge(side) {
            Some(spot) if self.node(spot).accepts(text.len(), limits) => {
                self.edit(spot, |node| node.push(side, text));
            }
            _ => self.push_node(side, Node::of(text, limits)),
        }
    }

    /// Adds a node at one end.
    pub(super) fn push_node(&mut self, side: Side, node: Node) {
        let full = |chunk: &Chunk| chunk.nodes.len() >= LIST_CHUNK_NODES_MAX;
        let spot = match self.edge(side) {
            Some(spot) if !full(&self.chunks[spot.chunk]) => spot,
            _ => {
                match side {
                    Side::Left => self.chunks.push_front(Chunk::default()),
                    Side::Right => self.chunks.push_back(Chunk::default()),
                }
                let chunk = if side == Side::Left { 0 } else { self.chunks.len() - 1 };
                Spot { chunk, node: 0 }
            }
        };
        let at = if side == Side::Left { 0 } else { self.chunks[spot.chunk].nodes.len() };
        self.put(Spot { node: at, ..spot }, node);
    }

    /// Adds an element beside the one at `offset`.
    pub(super) fn insert(
        &mut self,
        (spot, offset): (Spot, usize),
        side: Side,
        text: &[u8],
        limits: Limits,
    ) {
        let (len, count) = (text.len(), self.node(spot).count());
        let offset = if side == Side::Left { offset } else { offset + 1 };
        let after = Spot { node: spot.node + 1, ..spot };
        if self.node(spot).accepts(len, limits) {
            self.edit(spot, |node| node.insert(offset, text));
        } else if offset == 0 || offset == count {
            // At the node's edge its neighbour may have room.
            let (towards, at) = if offset == 0 { (Side::Right, spot) } else { (Side::Left, after) };
            match self.following(spot, towards) {
                Some(beside) if self.node(beside).accepts(len, limits) => {
                    self.edit(beside, |node| node.push(towards, text));
                }
                _ => drop(self.insert_node(at, Node::of(text, limits))),
            }
        } else if limits.is_large(len) {
            let rest = self.edit(spot, |node| node.split_off(offset));
            let rest = self.insert_node(after, rest);
            self.insert_node(rest, Node::of(text, limits));
        } else {
            let mut rest = self.edit(spot, |node| node.split_off(offset));
            match side {
                Side::Left => self.edit(spot, |node| node.push(Side::Right, text)),
                Side::Right => rest.push(Side::Left, text),
            }
            let rest = self.insert_node(after, rest);
            let pivot = match side {
                Side::Left => Some(rest),
                Side::Right => self.following(rest, Side::Right),
            };
            self.merge_around(pivot.unwrap_or(rest), limits);
        }
    }

    /// Puts a text in the place of an element.
    pub(super) fn replace(&mut self, spot: Spot, offset: usize, text: &[u8], limits: Limits) {
        let plain = self.node(spot).packed().is_none();
        if plain
            && let Some(next) = self.following(spot, Side::Left)
            && self.node(next).accepts(text.len(), limits)
        {
            // A small text that follows a large one goes to its neighbour.
            self.edit(next, |node| node.push(Side::Left, text));
            self.remove_node(spot);
        } else if self.edit(spot, |node| node.replace(offset, text, limits)) {
            if self.node(spot).is_overfull(limits) {
                let middle = self.node(spot).count() / 2;
                let rest = self.edit(spot, |node| node.split_off(middle));
                self.insert_node(Spot { node: spot.node + 1, ..spot }, rest);
            }
        } else {
            self.replace_by_large(spot, offset, Node::of(text, limits), limits);
        }
    }

    /// Puts a large text in the place of one of several elements of a node.
    fn replace_by_large(&mut self, spot: Spot, offset: usize, large: Node, limits: Limits) {
        self.edit(spot, |node| node.remove(offset, 1));
        let mut at = Spot { node: spot.node + 1, ..spot };
        if offset == 0 {
            at = spot;
        } else if offset < self.node(spot).count() {
            let rest = self.edit(spot, |node| node.split_off(offset));
            at = self.insert_node(at, rest);
        }
        let large = self.insert_node(at, large);
        self.merge_around(large, limits);
    }

    /// Merges the nodes around one, where two of them fit in one.
    fn merge_around(&mut self, center: Spot, limits: Limits) {
        let mut center = center;
        if let Some(before) = self.following(center, Side::Right)
            && let Some(first) = self.following(before, Side::Right)
        {
            // The center moves up by the node that goes, or by its chunk.
            let alone = self.chunks[before.chunk].nodes.len() == 1;
            if self.merge(first, limits) {
                if before.chunk == center.chunk {
                    center.node -= 1;
                } else if alone {
                    center.chunk -= 1;
                }
            }
        }
        if let Some(next) = self.following(center, Side::Left) {
            self.merge(next, limits);
        }
        if let Some(before) = self.following(center, Side::Right)
            && self.merge(before, limits)
        {
            center = before;
        }
        self.merge(center, limits);
    }

    /// Takes the elements of the next node into this one, if they fit.
    fn merge(&mut self, spot: Spot, limits: Limits) -> bool {
        let Some(next) = self.following(spot, Side::Left) else { return false };
        if !self.node(spot).fits_with(self.node(next), limits) {
            return false;
        }
        let taken = self.edit(next, Node::take_all);
        self.remove_node(next);
        self.edit(spot, |node| node.append(&taken));
        true
    }

    /// Removes `count` elements from `index` on, or as many as there are.
    pub(super) fn remove_range(&mut self, index: usize, count: usize) {
        let Some((mut spot, mut offset)) = self.seek(index) else { return };
        let mut left = count;
        while left > 0 && spot.chunk < self.chunks.len() {
            if spot.node == 0 && offset == 0 && self.chunks[spot.chunk].len <= left {
                left -= self.remove_chunks(spot.chunk, left);
                continue;
            }
            let node = self.node(spot);
            if offset == 0 && node.count() <= left {
                left -= node.count();
                spot = self.remove_node(spot);
            } else {
                let here = left.min(node.count() - offset);
                self.edit(spot, |node| node.remove(offset, here));
                left -= here;
                if left > 0 {
                    let Some(next) = self.following(spot, Side::Left) else { return };
                    (spot, offset) = (next, 0);
                }
            }
        }
    }

    /// Removes elements that are `text`, `limit` at most, beginning at one side; returns how many.
    pub(super) fn remove_equal(&mut self, text: &[u8], from: Side, limit: usize) -> usize {
        let (mut removed, mut next) = (0, self.edge(from));
        while removed < limit
            && let Some(spot) = next
        {
            removed += self.edit(spot, |node| node.remove_equal(text, from, limit - removed));
            next = self.following(spot, from);
            if self.node(spot).count() == 0 {
                let after = self.remove_node(spot);
                if from == Side::Left {
                    next = (after.chunk < self.chunks.len()).then_some(after);
                }
            }
        }
        removed
    }

    /// The only node, if there is only one.
    pub(super) fn only_node(&self) -> Option<&Node> {
        let chunk = self.chunks.front().filter(|_| self.chunks.len() == 1)?;
        chunk.nodes.front().filter(|_| chunk.nodes.len() == 1)
    }

    /// The same, taken.
    pub(super) fn take_first_node(&mut self) -> Option<Node> {
        let node = self.chunks.pop_front()?.nodes.pop_front();
        *self = Self::default();
        node
    }

    /// Drops nodes from the end; true while some are left. Dropping a node costs little more than
    /// dropping an element elsewhere, however many are in it.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget.max(1) {
            let Some(spot) = self.edge(Side::Right) else { return false };
            self.remove_node(spot);
        }
        self.len > 0
    }

    /// A copy that shares nothing.
    pub(super) fn duplicate(&self) -> Self {
        let copy = |chunk: &Chunk| Chunk { len: chunk.len, nodes: chunk.nodes.clone() };
        let chunks: VecDeque<Chunk> = self.chunks.iter().map(copy).collect();
        let bytes = chunks.iter().map(Chunk::bytes).sum();
        Self { chunks, len: self.len, bytes }
    }

    /// Changes a node, and counts what that changed.
    #[inline]
    fn edit<T>(&mut self, spot: Spot, change: impl FnOnce(&mut Node) -> T) -> T {
        let chunk = &mut self.chunks[spot.chunk];
        let node = &mut chunk.nodes[spot.node];
        let (bytes, count) = (node.heap_bytes(), node.count());
        let result = change(node);
        self.bytes = self.bytes - bytes + node.heap_bytes();
        chunk.len = chunk.len - count + node.count();
        self.len = self.len - count + node.count();
        result
    }

    /// Adds a node at this place and tells where it is now; a full chunk becomes two.
    fn insert_node(&mut self, spot: Spot, node: Node) -> Spot {
        let mut spot = spot;
        let chunk = &mut self.chunks[spot.chunk];
        if chunk.nodes.len() >= LIST_CHUNK_NODES_MAX {
            let middle = LIST_CHUNK_NODES_MAX / 2;
            let mut rest = Chunk { len: 0, nodes: chunk.nodes.split_off(middle) };
            rest.len = rest.nodes.iter().map(Node::count).sum();
            chunk.len -= rest.len;
            self.bytes += rest.own_bytes();
            self.chunks.insert(spot.chunk + 1, rest);
            if spot.node > middle {
                spot = Spot { chunk: spot.chunk + 1, node: spot.node - middle };
            }
        }
        self.put(spot, node);
        spot
    }

    /// Adds a node to a chunk that has room.
    fn put(&mut self, spot: Spot, node: Node) {
        let chunk = &mut self.chunks[spot.chunk];
        let before = chunk.own_bytes();
        self.len += node.count();
        chunk.len += node.count();
        self.bytes += node.heap_bytes();
        chunk.nodes.insert(spot.node, node);
        self.bytes = self.bytes - before + chunk.own_bytes();
    }

    /// Removes a node; tells where the next one is, which may be beyond the last chunk.
    fn remove_node(&mut self, spot: Spot) -> Spot {
        let chunk = &mut self.chunks[spot.chunk];
        if chunk.nodes.len() == 1 {
            let len = chunk.len;
            self.remove_chunks(spot.chunk, len);
            return Spot { chunk: spot.chunk, node: 0 };
        }
        let before = chunk.own_bytes();
        if let Some(node) = chunk.nodes.remove(spot.node) {
            chunk.len -= node.count();
            self.len -= node.count();
            self.bytes -= node.heap_bytes();
        }
        if chunk.nodes.len() < chunk.nodes.capacity() / 4 {
            chunk.nodes.shrink_to(chunk.nodes.len() * 2);
        }
        self.bytes = self.bytes - before + chunk.own_bytes();
        if spot.node < chunk.nodes.len() {
            return spot;
        }
        Spot { chunk: spot.chunk + 1, node: 0 }
    }

    /// Removes whole chunks from this one on, this one in any case, as long as they hold no more
    /// than `budget` elements together; returns how many elements that were.
    fn remove_chunks(&mut self, first: usize, budget: usize) -> usize {
        let (mut end, mut removed) = (first, 0);
        while end < self.chunks.len() && (end == first || removed + self.chunks[end].len <= budget)
        {
            removed += self.chunks[end].len;
            self.bytes -= self.chunks[end].bytes();
            end += 1;
        }
        self.chunks.drain(first..end);
        self.len -= removed;
        if self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
        removed
    }

    /// Counts elements and memory anew and compares with what is kept.
    pub(super) fn recount(&self) {
        for chunk in &self.chunks {
            chunk.nodes.iter().for_each(Node::recount);
            assert!((1..=LIST_CHUNK_NODES_MAX).contains(&chunk.nodes.len()));
            let len: usize = chunk.nodes.iter().map(Node::count).sum();
            assert_eq!(len, chunk.len, "elements counted are those recounted");
        }
        let len: usize = self.chunks.iter().map(|chunk| chunk.len).sum();
        assert_eq!(len, self.len, "elements counted are those recounted");
        let bytes: usize = self.chunks.iter().map(Chunk::bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes counted are bytes recounted");
    }
}

impl Chunk {
    /// The node of an element of this chunk, and the element's offset in it.
    fn seek(&self, chunk: usize, index: usize) -> (Spot, usize) {
        let mut rest = index;
        for (node, it) in self.nodes.iter().enumerate() {
            if rest < it.count() {
                return (Spot { chunk, node }, rest);
            }
            rest -= it.count();
        }
        unreachable!("a chunk holds as many elements as it says")
    }
}
