//! Trimming: old entries go, by their number or by their ids.

use super::log::Verdict;
use super::{Id, Stream};

/// How far a stream is trimmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrimTo {
    /// To so many entries.
    Len(u64),
    /// To the entries with this id or a larger one.
    From(Id),
}

/// What becomes of an entry's places among the unacknowledged of the groups when it is deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum References {
    /// They stay.
    #[default]
    Keep,
    /// They go too.
    Delete,
    /// An entry that has some, or that a group has not read yet, is not deleted.
    Acked,
}

/// A trimming.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    /// How far.
    pub to: TrimTo,
    /// Only as far as whole nodes go.
    pub coarse: bool,
    /// Stops before more entries than this are gone; 0 for no such bound.
    pub limit: u64,
    /// What becomes of references.
    pub references: References,
}

impl Stream {
    /// Deletes entries from the front; returns how many.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let references = if self.groups.is_empty() { References::Keep } else { trim.references };
        let (mut from, mut deleted) = (Id::MIN, 0);
        while let Some((master, live, last)) = self.log.node_from(from) {
            let (enough, whole) = match trim.to {
                TrimTo::Len(max) => {
                    let len = self.log.len();
                    (len <= max, len.saturating_sub(live) >= max)
                }
                TrimTo::From(id) => (false, last < id),
            };
            if enough || trim.limit > 0 && deleted + live > trim.limit {
                break;
            }
            if whole && references == References::Keep {
                deleted += self.log.drop_node(master);
                continue;
            }
            if !whole && trim.coarse {
                break;
            }
            deleted += self.thin(master, trim.to, references);
            // Entries that had to stay may leave something to do in the next node.
            let done = !whole && references != References::Acked;
            match last.next() {
                Some(next) if !done => from = next,
                _ => break,
            }
        }
        if deleted > 0 {
            self.log.trimmed();
        }
        deleted
    }

    /// Deletes entries of one node.
    fn thin(&mut self, master: Id, to: TrimTo, references: References) -> u64 {
        let groups = &mut self.groups;
        self.log.thin_node(master, |id, len| {
            let stop = match to {
                TrimTo::Len(max) => len <= max,
                TrimTo::From(first) => id >= first,
            };
            if stop {
                return Verdict::Stop;
            }
            match references {
                References::Acked if groups.refer_to(id) => return Verdict::Keep,
                References::Delete => groups.forget(id),
                _ => {}
            }
            Verdict::Delete
        })
    }
}
