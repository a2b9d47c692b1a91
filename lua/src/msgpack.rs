//! `cmsgpack`: values as MessagePack (its public specification).

mod pack;
mod unpack;

use crate::calls;
use crate::stack::{Callback, Stack};

const FUNCTIONS: &[(&str, Callback)] = &[
    ("pack", pack::pack),
    ("unpack", unpack::unpack),
    ("unpack_limit", unpack::unpack_limit),
    ("unpack_one", unpack::unpack_one),
];
/// What scripts may ask of the library they know.
const WORDS: &[(&str, &str)] = &[
    ("_NAME", "cmsgpack"),
    ("_VERSION", "lua-cmsgpack 0.4.0"),
    ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
    ("_DESCRIPTION", "MessagePack C implementation for Lua"),
];

/// Fills the table on top.
pub(crate) fn fill(stack: &mut Stack) {
    calls::fill(stack, FUNCTIONS);
    for (name, text) in WORDS {
        stack.push(text.as_bytes());
        stack.raw_set_field(-2, name);
    }
}
