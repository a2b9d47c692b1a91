//! One client's connection: a session, its input so far, its replies, and why it may stand still.

use crate::memcached::Progress;
use crate::pipeline::Pipeline;
use crate::session::Session;
use crate::tls::{Output, Sealed};
use pinion_io::resp::Parser;
use pinion_io::ring::SocketId;
use std::borrow::Cow;

/// Replies that one connection may await from other cores: at first, least, and most.
const AWAITED_FIRST: usize = 128;
const AWAITED_MIN: usize = 4;
const AWAITED_MAX: usize = 8192;
/// Bytes that the awaited replies of one connection may come to, by the size of the last ones.
const AWAITED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Plain state in the core's table; no task, and no buffer while idle.
#[derive(Debug)]
pub struct Connection {
    /// Its socket on this core's ring.
    pub socket: SocketId,
    /// What commands see.
    pub session: Session,
    /// Its replies.
    pub pipeline: Pipeline,
    /// Bytes received and not yet run: part of a request, or all that came while it stood still.
    pub input: Vec<u8>,
    /// Where the parser stopped in `input`.
    pub parser: Parser,
    /// Requests that were parsed when it came to a stand, to go before `input`.
    pub deferred: Vec<u8>,
    /// What it speaks.
    pub wire: Wire,
    /// What is under way of memcached's protocol.
    pub memcached: Progress,
    /// Its TLS, if it was accepted where that is spoken.
    pub tls: Option<Box<Sealed>>,
    /// Why no further request runs.
    pub stall: Stall,
    /// How input comes.
    pub intake: Intake,
    /// Bytes given to the ring and not yet sent.
    pub sending: usize,
    /// In the core's list of connections with something to flush.
    pub dirty: bool,
    /// The peer sends no more; close once everything is answered.
    pub ended: bool,
    /// It stood still and goes on in the next tick, before anything is decided about it.
    pub resumes: bool,
    /// Close at once.
    pub killed: bool,
    /// But not before what it is owed has gone out, if that is soon.
    pub farewell: bool,
    /// Replies that may be awaited before it stands still: few at first and while they are large.
    pub awaited_max: usize,
    /// Jobs of it under way: one, but where an EXEC started several.
    pub jobs: u32,
    /// Subscriptions of it that are not in force yet; messages are kept until they are.
    pub joining: u32,
    /// Those messages.
    pub kept: Vec<u8>,
    /// Over the soft output limit since this instant (ms), or 0.
    pub over_soft_since: u64,
}

/// What is behind a socket that is listened on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Door {
    /// What is spoken.
    pub wire: Wire,
    /// Whether it is spoken through TLS.
    pub tls: bool,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wire {
    /// Its first bytes will tell.
    #[default]
    Fresh,
    /// Redis's protocol.
    Redis,
    /// HTTP.
    Http,
    /// memcached's text protocol.
    Memcached,
}

impl Wire {
    /// An error of Redis's protocol, as it is told here.
    pub fn refusal(self, error: &'static [u8]) -> Cow<'static, [u8]> {
        match (self, error) {
            (Self::Memcached, [b'-', error @ ..]) => [b"SERVER_ERROR ", error].concat().into(),
            _ => error.into(),
        }
    }
}

/// Why a connection runs no further request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stall {
    /// It runs.
    #[default]
    None,
    /// Its job has not ended.
    Job,
    /// The lane to this owner is full.
    Lane(u16),
    /// Its command waits for a key; the number of the wait.
    Blocked(u64),
    /// A shard has put its reply off, or writes it in pieces.
    Later,
    /// Its request waits for the end of CLIENT PAUSE.
    Paused,
    /// What it queued runs, and may change the session; or it is about to watch keys.
    Exec,
    /// Too many replies are awaited, or too many bytes wait for a slow reader.
    Replies,
}

/// How a connection's input comes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Intake {
    /// In chunks, as it arrives.
    #[default]
    Chunks,
    /// Chunks are being stopped, for a direct receive or to hold the peer back.
    Stopping,
    /// Nothing is received.
    Stopped,
    /// Straight into `input`, which is with the ring and had this many bytes before.
    Direct(usize),
}

impl Connection {
    /// A fresh connection.
    pub fn new(socket: SocketId, session: Session) -> Self {
        Self {
            socket,
            session,
            pipeline: Pipeline::default(),
            input: Vec::new(),
            parser: Parser::default(),
            deferred: Vec::new(),
            wire: Wire::default(),
            memcached: Progress::default(),
            tls: None,
            stall: Stall::None,
            intake: Intake::Chunks,
            sending: 0,
            dirty: false,
            ended: false,
            resumes: false,
            killed: false,
            farewell: false,
            awaited_max: AWAITED_FIRST,
            jobs: 0,
            joining: 0,
            kept: Vec::new(),
            over_soft_since: 0,
        }
    }

    /// Learns from a reply of `bytes` that came from elsewhere how many may be awaited at once.
    /// They are made before anyone can know whether the client reads: grown one by one while they
    /// are small, as a TCP window is, and cut at once when they are large.
    #[inline]
    pub fn learn(&mut self, bytes: usize) {
        if bytes <= AWAITED_BYTES_MAX / AWAITED_MAX {
            self.awaited_max = (self.awaited_max + 1).min(AWAITED_MAX);
        } else {
            self.awaited_max = self.awaited_max.min(AWAITED_BYTES_MAX / bytes).max(AWAITED_MIN);
        }
    }

    /// Gives it a message that is no reply: behind the replies it awaits, but before that of a
    /// command which waits for a key.
    pub fn push(&mut self, message: &[u8]) {
        if self.joining > 0 {
            self.kept.extend_from_slice(message);
        } else {
            self.pipeline.push(message, matches!(self.stall, Stall::Blocked(_)));
        }
    }

    /// Puts it in the list of those that the tick's flush looks at, once.
    #[inline]
    pub fn mark(&mut self, dirty: &mut Vec<SocketId>) {
        if !self.dirty {
            self.dirty = true;
            dirty.push(self.socket);
        }
    }

    /// Has it closed at once, whatever it was to be told.
    pub fn kill(&mut self) {
        (self.killed, self.farewell) = (true, false);
    }

    /// Has it closed, though it has done nothing wrong: what it is owed still goes out. One whose
    /// command waits is owed nothing.
    pub fn dismiss(&mut self) {
        self.farewell = !self.killed && self.stall == Stall::None;
        self.killed = true;
        self.session.closing |= self.farewell;
    }

    /// True if its output is to be sent.
    #[inline]
    pub fn sends(&self) -> bool {
        (!self.killed || self.farewell) && self.sending == 0 && self.has_output()
    }

    /// Has it stand still for one job more.
    pub fn begin_job(&mut self) {
        self.stall = Stall::Job;
        self.jobs += 1;
    }

    /// Notes that a job has ended; true if it was the last that it stood still for.
    pub fn end_job(&mut self) -> bool {
        self.jobs -= 1;
        let goes_on = self.jobs == 0 && self.stall == Stall::Job;
        if goes_on {
            self.stall = Stall::None;
        }
        goes_on
    }

    /// True if a request may run.
    #[inline]
    pub fn runs(&self) -> bool {
        self.stall == Stall::None && !self.session.closing
    }

    /// True if something can be sent.
    #[inline]
    pub fn has_output(&self) -> bool {
        match &self.tls {
            None => self.pipeline.has_output(),
            Some(tls) => tls.has_output(&self.pipeline),
        }
    }

    /// Takes what can be sent next, where there is something; none if it cannot be sealed.
    #[inline]
    pub fn take_output(&mut self, spare: &mut Vec<Vec<u8>>) -> Option<Output> {
        if let Some(tls) = &mut self.tls {
            return tls.take_output(&mut self.pipeline, spare.pop().unwrap_or_default());
        }
        let buffer = self.pipeline.take_output();
        Some(Output { carries: buffer.len(), buffer, emptied: Vec::new() })
    }

    /// True if there is nothing more to do for it than to close it.
    pub fn is_done(&self) -> bool {
        let sent = !self.has_output() && self.sending == 0;
        let left = self.ended && self.stall == Stall::None && !self.resumes;
        let is_owed = !sent || !self.pipeline.is_settled();
        // Nobody is there for what comes late.
        let waits = matches!(self.stall, Stall::Blocked(_) | Stall::Later | Stall::Paused);
        let left_waiting = self.ended && waits;
        self.killed && !(self.farewell && is_owed)
            || sent && left_waiting
            || sent && (self.session.closing || left) && self.pipeline.is_settled()
    }

    /// Puts the requests that were parsed but not run back in front of the input.
    pub fn restore_deferred(&mut self) {
        if self.deferred.is_empty() {
            return;
        }
        let mut input = std::mem::take(&mut self.deferred);
        input.append(&mut self.input);
        self.input = input;
        self.parser.reset();
    }

    /// Puts a direct receive's buffer behind the requests that came to a stand meanwhile.
    pub fn take_back(&mut self, mut buffer: Vec<u8>) {
        if self.input.is_empty() {
            self.input = buffer;
        } else {
            self.input.append(&mut buffer);
            self.parser.reset();
        }
    }

    /// Bytes received and waiting to be run.
    pub fn input_bytes(&self) -> usize {
        self.input.len() + self.deferred.len()
    }

    /// Bytes of replies that the peer has not taken.
    pub fn output_bytes(&self) -> usize {
        let sealed = self.tls.as_ref().map_or(0, |tls| tls.output_bytes());
        self.pipeline.bytes() + self.sending + self.kept.len() + sealed
    }
}
