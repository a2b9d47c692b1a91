//! What all cores share: immutable, atomic, or touched only off the hot path.

use crate::config::Config;
use pinion_shards::Millis;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

/// The server, one for all cores, held in an `Arc`.
#[derive(Debug)]
pub struct Server {
    /// The settings, and how they change.
    pub config: Config,
    /// When it started.
    pub started: Millis,
    /// 40 hexadecimal digits, new with every start.
    pub run_id: String,
    /// How many cores serve, each with a shard.
    pub cores: usize,
    /// The TCP port that is listened on, 0 where none is; the settings may ask for any free one.
    pub port: AtomicU16,
    /// True once a graceful stop has begun.
    pub stopping: AtomicBool,
    /// False while DEBUG SET-ACTIVE-EXPIRE 0 holds: keys then expire only when they are asked for.
    pub active_expire: AtomicBool,
    next_client_id: AtomicU64,
}

impl Server {
    /// A server that starts at `now` on `cores` cores; `random` makes its run id.
    pub fn new(config: Config, now: Millis, cores: usize, random: [u8; 20]) -> Self {
        let mut run_id = String::with_capacity(40);
        for byte in random {
            write!(run_id, "{byte:02x}").expect("writing to memory does not fail");
        }
        Self {
            config,
            started: now,
            run_id,
            cores,
            port: AtomicU16::new(0),
            stopping: AtomicBool::new(false),
            active_expire: AtomicBool::new(true),
            next_client_id: AtomicU64::new(1),
        }
    }

    /// A number for a new client: rising, never given twice.
    pub fn client_id(&self) -> u64 {
        self.next_client_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The numbers given so far end below this.
    pub fn client_id_next(&self) -> u64 {
        self.next_client_id.load(Ordering::Relaxed)
    }
}
