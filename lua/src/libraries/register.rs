//! `redis.register_function`, and what else a library sees as it loads.

use super::{Function, NAME_TEXT, Registered, is_name};
use crate::calls::{self, push_error};
use crate::ground::Doing;
use crate::protect::refuse_name;
use crate::shebang::Flags;
use crate::stack::{Kind, Raise, Stack};

/// Fills the table on top, which becomes `redis` for a library that loads.
pub(crate) fn fill(stack: &mut Stack) {
    calls::fill(stack, &[("log", calls::log), ("register_function", register)]);
    calls::fill_constants(stack);
    stack.push_table(0, 1);
    stack.push_callback(refuse_name, 0);
    stack.raw_set_field(-2, "__index");
    stack.set_metatable(-2);
}

fn refuse(stack: &mut Stack, text: &str) -> Raise {
    push_error(stack, text);
    Raise
}

/// redis.register_function(name, callback), or with a table of named arguments.
fn register(stack: &mut Stack) -> Result<i32, Raise> {
    if !matches!(stack.ground().doing.get(), Doing::Loading(_)) {
        let text = "redis.register_function can only be called on FUNCTION LOAD command";
        return Err(refuse(stack, text));
    }
    match stack.top() {
        1 => named(stack)?,
        2 => {
            if stack.make_text(1).is_none() {
                let text = "first argument to redis.register_function must be a string";
                return Err(refuse(stack, text));
            }
            if stack.kind(2) != Kind::Function {
                let text = "second argument to redis.register_function must be a function";
                return Err(refuse(stack, text));
            }
            add(stack, (1, 2), None, Flags::default())?;
        }
        _ => {
            let text = "wrong number of arguments to redis.register_function";
            return Err(refuse(stack, text));
        }
    }
    Ok(0)
}

/// Registers what a table says, which is the only argument.
fn named(stack: &mut Stack) -> Result<(), Raise> {
    /// Where the arguments are put.
    const NAME: i32 = 2;
    const DESCRIPTION: i32 = 3;
    const CALLBACK: i32 = 4;
    if stack.kind(1) != Kind::Table {
        let text = "calling redis.register_function with a single argument is only applicable to \
            Lua table (representing named arguments).";
        return Err(refuse(stack, text));
    }
    let mut flags = Flags::default();
    stack.set_top(CALLBACK);
    stack.push_nil();
    while stack.next(1) {
        let is = |stack: &Stack, name: &str| {
            stack.text(-2).is_some_and(|key| key.eq_ignore_ascii_case(name.as_bytes()))
        };
        if is(stack, "function_name") {
            if stack.make_text(-1).is_none() {
                let text = "function_name argument given to redis.register_function must be a \
                    string";
                return Err(refuse(stack, text));
            }
            stack.replace(NAME);
        } else if is(stack, "description") {
            if stack.make_text(-1).is_none() {
                let text = "description argument given to redis.register_function must be a \
                    string";
                return Err(refuse(stack, text));
            }
            stack.replace(DESCRIPTION);
        } else if is(stack, "callback") {
            if stack.kind(-1) != Kind::Function {
                let text = "callback argument given to redis.register_function must be a function";
                return Err(refuse(stack, text));
            }
            stack.replace(CALLBACK);
        } else if is(stack, "flags") {
            flags = read_flags(stack)?;
            stack.pop(1);
        } else {
            let text = "unknown argument given to redis.register_function";
            return Err(refuse(stack, text));
        }
    }
    if stack.kind(NAME) == Kind::Nil {
        let text = "redis.register_function must get a function name argument";
        return Err(refuse(stack, text));
    }
    if stack.kind(CALLBACK) == Kind::Nil {
        let text = "redis.register_function must get a callback argument";
        return Err(refuse(stack, text));
    }
    let description = stack.text(DESCRIPTION).map(<[u8]>::to_vec);
    add(stack, (NAME, CALLBACK), description, flags)
}

/// The flags that the table on top lists.
fn read_flags(stack: &mut Stack) -> Result<Flags, Raise> {
    if stack.kind(-1) != Kind::Table {
        let text = "flags argument to redis.register_function must be a table representing \
            function flags";
        return Err(refuse(stack, text));
    }
    let mut flags = Flags::default();
    for index in 1.. {
        stack.raw_get_at(-1, index);
        let known = match stack.kind(-1) {
            Kind::Nil => break,
            _ => stack.text(-1).is_some_and(|name| flags.set(name)),
        };
        if !known {
            return Err(refuse(stack, "unknown flag given"));
        }
        stack.pop(1);
    }
    stack.pop(1);
    Ok(flags)
}

/// Registers the callback under the name at these places.
fn add(
    stack: &mut Stack,
    (name, callback): (i32, i32),
    description: Option<Vec<u8>>,
    flags: Flags,
) -> Result<(), Raise> {
    let name = stack.text(name).unwrap_or_default().to_vec();
    if !is_name(&name) {
        return Err(refuse(stack, NAME_TEXT));
    }
    let ground = stack.ground();
    let is_it = |one: &Registered| one.function.name.eq_ignore_ascii_case(&name);
    let is_known = |all: &mut Vec<Registered>| all.iter().any(is_it);
    if ground.registered.with(is_known) {
        return Err(refuse(stack, "Function already exists in the library"));
    }
    stack.push_value(callback);
    let callback = stack.keep();
    let flags = Flags { declared: true, ..flags };
    let function = Function { name, description, flags };
    ground.registered.with(|all| all.push(Registered { function, callback }));
    Ok(())
}
