//! The arguments of commands, as COMMAND DOCS tells them to those who complete and hint.
//!
//! `syntax.txt` has a line for each command that takes any, in this form:
//!
//! ```text
//! line      = command { " " argument }
//! argument  = [ "?" ] what [ "*" | "+" ]     optional; several times, or with their token each
//! what      = name [ ":" type ] [ "=" token ] | name "!" token
//!           | "{" name [ "=" token ] { " " argument } "}"         one of these
//!           | "(" name [ "=" token ] { " " argument } ")"         all of these
//! ```

use pinion_io::resp::Reply;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The lines by command.
static LINES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("syntax.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// An argument of a command.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Argument<'a> {
    name: &'a str,
    kind: &'a str,
    token: Option<&'a str>,
    flags: Vec<&'static str>,
    inner: Vec<Self>,
}

/// The arguments of a command; none where it takes none, or nothing is known of them.
pub(super) fn arguments(command: &str) -> Vec<Argument<'static>> {
    let mut rest = LINES.get(command).copied().unwrap_or_default();
    read_all(&mut rest)
}

/// Writes arguments as COMMAND DOCS does.
pub(super) fn write(arguments: &[Argument<'_>], reply: &mut Reply<'_>) {
    let mut keys = 0;
    write_all(arguments, &mut keys, reply);
}

/// Reads arguments up to the end of those that enclose them.
fn read_all<'a>(rest: &mut &'a str) -> Vec<Argument<'a>> {
    let mut arguments = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with([')', '}']) {
            return arguments;
        }
        arguments.push(read(rest));
    }
}

fn read<'a>(rest: &mut &'a str) -> Argument<'a> {
    let mut argument = Argument::default();
    if let Some(after) = rest.strip_prefix('?') {
        argument.flags.push("optional");
        *rest = after;
    }
    let kind = match rest.as_bytes().first() {
        Some(b'{') => Some("oneof"),
        Some(b'(') => Some("block"),
        _ => None,
    };
    if let Some(kind) = kind {
        *rest = &rest[1..];
        let end = rest.find([' ', ')', '}']).unwrap_or(rest.len());
        let (head, after) = rest.split_at(end);
        (argument.name, argument.token) = named(head);
        argument.kind = kind;
        *rest = after;
        argument.inner = read_all(rest);
        *rest = rest.get(1..).unwrap_or_default();
        let end = rest.find([' ', ')', '}']).unwrap_or(rest.len());
        let (marks, after) = rest.split_at(end);
        mark(&mut argument, marks);
        *rest = after;
        return argument;
    }
    let end = rest.find([' ', ')', '}']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    if let Some((name, token)) = word.split_once('!') {
        let bare = if token == "*" { token } else { token.trim_end_matches(['*', '+']) };
        (argument.name, argument.token, argument.kind) = (name, Some(bare), "pure-token");
        mark(&mut argument, &token[bare.len()..]);
        return argument;
    }
    let bare = word.trim_end_matches(['*', '+']);
    mark(&mut argument, &word[bare.len()..]);
    let (name, token) = named(bare);
    let (name, kind) = name.split_once(':').unwrap_or((name, "string"));
    (argument.name, argument.token) = (name, token);
    argument.kind = match kind {
        "int" => "integer",
        "time" => "unix-time",
        kind => kind,
    };
    argument
}

/// A name, and its token if it has one.
fn named(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, token)) => (name, Some(token)),
        None => (word, None),
    }
}

fn mark(argument: &mut Argument<'_>, marks: &str) {
    match marks {
        "*" => argument.flags.push("multiple"),
        "+" => argument.flags.extend(["multiple", "multiple_token"]),
        _ => {}
    }
}

fn write_all(arguments: &[Argument<'_>], keys: &mut i64, reply: &mut Reply<'_>) {
    reply.array(arguments.len());
    for argument in arguments {
        let is_key = argument.kind == "key";
        let parts = [
            argument.inner.is_empty(),
            is_key,
            argument.token.is_some(),
            !argument.flags.is_empty(),
            !argument.inner.is_empty(),
        ];
        reply.map(2 + parts.into_iter().filter(|part| *part).count());
        let mut text = |key: &str, value: &str| {
            reply.bulk(key.as_bytes());
            reply.bulk(value.as_bytes());
        };
        text("name", argument.name);
        text("type", argument.kind);
        if argument.inner.is_empty() {
            text("display_text", argument.name);
        }
        if let Some(token) = argument.token {
            text("token", token);
        }
        if is_key {
            reply.bulk(b"key_spec_index");
            reply.int(*keys);
            *keys += 1;
        }
        if !argument.flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(argument.flags.len());
            argument.flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !argument.inner.is_empty() {
            reply.bulk(b"arguments");
            write_all(&argument.inner, keys, reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_rows::Entry;
    use super::*;

    #[test]
    fn lines_are_read_whole_and_belong_to_commands() {
        for (command, line) in LINES.iter() {
            assert!(Entry::find(command.as_bytes()).is_some(), "{command} is a command");
            let mut rest = *line;
            assert!(!read_all(&mut rest).is_empty() && rest.is_empty(), "{command} {rest}");
        }
    }

    #[test]
    fn an_argument_has_its_parts() {
        let mut rest = "key:key ?{when nx!NX all!*} (pair=WITH a:int b)+";
        let read = read_all(&mut rest);
        let [key, when, pair] = &read[..] else { panic!("{read:?}") };
        assert_eq!((key.name, key.kind, key.token), ("key", "key", None));
        assert_eq!((when.kind, when.flags.as_slice()), ("oneof", &["optional"][..]));
        assert_eq!((when.inner[0].name, when.inner[1].token), ("nx", Some("*")));
        assert_eq!((pair.token, pair.inner[0].kind), (Some("WITH"), "integer"));
        assert_eq!(pair.flags, ["multiple", "multiple_token"]);
    }
}
