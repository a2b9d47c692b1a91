//! Runs with a host that keeps a few keys: what they reply, and that nothing brings them down.

mod bounds;

use super::{Answer, Called, Run, Start, Wish};
use crate::Interpreter;
use pinion_io::resp::{Protocol, Reply};
use sha1::{Digest as _, Sha1};
use std::collections::HashMap;
use std::fmt::Write as _;

/// A host.
#[derive(Default)]
struct Host {
    keys: HashMap<Vec<u8>, Vec<u8>>,
    /// Runs end after so many pauses.
    pauses_max: usize,
    pauses: usize,
}

/// The digest of a script.
fn digest(source: &[u8]) -> String {
    Sha1::digest(source).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A clock on which every look takes a millisecond.
fn meter() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(1_000_000, Ordering::Relaxed)
}

/// What a run is of.
struct Task<'a> {
    name: &'a [u8],
    is_function: bool,
    keys: &'a [Vec<u8>],
    arguments: &'a [Vec<u8>],
    protocol: Protocol,
}

impl Host {
    /// Runs what is loaded.
    fn run(
        &mut self,
        interpreter: Box<Interpreter>,
        task: &Task<'_>,
    ) -> (Box<Interpreter>, Vec<u8>) {
        let start = Start {
            name: task.name,
            is_function: task.is_function,
            keys: task.keys.iter().map(Vec::as_slice),
            arguments: task.arguments.iter().map(Vec::as_slice),
            protocol: task.protocol,
            meter,
            log: Box::new(|_, _| ()),
        };
        let mut run = Run::new(interpreter, 7, start);
        let mut answer = Answer::Begin;
        self.pauses = 0;
        loop {
            answer = match run.go_on(answer) {
                Wish::Done => break,
                Wish::Pause => {
                    self.pauses += 1;
                    if self.pauses > self.pauses_max {
                        Answer::Stop(b"stopped".to_vec())
                    } else {
                        Answer::GoOn
                    }
                }
                Wish::Call(mut called) => {
                    self.call(&mut called);
                    Answer::Called(called)
                }
                Wish::MayRun(called) => {
                    let known = called.ranges[0].of(&called.bytes) == b"get";
                    Answer::May(called, known.then_some(true))
                }
            };
        }
        let (interpreter, mark, reply) = run.into_parts();
        assert_eq!(mark, 7);
        (interpreter, reply)
    }

    /// Loads a script and runs it: its reply as text.
    fn eval(&mut self, interpreter: &mut Option<Box<Interpreter>>, source: &str) -> String {
        self.eval_with(interpreter, source, &[])
    }

    fn eval_with(
        &mut self,
        interpreter: &mut Option<Box<Interpreter>>,
        source: &str,
        arguments: &[Vec<u8>],
    ) -> String {
        let mut idle = interpreter.take().unwrap_or_default();
        let name = digest(source.as_bytes());
        let reply = match idle.load(name.as_bytes(), source.as_bytes()) {
            Ok(_) => {
                let (name, protocol) = (name.as_bytes(), Protocol::Resp2);
                let task = Task { name, is_function: false, keys: &[], arguments, protocol };
                let (ended, reply) = self.run(idle, &task);
                idle = ended;
                reply
            }
            Err(text) => error(&text, Protocol::Resp2),
        };
        *interpreter = Some(idle);
        String::from_utf8_lossy(&reply).replace(&format!("script: {name}"), "script: SHA")
    }

    fn call(&mut self, called: &mut Called) {
        let words = called.ranges.iter().map(|range| range.of(&called.bytes));
        let words: Vec<&[u8]> = words.collect();
        let mut reply = Reply::new(&mut called.reply, called.protocol);
        match &words[..] {
            [b"ping"] => reply.simple("PONG"),
            [b"echo", text] => reply.bulk(text),
            [b"time"] => {
                reply.array(2);
                reply.bulk(b"1");
                reply.bulk(b"2");
            }
            [b"get" | b"lpop", key, ..] => match self.keys.get(*key) {
                Some(text) => reply.bulk(text),
                None if words[0] == b"lpop" => reply.null_array(),
                None => reply.null(),
            },
            [b"set", key, text] => {
                self.keys.insert(key.to_vec(), text.to_vec());
                reply.ok();
            }
            [b"incr", _] => reply.int(1),
            [b"lpush", ..] => {
                reply.error(b"WRONGTYPE Operation against a key holding the wrong kind of value");
            }
            [b"blpop", ..] => reply.null_array(),
            [b"subscribe", ..] => {
                reply.error(b"ERR This Redis command is not allowed from script");
            }
            [b"set" | b"incr", ..] => {
                reply.error(b"ERR Wrong number of args calling Redis command from script");
            }
            [b"raw", text] => {
                called.reply = text.to_vec();
            }
            _ => reply.error(b"ERR Unknown Redis command called from script"),
        }
    }
}

fn error(text: &[u8], protocol: Protocol) -> Vec<u8> {
    let mut reply = Vec::new();
    Reply::new(&mut reply, protocol).error(text);
    reply
}

/// The bytes that a line of a recorded step stands for.
fn unescape(line: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), line.bytes());
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match escaped {
            None => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap().to_owned();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            Some(byte) => byte,
        });
    }
    bytes
}

/// A step that was recorded.
#[derive(Default)]
struct Step {
    library: Option<Vec<u8>>,
    script: Vec<u8>,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
    protocol: Protocol,
}

/// Runs the steps of a text.
fn replay(text: &str) {
    let mut names: Vec<(String, String)> = Vec::new();
    let (mut step, mut interpreter, mut host) = (Step::default(), None, Host::default());
    host.pauses_max = 1_000;
    for line in text.lines() {
        let (mark, rest) = line.split_at(line.len().min(1));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "=" => {
                let (name, text) = rest.split_once(' ').unwrap();
                names.push((format!("{{{{{name}}}}}"), text.to_owned()));
            }
            "!" => step.library = Some(unescape(rest)),
            ">" => {
                let named =
                    |text: String, (name, with): &(String, String)| text.replace(name, with);
                step.script = unescape(&names.iter().fold(rest.to_owned(), named));
            }
            "k" => step.keys.push(unescape(rest)),
            "a" => step.arguments.push(unescape(rest)),
            "3" => step.protocol = Protocol::Resp3,
            "<" => {
                let step = std::mem::take(&mut step);
                let said = host.step(&mut interpreter, &step);
                let script = String::from_utf8_lossy(&step.script).into_owned();
                let said = said.escape_ascii().to_string();
                assert_eq!(said, unescape(rest).escape_ascii().to_string(), "{script}");
            }
            _ => {}
        }
    }
}

impl Host {
    fn step(&mut self, interpreter: &mut Option<Box<Interpreter>>, step: &Step) -> Vec<u8> {
        let mut idle = interpreter.take().unwrap_or_default();
        let protocol = step.protocol;
        if let Some(source) = &step.library {
            let mut said = Vec::new();
            match idle.load_library(source) {
                Ok(library) => Reply::new(&mut said, protocol).bulk(&library.name),
                Err(text) => said = error(&text, protocol),
            }
            *interpreter = Some(idle);
            return said;
        }
        self.keys.clear();
        let is_function = step.script.iter().all(u8::is_ascii_alphanumeric);
        let name =
            if is_function { step.script.clone() } else { digest(&step.script).into_bytes() };
        if !is_function && let Err(text) = idle.load(&name, &step.script) {
            *interpreter = Some(idle);
            return error(&text, protocol);
        }
        let (keys, arguments) = (&step.keys[..], &step.arguments[..]);
        let task = Task { name: &name, is_function, keys, arguments, protocol };
        let (idle, reply) = self.run(idle, &task);
        *interpreter = Some(idle);
        match memchr::memmem::find(&reply, &name) {
            Some(at) if !is_function => [&reply[..at], b"SHA", &reply[at + name.len()..]].concat(),
            _ => reply,
        }
    }
}

#[test]
fn scripts_reply_as_was_recorded() {
    replay(include_str!("recorded/scripts.txt"));
}

#[test]
fn values_become_what_was_recorded() {
    replay(include_str!("recorded/replies.txt"));
}

#[test]
fn json_is_what_was_recorded() {
    replay(include_str!("recorded/json.txt"));
}

#[test]
fn msgpack_is_what_was_recorded() {
    replay(include_str!("recorded/msgpack.txt"));
}

#[test]
fn structs_and_bits_are_what_was_recorded() {
    replay(include_str!("recorded/structs.txt"));
}

#[test]
fn functions_reply_as_was_recorded() {
    replay(include_str!("recorded/functions.txt"));
}

#[test]
fn a_run_pauses_anywhere_and_goes_on() {
    let (mut interpreter, mut host) = (None, Host { pauses_max: 10_000, ..Host::default() });
    let work = "local function work() local n = 0 for i = 1, 100000 do n = n + 1 end return n end ";
    for (source, reply) in [
        ("return work()", ":100000\r\n"),
        ("return select(2, pcall(work))", ":100000\r\n"),
        ("return select(2, xpcall(work, error))", ":100000\r\n"),
        ("return coroutine.wrap(work)()", ":100000\r\n"),
        (
            "return (string.gsub('ab', '.', function() return work() end))",
            "$12\r\n100000100000\r\n",
        ),
        ("return setmetatable({}, {__index = work}).x", ":100000\r\n"),
        (
            "local t = {3, 1, 2} table.sort(t, function(a, b) work() return a < b end) return t",
            "*3\r\n:1\r\n:2\r\n:3\r\n",
        ),
        ("for i in work do return i end", ":100000\r\n"),
    ] {
        assert_eq!(host.eval(&mut interpreter, &[work, source].concat()), reply, "{source}");
        assert!(host.pauses > 1, "{source}");
    }
}

#[test]
fn calls_stand_still_anywhere() {
    let (mut interpreter, mut host) = (None, Host::default());
    for source in [
        "return select(2, pcall(redis.call, 'echo', 'x'))",
        "return coroutine.wrap(function() return redis.call('echo', 'x') end)()",
        "return (string.gsub('y', '.', function() return redis.call('echo', 'x') end))",
        "return setmetatable({}, {__index = function() return redis.call('echo', 'x') end}).y",
        "local s table.sort({1, 2}, function() s = redis.call('echo', 'x') end) return s",
        "for s in function() return redis.call('echo', 'x') end do return s end",
    ] {
        assert_eq!(host.eval(&mut interpreter, source), "$1\r\nx\r\n", "{source}");
    }
}

#[test]
fn replies_of_commands_become_values() {
    let (mut interpreter, mut host) = (None, Host::default());
    let show = "local function s(v) if type(v) ~= 'table' then return tostring(v) end \
        local t = {} for k, x in pairs(v) do t[#t + 1] = s(k) .. '=' .. s(x) end table.sort(t) \
        return '{' .. table.concat(t, ',') .. '}' end redis.setresp(3) \
        return s(redis.call('raw', ARGV[1]))";
    for (raw, shown) in [
        (",1.5\r\n", "{double=1.5}"),
        ("#t\r\n", "true"),
        ("_\r\n", "nil"),
        ("%1\r\n+a\r\n:1\r\n", "{map={{ok=a}=1}}"),
        ("%1\r\n$1\r\na\r\n*1\r\n:1\r\n", "{map={a={1=1}}}"),
        ("~2\r\n:1\r\n$1\r\nx\r\n", "{set={1=true,x=true}}"),
        ("(123\r\n", "{big_number=123}"),
        ("=5\r\ntxt:a\r\n", "{verbatim_string={format=txt,string=a}}"),
        (">2\r\n:1\r\n:2\r\n", "{1=1,2=2}"),
        ("|1\r\n+a\r\n+b\r\n:5\r\n", "5"),
        ("*-1\r\n", "false"),
        ("*3\r\n:1\r\n$-1\r\n*0\r\n", "{1=1,2=false,3={}}"),
        ("!5\r\nERR x\r\n", "{err=ERR x}"),
        // What is no reply does no harm.
        ("", "nil"),
        ("*3\r\n:1\r\n", "{1=1}"),
        ("$5\r\nab\r\n", ""),
        ("?\r\n", "nil"),
        ("$99999999999999999999\r\n", ""),
    ] {
        let said = host.eval_with(&mut interpreter, show, &[raw.into()]);
        assert_eq!(said, format!("${}\r\n{shown}\r\n", shown.len()), "{raw:?}");
    }
}

#[test]
fn a_run_moves_between_threads_and_may_be_dropped() {
    let mut interpreter = Box::new(Interpreter::new());
    let source = b"local s = '' for i = 1, 100 do \
        s = s .. select(2, pcall(redis.call, 'echo', i)) end return #s";
    interpreter.load(b"name", source).unwrap();
    let start = |name| Start {
        name,
        is_function: false,
        keys: std::iter::empty(),
        arguments: std::iter::empty(),
        protocol: Protocol::Resp2,
        meter,
        log: Box::new(|_, _| ()),
    };
    let mut run = Run::new(interpreter, 0, start(b"name"));
    let mut wish = run.go_on(Answer::Begin);
    while let Wish::Call(mut called) = wish {
        (run, wish) = std::thread::spawn(move || {
            Host::default().call(&mut called);
            let wish = run.go_on(Answer::Called(called));
            (run, wish)
        })
        .join()
        .unwrap();
    }
    let (interpreter, _, reply) = run.into_parts();
    assert_eq!(reply, b":192\r\n");
    let mut run = Run::new(interpreter, 0, start(b"name"));
    assert!(matches!(run.go_on(Answer::Begin), Wish::Call(_)));
    drop(run);
}

#[test]
fn what_is_forgotten_takes_no_memory() {
    let mut interpreter = Interpreter::new();
    let before = interpreter.memory_bytes();
    for round in 0..20 {
        for number in 0..500 {
            let source = format!("return {round} + {number}");
            interpreter.load(source.as_bytes(), source.as_bytes()).unwrap();
        }
        let name =
            format!("#!lua name=a{round}\nredis.register_function('f{round}', function() end)");
        interpreter.load_library(name.as_bytes()).unwrap();
        interpreter.forget_all();
    }
    assert!(interpreter.memory_bytes() < before + 100_000, "{}", interpreter.memory_bytes());
}

#[test]
fn a_library_says_what_it_is() {
    let mut interpreter = Interpreter::new();
    let source = b"#!lua name=lib\nredis.register_function('f', function() end)\n\
        redis.register_function{function_name='g', callback=function() end, description='d', \
        flags={'no-writes', 'allow-oom'}}";
    let library = interpreter.load_library(source).unwrap();
    assert_eq!(library.name, b"lib");
    let [f, g] = &library.functions[..] else { panic!("two functions") };
    assert_eq!((&f.name[..], &f.description), (&b"f"[..], &None));
    assert_eq!(g.description.as_deref(), Some(&b"d"[..]));
    assert!(f.flags.declared && !f.flags.no_writes && g.flags.no_writes);
    assert_eq!(g.flags.names().collect::<Vec<_>>(), ["no-writes", "allow-oom"]);
    interpreter.drop_library(b"lib");
    let shared = std::sync::Arc::from(&source[..]);
    interpreter.see_library(b"lib", &shared).unwrap();
    interpreter.see_library(b"lib", &shared).unwrap();
    // One that fails leaves what was there.
    let broken = b"#!lua name=lib\nredis.register_function('f', function() end) nosuch()";
    interpreter.load_library(broken).unwrap_err();
    let (_, reply) = Host::default().run(
        Box::new(interpreter),
        &Task {
            name: b"G",
            is_function: true,
            keys: &[],
            arguments: &[],
            protocol: Protocol::Resp3,
        },
    );
    assert_eq!(reply, b"_\r\n");
}

#[test]
fn the_log_hears_what_scripts_say() {
    let (said, hears) = std::sync::mpsc::channel();
    let mut interpreter = Box::new(Interpreter::new());
    interpreter.load(b"name", b"redis.log(redis.LOG_WARNING, 'a', 1, {}, 'b')").unwrap();
    let start = Start {
        name: b"name",
        is_function: false,
        keys: std::iter::empty(),
        arguments: std::iter::empty(),
        protocol: Protocol::Resp2,
        meter,
        log: Box::new(move |level, text| said.send((level, text.to_vec())).unwrap()),
    };
    let mut run = Run::new(interpreter, 0, start);
    assert!(matches!(run.go_on(Answer::Begin), Wish::Done));
    assert_eq!(hears.try_iter().collect::<Vec<_>>(), [(3, b"a 1 b".to_vec())]);
}
