//! Questions that every core answers and home folds: CLIENT LIST, CLIENT KILL, INFO and such.

use crate::commands::{
    AllHistograms, AllSpikes, Context, Filter, KillReply, MemoryQuestion, Sections, SpikeQuestion,
    line, report, write_histograms, write_log, write_memory, write_spikes,
};
use crate::http::{self, Page, Shape};
use crate::memcached;
use crate::pause::Pause;
use crate::session::Session;
use crate::slow::{Entry, Kind, Slow};
use crate::stats::{CoreStats, RATES};
use pinion_io::resp::Reply;
use pinion_shards::channels;
use pinion_shards::{Millis, Retire, Shard, ShardStats};
use std::collections::{BTreeSet, HashSet};

/// One core, as an errand sees it.
pub struct CoreView<'a> {
    /// Which core.
    pub core: usize,
    /// The instant of this tick.
    pub now: Millis,
    /// The clients it serves.
    pub clients: &'a mut dyn Clients,
    /// Its slice of the keyspace.
    pub shard: &'a mut Shard,
    /// Its figures.
    pub stats: &'a mut CoreStats,
    /// What it remembers of slow commands.
    pub slow: &'a mut Slow,
    /// The pause of its clients.
    pub pause: &'a mut Pause,
}

/// The clients of a core: the loop's slab stands behind it, and a list in tests.
pub trait Clients {
    /// Shows every client once.
    fn each(&mut self, see: &mut dyn FnMut(&mut ClientView<'_>));
}

/// One client, as an errand sees it.
#[derive(Debug)]
pub struct ClientView<'a> {
    /// Its state.
    pub session: &'a mut Session,
    /// Bytes of input held for it.
    pub input_bytes: usize,
    /// Bytes of output that wait for it.
    pub output_bytes: usize,
    /// Set to true to close it, once the replies that it has are sent.
    pub kill: &'a mut bool,
    /// True if its command waits for a key.
    pub is_blocked: bool,
    /// True if its request waits for the end of a pause.
    pub is_postponed: bool,
    /// Set to say why that wait ends.
    pub unblock: &'a mut Option<Retire>,
}

/// A question to every core.
#[derive(Clone, Debug)]
pub enum Errand {
    /// CLIENT LIST.
    ClientList(Filter),
    /// CLIENT KILL.
    ClientKill(Filter, KillReply),
    /// CLIENT UNBLOCK, with the client's id and what to tell it.
    ClientUnblock(u64, Retire),
    /// INFO.
    Info(Sections),
    /// `stats` of memcached's protocol.
    MemcachedStats,
    /// A page of HTTP, and how its answer is to be.
    Page(Page, Shape),
    /// CONFIG RESETSTAT.
    ResetStats,
    /// MEMORY STATS and DOCTOR.
    Memory(MemoryQuestion),
    /// CLIENT PAUSE, until then, of all commands or those that write.
    Pause(Millis, bool),
    /// CLIENT UNPAUSE.
    Unpause,
    /// The newest entries of a log, so many at most.
    Log(Kind, usize),
    /// How many entries a log has.
    LogLen(Kind),
    /// Forgets a log.
    LogReset(Kind),
    /// A question about spikes.
    Spikes(SpikeQuestion),
    /// Forgets the spikes of these events, or of all.
    SpikesReset(Vec<String>),
    /// LATENCY HISTOGRAM of these commands, or of all.
    Histograms(Vec<String>),
    /// DEBUG SET-ACTIVE-EXPIRE.
    SetActiveExpiry(bool),
    /// Users have changed: done once every core has seen to its clients. The reply is OK, or how
    /// many users there were.
    SeeUsers(Option<usize>),
    /// PUBSUB CHANNELS and SHARDCHANNELS, of those that fit a pattern if there is one.
    Channels(channels::Kind, Option<Box<[u8]>>),
    /// PUBSUB NUMSUB and SHARDNUMSUB, of these.
    Subscribers(channels::Kind, Vec<Box<[u8]>>),
    /// PUBSUB NUMPAT.
    Patterns,
}

/// One core's answer.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// The id and the line of each client chosen.
    Clients(Vec<(u64, String)>),
    /// How many clients were chosen.
    Count(usize),
    /// Names of channels.
    Names(Vec<Box<[u8]>>),
    /// How many subscribe to each.
    Counts(Vec<u64>),
    /// Its figures.
    Figures(Box<CoreFigures>),
    /// Entries of a log.
    Entries(Vec<Entry>),
    /// Spikes of each event.
    Spikes(AllSpikes),
    /// Events whose spikes were forgotten.
    Events(Vec<&'static str>),
    /// Histograms of each command.
    Histograms(AllHistograms),
}

/// What a core tells of itself for INFO.
#[derive(Debug, Default)]
pub struct CoreFigures {
    /// Which core.
    pub core: usize,
    /// Its counters.
    pub stats: CoreStats,
    /// Those of its shard.
    pub shard: ShardStats,
    /// Commands, input bytes, output bytes, turns of the loop and nanoseconds in these a second, of
    /// late.
    pub rates: [u64; RATES],
    /// Clients it serves.
    pub clients: u64,
    /// Those that wait for a key.
    pub blocked: u64,
    /// Those that watch keys.
    pub watching: u64,
    /// Those that subscribe to something.
    pub subscribers: u64,
    /// Those that cache what they read.
    pub caching: u64,
    /// The pause of its clients.
    pub pause: Pause,
    /// Bytes held for them.
    pub client_bytes: u64,
    /// The most input held for one of them.
    pub input_bytes_max: u64,
    /// The most output that waits for one of them.
    pub output_bytes_max: u64,
}

impl Errand {
    /// Answers for one core, on that core.
    pub fn visit(&self, core: &mut CoreView<'_>) -> Answer {
        match self {
            Self::ClientList(selection) => {
                let now = core.now;
                let mut lines = Vec::new();
                core.clients.each(&mut |client| {
                    if selection.has(client.session, now) {
                        lines.push((client.session.id, line(client, now)));
                    }
                });
                Answer::Clients(lines)
            }
            Self::ClientKill(filter, _) => Answer::Count(kill(filter, core)),
            Self::ClientUnblock(id, why) => Answer::Count(unblock(*id, *why, core)),
            Self::Memory(_) => Answer::Figures(Box::new(figures(Sections::default(), core))),
            Self::Info(sections) => Answer::Figures(Box::new(figures(*sections, core))),
            Self::Page(..) | Self::MemcachedStats => {
                Answer::Figures(Box::new(figures(Sections::default(), core)))
            }
            Self::ResetStats => {
                core.stats.reset();
                core.shard.reset_stats();
                Answer::Done
            }
            // The core looks at its users before it looks at any errand.
            Self::SeeUsers(_) => Answer::Done,
            Self::SetActiveExpiry(enabled) => {
                core.shard.set_active_expiry(*enabled);
                Answer::Done
            }
            Self::Channels(kind, pattern) => {
                Answer::Names(core.shard.channels(*kind, pattern.as_deref()))
            }
            Self::Subscribers(kind, names) => {
                let counts = names.iter().map(|name| core.shard.subscribers(*kind, name));
                Answer::Counts(counts.collect())
            }
            Self::Patterns => Answer::Counts(vec![core.shard.subscribed(channels::Kind::Pattern)]),
            Self::Log(kind, count) => Answer::Entries(core.slow.log(*kind, *count)),
            Self::LogLen(kind) => Answer::Count(core.slow.log_len(*kind)),
            Self::Pause(until, all) => {
                *core.pause = core.pause.and(*until, *all);
                Answer::Done
            }
            Self::Unpause => {
                *core.pause = Pause::default();
                Answer::Done
            }
            Self::LogReset(kind) => {
                core.slow.reset_log(*kind);
                Answer::Done
            }
            Self::Spikes(_) => Answer::Spikes(core.slow.spikes().clone()),
            Self::SpikesReset(names) => Answer::Events(core.slow.reset_spikes(names)),
            Self::Histograms(_) => {
                let own = core.stats.histograms();
                Answer::Histograms(own.map(|(row, own)| (row.name, own.clone())).collect())
            }
        }
    }

    /// Folds the answers of all cores, in any order, into the reply.
    pub fn finish(&self, answers: Vec<Answer>, at_home: &Context<'_>, reply: &mut Reply<'_>) {
        match self {
            Self::ClientList(selection) => {
                reply.verbatim(b"txt", join(selection, lines_of(answers)).as_bytes());
            }
            Self::ClientKill(_, kind) => match (kind, sum(&answers)) {
                (KillReply::Ok, 0) => reply.error(b"ERR No such client"),
                (KillReply::Ok, _) => reply.ok(),
                (KillReply::Count, count) => reply.int(count as i64),
            },
            Self::ClientUnblock(..) => reply.int(sum(&answers) as i64),
            Self::Info(_) | Self::Memory(_) | Self::MemcachedStats | Self::Page(..) => {
                self.tell(&all_figures(answers), at_home, reply);
            }
            Self::SeeUsers(Some(count)) => reply.int(*count as i64),
            Self::SeeUsers(None)
            | Self::ResetStats
            | Self::SetActiveExpiry(_)
            | Self::LogReset(_)
            | Self::Pause(..)
            | Self::Unpause => reply.ok(),
            Self::Log(kind, count) => {
                let count = at_home.settings.log_len_max(*kind).min(*count);
                write_log(all_entries(answers), count, reply);
            }
            Self::LogLen(kind) => {
                let len = sum(&answers).min(at_home.settings.log_len_max(*kind));
                reply.int(len as i64);
            }
            Self::Spikes(question) => {
                let threshold_ms = at_home.settings.latency_threshold_ms;
                let spikes = all_spikes(answers);
                write_spikes(question, &spikes, threshold_ms, at_home.now / 1000, reply);
            }
            Self::SpikesReset(_) => reply.int(all_events(answers).len() as i64),
            Self::Histograms(names) => {
                write_histograms(names, &all_histograms(answers), reply);
            }
            Self::Channels(..) => write_names(answers, reply),
            Self::Subscribers(_, names) => {
                reply.array(2 * names.len());
                for (name, count) in names.iter().zip(most(names.len(), answers)) {
                    reply.bulk(name);
                    reply.int(count as i64);
                }
            }
            Self::Patterns => reply.int(most(1, answers)[0] as i64),
        }
    }

    /// Answers from the figures of all cores.
    fn tell(&self, cores: &[CoreFigures], at_home: &Context<'_>, reply: &mut Reply<'_>) {
        match self {
            Self::Info(sections) => {
                reply.verbatim(b"txt", report(*sections, cores, at_home).as_bytes());
            }
            Self::Memory(question) => write_memory(*question, cores, at_home, reply),
            Self::MemcachedStats => reply.raw(memcached::stats(cores, at_home).as_bytes()),
            Self::Page(page, shape) => reply.raw(&http::show(*page, *shape, cores, at_home)),
            _ => unreachable!("others ask for no figures"),
        }
    }
}

/// The clients that all cores have chosen.
fn lines_of(answers: Vec<Answer>) -> Vec<(u64, String)> {
    let lines = answers.into_iter().flat_map(|answer| match answer {
        Answer::Clients(lines) => lines,
        _ => Vec::new(),
    });
    lines.collect()
}

/// Closes the clients that a filter chooses; the one that asks only after its reply.
fn kill(filter: &Filter, core: &mut CoreView<'_>) -> usize {
    let now = core.now;
    let mut killed = 0;
    core.clients.each(&mut |client| {
        if !filter.has(client.session, now) {
            return;
        }
        killed += 1;
        if client.session.id == filter.own {
            client.session.closing = true;
        } else {
            *client.kill = true;
        }
    });
    killed
}

/// Ends the wait of the client with this id.
fn unblock(id: u64, why: Retire, core: &mut CoreView<'_>) -> usize {
    let mut unblocked = 0;
    core.clients.each(&mut |client| {
        if client.session.id == id && client.is_blocked {
            *client.unblock = Some(why);
            unblocked += 1;
        }
    });
    unblocked
}

/// The largest count of each name that some core gave: that of its owner.
fn most(len: usize, answers: Vec<Answer>) -> Vec<u64> {
    let mut most = vec![0; len];
    for answer in answers {
        if let Answer::Counts(counts) = answer {
            most.iter_mut().zip(counts).for_each(|(most, count)| *most = count.max(*most));
        }
    }
    most
}

/// Writes names, each once: some channels are known everywhere.
fn write_names(answers: Vec<Answer>, reply: &mut Reply<'_>) {
    let names = answers.into_iter().flat_map(|answer| match answer {
        Answer::Names(names) => names,
        _ => Vec::new(),
    });
    let names: BTreeSet<_> = names.collect();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
}

/// Clients that all cores have chosen.
fn sum(answers: &[Answer]) -> usize {
    let count = |answer: &Answer| match answer {
        Answer::Count(count) => *count,
        _ => 0,
    };
    answers.iter().map(count).sum()
}

/// What every core tells of itself, in order.
fn all_figures(answers: Vec<Answer>) -> Vec<CoreFigures> {
    let figures = answers.into_iter().filter_map(|answer| match answer {
        Answer::Figures(figures) => Some(*figures),
        _ => None,
    });
    let mut all: Vec<_> = figures.collect();
    all.sort_unstable_by_key(|figures| figures.core);
    all
}

fn all_entries(answers: Vec<Answer>) -> Vec<Entry> {
    let entries = answers.into_iter().flat_map(|answer| match answer {
        Answer::Entries(entries) => entries,
        _ => Vec::new(),
    });
    entries.collect()
}

fn all_events(answers: Vec<Answer>) -> HashSet<&'static str> {
    let events = answers.into_iter().flat_map(|answer| match answer {
        Answer::Events(events) => events,
        _ => Vec::new(),
    });
    events.collect()
}

fn all_spikes(answers: Vec<Answer>) -> AllSpikes {
    let mut all = AllSpikes::new();
    for answer in answers {
        let Answer::Spikes(spikes) = answer else { continue };
        for (event, own) in spikes {
            all.entry(event).or_default().merge(&own);
        }
    }
    all
}

fn all_histograms(answers: Vec<Answer>) -> AllHistograms {
    let mut all = AllHistograms::new();
    for answer in answers {
        let Answer::Histograms(histograms) = answer else { continue };
        for (name, own) in histograms {
            all.entry(name).or_default().merge(&own);
        }
    }
    all
}

fn figures(sections: Sections, core: &mut CoreView<'_>) -> CoreFigures {
    let mut figures = CoreFigures {
        core: core.core,
        stats: core.stats.copied(sections.want_histograms()),
        shard: core.shard.stats(),
        pause: *core.pause,
        rates: core.stats.rates(core.now),
        ..CoreFigures::default()
    };
    core.clients.each(&mut |client| {
        let (input, output) = (client.input_bytes as u64, client.output_bytes as u64);
        figures.clients += 1;
        figures.blocked += u64::from(client.is_blocked || client.is_postponed);
        figures.subscribers += u64::from(client.session.is_subscriber());
        figures.caching += u64::from(client.session.tracking.is_some());
        figures.watching += u64::from(client.session.watching() > 0);
        figures.client_bytes += client.session.bytes() as u64 + input + output;
        figures.input_bytes_max = figures.input_bytes_max.max(input);
        figures.output_bytes_max = figures.output_bytes_max.max(output);
    });
    figures
}

/// The lines in the order that the selection asks for.
fn join(selection: &Filter, mut lines: Vec<(u64, String)>) -> String {
    lines.sort_unstable_by_key(|(id, _)| *id);
    let text = |(_, line): &(u64, String)| line.clone();
    match &selection.ids {
        Some(ids) => ids
            .order()
            .iter()
            .filter_map(|id| lines.binary_search_by_key(id, |(id, _)| *id).ok())
            .map(|at| text(&lines[at]))
            .collect(),
        None => lines.iter().map(text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::Acl;
    use crate::config::{Config, Settings};
    use crate::server::Server;
    use crate::session::Peer;
    use pinion_io::resp::Protocol;

    struct List(Vec<(Session, bool)>);

    impl Clients for List {
        fn each(&mut self, see: &mut dyn FnMut(&mut ClientView<'_>)) {
            for (session, kill) in &mut self.0 {
                let is_blocked = session.id == 2;
                let mut unblock = None;
                see(&mut ClientView {
                    session,
                    input_bytes: 10,
                    output_bytes: 20,
                    kill,
                    is_blocked,
                    is_postponed: false,
                    unblock: &mut unblock,
                });
                *kill |= unblock.is_some();
            }
        }
    }

    fn session(id: u64) -> Session {
        let end = || Peer::Tcp(format!("127.0.0.1:{}", 5000 + id).parse().unwrap());
        Session::new(id, (end(), end()), 3, 0, 1000, &Acl::new(""))
    }

    /// Runs an errand for client 1 over cores whose clients have these ids; the reply, and which
    /// clients are to be closed.
    fn run(errand: &Errand, cores: &[&[u64]]) -> (String, Vec<u64>) {
        let settings = Settings::initial();
        let server = Server::new(Config::new(settings.clone()), 0, cores.len(), [7; 20]);
        let mut answers = Vec::new();
        let mut closed = Vec::new();
        for (core, ids) in cores.iter().enumerate() {
            let mut clients = List(ids.iter().map(|id| (session(*id), false)).collect());
            let mut shard = Shard::new(core, cores.len(), 16, 0);
            let (mut stats, mut slow) = (CoreStats::new(), Slow::new(&settings));
            let mut pause = Pause::default();
            stats.commands = 100;
            answers.push(errand.visit(&mut CoreView {
                core,
                now: 61_000,
                clients: &mut clients,
                shard: &mut shard,
                stats: &mut stats,
                slow: &mut slow,
                pause: &mut pause,
            }));
            let gone = clients.0.iter().filter(|(session, kill)| *kill || session.closing);
            closed.extend(gone.map(|(session, _)| session.id));
        }
        let mut own = session(1);
        let at_home = Context {
            session: &mut own,
            server: &server,
            settings: &settings,
            now: 61_000,
            core: 0,
        };
        let mut out = Vec::new();
        errand.finish(answers, &at_home, &mut Reply::new(&mut out, Protocol::Resp2));
        (String::from_utf8(out).unwrap(), closed)
    }

    #[test]
    fn lists_are_in_order_of_age_or_as_asked() {
        let ids = |reply: &str| {
            let lines = reply.lines().filter_map(|line| line.strip_prefix("id="));
            lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let cores: &[&[u64]] = &[&[4, 1], &[3, 2]];
        let (all, _) = run(&Errand::ClientList(Filter::default()), cores);
        assert_eq!(ids(&all), ["1", "2", "3", "4"]);
        let ids_asked = [3, 9, 1, 3].into_iter().collect();
        let (some, _) =
            run(&Errand::ClientList(Filter { ids: Some(ids_asked), ..Filter::default() }), cores);
        assert_eq!(ids(&some), ["3", "1"]);
    }

    #[test]
    fn kill_answers_over_all_cores() {
        let own = Filter { own: 1, ..Filter::default() };
        let cores: &[&[u64]] = &[&[1, 2], &[3]];
        let all = Errand::ClientKill(own.clone(), KillReply::Count);
        assert_eq!(run(&all, cores), (":3\r\n".into(), vec![1, 2, 3]));
        let others = Filter { skip_own: true, ..own.clone() };
        assert_eq!(run(&Errand::ClientKill(others, KillReply::Count), cores).1, [2, 3]);
        let one = Filter { address: Some("127.0.0.1:5003".into()), ..own.clone() };
        let ok = run(&Errand::ClientKill(one, KillReply::Ok), cores);
        assert_eq!(ok, ("+OK\r\n".into(), vec![3]));
        let none = Filter { address: Some("1.2.3.4:5".into()), ..own };
        let error = run(&Errand::ClientKill(none, KillReply::Ok), cores);
        assert_eq!(error, ("-ERR No such client\r\n".into(), vec![]));
    }

    #[test]
    fn unblock_counts_the_one_client_that_waits() {
        let cores: &[&[u64]] = &[&[1, 2], &[3]];
        let unblock = |id| run(&Errand::ClientUnblock(id, Retire::TimedOut), cores);
        assert_eq!(unblock(2), (":1\r\n".into(), vec![2]));
        assert_eq!(unblock(3), (":0\r\n".into(), vec![]));
        assert_eq!(unblock(9), (":0\r\n".into(), vec![]));
    }

    #[test]
    fn info_sums_over_cores() {
        let (text, _) = run(&Errand::Info(Sections::ALL), &[&[1, 2], &[3]]);
        for line in [
            "redis_version:8.0.6",
            "connected_clients:3",
            "total_commands_processed:200",
            "client_recent_max_input_buffer:10",
            "uptime_in_seconds:61",
            "run_id:0707070707070707070707070707070707070707",
            "cluster_enabled:0",
            "maxmemory_policy:noeviction",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
        }
        assert!(!text.contains("valkey") && !text.contains("dragonfly"));
        let (cpu, _) = run(&Errand::Info(Sections::parse([&b"CPU"[..]])), &[&[1]]);
        assert!(cpu.contains("\r\n# CPU\r\nused_cpu_sys:"), "{cpu}");
        assert!(!cpu.contains("# Server"));
    }
}
