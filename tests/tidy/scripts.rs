//! The rule on golden scripts: a command without a script is a command nobody has seen.

use super::tree::{Breach, File, Tree};
use pinion::commands::session_rows;
use pinion_shards::commands::{Plan, rows};
use std::collections::HashSet;

pub(crate) fn commands(tree: &Tree) -> Vec<Breach> {
    let scripts = tree.files.iter().filter(|file| file.path.starts_with("tests/commands/"));
    let seen: HashSet<String> = scripts.flat_map(requests).collect();
    let missing = names().filter(|name| !seen.contains(name));
    let nowhere = Tree::of(vec![("tests/commands", String::new())]);
    missing.map(|name| nowhere.files[0].breach(0, format!("no script asks for {name}"))).collect()
}

/// Every row's name, subcommands as `container|name`.
fn names() -> impl Iterator<Item = String> {
    let here = session_rows().flat_map(|session| {
        let inner = session.subcommands.iter().map(|inner| inner.row.name);
        std::iter::once(session.row.name).chain(inner)
    });
    let there = rows().flat_map(|row| {
        let inner = match row.plan {
            Plan::Container(rows) => rows,
            _ => &[],
        };
        std::iter::once(row.name).chain(inner.iter().map(|inner| inner.name))
    });
    here.chain(there).map(str::to_owned)
}

/// What the requests of a script ask for: the first word, and the first two.
fn requests(file: &File) -> impl Iterator<Item = String> {
    file.text.lines().filter_map(request).flat_map(|request| {
        let mut words = request.split_whitespace().map(|word| word.trim_matches('"'));
        let name = words.next().unwrap_or("").to_lowercase();
        let both = words.next().map(|word| format!("{name}|{}", word.to_lowercase()));
        std::iter::once(name).chain(both)
    })
}

/// What a line asks, if it does: `> A b`, `@c > A b`, `scan> A b`, `>> "A b\r\n"`.
fn request(line: &str) -> Option<&str> {
    let line = match line.strip_prefix('@') {
        Some(named) => named.split_once(' ')?.1,
        None => line,
    };
    let starts = ["> ", "scan> ", ">> \""];
    let rest = starts.iter().find_map(|start| line.strip_prefix(start))?;
    Some(rest.split("\\r").next().unwrap_or(rest))
}
