//! Writes a script's value as a reply.

use crate::limits::{REPLY_BYTES_MAX, REPLY_DEPTH_MAX};
use crate::stack::{Kind, Raise, Stack};
use pinion_io::resp::{Protocol, Reply};

/// What a script hears whose tables lie too deep.
const TOO_DEEP: &[u8] = b"ERR reached lua stack limit";

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech {
    /// What the client speaks.
    pub(crate) client: Protocol,
    /// What the script speaks.
    pub(crate) script: Protocol,
}

/// Takes the value on top away, and writes it.
///
/// # Errors
/// The reply would be too large; what is written is to be dropped. Raises where memory is used up.
pub(crate) fn write_value(
    stack: &mut Stack,
    out: &mut Vec<u8>,
    speech: Speech,
) -> Result<(), Raise> {
    let mut writer = Writer { speech, reply: Reply::new(out, speech.client), depth: 0 };
    writer.write(stack)
}

struct Writer<'a> {
    speech: Speech,
    reply: Reply<'a>,
    depth: usize,
}

impl Writer<'_> {
    /// Takes the value on top away.
    fn write(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if self.reply.len() > REPLY_BYTES_MAX {
            return Err(stack.refuse(&["the reply is too large"]));
        }
        match stack.kind(-1) {
            Kind::Text => self.reply.bulk(stack.text(-1).unwrap_or_default()),
            Kind::Number => {
                self.reply.int(whole(stack.number(-1).unwrap_or_default()));
            }
            Kind::Bool => match (stack.bool(-1), self.speech.script) {
                (value, Protocol::Resp3) => self.reply.bool(value),
                (true, Protocol::Resp2) => self.reply.int(1),
                (false, Protocol::Resp2) => self.reply.null(),
            },
            Kind::Table => return self.table(stack),
            _ => self.reply.null(),
        }
        stack.pop(1);
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if self.depth >= REPLY_DEPTH_MAX || !stack.reserve(8) {
            self.reply.error(TOO_DEEP);
            stack.pop(1);
            return Ok(());
        }
        self.depth += 1;
        self.fields(stack)?;
        self.depth -= 1;
        Ok(())
    }

    /// Writes a table by the first of the fields that say what it stands for.
    fn fields(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let is_plain = !stack.has_fields(-1);
        if is_plain {
            return self.array(stack);
        }
        for (name, kind) in FIELDS {
            stack.raw_get_field(-1, name);
            if stack.kind(-1) == *kind && self.field(stack, name)? {
                stack.pop(1);
                return Ok(());
            }
            stack.pop(1);
        }
        self.array(stack)
    }

    /// Writes the field of this name, which is on top, and takes it away; false if it is not
    /// whole: it stays.
    fn field(&mut self, stack: &mut Stack, name: &str) -> Result<bool, Raise> {
        match name {
            "err" => self.reply.error(line(stack.text(-1).unwrap_or_default())),
            "ok" => self.status(stack),
            "double" => self.reply.double(stack.number(-1).unwrap_or_default()),
            "map" => {
                self.pairs(stack, true)?;
                return Ok(true);
            }
            "set" => {
                self.pairs(stack, false)?;
                return Ok(true);
            }
            "big_number" => {
                let digits = stack.text(-1).unwrap_or_default();
                let text: String = digits.iter().map(|&byte| plain(byte)).collect();
                self.reply.big_number(&text);
            }
            _ => return Ok(self.verbatim(stack)),
        }
        stack.pop(1);
        Ok(true)
    }

    fn status(&mut self, stack: &Stack) {
        let text = line(stack.text(-1).unwrap_or_default());
        self.reply.raw(b"+");
        for part in text.split_inclusive(|&byte| byte == b'\r' || byte == b'\n') {
            match part.split_last() {
                Some((b'\r' | b'\n', rest)) => {
                    self.reply.raw(rest);
                    self.reply.raw(b" ");
                }
                _ => self.reply.raw(part),
            }
        }
        self.reply.raw(b"\r\n");
    }

    fn verbatim(&mut self, stack: &mut Stack) -> bool {
        stack.raw_get_field(-1, "format");
        stack.raw_get_field(-2, "string");
        let (Some(format), Some(text)) = (stack.text(-2), stack.text(-1)) else {
            stack.pop(2);
            return false;
        };
        let mut name = *b"   ";
        for (place, byte) in name.iter_mut().zip(format) {
            *place = *byte;
        }
        self.reply.verbatim(&name, text);
        stack.pop(3);
        true
    }

    /// Writes the pairs of the table on top, or its keys, and takes it away.
    fn pairs(&mut self, stack: &mut Stack, values: bool) -> Result<(), Raise> {
        let mut count = 0;
        stack.push_nil();
        while stack.next(-2) {
            count += 1;
            stack.pop(1);
        }
        if values {
            self.reply.map(count);
        } else {
            self.reply.set(count);
        }
        stack.push_nil();
        while stack.next(-2) {
            if values {
                stack.push_value(-2);
                self.write(stack)?;
                self.write(stack)?;
            } else {
                stack.pop(1);
                stack.push_value(-1);
                self.write(stack)?;
            }
        }
        stack.pop(1);
        Ok(())
    }

    /// Writes the items of the table on top up to the first nil, and takes it away.
    fn array(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let count = stack.len(-1);
        let mut whole = 0;
        // Up to the first hole, which `len` need not find.
        while whole < count {
            stack.raw_get_at(-1, whole as i32 + 1);
            let is_end = stack.kind(-1) == Kind::Nil;
            stack.pop(1);
            if is_end {
                break;
            }
            whole += 1;
        }
        self.reply.array(whole);
        for index in 1..=whole {
            stack.raw_get_at(-1, index as i32);
            self.write(stack)?;
        }
        stack.pop(1);
        Ok(())
    }
}

/// The fields that say what a table stands for, the first one first, and of what kind they are.
const FIELDS: &[(&str, Kind)] = &[
    ("err", Kind::Text),
    ("ok", Kind::Text),
    ("double", Kind::Number),
    ("map", Kind::Table),
    ("set", Kind::Table),
    ("big_number", Kind::Text),
    ("verbatim_string", Kind::Table),
];

/// A number as an integer: without what is after the point, and the least one where it is too
/// large, as the processors do that Redis runs on.
fn whole(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// A text as far as it goes in a line of RESP: up to the first zero.
fn line(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    &text[..end]
}

fn plain(byte: u8) -> char {
    if byte == b'\r' || byte == b'\n' { ' ' } else { char::from(byte) }
}
