//! Words in bytes of their own, of one request or of several.

use super::Args;
use pinion_io::resp::Range;
use std::ops;

/// Words that outlive the input they came in.
#[derive(Clone, Debug, Default)]
pub struct Words {
    bytes: Vec<u8>,
    ranges: Vec<Range>,
}

impl Words {
    /// Those of a request.
    pub fn of(args: &Args<'_>) -> Self {
        let mut words = Self { bytes: Vec::new(), ranges: Vec::with_capacity(args.len()) };
        words.extend(args.from(0));
        words
    }

    /// Adds a word.
    #[inline]
    pub fn push(&mut self, word: &[u8]) {
        let start = self.bytes.len() as u32;
        self.ranges.push(Range { start, len: word.len() as u32 });
        self.bytes.extend_from_slice(word);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Bytes of all words together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// All of them as one request.
    #[inline]
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }

    /// Some of them as a request.
    #[inline]
    pub fn some(&self, range: ops::Range<usize>) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges[range])
    }

    /// Forgets them and keeps the memory, unless it is more than `bytes_max`.
    pub fn clear(&mut self, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes_max);
        self.ranges.clear();
        self.ranges.shrink_to(bytes_max / size_of::<Range>());
    }
}

impl<'a> Extend<&'a [u8]> for Words {
    fn extend<T: IntoIterator<Item = &'a [u8]>>(&mut self, words: T) {
        words.into_iter().for_each(|word| self.push(word));
    }
}
