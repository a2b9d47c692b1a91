//! From bytes to requests: parses what arrived where it lies, and asks for the buckets of its keys.

use super::http::wire_of;
use super::logins::STRANGER_BYTES_MAX;
use super::{Core, Work};
use crate::commands::{FindError, Found};
use crate::connection::{Connection, Intake, Wire};
use pinion_io::resp::{Limits, Parser, ProtocolError, Range, Step};
use pinion_io::ring::{Chunk, Ring, SocketId};
use pinion_shards::commands::Args;
use pinion_shards::limits::{BATCH_BYTES_MAX, STRING_BYTES_MAX};
use std::collections::VecDeque;

/// Requests parsed before they are run; bounds the buffers held meanwhile.
pub(super) const REQUESTS_MAX: usize = 512;
/// Requests that one tick runs, so that nobody's replies wait for all of a flood: some ms of work.
pub(super) const TICK_REQUESTS_MAX: usize = 4096;
/// Missing bytes of one argument from which it is received straight into its buffer.
const DIRECT_BYTES_MIN: usize = 64 * 1024;
/// Growth of a buffer for direct receives at a time, at least: a client that only announces much
/// gets little.
const DIRECT_STEP_BYTES: usize = 1024 * 1024;
/// Most input of one connection, whatever `client_query_buffer_limit` allows: ranges and positions
/// within it have 32 bits.
const INPUT_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024;
/// Requests and words of requests that the inbox keeps room for.
const REQUESTS_KEPT_MAX: usize = 4096;
const WORDS_KEPT_MAX: usize = 32 * 1024;
/// Input that may wait for a connection that stands still, before its peer is held back.
const WAITING_BYTES_MAX: usize = 64 * 1024;

// Beyond the bound, one direct receive may arrive before it is checked, and what was received is
// then copied behind the commands of a batch.
const _: () = assert!(
    INPUT_BYTES_MAX + STRING_BYTES_MAX + BATCH_BYTES_MAX + DIRECT_STEP_BYTES < u32::MAX as usize,
    "a range reaches all input"
);

/// Set in the source of a request that lies in `rewritten`.
const REWRITTEN: u32 = 1 << 31;

/// What arrived in this tick, and the requests found in it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: VecDeque<(SocketId, Arrival)>,
    /// Bytes whose requests have not run.
    held: Vec<Held>,
    /// Inline requests with quotes, rewritten; sources above `REWRITTEN`.
    rewritten: Vec<Vec<u8>>,
    pub(super) requests: Vec<Request>,
    pub(super) ranges: Vec<Range>,
    parser: Parser,
}

/// What the ring said of a connection, in the order it did.
#[derive(Debug)]
enum Arrival {
    Chunk(Chunk),
    /// The peer sends no more, or the socket `failed`: known only behind what came before.
    End {
        failed: bool,
    },
}

/// Bytes that requests lie in.
#[derive(Debug)]
pub(super) enum Held {
    Chunk(Chunk),
    Bytes(Vec<u8>),
}

/// A request, parsed and routed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) socket: SocketId,
    /// Which of the held bytes it lies in, and where.
    source: u32,
    start: u32,
    end: u32,
    /// Its words, in `ranges`.
    first: u32,
    words: u32,
    pub(super) what: What,
    /// The hash of its first key, or 0 where it has none.
    pub(super) hash: u64,
    /// The shard of that key, or this core's.
    pub(super) owner: u16,
    /// Its bucket has been asked for: it is here.
    pub(super) prefetched: bool,
}

impl Request {
    /// How many words it has.
    #[inline]
    pub(super) fn word_count(&self) -> u32 {
        self.words
    }

    /// Bytes of the request as it came.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

/// What a request turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Command(Result<Found, FindError>),
    Violation(ProtocolError),
}

/// One pass over a connection's bytes.
struct Pass<'a> {
    socket: SocketId,
    bytes: &'a [u8],
    source: u32,
    at: usize,
    limits: Limits,
}

impl Request {
    /// One of another protocol, with the hash of its first key or 0: nothing of it lies here.
    pub(super) fn aside(socket: SocketId, hash: u64) -> Self {
        Self {
            socket,
            source: 0,
            start: 0,
            end: 0,
            first: 0,
            words: 0,
            what: What::Command(Err(FindError::UnknownCommand)),
            hash,
            owner: 0,
            prefetched: false,
        }
    }
}

impl Inbox {
    pub(super) fn push(&mut self, socket: SocketId, chunk: Chunk) {
        self.arrived.push_back((socket, Arrival::Chunk(chunk)));
    }

    pub(super) fn push_end(&mut self, socket: SocketId, failed: bool) {
        self.arrived.push_back((socket, Arrival::End { failed }));
    }

    /// The words of a request.
    #[inline]
    pub(super) fn args<'a>(&'a self, ring: &'a Ring, request: &Request) -> Args<'a> {
        let first = request.first as usize;
        let words = &self.ranges[first..first + request.words as usize];
        Args::new(self.source(ring, request.source), words)
    }

    /// All its bytes, as they came.
    pub(super) fn raw<'a>(&'a self, ring: &'a Ring, request: &Request) -> &'a [u8] {
        &self.source(ring, request.source)[request.start as usize..request.end as usize]
    }

    #[inline]
    fn source<'a>(&'a self, ring: &'a Ring, source: u32) -> &'a [u8] {
        if source & REWRITTEN != 0 {
            return &self.rewritten[(source & !REWRITTEN) as usize];
        }
        match &self.held[source as usize] {
            Held::Chunk(chunk) => ring.bytes(chunk),
            Held::Bytes(bytes) => bytes,
        }
    }

    /// Gives back what the requests lay in, once they have run.
    pub(super) fn clear(&mut self, ring: &mut Ring) {
        self.requests.clear();
        self.requests.shrink_to(REQUESTS_KEPT_MAX);
        self.ranges.clear();
        self.ranges.shrink_to(WORDS_KEPT_MAX);
        self.rewritten.clear();
        for held in self.held.drain(..) {
            if let Held::Chunk(chunk) = held {
                ring.give_back(chunk);
            }
        }
    }
}

impl Core {
    /// Parses and runs what arrived, up to about `requests_max` requests; true if more is left.
    pub(super) fn run_inbox(&mut self, requests_max: usize) -> bool {
        let mut done = 0;
        while done < requests_max
            && let Some((socket, arrival)) = self.inbox.arrived.pop_front()
        {
            match arrival {
                Arrival::Chunk(chunk) => self.take_chunk(socket, chunk),
                Arrival::End { failed } => self.work.take_end(socket, failed),
            }
            if self.inbox.requests.len() >= REQUESTS_MAX {
                done += self.inbox.requests.len();
                self.run_requests();
            }
        }
        done += self.inbox.requests.len();
        self.run_requests();
        let most = &mut self.work.stats.tick_requests_max;
        *most = (*most).max(done as u64);
        !self.inbox.arrived.is_empty()
    }

    fn take_chunk(&mut self, socket: SocketId, chunk: Chunk) {
        let (now, http) = (self.work.now, self.work.settings.http);
        self.work.stats.input_bytes += chunk.len() as u64;
        self.work.stats.reads += 1;
        let Some(connection) = self.work.connection(socket) else {
            return self.ring.give_back(chunk);
        };
        if connection.tls.is_some() {
            return self.take_sealed(socket, chunk);
        }
        connection.session.input_bytes_total += chunk.len() as u64;
        connection.session.last_active = now;
        if connection.wire == Wire::Fresh && connection.input.is_empty() {
            connection.wire = wire_of(self.ring.bytes(&chunk), http);
        }
        if !connection.runs() || !connection.input.is_empty() || connection.wire != Wire::Redis {
            connection.input.extend_from_slice(self.ring.bytes(&chunk));
            self.ring.give_back(chunk);
            return self.take_input(socket);
        }
        self.take_held(socket, Held::Chunk(chunk));
    }

    /// Parses bytes of a connection that has gathered nothing before them and may run.
    pub(super) fn take_held(&mut self, socket: SocketId, held: Held) {
        let source = self.inbox.held.len() as u32;
        let limits = self.work.limits(socket);
        let bytes = match &held {
            Held::Chunk(chunk) => self.ring.bytes(chunk),
            Held::Bytes(bytes) => bytes,
        };
        let mut parser = std::mem::take(&mut self.inbox.parser);
        let mut pass = Pass { socket, bytes, source, at: 0, limits };
        let need = self.work.parse(&mut pass, &mut parser, &mut self.inbox);
        parser.reset();
        self.inbox.parser = parser;
        let rest = &bytes[pass.at..];
        if let Some(connection) = self.work.connection(socket) {
            connection.input.extend_from_slice(rest);
        }
        self.inbox.held.push(held);
        self.want_more(socket, need);
    }

    /// Parses what a connection has gathered, as far as it may run.
    pub(super) fn take_input(&mut self, socket: SocketId) {
        let limit = (self.work.settings.query_buffer_bytes_max as usize).min(INPUT_BYTES_MAX);
        let limit = limit.min(self.stranger_limit(socket));
        let Some(connection) = self.work.connection(socket) else { return };
        if connection.input_bytes() > limit {
            connection.kill();
            self.work.stats.query_limit_closed += 1;
            return self.work.mark_dirty(socket);
        }
        let runs = connection.runs();
        self.work.evict_if_giant(socket);
        let Some(connection) = self.work.connection(socket) else { return };
        if !runs {
            if connection.session.closing {
                connection.input.clear();
            } else if connection.input_bytes() > WAITING_BYTES_MAX {
                self.hold_back(socket);
            }
            return;
        }
        if connection.wire != Wire::Redis
            && let Some(need) = self.serve_other(socket)
        {
            return self.want_more(socket, need);
        }
        let Some(connection) = self.work.connection(socket) else { return };
        let input = std::mem::take(&mut connection.input);
        let mut parser = std::mem::take(&mut connection.parser);
        let source = self.inbox.held.len() as u32;
        let limits = self.work.limits(socket);
        let mut pass = Pass { socket, bytes: &input, source, at: 0, limits };
        let need = self.work.parse(&mut pass, &mut parser, &mut self.inbox);
        let at = pass.at;
        let Some(connection) = self.work.connection(socket) else { return };
        if at == 0 {
            // Nothing whole yet: the parser goes on where it stopped.
            connection.input = input;
            connection.parser = parser;
        } else {
            // The connection has a fresh parser, without the memory of this one's words.
            connection.input.extend_from_slice(&input[at..]);
            self.inbox.held.push(Held::Bytes(input));
        }
        self.want_more(socket, need);
    }

    /// Bytes that a client may send ahead before it has authenticated, which what is parsed already
    /// may do.
    fn stranger_limit(&mut self, socket: SocketId) -> usize {
        let is_stranger = self
            .work
            .connection(socket)
            .is_some_and(|connection| connection.session.login.is_locked_out());
        let asks = || self.inbox.requests.iter().any(|earlier| earlier.socket == socket);
        if is_stranger && !asks() { STRANGER_BYTES_MAX } else { usize::MAX }
    }

    /// Stops a peer that sends faster than its requests may run.
    fn hold_back(&mut self, socket: SocketId) {
        if let Some(connection) = self.work.connection(socket)
            && connection.intake == Intake::Chunks
        {
            connection.intake = Intake::Stopping;
            self.ring.pause(socket);
        }
    }

    /// Sees to how the rest of a large argument comes: `need` bytes are known to be missing.
    fn want_more(&mut self, socket: SocketId, need: usize) {
        let Some(connection) = self.work.connection(socket) else { return };
        match connection.intake {
            Intake::Chunks if need >= DIRECT_BYTES_MIN && connection.tls.is_none() => {
                connection.intake = Intake::Stopping;
                self.ring.pause(socket);
            }
            Intake::Stopped if connection.runs() => self.go_on_receiving(socket, need),
            _ => {}
        }
    }

    /// Receives again after a stop: directly where much is missing, else in chunks.
    pub(super) fn go_on_receiving(&mut self, socket: SocketId, need: usize) {
        let Some(connection) = self.work.connection(socket) else { return };
        if need >= DIRECT_BYTES_MIN && connection.tls.is_none() {
            let mut buffer = std::mem::take(&mut connection.input);
            let step = need.min(buffer.len().max(DIRECT_STEP_BYTES));
            buffer.reserve_exact(step);
            connection.intake = Intake::Direct(buffer.len());
            self.ring.receive_direct(socket, buffer, step);
        } else {
            connection.intake = Intake::Chunks;
            self.ring.resume(socket);
        }
    }

    /// The bytes known to be missing of a connection's request under way.
    pub(super) fn missing(&mut self, socket: SocketId) -> usize {
        let limits = self.work.limits(socket);
        let Some(connection) = self.work.connection(socket) else { return 0 };
        if connection.input.is_empty() {
            return 0;
        }
        match connection.parser.next(&connection.input, 0, &limits) {
            Ok(Step::Partial { need }) => need,
            // What is whole, or wrong, shows when it is parsed in its turn.
            _ => {
                connection.parser.reset();
                0
            }
        }
    }
}

impl Work {
    /// Closes a connection whose peer is done, once all that came from it has run.
    pub(super) fn take_end(&mut self, socket: SocketId, failed: bool) {
        if let Some(connection) = self.connection(socket) {
            connection.ended = true;
            if failed {
                connection.kill();
            }
            self.mark_dirty(socket);
        }
    }

    fn limits(&mut self, socket: SocketId) -> Limits {
        let bulk_bytes_max = self.settings.bulk_bytes_max as i64;
        match self.connection(socket) {
            Some(Connection { session, .. }) if session.login.is_locked_out() => {
                Limits::unauthenticated()
            }
            _ => Limits { bulk_bytes_max, ..Limits::default() },
        }
    }

    /// Appends the requests that lie whole in a pass's bytes to the inbox; returns how many bytes
    /// the next one is known to miss. What only AUTH allows waits for what was sent before it.
    fn parse(&mut self, pass: &mut Pass<'_>, parser: &mut Parser, inbox: &mut Inbox) -> usize {
        loop {
            let end = match parser.next(pass.bytes, pass.at, &pass.limits) {
                Ok(Step::Request { end }) => {
                    let first = inbox.ranges.len() as u32;
                    inbox.ranges.extend_from_slice(parser.args());
                    let request = self.request(pass, end, first, parser.args());
                    inbox.requests.push(request);
                    end
                }
                Ok(Step::Empty { end }) => {
                    pass.at = end;
                    continue;
                }
                Ok(Step::Inline { end, rewritten }) => {
                    self.parse_rewritten(pass, end, rewritten, inbox);
                    end
                }
                Ok(Step::Partial { need }) => return need,
                Err(error)
                    if error.is_lifted_by_auth()
                        && inbox.requests.iter().any(|earlier| earlier.socket == pass.socket) =>
                {
                    self.go_on(pass.socket);
                    return 0;
                }
                Err(error) => {
                    inbox.requests.push(Request {
                        what: What::Violation(error),
                        ..self.request(pass, pass.bytes.len(), 0, &[])
                    });
                    pass.at = pass.bytes.len();
                    return 0;
                }
            };
            pass.at = end;
        }
    }

    /// An inline request with quotes, rewritten as an array in bytes of its own.
    fn parse_rewritten(
        &mut self,
        pass: &Pass<'_>,
        end: usize,
        rewritten: Vec<u8>,
        inbox: &mut Inbox,
    ) {
        let mut parser = Parser::default();
        let source = REWRITTEN | inbox.rewritten.len() as u32;
        let inner = Pass { bytes: &rewritten, source, at: 0, ..*pass };
        if let Ok(Step::Request { end: inner_end }) = parser.next(&rewritten, 0, &pass.limits) {
            let first = inbox.ranges.len() as u32;
            inbox.ranges.extend_from_slice(parser.args());
            inbox.requests.push(self.request(&inner, inner_end, first, parser.args()));
        }
        debug_assert!(end > pass.at, "a request has a length");
        inbox.rewritten.push(rewritten);
    }

    /// Routes a request that ends at `end`, and asks for its bucket where that is here.
    #[inline]
    fn request(&mut self, pass: &Pass<'_>, end: usize, first: u32, words: &[Range]) -> Request {
        let args = Args::new(pass.bytes, words);
        let mut request = Request {
            socket: pass.socket,
            source: pass.source,
            start: pass.at as u32,
            end: end as u32,
            first,
            words: words.len() as u32,
            what: What::Command(Err(FindError::UnknownCommand)),
            hash: 0,
            owner: self.index as u16,
            prefetched: false,
        };
        if words.is_empty() {
            return request;
        }
        let found = self.settings.find(&args);
        request.what = What::Command(found);
        if let Ok(Found::Shard(row)) = found
            && let Some(index) = row.first_key(&args)
        {
            let key = args.at(index);
            request.owner = self.route.owner(key) as u16;
            let shard = self.owner.value();
            request.hash = shard.hash(key);
            if usize::from(request.owner) == self.index {
                request.prefetched = true;
                let db = self.connections[pass.socket.index as usize]
                    .as_ref()
                    .map_or(0, |connection| connection.session.db);
                shard.prefetch_bucket(db, request.hash);
            }
        }
        request
    }
}
