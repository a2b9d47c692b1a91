//! The io_uring itself: entries in, completions out, one system call a tick.
//!
//! An entry that finds the submission queue full waits in `deferred` and goes first next time, so
//! nothing that was asked for is lost. Kernel floor 6.1: multishot receive, ring-mapped buffers.

use crate::limits::{COMPLETION_ENTRIES, SUBMISSION_ENTRIES};
use io_uring::{IoUring, cqueue, squeue, types};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// `IORING_ENTER_GETEVENTS`: run deferred task work and deliver its completions.
const ENTER_GETEVENTS: u32 = 1;

/// How long a call waits for a first completion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until there is one: the heartbeat comes at the latest. The kernel sets up no timer for it.
    Event,
    /// This long.
    AtMost(Duration),
}

/// One completion, copied out of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) token: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}

#[derive(Debug)]
struct Entry(squeue::Entry);

pub(super) struct Queue {
    ring: IoUring,
    deferred: VecDeque<Entry>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("deferred", &self.deferred.len()).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETION_ENTRIES);
        let ring: IoUring = builder.build(SUBMISSION_ENTRIES)?;
        // Saves a descriptor look-up a call; a kernel without it serves as well.
        let _ = ring.submitter().register_ring_fd();
        Ok(Self { ring, deferred: VecDeque::new() })
    }

    /// Makes room for descriptors that the kernel need not look up on every operation; returns how
    /// many, which is none where it will not.
    pub(super) fn make_file_table(&self, count: u32) -> u32 {
        self.ring.submitter().register_files_sparse(count).map_or(0, |()| count)
    }

    /// Puts a descriptor in the table, or takes what is there out (-1); false if that failed.
    pub(super) fn set_file(&self, index: u32, descriptor: i32) -> bool {
        self.ring.submitter().register_files_update(index, &[descriptor]).is_ok()
    }

    pub(super) fn ring(&self) -> &IoUring {
        &self.ring
    }

    /// Queues an entry.
    ///
    /// # Safety
    /// Whatever memory the entry names stays valid and unaliased until its completion.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry) {
        if !self.deferred.is_empty() {
            return self.deferred.push_back(Entry(entry));
        }
        // SAFETY: the caller's promise about the entry's memory.
        if unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.deferred.push_back(Entry(entry));
        }
    }

    /// True if the next `enter` has something to tell the kernel, or to hear from it.
    pub(super) fn has_work(&mut self) -> bool {
        let mut submission = self.ring.submission();
        submission.sync();
        !submission.is_empty()
            || submission.taskrun()
            || submission.cq_overflow()
            || !self.deferred.is_empty()
    }

    /// True if the kernel has taken every entry and keeps no completion back: those that found the
    /// completion queue full come with the next `enter`.
    pub(super) fn is_settled(&mut self) -> bool {
        let mut submission = self.ring.submission();
        submission.sync();
        submission.is_empty() && self.deferred.is_empty() && !submission.cq_overflow()
    }

    /// Submits everything and appends every completion to `reaped`; waits for one as `wait` says.
    pub(super) fn enter(&mut self, wait: Wait, reaped: &mut Vec<Completion>) -> io::Result<()> {
        loop {
            self.refill();
            let wait = if self.deferred.is_empty() { wait } else { Wait::No };
            let result = match wait {
                Wait::AtMost(time) => {
                    let until = types::Timespec::from(time);
                    let args = types::SubmitArgs::new().timespec(&until);
                    self.ring.submitter().submit_with_args(1, &args)
                }
                Wait::No | Wait::Event => {
                    let len = self.ring.submission().len() as u32;
                    let want = u32::from(wait == Wait::Event);
                    let submitter = self.ring.submitter();
                    // SAFETY: no argument is passed; the entries were promised at `push`.
                    unsafe { submitter.enter::<libc::sigset_t>(len, want, ENTER_GETEVENTS, None) }
                }
            };
            let before = reaped.len();
            reaped.extend(self.ring.completion().map(|entry: cqueue::Entry| Completion {
                token: entry.user_data(),
                result: entry.result(),
                flags: entry.flags(),
            }));
            match result {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                    _ => return Err(error),
                },
            }
            if self.deferred.is_empty() || reaped.len() > before {
                return Ok(());
            }
        }
    }

    /// Moves what waited into the submission queue, as far as it goes.
    fn refill(&mut self) {
        while let Some(Entry(entry)) = self.deferred.front() {
            // SAFETY: promised by the caller of `push`, for as long as the entry has no completion.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                return;
            }
            self.deferred.pop_front();
        }
    }
}
