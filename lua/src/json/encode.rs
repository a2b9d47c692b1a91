//! Writes values as JSON.

use super::number;
use super::settings::{Invalid, Settings};
use crate::limits::{JSON_DEPTH_MAX, TEXT_BYTES_MAX};
use crate::machine::hurry;
use crate::protect::push_real;
use crate::stack::{Kind, Raise, Stack};

/// cjson.encode(value)
pub(super) fn encode(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 {
        return Err(stack.bad_argument(1, b"expected 1 argument"));
    }
    let ground = stack.ground();
    let settings = ground.json.get();
    ground.scratch.with(|out| {
        out.clear();
        stack.push_value(1);
        Writer { settings, depth: 0, out }.add(stack)?;
        stack.push(out);
        Ok(())
    })?;
    hurry(stack, ground.scratch.with(|text| text.len()));
    ground.trim_scratch();
    Ok(1)
}

struct Writer<'a> {
    settings: Settings,
    depth: i32,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Takes the value on top away and appends it.
    fn add(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if self.out.len() > TEXT_BYTES_MAX {
            return Err(stack.refuse(&["not enough memory"]));
        }
        match stack.kind(-1) {
            Kind::Text => self.text(stack.text(-1).unwrap_or_default()),
            Kind::Number => self.number(stack)?,
            Kind::Bool if stack.bool(-1) => self.out.extend_from_slice(b"true"),
            Kind::Bool => self.out.extend_from_slice(b"false"),
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::Light if stack.is_null(-1) => self.out.extend_from_slice(b"null"),
            Kind::Table => return self.table(stack),
            kind => return Err(refuse(stack, kind, b"type not supported")),
        }
        stack.pop(1);
        Ok(())
    }

    fn number(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let value = stack.number(-1).unwrap_or_default();
        if value.is_finite() {
            number::write(self.out, value, self.settings.precision as usize);
            return Ok(());
        }
        match self.settings.encode_invalid {
            Invalid::Refused => {
                return Err(refuse(stack, Kind::Number, b"must not be NaN or Inf"));
            }
            Invalid::Null => self.out.extend_from_slice(b"null"),
            Invalid::Written if value.is_nan() => self.out.extend_from_slice(b"nan"),
            Invalid::Written if value > 0.0 => self.out.extend_from_slice(b"inf"),
            Invalid::Written => self.out.extend_from_slice(b"-inf"),
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        let mut rest = text;
        while let Some(len) = rest.iter().position(|&byte| is_escaped(byte)) {
            self.out.extend_from_slice(&rest[..len]);
            let byte = rest[len];
            let short = match byte {
                b'"' | b'\\' | b'/' => byte,
                8 => b'b',
                9 => b't',
                10 => b'n',
                12 => b'f',
                13 => b'r',
                _ => 0,
            };
            if short != 0 {
                self.out.extend_from_slice(&[b'\\', short]);
            } else {
                let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
                self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            rest = &rest[len + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }

    fn table(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if push_real(stack, -1) {
            stack.remove(-2);
        }
        self.depth += 1;
        let max = self.settings.encode_depth.min(JSON_DEPTH_MAX as i32);
        if self.depth > max || !stack.reserve(6) {
            let depth = itoa::Buffer::new().format(self.depth).to_owned();
            let words = [b"Cannot serialise, excessive nesting (", depth.as_bytes(), b")"];
            return Err(stack.refuse_at(1, &words));
        }
        match self.array_len(stack)? {
            Some(len) => self.array(stack, len)?,
            None => self.object(stack)?,
        }
        self.depth -= 1;
        stack.pop(1);
        Ok(())
    }

    /// The largest key of the table on top, if all are numbers from 1 on and there are not too
    /// few of them.
    fn array_len(&self, stack: &mut Stack) -> Result<Option<usize>, Raise> {
        let (mut largest, mut count) = (0.0_f64, 0_u64);
        stack.push_nil();
        while stack.next(-2) {
            stack.pop(1);
            let key = if stack.kind(-1) == Kind::Number { stack.number(-1) } else { None };
            match key {
                Some(key) if key >= 1.0 && key.fract() == 0.0 && key <= f64::from(i32::MAX) => {
                    largest = largest.max(key);
                    count += 1;
                }
                _ => {
                    stack.pop(1);
                    return Ok(None);
                }
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let largest = largest as u64;
        let ratio = self.settings.sparse_ratio.cast_unsigned();
        let safe = self.settings.sparse_safe.cast_unsigned();
        if ratio > 0 && largest > count * u64::from(ratio) && largest > u64::from(safe) {
            if !self.settings.sparse_is_object {
                return Err(refuse(stack, Kind::Table, b"excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(Some(largest as usize))
    }

    fn array(&mut self, stack: &mut Stack, len: usize) -> Result<(), Raise> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            stack.raw_get_at(-1, index as i32);
            self.add(stack)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.out.push(b'{');
        let mut is_first = true;
        stack.push_nil();
        while stack.next(-2) {
            if !std::mem::take(&mut is_first) {
                self.out.push(b',');
            }
            // The key stays as it is: `next` goes on from it.
            match stack.kind(-2) {
                Kind::Text => {
                    let name = stack.text(-2).unwrap_or_default();
                    self.text(name);
                }
                Kind::Number => {
                    self.out.push(b'"');
                    stack.push_value(-2);
                    self.number(stack)?;
                    stack.pop(1);
                    self.out.push(b'"');
                }
                kind => {
                    return Err(refuse(stack, kind, b"table key must be a number or string"));
                }
            }
            self.out.push(b':');
            self.add(stack)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn is_escaped(byte: u8) -> bool {
    byte < 32 || matches!(byte, b'"' | b'\\' | b'/' | 127)
}

fn refuse(stack: &mut Stack, kind: Kind, reason: &[u8]) -> Raise {
    stack.refuse_at(1, &[b"Cannot serialise ", kind.name().as_bytes(), b": ", reason])
}
