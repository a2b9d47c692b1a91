//! Scripts and functions on a shard: one whose keys live here runs as one command.
//!
//! ```text
//! home      knows whether a script keeps to the shard of its keys (`Script::keeps_to_shard`)
//! if so     sends it there as one command; each call of it is run at once        local.rs
//! if not    runs it itself, as a transaction that has locked what it needs: the commands of it
//!           travel, each as one more step (`Coordinator::call`)
//! ```
//!
//! A script says nowhere what it will do. So the first runs of each lock all shards, and are looked
//! at. What touched no shard but that of its keys may run there from then on, if it writes nothing
//! or its keys are tied to others by a tag; the rest goes on as it began. One that then strays
//! after all has its run here undone, by ending it, as long as it has written nothing, and is run
//! at home; after its first write it hears an error. In either case that is remembered.
//!
//! One that takes long stands still now and then (`step_script`): the core does other things
//! meanwhile, and nobody touches the shard.

mod local;

use crate::commands::{Args, Flags as RowFlags, Row};
use crate::limits::{INTERPRETERS_KEPT_MAX, SCRIPTS_COMPILED_MAX};
use crate::shard::Millis;
use pinion_io::resp::{Protocol, Reply};
use pinion_lua::{Flags, Interpreter, Run, Start};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

pub(crate) use local::Slow;
pub use local::{Tempo, digest};

/// A script or a function, as all shards know it.
#[derive(Debug)]
pub struct Script {
    /// The digest of a script in 40 hexadecimal digits, or the name of a function.
    pub name: Box<[u8]>,
    /// The source of a script, or of the library that has the function.
    pub source: Arc<[u8]>,
    /// The library of a function.
    pub library: Option<Box<[u8]>>,
    /// What it says of itself.
    pub flags: Flags,
    /// What was seen of it.
    pub nature: Box<dyn Nature>,
}

/// What was seen of a script on all shards.
pub trait Nature: Debug + Send + Sync {
    /// True if it was seen to do this.
    fn has_strayed(&self, how: Stray) -> bool;
    /// Notes that it did.
    fn note_stray(&self, how: Stray);
    /// True if it ran often enough, as it should, to be believed.
    fn is_tried(&self) -> bool;
    /// Notes a run in which it did not stray.
    fn note_orderly(&self);
}

/// What a script was seen to do beyond its keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stray {
    /// It touches keys that it was not given.
    Keys = 1,
    /// It needs more than the shards of the keys that it was given.
    Shards = 3,
}

impl Script {
    /// True if it may run on the one shard of its keys, of so many shards.
    pub fn keeps_to_shard(&self, shards: usize) -> bool {
        !self.nature.has_strayed(Stray::Shards) && (shards == 1 || self.nature.is_tried())
    }

    /// True if it needs no locks but those of its keys.
    pub fn keeps_to_keys(&self) -> bool {
        !self.nature.has_strayed(Stray::Keys) && self.nature.is_tried()
    }

    /// True if it writes nothing when a command of this row runs it.
    pub fn reads(&self, row: &Row) -> bool {
        row.flags.has(RowFlags::READONLY) || self.flags.no_writes
    }

    /// True if it is a function.
    pub fn is_function(&self) -> bool {
        self.library.is_some()
    }

    /// What ends it when it is killed, in Redis's words, which its clients know.
    pub fn killed_text(&self) -> &'static str {
        match self.library {
            None => "Script killed by user with SCRIPT KILL.",
            Some(_) => "Script killed by user with FUNCTION KILL.",
        }
    }
}

/// What the scripts of all shards share.
pub trait Library: Debug + Send + Sync {
    /// The script of this digest, or the function of this name.
    fn script(&self, name: &[u8], is_function: bool) -> Option<Arc<Script>>;
    /// Finds what a script calls; `reads` says that it may not write.
    ///
    /// # Errors
    /// The line that it hears instead.
    fn find(&self, args: &Args<'_>, reads: bool) -> Result<Callee, Vec<u8>>;
    /// True if there is a command of this name.
    fn knows(&self, args: &Args<'_>) -> bool;
    /// Runs a command that looks at nothing but its words, the time and the script's database;
    /// false if it is not one of these.
    fn run_own(&self, args: &Args<'_>, at: (Millis, &mut u16), reply: &mut Reply<'_>) -> bool;
    /// Writes to the log what a script has to say.
    fn log(&self, level: u8, text: &[u8]);
    /// Changes whenever scripts or functions are forgotten.
    fn epoch(&self) -> u64;
}

/// What a script calls.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A command of shards.
    Shard(&'static Row),
    /// Something else that the server knows.
    Home,
}

/// The interpreters of a shard: one, and more while runs stand still.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    library: Option<Arc<dyn Library>>,
    /// What of the library was asked for, scripts and functions, so that shards do not meet there.
    known: [HashMap<Box<[u8]>, Arc<Script>>; 2],
    /// They are as of then (`Library::epoch`).
    known_epoch: u64,
    idle: Vec<Kept>,
    /// The run here that takes long.
    slow: Option<Box<Slow>>,
}

/// An interpreter that runs nothing.
#[derive(Debug)]
struct Kept {
    interpreter: Box<Interpreter>,
    /// What it has loaded is as of then (`Library::epoch`).
    epoch: u64,
}

impl Scripts {
    pub(crate) fn set_library(&mut self, library: Arc<dyn Library>) {
        self.library = Some(library);
    }

    /// A script or function of the library.
    fn script(&mut self, name: &[u8], is_function: bool) -> Option<Arc<Script>> {
        let library = self.library.as_ref()?;
        let epoch = library.epoch();
        let known = &self.known[usize::from(is_function)];
        if self.known_epoch == epoch
            && let Some(script) = known.get(name)
        {
            return Some(Arc::clone(script));
        }
        let script = library.script(name, is_function)?;
        if self.known_epoch != epoch || known.len() >= SCRIPTS_COMPILED_MAX {
            self.known.iter_mut().for_each(HashMap::clear);
            self.known_epoch = epoch;
        }
        self.known[usize::from(is_function)].insert(name.into(), Arc::clone(&script));
        Some(script)
    }

    /// An interpreter that knows nothing which has been forgotten.
    fn take(&mut self) -> Kept {
        let epoch = self.library.as_ref().map_or(0, |library| library.epoch());
        let mut kept = self
            .idle
            .pop()
            .unwrap_or_else(|| Kept { interpreter: Box::new(Interpreter::new()), epoch });
        // Scripts that were run once would stay for ever.
        let is_full = kept.interpreter.script_count() >= SCRIPTS_COMPILED_MAX;
        if kept.epoch != epoch || is_full {
            kept.interpreter.forget_all();
            kept.epoch = epoch;
        }
        kept
    }

    fn keep(&mut self, kept: Kept) {
        if self.idle.len() < INTERPRETERS_KEPT_MAX {
            self.idle.push(kept);
        }
    }

    /// Bytes of the interpreters that run nothing.
    pub(crate) fn bytes(&self) -> usize {
        self.idle.iter().map(|kept| kept.interpreter.memory_bytes()).sum()
    }

    /// Compiles a script, to know what it says of itself.
    ///
    /// # Errors
    /// The text of the error.
    pub(crate) fn compile(&mut self, name: &[u8], source: &[u8]) -> Result<Flags, Vec<u8>> {
        let mut kept = self.take();
        let flags = kept.interpreter.load(name, source);
        self.keep(kept);
        flags
    }

    /// Has an interpreter ready to run a script with the words of a request.
    ///
    /// # Errors
    /// The text of the error.
    pub(crate) fn begin(
        &mut self,
        script: &Script,
        args: &Args<'_>,
        (protocol, meter): (Protocol, fn() -> u64),
    ) -> Result<Run, Vec<u8>> {
        let mut kept = self.take();
        let library = self.library.clone();
        let log = move |level: u8, text: &[u8]| {
            if let Some(library) = &library {
                library.log(level, text);
            }
        };
        let loaded = match &script.library {
            None => kept.interpreter.load(&script.name, &script.source).map(drop),
            Some(library) => kept.interpreter.see_library(library, &script.source),
        };
        if let Err(text) = loaded {
            self.keep(kept);
            return Err(text);
        }
        let keys = keys_of(args);
        let start = Start {
            name: &script.name,
            is_function: script.library.is_some(),
            keys: args.from(3).take(keys),
            arguments: args.from(3).skip(keys),
            protocol,
            meter,
            log: Box::new(log),
        };
        Ok(Run::new(kept.interpreter, kept.epoch, start))
    }

    /// Takes the interpreter of a run back that has ended; what it replied.
    pub(crate) fn end(&mut self, run: Run) -> Vec<u8> {
        let (interpreter, epoch, reply) = run.into_parts();
        self.keep(Kept { interpreter, epoch });
        reply
    }
}

/// How many keys the words of a request name, which were looked at before.
pub(crate) fn keys_of(args: &Args<'_>) -> usize {
    let keys = args.try_at(2).and_then(crate::commands::parse_int);
    keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(0)
}
