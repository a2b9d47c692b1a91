//! The one door to the project's tasks: `cargo x <task>`.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What a task gets after its name; the error is a sentence.
type Run = fn(&[String]) -> Result<(), String>;

/// The tasks: name, arguments, meaning, function.
static TASKS: &[(&str, &str, &str, Run)] = &[
    ("check", "", "format, lints and house rules, in seconds", check),
    ("ci", "", "everything that must hold before a change lands", ci),
    ("bench", "CASE [OPTION...]", "Pinion beside its peers; without CASE, what there is", bench),
    ("sim", "[SEEDS [FIRST]]", "simulated meshes, 100,000 seeds if not said", sim),
    ("fuzz", "TARGET [SECONDS]", "random input to one target, 60 seconds if not said", fuzz),
];

/// The top of the repository.
const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Seeds of a `sim` that names none.
const SIM_SEEDS: &str = "100000";
/// Seconds of a `fuzz` that names none.
const FUZZ_SECONDS: &str = "60";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = arguments.first().and_then(|name| TASKS.iter().find(|task| task.0 == name));
    let Some((_, _, _, run)) = task else {
        if let Some(name) = arguments.first() {
            eprintln!("there is no task {name}");
        }
        for (name, words, meaning, _) in TASKS {
            eprintln!("cargo x {:24} {meaning}", format!("{name} {words}"));
        }
        return ExitCode::FAILURE;
    };
    match run(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn check(arguments: &[String]) -> Result<(), String> {
    none(arguments)?;
    lint()?;
    cargo(&["test", "--quiet", "--test", "tidy"], &[])
}

/// Ends with the tests of the workspace, so that cargo's own lines about them come last. The
/// house rules are among them.
fn ci(arguments: &[String]) -> Result<(), String> {
    none(arguments)?;
    lint()?;
    if finds("cargo-deny") {
        cargo(&["deny", "--config", ".deny.toml", "check", "bans", "licenses", "sources"], &[])?;
    }
    cargo(&["test", "--package", "pinion-io", "--lib", "--features", "loom", "model"], &[])?;
    cargo(&["test", "--workspace"], &[])
}

fn lint() -> Result<(), String> {
    cargo(&["fmt", "--all", "--", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
}

fn bench(arguments: &[String]) -> Result<(), String> {
    cargo(&["build", "--release", "--package", "pinion", "--bin", "pinion"], &[])?;
    let mut all = vec!["run", "--release", "--package", "pinion-bench", "--"];
    all.extend(arguments.iter().map(String::as_str));
    cargo(&all, &[])
}

/// The targets are tests that take a seed and a time, so that they run everywhere.
fn fuzz(arguments: &[String]) -> Result<(), String> {
    let (target, seconds) = match arguments {
        [target] => (target, FUZZ_SECONDS),
        [target, seconds] => (target, seconds.as_str()),
        _ => return Err("cargo x fuzz TARGET [SECONDS]".into()),
    };
    if seconds.parse::<u32>().is_err() {
        return Err(format!("{seconds} is not a number of seconds"));
    }
    if !Path::new(TOP).join(format!("tests/fuzz/{target}.rs")).is_file() {
        return Err(format!("there is no tests/fuzz/{target}.rs"));
    }
    let tests = format!("fuzz::{target}::");
    let all = ["test", "--profile", "checked", "--test", "fuzz", &tests, "--", "--nocapture"];
    cargo(&all, &[("PINION_FUZZ_SECONDS", seconds)])
}

/// The simulation is a test that takes its seeds from the environment.
fn sim(arguments: &[String]) -> Result<(), String> {
    let (seeds, first) = match arguments {
        [] => (SIM_SEEDS, "1"),
        [seeds] => (seeds.as_str(), "1"),
        [seeds, first] => (seeds.as_str(), first.as_str()),
        _ => return Err("cargo x sim [SEEDS [FIRST]]".into()),
    };
    if seeds.parse::<u64>().is_err() || first.parse::<u64>().is_err() {
        return Err("seeds are numbers".into());
    }
    let all = ["test", "--profile", "checked", "--test", "simulation", "--", "--nocapture"];
    cargo(&all, &[("PINION_SIM_SEEDS", seeds), ("PINION_SIM_SEED", first)])
}

fn none(arguments: &[String]) -> Result<(), String> {
    if arguments.is_empty() { Ok(()) } else { Err("this task takes no arguments".into()) }
}

/// Runs cargo at the top of the repository, after saying so.
fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let line = format!("cargo {}", arguments.join(" "));
    eprintln!("$ {line}");
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(TOP)
        .status()
        .map_err(|error| format!("starting {line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {line}")) }
}

/// True if a program of this name is on the path.
fn finds(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
