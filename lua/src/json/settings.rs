//! What a script sets about JSON.

use crate::limits::JSON_DEPTH;
use crate::stack::{Kind, Raise, Stack};

/// What becomes of numbers that JSON has no text for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Invalid {
    Refused,
    Written,
    Null,
}

/// The settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(super) encode_depth: i32,
    pub(super) decode_depth: i32,
    /// Digits of a number.
    pub(super) precision: i32,
    /// An array with more holes than this is an object, or else an error.
    pub(super) sparse_is_object: bool,
    /// How many times its items an array may be long, and how long it may always be.
    pub(super) sparse_ratio: i32,
    pub(super) sparse_safe: i32,
    pub(super) encode_invalid: Invalid,
    pub(super) decode_invalid: bool,
    keep_buffer: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            encode_depth: JSON_DEPTH as i32,
            decode_depth: JSON_DEPTH as i32,
            precision: 14,
            sparse_is_object: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_invalid: Invalid::Refused,
            decode_invalid: true,
            keep_buffer: true,
        }
    }
}

/// Has so many arguments, of which those that are missing are nil.
fn arguments(stack: &mut Stack, count: i32) -> Result<(), Raise> {
    if stack.top() > count {
        return Err(stack.bad_argument(count + 1, b"found too many arguments"));
    }
    stack.set_top(count);
    Ok(())
}

/// Sets an integer if one is given, and pushes what it is.
fn integer(
    stack: &mut Stack,
    argument: i32,
    place: &mut i32,
    range: std::ops::RangeInclusive<i32>,
) -> Result<(), Raise> {
    if stack.kind(argument) != Kind::Nil {
        let Some(value) = stack.number(argument) else {
            return Err(stack.bad_kind(argument, "number"));
        };
        let value = value as i64 as i32;
        if !range.contains(&value) {
            let text = format!("expected integer between {} and {}", range.start(), range.end());
            return Err(stack.bad_argument(1, text.as_bytes()));
        }
        *place = value;
    }
    stack.push_number(f64::from(*place));
    Ok(())
}

/// Sets a choice if one is given, by its place among `names`; truth values are the first two.
fn choice(
    stack: &mut Stack,
    argument: i32,
    place: &mut usize,
    names: &[&str],
) -> Result<(), Raise> {
    match stack.kind(argument) {
        Kind::Nil => {}
        Kind::Bool => *place = usize::from(stack.bool(argument)),
        _ => {
            let Some(text) = stack.make_text(argument) else {
                return Err(stack.bad_kind(argument, "string"));
            };
            match names.iter().position(|name| name.as_bytes() == text) {
                Some(found) => *place = found,
                None => {
                    let text = [b"invalid option '", text, b"'"].concat();
                    return Err(stack.bad_argument(argument, &text));
                }
            }
        }
    }
    match *place {
        number @ (0 | 1) => stack.push_bool(number == 1),
        number => stack.push(names[number].as_bytes()),
    }
    Ok(())
}

/// Changes one truth value.
fn switch(stack: &mut Stack, place: fn(&mut Settings) -> &mut bool) -> Result<i32, Raise> {
    let mut settings = stack.ground().json.get();
    arguments(stack, 1)?;
    let mut chosen = usize::from(*place(&mut settings));
    choice(stack, 1, &mut chosen, &["off", "on"])?;
    *place(&mut settings) = chosen == 1;
    stack.ground().json.set(settings);
    Ok(1)
}

/// Changes one integer.
fn amount(stack: &mut Stack, place: fn(&mut Settings) -> &mut i32, max: i32) -> Result<i32, Raise> {
    let mut settings = stack.ground().json.get();
    arguments(stack, 1)?;
    integer(stack, 1, place(&mut settings), 1..=max)?;
    stack.ground().json.set(settings);
    Ok(1)
}

/// cjson.encode_max_depth([depth])
pub(super) fn encode_max_depth(stack: &mut Stack) -> Result<i32, Raise> {
    amount(stack, |settings| &mut settings.encode_depth, i32::MAX)
}

/// cjson.decode_max_depth([depth])
pub(super) fn decode_max_depth(stack: &mut Stack) -> Result<i32, Raise> {
    amount(stack, |settings| &mut settings.decode_depth, i32::MAX)
}

/// cjson.encode_number_precision([digits])
pub(super) fn encode_number_precision(stack: &mut Stack) -> Result<i32, Raise> {
    amount(stack, |settings| &mut settings.precision, 14)
}

/// cjson.encode_keep_buffer([keep]): kept is what is worth it.
pub(super) fn encode_keep_buffer(stack: &mut Stack) -> Result<i32, Raise> {
    switch(stack, |settings| &mut settings.keep_buffer)
}

/// cjson.decode_invalid_numbers([accept])
pub(super) fn decode_invalid_numbers(stack: &mut Stack) -> Result<i32, Raise> {
    switch(stack, |settings| &mut settings.decode_invalid)
}

/// cjson.encode_invalid_numbers([accept or "null"])
pub(super) fn encode_invalid_numbers(stack: &mut Stack) -> Result<i32, Raise> {
    const KINDS: [Invalid; 3] = [Invalid::Refused, Invalid::Written, Invalid::Null];
    let mut settings = stack.ground().json.get();
    arguments(stack, 1)?;
    let mut chosen = settings.encode_invalid as usize;
    choice(stack, 1, &mut chosen, &["off", "on", "null"])?;
    settings.encode_invalid = KINDS[chosen];
    stack.ground().json.set(settings);
    Ok(1)
}

/// cjson.encode_sparse_array([convert [, ratio [, safe]]])
pub(super) fn encode_sparse_array(stack: &mut Stack) -> Result<i32, Raise> {
    let mut settings = stack.ground().json.get();
    arguments(stack, 3)?;
    let mut chosen = usize::from(settings.sparse_is_object);
    choice(stack, 1, &mut chosen, &["off", "on"])?;
    settings.sparse_is_object = chosen == 1;
    integer(stack, 2, &mut settings.sparse_ratio, 0..=i32::MAX)?;
    integer(stack, 3, &mut settings.sparse_safe, 0..=i32::MAX)?;
    stack.ground().json.set(settings);
    Ok(3)
}
