//! `bit`: operations on 32 bits, in the interface of BitOp (its public documentation).

use crate::calls;
use crate::stack::{Callback, Raise, Stack};

const FUNCTIONS: &[(&str, Callback)] = &[
    ("arshift", |stack| shift(stack, |bits, count| (bits.cast_signed() >> count).cast_unsigned())),
    ("band", |stack| fold(stack, |one, other| one & other)),
    ("bnot", |stack| alone(stack, |bits| !bits)),
    ("bor", |stack| fold(stack, |one, other| one | other)),
    ("bswap", |stack| alone(stack, u32::swap_bytes)),
    ("bxor", |stack| fold(stack, |one, other| one ^ other)),
    ("lshift", |stack| shift(stack, |bits, count| bits << count)),
    ("rol", |stack| shift(stack, u32::rotate_left)),
    ("ror", |stack| shift(stack, u32::rotate_right)),
    ("rshift", |stack| shift(stack, |bits, count| bits >> count)),
    ("tobit", |stack| alone(stack, |bits| bits)),
    ("tohex", to_hex),
];

/// Fills the table on top.
pub(crate) fn fill(stack: &mut Stack) {
    calls::fill(stack, FUNCTIONS);
}

/// An argument as bits: its nearest integer, the even one of two, modulo 2^32.
fn bits(stack: &mut Stack, number: i32) -> Result<u32, Raise> {
    // Where the sum has no room for a fraction, its low bits are those of the integer.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    match stack.number(number) {
        Some(value) => Ok((value + SHIFT).to_bits() as u32),
        None => Err(stack.bad_kind(number, "number")),
    }
}

fn push(stack: &mut Stack, bits: u32) -> i32 {
    stack.push_number(f64::from(bits.cast_signed()));
    1
}

/// f(bits)
fn alone(stack: &mut Stack, change: fn(u32) -> u32) -> Result<i32, Raise> {
    let value = bits(stack, 1)?;
    Ok(push(stack, change(value)))
}

/// f(bits, ...)
fn fold(stack: &mut Stack, join: fn(u32, u32) -> u32) -> Result<i32, Raise> {
    let mut value = bits(stack, 1)?;
    for number in 2..=stack.top() {
        value = join(value, bits(stack, number)?);
    }
    Ok(push(stack, value))
}

/// f(bits, count)
fn shift(stack: &mut Stack, change: fn(u32, u32) -> u32) -> Result<i32, Raise> {
    let value = bits(stack, 1)?;
    let count = bits(stack, 2)? & 31;
    Ok(push(stack, change(value, count)))
}

/// bit.tohex(bits [, digits]): capitals for a negative number of digits.
fn to_hex(stack: &mut Stack) -> Result<i32, Raise> {
    let mut value = bits(stack, 1)?;
    let count = if stack.top() < 2 { 8 } else { bits(stack, 2)?.cast_signed() };
    let digits: &[u8; 16] = if count < 0 { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut text = [0; 8];
    for place in text.iter_mut().rev() {
        *place = digits[value as usize & 15];
        value >>= 4;
    }
    let count = count.unsigned_abs().min(8) as usize;
    stack.push(&text[8 - count..]);
    Ok(1)
}
