//! The ends of a range of a sorted set: scores, or members where all scores are equal.

/// A range, both ends given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds<'a> {
    /// Of scores.
    Score(ScoreEnd, ScoreEnd),
    /// Of members.
    Lex(LexEnd<'a>, LexEnd<'a>),
}

/// An end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreEnd {
    /// Never NaN.
    pub score: f64,
    /// True if the score itself is outside.
    pub open: bool,
}

/// An end of a range of members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LexEnd<'a> {
    /// Before every member.
    Least,
    /// After every member.
    Greatest,
    /// This member, which is inside.
    Closed(&'a [u8]),
    /// This member, which is outside.
    Open(&'a [u8]),
}

impl ScoreEnd {
    /// True if `score` lies before a range that begins here.
    #[inline]
    pub(super) fn is_above(self, score: f64) -> bool {
        score < self.score || (self.open && score == self.score)
    }

    /// True if `score` does not lie after a range that ends here.
    #[inline]
    pub(super) fn reaches(self, score: f64) -> bool {
        score < self.score || (!self.open && score == self.score)
    }
}

impl LexEnd<'_> {
    /// True if `member` lies before a range that begins here.
    #[inline]
    pub(super) fn is_above(self, member: &[u8]) -> bool {
        match self {
            Self::Least => false,
            Self::Greatest => true,
            Self::Closed(end) => member < end,
            Self::Open(end) => member <= end,
        }
    }

    /// True if `member` does not lie after a range that ends here.
    #[inline]
    pub(super) fn reaches(self, member: &[u8]) -> bool {
        match self {
            Self::Least => false,
            Self::Greatest => true,
            Self::Closed(end) => member <= end,
            Self::Open(end) => member < end,
        }
    }
}

impl Bounds<'_> {
    /// True if nothing can lie inside, whatever there is.
    pub(super) fn is_void(&self) -> bool {
        match *self {
            Self::Score(min, max) => {
                min.score > max.score || (min.score == max.score && (min.open || max.open))
            }
            Self::Lex(min, max) => match (min, max) {
                (LexEnd::Least, end) => end == LexEnd::Least,
                (LexEnd::Greatest, _) | (_, LexEnd::Least) => true,
                (_, LexEnd::Greatest) => false,
                (LexEnd::Closed(one), LexEnd::Closed(other)) => one > other,
                (
                    LexEnd::Closed(one) | LexEnd::Open(one),
                    LexEnd::Closed(other) | LexEnd::Open(other),
                ) => one >= other,
            },
        }
    }
}
