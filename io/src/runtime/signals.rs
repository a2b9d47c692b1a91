//! The signals that ask the server to stop, SIGTERM and SIGINT, and one that must not end it.

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::io;

/// Blocks the signals in this thread and all it starts, so that one thread can wait for them.
#[derive(Debug)]
pub struct StopSignals {
    set: SigSet,
}

impl StopSignals {
    /// To be called before any other thread is started. SIGXFSZ stays blocked too and is never
    /// waited for: a file that may not grow further is an error of the write, not the end.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        let mut blocked = set;
        blocked.add(Signal::SIGXFSZ);
        blocked.thread_block()?;
        Ok(Self { set })
    }

    /// Sleeps until one of them comes; returns its name.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn wait(&self) -> io::Result<&'static str> {
        Ok(self.set.wait()?.as_str())
    }
}

/// Has `wait` return, as if SIGTERM had come from outside.
pub fn ask_to_stop() {
    // A process may always signal itself.
    let _ = kill(Pid::this(), Signal::SIGTERM);
}
