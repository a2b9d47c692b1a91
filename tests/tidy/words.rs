//! Rules on words: what code may name, and where.

use super::code::{Kept, keep, words};
use super::tree::{Breach, File, Tree};

/// Parts of names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "manager",
    "managers",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "util",
    "utils",
    "utility",
    "utilities",
    "common",
    "misc",
    "engine",
];
/// Words after which a name is declared.
const DECLARING: &[&str] =
    &["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "union"];
/// Modules of the standard library that the shards must not know.
const IMPURE: &[&str] = &["time", "thread", "fs", "net", "env", "process", "os", "path", "sync"];

pub(crate) fn unwrap(tree: &Tree) -> Vec<Breach> {
    let unwraps = |line: &str| line.contains(".unwrap()");
    tree.rust("").flat_map(|file| in_code(file, "unwrap", unwraps)).collect()
}

pub(crate) fn names(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &tree.files {
        for name in file.path.split('/') {
            if is_empty_name(name.split('.').next().unwrap_or(name)) {
                breaches.push(file.breach(0, name));
            }
        }
        for (index, line) in file.code.lines().enumerate() {
            let mut before = "";
            for word in words(line) {
                let bad = is_empty_name(word) || (before == "fn" && word.starts_with("get_"));
                if DECLARING.contains(&before) && bad {
                    breaches.push(file.breach(index + 1, word));
                }
                before = word;
            }
        }
    }
    breaches
}

/// True if a part of a name, in snake or camel case, is one of those that say nothing.
fn is_empty_name(name: &str) -> bool {
    let mut spaced = String::new();
    for c in name.chars() {
        if c == '_' || c == '-' || c.is_uppercase() {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase().filter(|&c| c != '_' && c != '-'));
    }
    let lower = name.to_lowercase();
    let parts = lower.split(['_', '-']).chain(spaced.split(' '));
    parts.into_iter().any(|part| EMPTY_NAMES.contains(&part))
}

pub(crate) fn leftovers(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.rust("") {
        for (index, line) in keep(&file.text, Kept::Comments).lines().enumerate() {
            if words(line).any(|word| ["TODO", "FIXME", "XXX", "HACK"].contains(&word)) {
                breaches.push(file.breach(index + 1, "left for later"));
            }
        }
        for (index, line) in file.code.lines().enumerate() {
            if words(line).any(|word| word == "macro_rules") {
                breaches.push(file.breach(index + 1, "a macro"));
            }
        }
    }
    breaches
}

pub(crate) fn errors(tree: &Tree) -> Vec<Breach> {
    let boxed = |line: &str| {
        let mut parts = line.split("Box<dyn ").skip(1).filter_map(|rest| rest.split('>').next());
        parts.any(|part| words(part).any(|word| word == "Error"))
    };
    let anyhow = |line: &str| words(line).any(|word| word == "anyhow");
    let mut breaches = Vec::new();
    for file in tree.rust("") {
        breaches.extend(in_code(file, "a boxed error", boxed));
        if !file.path.starts_with("scripts/") {
            breaches.extend(in_code(file, "anyhow", anyhow));
        }
    }
    breaches
}

pub(crate) fn unsafe_code(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for folder in ["src/", "tests/", "scripts/", "bench/", "deploy/"] {
        for file in tree.rust(folder) {
            for (index, line) in file.code.lines().enumerate() {
                if words(line).any(|word| word == "unsafe") {
                    breaches.push(file.breach(index + 1, "unsafe"));
                }
            }
        }
    }
    breaches
}

pub(crate) fn waits(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for folder in ["shards/", "bench/", "scripts/", "tests/"] {
        for file in tree.rust(folder) {
            for (index, line) in file.code.lines().enumerate() {
                if words(line).any(|word| word == "async" || word == "await") {
                    breaches.push(file.breach(index + 1, "async"));
                }
            }
        }
    }
    breaches
}

pub(crate) fn purity(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.rust("shards/") {
        let code: Vec<_> = file.code_before_tests().map(|(_, line)| line).collect();
        let code = code.join("\n");
        for (root, allowed) in [("std", None), ("core", None), ("pinion_io", Some("resp"))] {
            for (at, named) in paths_under(&code, root) {
                let impure = match allowed {
                    // What shards send to several cores is counted, not locked.
                    None if code[at..].starts_with("std::sync::Arc;") => false,
                    None => IMPURE.contains(&named),
                    Some(only) => named != only,
                };
                if impure {
                    let line = code[..at].lines().count().max(1);
                    breaches.push(file.breach(line, format!("{root}::{named}")));
                }
            }
        }
        breaches.extend(in_code(file, "thread_local", |line| line.contains("thread_local!")));
    }
    breaches
}

/// What is named right under `root::`, in paths and in groups, and where.
fn paths_under<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(words(rest).next().map(|word| (at, word)));
            continue;
        };
        let mut depth = 0_usize;
        let mut first = true;
        for (place, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                c if first && c.is_alphanumeric() => {
                    found.extend(words(&group[place..]).next().map(|word| (at, word)));
                    first = false;
                }
                _ => {}
            }
        }
    }
    found
}

/// The lines of code outside tests in which something is found.
fn in_code(file: &File, what: &str, is_found: impl Fn(&str) -> bool) -> Vec<Breach> {
    let found = file.code_before_tests().filter(|(_, line)| is_found(line));
    found.map(|(number, _)| file.breach(number, what)).collect()
}
