//! The functions of `string` that match patterns, with a bound on what Lua matches by recursion.
//!
//! Lua 5.1 recurses once for each repeated or optional part of a pattern, as deep as the pattern
//! is long. A match that tries very many ways cannot be interrupted: the hook that looks at the
//! time runs between instructions only.

use crate::globals::replaced;
use crate::limits::PATTERN_PARTS_MAX;
use crate::machine::hurry;
use crate::stack::{Callback, Raise, Stack};

/// The functions, by name.
pub(crate) const REPLACED: &[(&str, Callback)] = &[
    ("find", bounded),
    ("gfind", bounded),
    ("gmatch", bounded),
    ("gsub", bounded),
    ("match", bounded),
    ("rep", repeat),
];

/// f(text, pattern, ...)
fn bounded(stack: &mut Stack) -> Result<i32, Raise> {
    if let Some(pattern) = stack.text(2)
        && pattern.len() > PATTERN_PARTS_MAX
    {
        let parts = pattern.iter().filter(|byte| b"?*+-(".contains(byte)).count();
        if parts > PATTERN_PARTS_MAX {
            return Err(stack.refuse_at(1, &[b"pattern too complex"]));
        }
    }
    let len = stack.text(1).map_or(0, <[u8]>::len);
    hurry(stack, len);
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// string.rep(text, count)
fn repeat(stack: &mut Stack) -> Result<i32, Raise> {
    let (Some(len), Some(count)) = (stack.make_text(1).map(<[u8]>::len), stack.number(2)) else {
        let function = replaced(stack);
        return Ok(stack.go_native(function));
    };
    let count = count as i64 as usize;
    let count = if (count as i64) < 0 { 0 } else { count };
    let heap = &stack.ground().heap;
    let room = heap.max.get().saturating_sub(heap.used.get());
    match len.checked_mul(count) {
        Some(total) if total <= room => {}
        _ => return Err(stack.refuse(&["not enough memory"])),
    }
    stack.ground().scratch.with(|scratch| {
        scratch.clear();
        let text = stack.text(1).unwrap_or_default();
        fill(scratch, text, count);
        stack.push(scratch);
    });
    stack.ground().trim_scratch();
    Ok(1)
}

/// Appends a text so many times, in ever larger pieces.
fn fill(out: &mut Vec<u8>, text: &[u8], count: usize) {
    let total = text.len() * count;
    out.reserve(total);
    if total > 0 {
        out.extend_from_slice(text);
    }
    while out.len() < total {
        let piece = out.len().min(total - out.len());
        out.extend_from_within(..piece);
    }
}
