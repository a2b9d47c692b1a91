//! The globals of scripts and functions: Lua's own that do no harm, and ours.
//!
//! What is not in a list here does not exist: nothing reads files, the environment or the clock
//! (`os.clock` aside), nothing loads what is compiled, and nothing changes what the next script
//! sees.

use crate::ground::Kept;
use crate::machine::hurry;
use crate::protect::{REFUSAL, is_protected, protect, push_real, refuse_name};
use crate::stack::{
    BASE, Callback, Ended, GLOBALS, Kind, MATH, Native, OS, Raise, STRING, Stack, TABLE, upvalue,
};
use crate::{bits, calls, json, libraries, msgpack, patterns, random, structs};

/// Lua's own functions and tables that are kept as they are.
const OWN: &[&str] = &[
    "assert",
    "coroutine",
    "error",
    "gcinfo",
    "ipairs",
    "rawequal",
    "select",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "_VERSION",
];
/// Lua's own tables, which become protected.
const TABLES: &[&str] = &["coroutine", "math", "string", "table"];
/// Those that are replaced by ours, which may fall back on Lua's.
const REPLACED: &[(&str, Callback)] = &[
    ("collectgarbage", collect),
    ("getmetatable", show_metatable),
    ("loadstring", load_text),
    ("load", load_pieces),
    ("next", next),
    ("pairs", pairs),
    ("pcall", call_protected),
    ("rawget", raw_get),
    ("rawset", raw_set),
    ("setmetatable", give_metatable),
    ("xpcall", call_judged),
];

/// Makes all globals, and keeps them. Raises.
pub(crate) fn make(stack: &mut Stack) -> Result<(), Raise> {
    for library in [BASE, TABLE, STRING, MATH, OS] {
        stack.push_native(library);
        stack.call(0, 0);
    }
    stack.push_value(GLOBALS);
    let lua = stack.top();
    stack.push_table(0, 40);
    let shared = stack.top();
    replace(stack, lua, shared);
    for name in OWN {
        stack.raw_get_field(lua, name);
        stack.raw_set_field(shared, name);
    }
    amend(stack, lua)?;
    for name in TABLES {
        stack.raw_get_field(lua, name);
        protect(stack);
        stack.raw_set_field(shared, name);
    }
    for (name, fill) in [
        ("bit", bits::fill as fn(&mut Stack)),
        ("cjson", json::fill),
        ("cmsgpack", msgpack::fill),
        ("struct", structs::fill),
    ] {
        stack.push_table(0, 8);
        fill(stack);
        protect(stack);
        stack.raw_set_field(shared, name);
    }
    stack.push_table(0, 1);
    stack.raw_get_field(lua, "os");
    stack.raw_get_field(-1, "clock");
    stack.remove(-2);
    stack.raw_set_field(-2, "clock");
    protect(stack);
    stack.raw_set_field(shared, "os");
    views(stack, shared);
    stack.set_top(0);
    Ok(())
}

/// Puts our functions in the place of Lua's, with Lua's and its `next` as upvalues.
fn replace(stack: &mut Stack, lua: i32, shared: i32) {
    for &(name, callback) in REPLACED {
        stack.raw_get_field(lua, name);
        stack.raw_get_field(lua, "next");
        stack.push_callback(callback, 2);
        stack.raw_set_field(shared, name);
    }
}

/// Puts ours in the place of some functions of Lua's tables.
fn amend(stack: &mut Stack, lua: i32) -> Result<(), Raise> {
    stack.raw_get_field(lua, "string");
    for &(name, callback) in patterns::REPLACED {
        stack.raw_get_field(-1, name);
        stack.push_callback(callback, 1);
        stack.raw_set_field(-2, name);
    }
    // All texts have a metatable in common: reads of it go to the table itself.
    stack.push(b"");
    stack.metatable(-1);
    stack.push_value(-3);
    stack.raw_set_field(-2, "__index");
    stack.pop(3);
    stack.raw_get_field(lua, "table");
    for (name, callback) in [("insert", insert as Callback), ("sort", sort)] {
        stack.raw_get_field(-1, name);
        stack.push_callback(callback, 1);
        stack.raw_set_field(-2, name);
    }
    stack.pop(1);
    stack.raw_get_field(lua, "math");
    for (name, callback) in [("random", random::random as Callback), ("randomseed", random::seed)] {
        stack.push_callback(callback, 0);
        stack.raw_set_field(-2, name);
    }
    stack.pop(1);
    Ok(())
}

/// Makes the globals of scripts and those of functions, which differ in `redis`, and those of
/// libraries as they load, which have nothing else.
fn views(stack: &mut Stack, shared: i32) {
    let mut kept = Kept::default();
    stack.push_table(0, 48);
    copy(stack, shared, stack.top());
    let globals = complete(stack, calls::fill_for_scripts);
    (kept.script_view, kept.script_globals) = (view(stack, globals), stack.keep());
    stack.push_table(0, 48);
    copy(stack, shared, stack.top());
    let globals = complete(stack, calls::fill_for_functions);
    (kept.function_view, kept.function_globals) = (view(stack, globals), stack.keep());
    stack.push_table(0, 2);
    complete(stack, libraries::fill);
    kept.library_globals = stack.keep();
    stack.ground().kept.set(kept);
}

/// Gives the globals on top their `redis`, and refuses names that are not there.
fn complete(stack: &mut Stack, fill: fn(&mut Stack)) -> i32 {
    let globals = stack.top();
    stack.push_table(0, 32);
    fill(stack);
    protect(stack);
    stack.push_value(-1);
    stack.raw_set_field(globals, "redis");
    stack.raw_set_field(globals, "server");
    stack.push_table(0, 1);
    stack.push_callback(refuse_name, 0);
    stack.raw_set_field(-2, "__index");
    stack.set_metatable(globals);
    globals
}

/// Makes what scripts see of the globals on top, and keeps it.
fn view(stack: &mut Stack, globals: i32) -> i32 {
    stack.push_value(globals);
    protect(stack);
    stack.push_value(-1);
    stack.raw_set_field(globals, "_G");
    stack.keep()
}

/// Copies the fields of a table.
fn copy(stack: &mut Stack, from: i32, to: i32) {
    stack.push_nil();
    while stack.next(from) {
        stack.push_value(-2);
        stack.insert(-2);
        stack.raw_set(to);
    }
}

/// Lua's function that a callback replaces.
pub(crate) fn replaced(stack: &Stack) -> Native {
    stack.native(upvalue(1)).expect("it is closed over one of Lua's functions")
}

/// table.insert(table, [position,] value)
fn insert(stack: &mut Stack) -> Result<i32, Raise> {
    if is_protected(stack, 1) {
        return Err(stack.refuse(&[REFUSAL]));
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// table.sort(table [, less])
fn sort(stack: &mut Stack) -> Result<i32, Raise> {
    let len = if stack.kind(1) == Kind::Table { stack.len(1) } else { 0 };
    hurry(stack, len * size_of::<u64>());
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// rawset(table, key, value)
fn raw_set(stack: &mut Stack) -> Result<i32, Raise> {
    if is_protected(stack, 1) {
        return Err(stack.refuse(&[REFUSAL]));
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// rawget(table, key)
fn raw_get(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() >= 2 && push_real(stack, 1) {
        stack.replace(1);
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// setmetatable(table, metatable)
fn give_metatable(stack: &mut Stack) -> Result<i32, Raise> {
    if is_protected(stack, 1) {
        return Err(stack.refuse(&[REFUSAL]));
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// getmetatable(value)
fn show_metatable(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.kind(1) == Kind::Text {
        stack.metatable(1);
        protect(stack);
        return Ok(1);
    }
    if push_real(stack, 1) {
        // That of the globals says what happens to names there are none of.
        if stack.metatable(-1) {
            protect(stack);
        } else {
            stack.push_nil();
        }
        return Ok(1);
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// next(table [, key])
fn next(stack: &mut Stack) -> Result<i32, Raise> {
    if push_real(stack, 1) {
        stack.replace(1);
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// pairs(table)
fn pairs(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.kind(1) != Kind::Table {
        return Err(stack.bad_kind(1, "table"));
    }
    if is_protected(stack, 1) {
        stack.push_value(GLOBALS);
        push_real(stack, -1);
        stack.raw_get_field(-1, "next");
    } else {
        stack.push_value(upvalue(2));
    }
    stack.push_value(1);
    stack.push_nil();
    Ok(3)
}

/// loadstring(text [, name])
fn load_text(stack: &mut Stack) -> Result<i32, Raise> {
    if is_compiled(stack, 1) {
        stack.push_nil();
        stack.push(b"what is compiled already is not loaded");
        return Ok(2);
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// load(function [, name])
fn load_pieces(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.kind(1) != Kind::Function {
        return Err(stack.bad_kind(1, "function"));
    }
    stack.push_value(1);
    stack.push_callback(next_piece, 1);
    stack.replace(1);
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// The next piece of what `load` loads.
fn next_piece(stack: &mut Stack) -> Result<i32, Raise> {
    stack.push_value(upvalue(1));
    stack.call(0, 1);
    if is_compiled(stack, -1) {
        return Err(stack.refuse(&["what is compiled already is not loaded"]));
    }
    Ok(1)
}

/// collectgarbage([option [, number]]): scripts do not set how it is collected for all.
fn collect(stack: &mut Stack) -> Result<i32, Raise> {
    if matches!(stack.text(1), Some(b"stop" | b"restart" | b"setpause" | b"setstepmul")) {
        stack.push_number(0.0);
        return Ok(1);
    }
    let function = replaced(stack);
    Ok(stack.go_native(function))
}

/// True if what is there was compiled already.
fn is_compiled(stack: &Stack, index: i32) -> bool {
    stack.text(index).is_some_and(|text| text.first() == Some(&0x1b))
}

/// pcall(function, ...)
fn call_protected(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() == 0 {
        stack.push_nil();
    }
    let arguments = stack.top() - 1;
    if stack.try_call(arguments, -1, 0) == Ended::Well {
        stack.reserve(1);
        stack.push_bool(true);
        stack.insert(1);
        return Ok(stack.top());
    }
    if stack.ground().stops.get() {
        return Err(Raise);
    }
    unwrap_error(stack);
    stack.push_bool(false);
    stack.insert(-2);
    Ok(2)
}

/// xpcall(function, judge)
fn call_judged(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() < 2 {
        return Err(stack.bad_argument(2, b"value expected"));
    }
    stack.set_top(2);
    stack.push_callback(ask_judge, 1);
    stack.insert(1);
    let ended = stack.try_call(0, -1, 1);
    if ended != Ended::Well && stack.ground().stops.get() {
        return Err(Raise);
    }
    stack.push_bool(ended == Ended::Well);
    stack.replace(1);
    Ok(stack.top())
}

/// Has a script's judge see an error, unless that ends the run: Lua looks at no time before the
/// judge of such an error returns.
fn ask_judge(stack: &mut Stack) -> Result<i32, Raise> {
    if !stack.ground().stops.get() {
        stack.push_value(upvalue(1));
        stack.insert(1);
        stack.call(1, 1);
    }
    Ok(1)
}

/// Puts the text of an error that a command replied in the place of its table: scripts written
/// for older servers expect that.
fn unwrap_error(stack: &mut Stack) {
    if stack.kind(-1) != Kind::Table {
        return;
    }
    stack.raw_get_field(-1, "err");
    match stack.kind(-1) {
        Kind::Nil => stack.pop(1),
        _ => stack.remove(-2),
    }
}
