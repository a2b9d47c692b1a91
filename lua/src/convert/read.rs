//! Makes Lua's values of what a command replied.

use crate::limits::CALLED_DEPTH_MAX;
use crate::stack::Stack;

/// Pushes the first value of a reply; nil where it is none. `raw` says how it began: for errors.
/// Raises.
pub(crate) fn push_reply(stack: &mut Stack, reply: &[u8]) {
    let mut reader = Reader { reply, at: 0 };
    reader.push(stack, 0);
}

struct Reader<'a> {
    reply: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The mark and the rest of the next line.
    fn line(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.reply.get(self.at..)?;
        let (&mark, rest) = rest.split_first()?;
        let len = memchr::memchr(b'\r', rest)?;
        self.at += len + 3;
        Some((mark, &rest[..len]))
    }

    /// So many bytes and the end of the line after them.
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let found = self.reply.get(self.at..self.at.saturating_add(len)).unwrap_or_default();
        self.at = self.at.saturating_add(len).saturating_add(2);
        found
    }

    fn push(&mut self, stack: &mut Stack, depth: usize) {
        let Some((mark, line)) = self.line() else { return stack.push_nil() };
        match mark {
            b'$' => match number(line) {
                len @ 0.. => {
                    let text = self.bytes(len as usize);
                    stack.push(text);
                }
                _ => stack.push_bool(false),
            },
            b':' => stack.push_number(number(line) as f64),
            b'+' => push_field(stack, "ok", line),
            b'-' => push_field(stack, "err", line),
            b'!' => {
                let text = self.bytes(number(line) as usize);
                push_field(stack, "err", text);
            }
            b'*' | b'>' | b'%' | b'~' if depth >= CALLED_DEPTH_MAX => stack.push_nil(),
            b'*' | b'>' => match number(line) {
                count @ 0.. => self.push_array(stack, count as usize, depth),
                _ => stack.push_bool(false),
            },
            b'%' => self.push_map(stack, number(line), depth),
            b'~' => self.push_set(stack, number(line), depth),
            b'#' => stack.push_bool(line == b"t"),
            b',' => {
                stack.push_table(0, 1);
                stack.push_number(double(line));
                stack.raw_set_field(-2, "double");
            }
            b'(' => push_field(stack, "big_number", line),
            b'=' => {
                let text = self.bytes(number(line) as usize);
                push_verbatim(stack, text);
            }
            b'|' => {
                // Attributes are dropped.
                for _ in 0..number(line).saturating_mul(2) {
                    self.push(stack, depth + 1);
                    stack.pop(1);
                }
                self.push(stack, depth + 1);
            }
            _ => stack.push_nil(),
        }
    }

    fn push_array(&mut self, stack: &mut Stack, count: usize, depth: usize) {
        stack.push_table(count, 0);
        if !stack.reserve(8) {
            return;
        }
        for index in 1..=count {
            self.push(stack, depth + 1);
            stack.raw_set_at(-2, index as i32);
        }
    }

    fn push_map(&mut self, stack: &mut Stack, count: i64, depth: usize) {
        stack.push_table(0, 1);
        stack.push_table(0, count.max(0) as usize);
        if !stack.reserve(8) {
            return;
        }
        for _ in 0..count {
            self.push(stack, depth + 1);
            self.push(stack, depth + 1);
            set(stack);
        }
        stack.raw_set_field(-2, "map");
    }

    fn push_set(&mut self, stack: &mut Stack, count: i64, depth: usize) {
        stack.push_table(0, 1);
        stack.push_table(0, count.max(0) as usize);
        if !stack.reserve(8) {
            return;
        }
        for _ in 0..count {
            self.push(stack, depth + 1);
            stack.push_bool(true);
            set(stack);
        }
        stack.raw_set_field(-2, "set");
    }
}

/// Sets a key, unless it is one that no table can have.
fn set(stack: &mut Stack) {
    use crate::stack::Kind;
    match stack.kind(-2) {
        Kind::Nil => stack.pop(2),
        Kind::Number if stack.number(-2).is_none_or(f64::is_nan) => stack.pop(2),
        _ => stack.raw_set(-3),
    }
}

fn push_field(stack: &mut Stack, name: &str, text: &[u8]) {
    stack.push_table(0, 1);
    stack.push(text);
    stack.raw_set_field(-2, name);
}

fn push_verbatim(stack: &mut Stack, text: &[u8]) {
    let (format, text) = (text.get(..3).unwrap_or_default(), text.get(4..).unwrap_or_default());
    stack.push_table(0, 1);
    stack.push_table(0, 2);
    stack.push(text);
    stack.raw_set_field(-2, "string");
    stack.push(format);
    stack.raw_set_field(-2, "format");
    stack.raw_set_field(-2, "verbatim_string");
}

/// An integer of RESP.
fn number(text: &[u8]) -> i64 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let value = digits.iter().fold(0_i64, |value, digit| {
        value.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0')))
    });
    value.wrapping_mul(sign)
}

/// A double of RESP3.
fn double(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}
