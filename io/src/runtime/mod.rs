//! The one door to glommio: a pinned executor per core, its background queue, its waits.
//!
//! The serving loop is the executor's first task. Jobs run beside it in a queue of few shares; the
//! loop counts them, and while there are any it sleeps in its own ring only briefly and gives them
//! a turn. It never waits inside glommio for what others do: woken there by an eventfd it hung
//! within seconds of load.
//!
//! An executor sets a timer and then runs tasks until it is over. If it is over before the first
//! task, because the kernel had the thread stand still, the executor takes it that there are none,
//! and sleeps for good. So that time is long, and who gives others a turn waits for a moment, in
//! which the executor comes to set its timer anew, instead of yielding until the time is over.

mod descriptors;
mod pin;
mod signals;

pub use descriptors::raise_descriptor_limit;
pub use pin::{Crowding, available_cores, pin_to, unpin};
pub use signals::{StopSignals, ask_to_stop};

use crate::mesh::Doorbell;
use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long tasks run before the executor looks at its timers though there are more.
const PREEMPT: Duration = Duration::from_secs(60);
/// A turn of others, at least.
const TURN: Duration = Duration::from_micros(10);
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

/// The background work of one core.
#[derive(Debug)]
pub struct Background {
    queue: TaskQueueHandle,
    active: Rc<Cell<usize>>,
    doorbell: Arc<Doorbell>,
}

impl Background {
    /// To be called on an executor; jobs that end ring `doorbell`.
    pub fn new(doorbell: Arc<Doorbell>) -> Self {
        let executor = glommio::executor();
        let queue = executor.create_task_queue(
            Shares::Static(BACKGROUND_SHARES),
            Latency::NotImportant,
            "background",
        );
        Self { queue, active: Rc::new(Cell::new(0)), doorbell }
    }

    /// Starts a job beside the serving loop. Nothing interrupts a job: it must wait for something
    /// (`sleep`, a file) whenever it has worked for a moment, and not only yield.
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

    /// Lets each job go on until it waits.
    pub async fn give_turn(&self) {
        sleep(TURN).await;
    }
}

/// Completes after `time`, on an executor.
pub async fn sleep(time: Duration) {
    glommio::timer::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_beside_a_loop_that_gives_them_turns() {
        let thread = start(0, || async {
            let background = Background::new(Arc::new(Doorbell::new().expect("an eventfd")));
            let done = Rc::new(Cell::new(0));
            for time in [0, 1, 5, 20] {
                let done = Rc::clone(&done);
                background.spawn(async move {
                    sleep(Duration::from_millis(time)).await;
                    done.set(done.get() + 1);
                });
            }
            assert!(background.is_active());
            while background.is_active() {
                std::thread::sleep(Duration::from_micros(100));
                background.give_turn().await;
            }
            assert_eq!(done.get(), 4);
        });
        thread.expect("a core").join().expect("it ends");
    }
    /// Many more threads than cores, which the kernel has stand still anywhere.
    #[test]
    fn no_executor_sleeps_while_it_has_tasks() {
        let body = || async {
            let background = Background::new(Arc::new(Doorbell::new().expect("an eventfd")));
            for _ in 0..50 {
                background.spawn(async { sleep(Duration::from_micros(200)).await });
                while background.is_active() {
                    background.give_turn().await;
                }
            }
        };
        for _ in 0..10 {
            let threads = (0..32).map(|index| start(index, body).expect("a core"));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        }
    }
}
