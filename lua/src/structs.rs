//! `struct`: numbers and texts in the layouts of C, by a format (the public documentation of
//! struct for Lua by Roberto Ierusalimschy).
//!
//! ```text
//! > < !n    big-endian, little-endian, alignment to n bytes (a power of 2; 8 where none is given)
//! x         a byte of padding
//! b B h H   integers of 1 and 2 bytes, with and without a sign
//! l L T     of 8 bytes; in, In: of n bytes, 4 where none is given
//! f d       floats of 4 and 8 bytes
//! s         a text that ends with a zero
//! cn        a text of n bytes; c0: one whose length the number before it says
//! ```

use crate::calls;
use crate::stack::{Callback, Kind, Raise, Stack};

const FUNCTIONS: &[(&str, Callback)] = &[("pack", pack), ("size", size), ("unpack", unpack)];

/// Bytes of the largest integer.
const INTEGER_BYTES_MAX: usize = 32;
/// What C aligns to.
const ALIGNMENT: usize = 8;

/// Fills the table on top.
pub(crate) fn fill(stack: &mut Stack) {
    calls::fill(stack, FUNCTIONS);
}

/// A format as it is read. It lies at 1.
struct Format {
    at: usize,
    big_endian: bool,
    alignment: usize,
}

impl Format {
    fn new(stack: &mut Stack) -> Result<Self, Raise> {
        match stack.make_text(1) {
            Some(_) => Ok(Self { at: 0, big_endian: false, alignment: 1 }),
            None => Err(stack.bad_kind(1, "string")),
        }
    }

    /// The next option and its size in bytes.
    fn next(&mut self, stack: &mut Stack) -> Result<Option<(u8, usize)>, Raise> {
        let Some(&option) = stack.text(1).unwrap_or_default().get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(stack, 1)?,
            b'i' | b'I' => {
                let size = self.number(stack, 4)?;
                if size > INTEGER_BYTES_MAX {
                    let size = itoa::Buffer::new().format(size).to_owned();
                    let words =
                        [b"integral size ", size.as_bytes(), b" is larger than limit of 32"];
                    return Err(stack.refuse_at(1, &words));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((option, size)))
    }

    /// The number that stands here, or `default`.
    fn number(&mut self, stack: &mut Stack, default: usize) -> Result<usize, Raise> {
        const MAX: usize = i32::MAX as usize;
        let format = stack.text(1).unwrap_or_default();
        let mut found = None;
        while let Some(digit) = format.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            let value = found.unwrap_or(0) * 10 + usize::from(digit - b'0');
            if value > MAX {
                return Err(stack.refuse_at(1, &[b"integral size overflow"]));
            }
            found = Some(value);
            self.at += 1;
        }
        Ok(found.unwrap_or(default))
    }

    /// Takes an option that is none of a value.
    fn control(&mut self, stack: &mut Stack, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.number(stack, ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    let number = itoa::Buffer::new().format(alignment).to_owned();
                    let words = [b"alignment ", number.as_bytes(), b" is not a power of 2"];
                    return Err(stack.refuse_at(1, &words));
                }
                self.alignment = alignment;
            }
            _ => {
                let text = [b"invalid format option '", &[option][..], b"'"].concat();
                return Err(stack.bad_argument(1, &text));
            }
        }
        Ok(())
    }

    /// Bytes of padding before a value that would begin at `at`.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.alignment);
        (size - (at & (size - 1))) & (size - 1)
    }

    /// Puts the bytes of a value in order, which are little-endian.
    fn order(&self, bytes: &mut [u8]) {
        if self.big_endian {
            bytes.reverse();
        }
    }
}

/// struct.pack(format, value, ...)
fn pack(stack: &mut Stack) -> Result<i32, Raise> {
    let mut format = Format::new(stack)?;
    let ground = stack.ground();
    // For what is missing.
    stack.push_nil();
    let mut argument = 2;
    ground.scratch.with(|out| {
        out.clear();
        while let Some((option, size)) = format.next(stack)? {
            out.resize(out.len() + format.padding(out.len(), option, size), 0);
            match option {
                b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                    let mut bytes = [0; INTEGER_BYTES_MAX];
                    let value = integer(number(stack, argument)?);
                    bytes[..8].copy_from_slice(&value.to_le_bytes());
                    format.order(&mut bytes[..size]);
                    out.extend_from_slice(&bytes[..size]);
                    argument += 1;
                }
                b'x' => out.push(0),
                b'f' => {
                    let mut bytes = (number(stack, argument)? as f32).to_le_bytes();
                    format.order(&mut bytes);
                    out.extend_from_slice(&bytes);
                    argument += 1;
                }
                b'd' => {
                    let mut bytes = number(stack, argument)?.to_le_bytes();
                    format.order(&mut bytes);
                    out.extend_from_slice(&bytes);
                    argument += 1;
                }
                b'c' | b's' => {
                    add_text(stack, out, argument, (option, size))?;
                    argument += 1;
                }
                _ => format.control(stack, option)?,
            }
        }
        stack.push(out);
        Ok(1)
    })
}

fn add_text(
    stack: &mut Stack,
    out: &mut Vec<u8>,
    argument: i32,
    (option, size): (u8, usize),
) -> Result<(), Raise> {
    let Some(text) = stack.make_text(argument) else {
        return Err(stack.bad_kind(argument, "string"));
    };
    let size = if option == b's' || size == 0 { text.len() } else { size };
    let Some(part) = text.get(..size) else {
        return Err(stack.bad_argument(argument + 1, b"string too short"));
    };
    out.extend_from_slice(part);
    if option == b's' {
        out.push(0);
    }
    Ok(())
}

/// An argument that is a number.
fn number(stack: &mut Stack, argument: i32) -> Result<f64, Raise> {
    match stack.number(argument) {
        Some(value) => Ok(value),
        None => Err(stack.bad_kind(argument, "number")),
    }
}

/// The bits of a number as an integer of C; 0 where it is too large.
fn integer(value: f64) -> u64 {
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    if value < 0.0 {
        (value as i64).cast_unsigned()
    } else if value < LIMIT {
        value as u64
    } else {
        0
    }
}

/// struct.unpack(format, text [, position])
fn unpack(stack: &mut Stack) -> Result<i32, Raise> {
    let mut format = Format::new(stack)?;
    if stack.make_text(2).is_none() {
        return Err(stack.bad_kind(2, "string"));
    }
    let mut at = match stack.kind(3) {
        Kind::None | Kind::Nil => 0,
        _ => {
            let position = number(stack, 3)?;
            let position = if position.abs() < 9e18 { position as i64 } else { i64::MIN };
            if position == 0 {
                return Err(stack.bad_argument(3, b"offset must be 1 or greater"));
            }
            position.wrapping_sub(1).cast_unsigned() as usize
        }
    };
    let mut count = 0;
    let ground = stack.ground();
    ground.scratch.with(|data| {
        data.clear();
        data.extend_from_slice(stack.text(2).unwrap_or_default());
        while let Some((option, size)) = format.next(stack)? {
            at = at.saturating_add(format.padding(at, option, size));
            if data.get(at..).is_none_or(|rest| rest.len() < size) {
                return Err(stack.bad_argument(2, b"data string too short"));
            }
            if !stack.reserve(2) {
                return Err(stack.refuse_at(1, &[b"stack overflow (too many results)"]));
            }
            let size = match option {
                b'c' if size == 0 => counted(stack, &mut count, data.len() - at)?,
                b's' => match memchr::memchr(0, &data[at..]) {
                    Some(len) => len,
                    None => return Err(stack.refuse_at(1, &[b"unfinished string in data"])),
                },
                _ => size,
            };
            if push_value(stack, &format, option, &data[at..at + size]) {
                count += 1;
            } else if option != b'x' {
                format.control(stack, option)?;
            }
            at += size + usize::from(option == b's');
        }
        stack.push_number((at + 1) as f64);
        Ok(count + 1)
    })
}

/// Takes the number on top away, which is the length of a text; there are `left` bytes.
fn counted(stack: &mut Stack, count: &mut i32, left: usize) -> Result<usize, Raise> {
    let len = if *count > 0 { stack.number(-1) } else { None };
    let Some(len) = len else {
        return Err(stack.refuse_at(1, &[b"format 'c0' needs a previous size"]));
    };
    if len.is_nan() || len < 0.0 || len > left as f64 {
        return Err(stack.bad_argument(2, b"data string too short"));
    }
    stack.pop(1);
    *count -= 1;
    Ok(len as usize)
}

/// Pushes the value of these bytes; false if the option stands for none.
fn push_value(stack: &mut Stack, format: &Format, option: u8, bytes: &[u8]) -> bool {
    let mut ordered = [0; INTEGER_BYTES_MAX];
    let size = bytes.len();
    match option {
        b'c' | b's' => {
            stack.push(bytes);
            return true;
        }
        b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' | b'f' | b'd' => {
            ordered[..size].copy_from_slice(bytes);
            format.order(&mut ordered[..size]);
        }
        _ => return false,
    }
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = ordered;
    let bits = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    stack.push_number(match option {
        b'f' => f64::from(f32::from_bits(bits as u32)),
        b'd' => f64::from_bits(bits),
        _ if option.is_ascii_uppercase() => bits as f64,
        _ => {
            // The sign is in the highest bit that there is.
            let unused = 64 - 8 * size.clamp(1, 8);
            ((bits << unused).cast_signed() >> unused) as f64
        }
    });
    true
}

/// struct.size(format)
fn size(stack: &mut Stack) -> Result<i32, Raise> {
    let mut format = Format::new(stack)?;
    let mut at = 0_usize;
    while let Some((option, size)) = format.next(stack)? {
        at += format.padding(at, option, size);
        if option == b's' || option == b'c' && size == 0 {
            let name: &[u8] = if option == b's' { b"s" } else { b"c0" };
            let text = [b"option '", name, b"' has no fixed size"].concat();
            return Err(stack.bad_argument(1, &text));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(stack, option)?;
        }
        at += size;
    }
    stack.push_number(at as f64);
    Ok(1)
}
