//! The one door to glommio: a pinned executor per core, its background queue, its waits.
//!
//! The serving loop is the executor's first task. Jobs run beside it in a queue of few shares; the
//! loop counts them, and while there are any it waits through glommio (an eventfd that the ring
//! signals) instead of blocking in its own ring, so that both make progress.

mod pin;
mod signals;

pub use pin::{Crowding, available_cores, pin_to, unpin};
pub use signals::{StopSignals, ask_to_stop};

use crate::mesh::Doorbell;
use glommio::io::BufferedFile;
use glommio::timer::Timer;
use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long a task may run before it should yield to others, while there are others.
const PREEMPT: Duration = Duration::from_micros(300);
/// Entries of glommio's own rings: files and timers only, so few.
const RING_DEPTH: usize = 64;
/// Memory glommio registers for direct I/O, in bytes, until snapshots need more.
const IO_MEMORY: usize = 64 * 1024;
/// Shares of background work against 1000 of the serving loop.
const BACKGROUND_SHARES: usize = 100;

/// A running core.
#[derive(Debug)]
pub struct CoreThread {
    handle: glommio::ExecutorJoinHandle<()>,
}

impl CoreThread {
    /// Waits until the core has stopped.
    ///
    /// # Errors
    /// Its executor failed.
    pub fn join(self) -> io::Result<()> {
        self.handle.join().map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Starts a core's executor on a thread of its own, which runs `body` to its end.
///
/// # Errors
/// No thread, or no io_uring for glommio.
pub fn start<F, B>(index: usize, body: B) -> io::Result<CoreThread>
where
    F: Future<Output = ()> + 'static,
    B: FnOnce() -> F + Send + 'static,
{
    LocalExecutorBuilder::new(Placement::Unbound)
        .name(&format!("pinion-{index}"))
        .preempt_timer(PREEMPT)
        .ring_depth(RING_DEPTH)
        .io_memory(IO_MEMORY)
        .spawn(move || async move { body().await })
        .map(|handle| CoreThread { handle })
        .map_err(|error| io::Error::other(error.to_string()))
}

/// The background work of one core, and the wait that lets it run.
#[derive(Debug)]
pub struct Background {
    queue: TaskQueueHandle,
    active: Rc<Cell<usize>>,
    doorbell: Arc<Doorbell>,
    signal: Doorbell,
    file: BufferedFile,
}

impl Background {
    /// To be called on an executor; jobs that end ring `doorbell`.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new(doorbell: Arc<Doorbell>) -> io::Result<Self> {
        let executor = glommio::executor();
        let queue = executor.create_task_queue(
            Shares::Static(BACKGROUND_SHARES),
            Latency::NotImportant,
            "background",
        );
        let signal = Doorbell::new()?;
        let descriptor = signal.as_fd().try_clone_to_owned()?.into_raw_fd();
        // SAFETY: the descriptor was just made, and passes to the file.
        let file = unsafe { BufferedFile::from_raw_fd(descriptor) };
        Ok(Self { queue, active: Rc::new(Cell::new(0)), doorbell, signal, file })
    }

    /// Starts a job beside the serving loop.
    pub fn spawn(&self, job: impl Future<Output = ()> + 'static) {
        let active = Rc::clone(&self.active);
        let doorbell = Arc::clone(&self.doorbell);
        active.set(active.get() + 1);
        let task = async move {
            job.await;
            active.set(active.get() - 1);
            doorbell.ring();
        };
        glommio::spawn_local_into(task, self.queue)
            .expect("the queue lives as long as its executor")
            .detach();
    }

    /// True while there is a job.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.get() > 0
    }

    /// The event that the ring must signal (`Ring::notify`) for `wait` to end.
    pub fn signal(&self) -> BorrowedFd<'_> {
        self.signal.as_fd()
    }

    /// Lets jobs run until the ring signals, or a short time has passed.
    pub async fn wait(&self, at_most: Duration) {
        let mut read = pin!(self.file.read_at(0, size_of::<u64>()));
        let mut timer = pin!(Timer::new(at_most));
        poll_fn(|context| {
            // An error of the read ends the wait early, and the loop looks at its ring again.
            let signalled = read.as_mut().poll(context).is_ready();
            if signalled || timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// Lets jobs have their share of the core, if their turn has come.
    pub async fn give_turn(&self) {
        glommio::yield_if_needed().await;
    }
}

/// Completes after `time`, on an executor.
pub async fn sleep(time: Duration) {
    glommio::timer::sleep(time).await;
}
