//! Makes values of JSON.

use super::number;
use crate::limits::JSON_DEPTH_MAX;
use crate::machine::hurry;
use crate::stack::{Raise, Stack};

/// cjson.decode(text)
pub(super) fn decode(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 {
        return Err(stack.bad_argument(1, b"expected 1 argument"));
    }
    if stack.make_text(1).is_none() {
        return Err(stack.bad_kind(1, "string"));
    }
    let ground = stack.ground();
    let settings = ground.json.get();
    ground.scratch.with(|text| {
        text.clear();
        text.extend_from_slice(stack.text(1).unwrap_or_default());
        if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
            let words = b"JSON parser does not support UTF-16 or UTF-32";
            return Err(stack.refuse_at(1, &[words]));
        }
        let (max, accepts) = (settings.decode_depth, settings.decode_invalid);
        let max = max.min(JSON_DEPTH_MAX as i32);
        let mut reader = Reader { text, at: 0, depth: 0, max, accepts };
        let first = reader.next(stack);
        reader.push(stack, first)?;
        match reader.next(stack) {
            Token { kind: Sort::End, .. } => Ok(()),
            token => Err(refuse(stack, "the end", &token)),
        }
    })?;
    hurry(stack, ground.scratch.with(|text| text.len()));
    ground.trim_scratch();
    Ok(1)
}

/// What a text of JSON is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// It lies in the ground.
    Text,
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Sort {
    /// As errors name it.
    fn name(self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Text => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Bool(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Wrong(text) => text,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Sort,
    /// Where it begins, or is wrong.
    at: usize,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: i32,
    max: i32,
    /// It takes numbers that JSON has not.
    accepts: bool,
}

impl Reader<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The next token.
    fn next(&mut self, stack: &Stack) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let kind = match self.byte(at) {
            b'{' => Sort::ObjectBegin,
            b'}' => Sort::ObjectEnd,
            b'[' => Sort::ArrayBegin,
            b']' => Sort::ArrayEnd,
            b':' => Sort::Colon,
            b',' => Sort::Comma,
            0 => return Token { kind: Sort::End, at },
            b'"' => return self.read_text(stack),
            b'-' | b'0'..=b'9' if self.accepts || !self.is_invalid_number() => {
                return self.read_number();
            }
            b'-' | b'0'..=b'9' => return Token { kind: Sort::Wrong("invalid number"), at },
            _ => return self.read_word(),
        };
        self.at += 1;
        Token { kind, at }
    }

    fn read_word(&mut self) -> Token {
        let at = self.at;
        let words: [(&[u8], Sort); 3] =
            [(b"true", Sort::Bool(true)), (b"false", Sort::Bool(false)), (b"null", Sort::Null)];
        for (word, kind) in words {
            if self.text[at..].starts_with(word) {
                self.at += word.len();
                return Token { kind, at };
            }
        }
        if self.accepts && self.is_invalid_number() {
            return self.read_number();
        }
        Token { kind: Sort::Wrong("invalid token"), at }
    }

    fn read_number(&mut self) -> Token {
        let at = self.at;
        let (value, len) = number::read(&self.text[at..]);
        self.at += len;
        let kind = if len == 0 { Sort::Wrong("invalid number") } else { Sort::Number(value) };
        Token { kind, at }
    }

    /// True if what begins here is a number for C, but not for JSON.
    fn is_invalid_number(&self) -> bool {
        let mut at = self.at;
        match self.byte(at) {
            b'+' => return true,
            b'-' => at += 1,
            _ => {}
        }
        match self.byte(at) {
            b'0' => matches!(self.byte(at + 1), b'x' | b'X' | b'0'..=b'9'),
            0..=b'9' => false,
            _ => self.text[at..].get(..3).is_some_and(|word| {
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }),
        }
    }

    /// Reads a text into the ground.
    fn read_text(&mut self, stack: &Stack) -> Token {
        let at = self.at;
        self.at += 1;
        let wrong = stack.ground().piece.with(|piece| {
            piece.clear();
            loop {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let len = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0));
                let len = len.unwrap_or(rest.len());
                piece.extend_from_slice(&rest[..len]);
                self.at += len;
                match self.byte(self.at) {
                    b'"' => break None,
                    b'\\' => {
                        if let Err(text) = self.read_escape(piece) {
                            break Some(text);
                        }
                    }
                    _ => break Some("unexpected end of string"),
                }
            }
        });
        match wrong {
            None => {
                self.at += 1;
                Token { kind: Sort::Text, at }
            }
            Some(text) => Token { kind: Sort::Wrong(text), at: self.at },
        }
    }

    /// Reads what a backslash stands before.
    fn read_escape(&mut self, piece: &mut Vec<u8>) -> Result<(), &'static str> {
        let byte = match self.byte(self.at + 1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'f' => 12,
            b'r' => 13,
            b'u' => {
                let (found, len) = self.read_unicode().ok_or("invalid unicode escape code")?;
                let mut bytes = [0; 4];
                piece.extend_from_slice(found.encode_utf8(&mut bytes).as_bytes());
                self.at += len;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        piece.push(byte);
        self.at += 2;
        Ok(())
    }

    /// The character of an escape, and its length: two escapes for one beyond 16 bits.
    fn read_unicode(&self) -> Option<(char, usize)> {
        let unit = |at: usize| {
            let digits = self.text.get(at + 2..at + 6)?;
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            digits.iter().try_fold(0, |unit, byte| Some(unit << 4 | digit(byte)?))
        };
        let high: u32 = unit(self.at)?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some((char::from_u32(high)?, 6));
        }
        let is_pair = self.text.get(self.at + 6..)?.starts_with(b"\\u");
        let low = if is_pair { unit(self.at + 6)? } else { return None };
        if !(0xdc00..0xe000).contains(&low) {
            return None;
        }
        let found = 0x1_0000 + ((high & 0x3ff) << 10 | low & 0x3ff);
        Some((char::from_u32(found)?, 12))
    }

    /// Pushes the value that begins with this token.
    fn push(&mut self, stack: &mut Stack, token: Token) -> Result<(), Raise> {
        match token.kind {
            Sort::Text => push_text(stack),
            Sort::Number(value) => stack.push_number(value),
            Sort::Bool(value) => stack.push_bool(value),
            Sort::Null => stack.push_null(),
            Sort::ObjectBegin => return self.push_object(stack),
            Sort::ArrayBegin => return self.push_array(stack),
            _ => return Err(refuse(stack, "value", &token)),
        }
        Ok(())
    }

    /// Goes a level deeper.
    fn descend(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > self.max || !stack.reserve(4) {
            let depth = itoa::Buffer::new().format(self.depth).to_owned();
            let at = itoa::Buffer::new().format(self.at).to_owned();
            return Err(stack.refuse_at(
                1,
                &[
                    b"Found too many nested data structures (",
                    depth.as_bytes(),
                    b") at character ",
                    at.as_bytes(),
                ],
            ));
        }
        Ok(())
    }

    fn push_object(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let mut token = self.next(stack);
        if token.kind != Sort::ObjectEnd {
            loop {
                if token.kind != Sort::Text {
                    return Err(refuse(stack, "object key string", &token));
                }
                push_text(stack);
                token = self.next(stack);
                if token.kind != Sort::Colon {
                    return Err(refuse(stack, "colon", &token));
                }
                token = self.next(stack);
                self.push(stack, token)?;
                stack.raw_set(-3);
                token = self.next(stack);
                match token.kind {
                    Sort::ObjectEnd => break,
                    Sort::Comma => token = self.next(stack),
                    _ => return Err(refuse(stack, "comma or object end", &token)),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn push_array(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        stack.push_table(0, 0);
        let mut token = self.next(stack);
        let mut index = 0;
        if token.kind != Sort::ArrayEnd {
            loop {
                self.push(stack, token)?;
                index += 1;
                stack.raw_set_at(-2, index);
                token = self.next(stack);
                match token.kind {
                    Sort::ArrayEnd => break,
                    Sort::Comma => token = self.next(stack),
                    _ => return Err(refuse(stack, "comma or array end", &token)),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

fn push_text(stack: &mut Stack) {
    let ground = stack.ground();
    ground.piece.with(|piece| stack.push(piece));
}

fn refuse(stack: &mut Stack, expected: &str, token: &Token) -> Raise {
    let at = itoa::Buffer::new().format(token.at + 1).to_owned();
    stack.refuse_at(
        1,
        &[
            b"Expected ",
            expected.as_bytes(),
            b" but found ",
            token.kind.name().as_bytes(),
            b" at character ",
            at.as_bytes(),
        ],
    )
}
