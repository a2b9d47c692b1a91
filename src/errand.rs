//! Questions that every core answers and home folds: CLIENT LIST, CLIENT KILL, INFO and such.

use crate::commands::Context;
use crate::session::Session;
use crate::stats::CoreStats;
use pinion_io::resp::Reply;
use pinion_shards::{Millis, Shard};

/// One core, as an errand sees it.
pub struct CoreView<'a> {
    /// Which core.
    pub core: usize,
    /// The instant of this tick.
    pub now: Millis,
    /// The clients it serves.
    pub clients: &'a mut dyn Clients,
    /// Its slice of the keyspace.
    pub shard: &'a mut Shard,
    /// Its figures.
    pub stats: &'a mut CoreStats,
}

/// The clients of a core: the loop's slab stands behind it, and a list in tests.
pub trait Clients {
    /// Shows every client once.
    fn each(&mut self, see: &mut dyn FnMut(&mut ClientView<'_>));
}

/// One client, as an errand sees it.
#[derive(Debug)]
pub struct ClientView<'a> {
    /// Its state.
    pub session: &'a mut Session,
    /// Bytes of input held for it.
    pub input_bytes: usize,
    /// Bytes of output that wait for it.
    pub output_bytes: usize,
    /// Set to true to close it at once, replies unsent.
    pub kill: &'a mut bool,
}

/// A question to every core.
#[derive(Clone, Debug)]
pub enum Errand {
    /// CONFIG RESETSTAT.
    ResetStats,
}

/// One core's answer.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
}

impl Errand {
    /// Answers for one core, on that core.
    pub fn visit(&self, core: &mut CoreView<'_>) -> Answer {
        match self {
            Self::ResetStats => {
                core.stats.reset();
                Answer::Done
            }
        }
    }

    /// Folds the answers of all cores, in their order, into the reply.
    pub fn finish(&self, answers: Vec<Answer>, _at_home: &Context<'_>, reply: &mut Reply<'_>) {
        match self {
            Self::ResetStats => {
                drop(answers);
                reply.ok();
            }
        }
    }
}
