//! The house rules, as a test: what may stand where, how long it may be, and what it may name.
//!
//! A rule looks at the whole tree and says where it is broken. Each brings a small tree that
//! breaks it and one that keeps it, so that a rule that sees nothing fails as well. Exceptions
//! stand in one list, with their reason; one that is no longer needed fails, so the list shrinks.

mod tidy {
    pub(crate) mod code;
    pub(crate) mod house;
    pub(crate) mod scripts;
    pub(crate) mod shape;
    pub(crate) mod tree;
    pub(crate) mod words;
}

use std::path::Path;
use tidy::tree::{Breach, Tree};
use tidy::{house, scripts, shape, words};

/// One rule.
struct Rule {
    /// What must hold.
    says: &'static str,
    /// Where it does not.
    check: fn(&Tree) -> Vec<Breach>,
    /// A tree that breaks it, as paths and texts.
    bad: fn() -> Vec<(&'static str, String)>,
    /// A tree that keeps it, where one is easily made.
    good: fn() -> Vec<(&'static str, String)>,
}

/// What may break a rule, where, and why.
struct Exception {
    says: &'static str,
    path: &'static str,
    reason: &'static str,
}

static EXCEPTIONS: &[Exception] = &[
    Exception {
        says: "no name says manager, handler, helper, util, common, misc, engine or get_",
        path: "shards/src/commands/strings/lcs.rs",
        reason: "a longest common subsequence is what it finds",
    },
    Exception {
        says: "only io's manifest names the kernel's crates, and packages depend one way",
        path: "bench/Cargo.toml",
        reason: "a load on one thread waits for many sockets, which the standard library cannot",
    },
];

/// Files of one text each.
fn files(list: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    list.iter().map(|&(path, text)| (path, text.to_owned())).collect()
}

static RULES: &[Rule] = &[
    Rule {
        says: "a file has at most 600 lines before its tests",
        check: shape::lines,
        bad: || vec![("src/a.rs", "x\n".repeat(601) + "#[cfg(test)]\nmod tests {}\n")],
        good: || {
            let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"x\n".repeat(300) + "}\n";
            vec![("src/a.rs", "x\n".repeat(600) + &tests)]
        },
    },
    Rule {
        says: "a function has at most 70 lines",
        check: shape::functions,
        bad: || vec![("src/a.rs", format!("fn a(b: [u8; 2]) {{\n{}}}\n", "\"}\";\n".repeat(69)))],
        good: || {
            let long = format!("fn a() {{\n{}}}\n", "'{';\n".repeat(68));
            vec![("src/a.rs", format!("trait B {{\nfn b();\n}}\n{}{long}", "x\n".repeat(80)))]
        },
    },
    Rule {
        says: "a line has at most 100 columns",
        check: shape::columns,
        bad: || vec![("io/src/a.rs", "é".repeat(101))],
        good: || vec![("io/src/a.rs", "é".repeat(100)), ("README.md", "x".repeat(101))],
    },
    Rule {
        says: "no tabs, no spaces at the end of a line, one line feed at the end of a file",
        check: shape::blanks,
        bad: || files(&[("src/a.rs", "a \n")]),
        good: || files(&[("src/a.rs", "a\n\nb\n"), ("tests/commands/a/b.txt", "> GET \"\" \n")]),
    },
    Rule {
        says: "a file begins with one sentence about it",
        check: shape::head,
        bad: || files(&[("src/a.rs", "use b::c;\n")]),
        good: || files(&[("src/a.rs", "//! What this\n//! is for.\n//!\n//! More:\n")]),
    },
    Rule {
        says: "no unwrap outside tests",
        check: words::unwrap,
        bad: || files(&[("src/a.rs", "fn a() { b.unwrap(); }\n")]),
        good: || {
            files(&[
                ("src/a.rs", "// b.unwrap()\n#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }\n"),
                ("io/src/c/mod.rs", "#[cfg(test)]\nmod model;\n"),
                ("io/src/c/model.rs", "fn a() { b.unwrap(); }\n"),
            ])
        },
    },
    Rule {
        says: "no name says manager, handler, helper, util, common, misc, engine or get_",
        check: words::names,
        bad: || files(&[("src/a.rs", "struct PageManager;\n")]),
        good: || files(&[("src/a.rs", "fn a() { manager.get_mut(); }\nfn getrange() {}\n")]),
    },
    Rule {
        says: "nothing is left to do later in a comment, and no macro is defined",
        check: words::leftovers,
        bad: || files(&[("src/a.rs", "// TODO: b\n")]),
        good: || files(&[("src/a.rs", "const A: &str = \"TODO\"; // todos\n")]),
    },
    Rule {
        says: "errors are types: no Box<dyn Error>, and no anyhow outside tests and scripts",
        check: words::errors,
        bad: || files(&[("src/a.rs", "fn a() -> Result<(), Box<dyn std::error::Error>> {}\n")]),
        good: || files(&[("src/a.rs", "fn a() -> Result<(), Error> {}\n")]),
    },
    Rule {
        says: "unsafe stands only in io, lua and shards",
        check: words::unsafe_code,
        bad: || files(&[("src/a.rs", "fn a() { unsafe { b() } }\n")]),
        good: || files(&[("src/a.rs", "// unsafe\n"), ("io/src/b.rs", "unsafe { c() }\n")]),
    },
    Rule {
        says: "unsafe code is allowed only on the mod line of a room that a comment describes",
        check: house::rooms,
        bad: || files(&[("io/src/a.rs", "#[allow(unsafe_code)]\nfn b() {}\n")]),
        good: || files(&[("io/src/a.rs", "#[allow(unsafe_code)] // Room: lent cells.\nmod b;\n")]),
    },
    Rule {
        says: "shards is pure: no clocks, threads, files, sockets, environment, nor io but resp",
        check: words::purity,
        bad: || files(&[("shards/src/a.rs", "use std::{cell::Cell, time::Instant};\n")]),
        good: || {
            files(&[
                ("shards/src/a.rs", "use pinion_io::resp::Reply;\nuse std::cell::Cell;\n"),
                ("shards/src/b.rs", "use std::sync::Arc;\n"),
                ("src/a.rs", "use std::time::Instant;\n"),
            ])
        },
    },
    Rule {
        says: "async stands only in io and src",
        check: words::waits,
        bad: || files(&[("bench/src/a.rs", "async fn a() {}\n")]),
        good: || files(&[("io/src/a.rs", "async fn a() {}\n")]),
    },
    Rule {
        says: "only io's manifest names the kernel's crates, and packages depend one way",
        check: house::manifests,
        bad: || files(&[("shards/Cargo.toml", "[dependencies]\nlibc = \"1\"\n")]),
        good: || files(&[("io/Cargo.toml", "[dependencies]\nlibc = \"1\"\n")]),
    },
    Rule {
        says: "the top level is fixed",
        check: house::top_level,
        bad: || files(&[("notes.md", "\n")]),
        good: || files(&[("Cargo.toml", "\n"), (".ci/run", "\n"), ("src/a/b.rs", "\n")]),
    },
    Rule {
        says: "README.md has at most 200 lines, and its test command is what CI runs",
        check: house::readme,
        bad: || {
            vec![("README.md", "`cargo x ci`\n".repeat(201)), (".ci/run", "cargo x ci\n".into())]
        },
        good: || files(&[("README.md", "cargo x ci\n"), (".ci/run", "exec cargo x ci\n")]),
    },
    Rule {
        says: "every command stands in a golden script",
        check: scripts::commands,
        bad: || files(&[("tests/commands/string/get.txt", "# SET\n> GET SET\n")]),
        good: Vec::new,
    },
];

#[test]
fn the_house_rules_hold() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a tree to read");
    assert!(tree.files.len() > 100, "the tree is there");
    let mut breaches = Vec::new();
    let mut needed = vec![false; EXCEPTIONS.len()];
    for rule in RULES {
        for breach in (rule.check)(&tree) {
            let excused = |exception: &Exception| {
                exception.says == rule.says && exception.path == breach.path
            };
            match EXCEPTIONS.iter().position(excused) {
                Some(index) => needed[index] = true,
                None => breaches.push(format!("{breach}\n    {}", rule.says)),
            }
        }
    }
    for (exception, needed) in EXCEPTIONS.iter().zip(needed) {
        assert!(!exception.reason.is_empty(), "{}: an exception has a reason", exception.path);
        if !needed {
            breaches.push(format!("{}: no exception is needed any more", exception.path));
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn every_rule_can_fail_and_can_hold() {
    for rule in RULES {
        let bad = Tree::of((rule.bad)());
        assert!(!(rule.check)(&bad).is_empty(), "never fails: {}", rule.says);
        let good = (rule.good)();
        if !good.is_empty() {
            let breaches = (rule.check)(&Tree::of(good));
            let shown: Vec<_> = breaches.iter().map(ToString::to_string).collect();
            assert!(shown.is_empty(), "never holds: {}: {shown:?}", rule.says);
        }
    }
}
