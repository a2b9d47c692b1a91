//! What the functions of one interpreter share, and its owner with them.
//!
//! A jump out of a function (`stack`) leaves all here as it was at that moment, so each part is
//! set anew where it is used next.

use crate::fiber::Link;
use crate::held::Held;
use crate::json::Settings;
use crate::libraries::Registered;
use crate::limits::BUFFER_BYTES_KEPT;
use crate::random::Random;
use crate::run::Called;
use mlua_sys::lua_State;
use pinion_io::resp::Protocol;
use std::cell::Cell;
use std::ptr::NonNull;

/// What tells of a script's own words.
pub(crate) type Log = Box<dyn Fn(u8, &[u8]) + Send>;

/// What an interpreter does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Doing {
    #[default]
    Nothing,
    Script,
    Function,
    /// Loads a library, which has had so many instructions.
    Loading(u32),
}

/// What is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Job {
    /// The function's number.
    pub(crate) function: i32,
    /// How many of the words are keys.
    pub(crate) keys: usize,
}

/// Values that are kept for the life of an interpreter, by number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// The globals of scripts, and those that may be seen of them.
    pub(crate) script_globals: i32,
    pub(crate) script_view: i32,
    /// Those of functions, what may be seen of them, and what libraries see there as they load.
    pub(crate) function_globals: i32,
    pub(crate) function_view: i32,
    pub(crate) library_globals: i32,
}

/// Bytes that Lua has.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    pub(crate) used: Cell<usize>,
    pub(crate) max: Cell<usize>,
    /// The thread of Lua whose next instruction looks at the time after much was allocated.
    pub(crate) main: Cell<Option<NonNull<lua_State>>>,
}

/// Where an error came from.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    pub(crate) source: Vec<u8>,
    pub(crate) line: i32,
}

/// The common ground.
#[derive(Default)]
pub(crate) struct Ground {
    pub(crate) heap: Heap,
    pub(crate) link: Link,
    pub(crate) doing: Cell<Doing>,
    pub(crate) job: Cell<Job>,
    pub(crate) kept: Cell<Kept>,
    /// The run is to end, and nothing may catch that.
    pub(crate) stops: Cell<bool>,
    /// When this part of the run was first looked at; 0 for not yet.
    pub(crate) slice: Cell<u64>,
    pub(crate) meter: Cell<Option<fn() -> u64>>,
    /// The words of the run; then those of what it calls, and the reply.
    pub(crate) called: Held<Called>,
    /// What the run replies.
    pub(crate) reply: Held<Vec<u8>>,
    /// A text in the making.
    pub(crate) scratch: Held<Vec<u8>>,
    /// A piece of such a text.
    pub(crate) piece: Held<Vec<u8>>,
    /// The digest or the name of what runs.
    pub(crate) name: Held<Vec<u8>>,
    pub(crate) fault: Held<Fault>,
    /// What the client speaks.
    pub(crate) client: Cell<Protocol>,
    /// What the script does.
    pub(crate) script: Cell<Protocol>,
    pub(crate) log: Held<Option<Log>>,
    pub(crate) json: Cell<Settings>,
    pub(crate) random: Cell<Random>,
    /// What the library that is loaded has registered.
    pub(crate) registered: Held<Vec<Registered>>,
}

impl Ground {
    /// Gives back what a text in the making took, if that was much.
    pub(crate) fn trim_scratch(&self) {
        self.scratch.with(trim);
        self.piece.with(trim);
    }
}

/// Empties a buffer, and gives its memory back if that is much.
pub(crate) fn trim(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_BYTES_KEPT {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("heap", &self.heap).finish_non_exhaustive()
    }
}
