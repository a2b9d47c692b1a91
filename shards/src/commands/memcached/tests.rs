//! The rows on a shard, as the server runs them.

use super::*;
use crate::commands::Words;
use crate::shard::{Call, Sender, Shard, Task};
use pinion_io::resp::{Protocol, Reply};

const NOW: Millis = 1_700_000_000_000;

fn run(shard: &mut Shard, now: Millis, request: &str) -> String {
    let mut words = Words::default();
    words.extend(request.split(' ').map(str::as_bytes));
    let args = words.args();
    let row = match find(args.at(0)) {
        Some(row) => row,
        None => crate::commands::find(args.at(0)).unwrap(),
    };
    assert!(row.accepts(args.len()), "{request}");
    let super::super::Plan::One(run) = row.plan else { panic!("{request}") };
    let mut text = Vec::new();
    let hash = shard.hash(args.at(1));
    let call =
        Call { task: Task::Run(row, run), sender: Sender(0), db: 0, hash, args, speaker: None };
    shard.run(now, &call, &mut Reply::new(&mut text, Protocol::Resp2));
    String::from_utf8(text).unwrap()
}

/// The number that `gets` tells.
fn token(shard: &mut Shard, key: &str) -> String {
    let text = run(shard, NOW, &format!("gets {key}"));
    text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn values_are_stored_as_asked() {
    let mut shard = Shard::new(0, 1, 2, 7);
    let mut run = |request: &str| run(&mut shard, NOW, request);
    assert_eq!(run("get a"), "");
    assert_eq!(run("replace a 1 0 x"), "NOT_STORED\r\n");
    assert_eq!(run("append a 1 0 x"), "NOT_STORED\r\n");
    assert_eq!(run("add a 7 0 x"), "STORED\r\n");
    assert_eq!(run("add a 8 0 y"), "NOT_STORED\r\n");
    assert_eq!(run("append a 0 0 y"), "STORED\r\n");
    assert_eq!(run("prepend a 0 0 w"), "STORED\r\n");
    assert_eq!(run("get a"), "VALUE a 7 3\r\nwxy\r\n");
    assert_eq!(run("replace a 0 0 1"), "STORED\r\n");
    assert_eq!(run("get a"), "VALUE a 0 1\r\n1\r\n");
    assert_eq!(run("delete a"), "DELETED\r\n");
    assert_eq!(run("delete a"), "NOT_FOUND\r\n");
    // What is no string is not there, but in the way.
    run("RPUSH list x");
    assert_eq!(run("get list"), "");
    assert_eq!(run("gets list"), "");
    assert_eq!(run("delete list"), "NOT_FOUND\r\n");
    assert_eq!(run("add list 0 0 x"), "NOT_STORED\r\n");
    assert_eq!(run("incr list 1"), "NOT_FOUND\r\n");
    assert_eq!(run("set list 0 0 x"), "STORED\r\n");
    assert_eq!(run("get list"), "VALUE list 0 1\r\nx\r\n");
    let long = format!("append list 0 0 {}", "x".repeat(1024 * 1024));
    assert_eq!(run(&long), "SERVER_ERROR out of memory storing object\r\n");
}

#[test]
fn numbers_have_64_bits_without_a_sign() {
    let mut shard = Shard::new(0, 1, 2, 7);
    let mut run = |request: &str| run(&mut shard, NOW, request);
    assert_eq!(run("incr n 1"), "NOT_FOUND\r\n");
    run("set n 3 100 10");
    assert_eq!(run("incr n 5"), "15\r\n");
    assert_eq!(run("decr n 20"), "0\r\n");
    assert_eq!(run("incr n 18446744073709551615"), "18446744073709551615\r\n");
    assert_eq!(run("incr n 2"), "1\r\n");
    assert_eq!(run("get n"), "VALUE n 3 1\r\n1\r\n");
    assert_eq!(run("PTTL n"), ":100000\r\n");
    let error = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    for value in ["x", "-1", "18446744073709551616"] {
        run(&format!("set n 0 0 {value}"));
        assert_eq!(run("incr n 1"), error, "{value}");
    }
}

#[test]
fn a_number_of_a_state_holds_until_the_next() {
    let mut shard = Shard::new(0, 1, 2, 7);
    assert_eq!(run(&mut shard, NOW, "cas k 0 0 x 1"), "NOT_FOUND\r\n");
    run(&mut shard, NOW, "set k 0 0 x");
    let one = token(&mut shard, "k");
    assert_eq!(token(&mut shard, "k"), one);
    assert_eq!(run(&mut shard, NOW, "touch k 100"), "TOUCHED\r\n");
    assert_eq!(run(&mut shard, NOW, &format!("cas k 5 0 y {one}")), "STORED\r\n");
    assert_eq!(run(&mut shard, NOW, &format!("cas k 0 0 z {one}")), "EXISTS\r\n");
    let two = token(&mut shard, "k");
    assert_ne!(one, two);
    // Any change counts, even one that leaves the value as it was.
    run(&mut shard, NOW, "APPEND k y");
    run(&mut shard, NOW, "SETRANGE k 0 y");
    assert_eq!(run(&mut shard, NOW, &format!("cas k 0 0 z {two}")), "EXISTS\r\n");
    assert_eq!(run(&mut shard, NOW, "get k"), "VALUE k 0 2\r\nyy\r\n");
}

#[test]
fn values_end_when_they_are_to() {
    let mut shard = Shard::new(0, 1, 2, 7);
    run(&mut shard, NOW, "set k 0 10 x");
    assert_eq!(run(&mut shard, NOW, "PTTL k"), ":10000\r\n");
    run(&mut shard, NOW, &format!("set k 0 {} x", NOW / 1000 + 5_000_000));
    assert_eq!(run(&mut shard, NOW, "PTTL k"), ":5000000000\r\n");
    assert_eq!(run(&mut shard, NOW, "gat k 20"), "VALUE k 0 1\r\nx\r\n");
    assert_eq!(run(&mut shard, NOW, "PTTL k"), ":20000\r\n");
    assert_eq!(run(&mut shard, NOW, "touch k 0"), "TOUCHED\r\n");
    assert_eq!(run(&mut shard, NOW, "PTTL k"), ":-1\r\n");
    assert_eq!(run(&mut shard, NOW, "set k 0 -1 x"), "STORED\r\n");
    assert_eq!(run(&mut shard, NOW, "get k"), "");
    assert_eq!(run(&mut shard, NOW, "touch k 0"), "NOT_FOUND\r\n");
    run(&mut shard, NOW, "set k 0 1 x");
    assert_eq!(run(&mut shard, NOW + 1001, "get k"), "");
    for end in ["9223372036854775807", "99999999999999999999"] {
        assert_eq!(run(&mut shard, NOW, &format!("set k 0 {end} x")), "STORED\r\n");
    }
}
