//! Replies in request order, whatever order they become ready in.
//!
//! While nothing is awaited, a reply is written straight into the buffer that will be sent. Once a
//! command has gone to another core, later replies wait in `stash`, each with a slot that says
//! where; when the head's reply comes, everything that is ready behind it follows.

use pinion_io::resp::{Protocol, Reply};
use std::collections::VecDeque;

/// The replies of one connection.
#[derive(Debug, Default)]
pub struct Pipeline {
    out: Vec<u8>,
    slots: VecDeque<Slot>,
    /// The sequence number of the first slot.
    head: u32,
    stash: Vec<u8>,
    /// Whole buffers that go before `out`.
    full: VecDeque<Vec<u8>>,
    full_bytes: usize,
    /// Pieces of replies that came before their turn, each with its sequence number.
    pieces: Vec<(u32, Vec<u8>)>,
    /// Messages that are no replies, each with the number of the slot that it goes before, and its
    /// length in `message_bytes`.
    messages: VecDeque<(u32, u32)>,
    message_bytes: VecDeque<u8>,
    /// Bytes of the reply written last.
    written: usize,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Its reply comes from elsewhere; `muted` replies are dropped (CLIENT REPLY OFF).
    Awaited { muted: bool },
    /// Its pieces have all come, and lie in `pieces`.
    Whole,
    /// Its reply lies in the stash.
    Ready { start: u32, len: u32 },
}

impl Pipeline {
    /// Writes a reply, now or in its turn, unless the client wants none (`answers`). Returns the
    /// reply if it is an error.
    #[inline]
    pub fn write(
        &mut self,
        protocol: Protocol,
        answers: bool,
        write: impl FnOnce(&mut Reply<'_>),
    ) -> Option<Vec<u8>> {
        let direct = self.slots.is_empty();
        let to = if direct { &mut self.out } else { &mut self.stash };
        let start = to.len();
        write(&mut Reply::new(to, protocol));
        self.written = to.len() - start;
        let failed = (to.get(start) == Some(&b'-')).then(|| to[start..].to_vec());
        if !answers {
            to.truncate(start);
        }
        if !direct {
            let len = to.len() - start;
            if len >= APART_BYTES_MIN {
                let reply = to.split_off(start);
                let sequence = self.reserve(false);
                self.fill_piece(sequence, reply, false);
            } else {
                self.slots.push_back(Slot::Ready { start: start as u32, len: len as u32 });
            }
        }
        failed
    }

    /// Bytes of the reply written last, whether the client wanted it or not.
    #[inline]
    pub fn written(&self) -> usize {
        self.written
    }

    /// Keeps a place for a reply that comes from elsewhere; returns its sequence number.
    #[inline]
    pub fn reserve(&mut self, muted: bool) -> u32 {
        let sequence = self.head.wrapping_add(self.slots.len() as u32);
        self.slots.push_back(Slot::Awaited { muted });
        sequence
    }

    /// Puts the reply of a reserved place there.
    ///
    /// # Panics
    /// If the place was not reserved, or is filled already.
    pub fn fill(&mut self, sequence: u32, reply: &[u8]) {
        let offset = sequence.wrapping_sub(self.head) as usize;
        let slot = self.slots.get_mut(offset).expect("a reply has a place");
        let Slot::Awaited { muted } = *slot else { panic!("a reply is written once") };
        let reply = if muted { &[] } else { reply };
        if offset > 0 {
            if reply.len() >= APART_BYTES_MIN {
                return self.fill_piece(sequence, reply.to_vec(), false);
            }
            let start = self.stash.len();
            self.stash.extend_from_slice(reply);
            *slot = Slot::Ready { start: start as u32, len: reply.len() as u32 };
            return;
        }
        self.out.extend_from_slice(reply);
        self.advance();
        self.follow();
    }

    /// Puts a piece of a reserved place's reply there, without copying it; the last one unless
    /// `more` follow. A small reply that is whole goes with those around it.
    ///
    /// # Panics
    /// If the place was not reserved, or is filled already.
    pub fn fill_piece(&mut self, sequence: u32, piece: Vec<u8>, more: bool) {
        let whole = !more && self.pieces.iter().all(|(its, _)| *its != sequence);
        if whole && piece.len() < SMALL_BYTES_MAX {
            return self.fill(sequence, &piece);
        }
        let offset = sequence.wrapping_sub(self.head) as usize;
        let slot = self.slots.get_mut(offset).expect("a reply has a place");
        let Slot::Awaited { muted } = *slot else { panic!("a reply is written once") };
        if !more {
            *slot = Slot::Whole;
        }
        if !muted {
            self.pieces.push((sequence, piece));
        }
        if offset == 0 {
            self.follow();
        }
    }

    /// Puts a message behind all replies so far, also those that are awaited; but before the last
    /// of them if `before_last`.
    pub fn push(&mut self, message: &[u8], before_last: bool) {
        let slots = self.slots.len() - usize::from(before_last && !self.slots.is_empty());
        if slots == 0 {
            self.out.extend_from_slice(message);
            return;
        }
        self.messages.push_back((self.head.wrapping_add(slots as u32), message.len() as u32));
        self.message_bytes.extend(message);
    }

    /// Puts the messages that go before the head behind what goes out.
    fn take_messages(&mut self) {
        while let Some(&(before, len)) = self.messages.front()
            && before == self.head
        {
            self.messages.pop_front();
            self.out.extend(self.message_bytes.drain(..len as usize));
        }
        if self.messages.is_empty() {
            (self.messages, self.message_bytes) = Default::default();
        }
    }

    /// Lets everything that is ready at the head go.
    fn follow(&mut self) {
        loop {
            if !self.messages.is_empty() {
                self.take_messages();
            }
            self.take_pieces();
            match self.slots.front() {
                Some(&Slot::Ready { start, len }) => {
                    let start = start as usize;
                    self.out.extend_from_slice(&self.stash[start..start + len as usize]);
                }
                Some(Slot::Whole) => {}
                Some(Slot::Awaited { .. }) | None => break,
            }
            self.advance();
        }
        if self.slots.is_empty() {
            self.stash.clear();
        }
    }

    /// Puts the pieces of the head's reply behind what goes out.
    fn take_pieces(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let head = self.head;
        for (_, piece) in self.pieces.extract_if(.., |(sequence, _)| *sequence == head) {
            for buffer in [std::mem::take(&mut self.out), piece] {
                if !buffer.is_empty() {
                    self.full_bytes += buffer.len();
                    self.full.push_back(buffer);
                }
            }
        }
    }

    fn advance(&mut self) {
        self.slots.pop_front();
        self.head = self.head.wrapping_add(1);
    }

    /// True if no reply is awaited from elsewhere.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.slots.is_empty()
    }

    /// Commands whose place in the order is not reached.
    #[inline]
    pub fn awaited(&self) -> usize {
        self.slots.len()
    }

    /// True if something can be sent.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.out.is_empty() || !self.full.is_empty()
    }

    /// Bytes that wait: to be sent, or for their turn.
    pub fn bytes(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
        self.out.len() + self.stash.len() + self.full_bytes + pieces + self.message_bytes.len()
    }

    /// Lends memory for replies where there is none.
    #[inline]
    pub fn lend(&mut self, mut buffer: impl FnMut() -> Vec<u8>) {
        if self.out.capacity() == 0 {
            self.out = buffer();
        }
        if !self.slots.is_empty() && self.stash.capacity() == 0 {
            self.stash = buffer();
        }
    }

    /// Takes what can be sent next, with its memory.
    #[inline]
    pub fn take_output(&mut self) -> Vec<u8> {
        if let Some(buffer) = self.full.pop_front() {
            self.full_bytes -= buffer.len();
            return buffer;
        }
        std::mem::take(&mut self.out)
    }

    /// Takes the memory of the stash once nothing needs it: an idle connection keeps none.
    #[inline]
    pub fn take_stash(&mut self) -> Option<Vec<u8>> {
        if !self.slots.is_empty() || self.stash.capacity() == 0 {
            return None;
        }
        self.slots.shrink_to(SLOTS_KEPT_MAX);
        Some(std::mem::take(&mut self.stash))
    }
}

/// Replies from which on each waits for its turn in a buffer of its own. Several values of 512 MiB
/// in one reply are more than a slot can say; of less, far fewer wait than that.
const APART_BYTES_MIN: usize = 1024 * 1024;

/// Whole replies below this are copied rather than sent alone.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// Slots an idle connection keeps the memory of: a dozen bytes each.
const SLOTS_KEPT_MAX: usize = 32;

const _: () = assert!(size_of::<Slot>() <= 12);

#[cfg(test)]
mod tests {
    use super::*;

    fn write(pipeline: &mut Pipeline, value: i64) {
        pipeline.write(Protocol::Resp2, true, |reply| reply.int(value));
    }

    #[test]
    fn replies_leave_in_request_order() {
        let mut pipeline = Pipeline::default();
        write(&mut pipeline, 1);
        let two = pipeline.reserve(false);
        write(&mut pipeline, 3);
        let four = pipeline.reserve(false);
        write(&mut pipeline, 5);
        assert_eq!(pipeline.take_output(), b":1\r\n");
        pipeline.fill(four, b":4\r\n");
        assert!(!pipeline.has_output());
        assert_eq!(pipeline.awaited(), 4);
        pipeline.fill(two, b":2\r\n");
        assert_eq!(pipeline.take_output(), b":2\r\n:3\r\n:4\r\n:5\r\n");
        assert!(pipeline.is_settled());
        let six = pipeline.reserve(true);
        pipeline.fill(six, b":6\r\n");
        write(&mut pipeline, 7);
        assert_eq!(pipeline.take_output(), b":7\r\n");
        assert_eq!(pipeline.bytes(), 0);
    }

    #[test]
    fn pieces_wait_for_their_turn_and_are_not_copied() {
        let mut pipeline = Pipeline::default();
        let one = pipeline.reserve(false);
        let two = pipeline.reserve(false);
        write(&mut pipeline, 3);
        pipeline.fill_piece(two, b"*2\r\n:1\r\n".to_vec(), true);
        assert!(!pipeline.has_output());
        pipeline.fill(one, b"+OK\r\n");
        assert_eq!(pipeline.take_output(), b"+OK\r\n");
        assert_eq!(pipeline.take_output(), b"*2\r\n:1\r\n");
        assert!(!pipeline.has_output() && pipeline.bytes() > 0);
        // A small end goes with what follows.
        pipeline.fill_piece(two, b":2\r\n".to_vec(), false);
        assert_eq!(pipeline.take_output(), b":2\r\n:3\r\n");
        assert!(pipeline.is_settled() && pipeline.bytes() == 0);
        let muted = pipeline.reserve(true);
        pipeline.fill_piece(muted, b":9\r\n".to_vec(), false);
        assert!(pipeline.is_settled() && !pipeline.has_output());
    }

    #[test]
    fn messages_keep_behind_the_replies_before_them() {
        let mut pipeline = Pipeline::default();
        pipeline.push(b">1", false);
        let one = pipeline.reserve(false);
        pipeline.push(b">2", false);
        pipeline.push(b">3", false);
        write(&mut pipeline, 2);
        let blocked = pipeline.reserve(false);
        pipeline.push(b">4", true);
        assert_eq!(pipeline.take_output(), b">1");
        pipeline.fill(one, b":1\r\n");
        assert_eq!(pipeline.take_output(), b":1\r\n>2>3:2\r\n>4");
        pipeline.push(b">5", true);
        assert_eq!(pipeline.take_output(), b">5");
        pipeline.push(b">6", false);
        pipeline.fill(blocked, b":3\r\n");
        assert_eq!(pipeline.take_output(), b":3\r\n>6");
        assert!(pipeline.is_settled() && pipeline.bytes() == 0);
    }

    #[test]
    fn large_replies_wait_apart() {
        let large = vec![b'x'; APART_BYTES_MIN];
        let mut pipeline = Pipeline::default();
        let one = pipeline.reserve(false);
        let two = pipeline.reserve(false);
        let failed = pipeline.write(Protocol::Resp2, true, |reply| reply.raw(&large));
        assert!(failed.is_none());
        write(&mut pipeline, 4);
        pipeline.fill(two, &large);
        assert_eq!((pipeline.stash.len(), pipeline.bytes()), (4, 2 * large.len() + 4));
        pipeline.fill(one, b":1\r\n");
        for wanted in [b":1\r\n", &large[..], &large, b":4\r\n"] {
            assert!(pipeline.take_output() == wanted);
        }
        assert!(pipeline.is_settled() && pipeline.bytes() == 0);
    }

    #[test]
    #[should_panic(expected = "has a place")]
    fn a_reply_without_a_place_is_our_fault() {
        Pipeline::default().fill(0, b"+OK\r\n");
    }
}
