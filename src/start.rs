//! From settings to a serving server, and to its end.

use crate::config::{Config, Settings, SnapshotSettings};
use crate::connection::{Door, Wire};
use crate::core::{self, Start};
use crate::hop::Parcel;
use crate::process::purge_in_background;
use crate::server::Server;
use crate::snapshot::forgotten;
use pinion_io::clock::Clock;
use pinion_io::limits::LANE_LEN;
use pinion_io::mesh::{self, Doorbell};
use pinion_io::net;
use pinion_io::runtime::{self, StopSignals};
use pinion_shards::Shard;
use pinion_shards::limits::SHARDS_MAX;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Why the server could not start or go on: one sentence.
#[derive(Debug)]
pub struct StartError {
    doing: String,
    source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}: {}", self.doing, self.source)
    }
}

impl std::error::Error for StartError {}

fn failed(doing: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let doing = doing.into();
    move |source| StartError { doing, source }
}

/// How many threads serve: as many as asked for, or one on each processor.
fn threads(settings: &Settings, processors: usize) -> Result<usize, StartError> {
    let threads = if settings.threads == 0 { processors } else { settings.threads as usize };
    if threads > SHARDS_MAX {
        let source = io::Error::other(format!("there are {SHARDS_MAX} at most"));
        return Err(failed(format!("serve on {threads} threads"))(source));
    }
    Ok(threads)
}

/// Serves with `settings` until SIGTERM, SIGINT or SHUTDOWN.
///
/// # Errors
/// An address cannot be listened on, io_uring is not available, or a core broke.
pub fn serve(mut settings: Settings) -> Result<(), StartError> {
    let signals = StopSignals::block().map_err(failed("block signals"))?;
    let processors = processors(&settings)?;
    purge_in_background();
    let cores = threads(&settings, processors.len())?;
    let warnings = settings.tls.load();
    for warning in warnings.map_err(|error| failed("speak TLS")(io::Error::other(error)))? {
        tracing::warn!("{warning}");
    }
    let Listening { listeners, port, tls_port } = listen(&settings)?;
    see_to_descriptors(settings.clients_max, cores);
    settings.port = port.map_or(0, i64::from);
    settings.tls.port = tls_port.map_or(0, i64::from);
    let unix = (!settings.unixsocket.is_empty()).then(|| PathBuf::from(&settings.unixsocket));
    let databases = settings.databases as u16;
    let random = random().map_err(failed("read /dev/urandom"))?;
    let now = Clock::default().wall_ms(Duration::ZERO);
    let server = Arc::new(Server::new(Config::new(settings), now, cores, random.0));
    server
        .acl
        .begin(&server.config.settings())
        .map_err(|sentence| failed("set up its users")(io::Error::other(sentence)))?;
    if look_into(&server.config.settings().snapshots) {
        server.loading.announce();
    }
    server.port.store(port.unwrap_or(0), Ordering::Relaxed);
    server.tls_port.store(tls_port.unwrap_or(0), Ordering::Relaxed);
    let shards = make_shards(&server, databases, random.1);
    let posts =
        mesh::connect::<Shard, Parcel>(shards, LANE_LEN).map_err(failed("connect the cores"))?;
    let doorbells: Vec<_> = posts.iter().map(|post| Arc::clone(&post.doorbell)).collect();
    let processors: Arc<[usize]> = processors.into();
    let mut listeners = Some(listeners);
    let mut threads = Vec::new();
    for (index, post) in posts.into_iter().enumerate() {
        let start = Start {
            index,
            processor: processors[index % processors.len()],
            processors: Arc::clone(&processors),
            post,
            listeners: listeners.take().unwrap_or_default(),
            server: Arc::clone(&server),
        };
        threads.push(start_core(start)?);
    }
    tracing::info!(
        "serving on {cores} {}{}{}{}",
        if cores == 1 { "core" } else { "cores" },
        port.map_or(String::new(), |port| format!(", port {port}")),
        tls_port.map_or(String::new(), |port| format!(", TLS port {port}")),
        unix.as_deref().map_or(String::new(), |path| format!(", socket {}", path.display())),
    );
    wait_for_end(&signals, &server, &doorbells[0])?;
    server.stopping.store(true, Ordering::Release);
    for doorbell in &doorbells {
        doorbell.ring();
    }
    for thread in threads {
        thread.join().map_err(failed("end a core"))?;
    }
    remove_unfinished(&server.config.settings().snapshots.directory());
    if let Some(path) = unix {
        // Somebody else may have removed it; the next start replaces it anyway.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Waits until the server is to end: core 0 is told of a signal, and takes a snapshot first if that
/// is wanted; a second signal meanwhile ends the server without one.
fn wait_for_end(
    signals: &StopSignals,
    server: &Server,
    first: &Doorbell,
) -> Result<(), StartError> {
    let mut is_asked = false;
    loop {
        let signal = signals.wait().map_err(failed("wait for a signal"))?;
        if server.stopping.load(Ordering::Acquire) {
            tracing::info!("stopping");
            return Ok(());
        }
        if std::mem::replace(&mut is_asked, true) && server.saves.is_under_way() {
            tracing::warn!("{signal} again: stopping without a snapshot");
            return Ok(());
        }
        tracing::info!("{signal}: about to stop");
        server.is_interrupt.store(signal == "SIGINT", Ordering::Relaxed);
        server.stop_asked.store(true, Ordering::Relaxed);
        first.ring();
    }
}

/// Removes a snapshot of this process that the end has interrupted.
fn remove_unfinished(directory: &Path) {
    // What cannot be listed or removed here, the next start will remove.
    let Some(names) = names_in(directory) else { return };
    for name in forgotten(&names, |_| true) {
        let _ = std::fs::remove_file(directory.join(name));
    }
}

/// The names in a directory that are text; none if it cannot be read.
fn names_in(directory: &Path) -> Option<Vec<String>> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    Some(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Looks into the directory of snapshots before anybody is served: true if there is one to load, or
/// the directory cannot be read, as loading will say. Removes what servers left there of snapshots
/// that did not come to an end with them.
fn look_into(settings: &SnapshotSettings) -> bool {
    let Some(names) = settings.names() else { return false };
    let directory = settings.directory();
    let Some(listed) = names_in(&directory) else { return true };
    for name in forgotten(&listed, |process| Path::new(&format!("/proc/{process}")).exists()) {
        match std::fs::remove_file(directory.join(name)) {
            Ok(()) => tracing::info!("removed {name}, a snapshot that was never finished"),
            Err(error) => tracing::warn!("cannot remove {name}: {error}"),
        }
    }
    names.newest(&listed).is_some()
}

/// Descriptors besides those of clients: of each core, and of the rest of the process.
const DESCRIPTORS_A_CORE: u64 = 16;
const DESCRIPTORS_OTHER: u64 = 32;

/// A shard for each core, which share the server's memory.
fn make_shards(server: &Server, databases: u16, seed: u64) -> Vec<Shard> {
    let route = server.config.settings().route(server.cores);
    let shard = |index| {
        let mut shard = Shard::new(index, server.cores, databases, seed);
        shard.set_route(route.clone());
        shard.set_bank(Arc::clone(&server.ledger) as _);
        shard.set_library(Arc::clone(&server.scripts) as _);
        shard
    };
    (0..server.cores).map(shard).collect()
}

/// Has the process open a descriptor for each client there may be, or says that it may not.
fn see_to_descriptors(clients_max: u64, cores: usize) {
    let other = DESCRIPTORS_A_CORE * cores as u64 + DESCRIPTORS_OTHER;
    let limit = runtime::raise_descriptor_limit(clients_max.saturating_add(other)).unwrap_or(0);
    if limit < clients_max.saturating_add(other) {
        tracing::warn!(
            "maxclients is {clients_max}, but the process may have only {limit} descriptors open: \
             about {} clients fit (raise LimitNOFILE or ulimit -n)",
            limit.saturating_sub(other)
        );
    }
}

/// Starts a core's thread. A core that breaks takes the server down: its shard is gone.
fn start_core(start: Start) -> Result<runtime::CoreThread, StartError> {
    let index = start.index;
    runtime::start(index, move || async move {
        if let Err(error) = core::serve(start).await {
            tracing::error!("core {index}: {}", ring_advice(&error));
            std::process::exit(1);
        }
    })
    .map_err(|error| failed(format!("start core {index}"))(ring_advice(&error)))
}

/// Says what to change where io_uring is not to be had.
fn ring_advice(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (io_uring is forbidden here: set kernel.io_uring_disabled=0, or give the container \
             a seccomp profile that allows io_uring)"
        }
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => {
            " (Pinion needs io_uring of Linux 6.1 or newer)"
        }
        _ => "",
    };
    io::Error::other(format!("{text}{advice}"))
}

/// The processors to serve on: those of the settings, or all that are allowed.
fn processors(settings: &Settings) -> Result<Vec<usize>, StartError> {
    let allowed = runtime::available_cores().map_err(failed("list processors"))?;
    if settings.cores.is_empty() {
        return Ok(allowed);
    }
    if let Some(core) = settings.cores.iter().find(|core| !allowed.contains(core)) {
        let source = io::Error::other(format!("the allowed processors are {allowed:?}"));
        return Err(failed(format!("serve on processor {core}"))(source));
    }
    Ok(settings.cores.clone())
}

/// Where the server listens: ports may have been chosen here.
struct Listening {
    listeners: Listeners,
    port: Option<u16>,
    tls_port: Option<u16>,
}

/// Listens wherever the settings say.
fn listen(settings: &Settings) -> Result<Listening, StartError> {
    let backlog = i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX);
    let port_of = |port| match port {
        0 => Ok(None),
        -1 => Ok(Some(0)),
        port => match u16::try_from(port) {
            Ok(port) => Ok(Some(port)),
            Err(_) => {
                let error = io::ErrorKind::InvalidInput.into();
                Err(failed(format!("listen on port {port}"))(error))
            }
        },
    };
    let (mut port, mut tls_port) = (port_of(settings.port)?, port_of(settings.tls.port)?);
    let mut found = Found { backlog, listeners: Vec::new() };
    if let Some(port) = &mut port {
        let door = Door { tls: settings.tls.on_port, ..Door::default() };
        *port = found.add(settings, *port, door)?;
    }
    if let Some(port) = &mut tls_port {
        *port = found.add(settings, *port, Door { tls: true, ..Door::default() })?;
    }
    if let Ok(port @ 1..) = u16::try_from(settings.memcached_port) {
        found.add(settings, port, Door { wire: Wire::Memcached, tls: false })?;
    }
    let mut listeners = found.listeners;
    if !settings.unixsocket.is_empty() {
        let mode = (settings.unixsocket_mode != 0).then_some(settings.unixsocket_mode);
        let listener = net::listen_unix(Path::new(&settings.unixsocket), mode, backlog)
            .map_err(failed(format!("listen on {}", settings.unixsocket)))?;
        listeners.push((listener, Door::default()));
    }
    Ok(Listening { listeners, port, tls_port })
}

/// Sockets that are listened on, and what is behind them.
type Listeners = Vec<(OwnedFd, Door)>;

/// Those found so far.
struct Found {
    backlog: i32,
    listeners: Listeners,
}

impl Found {
    /// Listens on a port at every address of the settings; returns the port, which is chosen here
    /// if it is 0.
    fn add(&mut self, settings: &Settings, mut port: u16, door: Door) -> Result<u16, StartError> {
        for (ip, required) in addresses(settings)? {
            let address = SocketAddr::new(ip, port);
            match net::listen_tcp(address, self.backlog) {
                Ok(listener) => {
                    // A port chosen for the first address serves the others as well.
                    port = net::port(&listener).map_err(failed("read the port"))?;
                    self.listeners.push((listener, door));
                }
                Err(error) if !required && error.kind() != io::ErrorKind::AddrInUse => {
                    tracing::debug!("not listening on {address}: {error}");
                }
                Err(error) => return Err(failed(format!("listen on {address}"))(error)),
            }
        }
        Ok(port)
    }
}

/// The addresses to listen on, and whether each must work; `-` before one makes it optional.
fn addresses(settings: &Settings) -> Result<Vec<(IpAddr, bool)>, StartError> {
    if settings.bind.is_empty() {
        let all = [(Ipv4Addr::UNSPECIFIED.into(), true), (Ipv6Addr::UNSPECIFIED.into(), false)];
        return Ok(all.into());
    }
    let mut addresses = Vec::new();
    for text in &settings.bind {
        let (name, required) = text.strip_prefix('-').map_or((&**text, true), |name| (name, false));
        match name {
            "*" => addresses.push((Ipv4Addr::UNSPECIFIED.into(), required)),
            "::*" => addresses.push((Ipv6Addr::UNSPECIFIED.into(), required)),
            name => match (name, 0).to_socket_addrs() {
                Ok(found) => addresses.extend(found.take(1).map(|found| (found.ip(), required))),
                Err(_) if !required => {}
                Err(error) => return Err(failed(format!("find the address {name}"))(error)),
            },
        }
    }
    Ok(addresses)
}

/// Random bytes for the run id, and a seed for the hash of keys.
fn random() -> io::Result<([u8; 20], u64)> {
    let mut source = File::open("/dev/urandom")?;
    let (mut id, mut seed) = ([0; 20], [0; 8]);
    source.read_exact(&mut id)?;
    source.read_exact(&mut seed)?;
    Ok((id, u64::from_le_bytes(seed)))
}
