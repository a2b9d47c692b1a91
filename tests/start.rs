//! How the program starts, and how it refuses to: one sentence, and exit status 1.

use std::net::TcpListener;
use std::process::{Command, Output};

fn pinion(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinion"))
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs")
}

/// The program's one sentence on stderr, after it ended with status 1.
fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = pinion(arguments, variables);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    text.trim_end().strip_prefix("pinion: ").expect("the program names itself").to_owned()
}

#[test]
fn mistakes_end_the_start() {
    for (arguments, text) in [
        (&["--nosuch=1"][..], "unknown flag --nosuch; --help lists those there are"),
        (
            &["6379"][..],
            "cannot read configuration file 6379: No such file or directory (os error 2)",
        ),
        (
            &["--aclfile=/no/such", "--port=0", "--maxclients=10"][..],
            "cannot set up its users: Error loading ACLs, opening file '/no/such': No such file or \
             directory (os error 2)",
        ),
        (
            &["--port=70000"][..],
            "bad value '70000' for flag --port: argument must be between -1 and 65535 inclusive",
        ),
        (
            &["--cores=1,x"][..],
            "bad value '1,x' for flag --cores: argument must be a list of cores such as 0,2-3",
        ),
        (
            &["--flagfile=/no/such"][..],
            "cannot read flag file /no/such: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(refusal(arguments, &[]), text);
    }
    let text = refusal(&[], &[("PINION_maxclients", "none")]);
    assert!(text.starts_with("environment variable PINION_maxclients: bad value 'none'"), "{text}");
}

#[test]
fn a_port_in_use_ends_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let flags = [format!("--port={port}"), "--bind=127.0.0.1".to_owned(), "--threads=1".to_owned()];
    let text = refusal(&flags.each_ref().map(String::as_str), &[]);
    let expected = format!("cannot listen on 127.0.0.1:{port}: Address already in use");
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn help_and_version_are_no_failure() {
    for (argument, text) in [("--version", "pinion 0."), ("--help", "--proactor_threads")] {
        let output = pinion(&[argument], &[]);
        assert!(output.status.success() && output.stderr.is_empty(), "{argument}");
        let printed = String::from_utf8(output.stdout).expect("text");
        assert!(printed.contains(text), "{printed}");
    }
}
