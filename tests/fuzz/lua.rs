//! What scripts read and write: JSON, MessagePack and the layouts of C from random bytes, and
//! scripts that are cut and mixed. Nothing brings an interpreter down, and JSON that was read and
//! written again is read as the same.

use super::source::Source;
use pinion_io::resp::Protocol;
use pinion_lua::{Answer, Interpreter, Run, Start, Wish};

/// An interpreter at work, with the scripts that were given to it.
struct Bench {
    interpreter: Option<Box<Interpreter>>,
    runs: u64,
}

/// A clock on which every look takes a millisecond.
fn meter() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(1_000_000, Ordering::Relaxed)
}

impl Bench {
    fn new() -> Self {
        Self { interpreter: None, runs: 0 }
    }

    /// Runs a script with these arguments: its reply.
    fn run(&mut self, source: &[u8], arguments: &[&[u8]]) -> Vec<u8> {
        // One that lives for ever would hide what the first runs of another do.
        self.runs += 1;
        if self.runs.is_multiple_of(10_000) {
            self.interpreter = None;
        }
        let mut interpreter = self.interpreter.take().unwrap_or_default();
        if let Err(text) = interpreter.load(source, source) {
            self.interpreter = Some(interpreter);
            return text;
        }
        let start = Start {
            name: source,
            is_function: false,
            keys: std::iter::empty(),
            arguments: arguments.iter().copied(),
            protocol: Protocol::Resp3,
            meter,
            log: Box::new(|_, _| ()),
        };
        let mut run = Run::new(interpreter, 0, start);
        let (mut answer, mut pauses) = (Answer::Begin, 0);
        loop {
            answer = match run.go_on(answer) {
                Wish::Done => break,
                Wish::Pause => {
                    pauses += 1;
                    if pauses > 20 { Answer::Stop(b"stopped".to_vec()) } else { Answer::GoOn }
                }
                Wish::Call(mut called) => {
                    // It hears its first word as if that were a reply.
                    let word = called.ranges[0].of(&called.bytes).to_vec();
                    called.reply = word;
                    Answer::Called(called)
                }
                Wish::MayRun(called) => Answer::May(called, None),
            };
        }
        let (mut interpreter, _, reply) = run.into_parts();
        if interpreter.script_count() > 1_000 {
            interpreter.forget_all();
        }
        self.interpreter = Some(interpreter);
        reply
    }

    /// An interpreter that still works says so.
    fn is_sound(&mut self) {
        let sound = b"local t = {} for k in pairs(_G) do t[#t + 1] = k end \
            return #t .. cjson.encode({1, {}}) .. tostring(rawget(_G, 'x')) .. ('y'):rep(2)";
        let said = self.run(sound, &[]);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.ends_with("[1,{}]nilyy\r\n"), "{said}");
    }
}

#[test]
fn json() {
    const TEXTS: [&str; 8] = [
        r#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00"],"b":{"c":null,"d":true}}"#,
        r#"[[],{},"",0,-0,1e308,0x1F,inf,nan,"\"\\\/\b\f\n\r\t"]"#,
        r#"  [ 1 , 2 , { "a" : false } ]  "#,
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        r#""\ud800\udc00""#,
        "-1.5E-3",
        "nan(x)",
        "123456789012345678901234567890",
    ];
    const SCRIPT: &[u8] = b"local v = cjson.decode(ARGV[1]) \
        cjson.encode_invalid_numbers(true) cjson.encode_sparse_array(true) \
        local s = cjson.encode(v) local t = cjson.encode(cjson.decode(s)) \
        if #s ~= #t then return {err = 'UNEQUAL ' .. s .. t} end";
    let (mut source, mut bench) = (Source::new("lua::json"), Bench::new());
    while source.goes_on() {
        let mut text = source.one_of(&TEXTS).as_bytes().to_vec();
        source.mutate(&mut text);
        let said = bench.run(SCRIPT, &[&text]);
        assert!(!said.starts_with(b"-UNEQUAL"), "{:?}", String::from_utf8_lossy(&said));
    }
    bench.is_sound();
}

#[test]
fn msgpack() {
    const TEXTS: [&[u8]; 6] = [
        b"\x82\xa1a\x93\x01\xd0\x80\xcb\x3f\xf8\0\0\0\0\0\0\xa1b\xc0",
        b"\xdc\0\x02\xd9\x03abc\xda\0\x01x",
        b"\xdf\0\0\0\x01\xa1k\x81\x01\x02",
        b"\xca\x7f\x80\0\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x91\x91\x91\x91\x91\x91\x91\xc3",
        b"\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xd1\x80\0\xd2\x80\0\0\0\xd3\x80\0\0\0\0\0\0\0",
    ];
    const SCRIPT: &[u8] = b"local v = {cmsgpack.unpack(ARGV[1])} \
        pcall(cmsgpack.unpack_one, ARGV[1], tonumber(ARGV[2])) \
        pcall(cmsgpack.unpack_limit, ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[2])) \
        local s = cmsgpack.pack(v) local t = cmsgpack.unpack(s) \
        if #cmsgpack.pack(t) ~= #s then return {err = 'UNEQUAL'} end";
    let (mut source, mut bench) = (Source::new("lua::msgpack"), Bench::new());
    while source.goes_on() {
        let mut text = source.one_of(&TEXTS).to_vec();
        source.mutate(&mut text);
        let number = (source.below(40) as i64 - 5).to_string();
        bench.run(SCRIPT, &[&text, number.as_bytes()]);
    }
    bench.is_sound();
}

#[test]
fn structs() {
    const FORMATS: [&str; 8] = [
        "bBhHlLTfdxs",
        ">i3I3i16I32",
        "!8bd!2bi<>",
        "Bc0i2c3",
        "!b c10 s",
        "i99 c2147483647",
        "!1073741824bi",
        "sssfdfd",
    ];
    const SCRIPT: &[u8] = b"pcall(struct.size, ARGV[1]) \
        pcall(struct.pack, ARGV[1], 1, 'abc', 2^63, -1.5, 'x', 0/0, 255, 'abcdefghijk', 7, 8, 9) \
        pcall(struct.unpack, ARGV[1], ARGV[2], tonumber(ARGV[3])) \
        local v = {struct.unpack(ARGV[1], ARGV[2])} table.remove(v) \
        return struct.pack(ARGV[1], unpack(v))";
    let (mut source, mut bench) = (Source::new("lua::structs"), Bench::new());
    while source.goes_on() {
        let mut format = source.one_of(&FORMATS).as_bytes().to_vec();
        if source.once_in(2) {
            source.mutate(&mut format);
        }
        let data = source.bytes(80);
        let number = (source.below(90) as i64 - 3).to_string();
        bench.run(SCRIPT, &[&format, &data, number.as_bytes()]);
    }
    bench.is_sound();
}

/// What scripts are mixed from.
const PIECES: [&str; 40] = [
    "local t = {} ",
    "t[#t + 1] = ARGV[1] ",
    "t.x = t ",
    "redis.call('$-1\\r\\n') ",
    "return redis.pcall('*2\\r\\n:1\\r\\n%1\\r\\n+a\\r\\n+b\\r\\n') ",
    "redis.setresp(3) ",
    "pcall(function() ",
    "end) ",
    "for i = 1, 10 do ",
    "while true do ",
    "end ",
    "return t ",
    "return {err = 'x'} ",
    "error({err = 'x'}) ",
    "error(t) ",
    "coroutine.wrap(function() ",
    "coroutine.yield(1) ",
    "setmetatable(t, {__index = function() ",
    "end}) ",
    "local y = t.y ",
    "string.rep('x', 1e9) ",
    "('x'):rep(1e6):gsub('x', '%0%0') ",
    "table.sort({3, 2, 1}, function() ",
    "table.insert(t, 1, t) ",
    "getmetatable('').__index = t ",
    "rawset(_G, 'x', 1) ",
    "xpcall(error, function() ",
    "return cjson.encode(t) ",
    "return cmsgpack.pack(t) ",
    "return struct.pack('>I2', 1) ",
    "return redis.error_reply('a b') ",
    "return {double = 1.5} ",
    "return {map = t} ",
    "return {set = t} ",
    "loadstring('return 1')() ",
    "load(function() ",
    "collectgarbage() ",
    "unpack(t, 1, 7990) ",
    "redis.call(unpack(t, 1, 7980)) ",
    "tostring(t) ",
];

#[test]
fn scripts() {
    let (mut source, mut bench) = (Source::new("lua::scripts"), Bench::new());
    while source.goes_on() {
        let mut script = Vec::new();
        for _ in 0..=source.below(12) {
            script.extend_from_slice(source.one_of(&PIECES).as_bytes());
        }
        // Most that are cut do not compile; some that are not end well.
        for _ in 0..source.below(4) {
            script.extend_from_slice(b"end ");
        }
        if source.once_in(4) {
            source.mutate(&mut script);
        }
        bench.run(&script, &[b"argument"]);
        if source.once_in(16) {
            bench.is_sound();
        }
    }
    bench.is_sound();
}
