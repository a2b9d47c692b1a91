//! Golden scripts: what a client can see, as text; every script runs on every kind of server.
//!
//! A script `tests/commands/<family>/<topic>.txt` is a list of actions, each followed by the exact
//! replies. It starts on an empty server and runs in RESP2 and in RESP3, against Pinion with 1, 2
//! and 7 shards, and against a real server where `PINION_GOLDEN_SERVER=host:port` names one: that
//! server (a Redis 8, with `--enable-debug-command local`) is the judge of what is right.
//! `PINION_GOLDEN_ONLY=text` runs only the scripts with `text` in their path. With
//! `PINION_GOLDEN_RECORD=1` the answers of the real server are written into the scripts wherever
//! they differ: write the actions, record, then read what came.
//!
//! Actions, each on a line:
//!
//! ```text
//! # A comment.
//! > SET key "two\r\nlines"   a request; words as in redis-cli, `"x"*50` repeats, `<name>` is kept
//! @b > GET key               the same on a connection of its own, named b
//! >> "PING\r\n"              bytes as they are
//! <                          nothing is sent, only read
//! scan> SCAN 0 COUNT 2       follows the cursor to its end; answers what was found, sorted
//! sleep 20ms
//! ```
//!
//! Replies, one value after the other (none, where none must come), in their RESP3 form. In RESP2 a
//! map must come as a flat array, a set or push as an array, a null as `$-1` or `*-1`, a double,
//! big number or verbatim text as a bulk string, a boolean as an integer:
//!
//! ```text
//! +OK   -ERR text   :5   "bulk"   _ (null)   _* (null array)   ,1.5   #t   (123   =txt "verbatim"
//! *2    the next two values (indented, to be read easily); ~2 a set, >2 a push, %2 two pairs
//! *2 unordered    in any order            *2 among    in any order, with others between
//! closed          the server closes the connection
//! +"quoted "  -"ERR quoted "    where the text ends in a space
//! <any>  <array>  <int>  <int 1..9>  <int as name>  <like "a*b">  -<like "ERR*">  =txt <like "*">
//! resp2: :1       what follows holds in this protocol only (the other is given with `resp3:`)
//! ```
//!
//! Directives hold to the end of their paragraph or, in a paragraph without actions, of the script:
//!
//! ```text
//! shards: 2 7       only on so many shards (a real server counts as one)
//! !redis reason     not on a real server
//! !pinion reason    not on Pinion: a flaw that is known
//! ```

mod golden {
    pub(crate) mod notation;
    pub(crate) mod run;
    pub(crate) mod script;
}
mod support;

use golden::run::{Difference, Run};
use golden::script::{Script, Subject};
use pinion_io::resp::Protocol;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use support::server::Server;

/// Differences shown of one script; the first is mostly the cause of the others.
const DIFFERENCES_SHOWN: usize = 5;

#[test]
fn one_shard() {
    on_pinion(1);
}

#[test]
fn two_shards() {
    on_pinion(2);
}

#[test]
fn seven_shards() {
    on_pinion(7);
}

#[test]
fn a_real_server_where_one_is_named() {
    let Ok(name) = std::env::var("PINION_GOLDEN_SERVER") else { return };
    let address = name.to_socket_addrs().expect("an address").next().expect("one address");
    let record = std::env::var("PINION_GOLDEN_RECORD").is_ok_and(|value| value == "1");
    let mut failures = Vec::new();
    for path in script_paths() {
        for protocol in [Protocol::Resp3, Protocol::Resp2] {
            let script = Script::read(&path).expect("a script");
            match Run::new(&script, address, protocol, record).run(Subject::Redis) {
                Ok(differences) if record => write_back(&script, protocol, &differences),
                Ok(differences) => failures.extend(told(&script, protocol, &differences)),
                Err(error) => failures.push(format!("{protocol:?}: {error}")),
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_script_can_be_read() {
    let scripts: Vec<_> = script_paths().iter().map(|path| Script::read(path)).collect();
    let errors: Vec<_> = scripts.iter().filter_map(|script| script.as_ref().err()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn on_pinion(shards: usize) {
    let mut server = None;
    let mut failures = Vec::new();
    for path in script_paths() {
        let script = Script::read(&path).expect("a script");
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let address = address_of(&mut server, shards);
            let differences =
                Run::new(&script, address, protocol, false).run(Subject::Pinion(shards));
            let count = failures.len();
            match differences {
                Ok(differences) => failures.extend(told(&script, protocol, &differences)),
                Err(error) => failures.push(format!("{protocol:?}: {error}")),
            }
            if failures.len() > count {
                // What failed may have left settings behind; the next script starts afresh.
                server = None;
            }
        }
    }
    assert!(failures.is_empty(), "{shards} shards:\n{}", failures.join("\n"));
}

fn address_of(server: &mut Option<Server>, shards: usize) -> SocketAddr {
    server
        .get_or_insert_with(|| Server::start(shards, &[]).expect("a server that starts"))
        .address()
}

/// Every script, in the order of their paths.
fn script_paths() -> Vec<PathBuf> {
    let only = std::env::var("PINION_GOLDEN_ONLY").unwrap_or_default();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands")];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder of scripts") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "txt")
                && path.to_string_lossy().contains(&only)
            {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

fn told(script: &Script, protocol: Protocol, differences: &[Difference]) -> Vec<String> {
    let tell = |difference: &Difference| {
        let step = &script.steps[difference.step];
        let indented =
            |lines: &[String]| lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
        format!(
            "{}:{}: {protocol:?}: {}\n  expected\n{}  got\n{}",
            script.path.display(),
            step.line + 1,
            script.lines[step.line],
            indented(step.expected.lines(protocol)),
            indented(&difference.got),
        )
    };
    differences.iter().take(DIFFERENCES_SHOWN).map(tell).collect()
}

/// Writes what came into the script; where only RESP2 differs, as an alternative for it.
fn write_back(script: &Script, protocol: Protocol, differences: &[Difference]) {
    let mut lines = script.lines.clone();
    for difference in differences.iter().rev() {
        let step = &script.steps[difference.step];
        assert!(!step.expected.is_split(), "line {}: edit alternatives by hand", step.line + 1);
        let first = step.line + 1;
        let mut new = difference.got.clone();
        if protocol == Protocol::Resp2 && step.expected.line_count > 0 {
            new.insert(0, "resp2:".into());
            new.push("resp3:".into());
            new.extend_from_slice(step.expected.lines(Protocol::Resp3));
        }
        lines.splice(first..first + step.expected.line_count, new);
    }
    if !differences.is_empty() {
        std::fs::write(&script.path, lines.join("\n") + "\n").expect("a script to write");
    }
}
