//! A core's own io_uring: sockets, receive buffers and the doorbell, behind a safe interface.
//!
//! The loop calls `poll`, then `next` until there is none, reads chunks, gives them back, queues
//! sends, and polls again: one system call submits and reaps everything. Memory the kernel may
//! touch is owned here until its completion has come, so no mistake of a caller can free it early.
//!
//! Each socket keeps what is *wanted* apart from what is *armed*, because a multishot receive can
//! end at any time: out of buffers, on overflow of the completion queue, on cancellation. A
//! socket's slot is reused only after its last completion; tokens carry a generation besides.

mod buffers;
mod queue;
mod socket;

pub use buffers::Chunk;
pub use queue::Wait;
pub use socket::SocketId;

use crate::limits::{FILES_MAX, HEARTBEAT};
use crate::mesh::Doorbell;
use buffers::Buffers;
use io_uring::{cqueue, opcode, types};
use queue::{Completion, Queue};
use slab::Slab;
use socket::Socket;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A listener accepted a connection, which belongs to nobody yet.
    Accepted {
        /// Which listener, by order of `listen`.
        listener: usize,
        /// The connected socket.
        socket: OwnedFd,
    },
    /// A listener failed to accept; it is armed again by `retry_listeners`.
    AcceptFailed {
        /// Why.
        error: io::Error,
    },
    /// Bytes arrived.
    Received {
        /// Whose.
        socket: SocketId,
        /// Where; to be given back.
        chunk: Chunk,
    },
    /// A direct receive ended; the buffer has grown by what arrived.
    Direct {
        /// Whose.
        socket: SocketId,
        /// The buffer given to `receive_direct`.
        buffer: Vec<u8>,
    },
    /// After `pause`: every chunk has been delivered and none will come until `resume`.
    Paused {
        /// Whose.
        socket: SocketId,
    },
    /// The peer sends no more, or the socket failed.
    Ended {
        /// Whose.
        socket: SocketId,
        /// The error, if it was one.
        error: Option<io::Error>,
    },
    /// Everything given to `send` is out.
    Sent {
        /// Whose.
        socket: SocketId,
        /// The buffer, to be used again.
        buffer: Vec<u8>,
    },
    /// The peer cannot be written to any more.
    SendFailed {
        /// Whose.
        socket: SocketId,
    },
    /// A neighbour rang.
    Rung,
    /// `HEARTBEAT` has passed since the last one.
    Heartbeat,
}

/// A core's ring.
#[derive(Debug)]
pub struct Ring {
    queue: Queue,
    buffers: Buffers,
    sockets: Slab<Socket>,
    generation: u32,
    listeners: Vec<Listener>,
    doorbell: Arc<Doorbell>,
    /// Where the kernel puts the doorbell's count; it lives as long as the ring.
    rings: Box<u64>,
    bell_armed: bool,
    /// The time between heartbeats, where the kernel can read it.
    period: Box<types::Timespec>,
    heart_armed: bool,
    /// Sockets in the table of registered files are those with an index below this.
    files: u32,
    /// Sockets whose receive ended for want of buffers: armed again once some are back.
    starved: Vec<SocketId>,
    /// Sends of this round that have a completion only if they fail.
    at_once: Vec<SocketId>,
    /// Those that are out, with their buffers.
    completed: Vec<(SocketId, Vec<u8>)>,
    reaped: Vec<Completion>,
    reaped_next: usize,
    /// Events that follow from one that was just returned.
    follow: VecDeque<Event>,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    armed: bool,
    failed: bool,
}

/// The kind of operation a token names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Op {
    Accept = 1,
    Receive = 2,
    Direct = 3,
    Send = 4,
    Bell = 5,
    Cancel = 6,
    Heart = 7,
}

impl Op {
    fn from_token(token: u64) -> Self {
        match token >> 56 {
            1 => Self::Accept,
            2 => Self::Receive,
            3 => Self::Direct,
            4 => Self::Send,
            5 => Self::Bell,
            6 => Self::Cancel,
            7 => Self::Heart,
            other => unreachable!("token kind {other} was never queued"),
        }
    }

    fn token(self, socket: SocketId) -> u64 {
        (self as u64) << 56 | u64::from(socket.generation) << 32 | u64::from(socket.index)
    }
}

impl Ring {
    /// A ring on the calling thread, which must be the only one to use it, woken by `doorbell`.
    ///
    /// # Errors
    /// io_uring or one of the features named in `queue` is not available.
    pub fn new(doorbell: Arc<Doorbell>) -> io::Result<Self> {
        let queue = Queue::new()?;
        let buffers = Buffers::new(queue.ring())?;
        let files = queue.make_file_table(FILES_MAX);
        Ok(Self {
            queue,
            buffers,
            sockets: Slab::new(),
            generation: 0,
            listeners: Vec::new(),
            doorbell,
            rings: Box::new(0),
            bell_armed: false,
            period: Box::new(HEARTBEAT.into()),
            heart_armed: false,
            files,
            starved: Vec::new(),
            at_once: Vec::new(),
            completed: Vec::new(),
            reaped: Vec::new(),
            reaped_next: 0,
            follow: VecDeque::new(),
        })
    }

    /// Accepts connections from a listening socket from now on.
    pub fn listen(&mut self, socket: OwnedFd) {
        self.listeners.push(Listener { socket, armed: false, failed: false });
        self.arm_listeners();
    }

    /// Stops accepting: listeners are closed.
    pub fn stop_listening(&mut self) {
        for (index, _) in self.listeners.drain(..).enumerate() {
            let token = Op::Accept.token(SocketId { index: index as u32, generation: 0 });
            let entry =
                opcode::AsyncCancel::new(token).build().user_data((Op::Cancel as u64) << 56);
            // SAFETY: a cancellation names no memory.
            unsafe { self.queue.push(entry) };
        }
    }

    /// Arms listeners that failed again, once descriptors or memory may be back.
    pub fn retry_listeners(&mut self) {
        for listener in &mut self.listeners {
            listener.failed = false;
        }
        self.arm_listeners();
    }

    fn arm_listeners(&mut self) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if !listener.armed && !listener.failed {
                listener.armed = true;
                let token = Op::Accept.token(SocketId { index: index as u32, generation: 0 });
                let entry = opcode::AcceptMulti::new(types::Fd(listener.socket.as_raw_fd()))
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
                    .user_data(token);
                // SAFETY: an accept without address names no memory.
                unsafe { self.queue.push(entry) };
            }
        }
    }

    /// Submits, reaps, and waits for a first completion as `wait` says. Events of the last poll
    /// must have been taken.
    ///
    /// # Errors
    /// The ring is broken; the core cannot go on.
    pub fn poll(&mut self, wait: Wait) -> io::Result<()> {
        debug_assert!(
            self.reaped_next == self.reaped.len(),
            "events are taken before the next poll"
        );
        self.buffers.publish();
        self.arm();
        self.reaped.clear();
        self.reaped_next = 0;
        let wait = if self.follow.is_empty() { wait } else { Wait::No };
        if wait == Wait::No && !self.queue.has_work() {
            return Ok(());
        }
        self.queue.enter(wait, &mut self.reaped)?;
        if !self.at_once.is_empty() && self.queue.is_settled() {
            self.settle_sends();
        }
        Ok(())
    }

    /// Arms what the last completions ended.
    fn arm(&mut self) {
        for socket in std::mem::take(&mut self.starved) {
            self.arm_receive(socket);
        }
        if !self.bell_armed {
            self.bell_armed = true;
            let fd = types::Fd(self.doorbell.as_fd().as_raw_fd());
            let to = std::ptr::from_mut(self.rings.as_mut()).cast::<u8>();
            let entry = opcode::Read::new(fd, to, size_of::<u64>() as u32)
                .offset(u64::MAX)
                .build()
                .user_data((Op::Bell as u64) << 56);
            // SAFETY: `rings` is boxed, used for nothing else, and outlives the ring's operations.
            unsafe { self.queue.push(entry) };
        }
        if !self.heart_armed {
            self.heart_armed = true;
            let entry = opcode::Timeout::new(std::ptr::from_ref(self.period.as_ref()))
                .build()
                .user_data((Op::Heart as u64) << 56);
            // SAFETY: `period` is boxed, never written, and outlives the ring's operations.
            unsafe { self.queue.push(entry) };
        }
    }

    /// True if `next_event` has something to return.
    pub fn has_events(&self) -> bool {
        self.reaped_next < self.reaped.len()
            || !self.follow.is_empty()
            || !self.completed.is_empty()
    }

    /// The next event of the last poll.
    #[inline]
    pub fn next_event(&mut self) -> Option<Event> {
        if let Some((socket, buffer)) = self.completed.pop() {
            return Some(Event::Sent { socket, buffer });
        }
        loop {
            if let Some(event) = self.follow.pop_front() {
                return Some(event);
            }
            let completion = *self.reaped.get(self.reaped_next)?;
            self.reaped_next += 1;
            let event = match Op::from_token(completion.token) {
                Op::Receive => self.received(completion),
                Op::Send => self.sent(completion),
                Op::Direct => self.received_direct(completion),
                Op::Accept => self.accepted(completion),
                Op::Cancel => None,
                Op::Heart => {
                    self.heart_armed = false;
                    Some(Event::Heartbeat)
                }
                Op::Bell => {
                    self.bell_armed = false;
                    Some(Event::Rung)
                }
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// The bytes of a chunk.
    #[inline]
    pub fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.buffers.bytes(chunk)
    }

    /// The bytes of a chunk, to be changed where they lie.
    #[inline]
    pub fn bytes_mut<'a>(&'a mut self, chunk: &'a mut Chunk) -> &'a mut [u8] {
        self.buffers.bytes_mut(chunk)
    }

    /// Gives a chunk's buffer back.
    #[inline]
    pub fn give_back(&mut self, chunk: Chunk) {
        self.buffers.give_back(chunk);
    }

    fn accepted(&mut self, completion: Completion) -> Option<Event> {
        let listener = (completion.token & u64::from(u32::MAX)) as usize;
        let known = self.listeners.get_mut(listener);
        if completion.result >= 0 {
            // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
            let socket = unsafe { OwnedFd::from_raw_fd(completion.result) };
            let known = known?;
            if !cqueue::more(completion.flags) {
                known.armed = false;
                self.arm_listeners();
            }
            return Some(Event::Accepted { listener, socket });
        }
        let known = known?;
        known.armed = false;
        match -completion.result {
            libc::ECANCELED => None,
            libc::ECONNABORTED | libc::EINTR => {
                self.arm_listeners();
                None
            }
            code => {
                known.failed = true;
                Some(Event::AcceptFailed { error: io::Error::from_raw_os_error(code) })
            }
        }
    }
}

impl Drop for Ring {
    /// Ends every operation before the memory it names is freed; if the kernel will not, that
    /// memory is leaked instead.
    fn drop(&mut self) {
        let all = types::CancelBuilder::any();
        let wait = types::Timespec::from(Duration::from_secs(1));
        let _ = self.queue.ring().submitter().register_sync_cancel(Some(wait), all);
        let _ = self.queue.enter(Wait::No, &mut self.reaped);
        for (_, socket) in &mut self.sockets {
            socket.leak_in_flight();
        }
        Box::leak(std::mem::replace(&mut self.rings, Box::new(0)));
        Box::leak(std::mem::replace(&mut self.period, Box::new(types::Timespec::new())));
    }
}

#[cfg(test)]
mod tests;
