//! The figures that `stats` tells.

use crate::commands::Context;
use crate::errand::CoreFigures;
use crate::process::{Cpu, Memory};
use std::fmt::{Display, Write as _};

/// The lines of `stats`, from the figures of every core.
pub fn stats(cores: &[CoreFigures], at_home: &Context<'_>) -> String {
    let mut text = String::with_capacity(2048);
    let mut add = |name: &str, value: &dyn Display| {
        write!(text, "STAT {name} {value}\r\n").expect("writing to memory does not fail");
    };
    let sum = |figure: fn(&CoreFigures) -> u64| cores.iter().map(figure).sum::<u64>();
    let calls = |names: &[&str]| {
        let all = cores.iter().flat_map(|core| core.stats.calls.iter());
        let named = all.filter(|calls| calls.row.is_some_and(|row| names.contains(&row.name)));
        named.map(|calls| calls.calls).sum::<u64>()
    };
    let cpu = Cpu::of_process();
    let keys = |core: &CoreFigures| core.shard.databases.first().map_or(0, |db| db.keys);
    add("pid", &std::process::id());
    add("uptime", &(at_home.now.saturating_sub(at_home.server.started) / 1000));
    add("time", &(at_home.now / 1000));
    add("version", &env!("CARGO_PKG_VERSION"));
    add("pointer_size", &usize::BITS);
    add("rusage_user", &format_args!("{:.6}", cpu.user));
    add("rusage_system", &format_args!("{:.6}", cpu.system));
    add("max_connections", &at_home.settings.clients_max);
    add("curr_connections", &sum(|core| core.clients));
    add("total_connections", &sum(|core| core.stats.connections_received));
    add("rejected_connections", &sum(|core| core.stats.connections_rejected));
    let reads = ["memcached|get", "memcached|gets", "memcached|gat", "memcached|gats"];
    let stores = ["set", "add", "replace", "append", "prepend", "cas"];
    let stores = stores.map(|name| format!("memcached|{name}"));
    add("cmd_get", &calls(&reads));
    add("cmd_set", &calls(&stores.each_ref().map(String::as_str)));
    add("cmd_flush", &calls(&["flushdb", "flushall"]));
    add("cmd_touch", &calls(&["memcached|touch", "memcached|gat", "memcached|gats"]));
    add("get_hits", &sum(|core| core.shard.keyspace_hits));
    add("get_misses", &sum(|core| core.shard.keyspace_misses));
    add("bytes_read", &sum(|core| core.stats.input_bytes));
    add("bytes_written", &sum(|core| core.stats.output_bytes));
    add("limit_maxbytes", &at_home.settings.memory_bytes_max);
    add("threads", &cores.len());
    add("bytes", &Memory::now().used);
    add("curr_items", &sum(keys));
    add("evictions", &sum(|core| core.shard.evicted_keys));
    add("expired_unfetched", &sum(|core| core.shard.expired_keys));
    text.push_str("END\r\n");
    text
}
