//! A Pinion process: started on a free port, awaited, stopped as an operator would.

use super::client::Client;
use pinion_io::resp::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for a server to answer its first PING.
const START_MAX: Duration = Duration::from_secs(20);
/// Longest wait for a server to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A running server; it is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    room: Room,
}

/// A directory of its own for what a server writes; it goes when the server does.
#[derive(Debug)]
struct Room(PathBuf);

impl Room {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pinion-server-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left in the system's own directory of such things harms nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Server {
    /// Starts a server of `threads` shards with these further arguments, and waits until it
    /// answers.
    pub(crate) fn start(threads: usize, arguments: &[&str]) -> Result<Self, String> {
        let mut server = Self::launch(threads, arguments)?;
        server.wait_for_ping()?;
        Ok(server)
    }

    /// The same without waiting.
    pub(crate) fn launch(threads: usize, arguments: &[&str]) -> Result<Self, String> {
        let address = free_address()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinion"));
        // A configuration file is the first word.
        let (flags, files): (Vec<&str>, Vec<&str>) =
            arguments.iter().copied().partition(|argument| argument.starts_with('-'));
        command.args(&files).args([
            format!("--port={}", address.port()),
            format!("--threads={threads}"),
            "--pin=never".into(),
        ]);
        // A test that wants snapshots says so, and where they go.
        let says = |name: &str| arguments.iter().any(|argument| argument.starts_with(name));
        if !says("--save") && files.is_empty() {
            command.arg("--save=");
        }
        let room = Room::new().map_err(|error| format!("a directory for the server: {error}"))?;
        if !says("--dir") {
            command.arg("--dir").arg(&room.0);
        }
        if !arguments.iter().any(|argument| argument.starts_with("--bind")) {
            command.arg("--bind=127.0.0.1");
        }
        let child = command
            .args(flags)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("starting the server: {error}"))?;
        Ok(Self { child, address, room })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory of its files, if it was not given another.
    #[allow(dead_code, reason = "not every test looks at files")]
    pub(crate) fn room(&self) -> &Path {
        &self.room.0
    }

    /// Its process.
    #[allow(dead_code, reason = "not every test looks at the process")]
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// It had ended before.
    #[allow(dead_code, reason = "not every test kills a server")]
    pub(crate) fn kill(mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => {}
            ended => return Err(format!("the server has ended by itself: {ended:?}")),
        }
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| format!("killing the server: {error}"))
    }

    /// Asks it to end; returns how it ended, or `None` if it did not within `patience`.
    #[allow(dead_code, reason = "not every test stops a server itself")]
    pub(crate) fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        // SIGTERM, by the shell's own tool: the standard library knows only SIGKILL.
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().ok()?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    fn wait_for_ping(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended at its start: {status}"));
            }
            let pong = Client::connect(self.address).and_then(|mut client| client.ask(&["PING"]));
            match pong {
                Ok(Value::Simple(text)) if text == b"PONG" => return Ok(()),
                // A server with a password answers as well.
                Ok(Value::Error(text)) if text.starts_with(b"NOAUTH") => return Ok(()),
                other if Instant::now() > deadline => {
                    return Err(format!("no answer to PING: {other:?}"));
                }
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.stop(STOP_MAX).is_some() {
            return;
        }
        // It did not end in time, or could not be asked; nothing more can be done in a drop.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody listens on: the kernel's choice, given back at once.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("finding a free port: {error}"))
}
