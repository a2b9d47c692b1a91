//! Commands whose keys live on several shards and whose data flows between them: values are taken
//! from their owners, brought to one of these, and used there; what was moved is then taken away.
//!
//! ```text
//! take    on each other owner: a copy of its values comes home with the reply
//! put     on the owner the plan names: the command itself, with the copies at hand
//! settle  where the plan says so, and something was moved: on the other owners again
//! back    where `put` refused what `take` had taken out: it returns to where it was
//! ```
//!
//! The rounds are not atomic together: another client may come between them.

use super::Work;
use super::inbox::Request;
use crate::connection::Stall;
use crate::hop::Ticket;
use pinion_io::resp::{Protocol, Range, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::batch::{Order, Outcome};
use pinion_shards::commands::{Args, Move, Row};
use pinion_shards::{Call, Carried, Ran, Task};
use slab::Slab;

/// Moves under way.
#[derive(Debug, Default)]
pub(super) struct Moves {
    table: Slab<Option<Box<Moving>>>,
    /// Those whose next round waits for a lane.
    waiting: Vec<usize>,
}

/// One command under way.
#[derive(Debug)]
struct Moving {
    socket: SocketId,
    sequence: u32,
    protocol: Protocol,
    db: u16,
    row: &'static Row,
    plan: Move,
    /// Its words.
    bytes: Vec<u8>,
    words: Vec<Range>,
    /// The hash of its first key.
    hash: u64,
    round: Round,
    /// Replies that this round waits for.
    left: usize,
    /// Where it is run.
    to: usize,
    parts: Vec<Part>,
    carried: Vec<Carried>,
    /// What it replies; an error of an earlier round among that.
    reply: Vec<u8>,
}

/// The other keys of one owner.
#[derive(Debug)]
struct Part {
    owner: usize,
    /// Of these words.
    indexes: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Round {
    Take,
    Put,
    Settle,
    Back,
}

impl Moving {
    fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.words)
    }

    /// Owners that this round asks, each by the index of its part.
    fn owners(&self) -> Vec<usize> {
        match self.round {
            Round::Put => vec![self.to],
            Round::Take | Round::Settle | Round::Back => {
                self.parts.iter().map(|part| part.owner).collect()
            }
        }
    }

    fn task(&self) -> Task {
        let run = match self.round {
            Round::Take => Some(self.plan.take),
            Round::Put => Some(self.plan.put),
            Round::Settle => self.plan.settle,
            Round::Back => self.plan.back,
        };
        Task::Run(self.row, run.expect("a round is entered where the plan has it"))
    }

    /// The words for part `part` in this round.
    fn words_of(&self, part: usize) -> Vec<Range> {
        if self.round != Round::Take || self.takes_all_words() {
            return self.words.clone();
        }
        let keys = self.parts[part].indexes.iter().map(|&index| self.words[index as usize]);
        std::iter::once(self.words[0]).chain(keys).collect()
    }

    /// True if the first round is asked with all the words, not only with the keys.
    fn takes_all_words(&self) -> bool {
        self.plan.settle.is_some() || self.plan.back.is_some()
    }

    /// Takes what came of part `part`.
    fn take(&mut self, part: usize, outcome: Outcome<'_>) {
        self.left -= 1;
        match self.round {
            Round::Take if outcome.reply.first() == Some(&b'-') => {
                self.reply = outcome.reply.to_vec();
            }
            Round::Take => {
                let indexes = &self.parts[part].indexes;
                debug_assert_eq!(indexes.len(), outcome.carried.len(), "a value for each key");
                let mut carried = outcome.carried;
                for (carried, &index) in carried.iter_mut().zip(indexes) {
                    carried.index = index;
                }
                self.carried.append(&mut carried);
            }
            Round::Put => {
                self.reply = outcome.reply.to_vec();
                self.carried = outcome.carried;
            }
            Round::Settle | Round::Back => {}
        }
    }

    /// Goes to the next round; false if that was the last.
    fn next_round(&mut self) -> bool {
        self.round = match self.round {
            Round::Take if self.reply.is_empty() => Round::Put,
            Round::Put if self.plan.back.is_some() && !self.carried.is_empty() => {
                // The values come back in the order of their keys: there is one such key.
                let index = self.parts.first().and_then(|part| part.indexes.first());
                self.carried.iter_mut().for_each(|carried| carried.index = *index.unwrap_or(&0));
                Round::Back
            }
            Round::Put if self.plan.settle.is_some() && has_moved(&self.reply) => Round::Settle,
            _ => return false,
        };
        true
    }
}

/// True unless a reply says that nothing was moved.
fn has_moved(reply: &[u8]) -> bool {
    let nothing: [&[u8]; 4] = [b":0\r\n", b"$-1\r\n", b"*-1\r\n", b"_\r\n"];
    reply.first() != Some(&b'-') && !nothing.contains(&reply)
}

impl Work {
    /// Runs a command with values from several owners; false if a lane is full.
    pub(super) fn run_move(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        plan: Move,
    ) -> bool {
        let target = row.keys[usize::from(plan.to)].indexes(args).next();
        let Some(target) = target.filter(|_| !self.is_alone(row, args)) else {
            let owner = usize::from(request.owner);
            return self.run_at(request, args, row, Task::Run(row, plan.put), owner);
        };
        let to = self.route.owner(args.at(target));
        let mut parts: Vec<Part> = Vec::new();
        for index in row.keys.iter().flat_map(|keys| keys.indexes(args)) {
            let owner = self.route.owner(args.at(index));
            if owner == to {
                continue;
            }
            match parts.iter_mut().find(|part| part.owner == owner) {
                Some(part) => part.indexes.push(index as u32),
                None => parts.push(Part { owner, indexes: vec![index as u32] }),
            }
        }
        let mut owners = parts.iter().map(|part| part.owner);
        if let Some(full) = owners.find(|&owner| !self.has_room(owner)) {
            self.stall(request, Stall::Lane(full as u16));
            return false;
        }
        self.count(request, row);
        let Some(connection) = self.connection(request.socket) else { return true };
        let answers = connection.session.takes_reply();
        let (db, protocol) = (connection.session.db, connection.session.protocol);
        let sequence = connection.pipeline.reserve(!answers);
        if connection.pipeline.awaited() >= connection.awaited_max {
            connection.stall = Stall::Replies;
        }
        let (bytes, words) = args.to_owned();
        let (socket, hash) = (request.socket, request.hash);
        let (round, left, carried, reply) = (Round::Take, 0, Vec::new(), Vec::new());
        let moving = Moving {
            socket,
            sequence,
            protocol,
            db,
            row,
            plan,
            bytes,
            words,
            hash,
            round,
            left,
            to,
            parts,
            carried,
            reply,
        };
        let id = self.moves.table.insert(Some(Box::new(moving)));
        self.go_round(id);
        true
    }

    fn has_room(&mut self, owner: usize) -> bool {
        owner == self.index || self.hops.has_room(owner, &mut self.stats)
    }

    /// Asks the owners of a move's round, and goes on as far as that is answered at once.
    fn go_round(&mut self, id: usize) {
        let slot = self.moves.table.get_mut(id).and_then(Option::take);
        let mut moving = slot.expect("a move under way is in its place");
        loop {
            let owners = moving.owners();
            if !owners.iter().all(|&owner| self.has_room(owner)) {
                self.moves.waiting.push(id);
                break;
            }
            moving.left = owners.len();
            for (part, owner) in owners.into_iter().enumerate() {
                self.ask(id, &mut moving, part, owner);
            }
            if moving.left > 0 {
                break;
            }
            if !moving.next_round() {
                self.moves.table.remove(id);
                return self.fill(moving.socket, moving.sequence, &moving.reply);
            }
        }
        self.moves.table[id] = Some(moving);
    }

    /// Asks one owner, or runs the part here.
    fn ask(&mut self, id: usize, moving: &mut Moving, part: usize, owner: usize) {
        let (task, db, protocol) = (moving.task(), moving.db, moving.protocol);
        let words = moving.words_of(part);
        let args = Args::new(&moving.bytes, &words);
        let shard = self.owner.value();
        let hash = match moving.row.first_key(&moving.args()) {
            _ if moving.round == Round::Take && !moving.takes_all_words() => {
                args.try_at(1).map_or(0, |key| shard.hash(key))
            }
            _ => moving.hash,
        };
        let mut carried = if matches!(moving.round, Round::Put | Round::Back) {
            std::mem::take(&mut moving.carried)
        } else {
            Vec::new()
        };
        carried.sort_unstable_by_key(|carried| carried.index);
        let tag = Ticket::Move { id: id as u32, part: part as u16 };
        if owner == self.index {
            let mut reply = Vec::new();
            let call = Call { task, sender: self.sender(), db, hash, args };
            let mut out = Reply::new(&mut reply, protocol);
            let shard = self.owner.value();
            let ran = shard.run_with(self.now, &call, &mut carried, &mut out);
            let carried = shard.take_outgoing();
            if let Ran::Later(number) = ran {
                return self.wait_for(owner, number, tag);
            }
            return moving.take(part, Outcome { reply: &reply, carried, ran });
        }
        let order = Order { task, hash, db, protocol, tag };
        self.hops.push(owner, &order, &moving.bytes, words.into_iter());
        if !carried.is_empty() {
            self.hops.batch(owner).carry(carried);
        }
    }

    /// Takes what came home of a part.
    pub(super) fn deliver_part(&mut self, id: usize, part: usize, outcome: Outcome<'_>) {
        let moving = self.moves.table[id].as_mut().expect("a move waits for its parts");
        moving.take(part, outcome);
        if moving.left > 0 {
            return;
        }
        if moving.next_round() {
            return self.go_round(id);
        }
        if let Some(moving) = self.moves.table.remove(id) {
            self.fill(moving.socket, moving.sequence, &moving.reply);
        }
    }

    /// Goes on with moves whose lanes were full.
    pub(super) fn resume_moves(&mut self) {
        for id in std::mem::take(&mut self.moves.waiting) {
            self.go_round(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_moved;

    #[test]
    fn what_moved_nothing_is_not_settled() {
        for (reply, moved) in
            [("+OK\r\n", true), (":1\r\n", true), ("$1\r\na\r\n", true), (":0\r\n", false)]
        {
            assert_eq!(has_moved(reply.as_bytes()), moved, "{reply}");
        }
        assert!(!has_moved(b"-ERR no\r\n") && !has_moved(b"$-1\r\n") && !has_moved(b"_\r\n"));
    }
}
