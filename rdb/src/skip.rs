//! Finds the end of an object without looking into it, from bytes that come piece by piece.

use crate::fault::Fault;
use crate::kind::{DEPTH_MAX, Origin, Part, parts, special_parts};
use crate::read::{Form, SCORE_NAN, length_head, text_head};

/// Where in an object the search stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skip {
    frames: [Frame; DEPTH_MAX],
    depth: usize,
    /// Bytes to pass over before anything else.
    pending: u64,
}

/// Parts that come one after the other, several times.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    parts: &'static [Part],
    next: usize,
    /// Times, this one among them.
    left: u64,
}

impl Skip {
    /// Nothing.
    pub(crate) const NOTHING: Self =
        Self { frames: [Frame { parts: &[], next: 0, left: 0 }; DEPTH_MAX], depth: 0, pending: 0 };

    /// The way over a key and the object behind it.
    #[inline]
    pub(crate) fn record(origin: Origin, kind: u8) -> Result<Self, Fault> {
        let mut skip = Self::NOTHING;
        skip.push(parts(origin, kind)?, 1);
        skip.push(&[Part::Text], 1);
        Ok(skip)
    }

    /// The way over what follows an opcode in a file of this version.
    pub(crate) fn special(version: u32, opcode: u8) -> Result<Self, Fault> {
        let mut skip = Self::NOTHING;
        skip.push(special_parts(version, opcode)?, 1);
        Ok(skip)
    }

    #[inline]
    fn push(&mut self, parts: &'static [Part], left: u64) {
        if left > 0 && !parts.is_empty() {
            debug_assert!(self.depth < DEPTH_MAX, "objects are not deeper");
            self.frames[self.depth] = Frame { parts, next: 0, left };
            self.depth += 1;
        }
    }

    /// Moves `at` on in `bytes` as far as it goes; true if that is the end of the object. No more
    /// than `most` bytes can come from `at` on: what claims more is refused at once.
    #[inline]
    pub(crate) fn go_on(&mut self, bytes: &[u8], at: &mut usize, most: u64) -> Result<bool, Fault> {
        let end = (*at as u64).saturating_add(most);
        loop {
            if self.pending > 0 {
                if self.pending > end.saturating_sub(*at as u64) {
                    return Err(Fault::TooMuch);
                }
                let here = self.pending.min((bytes.len() - *at) as u64);
                *at += here as usize;
                self.pending -= here;
                if self.pending > 0 {
                    return Ok(false);
                }
            }
            let Some(top) = self.depth.checked_sub(1) else { return Ok(true) };
            let frame = &mut self.frames[top];
            let Some(&part) = frame.parts.get(frame.next) else {
                frame.next = 0;
                frame.left -= 1;
                if frame.left == 0 {
                    self.depth = top;
                }
                continue;
            };
            let frame_next = frame.next + 1;
            match self.step(part, &bytes[*at..])? {
                // Values of a module come until their end does.
                Some((len, true)) => *at += len,
                Some((len, false)) => {
                    *at += len;
                    self.frames[top].next = frame_next;
                }
                None if bytes.len() as u64 >= end => return Err(Fault::Cut),
                None => return Ok(false),
            }
        }
    }

    /// Reads the head of a part: how long that is, and whether the same comes again; none if it
    /// is not whole.
    #[inline]
    fn step(&mut self, part: Part, bytes: &[u8]) -> Result<Option<(usize, bool)>, Fault> {
        let len = match part {
            Part::Bytes(len) => {
                self.pending = u64::from(len);
                0
            }
            Part::Text => match text_head(bytes)? {
                Some((Form::Int | Form::Plain | Form::Compressed(_), at, body)) => {
                    self.pending = body;
                    at
                }
                None => return Ok(None),
            },
            Part::Length => match length_head(bytes)? {
                Some((_, at)) => at,
                None => return Ok(None),
            },
            Part::Each(parts) => match length_head(bytes)? {
                Some((count, at)) => {
                    // The frame below moves on by itself.
                    self.push(parts, count);
                    at
                }
                None => return Ok(None),
            },
            Part::Score => match bytes.first() {
                Some(&len) => {
                    self.pending = if len < SCORE_NAN { u64::from(len) } else { 0 };
                    1
                }
                None => return Ok(None),
            },
            Part::Module => return self.step_module(bytes),
        };
        Ok(Some((len, false)))
    }

    /// One value of a module.
    fn step_module(&mut self, bytes: &[u8]) -> Result<Option<(usize, bool)>, Fault> {
        let Some((opcode, at)) = length_head(bytes)? else { return Ok(None) };
        let rest = &bytes[at..];
        let len = match opcode {
            0 => return Ok(Some((at, false))),
            1 | 2 => match length_head(rest)? {
                Some((_, len)) => len,
                None => return Ok(None),
            },
            3 | 4 => {
                self.pending = if opcode == 3 { 4 } else { 8 };
                0
            }
            5 => match text_head(rest)? {
                Some((_, len, body)) => {
                    self.pending = body;
                    len
                }
                None => return Ok(None),
            },
            _ => return Err(Fault::Module),
        };
        Ok(Some((at + len, true)))
    }
}
