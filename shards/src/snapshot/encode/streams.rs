//! Streams: nodes, counts, groups with their consumers and what is pending.
//!
//! ```text
//! nodes       how many; of each the first id (a string of 16 bytes, big-endian) and the listpack
//! counts      entries; the last id, the first, the largest deleted (two numbers each); entries
//!             ever added
//! groups      how many; of each its name, the last id delivered, entries read (2^64 - 1 where
//!             that is not known), then
//!   pending   how many; of each the id (16 bytes), when delivered (8 bytes), how often
//!   consumers how many; of each its name, when seen, when active (8 bytes each; -1 is never),
//!             and how many are pending for it, of each the id (16 bytes)
//! ```

use super::{Encoder, Stage};
use crate::limits::ENCODE_NODE_COST;
use crate::value::stream::{Consumer, Group, Id, Stream};
use pinion_rdb::write;

/// What stands for entries read where that is not known.
const READ_UNKNOWN: u64 = u64::MAX;
/// What stands for a time that never was.
const NEVER: i64 = -1;

impl Encoder {
    pub(super) fn entries(
        &mut self,
        stream: &Stream,
        from: Id,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let count = budget.div_ceil(ENCODE_NODE_COST);
        for (seen, (id, node)) in stream.log.nodes_from(from).enumerate() {
            if seen == count {
                return Some(Stage::Entries { next: id });
            }
            write::plain(out, &id.number().to_be_bytes());
            self.packed(node, out);
        }
        let log = &stream.log;
        write::length(out, log.len());
        for id in [log.last(), log.first(), log.max_deleted()] {
            length_id(out, id);
        }
        write::length(out, log.added());
        write::length(out, stream.groups.len() as u64);
        self.group(stream, 0, out)
    }

    /// The head of a group.
    fn group(&mut self, stream: &Stream, index: usize, out: &mut Vec<u8>) -> Option<Stage> {
        let (name, group) = stream.groups.iter().nth(index)?;
        self.texts.text(out, name);
        length_id(out, group.last);
        write::length(out, group.read.unwrap_or(READ_UNKNOWN));
        write::length(out, group.pending_len() as u64);
        Some(Stage::Pending { group: index, next: Id::MIN })
    }

    pub(super) fn pending(
        &mut self,
        stream: &Stream,
        (index, from): (usize, Id),
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let group = group_at(stream, index);
        for (seen, (&id, pending)) in group.pending(from, Id::MAX).enumerate() {
            if seen == budget {
                return Some(Stage::Pending { group: index, next: id });
            }
            out.extend_from_slice(&id.number().to_be_bytes());
            out.extend_from_slice(&pending.delivered.to_le_bytes());
            write::length(out, pending.count);
        }
        write::length(out, group.consumers_len() as u64);
        match group.consumers().next() {
            Some(first) => {
                self.consumer(first, out);
                Some(Stage::Owned { group: index, consumer: 0, next: Id::MIN })
            }
            None => self.group(stream, index + 1, out),
        }
    }

    /// Consumers from this one on, whose head is written.
    pub(super) fn owned(
        &mut self,
        stream: &Stream,
        (group, first, from): (usize, usize, Id),
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<Stage> {
        let (mut from, mut left) = (from, budget);
        let consumers = group_at(stream, group).consumers().enumerate().skip(first);
        for (index, consumer) in consumers {
            if index > first {
                self.consumer(consumer, out);
                from = Id::MIN;
            }
            for id in consumer.pending(from, Id::MAX) {
                if left == 0 {
                    return Some(Stage::Owned { group, consumer: index, next: id });
                }
                left -= 1;
                out.extend_from_slice(&id.number().to_be_bytes());
            }
            left = left.saturating_sub(1);
        }
        self.group(stream, group + 1, out)
    }

    /// The head of a consumer.
    fn consumer(&mut self, consumer: &Consumer, out: &mut Vec<u8>) {
        self.texts.text(out, consumer.name());
        out.extend_from_slice(&consumer.seen.to_le_bytes());
        let active = consumer.active.map_or(NEVER, |at| at as i64);
        out.extend_from_slice(&active.to_le_bytes());
        write::length(out, consumer.pending_len() as u64);
    }
}

fn group_at(stream: &Stream, index: usize) -> &Group {
    stream.groups.iter().nth(index).expect("the stream is as it was").1
}

fn length_id(out: &mut Vec<u8>, id: Id) {
    write::length(out, id.ms);
    write::length(out, id.seq);
}
