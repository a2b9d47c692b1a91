//! INFO's sections on what was done, and on the loop that did it.

use super::info::{Lines, Report};
use crate::errand::CoreFigures;
use pinion_shards::channels::Kind;

pub(super) fn stats(lines: &mut Lines, report: &Report<'_>) {
    let kilobytes =
        |index: usize| format!("{:.2}", report.sum(|core| core.rates[index]) as f64 / 1024.0);
    let sum = |figure: fn(&CoreFigures) -> u64| report.sum(figure);
    lines.add("total_connections_received", sum(|core| core.stats.connections_received));
    lines.add("total_commands_processed", sum(|core| core.stats.commands));
    lines.add("instantaneous_ops_per_sec", sum(|core| core.rates[0]));
    lines.add("total_net_input_bytes", sum(|core| core.stats.input_bytes));
    lines.add("total_net_output_bytes", sum(|core| core.stats.output_bytes));
    lines.add("total_net_repl_input_bytes", 0);
    lines.add("total_net_repl_output_bytes", 0);
    lines.add("instantaneous_input_kbps", kilobytes(1));
    lines.add("instantaneous_output_kbps", kilobytes(2));
    lines.add("instantaneous_input_repl_kbps", "0.00");
    lines.add("instantaneous_output_repl_kbps", "0.00");
    lines.add("rejected_connections", sum(|core| core.stats.connections_rejected));
    for name in ["sync_full", "sync_partial_ok", "sync_partial_err"] {
        lines.add(name, 0);
    }
    lines.add("expired_subkeys", sum(|core| core.shard.expired_fields));
    lines.add("expired_keys", sum(|core| core.shard.expired_keys));
    lines.add("expired_stale_perc", "0.00");
    lines.add("expired_time_cap_reached_count", 0);
    lines.add("expire_cycle_cpu_milliseconds", sum(|core| core.stats.expiry_ns) / 1_000_000);
    lines.add("evicted_keys", sum(|core| core.shard.evicted_keys));
    lines.add("evicted_clients", sum(|core| core.stats.clients_evicted));
    lines.add("evicted_scripts", report.at.server.scripts.figures().evicted);
    let (total, current) = report.at.server.ledger.exceeded_ms(report.at.now);
    lines.add("total_eviction_exceeded_time", total);
    lines.add("current_eviction_exceeded_time", current);
    subjects(lines, report);
    for name in [
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ] {
        lines.add(name, 0);
    }
    lines.add("unexpected_error_replies", 0);
    lines.add("total_error_replies", sum(|core| core.stats.error_replies));
    for (reason, count) in
        ["auth", "cmd", "key", "channel"].iter().zip(report.at.server.acl.refused())
    {
        lines.add(&format!("acl_access_denied_{reason}"), count);
    }
    lines.add("dump_payload_sanitizations", 0);
    lines.add("total_reads_processed", sum(|core| core.stats.reads));
    lines.add("total_writes_processed", sum(|core| core.stats.writes));
    lines.add("io_threaded_reads_processed", sum(|core| core.stats.reads));
    lines.add("io_threaded_writes_processed", sum(|core| core.stats.writes));
    let (query, output) = ("client_query_buffer_limit", "client_output_buffer_limit");
    lines.add(&format!("{query}_disconnections"), sum(|core| core.stats.query_limit_closed));
    lines.add(&format!("{output}_disconnections"), sum(|core| core.stats.output_limit_closed));
    for name in ["reply_buffer_shrinks", "reply_buffer_expands"] {
        lines.add(name, 0);
    }
    loop_stats(lines, report);
}

fn subjects(lines: &mut Lines, report: &Report<'_>) {
    let sum = |figure: fn(&CoreFigures) -> u64| report.sum(figure);
    lines.add("keyspace_hits", sum(|core| core.shard.keyspace_hits));
    lines.add("keyspace_misses", sum(|core| core.shard.keyspace_misses));
    // Patterns and prefixes are known to every shard.
    let channels = |core: &CoreFigures| core.shard.subscribed[Kind::Channel as usize];
    let patterns = |core: &CoreFigures| core.shard.subscribed[Kind::Pattern as usize];
    let sharded = |core: &CoreFigures| core.shard.subscribed[Kind::Sharded as usize];
    let prefixes = |core: &CoreFigures| core.shard.subscribed[Kind::Prefix as usize];
    lines.add("pubsub_channels", report.sum(channels));
    lines.add("pubsub_patterns", report.max(patterns));
    lines.add("pubsubshard_channels", report.sum(sharded));
    lines.add("tracking_total_keys", sum(|core| core.shard.tracked_keys));
    lines.add("tracking_total_items", sum(|core| core.shard.tracked_items));
    lines.add("tracking_total_prefixes", report.max(prefixes));
}

fn loop_stats(lines: &mut Lines, report: &Report<'_>) {
    let sum = |figure: fn(&CoreFigures) -> u64| report.sum(figure);
    let commands = |core: &CoreFigures| core.stats.calls.iter().map(|it| it.time_ns).sum::<u64>();
    let (cycles, nanos) = (sum(|core| core.rates[3]), sum(|core| core.rates[4]));
    lines.add("eventloop_cycles", sum(|core| core.stats.ticks));
    lines.add("eventloop_duration_sum", sum(|core| core.stats.tick_ns) / 1000);
    lines.add("eventloop_duration_cmd_sum", sum(commands) / 1000);
    lines.add("instantaneous_eventloop_cycles_per_sec", cycles);
    let mean = nanos.checked_div(cycles).unwrap_or(0) / 1000;
    lines.add("instantaneous_eventloop_duration_usec", mean);
}

/// What only those want to know who work on the server; told only by name.
pub(super) fn debug(lines: &mut Lines, report: &Report<'_>) {
    lines.add("eventloop_duration_aof_sum", 0);
    lines.add("eventloop_duration_cron_sum", report.sum(|core| core.stats.cron_ns) / 1000);
    lines.add("eventloop_duration_max", report.max(|core| core.stats.tick_ns_worst) / 1000);
    lines.add("eventloop_cmd_per_cycle_max", report.max(|core| core.stats.tick_requests_max));
    for name in ["allocated", "active", "resident"] {
        lines.add(&format!("allocator_{name}_lua"), 0);
    }
    lines.add("allocator_frag_bytes_lua", 0);
}
