//! How much memory a run of bytes asks for as it grows, and when it gives some back.

/// Bytes to ask for where `len` are needed: what the allocator would hand out anyway, in steps of
/// 16 at first and then in four steps from each power of two to the next.
#[inline]
pub(super) fn size_class(len: usize) -> usize {
    let step = if len <= 128 { 16 } else { len.next_power_of_two() / 8 };
    len.next_multiple_of(step)
}

/// Makes room for `more` bytes at the end.
#[inline]
pub(super) fn reserve(bytes: &mut Vec<u8>, more: usize) {
    let need = bytes.len() + more;
    if need > bytes.capacity() {
        bytes.reserve_exact(size_class(need) - bytes.len());
    }
}

/// Gives memory back where more than half of it is unused.
#[inline]
pub(super) fn shrink(bytes: &mut Vec<u8>) {
    if bytes.len() < bytes.capacity() / 2 {
        bytes.shrink_to(size_class(bytes.len()));
    }
}
