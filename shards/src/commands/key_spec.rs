//! Where the keys of a command stand among its words.
//!
//! The forms are those of Redis's key specifications: where a run of keys begins, and how far it
//! goes.

use crate::commands::{Args, Words, parse_int};
use std::iter::StepBy;
use std::ops::Range;

/// What a command does with a key, under Redis's names for key-spec flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Access(pub &'static [&'static str]);

/// A run of keys among the words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeySpec {
    /// Where it begins.
    pub begin: Begin,
    /// How far it goes.
    pub find: Find,
    /// What happens to the keys.
    pub access: Access,
}

/// Where a run of keys begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begin {
    /// At this index; the name is 0.
    Index(u8),
    /// After this option, a word in any case that clients may look for from this index on. The
    /// options begin at index 1, and each of the others takes words that may be any.
    Keyword(&'static str, u8, Others),
    /// After the last option of this name from this index on, among the others.
    LastKeyword(&'static str, u8, Others),
    /// At the first index, unless the word there is empty and the option of this name stands from
    /// the second index on, among the others.
    Unless(u8, &'static str, u8, Others),
    /// After the option of this name from this index on, among the others; clients may look for it
    /// from the end on.
    Tail(&'static str, u8, Others),
}

/// Options of a command, each with how many words it takes.
pub type Others = &'static [(&'static str, u8)];

/// How far a run of keys goes from where it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Find {
    /// From the beginning to `last`.
    Range {
        /// Relative to the first key where not negative; -1 is the last word, -2 the one before.
        last: i8,
        /// Words from one key to the next.
        step: u8,
        /// Where more than 1: only the first so-many-th part of what is left holds keys.
        limit: u8,
    },
    /// As many keys as the word at the beginning says, which stand right after it.
    Counted {
        /// Words from one key to the next.
        step: u8,
    },
}

impl KeySpec {
    /// One key at `first`.
    pub const fn one(first: u8, access: &'static [&'static str]) -> Self {
        Self::range(first, 0, 1, access)
    }

    /// `first`, and every `step` words up to the end.
    pub const fn rest(first: u8, step: u8, access: &'static [&'static str]) -> Self {
        Self::range(first, -1, step, access)
    }

    /// From `first` to `last`, which is relative to it where not negative, and to the end else.
    pub const fn range(first: u8, last: i8, step: u8, access: &'static [&'static str]) -> Self {
        let find = Find::Range { last, step, limit: 0 };
        Self { begin: Begin::Index(first), find, access: Access(access) }
    }

    /// As many keys as the word at `number` says, right after it, every `step` words.
    pub const fn counted(number: u8, step: u8, access: &'static [&'static str]) -> Self {
        let find = Find::Counted { step };
        Self { begin: Begin::Index(number), find, access: Access(access) }
    }

    /// After the first option `word` among `others`, as `find` says; clients may look for it from
    /// index `from` on.
    pub const fn after(
        word: &'static str,
        (from, others): (u8, Others),
        find: Find,
        access: &'static [&'static str],
    ) -> Self {
        Self { begin: Begin::Keyword(word, from, others), find, access: Access(access) }
    }

    /// The one key after the last option `word` among `others`, looked for from index `from` on.
    pub const fn after_last(
        word: &'static str,
        from: u8,
        others: Others,
        access: &'static [&'static str],
    ) -> Self {
        let find = Find::Range { last: 0, step: 1, limit: 0 };
        Self { begin: Begin::LastKeyword(word, from, others), find, access: Access(access) }
    }

    /// One key at `first`, unless that is empty and the option `word` stands among `others`, from
    /// index `from` on.
    pub const fn unless(
        first: u8,
        (word, from, others): (&'static str, u8, Others),
        access: &'static [&'static str],
    ) -> Self {
        let find = Find::Range { last: 0, step: 1, limit: 0 };
        Self { begin: Begin::Unless(first, word, from, others), find, access: Access(access) }
    }

    /// All words after the option `word`, which stands among `others` from index `from` on.
    pub const fn tail(
        (word, from, others): (&'static str, u8, Others),
        access: &'static [&'static str],
    ) -> Self {
        let find = Find::Range { last: -1, step: 1, limit: 0 };
        Self { begin: Begin::Tail(word, from, others), find, access: Access(access) }
    }

    /// True if it is one key at a fixed place.
    #[inline]
    pub const fn is_one(&self) -> bool {
        matches!((self.begin, self.find), (Begin::Index(_), Find::Range { last: 0, .. }))
    }

    /// The fixed index where it begins, if it does; 0 where that depends on the words.
    #[inline]
    pub const fn begins(&self) -> usize {
        match self.begin {
            Begin::Index(index) => index as usize,
            Begin::Unless(index, ..) => index as usize,
            Begin::Keyword(..) | Begin::LastKeyword(..) | Begin::Tail(..) => 0,
        }
    }

    /// Words from one key to the next.
    pub const fn step(&self) -> u8 {
        match self.find {
            Find::Range { step, .. } | Find::Counted { step } => step,
        }
    }

    /// Indexes of the keys in a request; none where its words make no sense, which the command
    /// itself will say.
    pub fn indexes(&self, args: &Args<'_>) -> StepBy<Range<usize>> {
        let step = usize::from(self.step());
        self.span(args).unwrap_or(0..0).step_by(step)
    }

    /// The words of a request that only names the keys at these indexes, with what goes with each.
    pub fn subset(&self, args: &Args<'_>, indexes: &[u32], words: &mut Words) {
        let span = self.span(args).unwrap_or(0..0);
        let step = usize::from(self.step());
        match (self.begin, self.find) {
            (Begin::Index(number), Find::Counted { .. }) => {
                let number = usize::from(number);
                words.extend(args.from(0).take(number));
                words.push(itoa::Buffer::new().format(indexes.len()).as_bytes());
            }
            _ => words.extend(args.from(0).take(span.start)),
        }
        for &index in indexes {
            words.extend(args.from(index as usize).take(step));
        }
        // Where only a part of the rest holds keys, each has its own of the other words.
        let mut end = span.end;
        if let Find::Range { limit, .. } = self.find
            && limit > 1
        {
            for &index in indexes {
                words.push(args.at(index as usize + span.len()));
            }
            end += span.len();
        }
        words.extend(args.from(end));
    }

    fn span(&self, args: &Args<'_>) -> Option<Range<usize>> {
        let argc = args.len();
        let first = match self.begin {
            Begin::Index(index) => usize::from(index),
            Begin::Keyword(word, _, others) => options(args, 1, (word, others)).next()? + 1,
            Begin::LastKeyword(word, from, others) => {
                options(args, usize::from(from), (word, others)).last()? + 1
            }
            Begin::Unless(index, word, from, others) => {
                let index = usize::from(index);
                let mut found = options(args, usize::from(from), (word, others));
                if args.try_at(index)?.is_empty() && found.next().is_some() {
                    return None;
                }
                index
            }
            Begin::Tail(word, from, others) => {
                options(args, usize::from(from), (word, others)).next()? + 1
            }
        };
        match self.find {
            Find::Range { last, .. } if last >= 0 => {
                let end = first + usize::from(last.unsigned_abs()) + 1;
                Some(first..end.min(argc)).filter(|span| span.start < span.end)
            }
            Find::Range { last, limit, .. } => {
                let back = usize::from(last.unsigned_abs()) - 1;
                let words = argc.checked_sub(first)? / usize::from(limit.max(1));
                Some(first..(first + words).checked_sub(back)?.max(first))
            }
            Find::Counted { step } => {
                let count = usize::try_from(parse_int(args.try_at(first)?)?).ok()?;
                let words = count.checked_mul(usize::from(step))?;
                let end = (first + 1).checked_add(words).filter(|&end| end <= argc)?;
                Some(first + 1..end)
            }
        }
    }
}

/// Where the option `word`, which takes a word itself, stands from index `from` on. A word that
/// another option takes is no option, whatever it says.
fn options(
    args: &Args<'_>,
    from: usize,
    (word, others): (&str, Others),
) -> impl Iterator<Item = usize> {
    let mut index = from;
    std::iter::from_fn(move || {
        while index < args.len() {
            let at = index;
            if args.is(at, word) {
                index += 2;
                return Some(at);
            }
            let taken = others.iter().find(|(other, _)| args.is(at, other));
            index += 1 + taken.map_or(0, |(_, words)| usize::from(*words));
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(spec: &KeySpec, request: &str) -> Vec<usize> {
        let mut words = Words::default();
        words.extend(request.split(' ').map(str::as_bytes));
        spec.indexes(&words.args()).collect()
    }

    const READ: KeySpec = KeySpec::after(
        "STREAMS",
        (4, &[("GROUP", 2), ("COUNT", 1)]),
        Find::Range { last: -1, step: 1, limit: 2 },
        &[],
    );
    const OPTION: (&str, u8, Others) = ("KEYS", 5, &[("AUTH", 1)]);
    const SORT: KeySpec =
        KeySpec::after_last("STORE", 2, &[("BY", 1), ("GET", 1), ("LIMIT", 2)], &[]);

    #[test]
    fn runs_of_keys() {
        for (spec, request, indexes) in [
            (KeySpec::one(1, &[]), "get a", vec![1]),
            (KeySpec::one(2, &[]), "get a", vec![]),
            (KeySpec::rest(1, 2, &[]), "mset a 1 b 2", vec![1, 3]),
            (KeySpec::range(1, -2, 1, &[]), "blpop a b 0", vec![1, 2]),
            (KeySpec::counted(2, 1, &[]), "zunionstore d 2 a b weights 1 2", vec![3, 4]),
            (KeySpec::counted(2, 1, &[]), "zunionstore d 3 a b", vec![]),
            (KeySpec::counted(2, 1, &[]), "zunionstore d -1 a b", vec![]),
            (KeySpec::counted(1, 2, &[]), "msetex 2 a 1 b 2 nx", vec![2, 4]),
            (READ, "xread count 1 streams a b 0 0", vec![4, 5]),
            (READ, "xread streams", vec![]),
            (READ, "xread count 2", vec![]),
            (READ, "xreadgroup count 1 group g streams streams a >", vec![7]),
            (READ, "xreadgroup group streams streams streams streams >", vec![5]),
            (SORT, "sort a store b store c", vec![5]),
            (SORT, "sort a store b store", vec![]),
            (SORT, "sort a", vec![]),
            (SORT, "sort a store b by store", vec![3]),
            (SORT, "sort a by store store b get store alpha", vec![5]),
            (SORT, "sort a limit store store store b by", vec![6]),
            (KeySpec::unless(3, OPTION, &[]), "migrate keys 1 a 0 0", vec![3]),
            (KeySpec::unless(3, OPTION, &[]), "migrate h 1  0 auth keys", vec![3]),
            (KeySpec::unless(3, OPTION, &[]), "migrate h 1  0 auth keys keys b c", vec![]),
            (KeySpec::tail(OPTION, &[]), "migrate keys 1 a 0 0", vec![]),
            (KeySpec::tail(OPTION, &[]), "migrate h 1  0 auth keys keys b c", vec![8, 9]),
            (KeySpec::tail(OPTION, &[]), "migrate h 1  0 copy keys", vec![]),
        ] {
            assert_eq!(keys(&spec, request), indexes, "{request}");
        }
    }
}
