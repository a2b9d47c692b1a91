//! Figures of the process, as the kernel and the allocator tell them. Never on the hot path.

use pinion_shards::limits::SHARDS_MAX;
use std::fs::read_to_string;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tikv_jemalloc_ctl::{Access as _, AsName as _, arenas, epoch, stats};

/// Ticks a second of the processor times in /proc: fixed by the kernel's interface.
const PROC_TICKS_PER_SECOND: f64 = 100.0;

/// Memory of the process, in bytes; a figure that cannot be had is 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Memory {
    /// What the program has allocated and not freed.
    pub allocated: u64,
    /// The same without what shards hold ready for records to come.
    pub used: u64,
    /// Pages in which that lies.
    pub active: u64,
    /// Pages that the allocator holds.
    pub resident: u64,
    /// What the kernel counts for the process.
    pub rss: u64,
}

impl Memory {
    /// Asks for it now; tens of microseconds.
    pub(crate) fn now() -> Self {
        // The allocator's figures are those of its last epoch: begin a new one.
        let fresh = epoch::advance().is_ok();
        let bytes = |read: Result<usize, _>| read.ok().filter(|_| fresh).unwrap_or(0) as u64;
        let allocated = bytes(stats::allocated::read());
        Self {
            allocated,
            used: allocated.saturating_sub(idle()),
            active: bytes(stats::active::read()),
            resident: bytes(stats::resident::read()),
            rss: kibibytes("/proc/self/status", "VmRSS:") * 1024,
        }
    }
}

/// What is in use of what the program has allocated, in bytes; cheaper than all of `Memory`.
pub(crate) fn used_memory() -> u64 {
    let allocated = epoch::advance().and_then(|_| stats::allocated::read()).unwrap_or(0) as u64;
    allocated.saturating_sub(idle())
}

/// Bytes that each shard's slabs hold without a record in them: to the allocator they are in use.
static IDLE: [AtomicU64; SHARDS_MAX] = [const { AtomicU64::new(0) }; SHARDS_MAX];

/// Notes how much that is of a shard.
pub(crate) fn note_idle(shard: usize, bytes: usize) {
    IDLE[shard].store(bytes as u64, Ordering::Relaxed);
}

fn idle() -> u64 {
    IDLE.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
}

/// From one look at the pages that the allocator holds to the next.
const PAGES_LOOK: Duration = Duration::from_secs(5);
/// Bytes of unused pages, and the share of those in use, from which on they are given back.
const PAGES_SPARE_MIN: u64 = 8 << 20;
const PAGES_SPARE_SHARE: u64 = 16;

/// Has a thread of its own give pages back that lie unused at two looks in a row.
///
/// The allocator does so in passing, where it is used: a server that nobody asks would keep what
/// was freed last. Threads of the allocator would keep large buffers, which else go back at once.
pub(crate) fn purge_in_background() {
    let look = || {
        let mut had_spare = false;
        loop {
            std::thread::sleep(PAGES_LOOK);
            let Memory { active, resident, .. } = Memory::now();
            // What the allocator knows of its pages is resident, and goes with none.
            let own = stats::metadata::read().unwrap_or(0) as u64;
            let spare = resident.saturating_sub(active + own);
            let has_spare = spare > PAGES_SPARE_MIN.max(active / PAGES_SPARE_SHARE);
            if has_spare && had_spare {
                purge();
            }
            had_spare = has_spare && !had_spare;
        }
    };
    if let Err(error) = std::thread::Builder::new().name("pages".to_owned()).spawn(look) {
        tracing::warn!("memory is given back only by MEMORY PURGE and in passing: {error}");
    }
}

/// Gives pages that are not in use back to the system: the allocator does so with what is older
/// than its patience, which is none for a moment.
pub(crate) fn purge() {
    let arenas = arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            let patience: Result<isize, _> = name.as_bytes().name().read();
            // An arena that nobody has used is not there.
            let Ok(patience) = patience else { continue };
            let ended = name.as_bytes().name().write(0_isize);
            let begun = name.as_bytes().name().write(patience);
            if let Err(error) = ended.and(begun) {
                tracing::warn!("cannot purge arena {arena}: {error}");
            }
        }
    }
}

/// Memory of the machine, in bytes; 0 where that cannot be had.
pub(crate) fn system_memory() -> u64 {
    kibibytes("/proc/meminfo", "MemTotal:") * 1024
}

/// The kernel's release, such as `6.12.1`.
pub(crate) fn kernel() -> String {
    read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Processor time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// In the program.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

impl Cpu {
    /// Of the whole process up to now, to a hundredth of a second.
    pub(crate) fn of_process() -> Self {
        Self::parse(&read_to_string("/proc/self/stat").unwrap_or_default()).unwrap_or_default()
    }

    /// Of the thread that started the process, up to now.
    pub(crate) fn of_first_thread() -> Self {
        let path = format!("/proc/self/task/{}/stat", std::process::id());
        Self::parse(&read_to_string(path).unwrap_or_default()).unwrap_or_default()
    }

    /// Reads fields 14 and 15, counted from behind the program's name, which may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / PROC_TICKS_PER_SECOND);
        Some(Self { user: seconds()?, system: seconds()? })
    }
}

/// The number on the line of `path` that begins with `name`.
fn kibibytes(path: &str, name: &str) -> u64 {
    let text = read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_stands_behind_any_name() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 9 0 0 0 150 25 0 0 20 0 3 0 9 9 9";
        assert_eq!(Cpu::parse(stat), Some(Cpu { user: 1.5, system: 0.25 }));
        assert_eq!(Cpu::parse(""), None);
    }

    #[test]
    fn the_kernel_tells_of_this_process() {
        assert!(Memory::now().rss > 100_000);
        assert!(system_memory() > 1_000_000);
        assert!(!kernel().is_empty());
    }
}
