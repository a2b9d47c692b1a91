//! Memory for the records of one shard: slabs of equal blocks, in finer steps than an allocator for
//! everything has, counted, and known to be sparse or full.
//!
//! A slab is `SLAB_BYTES` long and lies at a multiple of that, so that a block leads to the head of
//! its slab. Freed blocks of a slab are a list in the blocks themselves. The slabs of a size with
//! room stand in bins by how full they are; a new block comes from the fullest, so that the others
//! empty in time. What lies in a sparse slab can be moved: a record is owned by one word.
//!
//! Longer blocks come from the program's allocator.
//!
//! A heap belongs to a shard as its records do: one core at a time uses both. It lives until the
//! last of its records is gone, whoever goes first.

use crate::limits::{SLAB_BLOCK_BYTES_MAX, SLAB_BYTES, SLABS_SPARE_MAX};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

/// Sizes of blocks: steps of 8 bytes at first, then 8 steps from each power of two to the next.
const CLASSES: usize = class_of(SLAB_BLOCK_BYTES_MAX) + 1;
/// Bins of slabs with room, by quarters of what is used.
const BINS: u8 = 4;
/// In no bin: full, or the one that blocks are taken from.
const NO_BIN: u8 = BINS;
/// Bytes of a slab's head.
const HEAD: usize = 64;

const _: () = assert!(size_of::<Slab>() <= HEAD, "a head has room");
const _: () = assert!(SLAB_BYTES.is_power_of_two(), "a block leads to its slab");
const _: () = assert!(SLAB_BYTES / 8 <= u16::MAX as usize, "16 bits say where a block lies");

/// The class of blocks of so many bytes.
#[inline]
const fn class_of(bytes: usize) -> usize {
    if bytes <= 128 {
        return bytes.div_ceil(8).saturating_sub(1);
    }
    // Eight steps in each doubling: those up to 256 follow the 16 of 8 bytes.
    let doubling = (bytes - 1).ilog2() as usize;
    let step = 1 << (doubling - 3);
    16 + (doubling - 7) * 8 + (bytes - (1 << doubling)).div_ceil(step) - 1
}

/// The bytes of a class's blocks.
#[inline]
const fn bytes_of(class: usize) -> usize {
    if class < 16 {
        return (class + 1) * 8;
    }
    let (doubling, step) = (7 + (class - 16) / 8, (class - 16) % 8 + 1);
    (1 << doubling) + step * (1 << (doubling - 3))
}

/// The bytes that a block of `bytes` takes.
#[inline]
pub(crate) fn taken(bytes: usize) -> usize {
    if bytes <= SLAB_BLOCK_BYTES_MAX { bytes_of(class_of(bytes)) } else { bytes }
}

/// How many blocks a slab of a class has.
#[inline]
fn blocks_of(class: usize) -> u16 {
    const BLOCKS: [u16; CLASSES] = {
        let (mut blocks, mut class) = ([0; CLASSES], 0);
        while class < CLASSES {
            blocks[class] = ((SLAB_BYTES - HEAD) / bytes_of(class)) as u16;
            class += 1;
        }
        blocks
    };
    BLOCKS[class]
}

/// The bin of a slab that is not full.
#[inline]
fn bin_of(used: u16, class: usize) -> u8 {
    let (used, blocks) = (u32::from(used) * u32::from(BINS), u32::from(blocks_of(class)));
    (1..u32::from(BINS)).map(|quarter| u8::from(used >= blocks * quarter)).sum()
}

/// What stands at the head of a slab.
#[repr(C)]
struct Slab {
    heap: NonNull<Inner>,
    next: *mut Slab,
    last: *mut Slab,
    /// The first freed block, in units of 8 bytes from the head; 0 if there is none.
    free: u16,
    /// The first block that was never used, in the same units.
    fresh: u16,
    used: u16,
    class: u8,
    bin: u8,
}

/// Slabs of one size.
#[derive(Clone, Copy)]
struct Class {
    /// Blocks are taken from this one; none if it is full.
    current: *mut Slab,
    bins: [*mut Slab; BINS as usize],
    slabs: usize,
    used: usize,
}

struct Inner {
    /// Handles, and slabs with blocks in use: it is freed with the last of both.
    handles: usize,
    slabs: usize,
    classes: [Class; CLASSES],
    spare: Vec<NonNull<Slab>>,
    /// Bytes of slabs, spare ones among them, and of blocks in use.
    slab_bytes: usize,
    used_bytes: usize,
}

/// The memory that one shard's records lie in.
pub(crate) struct Heap(NonNull<Inner>);

// SAFETY: a heap and all records in it belong to one shard, which is used by one core at a time and
// handed over with acquire and release; nothing of it is reachable from elsewhere.
unsafe impl Send for Heap {}

impl Default for Heap {
    fn default() -> Self {
        let class =
            Class { current: null_mut(), bins: [null_mut(); BINS as usize], slabs: 0, used: 0 };
        let inner = Inner {
            handles: 1,
            slabs: 0,
            classes: [class; CLASSES],
            spare: Vec::new(),
            slab_bytes: 0,
            used_bytes: 0,
        };
        Self(NonNull::from(Box::leak(Box::new(inner))))
    }
}

impl Clone for Heap {
    fn clone(&self) -> Self {
        // SAFETY: the heap lives as long as a handle does; nobody else uses it now.
        unsafe { (*self.0.as_ptr()).handles += 1 };
        Self(self.0)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: as in `clone`; without handles nobody takes blocks, so that no slab is current.
        unsafe {
            let inner = self.0.as_ptr();
            (*inner).handles -= 1;
            if (*inner).handles > 0 {
                return;
            }
            // Held until all are settled, so that none of them is the last.
            (*inner).slabs += 1;
            for class in 0..CLASSES {
                let slab = std::mem::replace(&mut (*inner).classes[class].current, null_mut());
                if !slab.is_null() {
                    settle(inner, slab, class);
                }
            }
            (*inner).slabs -= 1;
            end(inner);
        }
    }
}

/// Frees a heap that nobody owns any more.
///
/// # Safety
/// It must be alive.
unsafe fn end(inner: *mut Inner) {
    // SAFETY: the caller's promise; spare slabs hold no blocks, and nobody else knows them.
    unsafe {
        if (*inner).handles > 0 || (*inner).slabs > 0 {
            return;
        }
        for slab in std::mem::take(&mut (*inner).spare) {
            dealloc(slab.as_ptr().cast(), SLAB_LAYOUT);
        }
        drop(Box::from_raw(inner));
    }
}

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heap").field("used_bytes", &self.used_bytes()).finish_non_exhaustive()
    }
}

const SLAB_LAYOUT: Layout = match Layout::from_size_align(SLAB_BYTES, SLAB_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a slab's size is a power of two"),
};

fn long_layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).expect("a block is shorter than the address space")
}

impl Heap {
    /// Bytes of the blocks in use that lie in slabs.
    pub(crate) fn used_bytes(&self) -> usize {
        // SAFETY: the heap lives as long as a handle, and nobody changes it meanwhile.
        unsafe { (*self.0.as_ptr()).used_bytes }
    }

    /// Bytes of the slabs that no block uses.
    pub(crate) fn idle_bytes(&self) -> usize {
        // SAFETY: as in `used_bytes`.
        unsafe { (*self.0.as_ptr()).slab_bytes - (*self.0.as_ptr()).used_bytes }
    }

    /// A block of `bytes`, aligned to 8. It must be given to `release`, with the same `bytes`.
    #[inline]
    pub(crate) fn allocate(&self, bytes: usize) -> *mut u8 {
        if bytes > SLAB_BLOCK_BYTES_MAX {
            // SAFETY: the layout is not empty.
            let block = unsafe { alloc(long_layout(bytes)) };
            if block.is_null() {
                handle_alloc_error(long_layout(bytes));
            }
            return block;
        }
        let class = class_of(bytes);
        // SAFETY: the heap lives as long as a handle, and this is its only use now. A current slab
        // has room: its list of freed blocks leads to blocks of it that nobody uses, and fresh ones
        // lie before its end.
        unsafe {
            let inner = &mut *self.0.as_ptr();
            if inner.classes[class].current.is_null() {
                self.find_slab(class);
            }
            let slab = inner.classes[class].current;
            let base = slab.cast::<u8>();
            let block = if (*slab).free == 0 {
                let block = base.add(usize::from((*slab).fresh) * 8);
                (*slab).fresh += (bytes_of(class) / 8) as u16;
                block
            } else {
                let block = base.add(usize::from((*slab).free) * 8);
                (*slab).free = block.cast::<u16>().read();
                block
            };
            (*slab).used += 1;
            inner.used_bytes += bytes_of(class);
            inner.classes[class].used += 1;
            if (*slab).used == blocks_of(class) {
                inner.classes[class].current = null_mut();
            }
            block
        }
    }

    /// Finds a slab with room to take blocks from: the fullest there is, else a new one.
    #[cold]
    unsafe fn find_slab(&self, class: usize) {
        // SAFETY: the caller's promise, that nobody uses the heap; slabs in bins are alive.
        unsafe {
            let inner = &mut *self.0.as_ptr();
            let found = inner.classes[class].bins.iter().rev().find(|slab| !slab.is_null());
            let slab = match found {
                Some(&slab) => {
                    unlink(inner, slab);
                    slab
                }
                None => self.new_slab(class),
            };
            inner.classes[class].current = slab;
        }
    }

    unsafe fn new_slab(&self, class: usize) -> *mut Slab {
        // SAFETY: the caller's promise, as before; what is allocated is as long as a slab.
        unsafe {
            let inner = &mut *self.0.as_ptr();
            let slab = match inner.spare.pop() {
                Some(slab) => slab.as_ptr(),
                None => {
                    let slab = alloc(SLAB_LAYOUT);
                    if slab.is_null() {
                        handle_alloc_error(SLAB_LAYOUT);
                    }
                    inner.slab_bytes += SLAB_BYTES;
                    slab.cast::<Slab>()
                }
            };
            inner.classes[class].slabs += 1;
            inner.slabs += 1;
            slab.write(Slab {
                heap: self.0,
                next: null_mut(),
                last: null_mut(),
                free: 0,
                fresh: (HEAD / 8) as u16,
                used: 0,
                class: class as u8,
                bin: NO_BIN,
            });
            slab
        }
    }

    /// True if a block lies in a slab that is sparser than others of its size, so that moving what
    /// is in it frees memory in the end.
    ///
    /// # Safety
    /// `block` must be one of this heap, of `bytes`.
    pub(crate) unsafe fn is_sparse(&self, block: *const u8, bytes: usize) -> bool {
        if bytes > SLAB_BLOCK_BYTES_MAX {
            return false;
        }
        // SAFETY: the caller's promise; the slab of a block is alive.
        unsafe {
            let slab = slab_of(block.cast_mut());
            let class = &(*self.0.as_ptr()).classes[usize::from((*slab).class)];
            let room = class.slabs * usize::from(blocks_of(usize::from((*slab).class)));
            // Worth it only while the class could do with one slab less, and some.
            let spare = room - class.used > 2 * room / class.slabs + room / 16;
            let mean = class.used / class.slabs;
            // Of slabs that are about equally full, some must go first.
            let sparse = usize::from((*slab).used) <= mean + mean / 8 + 1;
            spare && sparse && class.current != slab
        }
    }
}

/// The slab of a block.
///
/// # Safety
/// The block must lie in a slab.
#[inline]
unsafe fn slab_of(block: *mut u8) -> *mut Slab {
    block.map_addr(|address| address & !(SLAB_BYTES - 1)).cast()
}

/// Gives a block back.
///
/// # Safety
/// It must have come from `Heap::allocate` with the same `bytes`, and not be used again.
#[inline]
pub(crate) unsafe fn release(block: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise: the block's slab and its heap are alive, and the core that
    // frees a record is the one that uses the shard, and so the heap.
    unsafe {
        if bytes > SLAB_BLOCK_BYTES_MAX {
            return dealloc(block, long_layout(bytes));
        }
        let slab = slab_of(block);
        let inner = (*slab).heap.as_ptr();
        let class = usize::from((*slab).class);
        debug_assert_eq!(class, class_of(bytes), "a block goes as it came");
        block.cast::<u16>().write((*slab).free);
        (*slab).free = (block.addr() - slab.addr()) as u16 / 8;
        (*slab).used -= 1;
        (*inner).used_bytes -= bytes_of(class);
        (*inner).classes[class].used -= 1;
        if (*inner).classes[class].current != slab {
            settle(inner, slab, class);
        }
    }
}

/// Puts a slab into the bin where it belongs, or frees it if nothing is left in it.
///
/// # Safety
/// The slab must be alive, of this heap and class, and not the current one.
unsafe fn settle(inner: *mut Inner, slab: *mut Slab, class: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let used = (*slab).used;
        let is_full = used == blocks_of(class);
        let bin = if is_full { NO_BIN } else { bin_of(used, class) };
        if used > 0 && bin == (*slab).bin {
            return;
        }
        if (*slab).bin != NO_BIN {
            unlink(&mut *inner, slab);
        }
        if used > 0 {
            if !is_full {
                link(&mut *inner, slab, bin);
            }
            return;
        }
        (*inner).classes[class].slabs -= 1;
        (*inner).slabs -= 1;
        if (*inner).spare.len() < SLABS_SPARE_MAX {
            (*inner).spare.push(NonNull::new_unchecked(slab));
        } else {
            dealloc(slab.cast(), SLAB_LAYOUT);
            (*inner).slab_bytes -= SLAB_BYTES;
        }
        end(inner);
    }
}

/// Puts a slab into a bin.
///
/// # Safety
/// It must be alive, of this heap, and in no bin.
unsafe fn link(inner: &mut Inner, slab: *mut Slab, bin: u8) {
    // SAFETY: the caller's promise; the first of a bin is alive.
    unsafe {
        let first = &mut inner.classes[usize::from((*slab).class)].bins[usize::from(bin)];
        (*slab).bin = bin;
        (*slab).last = null_mut();
        (*slab).next = *first;
        if let Some(next) = NonNull::new(*first) {
            (*next.as_ptr()).last = slab;
        }
        *first = slab;
    }
}

/// Takes a slab out of its bin.
///
/// # Safety
/// It must be alive and in a bin of this heap.
unsafe fn unlink(inner: &mut Inner, slab: *mut Slab) {
    // SAFETY: the caller's promise; neighbours in a bin are alive.
    unsafe {
        let (next, last) = ((*slab).next, (*slab).last);
        if let Some(next) = NonNull::new(next) {
            (*next.as_ptr()).last = last;
        }
        match NonNull::new(last) {
            Some(last) => (*last.as_ptr()).next = next,
            None => {
                let class = &mut inner.classes[usize::from((*slab).class)];
                class.bins[usize::from((*slab).bin)] = next;
            }
        }
        (*slab).bin = NO_BIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_fine_steps() {
        let mut last = 0;
        for bytes in 1..=SLAB_BLOCK_BYTES_MAX {
            let taken = taken(bytes);
            assert!(taken >= bytes && taken >= last, "{bytes}: {taken}");
            let step = if bytes <= 128 { 8 } else { bytes.div_ceil(8) };
            assert!(taken - bytes < step.max(8), "{bytes}: {taken}");
            assert_eq!(taken % 8, 0);
            last = taken;
        }
        assert_eq!((taken(56), taken(57), taken(129), taken(257)), (56, 64, 144, 288));
        assert_eq!(bytes_of(CLASSES - 1), SLAB_BLOCK_BYTES_MAX);
    }

    #[test]
    fn blocks_keep_what_is_in_them_and_slabs_go() {
        for seed in 1..5_u64 {
            println!("seed {seed}");
            let mut state = seed;
            let mut random = |bound: u64| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % bound
            };
            let heap = Heap::default();
            let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
            for step in 0..40_000 {
                let grows = if step < 20_000 { 7 } else { 3 };
                if random(10) < grows {
                    let most = [64, 300, 2000][random(3) as usize];
                    let bytes = 1 + random(most) as usize;
                    let (block, fill) = (heap.allocate(bytes), random(256) as u8);
                    assert_eq!(block.addr() % 8, 0);
                    // SAFETY: the block is so long.
                    unsafe { block.write_bytes(fill, bytes) };
                    blocks.push((block, bytes, fill));
                } else if !blocks.is_empty() {
                    let (block, bytes, fill) =
                        blocks.swap_remove(random(blocks.len() as u64) as usize);
                    // SAFETY: the block is so long, and freed once.
                    unsafe {
                        let found = std::slice::from_raw_parts(block, bytes);
                        assert!(found.iter().all(|&byte| byte == fill));
                        release(block, bytes);
                    }
                }
            }
            let short = blocks.iter().filter(|block| block.1 <= SLAB_BLOCK_BYTES_MAX);
            assert_eq!(heap.used_bytes(), short.map(|block| taken(block.1)).sum::<usize>());
            // Records outlive the handle.
            drop(heap);
            for (block, bytes, _) in blocks {
                // SAFETY: freed once.
                unsafe { release(block, bytes) };
            }
        }
    }

    #[test]
    fn what_is_moved_from_sparse_slabs_frees_them() {
        let heap = Heap::default();
        let mut blocks: Vec<_> = (0..20_000).map(|_| heap.allocate(56)).collect();
        for (index, block) in blocks.iter().enumerate().filter(|(index, _)| index % 4 != 0) {
            assert_ne!(index % 4, 0);
            // SAFETY: freed once.
            unsafe { release(*block, 56) };
        }
        blocks = blocks.into_iter().step_by(4).collect();
        for block in &mut blocks {
            // SAFETY: the block is in use, and moves.
            unsafe {
                if heap.is_sparse(*block, 56) {
                    let moved = heap.allocate(56);
                    release(*block, 56);
                    *block = moved;
                }
            }
        }
        assert!(heap.idle_bytes() <= (SLABS_SPARE_MAX + 3) * SLAB_BYTES);
        assert_eq!(heap.used_bytes(), blocks.len() * 56);
        for block in blocks {
            // SAFETY: freed once.
            unsafe { release(block, 56) };
        }
        assert!(heap.idle_bytes() <= (SLABS_SPARE_MAX + 1) * SLAB_BYTES);
    }
}
