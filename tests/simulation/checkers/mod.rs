//! Says whether a history could have happened on one machine, one request after the other.

pub(crate) mod append;
pub(crate) mod bank;
pub(crate) mod causal;
pub(crate) mod queue;
pub(crate) mod register;

/// When a request was sent and when its reply was there, on any clock that never goes back. What
/// was never answered may have happened at any time after it was sent, or never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    /// When it was sent.
    pub(crate) sent: u64,
    /// When its reply came.
    pub(crate) done: Option<u64>,
}
