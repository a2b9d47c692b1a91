//! Parameters of Redis with nothing built behind them yet: read, checked and told as Redis does.

use super::flag::{Flag, Refusal, Value, parse_bytes, parse_count, parse_switch};

const I32_MAX: u64 = i32::MAX as u64;
const I64_MAX: u64 = i64::MAX as u64;

/// What a text must be.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// `yes` or `no`.
    Switch,
    /// A whole number within bounds.
    Count(u64, u64),
    /// An amount of memory within bounds.
    Bytes(u64, u64),
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Form {
    /// The text as it is kept and told.
    ///
    /// # Errors
    /// It is none of this form.
    pub fn read(self, text: &str) -> Result<String, Refusal> {
        match self {
            Self::Switch => parse_switch(text).map(|on| (if on { "yes" } else { "no" }).to_owned()),
            Self::Count(min, max) => parse_count(text, min, max).map(|count| count.to_string()),
            Self::Bytes(min, max) => {
                let bytes = parse_bytes(text).ok_or("argument must be a memory value")?;
                parse_count(&bytes.to_string(), min, max).map(|bytes| bytes.to_string())
            }
            Self::Text => Ok(text.to_owned()),
            Self::Choice(words) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text))
                .map(|word| (*word).to_owned())
                .ok_or_else(|| {
                    let refusal = "argument(s) must be one of the following: ";
                    format!("{refusal}{}", words.join(", ")).into()
                }),
        }
    }
}

const fn kept(name: &'static str, form: Form, default: &'static str) -> Flag {
    Flag::new(name, Value::Kept(name, form), default, "Kept for those who ask; without effect yet")
        .live()
        .hidden()
}

/// One that cannot be changed while serving.
const fn fixed(name: &'static str, form: Form, default: &'static str) -> Flag {
    let mut flag = kept(name, form, default);
    flag.live = false;
    flag
}

pub(super) const TABLE: &[Flag] = &[
    kept("key-load-delay", Form::Count(0, I32_MAX), "0").unlisted(),
    kept("rdb-key-save-delay", Form::Count(0, I32_MAX), "0").unlisted(),
    kept("active-defrag-cycle-max", Form::Count(1, 99), "25"),
    kept("active-defrag-cycle-min", Form::Count(1, 99), "1"),
    kept("active-defrag-ignore-bytes", Form::Bytes(1, I64_MAX), "104857600"),
    kept("active-defrag-max-scan-fields", Form::Count(1, I64_MAX), "1000"),
    kept("active-defrag-threshold-lower", Form::Count(0, 1000), "10"),
    kept("active-defrag-threshold-upper", Form::Count(0, 1000), "100"),
    kept("active-expire-effort", Form::Count(1, 10), "1"),
    kept("activedefrag", Form::Switch, "no"),
    kept("activerehashing", Form::Switch, "yes"),
    fixed("always-show-logo", Form::Switch, "no"),
    kept("aof-load-truncated", Form::Switch, "yes"),
    fixed("aof-rewrite-cpulist", Form::Text, "").earlier("aof_rewrite_cpulist"),
    kept("aof-rewrite-incremental-fsync", Form::Switch, "yes"),
    kept("aof-timestamp-enabled", Form::Switch, "no"),
    fixed("appenddirname", Form::Text, "appendonlydir"),
    fixed("appendfilename", Form::Text, "appendonly.aof"),
    kept("auto-aof-rewrite-min-size", Form::Bytes(0, I64_MAX), "67108864"),
    kept("auto-aof-rewrite-percentage", Form::Count(0, I32_MAX), "100"),
    kept("availability-zone", Form::Text, ""),
    fixed("bgsave-cpulist", Form::Text, "").earlier("bgsave_cpulist"),
    kept("bind-source-addr", Form::Text, ""),
    fixed("bio-cpulist", Form::Text, "").earlier("bio_cpulist"),
    kept("cluster-allow-pubsubshard-when-down", Form::Switch, "yes"),
    kept("cluster-allow-reads-when-down", Form::Switch, "no"),
    kept("cluster-allow-replica-migration", Form::Switch, "yes"),
    kept("cluster-announce-bus-port", Form::Count(0, 65535), "0"),
    kept("cluster-announce-hostname", Form::Text, ""),
    kept("cluster-announce-human-nodename", Form::Text, ""),
    kept("cluster-announce-ip", Form::Text, ""),
    kept("cluster-announce-port", Form::Count(0, 65535), "0"),
    kept("cluster-announce-tls-port", Form::Count(0, 65535), "0"),
    kept("cluster-compatibility-sample-ratio", Form::Count(0, 100), "0"),
    fixed("cluster-config-file", Form::Text, "nodes.conf"),
    fixed("cluster-enabled", Form::Switch, "no"),
    kept("cluster-link-sendbuf-limit", Form::Bytes(0, I64_MAX), "0"),
    kept("cluster-migration-barrier", Form::Count(0, I32_MAX), "1"),
    kept("cluster-node-timeout", Form::Count(0, I64_MAX), "15000"),
    fixed("cluster-port", Form::Count(0, 65535), "0"),
    kept(
        "cluster-preferred-endpoint-type",
        Form::Choice(&["ip", "hostname", "unknown-endpoint"]),
        "ip",
    ),
    kept("cluster-replica-no-failover", Form::Switch, "no").earlier("cluster-slave-no-failover"),
    kept("cluster-replica-validity-factor", Form::Count(0, I32_MAX), "10")
        .earlier("cluster-slave-validity-factor"),
    kept("cluster-require-full-coverage", Form::Switch, "yes"),
    kept("crash-log-enabled", Form::Switch, "yes"),
    kept("crash-memcheck-enabled", Form::Switch, "yes"),
    fixed("daemonize", Form::Switch, "no"),
    fixed("disable-thp", Form::Switch, "yes"),
    kept("dynamic-hz", Form::Switch, "yes"),
    fixed("enable-module-command", Form::Choice(&["no", "yes", "local"]), "no"),
    kept("hide-user-data-from-log", Form::Switch, "no"),
    kept("hz", Form::Count(0, I32_MAX), "10"),
    kept("ignore-warnings", Form::Text, ""),
    fixed("io-threads", Form::Count(1, 128), "1"),
    kept("jemalloc-bg-thread", Form::Switch, "yes"),
    kept("lazyfree-lazy-eviction", Form::Switch, "no"),
    kept("lazyfree-lazy-expire", Form::Switch, "no"),
    kept("lazyfree-lazy-server-del", Form::Switch, "no"),
    kept("lazyfree-lazy-user-del", Form::Switch, "no"),
    kept("lazyfree-lazy-user-flush", Form::Switch, "no"),
    kept("locale-collate", Form::Text, ""),
    fixed("logfile", Form::Text, ""),
    kept("loglevel", Form::Choice(&["debug", "verbose", "notice", "warning", "nothing"]), "notice"),
    kept("masterauth", Form::Text, "").earlier("primaryauth"),
    kept("masteruser", Form::Text, "").earlier("primaryuser"),
    kept("max-new-connections-per-cycle", Form::Count(1, 1000), "10"),
    kept("max-new-tls-connections-per-cycle", Form::Count(1, 1000), "1"),
    kept("tls-client-cert-file", Form::Text, ""),
    kept("tls-client-key-file", Form::Text, ""),
    kept("tls-client-key-file-pass", Form::Text, ""),
    kept("tls-cluster", Form::Switch, "no"),
    kept("tls-dh-params-file", Form::Text, ""),
    kept("tls-replication", Form::Switch, "no"),
    kept("min-replicas-max-lag", Form::Count(0, I32_MAX), "10").earlier("min-slaves-max-lag"),
    kept("min-replicas-to-write", Form::Count(0, I32_MAX), "0").earlier("min-slaves-to-write"),
    kept("no-appendfsync-on-rewrite", Form::Switch, "no"),
    kept("oom-score-adj", Form::Choice(&["no", "yes", "relative", "absolute"]), "no"),
    kept("oom-score-adj-values", Form::Text, "0 200 800"),
    fixed("pidfile", Form::Text, ""),
    kept("proc-title-template", Form::Text, "{title} {listen-addr} {server-mode}"),
    kept(
        "propagation-error-behavior",
        Form::Choice(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
    ),
    kept("rdb-del-sync-files", Form::Switch, "no"),
    kept("rdb-save-incremental-fsync", Form::Switch, "yes"),
    kept("repl-backlog-size", Form::Bytes(1, I64_MAX), "1048576"),
    kept("repl-backlog-ttl", Form::Count(0, I64_MAX), "3600"),
    kept("repl-disable-tcp-nodelay", Form::Switch, "no"),
    kept("repl-diskless-load", Form::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled"),
    kept("repl-diskless-sync", Form::Switch, "yes"),
    kept("repl-diskless-sync-delay", Form::Count(0, I32_MAX), "5"),
    kept("repl-diskless-sync-max-replicas", Form::Count(0, I32_MAX), "0"),
    kept("repl-ping-replica-period", Form::Count(1, I32_MAX), "10")
        .earlier("repl-ping-slave-period"),
    kept("repl-timeout", Form::Count(1, I32_MAX), "60"),
    kept("replica-announce-ip", Form::Text, "").earlier("slave-announce-ip"),
    kept("replica-announce-port", Form::Count(0, 65535), "0").earlier("slave-announce-port"),
    kept("replica-announced", Form::Switch, "yes"),
    kept("replica-full-sync-buffer-limit", Form::Bytes(0, I64_MAX), "0"),
    kept("replica-ignore-disk-write-errors", Form::Switch, "no"),
    kept("replica-ignore-maxmemory", Form::Switch, "yes").earlier("slave-ignore-maxmemory"),
    kept("replica-lazy-flush", Form::Switch, "no").earlier("slave-lazy-flush"),
    kept("replica-priority", Form::Count(0, I32_MAX), "100").earlier("slave-priority"),
    kept("replica-read-only", Form::Switch, "yes").earlier("slave-read-only"),
    kept("replica-serve-stale-data", Form::Switch, "yes").earlier("slave-serve-stale-data"),
    fixed("replicaof", Form::Text, "").earlier("slaveof"),
    kept("sanitize-dump-payload", Form::Choice(&["no", "yes", "clients"]), "no"),
    fixed("server-cpulist", Form::Text, "").earlier("server_cpulist"),
    fixed("set-proc-title", Form::Switch, "yes"),
    kept("shutdown-timeout", Form::Count(0, I32_MAX), "10"),
    kept("socket-mark-id", Form::Count(0, I64_MAX), "0"),
    fixed("supervised", Form::Choice(&["upstart", "systemd", "auto", "no"]), "no"),
    fixed("syslog-enabled", Form::Switch, "no"),
    fixed(
        "syslog-facility",
        Form::Choice(&[
            "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ]),
        "local0",
    ),
    fixed("syslog-ident", Form::Text, "redis"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_as_redis_tells_them() {
        assert_eq!(Form::Bytes(1, 1 << 30).read("1kb"), Ok("1024".to_owned()));
        assert!(Form::Bytes(1, 10).read("1kb").is_err());
    }
}
