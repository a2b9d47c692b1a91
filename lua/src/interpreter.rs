//! An interpreter: what it has loaded, and how a run of it begins and ends.

use crate::convert::{Speech, write_value};
use crate::globals;
use crate::ground::{Doing, Job, trim};
use crate::json::Settings;
use crate::libraries::Loaded;
use crate::limits::HEAP_BYTES_TIDY;
use crate::machine::Machine;
use crate::run::{Answer, Called, Start, Wish};
use crate::shebang::{self, Flags};
use crate::stack::{GLOBALS, Kind, REGISTRY, Raise, Stack};
use foldhash::fast::RandomState;
use pinion_io::resp::{Protocol, Reply};
use std::collections::HashMap;

/// What a map of names is: they are digests, or come from those who may load libraries.
pub(crate) type Names<T> = HashMap<Box<[u8]>, T, RandomState>;

/// An interpreter of Lua, which runs one script or function at a time. It may move between
/// threads, also while a run of it stands still.
#[derive(Debug)]
pub struct Interpreter {
    pub(crate) machine: Machine,
    scripts: Names<Script>,
    pub(crate) libraries: Names<Loaded>,
    /// The functions of all libraries, by name in lower case: capitals do not tell two apart.
    pub(crate) functions: Names<i32>,
    /// Bytes from which on garbage is collected at the end of a run.
    tidy_at: usize,
}

/// A script that is compiled.
#[derive(Clone, Copy, Debug)]
struct Script {
    function: i32,
    flags: Flags,
}

impl Default for Interpreter {
    fn default() -> Self {
        Self::new()
    }
}

impl Interpreter {
    /// One that has loaded nothing.
    ///
    /// # Panics
    /// If there is no memory for it: some 100 KiB.
    pub fn new() -> Self {
        let mut machine = Machine::new(judge, main, fail);
        let made = machine.protected(globals::make);
        made.expect("a new interpreter has memory for its globals");
        let (scripts, libraries) = (Names::default(), Names::default());
        let functions = Names::default();
        Self { machine, scripts, libraries, functions, tidy_at: HEAP_BYTES_TIDY }
    }

    /// Compiles a script, unless one of this name is: what it says of itself.
    ///
    /// # Errors
    /// The text of the error, its code first.
    pub fn load(&mut self, name: &[u8], source: &[u8]) -> Result<Flags, Vec<u8>> {
        if let Some(script) = self.scripts.get(name) {
            return Ok(script.flags);
        }
        let (flags, start) = shebang::read(source)?;
        let code = &source[start..];
        let function = self.machine.protected(|stack| {
            stack.compile(code, c"@user_script")?;
            let view = stack.ground().kept.get().script_view;
            stack.raw_get_at(REGISTRY, view);
            stack.set_environment(-2);
            Ok(stack.keep())
        });
        let function = function
            .map_err(|text| [b"ERR Error compiling script (new function): ", &*text].concat())?;
        self.scripts.insert(name.into(), Script { function, flags });
        Ok(flags)
    }

    /// Forgets all scripts and all libraries.
    pub fn forget_all(&mut self) {
        let scripts = std::mem::take(&mut self.scripts).into_values();
        let numbers: Vec<i32> = scripts.map(|script| script.function).collect();
        self.forget(&numbers);
        self.forget_libraries();
        self.machine.collect();
    }

    /// Forgets functions, by number.
    pub(crate) fn forget(&mut self, numbers: &[i32]) {
        let forgotten = self.machine.protected(|stack| {
            for number in numbers {
                stack.forget(*number);
            }
            Ok(())
        });
        debug_assert!(forgotten.is_ok(), "to forget takes no memory");
    }

    /// Bytes that its values take, garbage among them.
    pub fn memory_bytes(&self) -> usize {
        self.machine.ground().heap.used.get()
    }

    /// Scripts that are compiled.
    pub fn script_count(&self) -> usize {
        self.scripts.len()
    }

    /// Has all ready for a run.
    pub(crate) fn prepare<'k, K, A>(&mut self, start: Start<'_, K, A>)
    where
        K: IntoIterator<Item = &'k [u8]>,
        A: IntoIterator<Item = &'k [u8]>,
    {
        let Start { name, is_function, keys, arguments, protocol, meter, log } = start;
        let function = if is_function {
            self.functions.get(&*name.to_ascii_lowercase()).copied()
        } else {
            self.scripts.get(name).map(|script| script.function)
        };
        let function = function.expect("what runs is loaded");
        let ground = self.machine.ground();
        let keys = ground.called.with(|called| {
            called.clear();
            keys.into_iter().for_each(|key| called.add(key));
            let keys = called.ranges.len();
            arguments.into_iter().for_each(|argument| called.add(argument));
            keys
        });
        ground.job.set(Job { function, keys });
        ground.name.with(|kept| {
            kept.clear();
            kept.extend_from_slice(name);
        });
        ground.doing.set(if is_function { Doing::Function } else { Doing::Script });
        ground.client.set(protocol);
        ground.script.set(Protocol::Resp2);
        ground.slice.set(0);
        ground.json.set(Settings::default());
        ground.meter.set(Some(meter));
        ground.log.with(|kept| *kept = Some(log));
        ground.fault.with(|fault| fault.line = 0);
        ground.reply.with(Vec::clear);
        if ground.stops.replace(false) {
            self.machine.watch();
        }
    }

    /// Goes on with the run, up to its next wish.
    pub(crate) fn go_on(&mut self, answer: Answer) -> Wish {
        self.machine.go_on(answer)
    }

    /// Ends the run: what it replied.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let ground = self.machine.ground();
        ground.doing.set(Doing::Nothing);
        ground.log.with(|log| *log = None);
        ground.called.with(|called| {
            trim(&mut called.bytes);
            trim(&mut called.reply);
        });
        ground.trim_scratch();
        let reply = ground.reply.with(std::mem::take);
        if ground.heap.used.get() > self.tidy_at {
            self.machine.collect();
            // What is in use stays: to look for garbage again pays once as much has come.
            self.tidy_at = HEAP_BYTES_TIDY.max(self.memory_bytes() * 2);
        }
        reply
    }
}

/// Runs the job, and writes what it returns.
fn main(stack: &mut Stack) -> Result<i32, Raise> {
    let ground = stack.ground();
    let (job, kept) = (ground.job.get(), ground.kept.get());
    let is_function = ground.doing.get() == Doing::Function;
    let view = if is_function { kept.function_view } else { kept.script_view };
    // Where `loadstring` and its like find globals.
    stack.raw_get_at(REGISTRY, view);
    stack.replace(GLOBALS);
    stack.raw_get_at(REGISTRY, job.function);
    ground.called.with(|called| {
        let count = called.ranges.len();
        push_words(stack, called, 0..job.keys);
        push_words(stack, called, job.keys..count);
    });
    if is_function {
        stack.call(2, 1);
    } else {
        stack.raw_get_at(REGISTRY, kept.script_globals);
        stack.insert(-3);
        stack.raw_set_field(-3, "ARGV");
        stack.raw_set_field(-2, "KEYS");
        stack.pop(1);
        stack.call(0, 1);
    }
    let speech = Speech { client: ground.client.get(), script: ground.script.get() };
    ground.reply.with(|reply| write_value(stack, reply, speech))?;
    Ok(0)
}

/// Pushes a table of words.
fn push_words(stack: &mut Stack, called: &Called, words: std::ops::Range<usize>) {
    stack.push_table(words.len(), 0);
    for (index, word) in called.ranges[words].iter().enumerate() {
        stack.push(word.of(&called.bytes));
        stack.raw_set_at(-2, index as i32 + 1);
    }
}

/// Sees an error where it is raised, and notes the place.
fn judge(stack: &mut Stack) -> Result<i32, Raise> {
    let ground = stack.ground();
    let mut level = 1;
    if stack.place(level).is_some_and(|place| place.is_native) {
        level = 2;
    }
    if let Some(place) = stack.place(level) {
        ground.fault.with(|fault| {
            fault.source.clear();
            fault.source.extend_from_slice(place.source);
            fault.line = place.line;
        });
    }
    stack.set_top(1);
    Ok(1)
}

/// Writes the error that is its argument as the reply.
fn fail(stack: &mut Stack) -> Result<i32, Raise> {
    let ground = stack.ground();
    let is_table = stack.kind(1) == Kind::Table;
    if is_table {
        stack.raw_get_field(1, "err");
        if !matches!(stack.kind(-1), Kind::Text | Kind::Number) {
            stack.push(b"ERR unknown error");
        }
    } else {
        describe(stack);
    }
    stack.make_text(-1);
    ground.reply.with(|reply| {
        reply.clear();
        ground.scratch.with(|line| {
            line.clear();
            if !is_table {
                line.extend_from_slice(b"ERR ");
            }
            line.extend_from_slice(stack.text(-1).unwrap_or_default());
            ground.name.with(|name| line.extend_from_slice(&[b" script: ", &name[..]].concat()));
            ground.fault.with(|fault| add_place(line, fault));
            Reply::new(reply, ground.client.get()).error(line);
        });
    });
    Ok(0)
}

/// Appends where an error came from.
fn add_place(line: &mut Vec<u8>, fault: &crate::ground::Fault) {
    if fault.line != 0 {
        line.extend_from_slice(b", on ");
        line.extend_from_slice(&fault.source);
        line.push(b':');
        line.extend_from_slice(itoa::Buffer::new().format(fault.line).as_bytes());
    }
    line.push(b'.');
}

/// Pushes what an error says that is no table.
fn describe(stack: &mut Stack) {
    match stack.kind(1) {
        Kind::Text | Kind::Number => stack.push_value(1),
        Kind::Bool if stack.bool(1) => stack.push(b"true"),
        Kind::Bool => stack.push(b"false"),
        kind => stack.push(kind.name().as_bytes()),
    }
}
