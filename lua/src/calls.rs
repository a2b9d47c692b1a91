//! `redis`, the table by which scripts reach the server.

use crate::convert::push_reply;
use crate::limits::{LOG_BYTES_MAX, WORDS_BYTES_MAX};
use crate::machine::stop;
use crate::run::{Answer, Called, Wish};
use crate::stack::{Callback, Kind, Raise, Stack};
use pinion_io::resp::{Protocol, write_double};
use sha1::{Digest as _, Sha1};

/// The version whose behaviour scripts may expect.
const VERSION: &str = "8.0.2";
const VERSION_NUMBER: f64 = 0x0008_0002 as f64;

const NO_ARGUMENTS: &str = "Please specify at least one argument for this redis lib call";
const WRONG_ARGUMENTS: &str = "Lua redis lib command arguments must be strings or integers";

/// What both scripts and functions have.
const SHARED: &[(&str, Callback)] = &[
    ("acl_check_cmd", may_run),
    ("call", call),
    ("error_reply", error_reply),
    ("log", log),
    ("pcall", try_call),
    ("set_repl", set_replication),
    ("setresp", set_protocol),
    ("sha1hex", digest),
    ("status_reply", status_reply),
];
const NUMBERS: &[(&str, f64)] = &[
    ("LOG_DEBUG", 0.0),
    ("LOG_VERBOSE", 1.0),
    ("LOG_NOTICE", 2.0),
    ("LOG_WARNING", 3.0),
    ("REPL_NONE", 0.0),
    ("REPL_AOF", 1.0),
    ("REPL_SLAVE", 2.0),
    ("REPL_REPLICA", 2.0),
    ("REPL_ALL", 3.0),
    ("REDIS_VERSION_NUM", VERSION_NUMBER),
];

/// Fills the table on top with what scripts see.
pub(crate) fn fill_for_scripts(stack: &mut Stack) {
    fill_for_functions(stack);
    let nothing: &[(&str, Callback)] =
        &[("breakpoint", breakpoint), ("debug", debug), ("replicate_commands", replicate_commands)];
    fill(stack, nothing);
}

/// Fills it with what functions see.
pub(crate) fn fill_for_functions(stack: &mut Stack) {
    fill(stack, SHARED);
    fill_constants(stack);
}

/// Fills it with functions.
pub(crate) fn fill(stack: &mut Stack, callbacks: &[(&str, Callback)]) {
    for &(name, callback) in callbacks {
        stack.push_callback(callback, 0);
        stack.raw_set_field(-2, name);
    }
}

/// Fills it with what does not change.
pub(crate) fn fill_constants(stack: &mut Stack) {
    for &(name, value) in NUMBERS {
        stack.push_number(value);
        stack.raw_set_field(-2, name);
    }
    stack.push(VERSION.as_bytes());
    stack.raw_set_field(-2, "REDIS_VERSION");
}

/// redis.call(name, ...): an error of the command is raised.
fn call(stack: &mut Stack) -> Result<i32, Raise> {
    ask(stack, Kindness::Raises)
}

/// redis.pcall(name, ...): an error of the command is returned.
fn try_call(stack: &mut Stack) -> Result<i32, Raise> {
    ask(stack, Kindness::Returns)
}

/// What becomes of an error.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kindness {
    Raises,
    Returns,
}

/// Has the host run a command.
fn ask(stack: &mut Stack, kindness: Kindness) -> Result<i32, Raise> {
    let ground = stack.ground();
    if ground.stops.get() {
        return Err(stack.refuse(&["stopped"]));
    }
    if let Err(text) = collect_words(stack) {
        push_error(stack, text);
        return if kindness == Kindness::Raises { Err(Raise) } else { Ok(1) };
    }
    // Their place is needed for the reply.
    stack.set_top(0);
    let mut called = ground.called.with(std::mem::take);
    called.protocol = ground.script.get();
    match ground.link.ask(Wish::Call(called)) {
        Answer::Called(called) => ground.called.with(|place| *place = called),
        answer => return Err(end(stack, answer)),
    }
    // Nothing of it is owned by this frame, which a jump may leave.
    let is_error = ground.called.with(|called| {
        push_reply(stack, &called.reply);
        called.reply.first() == Some(&b'-')
    });
    if is_error {
        stack.push_bool(true);
        stack.raw_set_field(-2, "ignore_error_stats_update");
        if kindness == Kindness::Raises {
            return Err(Raise);
        }
    }
    Ok(1)
}

/// Puts the arguments of this call into the ground, as the words of a command.
fn collect_words(stack: &Stack) -> Result<(), &'static str> {
    let count = stack.top();
    if count == 0 {
        return Err(NO_ARGUMENTS);
    }
    stack.ground().called.with(|called| {
        called.clear();
        for index in 1..=count {
            match stack.kind(index) {
                Kind::Text => called.add(stack.text(index).unwrap_or_default()),
                Kind::Number => add_number(called, stack.number(index).unwrap_or_default()),
                _ => return Err(WRONG_ARGUMENTS),
            }
            if called.bytes.len() > WORDS_BYTES_MAX {
                return Err("Lua redis lib command arguments are too large");
            }
        }
        Ok(())
    })
}

/// A number as a word: an integer if it is one, else digits that read back to the same number.
fn add_number(called: &mut Called, value: f64) {
    const EXACT: f64 = (1_u64 << 52) as f64;
    let start = called.bytes.len();
    if value.abs() <= EXACT && value.fract() == 0.0 {
        called.bytes.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_nan() && value.is_sign_negative() {
        called.bytes.extend_from_slice(b"-nan");
    } else {
        write_double(&mut called.bytes, value);
    }
    let (len, start) = ((called.bytes.len() - start) as u32, start as u32);
    called.ranges.push(pinion_io::resp::Range { start, len });
}

/// Ends a run for an answer that is no reply.
fn end(stack: &mut Stack, answer: Answer) -> Raise {
    let text = if let Answer::Stop(text) = answer { text } else { Vec::new() };
    stack.ground().scratch.with(|scratch| *scratch = text);
    stack.ground().scratch.with(|text| stop(stack, text));
    Raise
}

/// Pushes an error as a table: of a text without a code, which becomes `ERR`. Raises.
pub(crate) fn push_error(stack: &mut Stack, text: &str) {
    stack.push_table(0, 1);
    stack.push_joined(&[b"ERR ", text.as_bytes()]);
    stack.raw_set_field(-2, "err");
}

/// Raises such an error.
fn refuse(stack: &mut Stack, text: &str) -> Raise {
    push_error(stack, text);
    Raise
}

/// redis.acl_check_cmd(name, ...)
fn may_run(stack: &mut Stack) -> Result<i32, Raise> {
    let ground = stack.ground();
    if ground.stops.get() {
        return Err(stack.refuse(&["stopped"]));
    }
    if let Err(text) = collect_words(stack) {
        return Err(refuse(stack, text));
    }
    let called = ground.called.with(std::mem::take);
    let may = match ground.link.ask(Wish::MayRun(called)) {
        Answer::May(called, may) => {
            ground.called.with(|place| *place = called);
            may
        }
        answer => return Err(end(stack, answer)),
    };
    match may {
        Some(may) => stack.push_bool(may),
        None => return Err(refuse(stack, "Invalid command passed to redis.acl_check_cmd()")),
    }
    Ok(1)
}

/// redis.error_reply(text)
fn error_reply(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 || stack.kind(1) != Kind::Text {
        push_error(stack, "wrong number or type of arguments");
        return Ok(1);
    }
    stack.push_table(0, 1);
    let text = stack.text(1).unwrap_or_default();
    let marked = text.first() == Some(&b'-');
    let rest = &text[usize::from(marked)..];
    // A text of one word has no code.
    let has_code = memchr::memchr(b' ', rest).is_some();
    let ground = stack.ground();
    ground.scratch.with(|scratch| {
        scratch.clear();
        if !has_code {
            scratch.extend_from_slice(b"ERR ");
        }
        scratch.extend_from_slice(rest);
    });
    ground.scratch.with(|scratch| stack.push(scratch));
    ground.trim_scratch();
    stack.raw_set_field(-2, "err");
    Ok(1)
}

/// redis.status_reply(text)
fn status_reply(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 || stack.kind(1) != Kind::Text {
        push_error(stack, "wrong number or type of arguments");
        return Ok(1);
    }
    stack.push_table(0, 1);
    stack.push_value(1);
    stack.raw_set_field(-2, "ok");
    Ok(1)
}

/// redis.sha1hex(text)
fn digest(stack: &mut Stack) -> Result<i32, Raise> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if stack.top() != 1 {
        return Err(refuse(stack, "wrong number of arguments"));
    }
    let digest = Sha1::digest(stack.make_text(1).unwrap_or_default());
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    stack.push(&text);
    Ok(1)
}

/// redis.log(level, text, ...)
pub(crate) fn log(stack: &mut Stack) -> Result<i32, Raise> {
    let count = stack.top();
    if count < 2 {
        return Err(refuse(stack, "redis.log() requires two arguments or more."));
    }
    if stack.kind(1) != Kind::Number {
        return Err(refuse(stack, "First argument must be a number (log level)."));
    }
    let level = stack.number(1).unwrap_or_default();
    if !(0.0..4.0).contains(&level) {
        return Err(refuse(stack, "Invalid log level."));
    }
    for index in 2..=count {
        stack.make_text(index);
    }
    let ground = stack.ground();
    ground.scratch.with(|line| {
        line.clear();
        for index in 2..=count {
            if let Some(text) = stack.text(index) {
                if index > 2 {
                    line.push(b' ');
                }
                let room = LOG_BYTES_MAX.saturating_sub(line.len());
                line.extend_from_slice(&text[..text.len().min(room)]);
            }
        }
        ground.log.with(|log| {
            if let Some(log) = log {
                log(level as u8, line);
            }
        });
    });
    ground.trim_scratch();
    Ok(0)
}

/// redis.setresp(version)
fn set_protocol(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 {
        return Err(refuse(stack, "redis.setresp() requires one argument."));
    }
    let protocol = match stack.number(1).map(|version| version as i64) {
        Some(2) => Protocol::Resp2,
        Some(3) => Protocol::Resp3,
        _ => return Err(refuse(stack, "RESP version must be 2 or 3.")),
    };
    stack.ground().script.set(protocol);
    Ok(0)
}

/// redis.set_repl(flags): checked, and nothing else. What a script writes goes where all goes.
fn set_replication(stack: &mut Stack) -> Result<i32, Raise> {
    if stack.top() != 1 {
        return Err(refuse(stack, "redis.set_repl() requires one argument."));
    }
    let flags = stack.number(1).unwrap_or_default() as i64;
    if !(0..=3).contains(&flags) {
        return Err(refuse(
            stack,
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        ));
    }
    Ok(0)
}

/// redis.replicate_commands(): it is always so.
fn replicate_commands(stack: &mut Stack) -> Result<i32, Raise> {
    stack.push_bool(true);
    Ok(1)
}

/// redis.breakpoint(): there is no debugger, so nothing stops here.
fn breakpoint(stack: &mut Stack) -> Result<i32, Raise> {
    stack.push_bool(false);
    Ok(1)
}

/// redis.debug(...): said to nobody.
fn debug(_: &mut Stack) -> Result<i32, Raise> {
    Ok(0)
}
