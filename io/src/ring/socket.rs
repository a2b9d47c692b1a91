//! One socket of a ring: what is wanted of it, what is armed, and the memory in flight.

use super::{Chunk, Completion, Event, Op, Ring, buffers};
use io_uring::{cqueue, opcode, squeue, types};
use nix::sys::socket::{MsgFlags, Shutdown, shutdown};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Names a socket of one ring. Never reused while the old one is in use anywhere.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId {
    /// Index in the ring's table: small, dense, reused.
    pub index: u32,
    /// 24 bits that tell users of one index apart.
    pub(super) generation: u32,
}

/// What the kernel is doing for a socket's input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Armed {
    No,
    Multishot,
    Direct,
}

#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    generation: u32,
    /// The kernel has it in its table, at its index.
    registered: bool,
    wanted: bool,
    armed: Armed,
    /// A cancellation of the multishot receive is on its way.
    cancelling: bool,
    /// `Paused` is owed once the multishot receive has ended.
    pausing: bool,
    ended: bool,
    closing: bool,
    direct: Vec<u8>,
    sending: Option<Sending>,
}

#[derive(Debug)]
struct Sending {
    buffer: Vec<u8>,
    sent: usize,
    /// Sent at once or not at all: it has a completion only if it failed (`push_send`).
    at_once: bool,
}

/// Longest send that is first tried at once: more would seldom fit a socket's buffer.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;

impl Socket {
    pub(super) fn leak_in_flight(&mut self) {
        if self.armed == Armed::Direct {
            std::mem::take(&mut self.direct).leak();
        }
        if let Some(sending) = self.sending.take() {
            sending.buffer.leak();
        }
    }

    /// Asks the socket itself: a completion of 0 marked non-empty is the end on some kernels, and
    /// on others only the end of a multishot.
    fn is_at_end(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        nix::sys::socket::recv(self.fd.as_raw_fd(), &mut [0], flags) == Ok(0)
    }

    /// What an entry names it by: its place in the kernel's table, if it has one.
    #[inline]
    fn target(&self, socket: SocketId) -> (types::Fd, squeue::Flags) {
        if self.registered {
            return (types::Fd(socket.index as i32), squeue::Flags::FIXED_FILE);
        }
        (types::Fd(self.fd.as_raw_fd()), squeue::Flags::empty())
    }

    fn is_idle(&self) -> bool {
        self.armed == Armed::No && self.sending.is_none()
    }
}

impl Ring {
    /// Takes a connected socket in and begins to receive from it.
    pub fn attach(&mut self, fd: OwnedFd) -> SocketId {
        self.generation = (self.generation + 1) & 0x00ff_ffff;
        let generation = self.generation;
        let index = self.sockets.insert(Socket {
            fd,
            generation,
            registered: false,
            wanted: true,
            armed: Armed::No,
            cancelling: false,
            pausing: false,
            ended: false,
            closing: false,
            direct: Vec::new(),
            sending: None,
        }) as u32;
        if index < self.files {
            let state = &mut self.sockets[index as usize];
            state.registered = self.queue.set_file(index, state.fd.as_raw_fd());
        }
        let socket = SocketId { index, generation };
        self.arm_receive(socket);
        socket
    }

    /// The descriptor of an open socket.
    pub fn descriptor(&self, socket: SocketId) -> Option<BorrowedFd<'_>> {
        let found = self.sockets.get(socket.index as usize)?;
        (found.generation == socket.generation).then(|| found.fd.as_fd())
    }

    /// Stops receiving; `Paused` tells when nothing more comes.
    pub fn pause(&mut self, socket: SocketId) {
        let Some(state) = self.state(socket) else { return };
        state.wanted = false;
        state.pausing = true;
        match state.armed {
            Armed::Multishot if !state.cancelling => {
                state.cancelling = true;
                let entry = opcode::AsyncCancel::new(Op::Receive.token(socket))
                    .build()
                    .user_data((Op::Cancel as u64) << 56);
                // SAFETY: a cancellation names no memory.
                unsafe { self.queue.push(entry) };
            }
            Armed::Multishot => {}
            Armed::No | Armed::Direct => {
                state.pausing = false;
                self.follow.push_back(Event::Paused { socket });
            }
        }
    }

    /// Receives again, in chunks.
    pub fn resume(&mut self, socket: SocketId) {
        let Some(state) = self.state(socket) else { return };
        state.wanted = true;
        state.pausing = false;
        self.arm_receive(socket);
    }

    /// Receives `bytes` more into the spare capacity of `buffer`, or fewer if the peer ends; one at
    /// a time, and only after `Paused`.
    ///
    /// # Panics
    /// If the buffer has not that much to spare, none was asked for, or a receive is armed.
    pub fn receive_direct(&mut self, socket: SocketId, buffer: Vec<u8>, bytes: usize) {
        let Some(state) = self.state(socket) else { return };
        assert!(state.armed == Armed::No, "a direct receive follows `Paused`");
        assert!(bytes > 0, "a direct receive is for something");
        assert!(buffer.capacity() - buffer.len() >= bytes, "a direct receive has room");
        state.armed = Armed::Direct;
        state.direct = buffer;
        let (target, flags) = state.target(socket);
        let spare = state.direct.spare_capacity_mut();
        let entry = opcode::Recv::new(
            target,
            spare.as_mut_ptr().cast(),
            u32::try_from(bytes).unwrap_or(u32::MAX),
        )
        .flags(libc::MSG_WAITALL)
        .build()
        .flags(flags)
        .user_data(Op::Direct.token(socket));
        // SAFETY: the buffer stays in this socket, untouched, until its completion; the socket is
        // removed only when idle.
        unsafe { self.queue.push(entry) };
    }

    /// Sends all of `buffer`, then returns it in `Sent`. One at a time.
    ///
    /// # Panics
    /// If a send is in flight.
    #[inline]
    pub fn send(&mut self, socket: SocketId, buffer: Vec<u8>) {
        let Some(state) = self.state(socket) else { return };
        assert!(state.sending.is_none(), "one send in flight a socket");
        let at_once = buffer.len() <= AT_ONCE_BYTES_MAX;
        state.sending = Some(Sending { buffer, sent: 0, at_once });
        if at_once {
            self.at_once.push(socket);
        }
        self.push_send(socket);
    }

    /// After an `enter` that left nothing behind, neither entries nor completions: those sends at
    /// once that have no completion are out.
    pub(super) fn settle_sends(&mut self) {
        for completion in &self.reaped {
            if completion.token >> 56 == Op::Send as u64 {
                let index = (completion.token & u64::from(u32::MAX)) as usize;
                if let Some(Socket { sending: Some(sending), .. }) = self.sockets.get_mut(index) {
                    sending.at_once = false;
                }
            }
        }
        for socket in std::mem::take(&mut self.at_once) {
            let index = socket.index as usize;
            let Some(state) = self.sockets.get_mut(index) else { continue };
            if state.generation != socket.generation {
                continue;
            }
            let Some(sending) = state.sending.take_if(|sending| sending.at_once) else { continue };
            if state.closing {
                self.reap_closed(socket);
            } else {
                self.completed.push((socket, sending.buffer));
            }
        }
    }

    /// Closes a socket: ends its operations, then its descriptor. No event of it follows.
    pub fn close(&mut self, socket: SocketId) {
        let Some(state) = self.state(socket) else { return };
        state.closing = true;
        state.wanted = false;
        if state.is_idle() {
            self.forget(socket);
            return;
        }
        // Ends the receive and the send in flight; fails only where the peer did it first.
        let _ = shutdown(state.fd.as_raw_fd(), Shutdown::Both);
    }

    fn state(&mut self, socket: SocketId) -> Option<&mut Socket> {
        self.sockets
            .get_mut(socket.index as usize)
            .filter(|state| state.generation == socket.generation && !state.closing)
    }

    pub(super) fn arm_receive(&mut self, socket: SocketId) {
        let Some(state) = self.state(socket) else { return };
        if !state.wanted || state.ended || state.armed != Armed::No {
            return;
        }
        state.armed = Armed::Multishot;
        let (target, flags) = state.target(socket);
        let entry = opcode::RecvMulti::new(target, buffers::GROUP)
            .build()
            .flags(flags)
            .user_data(Op::Receive.token(socket));
        // SAFETY: the memory is the registered buffers', which live as long as the process.
        unsafe { self.queue.push(entry) };
    }

    #[inline]
    fn push_send(&mut self, socket: SocketId) {
        let state = &self.sockets[socket.index as usize];
        let sending = state.sending.as_ref().expect("a send is under way");
        let rest = &sending.buffer[sending.sent..];
        // At once: the kernel does not wait for room (DONTWAIT), takes less than all of it for a
        // failure (WAITALL), and reports nothing but failures (SKIP_SUCCESS). So the send is over
        // when the call returns, and the common case costs no completion.
        let (waiting, quiet) = if sending.at_once {
            (libc::MSG_DONTWAIT | libc::MSG_WAITALL, squeue::Flags::SKIP_SUCCESS)
        } else {
            (0, squeue::Flags::empty())
        };
        let (target, flags) = state.target(socket);
        let entry =
            opcode::Send::new(target, rest.as_ptr(), u32::try_from(rest.len()).unwrap_or(u32::MAX))
                .flags(libc::MSG_NOSIGNAL | waiting)
                .build()
                .flags(flags | quiet)
                .user_data(Op::Send.token(socket));
        // SAFETY: the buffer stays in this socket, untouched, until its completion; the socket is
        // removed only when idle.
        unsafe { self.queue.push(entry) };
    }

    /// The socket that a completion is for. Its slot cannot have been reused: it is freed only
    /// when nothing is armed.
    fn socket_of(&mut self, completion: Completion) -> SocketId {
        let index = (completion.token & u64::from(u32::MAX)) as u32;
        let generation = (completion.token >> 32) as u32 & 0x00ff_ffff;
        debug_assert!(
            self.sockets.get(index as usize).is_some_and(|s| s.generation == generation),
            "a socket outlives its operations"
        );
        SocketId { index, generation }
    }

    #[inline]
    pub(super) fn received(&mut self, completion: Completion) -> Option<Event> {
        let socket = self.socket_of(completion);
        let state = &mut self.sockets[socket.index as usize];
        let chunk = cqueue::buffer_select(completion.flags)
            .map(|id| Chunk { id, len: completion.result.max(0) as u32 });
        let more = cqueue::more(completion.flags);
        if !more {
            state.armed = Armed::No;
            state.cancelling = false;
        }
        if state.closing {
            if let Some(chunk) = chunk {
                self.buffers.give_back(chunk);
            }
            self.reap_closed(socket);
            return None;
        }
        let event = match chunk {
            Some(chunk) if completion.result > 0 => Some(Event::Received { socket, chunk }),
            chunk => {
                if let Some(chunk) = chunk {
                    self.buffers.give_back(chunk);
                }
                self.receive_ended(socket, completion)
            }
        };
        if more {
            return event;
        }
        let state = &mut self.sockets[socket.index as usize];
        if state.pausing && !state.ended {
            state.pausing = false;
            if event.is_none() {
                return Some(Event::Paused { socket });
            }
            self.follow.push_back(Event::Paused { socket });
        } else if completion.result == -libc::ENOBUFS {
            self.starved.push(socket);
        } else {
            self.arm_receive(socket);
        }
        event
    }

    /// A receive that brought no bytes: the end, an error, or only the end of a multishot.
    fn receive_ended(&mut self, socket: SocketId, completion: Completion) -> Option<Event> {
        let nonempty = cqueue::sock_nonempty(completion.flags);
        let error = match -completion.result {
            0 if nonempty && !self.sockets[socket.index as usize].is_at_end() => return None,
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => return None,
            0 => None,
            code => Some(io::Error::from_raw_os_error(code)),
        };
        self.sockets[socket.index as usize].ended = true;
        Some(Event::Ended { socket, error })
    }

    pub(super) fn received_direct(&mut self, completion: Completion) -> Option<Event> {
        let socket = self.socket_of(completion);
        let state = &mut self.sockets[socket.index as usize];
        state.armed = Armed::No;
        let mut buffer = std::mem::take(&mut state.direct);
        if state.closing {
            self.reap_closed(socket);
            return None;
        }
        if completion.result > 0 {
            let len = buffer.len() + completion.result as usize;
            debug_assert!(len <= buffer.capacity(), "the kernel stays within the spare capacity");
            // SAFETY: the kernel wrote that many bytes behind the old length.
            unsafe { buffer.set_len(len) };
        } else if !matches!(-completion.result, libc::EINTR | libc::EAGAIN | libc::ECANCELED) {
            state.ended = true;
            let error =
                (completion.result != 0).then(|| io::Error::from_raw_os_error(-completion.result));
            return Some(Event::Ended { socket, error });
        }
        Some(Event::Direct { socket, buffer })
    }

    #[inline]
    pub(super) fn sent(&mut self, completion: Completion) -> Option<Event> {
        let socket = self.socket_of(completion);
        let state = &mut self.sockets[socket.index as usize];
        let sending = state.sending.as_mut().expect("a send completes once");
        if state.closing {
            state.sending = None;
            self.reap_closed(socket);
            return None;
        }
        // It has a completion, so it did not go at once; the rest is sent the patient way.
        sending.at_once = false;
        match completion.result {
            0.. => sending.sent += completion.result as usize,
            code if matches!(-code, libc::EINTR | libc::EAGAIN) => {}
            _ => {
                state.sending = None;
                return Some(Event::SendFailed { socket });
            }
        }
        if sending.sent < sending.buffer.len() {
            self.push_send(socket);
            return None;
        }
        let sending = state.sending.take()?;
        Some(Event::Sent { socket, buffer: sending.buffer })
    }

    /// Frees a closing socket once nothing of it is in flight.
    fn reap_closed(&mut self, socket: SocketId) {
        if self.sockets[socket.index as usize].is_idle() {
            self.forget(socket);
        }
    }

    fn forget(&mut self, socket: SocketId) {
        if self.sockets.remove(socket.index as usize).registered {
            self.queue.set_file(socket.index, -1);
        }
    }
}
