//! Servers under measurement: started on a free port and chosen cores, and what they cost.

use crate::client::Client;
use crate::options::{Extra, Options};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server to answer its first PING.
const START_MAX: Duration = Duration::from_secs(20);
/// Clock ticks a second in /proc, the same on every Linux that matters here.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server; what was started here is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    pid: Option<u32>,
    child: Option<Child>,
}

/// What a server had cost at an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    cpu_seconds: Option<f64>,
    commands: Option<f64>,
}

impl Server {
    /// Pinion with so many shards on these cores, and these further flags.
    pub(crate) fn pinion(
        options: &Options,
        name: &str,
        shards: usize,
        cores: &str,
        flags: &[&str],
    ) -> Result<Self, String> {
        let mut arguments = vec![
            "--bind=127.0.0.1".into(),
            format!("--threads={shards}"),
            "--minloglevel=1".into(),
            "--save=".into(),
        ];
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        arguments.extend(options.flags.iter().cloned());
        Self::start(name, &options.pinion, cores, arguments)
    }

    /// The peers found, each with every one of these numbers of I/O threads.
    pub(crate) fn peers(
        options: &Options,
        cores: &str,
        io_threads: &[usize],
    ) -> Result<Vec<Self>, String> {
        let mut servers = Vec::new();
        for name in ["redis8", "valkey8"] {
            for &threads in io_threads {
                let shown = match io_threads {
                    [_] => name.to_owned(),
                    _ => format!("{name} io-threads {threads}"),
                };
                servers.extend(Self::peer(options, (name, &shown), cores, threads, &[])?);
            }
        }
        servers.extend(options.extras.iter().map(Self::extra));
        Ok(servers)
    }

    /// A peer, if it is found, under the name that is shown, with these further words.
    pub(crate) fn peer(
        options: &Options,
        (name, shown): (&str, &str),
        cores: &str,
        io_threads: usize,
        words: &[&str],
    ) -> Result<Option<Self>, String> {
        let Some(program) = peer_program(options, &format!("{name}-server")) else {
            return Ok(None);
        };
        let line = format!(
            "--bind 127.0.0.1 --daemonize no --appendonly no --maxclients 20000 \
             --io-threads {io_threads} --save"
        );
        let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        arguments.push(String::new());
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        Self::start(shown, &program, cores, arguments).map(Some)
    }

    fn extra(extra: &Extra) -> Self {
        let Extra { name, port, pid } = extra.clone();
        Self { name, port, pid, child: None }
    }

    fn start(
        name: &str,
        program: impl AsRef<OsStr>,
        cores: &str,
        arguments: Vec<String>,
    ) -> Result<Self, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("finding a free port: {error}"))?
            .port();
        let child = on_cores(cores, program)
            .arg("--port")
            .arg(port.to_string())
            .args(arguments)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("starting {name} on cores {cores}: {error}"))?;
        let pid = Some(child.id());
        let mut server = Self { name: name.to_owned(), port, pid, child: Some(child) };
        server.wait_for_ping()?;
        Ok(server)
    }

    fn wait_for_ping(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        while Client::connect(self.port).and_then(|mut client| client.ask("PING")).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(format!("{} ended at its start: {status}", self.name));
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not answer", self.name));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A number from INFO; none where the server does not tell it.
    pub(crate) fn figure(&self, section: &str, name: &str) -> Option<f64> {
        let text = Client::connect(self.port).ok()?.ask(&format!("INFO {section}")).ok()?;
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split_once(':')?.1.trim().parse().ok()
    }

    /// What it has cost so far.
    pub(crate) fn cost(&self) -> Cost {
        let commands = self.figure("stats", "total_commands_processed");
        Cost { cpu_seconds: self.cpu_seconds(), commands }
    }

    /// CPU of all its threads, user and system, since it was started.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid?)).ok()?;
        // After the name, which may hold anything: state is field 3, utime 14, stime 15.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks: f64 =
            fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
        Some(ticks / TICKS_PER_SECOND)
    }

    /// Where the kernel says what memory it has, if that is to be known.
    pub(crate) fn memory_file(&self) -> Option<String> {
        Some(format!("/proc/{}/statm", self.pid?))
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing can be done in a drop if it fails.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Cost {
    /// CPU microseconds per command since `before`; `requests` where the server does not count.
    pub(crate) fn cpu_us_per_command(self, before: Self, requests: u64) -> f64 {
        let counted = self.commands.zip(before.commands).map(|(after, before)| after - before);
        let seconds = self.cpu_seconds.zip(before.cpu_seconds);
        seconds.map_or(f64::NAN, |(after, before)| {
            (after - before) * 1e6 / counted.unwrap_or(requests as f64)
        })
    }
}

/// A program of the peers' folder, if it is there.
pub(crate) fn peer_program(options: &Options, name: &str) -> Option<PathBuf> {
    let folder = options.peers.as_ref()?;
    let path = std::path::absolute(folder.join("bin").join(name)).ok()?;
    path.is_file().then_some(path)
}

/// A command that runs a program on a list of cores.
pub(crate) fn on_cores(cores: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cores).arg(program);
    command
}
