//! Wakes a core that sleeps in its ring: an eventfd on which the ring keeps a read armed.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// One core's doorbell; anyone may ring it.
#[derive(Debug)]
pub struct Doorbell {
    event: EventFd,
}

impl Doorbell {
    /// A new doorbell.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC;
        Ok(Self { event: EventFd::from_value_and_flags(0, flags).map_err(io::Error::from)? })
    }

    /// Wakes the core, now or at its next sleep.
    pub fn ring(&self) {
        // Fails only at 2^64 rings nobody answered; that core is awake then.
        let _ = self.event.write(1);
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
