//! Lua's stack, as functions that Lua calls see it.
//!
//! The functions here are safe to call in any order with any index of the stack, as Lua checks
//! what it must where its API is built with checks (it is in tests). Those that say "raises" leave
//! by a jump when memory is used up, over the frames between them and Lua's innermost `pcall`:
//! what these frames own is not dropped but leaks. So nobody holds what is worth dropping across
//! them; buffers lie in `Ground`, which outlives every jump.
//!
//! Errors that are ours return through Rust, as `Raise`, and only the last frame jumps.

use crate::ground::Ground;
use mlua_sys as ffi;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

/// What Lua calls: its arguments are all there is on the stack, and so many of the uppermost
/// values are its results.
pub(crate) type Callback = fn(&mut Stack) -> Result<i32, Raise>;

/// An error, which lies on top of the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raise;

/// The kinds of values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    None,
    Nil,
    Bool,
    Light,
    Number,
    Text,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    /// As Lua's own texts name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Bool => "boolean",
            Self::Light | Self::Userdata => "userdata",
            Self::Number => "number",
            Self::Text => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Thread => "thread",
        }
    }
}

/// How a protected call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Well,
    /// With an error, which lies on top.
    Badly,
    /// For want of memory.
    OutOfMemory,
}

/// Where a function of the stack stands in its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) line: i32,
    pub(crate) is_native: bool,
}

/// A function of Lua's own libraries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native(ffi::lua_CFunction);

/// Opens a library of Lua: its functions become globals.
pub(crate) const BASE: Native = Native(ffi::luaopen_base);
pub(crate) const TABLE: Native = Native(ffi::luaopen_table);
pub(crate) const STRING: Native = Native(ffi::luaopen_string);
pub(crate) const MATH: Native = Native(ffi::luaopen_math);
pub(crate) const OS: Native = Native(ffi::luaopen_os);

/// The registry's index: a table that scripts cannot see.
pub(crate) const REGISTRY: i32 = ffi::LUA_REGISTRYINDEX;
/// The index of the table of globals of this thread.
pub(crate) const GLOBALS: i32 = ffi::LUA_GLOBALSINDEX;

/// The index of the callback's upvalue `number`, which counts from 1.
pub(crate) const fn upvalue(number: i32) -> i32 {
    // The first holds the callback itself.
    ffi::lua_upvalueindex(number + 1)
}

/// The values of the function that runs.
#[derive(Debug)]
pub(crate) struct Stack {
    raw: NonNull<ffi::lua_State>,
}

impl Stack {
    /// The stack of a state.
    ///
    /// # Safety
    /// The state lives, and nobody else uses it as long as this is used.
    pub(crate) unsafe fn of(raw: NonNull<ffi::lua_State>) -> Self {
        Self { raw }
    }

    pub(crate) fn raw(&self) -> *mut ffi::lua_State {
        self.raw.as_ptr()
    }

    /// What the functions of this interpreter share.
    #[inline]
    pub(crate) fn ground(&self) -> &'static Ground {
        let mut found: *mut c_void = std::ptr::null_mut();
        // SAFETY: every state is made with its ground as the allocator's argument (`machine`),
        // which lives until the state is closed; a stack is used only before that.
        unsafe {
            ffi::lua_getallocf(self.raw(), &raw mut found);
            &*found.cast::<Ground>()
        }
    }

    // ---- The stack itself ----

    #[inline]
    pub(crate) fn top(&self) -> i32 {
        // SAFETY: reads.
        unsafe { ffi::lua_gettop(self.raw()) }
    }

    #[inline]
    pub(crate) fn set_top(&mut self, top: i32) {
        // SAFETY: what is added is nil; callers ask for less, or for arguments a few more.
        unsafe { ffi::lua_settop(self.raw(), top) }
    }

    #[inline]
    pub(crate) fn pop(&mut self, count: i32) {
        debug_assert!(count <= self.top(), "what is taken is there");
        self.set_top(-count - 1);
    }

    #[inline]
    pub(crate) fn push_value(&mut self, index: i32) {
        // SAFETY: copies a value.
        unsafe { ffi::lua_pushvalue(self.raw(), index) }
    }

    pub(crate) fn remove(&mut self, index: i32) {
        // SAFETY: moves values.
        unsafe { ffi::lua_remove(self.raw(), index) }
    }

    pub(crate) fn insert(&mut self, index: i32) {
        // SAFETY: moves values.
        unsafe { ffi::lua_insert(self.raw(), index) }
    }

    pub(crate) fn replace(&mut self, index: i32) {
        // SAFETY: moves values.
        unsafe { ffi::lua_replace(self.raw(), index) }
    }

    /// Makes room for so many values; false if there would be too many. Raises.
    #[inline]
    pub(crate) fn reserve(&mut self, count: i32) -> bool {
        // SAFETY: makes room.
        unsafe { ffi::lua_checkstack(self.raw(), count) != 0 }
    }

    // ---- What lies there ----

    #[inline]
    pub(crate) fn kind(&self, index: i32) -> Kind {
        // SAFETY: reads; an index beyond the top is `None`.
        match unsafe { ffi::lua_type(self.raw(), index) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Bool,
            ffi::LUA_TLIGHTUSERDATA => Kind::Light,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::Text,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// The number there, of a number or of a text that reads as one.
    #[inline]
    pub(crate) fn number(&self, index: i32) -> Option<f64> {
        // SAFETY: reads.
        let value = unsafe { ffi::lua_tonumber(self.raw(), index) };
        // SAFETY: reads.
        let is_number = || unsafe { ffi::lua_isnumber(self.raw(), index) != 0 };
        (value != 0.0 || is_number()).then_some(value)
    }

    #[inline]
    pub(crate) fn bool(&self, index: i32) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_toboolean(self.raw(), index) != 0 }
    }

    /// The text there, if it is one.
    #[inline]
    pub(crate) fn text(&self, index: i32) -> Option<&[u8]> {
        if self.kind(index) != Kind::Text {
            return None;
        }
        let mut len = 0;
        // SAFETY: of a text its own bytes are returned. They are collected only once nobody holds
        // it: it lies on the stack, which does not change as long as `self` is lent.
        unsafe {
            let bytes = ffi::lua_tolstring(self.raw(), index, &raw mut len);
            Some(std::slice::from_raw_parts(bytes.cast(), len))
        }
    }

    /// Turns a number there into a text, as Lua prints it. Raises.
    pub(crate) fn make_text(&mut self, index: i32) -> Option<&[u8]> {
        if self.kind(index) == Kind::Number {
            // SAFETY: changes the value in place.
            unsafe { ffi::lua_tolstring(self.raw(), index, std::ptr::null_mut()) };
        }
        self.text(index)
    }

    /// The length of a text or a table.
    pub(crate) fn len(&self, index: i32) -> usize {
        // SAFETY: reads; of a number it might make a text, which callers do not ask for.
        unsafe { ffi::lua_objlen(self.raw(), index) }
    }

    // ---- Pushing ----

    #[inline]
    pub(crate) fn push_nil(&mut self) {
        // SAFETY: room for 20 values is there at the start of a callback, and more is reserved.
        unsafe { ffi::lua_pushnil(self.raw()) }
    }

    #[inline]
    pub(crate) fn push_bool(&mut self, value: bool) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushboolean(self.raw(), c_int::from(value)) }
    }

    #[inline]
    pub(crate) fn push_number(&mut self, value: f64) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushnumber(self.raw(), value) }
    }

    /// Raises.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        // SAFETY: Lua copies the bytes.
        unsafe { ffi::lua_pushlstring_(self.raw(), text.as_ptr().cast(), text.len()) }
    }

    /// A text in pieces. Raises.
    pub(crate) fn push_joined(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.push(piece);
        }
        self.join(pieces.len() as i32);
    }

    /// Joins so many texts on top into one. Raises, also where they are no texts.
    pub(crate) fn join(&mut self, count: i32) {
        // SAFETY: so many values lie there.
        unsafe { ffi::lua_concat(self.raw(), count) };
    }

    /// A pointer as a value, which only says what it is.
    pub(crate) fn push_light(&mut self, mark: &'static u8) {
        // SAFETY: it is never read through.
        unsafe { ffi::lua_pushlightuserdata(self.raw(), (&raw const *mark).cast_mut().cast()) }
    }

    /// True if that pointer lies there.
    #[inline]
    pub(crate) fn is_light(&self, index: i32, mark: &'static u8) -> bool {
        // SAFETY: reads; null where there is no userdata.
        let found = unsafe { ffi::lua_touserdata(self.raw(), index) };
        std::ptr::eq(found.cast::<u8>(), mark) && self.kind(index) == Kind::Light
    }

    /// A null pointer as a value (`cjson.null`).
    pub(crate) fn push_null(&mut self) {
        // SAFETY: it is never read through.
        unsafe { ffi::lua_pushlightuserdata(self.raw(), std::ptr::null_mut()) }
    }

    /// True if a null pointer lies there.
    pub(crate) fn is_null(&self, index: i32) -> bool {
        // SAFETY: reads.
        self.kind(index) == Kind::Light
            && unsafe { ffi::lua_touserdata(self.raw(), index) }.is_null()
    }

    /// A function, which closes over the `upvalues` uppermost values. Raises.
    pub(crate) fn push_callback(&mut self, callback: Callback, upvalues: i32) {
        // SAFETY: `enter` finds the function where it is put here.
        unsafe {
            ffi::lua_pushlightuserdata(self.raw(), callback as *mut c_void);
            ffi::lua_insert(self.raw(), -1 - upvalues);
            ffi::lua_pushcclosure(self.raw(), enter, upvalues + 1);
        }
    }

    // ---- Tables ----

    /// Raises.
    #[inline]
    pub(crate) fn push_table(&mut self, items: usize, fields: usize) {
        let bounded = |count: usize| count.min(1 << 20) as c_int;
        // SAFETY: makes a table.
        unsafe { ffi::lua_createtable(self.raw(), bounded(items), bounded(fields)) }
    }

    /// Replaces the key on top with its value, without metamethods.
    #[inline]
    pub(crate) fn raw_get(&mut self, index: i32) {
        debug_assert_eq!(self.kind(index), Kind::Table);
        // SAFETY: a table is there.
        unsafe { ffi::lua_rawget_(self.raw(), index) }
    }

    #[inline]
    pub(crate) fn raw_get_at(&mut self, index: i32, item: i32) {
        debug_assert_eq!(self.kind(index), Kind::Table);
        // SAFETY: a table is there.
        unsafe { ffi::lua_rawgeti_(self.raw(), index, item) }
    }

    /// Pushes the field of this name. Raises.
    pub(crate) fn raw_get_field(&mut self, index: i32, name: &str) {
        let index = self.absolute(index);
        self.push(name.as_bytes());
        self.raw_get(index);
    }

    /// Sets the key below the top to the value on top. Raises; the key is neither nil nor a NaN.
    #[inline]
    pub(crate) fn raw_set(&mut self, index: i32) {
        debug_assert_eq!(self.kind(index), Kind::Table);
        // SAFETY: a table is there.
        unsafe { ffi::lua_rawset(self.raw(), index) }
    }

    /// Raises.
    #[inline]
    pub(crate) fn raw_set_at(&mut self, index: i32, item: i32) {
        debug_assert_eq!(self.kind(index), Kind::Table);
        // SAFETY: a table is there.
        unsafe { ffi::lua_rawseti_(self.raw(), index, item) }
    }

    /// Sets the field of this name to the value on top. Raises.
    pub(crate) fn raw_set_field(&mut self, index: i32, name: &str) {
        let index = self.absolute(index);
        self.push(name.as_bytes());
        self.insert(-2);
        self.raw_set(index);
    }

    /// Replaces the key on top with the next key and its value; takes it away where there is none.
    ///
    /// # Errors
    /// There is no such key.
    pub(crate) fn next(&mut self, index: i32) -> bool {
        debug_assert_eq!(self.kind(index), Kind::Table);
        // SAFETY: a table is there. An unknown key raises an error of Lua.
        unsafe { ffi::lua_next(self.raw(), index) != 0 }
    }

    /// False if a table holds nothing beyond its items from 1 on, as far as that is quickly seen.
    pub(crate) fn has_fields(&mut self, index: i32) -> bool {
        let index = self.absolute(index);
        match self.len(index) {
            0 => self.push_nil(),
            len => self.push_number(len as f64),
        }
        let found = self.next(index);
        if found {
            self.pop(2);
        }
        found
    }

    /// Pushes the metatable of a value, if it has one.
    #[inline]
    pub(crate) fn metatable(&mut self, index: i32) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_getmetatable(self.raw(), index) != 0 }
    }

    /// Gives a value the metatable on top, or none for nil.
    pub(crate) fn set_metatable(&mut self, index: i32) {
        // SAFETY: callers have put a table or nil on top.
        unsafe { ffi::lua_setmetatable(self.raw(), index) };
    }

    /// Gives the function at `index` the globals on top.
    pub(crate) fn set_environment(&mut self, index: i32) {
        // SAFETY: a table is on top.
        unsafe { ffi::lua_setfenv(self.raw(), index) };
    }

    /// The index counted from the bottom.
    pub(crate) fn absolute(&self, index: i32) -> i32 {
        if index > 0 || index <= REGISTRY { index } else { self.top() + index + 1 }
    }

    /// Takes the value on top and keeps it; its number. Raises.
    pub(crate) fn keep(&mut self) -> i32 {
        // SAFETY: the registry is Lua's own.
        unsafe { ffi::luaL_ref(self.raw(), REGISTRY) }
    }

    /// Forgets what was kept.
    pub(crate) fn forget(&mut self, number: i32) {
        // SAFETY: as above.
        unsafe { ffi::luaL_unref(self.raw(), REGISTRY, number) }
    }

    // ---- Calling ----

    /// Calls the function below its arguments; it may stand still, and raise.
    #[inline]
    pub(crate) fn call(&mut self, arguments: i32, results: i32) {
        // SAFETY: a function is there; errors jump over our frames, which own nothing.
        unsafe { ffi::lua_call(self.raw(), arguments, results) }
    }

    /// Calls the function below its arguments, with the function at `judge` to see errors first.
    #[inline]
    pub(crate) fn try_call(&mut self, arguments: i32, results: i32, judge: i32) -> Ended {
        // SAFETY: errors end here.
        match unsafe { ffi::lua_pcall(self.raw(), arguments, results, judge) } {
            ffi::LUA_OK => Ended::Well,
            ffi::LUA_ERRMEM => Ended::OutOfMemory,
            _ => Ended::Badly,
        }
    }

    /// Pushes what `source` compiles to, or a text that says why it does not: false. Raises
    /// nothing: it is a protected call. What is compiled already is refused.
    pub(crate) fn compile(&mut self, source: &[u8], name: &CStr) -> Result<(), Raise> {
        if source.first() == Some(&ffi::LUA_SIGNATURE[0]) {
            let short = name.to_str().unwrap_or_default().trim_start_matches(['@', '=']);
            return Err(self.refuse(&[short, ": what is compiled already is not loaded"]));
        }
        // SAFETY: the bytes are read while they are lent.
        let status = unsafe {
            ffi::luaL_loadbuffer(self.raw(), source.as_ptr().cast(), source.len(), name.as_ptr())
        };
        if status == ffi::LUA_OK { Ok(()) } else { Err(Raise) }
    }

    /// Pushes a function of Lua's own libraries.
    pub(crate) fn push_native(&mut self, function: Native) {
        // SAFETY: it is one of those that `natives` knows.
        unsafe { ffi::lua_pushcclosure(self.raw(), function.0, 0) };
    }

    /// Does what a function of Lua's own libraries does, with the arguments of this one.
    pub(crate) fn go_native(&mut self, function: Native) -> i32 {
        // SAFETY: it is such a function, and sees the same stack as this one.
        unsafe { function.0(self.raw()) }
    }

    /// The function of C that lies there, if it closes over nothing.
    pub(crate) fn native(&self, index: i32) -> Option<Native> {
        // SAFETY: reads.
        unsafe { ffi::lua_tocfunction(self.raw(), index) }.map(Native)
    }

    /// Puts a text that is an error in the place of all values, in pieces. Raises.
    pub(crate) fn refuse(&mut self, pieces: &[&str]) -> Raise {
        self.set_top(0);
        for piece in pieces {
            self.push(piece.as_bytes());
        }
        self.join(pieces.len() as i32);
        Raise
    }

    /// Where the function `level` frames up stands: 0 is the one that runs.
    pub(crate) fn place(&self, level: i32) -> Option<Place<'_>> {
        // SAFETY: Lua fills what it says it fills; the texts live as long as the function.
        unsafe {
            let mut found: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw(), level, &raw mut found) == 0 {
                return None;
            }
            if ffi::lua_getinfo(self.raw(), c"Sl".as_ptr(), &raw mut found) == 0 {
                return None;
            }
            let what = CStr::from_ptr(found.what);
            let source = CStr::from_ptr(found.source).to_bytes();
            let is_native = what.to_bytes() == b"C";
            Some(Place { source, line: found.currentline, is_native })
        }
    }

    /// Puts an error of the function `level` frames up in the place of all values: where that
    /// stands, and a text in pieces. Raises.
    pub(crate) fn refuse_at(&mut self, level: i32, pieces: &[&[u8]]) -> Raise {
        let count = pieces.len() as i32;
        // There may be no room for more where an error is that there is none.
        self.set_top(0);
        // SAFETY: pushes a text.
        unsafe { ffi::luaL_where(self.raw(), level) };
        for piece in pieces {
            self.push(piece);
        }
        self.join(count + 1);
        Raise
    }

    /// Lua's own error for a wrong argument. Raises.
    pub(crate) fn bad_argument(&mut self, number: i32, text: &[u8]) -> Raise {
        let mut name: &[u8] = b"?";
        // SAFETY: Lua fills what it says it fills; the name lives as long as the function.
        unsafe {
            let mut found: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.raw(), 0, &raw mut found) != 0 {
                ffi::lua_getinfo(self.raw(), c"n".as_ptr(), &raw mut found);
                if !found.name.is_null() {
                    name = CStr::from_ptr(found.name).to_bytes();
                }
            }
        }
        let number = itoa::Buffer::new().format(number).to_owned();
        self.refuse_at(
            1,
            &[b"bad argument #", number.as_bytes(), b" to '", name, b"' (", text, b")"],
        )
    }

    /// Lua's own error for an argument of a wrong kind. Raises.
    pub(crate) fn bad_kind(&mut self, number: i32, expected: &str) -> Raise {
        let found = self.kind(number).name();
        let text = [expected, " expected, got ", found].concat();
        self.bad_argument(number, text.as_bytes())
    }

    /// Collects garbage: all of it.
    pub(crate) fn collect(&mut self) {
        // SAFETY: raises nothing, as nothing here has finalizers.
        unsafe { ffi::lua_gc(self.raw(), ffi::LUA_GCCOLLECT, 0) };
    }
}

/// Where Lua enters a callback.
unsafe extern "C-unwind" fn enter(raw: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua calls this only for closures made by `push_callback`, with a state that lives,
    // and uses nothing of it meanwhile. When the error is thrown no frame of ours is left.
    unsafe {
        let callback = ffi::lua_touserdata(raw, ffi::lua_upvalueindex(1));
        let callback = std::mem::transmute::<*mut c_void, Callback>(callback);
        match callback(&mut Stack { raw: NonNull::new_unchecked(raw) }) {
            Ok(results) => results,
            Err(Raise) => ffi::lua_error(raw),
        }
    }
}
