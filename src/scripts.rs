//! The scripts and functions that all shards know, and what they may call.

use crate::commands::{FindError, Found, find};
use crate::dispatch::NO_MEMORY;
use crate::ledger::Ledger;
use pinion_io::resp::Reply;
use pinion_lua::{Flags, Interpreter};
use pinion_shards::Millis;
use pinion_shards::commands::{Args, Flags as RowFlags, parse_int};
use pinion_shards::scripts::{Callee, Library, Nature, Script, Stray, Tempo};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs of a script that lock all shards, before it is believed to keep to the shard of its keys.
const TRIAL_RUNS: u32 = 8;
/// Scripts of EVAL that are kept; those of SCRIPT LOAD are, whatever their number.
const EVALS_KEPT_MAX: usize = 500;

/// What all cores know of scripts.
#[derive(Debug)]
pub struct Scripts {
    known: Mutex<Known>,
    /// Changes whenever something is forgotten.
    epoch: AtomicU64,
    ledger: Arc<Ledger>,
    /// Databases there are, which SELECT may name.
    databases: AtomicU64,
    /// By core: the script there that takes long, if there is one.
    slow: Mutex<Vec<Option<Tempo>>>,
    /// By core: a script keeps its keys for longer than others should wait, 1, or a function, 2.
    busy: Box<[AtomicU8]>,
    /// The same of all.
    any_busy: AtomicU8,
    /// Times that somebody wanted scripts, or functions, that take long to end.
    kills: [AtomicU64; 2],
    evicted: AtomicU64,
}

/// Scripts, or functions, by name.
type Named = HashMap<Box<[u8]>, Arc<Script>>;

#[derive(Debug, Default)]
struct Known {
    scripts: Named,
    /// Those that only EVAL has named, by age.
    evals: VecDeque<Box<[u8]>>,
    libraries: BTreeMap<Box<[u8]>, Arc<Functions>>,
    functions: Named,
}

/// A library of functions.
#[derive(Debug)]
pub struct Functions {
    /// What it says of itself.
    pub library: pinion_lua::Library,
    /// Its source.
    pub source: Arc<[u8]>,
}

/// Figures of what is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Scripts.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Libraries.
    pub libraries: usize,
    /// Their functions.
    pub functions: usize,
    /// Their bytes.
    pub library_bytes: u64,
    /// Scripts that were forgotten to make room.
    pub evicted: u64,
}

/// How libraries meet others of their name that are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meet {
    /// They may not.
    Refuse,
    /// They take their place.
    Replace,
    /// All others go before.
    Flush,
}

/// What was seen of a script, counted by all cores.
#[derive(Debug, Default)]
struct Seen {
    orderly: AtomicU32,
    /// Bits of `Stray`.
    strays: AtomicU32,
}

impl Nature for Seen {
    fn has_strayed(&self, how: Stray) -> bool {
        self.strays.load(Ordering::Relaxed) & how as u32 == how as u32
    }

    fn note_stray(&self, how: Stray) {
        self.strays.fetch_or(how as u32, Ordering::Relaxed);
    }

    fn is_tried(&self) -> bool {
        self.orderly.load(Ordering::Relaxed) >= TRIAL_RUNS
    }

    fn note_orderly(&self) {
        if !self.is_tried() {
            self.orderly.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A script of which nothing is known yet.
pub fn new_script(
    name: &[u8],
    source: Arc<[u8]>,
    library: Option<Box<[u8]>>,
    flags: Flags,
) -> Script {
    Script { name: name.into(), source, library, flags, nature: Box::new(Seen::default()) }
}

/// Why no script was ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotKilled {
    /// None takes long.
    NotBusy,
    /// What takes long has written.
    Unkillable,
}

impl Scripts {
    /// None yet, on so many cores.
    pub fn new(cores: usize, ledger: Arc<Ledger>) -> Self {
        Self {
            known: Mutex::default(),
            epoch: AtomicU64::new(0),
            ledger,
            databases: AtomicU64::new(0),
            slow: Mutex::new(vec![None; cores]),
            busy: (0..cores).map(|_| AtomicU8::new(0)).collect(),
            any_busy: AtomicU8::new(0),
            kills: Default::default(),
            evicted: AtomicU64::new(0),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slow(&self) -> MutexGuard<'_, Vec<Option<Tempo>>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the number of databases.
    pub fn follow(&self, databases: u64) {
        self.databases.store(databases, Ordering::Relaxed);
    }

    /// Adds a script, for good if it was `loaded` and not only run.
    pub fn add(&self, script: Script, loaded: bool) -> Arc<Script> {
        let mut known = self.known();
        let name = script.name.clone();
        if let Some(script) = known.scripts.get(&name).map(Arc::clone) {
            if loaded {
                known.evals.retain(|eval| *eval != name);
            }
            return script;
        }
        let script = Arc::new(script);
        known.scripts.insert(name.clone(), Arc::clone(&script));
        if !loaded {
            known.evals.push_back(name);
        }
        if known.evals.len() > EVALS_KEPT_MAX
            && let Some(oldest) = known.evals.pop_front()
        {
            known.scripts.remove(&oldest);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        script
    }

    /// Forgets all scripts, but no functions.
    pub fn flush(&self) {
        let mut known = self.known();
        let old = (std::mem::take(&mut known.scripts), std::mem::take(&mut known.evals));
        self.epoch.fetch_add(1, Ordering::Relaxed);
        drop((known, old));
    }

    /// Adds libraries, all or none: the name of the last.
    ///
    /// # Errors
    /// The text of the error.
    pub fn add_libraries(&self, sources: &[&[u8]], meet: Meet) -> Result<Vec<u8>, Vec<u8>> {
        let mut read = Vec::new();
        for &source in sources {
            let source: Arc<[u8]> = source.into();
            let library = Interpreter::new().load_library(&source)?;
            read.push(Arc::new(Functions { library, source }));
        }
        let mut known = self.known();
        let mut libraries = match meet {
            Meet::Flush => BTreeMap::new(),
            Meet::Refuse | Meet::Replace => known.libraries.clone(),
        };
        let mut last = Vec::new();
        for library in read {
            let name = library.library.name.clone();
            let old = libraries.insert(name.clone().into(), library);
            if old.is_some() && meet == Meet::Refuse {
                return Err([b"ERR Library '", &*name, b"' already exists"].concat());
            }
            last = name;
        }
        let functions = functions_of(&libraries, &known.functions)?;
        (known.libraries, known.functions) = (libraries, functions);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        Ok(last)
    }

    /// Forgets a library; false if there is none of this name.
    pub fn drop_library(&self, name: &[u8]) -> bool {
        let mut known = self.known();
        let Some(library) = known.libraries.remove(name) else { return false };
        for function in &library.library.functions {
            known.functions.remove(&*function.name.to_ascii_lowercase());
        }
        self.epoch.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Forgets all libraries.
    pub fn flush_libraries(&self) {
        let mut known = self.known();
        known.libraries.clear();
        known.functions.clear();
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// All libraries, by name.
    pub fn libraries(&self) -> Vec<Arc<Functions>> {
        self.known().libraries.values().map(Arc::clone).collect()
    }

    /// Figures, for INFO.
    pub fn figures(&self) -> Figures {
        let known = self.known();
        let bytes = known.scripts.values().map(|script| script.source.len() + script.name.len());
        let library_bytes = known.libraries.values().map(|library| library.source.len());
        Figures {
            count: known.scripts.len(),
            bytes: bytes.sum::<usize>() as u64,
            libraries: known.libraries.len(),
            functions: known.functions.len(),
            library_bytes: library_bytes.sum::<usize>() as u64,
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// Notes how far the script of a core is that takes long, and whether others are to hear that
    /// now: after `patience` milliseconds.
    pub fn note_slow(&self, core: usize, tempo: Option<Tempo>, now: Millis, patience: Millis) {
        let mut slow = self.slow();
        slow[core] = tempo;
        let late = |tempo: &&Tempo| now.saturating_sub(tempo.began) >= patience;
        let mark = |tempo: &Tempo| 1 + u8::from(tempo.script.is_function());
        let for_all = slow.iter().flatten().filter(late).find(|tempo| tempo.is_for_all).map(mark);
        let mut any = 0;
        for (busy, tempo) in self.busy.iter().zip(&*slow) {
            let own = tempo.as_ref().filter(late).map(mark);
            let own = for_all.or(own).unwrap_or(0);
            busy.store(own, Ordering::Relaxed);
            any = any.max(own);
        }
        self.any_busy.store(any, Ordering::Relaxed);
    }

    /// What is said to whom a script on this core keeps waiting, or on any, in Redis's words, which
    /// its clients know.
    #[inline]
    pub fn busy_text(&self, core: Option<usize>) -> Option<&'static str> {
        let mark = core.map_or(&self.any_busy, |core| &self.busy[core]);
        match mark.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                 NOSAVE.",
            ),
            _ => Some(
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
                 NOSAVE.",
            ),
        }
    }

    /// Has the scripts, or functions, end that take long.
    ///
    /// # Errors
    /// There is none, or one that cannot be ended.
    pub fn kill(&self, is_function: bool) -> Result<(), NotKilled> {
        let slow = self.slow();
        let mut of_kind =
            slow.iter().flatten().filter(|tempo| tempo.script.is_function() == is_function);
        let Some(first) = of_kind.next() else { return Err(NotKilled::NotBusy) };
        if first.wrote && of_kind.all(|tempo| tempo.wrote) {
            return Err(NotKilled::Unkillable);
        }
        self.kills[usize::from(is_function)].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The one that takes longest.
    pub fn slowest(&self) -> Option<Tempo> {
        self.slow().iter().flatten().min_by_key(|tempo| tempo.began).cloned()
    }

    /// How often scripts, and functions, were to end.
    pub fn kills(&self) -> [u64; 2] {
        [0, 1].map(|kind: usize| self.kills[kind].load(Ordering::Relaxed))
    }
}

/// The functions of all libraries, each once; what is known of one that stays is kept.
fn functions_of(
    libraries: &BTreeMap<Box<[u8]>, Arc<Functions>>,
    known: &Named,
) -> Result<Named, Vec<u8>> {
    let mut functions = HashMap::new();
    for (name, library) in libraries {
        for function in &library.library.functions {
            // Whatever the case in which it is called.
            let called = function.name.to_ascii_lowercase();
            let stays = known
                .get(&*function.name)
                .filter(|known| Arc::ptr_eq(&known.source, &library.source));
            let script = stays.map_or_else(
                || {
                    let source = Arc::clone(&library.source);
                    Arc::new(new_script(&called, source, Some(name.clone()), function.flags))
                },
                Arc::clone,
            );
            if functions.insert(called.into(), script).is_some() {
                return Err([b"ERR Function ", &*function.name, b" already exists"].concat());
            }
        }
    }
    Ok(functions)
}

impl Library for Scripts {
    fn script(&self, name: &[u8], is_function: bool) -> Option<Arc<Script>> {
        let known = self.known();
        match is_function {
            true => known.functions.get(&*name.to_ascii_lowercase()).map(Arc::clone),
            false => known.scripts.get(name).map(Arc::clone),
        }
    }

    fn find(&self, args: &Args<'_>, reads: bool) -> Result<Callee, Vec<u8>> {
        let line = |text: &str| format!("-{text}\r\n").into_bytes();
        let found = find(args).map_err(|error| match error {
            FindError::SubcommandMissing(_) => {
                line("ERR Wrong number of args calling Redis command from script")
            }
            _ => line("ERR Unknown Redis command called from script"),
        })?;
        let row = found.row();
        if !row.accepts(args.len()) {
            return Err(line("ERR Wrong number of args calling Redis command from script"));
        }
        if row.flags.has(RowFlags::NOSCRIPT) {
            return Err(line("ERR This Redis command is not allowed from script"));
        }
        if reads && row.flags.has(RowFlags::WRITE) {
            return Err(line("ERR Write commands are not allowed from read-only scripts."));
        }
        if row.flags.has(RowFlags::DENYOOM) && self.ledger.refuses() {
            return Err(line(NO_MEMORY));
        }
        Ok(match found {
            Found::Shard(row) => Callee::Shard(row),
            Found::Session(_) => Callee::Home,
        })
    }

    fn knows(&self, args: &Args<'_>) -> bool {
        find(args).is_ok()
    }

    fn run_own(
        &self,
        args: &Args<'_>,
        (now, db): (Millis, &mut u16),
        reply: &mut Reply<'_>,
    ) -> bool {
        let name = args.at(0);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("ping") && args.len() <= 2 {
            match args.try_at(1) {
                Some(word) => reply.bulk(word),
                None => reply.simple("PONG"),
            }
        } else if is("echo") {
            reply.bulk(args.at(1));
        } else if is("time") {
            // The script's own instant: for it time stands still.
            reply.array(2);
            reply.bulk_int((now / 1000) as i64);
            reply.bulk_int((now % 1000 * 1000) as i64);
        } else if is("select") {
            let databases = self.databases.load(Ordering::Relaxed);
            match parse_int(args.at(1)).map(u64::try_from) {
                None => reply.error(b"ERR value is not an integer or out of range"),
                Some(Ok(number)) if number < databases => {
                    *db = number as u16;
                    reply.ok();
                }
                Some(_) => reply.error(b"ERR DB index is out of range"),
            }
        } else {
            return false;
        }
        true
    }

    fn log(&self, level: u8, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match level {
            0 => tracing::debug!("a script: {text}"),
            1 | 2 => tracing::info!("a script: {text}"),
            _ => tracing::warn!("a script: {text}"),
        }
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}
