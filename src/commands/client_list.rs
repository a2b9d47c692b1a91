//! Choosing among clients, and the line that CLIENT LIST shows of each.

use super::tracking::redirect;
use crate::acl::Acl;
use crate::errand::ClientView;
use crate::session::{Peer, Session};
use pinion_io::resp::Protocol;
use pinion_shards::Millis;
use pinion_shards::commands::{Args, parse_int};
use pinion_shards::error::Error;
use std::collections::HashSet;
use std::fmt::Write as _;

/// What a client is. There are no replicas yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One that sends commands.
    Normal,
    /// Our master.
    Master,
    /// One of our replicas.
    Replica,
    /// A subscriber.
    Pubsub,
}

impl Kind {
    fn parse(word: &[u8]) -> Option<Self> {
        [
            (&b"normal"[..], Self::Normal),
            (b"master", Self::Master),
            (b"replica", Self::Replica),
            (b"slave", Self::Replica),
            (b"pubsub", Self::Pubsub),
        ]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, kind)| kind)
    }

    fn of(session: &Session) -> Self {
        if session.is_subscriber() { Self::Pubsub } else { Self::Normal }
    }
}

/// Ids in the order in which they were given, each once, so that a line is never shown twice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ids {
    order: Vec<u64>,
    all: HashSet<u64>,
}

impl Ids {
    /// The ids in order.
    pub fn order(&self) -> &[u64] {
        &self.order
    }
}

impl FromIterator<u64> for Ids {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut unique = Self::default();
        for id in ids {
            if unique.all.insert(id) {
                unique.order.push(id);
            }
        }
        unique
    }
}

/// Which clients CLIENT KILL closes or CLIENT LIST shows: those that fit in every respect given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The client that asks; it is closed only after its reply.
    pub own: u64,
    /// Leave out the client that asks.
    pub skip_own: bool,
    /// With one of these ids.
    pub ids: Option<Ids>,
    /// From this address, as CLIENT LIST shows it.
    pub address: Option<String>,
    /// To this address of ours.
    pub local: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this user.
    pub user: Option<Box<[u8]>>,
    /// Connected for at least so many seconds.
    pub seconds_min: Option<u64>,
}

impl Filter {
    /// True if it chooses this client.
    pub fn has(&self, session: &Session, now: Millis) -> bool {
        let is_at = |wanted: &Option<String>, end: &Peer| {
            wanted.as_ref().is_none_or(|wanted| *wanted == end.to_string())
        };
        !(self.skip_own && session.id == self.own)
            && self.ids.as_ref().is_none_or(|ids| ids.all.contains(&session.id))
            && self.kind.is_none_or(|kind| kind == Kind::of(session))
            && self.user.as_ref().is_none_or(|user| **user == *session.login.user().name())
            && self.seconds_min.is_none_or(|min| seconds(now, session.created) >= min)
            && is_at(&self.address, &session.peer)
            && is_at(&self.local, &session.local)
    }
}

/// What CLIENT KILL answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KillReply {
    /// OK, or an error where there was no such client.
    Ok,
    /// How many were closed.
    Count,
}

/// An error's text that quotes the client.
type Text = Vec<u8>;

/// Reads the arguments of CLIENT LIST.
pub(super) fn parse_list(
    args: &Args<'_>,
    own: u64,
    acl: &Acl,
) -> Result<Result<Filter, Text>, Error> {
    let filter = Filter { own, ..Filter::default() };
    if args.len() == 2 {
        return Ok(Ok(filter));
    }
    if args.len() == 3 {
        return Err(Error::Syntax);
    }
    parse_filters(args, filter, acl, &mut |index| {
        let mut ids = Vec::new();
        while let Some(word) = args.try_at(index + ids.len())
            && (ids.is_empty() || !is_filter(word))
        {
            let id = parse_int(word).ok_or(Error::Text("ERR Invalid client ID"))?;
            ids.push(id.max(0) as u64);
        }
        Ok(ids)
    })
}

/// Reads the filters of CLIENT KILL, for the client `own`.
pub(super) fn parse_kill(
    args: &Args<'_>,
    own: u64,
    acl: &Acl,
) -> Result<Result<Filter, Text>, Error> {
    let filter = Filter { own, skip_own: true, ..Filter::default() };
    parse_filters(args, filter, acl, &mut |index| {
        let mut ids = Vec::new();
        while let Some(word) = args.try_at(index + ids.len()) {
            match parse_int(word).filter(|id| *id > 0) {
                Some(id) => ids.push(id as u64),
                None if ids.is_empty() || parse_int(word).is_some() => {
                    return Err(Error::Text("ERR client-id should be greater than 0"));
                }
                None => break,
            }
        }
        Ok(ids)
    })
}

/// True if a word begins a filter.
fn is_filter(word: &[u8]) -> bool {
    let names: [&[u8]; 7] = [b"ID", b"MAXAGE", b"TYPE", b"ADDR", b"LADDR", b"USER", b"SKIPME"];
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Reads filters; `ids_from` reads the ids that begin at an index.
fn parse_filters(
    args: &Args<'_>,
    mut filter: Filter,
    acl: &Acl,
    ids_from: &mut dyn FnMut(usize) -> Result<Vec<u64>, Error>,
) -> Result<Result<Filter, Text>, Error> {
    let mut index = 2;
    while index < args.len() {
        let Some(word) = args.try_at(index + 1) else { return Err(Error::Syntax) };
        if args.is(index, "ID") {
            let ids = ids_from(index + 1)?;
            index += ids.len() + 1;
            filter.ids = Some(ids.into_iter().collect());
            continue;
        }
        if args.is(index, "MAXAGE") {
            let age = parse_int(word)
                .ok_or(Error::Text("ERR maxage is not an integer or out of range"))?;
            if age <= 0 {
                return Err(Error::Text("ERR maxage should be greater than 0"));
            }
            filter.seconds_min = Some(age as u64);
        } else if args.is(index, "TYPE") {
            match parse_kind(word) {
                Ok(kind) => filter.kind = Some(kind),
                Err(text) => return Ok(Err(text)),
            }
        } else if args.is(index, "ADDR") {
            filter.address = Some(String::from_utf8_lossy(word).into_owned());
        } else if args.is(index, "LADDR") {
            filter.local = Some(String::from_utf8_lossy(word).into_owned());
        } else if args.is(index, "USER") {
            if acl.users().find(word).is_none() {
                return Ok(Err([b"ERR No such user '", word, b"'"].concat()));
            }
            filter.user = Some(word.into());
        } else if args.is(index, "SKIPME") {
            filter.skip_own = match word {
                word if word.eq_ignore_ascii_case(b"yes") => true,
                word if word.eq_ignore_ascii_case(b"no") => false,
                _ => return Err(Error::Syntax),
            };
        } else {
            return Err(Error::Syntax);
        }
        index += 2;
    }
    Ok(Ok(filter))
}

fn parse_kind(word: &[u8]) -> Result<Kind, Text> {
    Kind::parse(word).ok_or_else(|| [b"ERR Unknown client type '", word, b"'"].concat())
}

fn seconds(now: Millis, since: Millis) -> u64 {
    now.saturating_sub(since) / 1000
}

/// The line of a client, with its line end; fields in Redis's order and, after them, its traffic.
pub(crate) fn line(client: &ClientView<'_>, now: Millis) -> String {
    let session = &*client.session;
    let mut flags = String::new();
    let (queued, queued_bytes) = session.queued();
    for (set, flag) in [
        (session.is_monitor, 'O'),
        (session.is_subscriber(), 'P'),
        (session.tracking.is_some(), 't'),
        (session.tracking.as_ref().is_some_and(|tracking| tracking.is_broken), 'R'),
        (session.tracking.as_ref().is_some_and(|tracking| tracking.broadcast), 'B'),
        (queued.is_some(), 'x'),
        (client.is_blocked || client.is_postponed, 'b'),
        (session.closing, 'c'),
        (matches!(session.peer, Peer::Unix(_)), 'U'),
        (session.no_evict, 'e'),
        (session.no_touch, 'T'),
    ] {
        flags.extend(set.then_some(flag));
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let held = client.input_bytes + client.output_bytes;
    let memory = session.bytes() + held;
    let (library, version) = session.library();
    let mut line = String::with_capacity(400);
    writeln!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub={} \
         psub={} ssub={} multi={} watch={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} \
         rbs=0 rbp=0 obl={} oll=0 omem={} tot-mem={memory} events=r cmd={} user={} \
         redir={} resp={} lib-name={library} lib-ver={version} io-thread={} tot-net-in={} \
         tot-net-out={} tot-cmds={}",
        session.id,
        session.peer,
        session.local,
        session.fd,
        String::from_utf8_lossy(&session.name),
        seconds(now, session.created),
        seconds(now, session.last_active),
        session.db,
        session.subscriptions[0],
        session.subscriptions[1],
        session.subscriptions[2],
        queued.map_or(-1, |count| count as i64),
        session.watching(),
        client.input_bytes,
        client.output_bytes,
        client.output_bytes,
        session.last_command.map_or("NULL", |row| row.name),
        String::from_utf8_lossy(session.login.user().name()),
        redirect(session.tracking.as_deref()),
        if session.protocol == Protocol::Resp3 { 3 } else { 2 },
        session.core,
        session.input_bytes_total,
        session.output_bytes_total,
        session.commands_total,
    )
    .expect("writing to memory does not fail");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u64) -> Session {
        let ends = ("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:6379".parse().unwrap());
        let acl = Acl::new("");
        Session::new(id, (Peer::Tcp(ends.0), Peer::Tcp(ends.1)), 9, 1, 10_000, &acl)
    }

    #[test]
    fn a_line_has_redis_s_fields() {
        let mut session = session(7);
        session.name = b"worker"[..].into();
        session.library = Some(Box::new(("redis-py".into(), "8.1.0".into())));
        session.no_touch = true;
        let view = ClientView {
            session: &mut session,
            input_bytes: 5,
            output_bytes: 6,
            kill: &mut false,
            is_blocked: true,
            is_postponed: false,
            unblock: &mut None,
        };
        let line = line(&view, 13_999);
        assert!(
            line.starts_with(
                "id=7 addr=127.0.0.1:5000 laddr=127.0.0.1:6379 fd=9 name=worker age=3 idle=3 \
                 flags=bT db=0 sub=0"
            ),
            "{line}"
        );
        assert!(line.contains(" qbuf=5 ") && line.contains(" obl=6 "), "{line}");
        assert!(line.contains(" cmd=NULL user=default redir=-1 resp=2 lib-name=redis-py "));
        assert!(line.ends_with("tot-cmds=0\n"), "{line}");
    }

    #[test]
    fn a_filter_fits_in_every_respect() {
        let one = session(1);
        let fits = |filter: &Filter| filter.has(&one, 20_000);
        let any = Filter { own: 1, ..Filter::default() };
        assert!(fits(&any));
        assert!(!fits(&Filter { skip_own: true, ..any.clone() }));
        assert!(fits(&Filter { skip_own: true, own: 2, ..any.clone() }));
        assert!(fits(&Filter { address: Some("127.0.0.1:5000".into()), ..any.clone() }));
        assert!(!fits(&Filter { local: Some("127.0.0.1:5000".into()), ..any.clone() }));
        assert!(fits(&Filter { seconds_min: Some(10), ..any.clone() }));
        assert!(!fits(&Filter { seconds_min: Some(11), ..any.clone() }));
        assert!(!fits(&Filter { ids: Some([2, 3].into_iter().collect()), ..any.clone() }));
        assert!(!fits(&Filter { kind: Some(Kind::Pubsub), ..any }));
    }
}
