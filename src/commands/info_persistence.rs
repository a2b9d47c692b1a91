//! INFO persistence: snapshots, and what is being loaded.

use super::info::{Lines, Report};
use crate::snapshot::loading::Loading;
use crate::snapshot::{Current, Status};

pub(super) fn persistence(lines: &mut Lines, report: &Report<'_>) {
    let saves = &report.at.server.saves;
    let status = saves.status();
    let changes = report.sum(|core| core.shard.changes).saturating_sub(status.changes);
    let seconds = |ms: Option<u64>| ms.map_or(-1, |ms| (ms / 1000) as i64);
    let since = |current: Current| report.at.now.saturating_sub(current.began);
    let background = status.current.filter(|current| current.in_background);
    let (done, keys) = status.current.map_or((0, 0), |it| (saves.keys_saved(), it.keys));
    lines.add("loading", u8::from(report.at.server.loading.is_loading()));
    lines.add("async_loading", 0);
    for name in ["current_cow_peak", "current_cow_size", "current_cow_size_age"] {
        lines.add(name, 0);
    }
    let percent = if keys == 0 { 0.0 } else { 100.0 * done as f64 / keys as f64 };
    lines.add("current_fork_perc", format_args!("{percent:.2}"));
    lines.add("current_save_keys_processed", done);
    lines.add("current_save_keys_total", keys);
    lines.add("rdb_changes_since_last_save", changes);
    lines.add("rdb_bgsave_in_progress", u8::from(background.is_some()));
    lines.add("rdb_last_save_time", status.last / 1000);
    lines.add("rdb_last_bgsave_status", if status.failure.is_some() { "err" } else { "ok" });
    add_failure(lines, &status);
    lines.add("rdb_last_bgsave_time_sec", seconds(status.took));
    lines.add("rdb_current_bgsave_time_sec", seconds(background.map(since)));
    lines.add("rdb_saves", status.begun);
    lines.add("rdb_last_cow_size", 0);
    lines.add("rdb_last_load_keys_expired", status.expired);
    lines.add("rdb_last_load_keys_loaded", status.loaded);
    lines.add("aof_enabled", 0);
    lines.add("aof_rewrite_in_progress", 0);
    lines.add("aof_rewrite_scheduled", 0);
    lines.add("aof_last_rewrite_time_sec", -1);
    lines.add("aof_current_rewrite_time_sec", -1);
    lines.add("aof_last_bgrewrite_status", "ok");
    lines.add("aof_rewrites", 0);
    lines.add("aof_rewrites_consecutive_failures", 0);
    lines.add("aof_last_write_status", "ok");
    lines.add("aof_last_cow_size", 0);
    lines.add("module_fork_in_progress", 0);
    lines.add("module_fork_last_cow_size", 0);
    if let Some(loading) = report.at.server.loading.current() {
        add_loading(lines, &loading, report.at.now);
    }
}

/// Why the last snapshot failed: a line of ours, on one line.
fn add_failure(lines: &mut Lines, status: &Status) {
    if let Some(why) = &status.failure {
        lines.add("rdb_last_bgsave_error", why.replace(char::is_control, " "));
    }
}

fn add_loading(lines: &mut Lines, loading: &Loading, now: u64) {
    let (bytes, done) = loading.bytes();
    let elapsed = now.saturating_sub(loading.began) / 1000;
    let left = bytes.saturating_sub(done);
    // As much time as it took up to now, for what is left; as Redis guesses it.
    let eta = u128::from(elapsed) * u128::from(left) / u128::from(done.max(1));
    let percent = 100.0 * done as f64 / bytes.max(1) as f64;
    let notes = loading.notes();
    let used_memory = notes.iter().find(|(name, _)| name == "used-mem");
    lines.add("loading_start_time", loading.began / 1000);
    lines.add("loading_total_bytes", bytes);
    lines.add("loading_rdb_used_mem", used_memory.map_or("0", |(_, bytes)| bytes));
    lines.add("loading_loaded_bytes", done);
    lines.add("loading_loaded_perc", format_args!("{percent:.2}"));
    lines.add("loading_eta_seconds", if elapsed == 0 { 1 } else { eta });
}
