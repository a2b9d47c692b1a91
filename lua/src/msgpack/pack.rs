//! Writes values as MessagePack.

use crate::limits::{PACK_DEPTH_MAX, TEXT_BYTES_MAX};
use crate::machine::hurry;
use crate::protect::push_real;
use crate::stack::{Kind, Raise, Stack};

/// cmsgpack.pack(value, ...)
pub(super) fn pack(stack: &mut Stack) -> Result<i32, Raise> {
    let count = stack.top();
    if count == 0 {
        return Err(stack.bad_argument(0, b"MessagePack pack needs input."));
    }
    if !stack.reserve(count + 2) {
        return Err(stack.bad_argument(0, b"Too many arguments for MessagePack pack."));
    }
    let ground = stack.ground();
    ground.scratch.with(|out| {
        out.clear();
        for index in 1..=count {
            stack.push_value(index);
            add(stack, out, 0)?;
        }
        stack.push(out);
        Ok(())
    })?;
    hurry(stack, ground.scratch.with(|text| text.len()));
    ground.trim_scratch();
    Ok(1)
}

/// Takes the value on top away and appends it.
fn add(stack: &mut Stack, out: &mut Vec<u8>, depth: usize) -> Result<(), Raise> {
    if out.len() > TEXT_BYTES_MAX {
        return Err(stack.refuse(&["not enough memory"]));
    }
    match stack.kind(-1) {
        Kind::Text => add_text(out, stack.text(-1).unwrap_or_default()),
        Kind::Bool => out.push(if stack.bool(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => add_number(out, stack.number(-1).unwrap_or_default()),
        Kind::Table if depth < PACK_DEPTH_MAX => return add_table(stack, out, depth),
        _ => out.push(0xc0),
    }
    stack.pop(1);
    Ok(())
}

fn add_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ ..256 => out.extend_from_slice(&[0xd9, len as u8]),
        len => add_length(out, len, 0xda),
    }
    out.extend_from_slice(text);
}

/// A length of 2 bytes after `mark`, or of 4 after the mark that follows it.
fn add_length(out: &mut Vec<u8>, len: usize, mark: u8) {
    if let Ok(len) = u16::try_from(len) {
        out.push(mark);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(mark + 1);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

/// A number: an integer if it is one, else the shorter float that is the same.
fn add_number(out: &mut Vec<u8>, value: f64) {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
        return add_integer(out, value as i64);
    }
    let short = value as f32;
    if f64::from(short) == value {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn add_integer(out: &mut Vec<u8>, value: i64) {
    let bytes = value.to_be_bytes();
    let (mark, len) = match value {
        -32..=127 => {
            out.push(value as u8);
            return;
        }
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..-32 => (0xd0, 1),
        -0x8000..-0x80 => (0xd1, 2),
        -0x8000_0000..-0x8000 => (0xd2, 4),
        ..-0x8000_0000 => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(&bytes[8 - len..]);
}

/// Takes the table on top away: an array if its keys are the numbers from 1 on, else a map.
fn add_table(stack: &mut Stack, out: &mut Vec<u8>, depth: usize) -> Result<(), Raise> {
    if push_real(stack, -1) {
        stack.remove(-2);
    }
    let (mut count, mut largest, mut is_array) = (0_usize, 0.0_f64, true);
    if !stack.reserve(8) {
        return Err(stack.refuse(&["stack overflow"]));
    }
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        count += 1;
        let key = if stack.kind(-1) == Kind::Number { stack.number(-1) } else { None };
        match key {
            Some(key) if key > 0.0 && key.fract() == 0.0 => largest = largest.max(key),
            _ => is_array = false,
        }
    }
    if is_array && largest == count as f64 {
        if count < 16 {
            out.push(0x90 | count as u8);
        } else {
            add_length(out, count, 0xdc);
        }
        for index in 1..=count {
            stack.raw_get_at(-1, index as i32);
            add(stack, out, depth + 1)?;
        }
    } else {
        if count < 16 {
            out.push(0x80 | count as u8);
        } else {
            add_length(out, count, 0xde);
        }
        stack.push_nil();
        while stack.next(-2) {
            stack.push_value(-2);
            add(stack, out, depth + 1)?;
            add(stack, out, depth + 1)?;
        }
    }
    stack.pop(1);
    Ok(())
}
