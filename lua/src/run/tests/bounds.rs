//! What must not bring an interpreter down, nor stay in it for the next script.

use super::Host;
use crate::limits::HEAP_BYTES_MAX;

/// Scripts that go on for ever, and do what they can not to be ended.
const ENDLESS: &[&str] = &[
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "local function f() while true do end end \
     while true do coroutine.resume(coroutine.create(f)) end",
    "local function f() pcall(f) while true do end end f()",
    "while true do pcall(redis.call, 'get', 'x') end",
    "string.gsub(('x'):rep(10), '.', function() while true do end end)",
    "table.sort({1, 2, 3}, function() while true do end end)",
    "setmetatable({}, {__index = function() while true do end end}).x = nil \
     return setmetatable({}, {__index = function() while true do end end}).x",
    "load(function() while true do end end)",
    "local t = setmetatable({}, {__tostring = function() while true do end end}) tostring(t)",
    "repeat local ok = pcall(error) until false",
    "local function f() return pcall(f) end while true do f() end",
];

#[test]
fn a_run_that_is_stopped_catches_nothing() {
    let (mut interpreter, mut host) = (None, Host { pauses_max: 3, ..Host::default() });
    for source in ENDLESS {
        let said = host.eval(&mut interpreter, source);
        assert!(said.starts_with("-ERR ") && said.contains("stop"), "{source}: {said}");
        assert_eq!(host.pauses, 4, "{source}");
        assert_eq!(host.eval(&mut interpreter, "return {1, 'x'}"), "*2\r\n:1\r\n$1\r\nx\r\n");
    }
}

#[test]
fn the_text_of_a_stop_is_what_the_client_hears() {
    let (mut interpreter, mut host) = (None, Host::default());
    let said = host.eval(&mut interpreter, "while true do end");
    assert_eq!(said, "-ERR stopped script: SHA, on @user_script:1.\r\n");
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let (mut interpreter, mut host) = (None, Host { pauses_max: 100_000, ..Host::default() });
    for source in [
        "return string.rep('x', 1e9)",
        "return ('x'):rep(2^53)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end",
        "local t = {} for i = 1, 700 do t[i] = ('x'):rep(1e6) .. i end return table.concat(t)",
    ] {
        let said = host.eval(&mut interpreter, source);
        assert!(said.contains("not enough memory"), "{source}: {said}");
        let used = interpreter.as_ref().unwrap().memory_bytes();
        assert!(used < HEAP_BYTES_MAX / 8, "{source}: {used}");
        assert_eq!(host.eval(&mut interpreter, "return 1"), ":1\r\n");
    }
    // What is caught is caught.
    let source = "return {pcall(string.rep, 'x', 1e10)}";
    assert_eq!(host.eval(&mut interpreter, source), "*2\r\n$-1\r\n$17\r\nnot enough memory\r\n");
}

#[test]
fn depth_is_bounded() {
    let (mut interpreter, mut host) = (None, Host { pauses_max: 100_000, ..Host::default() });
    for (source, text) in [
        ("local t = {} t[1] = t return t", "reached lua stack limit"),
        ("local t = {} t.map = t return t", "reached lua stack limit"),
        ("local function f() return f() + 1 end f()", "stack overflow"),
        ("return loadstring(('('):rep(10000) .. ('x'):rep(10000))()", "call a nil value"),
        ("return ('a'):rep(50000):match(('a?'):rep(50000))", "pattern too complex"),
        ("return #('a'):rep(50000):match(('a?'):rep(8000))", ":8000"),
        ("return #('a'):rep(50000):match(('a*'):rep(8000))", ":50000"),
        ("return #('a'):rep(50000):match(('a-'):rep(7999) .. '$')", ":50000"),
        ("local function f() return coroutine.wrap(f)() end f()", "C stack overflow"),
        (
            "local function f() return coroutine.resume(coroutine.create(f)) end \
             local t = {f()} return #t",
            ":",
        ),
        ("return cjson.decode(('['):rep(100000))", "nested data structures (1001)"),
        ("cjson.decode_max_depth(1e6) return cjson.decode(('['):rep(100000))", "nested"),
        (
            "cjson.encode_max_depth(1e6) local t = {} for i = 1, 50000 do t = {t} end \
             return cjson.encode(t)",
            "excessive nesting",
        ),
        ("return cmsgpack.unpack(('\\145'):rep(100000))", "stack overflow"),
        ("return cmsgpack.unpack(('\\129'):rep(100000))", "stack overflow"),
        (
            "local f = error \
             for i = 1, 300 do local g = f f = function() pcall(g) error('x') end end f()",
            "x",
        ),
        (
            "local s = '' for i = 1, 250 do s = s .. 'string.gsub(\"a\",\".\",function() ' end \
          return loadstring(s .. ('end)'):rep(250))()",
            "nil value",
        ),
        (
            "local function f(n) return (('x'):gsub('.', function() return f(n + 1) end)) end f(1)",
            "C stack overflow",
        ),
    ] {
        let said = host.eval(&mut interpreter, source);
        assert!(said.contains(text), "{source}: {said:.300}");
        assert_eq!(host.eval(&mut interpreter, "return 1"), ":1\r\n");
    }
}

/// What a script may try to leave behind for the next.
const ESCAPES: &[&str] = &[
    "_G.x = 1",
    "rawset(_G, 'x', 1)",
    "setmetatable(_G, {__index = {x = 1}})",
    "getmetatable(_G).__index = {x = 1}",
    "rawset(getmetatable(_G), '__index', {x = 1})",
    "setmetatable(getmetatable(_G), {})",
    "string.x = 1",
    "getmetatable('').__index = {x = 1}",
    "getmetatable('').x = 1",
    "rawset(getmetatable(''), '__index', {})",
    "string.rep = nil",
    "table.insert(string, 1)",
    "table.insert(_G, 'x')",
    "table.sort(_G)",
    "redis.call = nil",
    "redis.call = function() end",
    "local n, t = pairs(redis) t.call = nil",
    "local n, t = pairs(_G) t.x = 1",
    "local _, t = next(_G) if type(t) == 'table' then t.x = 1 end error('no')",
    "for k, t in pairs(_G) do \
     if type(t) == 'table' and k ~= 'KEYS' and k ~= 'ARGV' then t.x = 1 end end",
    "math.pi = 3",
    "os.time = 1",
    "coroutine.x = 1",
    "cjson.null = 1",
    "loadstring('x = 1')()",
    "coroutine.wrap(function() x = 1 end)()",
    "local f = function() x = 1 end string.gsub('a', 'a', f)",
    "pcall(function() x = 1 end) return x",
    "collectgarbage('stop') x = 1",
    "cjson.encode_max_depth(1) x = 1",
];

#[test]
fn a_script_leaves_nothing_behind() {
    let (mut interpreter, mut host) = (None, Host::default());
    let sound = "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) \
        return table.concat(t, ' ') .. ('x'):rep(2) .. redis.call('echo', 'y') \
        .. string.rep('z', 2) \
        .. #string.format('%s', 1) .. math.floor(math.pi * 10) .. cjson.encode({{1}}) \
        .. tostring(string.x) .. tostring(rawget(_G, 'x')) .. tostring(rawget(_G, 1))";
    let first = host.eval(&mut interpreter, sound);
    assert!(first.contains("xxyzz131[[1]]nilnilnil"), "{first}");
    for source in ESCAPES {
        let said = host.eval(&mut interpreter, source);
        assert!(said.starts_with("-ERR ") || *source == "table.sort(_G)", "{source}: {said}");
        assert_eq!(host.eval(&mut interpreter, sound), first, "{source}");
    }
}

#[test]
fn what_is_compiled_already_is_refused() {
    let (mut interpreter, mut host) = (None, Host::default());
    for source in [
        "return type(loadstring(string.dump(function() end)))",
        "local s = string.dump(function() end) local n = 0 \
         return type((load(function() n = n + 1 return s:sub(n, n) end)))",
    ] {
        assert_eq!(host.eval(&mut interpreter, source), "$3\r\nnil\r\n", "{source}");
    }
    let said = host.eval(&mut interpreter, "\x1bLua");
    assert!(said.starts_with("-ERR Error compiling script"), "{said}");
}
