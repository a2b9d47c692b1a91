//! Provided buffers: the kernel picks one for each piece that arrives, we give it back.

use crate::limits::{BUFFER_BYTES, BUFFER_COUNT};
use io_uring::{IoUring, types};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one group of buffers of a ring.
pub(super) const GROUP: u16 = 0;

const PAGE: usize = 4096;
const BYTES: usize = BUFFER_BYTES * BUFFER_COUNT as usize;
const RING_BYTES: usize = size_of::<types::BufRingEntry>() * BUFFER_COUNT as usize;

const _: () = assert!(BUFFER_COUNT.is_power_of_two(), "the kernel masks the tail");

/// A piece that arrived: `len` bytes in one provided buffer. There is one `Chunk` a buffer in use,
/// and whoever has it may read the buffer until giving it back.
#[derive(Debug)]
pub struct Chunk {
    pub(super) id: u16,
    pub(super) len: u32,
}

impl Chunk {
    /// How many bytes arrived: at least one.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

#[derive(Debug)]
pub(super) struct Buffers {
    bytes: NonNull<u8>,
    entries: NonNull<types::BufRingEntry>,
    /// Where the next buffer goes; the kernel sees it at `publish`.
    tail: u16,
    published: u16,
}

impl Buffers {
    /// Registers the buffers with `ring`, all of them free.
    pub(super) fn new(ring: &IoUring) -> io::Result<Self> {
        let bytes = zeroed(BYTES);
        let entries = zeroed(RING_BYTES).cast::<types::BufRingEntry>();
        let mut buffers = Self { bytes, entries, tail: 0, published: 0 };
        // SAFETY: the entries are page-aligned, zeroed, of the right size, and live as long as
        // the process (see `Drop` of `Ring`).
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries.as_ptr() as u64,
                BUFFER_COUNT,
                GROUP,
                0,
            )?;
        }
        for id in 0..BUFFER_COUNT {
            buffers.put(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The bytes of `chunk`.
    #[inline]
    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        debug_assert!(chunk.len as usize <= BUFFER_BYTES);
        // SAFETY: the kernel wrote `len` bytes into buffer `id` and will not touch it before it is
        // given back, which takes the one chunk that names it.
        unsafe {
            let start = self.bytes.add(usize::from(chunk.id) * BUFFER_BYTES);
            std::slice::from_raw_parts(start.as_ptr(), chunk.len as usize)
        }
    }

    /// The bytes of `chunk`, to be changed where they lie.
    #[inline]
    pub(super) fn bytes_mut<'a>(&'a mut self, chunk: &'a mut Chunk) -> &'a mut [u8] {
        debug_assert!(chunk.len as usize <= BUFFER_BYTES);
        // SAFETY: as above; the one chunk that names the buffer is borrowed as long as the bytes.
        unsafe {
            let start = self.bytes.add(usize::from(chunk.id) * BUFFER_BYTES);
            std::slice::from_raw_parts_mut(start.as_ptr(), chunk.len as usize)
        }
    }

    /// Frees a chunk's buffer; the kernel may have it from the next `publish` on.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a chunk is given back once")]
    pub(super) fn give_back(&mut self, chunk: Chunk) {
        let Chunk { id, .. } = chunk;
        self.put(id);
    }

    fn put(&mut self, id: u16) {
        let place = usize::from(self.tail & (BUFFER_COUNT - 1));
        // SAFETY: the place is inside the ring; the kernel reads entries only up to the published
        // tail, which is behind this one. Only address, length and id are written: the tail itself
        // overlays a reserved field of the first entry.
        unsafe {
            let entry = self.entries.add(place).as_mut();
            entry.set_addr(self.bytes.add(usize::from(id) * BUFFER_BYTES).as_ptr() as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel the buffers given back so far.
    #[inline]
    pub(super) fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        // SAFETY: the tail is a 16-bit field of the registered ring that the kernel reads with
        // acquire; the entries before it are written.
        unsafe {
            let tail = types::BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
        self.published = self.tail;
    }
}

/// Zeroed pages, touched only as they are used. Never freed: the kernel may still write.
fn zeroed(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, PAGE).expect("a page-aligned constant");
    // SAFETY: the size is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout))
}
