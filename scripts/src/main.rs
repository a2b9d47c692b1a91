//! The one door to the project's tasks: `cargo x <task>`.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What a task gets after its name; the error is a sentence.
type Run = fn(&[String]) -> Result<(), String>;

/// The tasks: name, arguments, meaning, function.
static TASKS: &[(&str, &str, &str, Run)] = &[
    ("check", "", "format, lints and house rules, in seconds", check),
    ("ci", "", "everything that must hold before a change lands", ci),
    ("clients", "[ADDRESS]", "real clients against Pinion, or against this server", clients),
    ("bench", "CASE [OPTION...]", "Pinion beside its peers; without CASE, what there is", bench),
    ("sim", "[SEEDS [FIRST]]", "simulated meshes, 100,000 seeds if not said", sim),
    (
        "check-histories",
        "[OPERATIONS] [--server ADDRESS]",
        "what clients see at once, checked; a million operations each if not said",
        check_histories,
    ),
    (
        "check-snapshots",
        "[SNAPSHOTS [KILLS]]",
        "snapshots of a server that is busy, killed, short of room; 100 and 1000 if not said",
        check_snapshots,
    ),
    (
        "nightly",
        "",
        "the long runs: every target fuzzed for 10 minutes, histories, snapshots",
        nightly,
    ),
    ("fuzz", "TARGET [SECONDS]", "random input to one target, 60 seconds if not said", fuzz),
];

/// The top of the repository.
const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Seeds of a `sim` that names none.
const SIM_SEEDS: &str = "100000";
/// Operations of each history where no number is said.
const HISTORY_OPERATIONS: &str = "1000000";
/// Snapshots and kills of a `check-snapshots` that says nothing else.
const SNAPSHOTS: &str = "100";
const KILLS: &str = "1000";
/// Seconds of a `fuzz` that names none.
const FUZZ_SECONDS: &str = "60";
/// Seconds of each target in a `nightly`.
const NIGHT_SECONDS: &str = "600";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = arguments.first().and_then(|name| TASKS.iter().find(|task| task.0 == name));
    let Some((_, _, _, run)) = task else {
        if let Some(name) = arguments.first() {
            eprintln!("there is no task {name}");
        }
        for (name, words, meaning, _) in TASKS {
            eprintln!("cargo x {:47} {meaning}", format!("{name} {words}"));
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
    clients(&[])?;
    // What comes from files and RESTORE is tried for longer than the rest.
    let seconds = [("PINION_FUZZ_SECONDS", FUZZ_SECONDS)];
    cargo(&["test", "--test", "fuzz", "fuzz::snapshot::"], &seconds)?;
    cargo(&["test", "--workspace"], &[])
}

/// Tests that need clients from their registries, which are installed first where missing.
fn clients(arguments: &[String]) -> Result<(), String> {
    let mut variables = Vec::new();
    match arguments {
        [] => {}
        [server] if server.parse::<std::net::SocketAddr>().is_ok() => {
            variables.push(("PINION_CLIENTS_SERVER", server.as_str()));
        }
        _ => return Err("cargo x clients [ADDRESS]".into()),
    }
    let install = Path::new(TOP).join("tests/clients/install.sh");
    let status = Command::new(&install)
        .status()
        .map_err(|error| format!("starting {}: {error}", install.display()))?;
    if !status.success() {
        return Err("failed: tests/clients/install.sh".into());
    }
    let all = ["test", "--workspace", "--test", "clients", "--"];
    let all = [&all[..], &["--ignored", "--nocapture", "--test-threads=1"]].concat();
    cargo(&all, &variables)
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

/// Long runs of `tests/histories.rs`, one after the other, on a release build.
fn check_histories(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (operations, server) = match words[..] {
        [] => (HISTORY_OPERATIONS, None),
        ["--server", server] => (HISTORY_OPERATIONS, Some(server)),
        [operations] => (operations, None),
        [operations, "--server", server] | ["--server", server, operations] => {
            (operations, Some(server))
        }
        _ => return Err("cargo x check-histories [OPERATIONS] [--server ADDRESS]".into()),
    };
    if operations.parse::<u32>().is_err() {
        return Err(format!("{operations} is not a number of operations"));
    }
    let mut variables = vec![("PINION_HISTORY_OPERATIONS", operations)];
    if let Some(server) = server {
        if server.parse::<std::net::SocketAddr>().is_err() {
            return Err(format!("{server} is not an address and a port"));
        }
        variables.push(("PINION_HISTORY_SERVER", server));
    }
    let all = ["test", "--release", "--test", "histories", "histories::", "--"];
    let own = ["--nocapture", "--test-threads=1", "--skip", "histories::snapshots::"];
    cargo(&[&all[..], &own].concat(), &variables)
}

/// Snapshots of a server that is busy, killed, and short of room, on a release build.
fn check_snapshots(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (snapshots, kills) = match words[..] {
        [] => (SNAPSHOTS, KILLS),
        [snapshots] => (snapshots, KILLS),
        [snapshots, kills] => (snapshots, kills),
        _ => return Err("cargo x check-snapshots [SNAPSHOTS [KILLS]]".into()),
    };
    if [snapshots, kills].iter().any(|number| number.parse::<u32>().is_err()) {
        return Err("snapshots and kills are numbers".into());
    }
    let variables = [("PINION_SNAPSHOTS", snapshots), ("PINION_SNAPSHOT_KILLS", kills)];
    let own = ["--nocapture", "--test-threads=1"];
    let histories = ["test", "--release", "--test", "histories", "histories::snapshots::", "--"];
    cargo(&[&histories[..], &own].concat(), &variables)?;
    cargo(&[&["test", "--release", "--test", "snapshots", "--"][..], &own].concat(), &variables)
}

/// The targets are tests that take a seed and a time, so that they run everywhere.
/// What takes longer than a change should wait for.
fn nightly(arguments: &[String]) -> Result<(), String> {
    none(arguments)?;
    let folder = Path::new(TOP).join("tests/fuzz");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{folder:?}: {error}"))?;
    // What the targets draw on stands beside them, without a test of its own.
    let is_target = |path: &Path| {
        std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line == "#[test]"))
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_target(path));
    let mut targets: Vec<String> =
        paths.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    targets.sort();
    for target in targets {
        fuzz(&[target, NIGHT_SECONDS.to_owned()])?;
    }
    sim(&[])?;
    check_snapshots(&[])?;
    check_histories(&[])
}

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
