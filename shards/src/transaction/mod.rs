//! Transactions: work over several owners, strictly serialisable, while a command of one owner
//! pays nothing for it.
//!
//! The scheme is a ticket and strict two-phase locking.
//!
//! ```text
//! home      draws a ticket: one number for each owner, all in one critical section  Tickets
//! owner     lets tickets in by its numbers; one that comes early waits for the gap  owner.rs
//! owner     takes all locks at once, or waits in line for them                      locks.rs
//! owner     runs what it was sent as soon as it has its locks, keeps them, answers  owner.rs
//! home      has all answers: sends the next stage, or replies and has locks go      coordinator.rs
//! ```
//!
//! **Stages.** A transaction is a list of commands, each laid over its owners (`program.rs`). What
//! does not depend on another owner runs in the first stage; a value that must travel first makes
//! its command run a stage later. MSET takes one stage, RENAME two, an EXEC as many as its longest
//! chain. With the last message to an owner its locks go; where all is one stage, they go when all
//! have answered. A transaction of one owner is one message, without a ticket and, if nothing is
//! in its way, without a lock.
//!
//! **Why it is strictly serialisable.** An owner answers only when it holds all locks of the
//! transaction there, and no lock goes before all owners have answered once. So there is an
//! instant between request and reply at which the transaction holds everything it works on: order
//! transactions by these instants. Of two that conflict on a key, the later in that order got the
//! lock after the earlier had let go, and so saw all of it. A command of one owner holds its keys
//! for the instant in which it runs: it may not pass a lock that conflicts, nor anything that has
//! come before it for the same keys. As every instant lies between the request and its reply, the
//! order respects real time.
//!
//! **Why it cannot deadlock.** Whoever waits at an owner waits for something that came before it
//! there. Tickets come in by their numbers, and as a ticket's numbers are drawn at once, two
//! transactions have the same order at every owner they share. What has one owner holds nothing
//! while it waits, and it never makes a ticket wait whose turn it is. So along every chain of waits
//! the tickets fall.
//!
//! **Program order.** Messages of one connection travel in order. A command that comes behind an
//! early ticket of the same core waits with it, if they share a key: what a client sends without
//! waiting is done in its order, key by key.
//!
//! **What home runs itself.** A command of the session in an EXEC (CONFIG SET, DEBUG SLEEP, HELLO)
//! stands between two stages: all before it has been answered, the locks are held, and what comes
//! after it is sent when it is done.
//!
//! **WATCH** is a mark at the owner: the first change of a key marks all that watch it. EXEC locks
//! the watched keys too, looks at the marks under the locks, and runs only if there is none; with
//! watched keys on several owners that look is a stage of its own.
//!
//! **Waiting on several owners.** Under the locks that showed that there is nothing, the command is
//! parked at every owner. An owner whose turn it would be to serve it says so to its home and holds
//! back whoever came later for that key; home tries the command again as a transaction. So it is
//! served once, in its turn among those that wait; only a command that does not wait may take the
//! element in between, as if it had come before.
//!
//! Keys that are due vanish under the locks of whoever looks, by the clock of their owner.

mod command;
mod coordinator;
mod locks;
mod owner;
mod part;
mod program;
mod waits;

pub use coordinator::{Asked, Coordinator, Finished, Message, Replied, Request, Tickets};
pub use locks::{Mode, Wanted};
pub use part::{Begin, Part, Piece, TransactionId, Watcher};

pub(crate) use locks::UnitId;
pub(crate) use owner::Turns;
