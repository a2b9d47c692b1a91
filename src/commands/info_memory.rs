//! INFO's section on memory.

use super::info::{Lines, Report};
use crate::process::{Memory, system_memory};
use std::fmt;

pub(super) fn memory(lines: &mut Lines, report: &Report<'_>) {
    let memory = Memory::now();
    let server = report.at.server;
    let used = memory.used;
    let peak = server.note_memory(used);
    let dataset = report.sum(|core| core.shard.memory_bytes).min(used);
    let net = used.saturating_sub(server.memory_at_start).max(1);
    with_human(lines, "used_memory", used);
    with_human(lines, "used_memory_rss", memory.rss);
    with_human(lines, "used_memory_peak", peak);
    lines.add("used_memory_peak_perc", Percent(used, peak));
    lines.add("used_memory_overhead", used - dataset);
    lines.add("used_memory_startup", server.memory_at_start);
    lines.add("used_memory_dataset", dataset);
    lines.add("used_memory_dataset_perc", Percent(dataset.min(net), net));
    lines.add("allocator_allocated", memory.allocated);
    lines.add("allocator_active", memory.active);
    lines.add("allocator_resident", memory.resident);
    lines.add("allocator_muzzy", 0);
    with_human(lines, "total_system_memory", system_memory());
    // Scripts and functions share their interpreters.
    let machines = report.sum(|core| core.shard.script_bytes);
    with_human(lines, "used_memory_lua", machines);
    lines.add("used_memory_vm_eval", machines);
    let scripts = report.at.server.scripts.figures();
    lines.add("used_memory_scripts_eval", scripts.bytes);
    lines.add("number_of_cached_scripts", scripts.count);
    lines.add("number_of_functions", scripts.functions);
    lines.add("number_of_libraries", scripts.libraries);
    lines.add("used_memory_vm_functions", 0);
    with_human(lines, "used_memory_vm_total", machines);
    lines.add("used_memory_functions", scripts.library_bytes);
    with_human(lines, "used_memory_scripts", scripts.bytes + scripts.library_bytes);
    with_human(lines, "maxmemory", report.at.settings.memory_bytes_max);
    lines.add("maxmemory_policy", &report.at.settings.memory_policy);
    over(lines, ["allocator_frag_ratio", "allocator_frag_bytes"], memory.active, used);
    over(lines, ["allocator_rss_ratio", "allocator_rss_bytes"], memory.resident, memory.active);
    over(lines, ["rss_overhead_ratio", "rss_overhead_bytes"], memory.rss, memory.resident);
    over(lines, ["mem_fragmentation_ratio", "mem_fragmentation_bytes"], memory.rss, used);
    lines.add("mem_not_counted_for_evict", 0);
    lines.add("mem_clients_slaves", 0);
    lines.add("mem_clients_normal", report.sum(|core| core.client_bytes));
    for name in [
        "mem_cluster_links",
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_replica_full_sync_buffer",
        "mem_aof_buffer",
        "mem_overhead_db_hashtable_rehashing",
    ] {
        lines.add(name, 0);
    }
    lines.add("mem_allocator", "jemalloc");
    lines.add("active_defrag_running", 0);
    lines.add("lazyfree_pending_objects", report.sum(|core| core.shard.freeing));
    lines.add("lazyfreed_objects", report.sum(|core| core.shard.freed));
}

/// The figure in bytes, and for people.
fn with_human(lines: &mut Lines, name: &str, bytes: u64) {
    lines.add(name, bytes);
    lines.add(&format!("{name}_human"), Human(bytes));
}

/// How much more one figure is than another: as a ratio, and in bytes.
fn over(lines: &mut Lines, names: [&str; 2], more: u64, less: u64) {
    let ratio = if less == 0 { 0.0 } else { more as f64 / less as f64 };
    lines.add(names[0], format_args!("{ratio:.2}"));
    lines.add(names[1], more as i64 - less as i64);
}

/// A part of a whole.
struct Percent(u64, u64);

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2}%", self.0 as f64 * 100.0 / self.1.max(1) as f64)
    }
}

/// Bytes as people read them, with Redis's units.
struct Human(u64);

impl fmt::Display for Human {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        for (power, unit) in [(4, 'T'), (3, 'G'), (2, 'M'), (1, 'K')] {
            if self.0 >= 1 << (10 * power) {
                return write!(out, "{:.2}{unit}", bytes / f64::powi(1024.0, power));
            }
        }
        write!(out, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (2_220_144, "2.12M"), (1 << 30, "1.00G")]
        {
            assert_eq!(Human(bytes).to_string(), text);
        }
        assert_eq!(Percent(1, 4).to_string(), "25.00%");
    }
}
