//! Keys, values and commands: the pure, synchronous heart of Pinion.
//!
//! What must hold, here and in every crate above:
//!
//! 1. Exactly one core at a time executes a shard; nothing in it is `Sync`, nothing is locked;
//!    ownership is one atomic word (outside, in `pinion-io`).
//! 2. A command runs to completion.
//! 3. Time is an input.
//! 4. Same inputs in the same order, same bytes out.
//! 5. The only way to a value is `keyspace`.
//! 6. Every queue, loop and buffer has a bound in `limits`, checked in `const` asserts.
//! 7. Memory counted equals memory recounted.
//! 8. A reply is written exactly once, in request order.
//! 9. A client's error never changes state.
//! 10. No input from a socket or a file can panic, grow memory without bound, or stall the loop.
//!
//! Never here: async, clocks, threads, files, sockets, the environment, unseeded randomness.

pub mod batch;
mod carried;
pub mod channels;
pub mod commands;
mod digest;
pub mod error;
pub mod fold;
pub mod glob;
pub mod keyspace;
mod late;
pub mod limits;
mod random;
mod reading;
mod room;
pub mod route;
mod saving;
pub mod scripts;
mod shard;
pub mod snapshot;
mod table;
mod tracking;
pub mod transaction;
pub mod value;
mod waiting;

pub use carried::Carried;
pub use late::{Cost, Late, LateCall};
pub use reading::{Source, Step, Walk};
pub use room::{Bank, Offer};
pub use saving::CUT;
pub use shard::{Call, DatabaseStats, Meter, Millis, Ran, Scope, Sender, Shard, ShardStats, Task};
pub use tracking::{Changed, Speaker};
pub use waiting::{Null, Retire, Wait, Waiter};
