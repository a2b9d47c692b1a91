//! Libraries of functions: what they say of themselves, and how they register their functions.
//!
//! ```text
//! #!lua name=NAME            the first line; the rest runs once, as the library is loaded
//! redis.register_function(name, callback)
//! redis.register_function{function_name=, callback=, description=, flags={...}}
//! ```
//!
//! As it loads, a library sees `redis.register_function` and little else. Its functions see,
//! through the same table of globals, what scripts see but for KEYS and ARGV.

mod register;

use crate::ground::Doing;
use crate::interpreter::Interpreter;
use crate::protect::show_instead;
use crate::shebang::Flags;
use crate::stack::{Ended, GLOBALS, Kind, REGISTRY, Raise, Stack};
use crate::words;
use std::sync::Arc;

pub(crate) use register::fill;

/// What may stand in a name, said to whom used something else.
pub(crate) const NAME_TEXT: &str = "Library names can only contain letters, numbers, or \
    underscores(_) and must be at least one character long";

/// What a library says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Library {
    /// Its name.
    pub name: Vec<u8>,
    /// Its functions, in the order in which it registered them.
    pub functions: Vec<Function>,
}

/// A function of a library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Vec<u8>,
    /// What its library says that it does.
    pub description: Option<Vec<u8>>,
    /// What its library says of it.
    pub flags: Flags,
}

/// A function that the library has registered which is being loaded.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) function: Function,
    /// The number of its callback.
    pub(crate) callback: i32,
}

/// A library that is loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    source: Arc<[u8]>,
    callbacks: Vec<i32>,
}

/// True if a library or a function may be called so.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

impl Interpreter {
    /// Loads a library, in the place of one of its name, if there is one: what it says of itself.
    ///
    /// # Errors
    /// The text of the error, its code first. Nothing has changed then.
    pub fn load_library(&mut self, source: &[u8]) -> Result<Library, Vec<u8>> {
        self.load_shared(&source.into())
    }

    fn load_shared(&mut self, source: &Arc<[u8]>) -> Result<Library, Vec<u8>> {
        let (name, start) = read_head(source)?;
        let registered = self.register(&source[start..])?;
        self.drop_library(&name);
        let callbacks = registered.iter().map(|registered| registered.callback).collect();
        let source = Arc::clone(source);
        self.libraries.insert(name.as_slice().into(), Loaded { source, callbacks });
        for registered in &registered {
            let name = registered.function.name.to_ascii_lowercase();
            self.functions.insert(name.into(), registered.callback);
        }
        let functions = registered.into_iter().map(|registered| registered.function).collect();
        Ok(Library { name, functions })
    }

    /// Loads a library of this name and source, unless that is done.
    ///
    /// # Errors
    /// As `load_library`.
    pub fn see_library(&mut self, name: &[u8], source: &Arc<[u8]>) -> Result<(), Vec<u8>> {
        match self.libraries.get(name) {
            Some(loaded) if Arc::ptr_eq(&loaded.source, source) => Ok(()),
            _ => self.load_shared(source).map(drop),
        }
    }

    /// Forgets a library and its functions, if it is there.
    pub fn drop_library(&mut self, name: &[u8]) {
        if let Some(Loaded { callbacks, .. }) = self.libraries.remove(name) {
            self.functions.retain(|_, callback| !callbacks.contains(callback));
            self.forget(&callbacks);
        }
    }

    /// Forgets all libraries.
    pub(crate) fn forget_libraries(&mut self) {
        self.functions.clear();
        let libraries = std::mem::take(&mut self.libraries).into_values();
        let callbacks: Vec<i32> = libraries.flat_map(|loaded| loaded.callbacks).collect();
        self.forget(&callbacks);
    }

    /// Runs a library's code: what it registers.
    fn register(&mut self, code: &[u8]) -> Result<Vec<Registered>, Vec<u8>> {
        let chunk = self.machine.protected(|stack| {
            stack.compile(code, c"@user_function")?;
            stack.push_view();
            stack.set_environment(-2);
            Ok(stack.keep())
        });
        let chunk = chunk.map_err(|text| [b"ERR Error compiling function: ", &*text].concat())?;
        let ground = self.machine.ground();
        ground.registered.with(Vec::clear);
        ground.stops.set(false);
        ground.doing.set(Doing::Loading(0));
        let ran = self.machine.protected(|stack| {
            stack.push_view();
            show_instead(stack, stack.ground().kept.get().library_globals);
            stack.replace(GLOBALS);
            stack.raw_get_at(REGISTRY, chunk);
            if stack.try_call(0, 0, 0) == Ended::Well {
                return Ok(());
            }
            if stack.kind(-1) != Kind::Table {
                stack.push(b"ERR ");
                stack.insert(-2);
                stack.join(2);
            }
            Err(Raise)
        });
        let shown = self.machine.protected(|stack| {
            stack.push_view();
            show_instead(stack, stack.ground().kept.get().function_globals);
            stack.forget(chunk);
            Ok(())
        });
        debug_assert!(shown.is_ok(), "that takes no memory");
        let ground = self.machine.ground();
        ground.doing.set(Doing::Nothing);
        if ground.stops.replace(false) {
            self.machine.watch();
        }
        let registered = self.machine.ground().registered.with(std::mem::take);
        let ended = match ran {
            Ok(()) if registered.is_empty() => Err(b"ERR No functions registered".to_vec()),
            Ok(()) => return Ok(registered),
            Err(text) => Err([b"ERR Error registering functions: ", &*text].concat()),
        };
        let numbers: Vec<i32> = registered.iter().map(|one| one.callback).collect();
        self.forget(&numbers);
        ended
    }
}

impl Stack {
    /// Pushes the table in which functions find globals.
    fn push_view(&mut self) {
        let view = self.ground().kept.get().function_view;
        self.raw_get_at(REGISTRY, view);
    }
}

/// The name of a library, and where its code begins.
fn read_head(source: &[u8]) -> Result<(Vec<u8>, usize), Vec<u8>> {
    if !source.starts_with(b"#!") {
        return Err(b"ERR Missing library metadata".to_vec());
    }
    let invalid = || b"ERR Invalid library metadata".to_vec();
    let end = memchr::memchr(b'\n', source).ok_or_else(invalid)?;
    let parts = words::split(&source[..end]).ok_or_else(invalid)?;
    let (engine, options) = parts.split_first().ok_or_else(invalid)?;
    let mut name = None;
    for option in options {
        let named = option.get(..5).is_some_and(|mark| mark.eq_ignore_ascii_case(b"name="));
        if !named {
            return Err([b"ERR Invalid metadata value given: ", &option[..]].concat());
        }
        if name.replace(&option[5..]).is_some() {
            let text = "ERR Invalid metadata value, name argument was given multiple times";
            return Err(text.into());
        }
    }
    let name = name.ok_or_else(|| b"ERR Library name was not given".to_vec())?;
    if !is_name(name) {
        return Err(["ERR ", NAME_TEXT].concat().into());
    }
    let language = &engine[2..];
    if !language.eq_ignore_ascii_case(b"lua") {
        return Err([b"ERR Engine '", language, b"' not found"].concat());
    }
    Ok((name.to_vec(), end))
}
