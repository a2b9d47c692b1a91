//! A run of a script or a function, which asks its host for what it cannot do itself.

use crate::ground::Log;
use crate::interpreter::Interpreter;
use pinion_io::resp::{Protocol, Range};
use std::fmt;

/// What a run wants before it goes on.
#[derive(Debug)]
pub enum Wish {
    /// A command is to be run; its reply goes into `Called::reply`.
    Call(Called),
    /// Whether the user may run a command.
    MayRun(Called),
    /// Nothing: it has taken about a millisecond, and others may have their turn.
    Pause,
    /// Nothing any more: the run has ended.
    Done,
}

/// What a run hears.
#[derive(Debug)]
pub enum Answer {
    /// It begins.
    Begin,
    /// What it called has replied.
    Called(Called),
    /// Whether the user may run that command; none if there is no such command.
    May(Called, Option<bool>),
    /// It goes on after a pause.
    GoOn,
    /// It ends, with this text as its error, which it cannot catch.
    Stop(Vec<u8>),
}

/// A command that a run calls.
#[derive(Debug, Default)]
pub struct Called {
    /// The words, one after the other.
    pub bytes: Vec<u8>,
    /// Where each word lies in `bytes`.
    pub ranges: Vec<Range>,
    /// What the command replies: RESP, to be appended by the host.
    pub reply: Vec<u8>,
    /// The protocol in which it replies.
    pub protocol: Protocol,
}

impl Called {
    /// Takes up a word more.
    pub(crate) fn add(&mut self, word: &[u8]) {
        let (start, len) = (self.bytes.len() as u32, word.len() as u32);
        self.ranges.push(Range { start, len });
        self.bytes.extend_from_slice(word);
    }

    /// Forgets all words and the reply.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
        self.reply.clear();
    }
}

/// With what a run begins.
pub struct Start<'a, K, A> {
    /// The digest of the script, or the name of the function.
    pub name: &'a [u8],
    /// It is a function of a library.
    pub is_function: bool,
    /// The keys that it is given.
    pub keys: K,
    /// The other arguments.
    pub arguments: A,
    /// What its client speaks.
    pub protocol: Protocol,
    /// Says how many nanoseconds have passed since some moment.
    pub meter: fn() -> u64,
    /// Takes what it has to say.
    pub log: Log,
}

impl<K, A> fmt::Debug for Start<'_, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A run, from its beginning to its end.
#[derive(Debug)]
pub struct Run {
    interpreter: Box<Interpreter>,
    mark: u64,
}

impl Run {
    /// Has an interpreter ready to run what it has loaded; `mark` is the caller's own.
    ///
    /// # Panics
    /// If the script or the function is not loaded.
    pub fn new<'k, K, A>(
        mut interpreter: Box<Interpreter>,
        mark: u64,
        start: Start<'_, K, A>,
    ) -> Self
    where
        K: IntoIterator<Item = &'k [u8]>,
        A: IntoIterator<Item = &'k [u8]>,
    {
        interpreter.prepare(start);
        Self { interpreter, mark }
    }

    /// Goes on up to the next wish. After `Wish::Done` it is not to be called again.
    pub fn go_on(&mut self, answer: Answer) -> Wish {
        self.interpreter.go_on(answer)
    }

    /// The interpreter, the caller's mark, and the reply, once it is done.
    pub fn into_parts(mut self) -> (Box<Interpreter>, u64, Vec<u8>) {
        let reply = self.interpreter.end();
        (self.interpreter, self.mark, reply)
    }
}

#[cfg(test)]
mod tests;
