//! Says whether a history could have happened on one machine, one request after the other.

pub mod append;
pub mod bank;
pub mod causal;
pub mod queue;
pub mod register;

/// When a request was sent and when its reply was there, on any clock that never goes back. What
/// was never answered may have happened at any time after it was sent, or never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// When it was sent.
    pub sent: u64,
    /// When its reply came.
    pub done: Option<u64>,
}
