//! Closed loops of load, by redis-benchmark or memtier_benchmark.

use crate::options::Options;
use crate::server::{Server, on_cores, peer_program};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Bytes of a value.
const VALUE_BYTES: u64 = 32;

/// The program that makes the load.
#[derive(Debug)]
pub(crate) enum Load {
    /// redis-benchmark, and where it is.
    RedisBenchmark(PathBuf),
    /// memtier_benchmark, from the path.
    Memtier,
}

/// What is asked, how often, how deep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    /// `SET` or `GET`.
    pub(crate) command: &'static str,
    /// Requests sent before a reply is awaited.
    pub(crate) pipeline: u64,
    /// Connections.
    pub(crate) connections: u64,
    /// Requests in all.
    pub(crate) requests: u64,
    /// Keys, drawn at random.
    pub(crate) keys: u64,
}

/// A line of redis-benchmark's own, or a whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// A name that `-t` knows, or a request with spaces between its words.
    pub(crate) text: &'a str,
    /// Requests sent before a reply is awaited.
    pub(crate) pipeline: u64,
    /// Requests in all.
    pub(crate) requests: u64,
    /// Keys, drawn at random; always the same one if none.
    pub(crate) keys: Option<u64>,
}

impl Line<'_> {
    /// What to call it in the table.
    pub(crate) fn name(&self) -> String {
        Self::named(self.text, self.pipeline)
    }

    /// The same before there is one.
    pub(crate) fn named(text: &str, pipeline: u64) -> String {
        format!("{text} -P {pipeline}")
    }
}

/// What the load saw, and what the server paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Replies a second.
    pub(crate) rate: f64,
    /// Milliseconds that half of the replies needed at most.
    pub(crate) p50_ms: f64,
    /// The same for 99 in 100.
    pub(crate) p99_ms: f64,
    /// Server CPU, microseconds per command.
    pub(crate) cpu_us: f64,
}

impl Test {
    /// What to call it in the table.
    pub(crate) fn name(&self) -> String {
        format!("{} -P {} -c {}", self.command, self.pipeline, self.connections)
    }
}

impl Load {
    /// The first program found; the error says where it was looked for.
    pub(crate) fn find(options: &Options) -> Result<Self, String> {
        let found = ["redis8-benchmark", "valkey8-benchmark"]
            .iter()
            .find_map(|name| peer_program(options, name));
        if let Some(path) = found {
            return Ok(Self::RedisBenchmark(path));
        }
        let answers = |program: &str| {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok()
        };
        if answers("memtier_benchmark") {
            Ok(Self::Memtier)
        } else if answers("redis-benchmark") {
            Ok(Self::RedisBenchmark("redis-benchmark".into()))
        } else {
            Err("no redis-benchmark in --peers or on the path, and no memtier_benchmark".into())
        }
    }

    /// Runs a line against a server, the load on these cores.
    pub(crate) fn run_line(
        &self,
        line: &Line<'_>,
        server: &Server,
        cores: &str,
    ) -> Result<Figures, String> {
        let Self::RedisBenchmark(program) = self else {
            return Err("these are lines of redis-benchmark, which was not found".into());
        };
        let mut command = on_cores(cores, program);
        command.args(["--csv", "--precision", "3", "-c", "50", "-p", &server.port.to_string()]);
        command.args(["-n", &line.requests.to_string(), "-P", &line.pipeline.to_string()]);
        if let Some(keys) = line.keys {
            command.args(["-r", &keys.to_string()]);
        }
        if line.text.contains(' ') {
            command.args(line.text.split(' '));
        } else {
            command.args(["-t", line.text]);
        }
        let before = server.cost();
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
        let output = output.map_err(|error| format!("starting the load: {error}"))?;
        let after = server.cost();
        let text = String::from_utf8_lossy(&output.stdout);
        let [rate, p50_ms, p99_ms] = parse_last(&text).ok_or_else(|| {
            format!("{} against {}: no figures in:\n{text}", line.name(), server.name)
        })?;
        let cpu_us = after.cpu_us_per_command(before, line.requests);
        Ok(Figures { rate, p50_ms, p99_ms, cpu_us })
    }

    /// Runs a test against a server, the load on these cores.
    pub(crate) fn run(&self, test: &Test, server: &Server, cores: &str) -> Result<Figures, String> {
        let before = server.cost();
        let mut command = match self {
            Self::RedisBenchmark(program) => {
                let mut command = on_cores(cores, program);
                command.args(["-t", &test.command.to_lowercase(), "--csv", "--precision", "3"]);
                command.args(["-r", &test.keys.to_string(), "-n", &test.requests.to_string()]);
                command.args(["-P", &test.pipeline.to_string(), "-d", &VALUE_BYTES.to_string()]);
                command.args(["-c", &test.connections.to_string(), "-p", &server.port.to_string()]);
                command
            }
            Self::Memtier => memtier(test, server, cores),
        };
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("starting the load: {error}"))?;
        let after = server.cost();
        let text = String::from_utf8_lossy(&output.stdout);
        let figures = match self {
            Self::RedisBenchmark(_) => parse_csv(&text, test.command),
            Self::Memtier => parse_memtier(&text),
        };
        let [rate, p50_ms, p99_ms] = figures.ok_or_else(|| {
            format!("{} against {}: no figures in:\n{text}", test.name(), server.name)
        })?;
        let cpu_us = after.cpu_us_per_command(before, test.requests);
        Ok(Figures { rate, p50_ms, p99_ms, cpu_us })
    }
}

/// Rate, p50 and p99 of the last line that redis-benchmark wrote.
fn parse_last(text: &str) -> Option<[f64; 3]> {
    let head = text.lines().find(|line| line.starts_with("\"test\""))?;
    let last = text.lines().last()?;
    // The name may hold commas, so fields are counted from the end.
    let column = |name: &str| {
        let quoted = format!("\"{name}\"");
        let from_end = head.split(',').rev().position(|field| field == quoted)?;
        last.rsplit(',').nth(from_end)?.trim_matches('"').parse::<f64>().ok()
    };
    Some([column("rps")?, column("p50_latency_ms")?, column("p99_latency_ms")?])
}

fn memtier(test: &Test, server: &Server, cores: &str) -> Command {
    let mut command = on_cores(cores, "memtier_benchmark");
    let ratio = if test.command == "SET" { "1:0" } else { "0:1" };
    let each = test.requests.div_ceil(test.connections);
    command.args(["--hide-histogram", "--print-percentiles=50,99", "--key-prefix=key:"]);
    command.args(["--threads=1".into(), format!("--clients={}", test.connections)]);
    command.args([format!("--port={}", server.port), format!("--ratio={ratio}")]);
    command.args([format!("--pipeline={}", test.pipeline), format!("--requests={each}")]);
    command.args([format!("--data-size={VALUE_BYTES}"), format!("--key-maximum={}", test.keys)]);
    command.arg("--key-pattern=R:R");
    command
}

/// Rate, p50 and p99 of a command from redis-benchmark's lines of quoted fields.
fn parse_csv(text: &str, command: &str) -> Option<[f64; 3]> {
    let fields =
        |line: &str| line.split(',').map(|field| field.trim_matches('"').to_owned()).collect();
    let head: Vec<String> = fields(text.lines().find(|line| line.starts_with("\"test\""))?);
    let row = format!("\"{command}\"");
    let row: Vec<String> = fields(text.lines().find(|line| line.starts_with(&row))?);
    let column = |name: &str| {
        let at = head.iter().position(|field| field == name)?;
        row.get(at)?.parse::<f64>().ok()
    };
    Some([column("rps")?, column("p50_latency_ms")?, column("p99_latency_ms")?])
}

/// The same from the row of totals of memtier_benchmark; its last columns are the mean, the
/// percentiles asked for and the bytes.
fn parse_memtier(text: &str) -> Option<[f64; 3]> {
    let row = text.lines().find_map(|line| line.strip_prefix("Totals"))?;
    let fields: Vec<f64> =
        row.split_whitespace().map(|field| field.parse().unwrap_or(f64::NAN)).collect();
    let [rate, .., p50, p99, _bytes] = fields[..] else { return None };
    Some([rate, p50, p99])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_the_names_of_their_columns() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\",\"p50_latency_ms\",\"p99_latency_ms\"\n\
                    \"SET\",\"100.5\",\"0.9\",\"0.2\",\"0.7\"\n";
        assert_eq!(parse_csv(text, "SET"), Some([100.5, 0.2, 0.7]));
        assert_eq!(parse_csv(text, "GET"), None);
        let text = "Type Ops/sec Hits/sec Misses/sec Avg. Latency p50 Latency p99 Latency KB/sec\n\
                    Totals 174000.1 --- 0.00 0.3 0.28 0.50 5123.4\n";
        assert_eq!(parse_memtier(text), Some([174_000.1, 0.28, 0.5]));
        assert_eq!(parse_memtier("Totals"), None);
    }
}
