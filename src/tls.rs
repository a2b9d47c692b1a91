//! A connection's TLS between the ring and its replies: what is sealed, and in what pieces.

use crate::pipeline::Pipeline;
use pinion_io::tls::{Acceptor, Fault, Stream};
use pinion_shards::Millis;

/// Longest time for a handshake.
pub const HANDSHAKE_MS_MAX: Millis = 10_000;
/// Bytes of output that are sealed at a time: the rest waits as it is.
const PIECE_BYTES: usize = 128 * 1024;

/// What is sent next.
#[derive(Debug)]
pub struct Output {
    /// As it goes to the socket.
    pub buffer: Vec<u8>,
    /// Bytes of replies in it.
    pub carries: usize,
    /// Memory that is not needed any more.
    pub emptied: Vec<u8>,
}

/// One connection's TLS, and the output that is being sealed.
#[derive(Debug)]
pub struct Sealed {
    stream: Stream,
    /// Output that was taken to be sealed, and how much of it has been.
    rest: Vec<u8>,
    sealed: usize,
    /// Since when the handshake is awaited.
    since: Millis,
}

impl Sealed {
    /// A fresh one, begun at `now`.
    ///
    /// # Errors
    /// The acceptor's settings do not allow any.
    pub fn new(acceptor: &Acceptor, now: Millis) -> Result<Self, Fault> {
        Ok(Self { stream: Stream::new(acceptor)?, rest: Vec::new(), sealed: 0, since: now })
    }

    /// Appends what `bytes`, which arrived, bring to `plain`.
    ///
    /// # Errors
    /// The connection is to be closed once what it still has to send is out.
    #[inline]
    pub fn open(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Fault> {
        self.stream.open(bytes, plain)
    }

    /// True once the peer has said that it sends no more.
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.stream.is_ended()
    }

    /// True if the handshake takes too long.
    pub fn is_late(&self, now: Millis) -> bool {
        self.stream.is_fresh() && now.saturating_sub(self.since) > HANDSHAKE_MS_MAX
    }

    /// True if something can be sent: of its own, or of these replies.
    #[inline]
    pub fn has_output(&self, replies: &Pipeline) -> bool {
        let waits = !self.rest.is_empty() || replies.has_output();
        self.stream.outgoing_bytes() > 0 || waits && self.stream.is_open()
    }

    /// Takes what can be sent next, written into `room`, which is empty; none if nothing can be
    /// sealed any more.
    pub fn take_output(&mut self, replies: &mut Pipeline, room: Vec<u8>) -> Option<Output> {
        let (mut carries, mut emptied) = (0, Vec::new());
        self.stream.lend(room);
        if self.stream.is_open() {
            if self.rest.is_empty() {
                self.rest = replies.take_output();
                self.sealed = 0;
            }
            let end = self.rest.len().min(self.sealed + PIECE_BYTES);
            carries = end - self.sealed;
            if carries > 0 {
                self.stream.seal(&self.rest[self.sealed..end]).ok()?;
            }
            self.sealed = end;
            if end == self.rest.len() {
                emptied = std::mem::take(&mut self.rest);
                emptied.clear();
            }
        }
        Some(Output { buffer: self.stream.take_outgoing(), carries, emptied })
    }

    /// Tells the peer, once, that nothing more comes; false if it has been told or cannot be.
    pub fn end(&mut self) -> bool {
        self.stream.end()
    }

    /// Bytes of output that it holds.
    pub fn output_bytes(&self) -> usize {
        self.rest.len() - self.sealed.min(self.rest.len()) + self.stream.outgoing_bytes()
    }

    /// Bytes of input that it holds.
    pub fn input_bytes(&self) -> usize {
        self.stream.incoming_bytes()
    }
}
