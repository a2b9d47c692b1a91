//! One core's loop: reap, parse and run everything that arrived, flush each lane and each
//! connection once, sleep when there is nothing.
//!
//! ```text
//! reap   ring events: chunks to the inbox, ends, completed sends     core/events.rs
//! drain  parcels from other cores: run, splice, answer               core/parcels.rs
//! parse  chunks to requests; the bucket of each key is prefetched    core/inbox.rs
//! run    sixteen at a time: here, or into the batch of their owner   core/run.rs
//! flush  borrow or send each batch, send each connection's replies   core/flush.rs
//! ```
//!
//! Nothing here awaits except the loop itself, and only while jobs run beside it.

mod account;
mod blocked;
mod channels;
mod cron;
mod emptied;
mod events;
mod evict;
mod exec;
mod fill;
mod flush;
mod http;
mod inbox;
mod jobs;
mod later;
mod load;
mod logins;
mod memcached;
mod migrate;
mod monitor;
mod parcels;
mod pause;
mod populate;
mod reload;
mod run;
mod scripts;
mod snapshot;
mod stop;
mod tls;
mod tracking;
mod transact;

use crate::config::Settings;
use crate::connection::{Connection, Door};
use crate::hop::{Hops, Parcel};
use crate::server::Server;
use crate::session::Peer;
use crate::slow::Slow;
use crate::stats::CoreStats;
use blocked::Blocked;
use channels::Listeners;
use cron::Cron;
use emptied::Emptied;
use exec::Execs;
use inbox::Inbox;
use jobs::Jobs;
use later::Laters;
use load::{Load, Plan};
use migrate::Migrations;
use monitor::Monitors;
use pause::Paused;
use pinion_io::clock::{Clock, nanos};
use pinion_io::mesh::{Owner, Post, Rest};
use pinion_io::ring::{Ring, SocketId, Wait};
use pinion_io::runtime::Background;
use pinion_shards::route::Route;
use pinion_shards::transaction::Coordinator;
use pinion_shards::{Millis, Sender, Shard};
use populate::Populating;
use reload::Reload;
use scripts::{Scripts, SlowScripts};
use snapshot::{Home, Share};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
pub use stop::Quiet;
use stop::Stopping;
use tracking::Cachers;
pub use tracking::Keys;
use transact::Client;

/// What a core is started with.
#[derive(Debug)]
pub struct Start {
    /// Its number.
    pub index: usize,
    /// The processor it prefers.
    pub processor: usize,
    /// All processors the server may use.
    pub processors: Arc<[usize]>,
    /// Its place in the mesh, with its shard.
    pub post: Post<Shard, Parcel>,
    /// Listening sockets it accepts on, and what is behind them.
    pub listeners: Vec<(OwnedFd, Door)>,
    /// What all cores share.
    pub server: Arc<Server>,
}

/// A core: its ring, and everything that is reached without it.
#[derive(Debug)]
pub struct Core {
    ring: Ring,
    inbox: Inbox,
    work: Work,
    jobs: Jobs,
    cron: Cron,
    background: Background,
    /// When the work beside the loop had its last turn.
    turned: u64,
    /// The save that this core has begun.
    home: Option<Home>,
    /// The stop that this core was asked for.
    stopping: Option<Stopping>,
    /// The reload that this core was asked for.
    reload: Option<Reload>,
    /// What this core is about to load.
    plan: Option<Plan>,
    /// Batches of other cores that wait, each with the core.
    postponed: VecDeque<(usize, Box<Parcel>)>,
    /// What is behind each listening socket.
    doors: Vec<Door>,
}

/// What commands and parcels work on.
#[derive(Debug)]
struct Work {
    index: usize,
    server: Arc<Server>,
    settings: Arc<Settings>,
    settings_version: u64,
    /// What `flush::strained_bytes` makes of them.
    strained_bytes: usize,
    acl_version: u64,
    owner: Owner<Shard>,
    route: Route,
    hops: Hops,
    coordinator: Coordinator<Client>,
    execs: Execs,
    scripts: Scripts,
    slow_scripts: SlowScripts,
    blocked: Blocked,
    paused: Paused,
    laters: Laters,
    channels: Listeners,
    cachers: Cachers,
    monitors: Monitors,
    migrations: Migrations,
    emptied: Emptied,
    populating: Populating,
    /// Its share of a save.
    share: Option<Share>,
    /// What has become of the cut that this core has asked for.
    is_cut: Option<bool>,
    /// Its share of a load.
    load: Option<Load>,
    /// The last load of which it has begun a share.
    loads: u64,
    /// Keys are being loaded: most commands are refused.
    is_loading: bool,
    /// It has begun the load.
    tends_load: bool,
    /// When it was last asked whether a save is due.
    last_due: Millis,
    /// No more requests are run.
    is_quiet: bool,
    /// The turn of `Quiet` that says so.
    quiet_turn: u64,
    /// All cores were told that nothing of this one's is under way.
    has_settled: bool,
    connections: Vec<Option<Box<Connection>>>,
    /// Connections with something to flush or to end.
    dirty: Vec<SocketId>,
    /// Connections that stood still and may go on.
    resumable: Vec<SocketId>,
    /// A connection was given its last replies, and closes once they are out.
    leaving: bool,
    /// Connections that wait for a lane.
    stalled: Vec<SocketId>,
    /// Empty buffers for output.
    spare: Vec<Vec<u8>>,
    /// Jobs that commands asked for in this tick.
    asked: Vec<jobs::Asked>,
    stats: CoreStats,
    slow: Slow,
    now: Millis,
    /// The instant of this tick on the steady clock.
    steady: Duration,
    clock: Clock,
    unix_path: Peer,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tick {
    /// Nothing came.
    Idle,
    /// All that came is done; what was queued goes out with the rest's own call.
    Done,
    /// There is more to do at once.
    Again,
}

/// Longest sleep while work runs beside the loop, which waits as long for its turn.
const BESIDE_JOBS_MAX: Duration = Duration::from_micros(500);

/// From one turn of the work beside the loop to the next, at least: a turn is a sleep.
const TURN_EVERY_NS: u64 = 1_000_000;

/// Serves until the server stops.
///
/// # Errors
/// The ring cannot be made, or broke.
pub async fn serve(start: Start) -> io::Result<()> {
    let mut core = Core::new(start)?;
    if core.work.index == 0 && core.work.is_loading {
        core.find_load();
    }
    while !core.is_stopped() {
        let tick = core.tick()?;
        if core.background.is_active() {
            if tick == Tick::Idle {
                core.rest_beside_jobs().await?;
            } else {
                core.give_turn().await;
            }
        } else if tick != Tick::Again {
            core.rest()?;
        }
    }
    Ok(())
}

impl Core {
    fn new(start: Start) -> io::Result<Self> {
        let Start { index, processor, processors, post, listeners, server } = start;
        let mut ring = Ring::new(Arc::clone(&post.doorbell))?;
        let migrations = Migrations::new(Arc::clone(&post.doorbell), Arc::clone(&processors));
        let background = Background::new(post.doorbell);
        let mut doors = Vec::new();
        for (listener, door) in listeners {
            ring.listen(listener);
            doors.push(door);
        }
        let cron = Cron::new(processor, processors, &server.config.settings());
        let hops = Hops::new(post.neighbours);
        let mut work = Work::new(index, post.owner, (hops, migrations), server);
        work.settings.tell(work.owner.value());
        work.owner.value().set_meter(nanos);
        work.stats.latencies.enabled = work.settings.latency_tracking;
        let (inbox, jobs, postponed) = (Inbox::default(), Jobs::default(), VecDeque::new());
        let (home, stopping, reload, plan) = (None, None, None, None);
        Ok(Self {
            ring,
            inbox,
            work,
            jobs,
            cron,
            background,
            turned: 0,
            home,
            stopping,
            reload,
            plan,
            postponed,
            doors,
        })
    }

    /// Does everything there is to do now.
    fn tick(&mut self) -> io::Result<Tick> {
        // What ended a rest is taken before the ring is asked again.
        if !self.ring.has_events() {
            self.ring.poll(Wait::No)?;
        }
        self.work.steady = self.work.clock.steady();
        self.work.now = self.work.clock.wall_ms(self.work.steady);
        self.work.stats.ticks += 1;
        let began = nanos();
        self.work.refresh_settings();
        self.work.see_monitors();
        self.work.refresh_logins(None);
        let mut busy = self.reap();
        busy |= self.drain();
        busy |= self.finish_jobs();
        busy |= self.work.end_waits();
        busy |= self.work.end_pause();
        let scripting = self.work.step_scripts();
        let reading = self.work.read_on() | self.go_on_with_files(busy) | scripting;
        busy |= self.resume();
        let congested =
            self.work.hops.is_congested() || self.work.is_save_behind() || self.work.is_quiet;
        let more = self.run_inbox(if congested { 0 } else { inbox::TICK_REQUESTS_MAX });
        self.start_jobs();
        let evicting = self.work.keep_to_limit();
        self.flush();
        let leaving = std::mem::take(&mut self.work.leaving);
        let waits = !self.postponed.is_empty()
            || !self.work.resumable.is_empty()
            || !self.work.asked.is_empty()
            || self.work.is_cut.is_some()
            || self.work.migrations.is_stirred()
            || self.work.emptied.is_new()
            || self.work.populating.is_stirred() && !self.work.is_quiet;
        let again = self.run_cron() | more | leaving | reading | waits | evicting;
        self.work.stats.turned(nanos().saturating_sub(began));
        Ok(match (again, busy) {
            (true, _) => Tick::Again,
            (false, true) => Tick::Done,
            (false, false) => Tick::Idle,
        })
    }

    /// Goes on with a save or a load; true while there is more to do at once. A save holds back
    /// while others keep the core `busy`.
    #[inline]
    fn go_on_with_files(&mut self, busy: bool) -> bool {
        if self.home.is_some() {
            self.tend_save();
        }
        if self.stopping.is_some() {
            self.tend_stop();
        }
        if self.work.is_quiet {
            self.work.settle(self.work.index);
        }
        if self.work.tends_load {
            self.tend_load();
        }
        if self.reload.is_some() {
            self.tend_reload();
        }
        if self.work.emptied.is_active() {
            self.tend_emptied();
        }
        if self.work.populating.is_stirred() {
            self.tend_populations();
        }
        if self.work.migrations.is_active() {
            self.tend_migrations();
        }
        self.work.save_on(busy) | self.work.load_on()
    }

    /// Sends what is queued and sleeps until something happens, in one call; meanwhile neighbours
    /// may borrow the shard.
    fn rest(&mut self) -> io::Result<()> {
        let wait = self.cron.wait(&self.work, &self.jobs);
        self.work.stats.parks += 1;
        if self.work.hops.cores() == 1 {
            return self.ring.poll(wait);
        }
        let lend = if self.work.settings.borrow { Rest::Lent } else { Rest::Kept };
        self.work.owner.park(lend);
        let slept = if self.work.hops.is_quiet() { self.ring.poll(wait) } else { Ok(()) };
        self.work.owner.unpark();
        slept
    }

    /// The same while work runs beside the loop: sleeps only briefly, then lets that work run.
    async fn rest_beside_jobs(&mut self) -> io::Result<()> {
        let wait = match self.cron.wait(&self.work, &self.jobs) {
            Wait::AtMost(time) => time.min(BESIDE_JOBS_MAX),
            Wait::No | Wait::Event => BESIDE_JOBS_MAX,
        };
        self.work.owner.park(Rest::Kept);
        if self.work.hops.is_quiet() {
            self.ring.poll(Wait::AtMost(wait))?;
        }
        self.work.owner.unpark();
        self.give_turn().await;
        Ok(())
    }

    /// Lets the work beside the loop go on, unless it just did.
    async fn give_turn(&mut self) {
        if nanos().saturating_sub(self.turned) > TURN_EVERY_NS {
            self.background.give_turn().await;
            self.turned = nanos();
        }
    }

    /// True once the server stops and this core has said what it had to, or had its time.
    fn is_stopped(&mut self) -> bool {
        if !self.work.server.stopping.load(Ordering::Relaxed) {
            return false;
        }
        self.cron.stop(&mut self.ring, &self.work)
    }
}

impl Work {
    /// That of core `index`, which serves nobody yet.
    fn new(
        index: usize,
        mut owner: Owner<Shard>,
        (hops, migrations): (Hops, Migrations),
        server: Arc<Server>,
    ) -> Self {
        let (settings_version, settings) = (server.config.version(), server.config.settings());
        let route = settings.route(hops.cores());
        let coordinator = owner.value().coordinator(route.clone());
        let strained_bytes = flush::strained_bytes(&settings);
        Self {
            index,
            route,
            unix_path: Peer::Unix(settings.unixsocket.as_str().into()),
            settings,
            settings_version,
            strained_bytes,
            acl_version: 0,
            owner,
            coordinator,
            execs: Execs::new(),
            scripts: Scripts::new(),
            slow_scripts: SlowScripts::default(),
            blocked: Blocked::default(),
            paused: Paused::default(),
            laters: Laters::default(),
            channels: Listeners::new(hops.cores()),
            cachers: Cachers::new(),
            monitors: Monitors::default(),
            migrations,
            emptied: Emptied::default(),
            populating: Populating::default(),
            share: None,
            is_cut: None,
            load: None,
            loads: 0,
            is_loading: server.loading.is_loading(),
            tends_load: false,
            last_due: server.started,
            is_quiet: false,
            quiet_turn: 0,
            has_settled: false,
            connections: Vec::new(),
            dirty: Vec::new(),
            resumable: Vec::new(),
            leaving: false,
            stalled: Vec::new(),
            spare: Vec::new(),
            asked: Vec::new(),
            stats: CoreStats::new(),
            slow: Slow::new(&server.config.settings()),
            now: server.started,
            steady: Duration::ZERO,
            clock: Clock::default(),
            hops,
            server,
        }
    }

    /// Takes a new snapshot of the settings if one was changed.
    #[inline]
    fn refresh_settings(&mut self) {
        let version = self.server.config.version();
        if version != self.settings_version {
            self.settings = self.server.config.settings();
            self.settings_version = version;
            self.strained_bytes = flush::strained_bytes(&self.settings);
            self.settings.tell(self.owner.value());
            self.server.ledger.follow(&self.settings, self.now);
            self.slow.follow(&self.settings);
            self.stats.latencies.enabled = self.settings.latency_tracking;
        }
    }

    /// Writes the next piece of every long reply; true while there are more.
    #[inline]
    fn read_on(&mut self) -> bool {
        let shard = self.owner.value();
        if !shard.is_reading() {
            return false;
        }
        shard.read_on(self.now);
        let more = shard.is_reading();
        self.bring_late();
        more
    }

    /// This core, to a shard.
    #[inline]
    fn sender(&self) -> Sender {
        Sender(self.index as u16)
    }

    /// The connection of a socket, if it is still open.
    #[inline]
    fn connection(&mut self, socket: SocketId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(socket.index as usize)?.as_deref_mut()?;
        (connection.socket == socket).then_some(connection)
    }

    /// Has a connection looked at when this tick flushes.
    #[inline]
    fn mark_dirty(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(socket);
        }
    }

    /// Has a connection that stood still go on in the next tick with what it has received.
    fn go_on(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket)
            && !connection.resumes
        {
            connection.resumes = true;
            self.resumable.push(socket);
        }
    }
}
