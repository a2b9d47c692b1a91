//! `cjson`: values as JSON (RFC 8259), in the interface of lua-cjson (its public documentation).
//!
//! What a script sets (`Settings`) holds for that run.

mod decode;
mod encode;
mod number;
mod settings;

use crate::calls;
use crate::stack::{Callback, Raise, Stack};

pub(crate) use settings::Settings;

const FUNCTIONS: &[(&str, Callback)] = &[
    ("decode", decode::decode),
    ("decode_invalid_numbers", settings::decode_invalid_numbers),
    ("decode_max_depth", settings::decode_max_depth),
    ("encode", encode::encode),
    ("encode_invalid_numbers", settings::encode_invalid_numbers),
    ("encode_keep_buffer", settings::encode_keep_buffer),
    ("encode_max_depth", settings::encode_max_depth),
    ("encode_number_precision", settings::encode_number_precision),
    ("encode_sparse_array", settings::encode_sparse_array),
    ("new", new),
];

/// Fills the table on top.
pub(crate) fn fill(stack: &mut Stack) {
    calls::fill(stack, FUNCTIONS);
    stack.push_null();
    stack.raw_set_field(-2, "null");
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", "2.1.0")] {
        stack.push(text.as_bytes());
        stack.raw_set_field(-2, name);
    }
}

/// cjson.new(): the same again.
fn new(stack: &mut Stack) -> Result<i32, Raise> {
    stack.push_table(0, 16);
    fill(stack);
    Ok(1)
}
