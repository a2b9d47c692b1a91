//! Commands of several owners: a part to each, and the parts' replies folded into one.

use super::Work;
use super::flush::SPARE_BYTES_MAX;
use super::inbox::Request;
use crate::connection::Stall;
use crate::hop::Ticket;
use pinion_io::resp::{Protocol, Range, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::batch::Order;
use pinion_shards::commands::{Args, Row, Run};
use pinion_shards::error::Error;
use pinion_shards::fold::{Fold, Parts, fold};
use pinion_shards::keyspace::Cursor;
use pinion_shards::{Call, Ran, Task};
use slab::Slab;

/// Gatherings under way, and their memory for use again.
#[derive(Debug, Default)]
pub(super) struct Gathers {
    table: Slab<Gather>,
    pool: Vec<Gather>,
}

/// One command whose parts have not all replied.
#[derive(Debug)]
struct Gather {
    socket: SocketId,
    sequence: u32,
    protocol: Protocol,
    fold: Fold,
    left: usize,
    /// The owner of each part.
    owners: Vec<u16>,
    /// The part of each key.
    places: Vec<u16>,
    /// The words of each part, and then its reply; as many as there ever were, to be used again.
    words: Vec<Vec<Range>>,
    replies: Vec<Vec<u8>>,
}

/// Gatherings kept for use again, and words in each of their parts.
const POOL_MAX: usize = 64;
const WORDS_KEPT_MAX: usize = 1024;

impl Gathers {
    fn take(&mut self, socket: SocketId, fold: Fold) -> Gather {
        let mut gather = self.pool.pop().unwrap_or_else(|| Gather {
            socket,
            sequence: 0,
            protocol: Protocol::Resp2,
            fold,
            left: 0,
            owners: Vec::new(),
            places: Vec::new(),
            words: Vec::new(),
            replies: Vec::new(),
        });
        gather.socket = socket;
        gather.fold = fold;
        gather
    }

    fn keep(&mut self, mut gather: Gather) {
        if self.pool.len() >= POOL_MAX {
            return;
        }
        gather.owners.clear();
        gather.places.clear();
        gather.places.shrink_to(WORDS_KEPT_MAX);
        for words in &mut gather.words {
            words.clear();
            words.shrink_to(WORDS_KEPT_MAX);
        }
        for reply in &mut gather.replies {
            reply.clear();
            reply.shrink_to(SPARE_BYTES_MAX);
        }
        self.pool.push(gather);
    }
}

impl Gather {
    /// The part of `owner`, which begins with the command's name, or both words of a subcommand's.
    fn part(&mut self, owner: u16, name: &[Range]) -> usize {
        if let Some(known) = self.owners.iter().position(|&known| known == owner) {
            return known;
        }
        let part = self.owners.len();
        self.owners.push(owner);
        if self.words.len() == part {
            self.words.push(Vec::new());
            self.replies.push(Vec::new());
        }
        self.words[part].extend_from_slice(name);
        part
    }
}

impl Work {
    /// Runs a command on each owner with its own keys; false if a lane is full.
    pub(super) fn run_each(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        (run, fold): (Run, Fold),
    ) -> bool {
        let keys = &row.keys[0];
        let step = usize::from(keys.step());
        if !row.has_whole_steps(args) {
            self.count(request, row);
            self.fail(request, row, Error::Arity(row.name));
            return true;
        }
        let mut gather = self.gathers.take(request.socket, fold);
        let (bytes, ranges) = args.parts();
        let name = &ranges[..keys.begins()];
        for index in keys.indexes(args) {
            let owner = self.route.owner(args.at(index)) as u16;
            let part = gather.part(owner, name);
            gather.words[part].extend_from_slice(&ranges[index..index + step]);
            gather.places.push(part as u16);
        }
        self.send_parts(request, row, run, gather, bytes)
    }

    /// Runs a command on all shards; false if a lane is full.
    pub(super) fn run_every(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        (run, fold): (Run, Fold),
    ) -> bool {
        let mut gather = self.gathers.take(request.socket, fold);
        let (bytes, ranges) = args.parts();
        for owner in 0..self.route.shards() as u16 {
            gather.part(owner, ranges);
        }
        self.send_parts(request, row, run, gather, bytes)
    }

    /// Runs a command on the shard that its cursor names; false if its lane is full.
    pub(super) fn run_scan(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        run: Run,
    ) -> bool {
        match Cursor::shard(args.at(1), self.route.shards()) {
            Ok(owner) => self.run_at(request, args, row, Task::Run(row, run), owner),
            Err(error) => {
                self.count(request, row);
                self.fail(request, row, error);
                true
            }
        }
    }

    /// Sends each owner its part, and runs this core's own.
    fn send_parts(
        &mut self,
        request: &Request,
        row: &'static Row,
        run: Run,
        mut gather: Gather,
        bytes: &[u8],
    ) -> bool {
        for part in 0..gather.owners.len() {
            let owner = usize::from(gather.owners[part]);
            if owner != self.index && !self.hops.has_room(owner, &mut self.stats) {
                self.gathers.keep(gather);
                self.stall(request, Stall::Lane(owner as u16));
                return false;
            }
        }
        self.count(request, row);
        let Some(connection) = self.connection(request.socket) else { return true };
        let session = &mut connection.session;
        let answers = session.takes_reply();
        let (db, protocol) = (session.db, session.protocol);
        gather.protocol = protocol;
        gather.sequence = connection.pipeline.reserve(!answers);
        if connection.pipeline.awaited() >= connection.awaited_max {
            connection.stall = Stall::Replies;
        }
        gather.left = gather.owners.len();
        let id = self.gathers.table.vacant_key();
        let mut own = None;
        for (part, &owner) in gather.owners.iter().enumerate() {
            let words = &gather.words[part];
            let key = row.keys.first().and_then(|keys| words.get(keys.begins()));
            let hash = key.map_or(0, |key| self.owner.value().hash(key.of(bytes)));
            if usize::from(owner) == self.index {
                own = Some((part, hash));
                continue;
            }
            let tag = Ticket::Gather { id: id as u32, part: part as u16 };
            let order = Order { task: Task::Run(row, run), hash, db, protocol, tag };
            self.hops.push(usize::from(owner), &order, bytes, words.iter().copied());
        }
        if let Some((part, hash)) = own {
            let args = Args::new(bytes, &gather.words[part]);
            let call = Call { task: Task::Run(row, run), sender: self.sender(), db, hash, args };
            let mut reply = Reply::new(&mut gather.replies[part], protocol);
            match self.owner.value().run(self.now, &call, &mut reply) {
                Ran::Later(number) => {
                    let ticket = Ticket::Gather { id: id as u32, part: part as u16 };
                    self.wait_for(self.index, number, ticket);
                }
                Ran::Done | Ran::Parked(_) => gather.left -= 1,
            }
        }
        self.gathers.table.insert(gather);
        self.try_fold(id);
        true
    }

    /// Takes the reply of a part that came home.
    pub(super) fn deliver_gathered(&mut self, id: usize, part: usize, reply: &[u8]) {
        let gather = self.gathers.table.get_mut(id).expect("a gathering waits for its parts");
        gather.replies[part].extend_from_slice(reply);
        gather.left -= 1;
        self.try_fold(id);
    }

    /// Folds and answers, if all parts have replied.
    fn try_fold(&mut self, id: usize) {
        if self.gathers.table[id].left > 0 {
            return;
        }
        let gather = self.gathers.table.remove(id);
        let parts = Parts {
            replies: &gather.replies[..gather.owners.len()],
            places: &gather.places,
            random: self.random(),
        };
        let mut text = self.spare.pop().unwrap_or_default();
        fold(gather.fold, &parts, &mut Reply::new(&mut text, gather.protocol));
        self.fill(gather.socket, gather.sequence, &text);
        text.clear();
        self.keep_buffer(text);
        self.gathers.keep(gather);
    }

    /// Puts a piece of a reply in its place, the last one unless `more` follow.
    pub(super) fn fill_piece(
        &mut self,
        socket: SocketId,
        sequence: u32,
        piece: Vec<u8>,
        more: bool,
    ) {
        if let Some(connection) = self.connection(socket) {
            connection.pipeline.fill_piece(sequence, piece, more);
            self.mark_dirty(socket);
        }
    }

    /// Puts a reply in its place, if its client is still there.
    pub(super) fn fill(&mut self, socket: SocketId, sequence: u32, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            self.stats.error(None, reply, false);
        }
        let Some(connection) =
            self.connections.get_mut(socket.index as usize).and_then(Option::as_mut)
        else {
            return;
        };
        if connection.socket != socket {
            return;
        }
        connection.pipeline.lend(|| self.spare.pop().unwrap_or_default());
        connection.learn(reply.len());
        connection.pipeline.fill(sequence, reply);
        connection.mark(&mut self.dirty);
    }
}
