//! Tables that scripts can read and not write: what all scripts share is one of these.
//!
//! A protected table is an empty one whose metatable has reads go to the real one, and refuses
//! writes. Lua's functions that go past metatables are replaced by ones that know of it, and the
//! metatable itself is shown to nobody.

use crate::stack::{Kind, REGISTRY, Raise, Stack};

/// What marks the metatable of a protected table, under 1.
static MARK: u8 = 0;
/// What a script hears that writes.
pub(crate) const REFUSAL: &str = "Attempt to modify a readonly table";

/// Replaces the table on top by a protected one that shows it. Raises.
pub(crate) fn protect(stack: &mut Stack) {
    stack.push_table(0, 0);
    stack.push_table(1, 2);
    stack.push_light(&MARK);
    stack.raw_set_at(-2, 1);
    stack.push_value(-3);
    stack.raw_set_field(-2, "__index");
    stack.push_callback(refuse_write, 0);
    stack.raw_set_field(-2, "__newindex");
    stack.set_metatable(-2);
    stack.remove(-2);
}

/// True if a protected table lies there.
pub(crate) fn is_protected(stack: &mut Stack, index: i32) -> bool {
    if stack.kind(index) != Kind::Table || !stack.metatable(index) {
        return false;
    }
    stack.raw_get_at(-1, 1);
    let is_so = stack.is_light(-1, &MARK);
    stack.pop(2);
    is_so
}

/// Pushes the real table that a protected one shows; false if there is none.
pub(crate) fn push_real(stack: &mut Stack, index: i32) -> bool {
    if !is_protected(stack, index) {
        return false;
    }
    stack.metatable(index);
    stack.raw_get_field(-1, "__index");
    stack.remove(-2);
    true
}

/// Has the protected table on top show the real one of this number from now on.
pub(crate) fn show_instead(stack: &mut Stack, number: i32) {
    if stack.metatable(-1) {
        stack.raw_get_at(REGISTRY, number);
        stack.raw_set_field(-2, "__index");
        stack.pop(1);
    }
}

/// `__newindex` of protected tables.
fn refuse_write(stack: &mut Stack) -> Result<i32, Raise> {
    Err(stack.refuse_at(1, &[REFUSAL.as_bytes()]))
}

/// `__index` of the real globals: the name there is none of.
pub(crate) fn refuse_name(stack: &mut Stack) -> Result<i32, Raise> {
    let ground = stack.ground();
    stack.make_text(2);
    ground.scratch.with(|name| {
        name.clear();
        name.extend_from_slice(stack.text(2).unwrap_or(b"?"));
        let words: &[u8] = b"Script attempted to access nonexistent global variable '";
        Err(stack.refuse_at(1, &[words, name, b"'"]))
    })
}
