//! Makes values of MessagePack.

use crate::machine::hurry;
use crate::stack::{Kind, Raise, Stack};

/// cmsgpack.unpack(text): all values there are.
pub(super) fn unpack(stack: &mut Stack) -> Result<i32, Raise> {
    unpack_some(stack, 0, 0)
}

/// cmsgpack.unpack_one(text [, offset]): the offset after it, -1 at the end, and the value.
pub(super) fn unpack_one(stack: &mut Stack) -> Result<i32, Raise> {
    let offset = integer(stack, 2, Some(0))?;
    unpack_some(stack, 1, offset)
}

/// cmsgpack.unpack_limit(text, count [, offset]): the offset, and up to so many values.
pub(super) fn unpack_limit(stack: &mut Stack) -> Result<i32, Raise> {
    let limit = integer(stack, 2, None)?;
    let offset = integer(stack, 3, Some(0))?;
    unpack_some(stack, limit, offset)
}

/// An argument that is an integer.
fn integer(stack: &mut Stack, argument: i32, default: Option<i64>) -> Result<i64, Raise> {
    match (stack.kind(argument), default) {
        (Kind::None | Kind::Nil, Some(default)) => Ok(default),
        _ => match stack.number(argument) {
            Some(value) => Ok(i64::from(value as i64 as i32)),
            None => Err(stack.bad_kind(argument, "number")),
        },
    }
}

/// Unpacks up to `limit` values from `offset` on; all without the offset where both are 0.
fn unpack_some(stack: &mut Stack, limit: i64, offset: i64) -> Result<i32, Raise> {
    let Some(text) = stack.make_text(1) else { return Err(stack.bad_kind(1, "string")) };
    let len = text.len();
    let number = |value: i64| itoa::Buffer::new().format(value).to_owned();
    if offset < 0 || limit < 0 {
        return Err(stack.refuse_at(
            1,
            &[
                b"Invalid request to unpack with offset of ",
                number(offset).as_bytes(),
                b" and limit of ",
                number(len as i64).as_bytes(),
                b".",
            ],
        ));
    }
    if offset > len as i64 {
        return Err(stack.refuse_at(
            1,
            &[
                b"Start offset ",
                number(offset).as_bytes(),
                b" greater than input length ",
                number(len as i64).as_bytes(),
                b".",
            ],
        ));
    }
    let takes_all = limit == 0 && offset == 0;
    let limit = if limit == 0 { i64::MAX } else { limit };
    let ground = stack.ground();
    let count = ground.scratch.with(|data| {
        data.clear();
        data.extend_from_slice(stack.text(1).unwrap_or_default());
        stack.set_top(1);
        push_values(stack, Reader { data, at: offset as usize }, limit, !takes_all)
    })?;
    hurry(stack, ground.scratch.with(|text| text.len()));
    ground.trim_scratch();
    Ok(count)
}

/// Pushes up to `limit` values, after the offset that follows them if that `is_wanted`.
fn push_values(
    stack: &mut Stack,
    mut reader: Reader<'_>,
    limit: i64,
    is_wanted: bool,
) -> Result<i32, Raise> {
    const FULL: &[u8] = b"stack overflow (too many return values at once; use unpack_one or \
        unpack_limit instead.)";
    let mut count = 0;
    while reader.at < reader.data.len() && i64::from(count) < limit {
        // Of this one, and of the offset.
        if !stack.reserve(2) {
            return Err(stack.refuse_at(1, &[FULL]));
        }
        if let Err(fault) = reader.push(stack) {
            return Err(match fault {
                Fault::Missing => stack.refuse_at(1, &[b"Missing bytes in input."]),
                Fault::Unknown => stack.refuse_at(1, &[b"Bad data format in input."]),
                Fault::Deep => {
                    stack.set_top(1);
                    stack.refuse_at(1, &[b"stack overflow (in function mp_decode_to_lua_array)"])
                }
            });
        }
        count += 1;
    }
    if is_wanted {
        let is_end = reader.at >= reader.data.len();
        stack.push_number(if is_end { -1.0 } else { reader.at as f64 });
        stack.insert(2);
        count += 1;
    }
    Ok(count)
}

/// Why there is no value.
enum Fault {
    Missing,
    Unknown,
    Deep,
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let taken = self.data[self.at..].get(..len).ok_or(Fault::Missing)?;
        self.at += len;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, len: usize) -> Result<u64, Fault> {
        let taken = self.take(len)?;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// One with a sign.
    fn signed(&mut self, len: usize) -> Result<f64, Fault> {
        let unused = 64 - 8 * len;
        Ok(((self.number(len)? << unused).cast_signed() >> unused) as f64)
    }

    /// Pushes the next value.
    fn push(&mut self, stack: &mut Stack) -> Result<(), Fault> {
        let mark = self.take(1)?[0];
        match mark {
            0..=0x7f => stack.push_number(f64::from(mark)),
            0xe0.. => stack.push_number(f64::from(mark.cast_signed())),
            0x80..=0x8f => return self.push_map(stack, usize::from(mark & 15)),
            0x90..=0x9f => return self.push_array(stack, usize::from(mark & 15)),
            0xa0..=0xbf => stack.push(self.take(usize::from(mark & 31))?),
            0xc0 => stack.push_nil(),
            0xc2 => stack.push_bool(false),
            0xc3 => stack.push_bool(true),
            0xca => stack.push_number(f64::from(f32::from_bits(self.number(4)? as u32))),
            0xcb => stack.push_number(f64::from_bits(self.number(8)?)),
            0xcc..=0xce => {
                let number = self.number(1 << (mark - 0xcc))?;
                stack.push_number(number as f64);
            }
            // As it is kept: with a sign.
            0xcf => stack.push_number(self.signed(8)?),
            0xd0..=0xd3 => stack.push_number(self.signed(1 << (mark - 0xd0))?),
            0xd9..=0xdb => {
                let len = self.number(1 << (mark - 0xd9))? as usize;
                stack.push(self.take(len)?);
            }
            0xdc | 0xdd => {
                let count = self.number(2 << (mark - 0xdc))? as usize;
                return self.push_array(stack, count);
            }
            0xde | 0xdf => {
                let count = self.number(2 << (mark - 0xde))? as usize;
                return self.push_map(stack, count);
            }
            _ => return Err(Fault::Unknown),
        }
        Ok(())
    }

    fn push_array(&mut self, stack: &mut Stack, count: usize) -> Result<(), Fault> {
        if !stack.reserve(4) {
            return Err(Fault::Deep);
        }
        stack.push_table(count.min(self.data.len() - self.at), 0);
        for index in 1..=count {
            self.push(stack)?;
            stack.raw_set_at(-2, index as i32);
        }
        Ok(())
    }

    fn push_map(&mut self, stack: &mut Stack, count: usize) -> Result<(), Fault> {
        if !stack.reserve(4) {
            return Err(Fault::Deep);
        }
        stack.push_table(0, count.min(self.data.len() - self.at) / 2);
        for _ in 0..count {
            self.push(stack)?;
            self.push(stack)?;
            // A key that no table can have is an error of Lua.
            stack.raw_set(-3);
        }
        Ok(())
    }
}
