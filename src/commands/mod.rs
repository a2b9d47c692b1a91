//! Commands of the session and the server, and the one place where a request finds its row.

mod acl;
mod client;
mod client_list;
mod cluster;
mod command;
mod command_rows;
mod config;
mod connection;
mod debug;
mod functions;
mod info;
mod info_memory;
mod info_persistence;
mod info_stats;
mod latency;
mod memory;
mod migrate;
mod monitor;
mod persistence;
mod pubsub;
mod renames;
mod replication;
mod scripting;
mod server;
mod slowlog;
mod syntax;
mod table;
mod tracking;
mod transaction;

pub(crate) use client_list::line;
pub use client_list::{Filter, Ids, KillReply, Kind};
pub(crate) use command_rows::{Entry, categories};
pub use debug::Population;
pub(crate) use debug::check_allowed as check_debug;
pub use info::Sections;
pub(crate) use info::report;
pub use latency::SpikeQuestion;
pub(crate) use latency::{AllHistograms, AllSpikes, write_histograms, write_spikes};
pub use memory::MemoryQuestion;
pub(crate) use memory::write_memory;
pub use migrate::Migration;
pub use renames::Renames;
pub(crate) use slowlog::write_log;

pub use table::{FindError, Found, find, session_rows};

use crate::config::Settings;
use crate::errand::Errand;
use crate::server::Server;
use crate::session::Session;
use crate::snapshot::Stop;
use pinion_io::resp::Reply;
use pinion_shards::Millis;
use pinion_shards::channels::Change;
use pinion_shards::commands::{Args, Row};
use pinion_shards::error::Error;
use std::time::Duration;

/// Runs a command in its session and writes its reply. After an error nothing has changed; what
/// was written to the reply by then is taken back by the caller.
pub type SessionRun = fn(&mut Context<'_>, &Args<'_>, &mut Reply<'_>) -> Result<Outcome, Error>;

/// A row of this package: the words about a command, and its function.
#[derive(Clone, Copy, Debug)]
pub struct SessionRow {
    /// What is said about it.
    pub row: Row,
    /// What it does.
    pub run: SessionRun,
    /// Its subcommands, where it is a container.
    pub subcommands: &'static [SessionRow],
}

impl SessionRow {
    /// A command, or one subcommand.
    pub const fn new(row: Row, run: SessionRun) -> Self {
        Self { row, run, subcommands: &[] }
    }

    /// A family of subcommands; `run` runs where the container's name stands alone and its arity
    /// allows that.
    pub const fn container(row: Row, run: SessionRun, subcommands: &'static [Self]) -> Self {
        Self { row, run, subcommands }
    }
}

/// What a command may see and change.
#[derive(Debug)]
pub struct Context<'a> {
    /// The client.
    pub session: &'a mut Session,
    /// What all cores share.
    pub server: &'a Server,
    /// The settings this core works with.
    pub settings: &'a Settings,
    /// The instant of this tick.
    pub now: Millis,
    /// The core that serves the client.
    pub core: usize,
}

/// What follows once a command has run.
#[derive(Debug)]
pub enum Outcome {
    /// The reply is written.
    Done,
    /// A job goes on, and writes the reply when it ends.
    Start(Job),
    /// What is queued is to be run, and will reply.
    Exec,
    /// The reply is written, and the client watches no key any more.
    Unwatch,
    /// The reply is written, and the client is to be as if it had just connected.
    Reset,
    /// The reply is written, and the client caches what it reads, or does not any more.
    Track,
    /// The reply is written, and the client watches what all clients ask.
    Monitor,
    /// The client is to begin or end subscriptions; what they come to is the reply.
    Subscribe(Change),
}

/// Work that may wait; a command never does.
#[derive(Debug)]
pub enum Job {
    /// `+OK` after so long.
    Sleep(Duration),
    /// A question to every core.
    Errand(Errand),
    /// A snapshot, which `Saves::begin` has allowed: this job ends it there, and tells how it
    /// went, or at once that it has begun.
    Save {
        /// Reply once it has begun.
        in_background: bool,
    },
    /// A load of what is there, saved before, with all keys removed in between.
    Reload {
        /// It is saved.
        save: bool,
        /// Keys are removed.
        flush: bool,
    },
    /// Keys are made, for tests.
    Populate(Population),
    /// Keys go to another server.
    Migrate(Box<Migration>),
    /// A graceful stop of the server, without a reply unless it fails.
    Stop(Stop),
}

/// Words of a request that asks about names or patterns, so that none is answered with a thousand
/// times its own size, or keeps its core from the other clients.
const NAMES_MAX: usize = 1024;
/// Longest name of a client, and of its library, in bytes.
const CLIENT_NAME_BYTES_MAX: usize = 64 * 1024;

fn check_names(args: &Args<'_>) -> Result<(), Error> {
    if args.len() > NAMES_MAX { Err(Error::Text("ERR too many names")) } else { Ok(()) }
}

/// Refuses a subcommand's number of words in the words of Redis, quoting the client.
fn refuse_words(container: &str, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let text = b"ERR unknown subcommand or wrong number of arguments for '";
    let word = &args.at(1)[..args.at(1).len().min(128)];
    reply.error(&[&text[..], word, b"'. Try ", container.as_bytes(), b" HELP."].concat());
    Outcome::Done
}

/// Writes the answer of a HELP subcommand: how to use `container`, and what it can do.
fn write_help(reply: &mut Reply<'_>, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Print this help.");
}

#[cfg(test)]
mod tests;
