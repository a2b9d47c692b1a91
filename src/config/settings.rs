//! A snapshot of every setting, typed.

use super::snapshots::SnapshotSettings;
use super::table::FLAGS;
use super::tls::TlsSettings;
use crate::commands::{FindError, Found, Renames, find};
use crate::slow::Kind;
use pinion_shards::Shard;
use pinion_shards::commands::Args;
use pinion_shards::keyspace::{Choice, Class, Policy};
use pinion_shards::route::{Prefix, Route};
use pinion_shards::value::Encodings;
use std::collections::BTreeMap;

/// A memory limit below this leaves nothing for keys.
const MEMORY_BYTES_LEAST: u64 = 1 << 20;

/// Whether serving threads stay on their cores.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pin {
    /// Pinned until the kernel reports them waiting for a processor, and again when calm.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: free to move within the allowed cores.
    Never,
}

/// How much output may wait for a client before it is closed; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BufferLimit {
    /// Closed at once beyond this many bytes.
    pub hard_bytes: u64,
    /// Closed beyond this many bytes ...
    pub soft_bytes: u64,
    /// ... held for this many seconds.
    pub soft_seconds: u64,
}

/// Who may do something dangerous.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Allowed {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Clients of this machine.
    #[default]
    Local,
}

impl Allowed {
    /// The one of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::No, Self::Yes, Self::Local];
        all.into_iter().find(|allowed| allowed.name().eq_ignore_ascii_case(name))
    }

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Local => "local",
        }
    }

    /// True if a client may, that is of this machine or not.
    pub fn allows(self, local: bool) -> bool {
        self == Self::Yes || self == Self::Local && local
    }
}

/// Memory that clients may take together, before the largest are closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientsMemory {
    /// So many bytes; 0 for any.
    Bytes(u64),
    /// So many percent of `maxmemory`.
    Percent(u64),
}

impl Default for ClientsMemory {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

/// What a log of commands keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LogSetting {
    /// From so many microseconds or bytes on; -1 for nothing.
    pub from: i64,
    /// Entries, at most.
    pub len_max: u64,
}

/// Every setting. A field's meaning, default and name stand in the table of flags.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// TCP port; 0 listens on none, -1 on any free one.
    pub port: i64,
    /// Addresses to listen on; empty is all of them.
    pub bind: Vec<String>,
    /// Path of the unix socket, empty for none.
    pub unixsocket: String,
    /// Its permissions, 0 to leave them.
    pub unixsocket_mode: u32,
    /// Connections that may wait to be accepted.
    pub tcp_backlog: u64,
    /// Seconds between keep-alive probes, 0 for none.
    pub tcp_keepalive: u64,
    /// Patterns of the first bytes of keys that belong together.
    pub colocate: Vec<String>,
    /// Milliseconds after which those whom a script keeps waiting hear that it does.
    pub busy_reply_ms: u64,
    /// Seconds until an idle client is closed, 0 for never.
    pub timeout: u64,
    /// Most clients at once.
    pub clients_max: u64,
    /// The password, empty for none.
    pub password: String,
    /// The file of users, empty for none.
    pub acl_file: String,
    /// Which channels a fresh list of rules allows: `allchannels` or `resetchannels`.
    pub acl_pubsub_default: String,
    /// Entries of ACL LOG, at most.
    pub acl_log_len_max: u64,
    /// Users that configuration files define: the words of each line after `user`.
    pub users: Vec<Vec<Vec<u8>>>,
    /// Commands under other names, or none.
    pub renames: Renames,
    /// Refuse clients from other machines while there is no password.
    pub protected_mode: bool,
    /// Answer HTTP on the main port.
    pub http: bool,
    /// How TLS is spoken, and where.
    pub tls: TlsSettings,
    /// TCP port for memcached's protocol, 0 for none.
    pub memcached_port: u64,
    /// Databases.
    pub databases: u64,
    /// Serving threads, 0 for one a core.
    pub threads: u64,
    /// The cores to serve on, empty for all that are allowed.
    pub cores: Vec<usize>,
    /// Whether threads stay on their cores.
    pub pin: Pin,
    /// Run a parked neighbour's work oneself.
    pub borrow: bool,
    /// Directory of log files, empty for none.
    pub log_dir: String,
    /// Log to stderr only.
    pub log_to_stderr: bool,
    /// 0 logs all, 1 warnings and errors, 2 errors, 3 nothing.
    pub log_level_min: u64,
    /// Longest argument of a request, in bytes.
    pub bulk_bytes_max: u64,
    /// Most bytes of a request under way.
    pub query_buffer_bytes_max: u64,
    /// Output that may wait for an ordinary client.
    pub output_normal: BufferLimit,
    /// Output that may wait for a replica.
    pub output_replica: BufferLimit,
    /// Output that may wait for a subscriber.
    pub output_pubsub: BufferLimit,
    /// Memory limit in bytes, 0 for none.
    pub memory_bytes_max: u64,
    /// What to do at the memory limit.
    pub memory_policy: String,
    /// Evict as a cache does that scans do not sweep out, whatever the policy says.
    pub cache_mode: bool,
    /// Keys looked at for each that is evicted.
    pub eviction_samples: u64,
    /// How tenacious evictions are, from 0 to 100.
    pub eviction_tenacity: u64,
    /// How slowly counts of use rise.
    pub lfu_log_factor: u64,
    /// Minutes after which a count of use falls by one, 0 for never.
    pub lfu_decay_minutes: u64,
    /// What the logs of slow and large commands keep: slow, large requests, large replies.
    pub command_logs: [LogSetting; 3],
    /// Milliseconds from which an event is a spike, 0 for never.
    pub latency_threshold_ms: u64,
    /// Keep histograms of how long each command takes.
    pub latency_tracking: bool,
    /// What INFO tells of these, in percent.
    pub latency_percentiles: Vec<f64>,
    /// The file in Redis's form that it was started with, empty for none.
    pub config_file: String,
    /// Who may use DEBUG.
    pub debug_command: Allowed,
    /// Who may change settings that name files.
    pub protected_configs: Allowed,
    /// Memory that clients may take together.
    pub clients_memory: ClientsMemory,
    /// How snapshots are taken.
    pub snapshots: SnapshotSettings,
    /// Parameters without effect, by name.
    pub kept: BTreeMap<&'static str, String>,
    /// The bounds of the compact forms of values.
    pub encodings: Encodings,
    /// Which events of keys are published, and how.
    pub notify: Class,
    /// Most keys of which it is remembered who has read them, 0 for any number.
    pub tracked_keys_max: u64,
}

impl Settings {
    /// Every setting at its default.
    pub fn initial() -> Self {
        let mut settings = Self::default();
        for flag in FLAGS {
            flag.set(&mut settings, flag.default).expect("a default is a value: a test reads all");
        }
        settings
    }

    /// True if a fresh list of rules allows every channel.
    pub fn acl_channels(&self) -> bool {
        self.acl_pubsub_default == "allchannels"
    }

    /// Takes a `user` line of a configuration file, as the words after `user`.
    ///
    /// # Errors
    /// One sentence: it does not define a user, or one that another line defines.
    pub fn add_user(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        crate::acl::check_line(words)?;
        if self.users.iter().any(|known| known.first() == words.first()) {
            let name = String::from_utf8_lossy(&words[0]);
            return Err(format!("the user {name} is defined twice"));
        }
        self.users.push(words.into());
        Ok(())
    }

    /// The row of a request, by the names that commands go by here.
    ///
    /// # Errors
    /// There is none; the error knows the text to answer.
    #[inline]
    pub fn find(&self, args: &Args<'_>) -> Result<Found, FindError> {
        if self.renames.is_empty() { find(args) } else { self.renames.find(args) }
    }

    /// Where keys are, of so many shards.
    pub fn route(&self, shards: usize) -> Route {
        let prefixes = self.colocate.iter().filter_map(|pattern| Prefix::parse(pattern));
        Route::with_prefixes(shards, prefixes.collect())
    }

    /// Has a shard follow them.
    pub fn tell(&self, shard: &mut Shard) {
        shard.set_encodings(&self.encodings);
        shard.set_notify(self.notify);
        shard.set_tracked_max(self.tracked_keys_max);
        let limited = self.memory_bytes_max > 0;
        shard.set_memory_policy(&self.eviction(), limited, self.eviction_tenacity as u32);
    }

    /// What is evicted at the memory limit.
    pub fn eviction(&self) -> Policy {
        let (choice, volatile) = match self.cache_mode {
            true => (Choice::Cache, false),
            false => Policy::parse(&self.memory_policy).unwrap_or_default(),
        };
        Policy {
            choice,
            volatile,
            samples: self.eviction_samples as u32,
            lfu_log_factor: self.lfu_log_factor as u32,
            lfu_decay_minutes: self.lfu_decay_minutes as u32,
        }
    }

    /// Bytes that clients may take together, if that is bounded.
    pub fn clients_bytes_max(&self) -> Option<u64> {
        let bytes = match self.clients_memory {
            ClientsMemory::Bytes(bytes) => bytes,
            ClientsMemory::Percent(percent) => {
                (u128::from(self.memory_bytes_max) * u128::from(percent) / 100) as u64
            }
        };
        (bytes > 0).then_some(bytes)
    }

    /// Entries that a log of commands shows at most.
    pub fn log_len_max(&self, kind: Kind) -> usize {
        // At 0 nothing is added, and what is there stays.
        match self.command_logs[kind as usize].len_max {
            0 => usize::MAX,
            len_max => usize::try_from(len_max).unwrap_or(usize::MAX),
        }
    }

    /// What was asked for and is probably not what was meant, one sentence each, for the log.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if (1..MEMORY_BYTES_LEAST).contains(&self.memory_bytes_max) {
            let limit = self.memory_bytes_max;
            warnings.push(format!("maxmemory is {limit} bytes, which the server itself needs"));
        }
        warnings
    }
}
