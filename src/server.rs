//! What all cores share: immutable, atomic, or touched only off the hot path.

use crate::acl::Acl;
use crate::census::Census;
use crate::config::Config;
use crate::core::Quiet;
use crate::ledger::Ledger;
use crate::process::used_memory;
use crate::scripts::Scripts;
use crate::slow::Numbers;
use crate::snapshot::Saves;
use crate::snapshot::loading::Current;
use crate::snapshot::save::Writing;
use crate::tickets::Tickets;
use pinion_io::ring::SocketId;
use pinion_shards::Millis;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The version of Redis whose behaviour this server follows, and which it tells clients.
pub const REDIS_VERSION: &str = "8.0.6";

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
    /// The port that speaks TLS besides, or 0.
    pub tls_port: AtomicU16,
    /// When all keys of database 0 are to go (memcached's `flush_all`), or 0.
    pub flush_due: AtomicU64,
    /// The second in which a TLS connection that broke was last told of.
    pub tls_fault_second: AtomicU64,
    /// What all cores write.
    pub writing: Writing,
    /// The load under way.
    pub loading: Current,
    /// Whether cores are to run no more requests.
    pub quiet: Quiet,
    /// A signal has asked for a stop: core 0 sees to it.
    pub stop_asked: AtomicBool,
    /// It was SIGINT.
    pub is_interrupt: AtomicBool,
    /// The last load has failed, and nobody was told.
    pub loading_failed: AtomicBool,
    /// True once a graceful stop has begun.
    pub stopping: AtomicBool,
    /// Memory allocated when it started, in bytes.
    pub memory_at_start: u64,
    memory_peak: AtomicU64,
    /// Its snapshots.
    pub saves: Saves,
    /// Who may do what.
    pub acl: Acl,
    /// How many clients each core serves.
    pub census: Census,
    /// The order of transactions.
    pub tickets: Tickets,
    /// The numbers of entries in the logs of slow commands.
    pub log_numbers: Numbers,
    /// The memory that the shards share.
    pub ledger: Arc<Ledger>,
    /// The scripts that all shards know.
    pub scripts: Arc<Scripts>,
    /// Bytes that each core's clients take.
    client_bytes: Box<[AtomicU64]>,
    next_client_id: AtomicU64,
    /// On which core each client is, and where there.
    homes: Mutex<HashMap<u64, (u16, SocketId)>>,
    /// Clients that cache what they read.
    caching: AtomicU64,
    /// Clients that watch what all ask.
    monitors: AtomicU64,
}

impl Server {
    /// A server that starts at `now` on `cores` cores; `random` makes its run id.
    pub fn new(config: Config, now: Millis, cores: usize, random: [u8; 20]) -> Self {
        let mut run_id = String::with_capacity(40);
        for byte in random {
            write!(run_id, "{byte:02x}").expect("writing to memory does not fail");
        }
        let ledger = Arc::new(Ledger::new(cores));
        ledger.follow(&config.settings(), now);
        let scripts = Arc::new(Scripts::new(cores, Arc::clone(&ledger)));
        scripts.follow(config.settings().databases);
        Self {
            ledger,
            scripts,
            acl: Acl::new(&config.settings().password),
            config,
            started: now,
            run_id,
            cores,
            port: AtomicU16::new(0),
            tls_port: AtomicU16::new(0),
            flush_due: AtomicU64::new(0),
            tls_fault_second: AtomicU64::new(0),
            writing: Writing::default(),
            loading: Current::default(),
            quiet: Quiet::default(),
            loading_failed: AtomicBool::new(false),
            stop_asked: AtomicBool::new(false),
            is_interrupt: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            memory_at_start: used_memory(),
            memory_peak: AtomicU64::new(0),
            saves: Saves::new(now, cores),
            census: Census::new(cores),
            tickets: Tickets::new(cores),
            log_numbers: Numbers::default(),
            client_bytes: (0..cores).map(|_| AtomicU64::new(0)).collect(),
            next_client_id: AtomicU64::new(1),
            homes: Mutex::default(),
            caching: AtomicU64::new(0),
            monitors: AtomicU64::new(0),
        }
    }

    /// Takes `bytes`, the memory in use now, into account for the peak; returns the peak.
    pub fn note_memory(&self, bytes: u64) -> u64 {
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed).max(bytes)
    }

    /// Asks the allocator and notes what is in use; to be called once a second or so, or the peak
    /// is that of the times somebody asked.
    pub fn sample_memory(&self) {
        self.note_memory(used_memory());
    }

    /// What all clients took when they were last counted, in bytes.
    pub fn client_bytes(&self) -> u64 {
        self.client_bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// Notes what a core's clients take, in bytes; returns what all take.
    pub fn note_client_bytes(&self, core: usize, bytes: u64) -> u64 {
        self.client_bytes[core].store(bytes, Ordering::Relaxed);
        self.client_bytes()
    }

    /// Notes on which core a client is, and where there; or that it is gone.
    pub fn note_home(&self, client: u64, home: Option<(u16, SocketId)>) {
        let mut homes = self.homes();
        match home {
            Some(home) => homes.insert(client, home),
            None => homes.remove(&client),
        };
    }

    /// On which core a client is, and where there.
    pub fn home_of(&self, client: u64) -> Option<(u16, SocketId)> {
        self.homes().get(&client).copied()
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<u64, (u16, SocketId)>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a client more that caches what it reads, or one less.
    pub fn count_caching(&self, more: bool) {
        if more {
            self.caching.fetch_add(1, Ordering::Relaxed);
        } else {
            self.caching.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts a client more that watches what all ask, or one less.
    pub fn count_monitor(&self, more: bool) {
        if more {
            self.monitors.fetch_add(1, Ordering::Relaxed);
        } else {
            self.monitors.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Clients that watch what all ask.
    #[inline]
    pub fn monitors(&self) -> u64 {
        self.monitors.load(Ordering::Relaxed)
    }

    /// Clients that cache what they read.
    pub fn caching(&self) -> u64 {
        self.caching.load(Ordering::Relaxed)
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
