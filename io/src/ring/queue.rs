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

    /// True if the kernel has taken every entry.
    pub(super) fn is_submitted(&mut self) -> bool {
        let mut submission = self.ring.submission();
        submission.sync();
        submission.is_empty() && self.deferred.is_empty()
    }

    /// Submits everything and appends every completion to `reaped`; waits for one until `wait` is
    /// over, if there is a wait.
    pub(super) fn enter(
        &mut self,
        wait: Option<Duration>,
        reaped: &mut Vec<Completion>,
    ) -> io::Result<()> {
        loop {
            self.refill();
            let more = !self.deferred.is_empty();
            let result = match wait {
                Some(wait) if !more => {
                    let until = types::Timespec::from(wait);
                    let args = types::SubmitArgs::new().timespec(&until);
                    self.ring.submitter().submit_with_args(1, &args)
                }
                _ => {
                    let len = self.ring.submission().len() as u32;
                    // SAFETY: no argument is passed; the entries were promised at `push`.
                    unsafe {
                        self.ring.submitter().enter::<libc::sigset_t>(len, 0, ENTER_GETEVENTS, None)
                    }
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
