//! Which processor a core's thread runs on, and whether others want it too.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::time::Duration;

/// Processors this process may use, in order.
///
/// # Errors
/// The kernel does not say.
pub fn available_cores() -> std::io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect())
}

/// Keeps the calling thread on one processor.
///
/// # Errors
/// There is no such processor, or it is not allowed.
pub fn pin_to(core: usize) -> std::io::Result<()> {
    unpin(&[core])
}

/// Lets the calling thread run on any of `cores`.
///
/// # Errors
/// There is no such processor, or it is not allowed.
pub fn unpin(cores: &[usize]) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

/// How long the calling thread has waited for a processor while it could have run.
#[derive(Debug, Default)]
pub struct Crowding {
    waited: Duration,
}

impl Crowding {
    /// Time spent waiting since the last call. Zero where the kernel keeps no such account.
    /// Source: the second field of `schedstat`, in nanoseconds (kernel documentation).
    pub fn sample(&mut self) -> Duration {
        let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") else {
            return Duration::ZERO;
        };
        let waited = text.split_ascii_whitespace().nth(1).and_then(|field| field.parse().ok());
        let waited = Duration::from_nanos(waited.unwrap_or(0));
        let more = waited.saturating_sub(self.waited);
        self.waited = waited;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_and_let_go() {
        let cores = available_cores().unwrap();
        assert!(!cores.is_empty());
        std::thread::spawn(move || {
            pin_to(cores[0]).unwrap();
            assert_eq!(available_cores().unwrap(), cores[..1]);
            unpin(&cores).unwrap();
            assert_eq!(available_cores().unwrap(), cores);
            assert!(pin_to(100_000).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn waiting_is_counted_from_the_last_sample() {
        let mut crowding = Crowding::default();
        crowding.sample();
        assert!(crowding.sample() < Duration::from_secs(60));
    }
}
