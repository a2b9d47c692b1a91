//! The way to other cores: one batch out per owner and tick, its replies home in the same batch.
//!
//! A neighbour that is parked, with nothing still in the lane to it, is borrowed: its batch runs
//! here and the replies are here in the same tick. Otherwise the batch goes by the lane. At most
//! `REQUESTS_MAX` batches are out to one owner, so that their replies always fit the lane back;
//! beyond that the connections that need the owner stand still. What is not a batch waits in an
//! outbox, whose length the connections bound: each has at most one job.

use crate::config::Settings;
use crate::connection::Door;
use crate::core::Keys;
use crate::errand::{Answer, Errand};
use crate::stats::CoreStats;
use pinion_io::limits::LANE_LEN;
use pinion_io::mesh::Link;
use pinion_io::ring::SocketId;
use pinion_shards::batch::{Batch, Order};
use pinion_shards::channels::News;
use pinion_shards::{Late, Millis, Sender, Shard};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Batches that may be out to one owner.
const REQUESTS_MAX: usize = 24;
/// Idle parcels kept for use again.
const POOL_MAX: usize = 64;
/// Parcels that wait for a lane, from which on no more is made for its core.
const OUTBOX_LEN_MAX: usize = 64;

const _: () = assert!(
    2 * REQUESTS_MAX < LANE_LEN,
    "a lane holds our requests and our replies, and has room for errands"
);

/// Says whose reply it is, at home.
#[derive(Clone, Copy, Debug)]
pub enum Ticket {
    /// A client's, whole.
    Client {
        /// The client.
        socket: SocketId,
        /// Its place in the client's pipeline.
        sequence: u32,
    },
    /// That of a command which may wait.
    Wait {
        /// Its number.
        id: u64,
    },
    /// That of a subscription: it is in force.
    Subscription {
        /// Its place in `Joins`.
        id: usize,
    },
    /// That of a record that was loaded.
    Load,
    /// Nobody listens.
    Nobody,
}

/// What travels on a lane.
#[derive(Debug)]
pub enum Parcel {
    /// Commands for the receiver's shard.
    Request(Batch<Ticket>),
    /// The same batch, with its replies.
    Reply(Batch<Ticket>),
    /// A question to the receiver's core.
    Errand {
        /// Its number at home.
        id: u32,
        /// What is asked.
        errand: Arc<Errand>,
    },
    /// The answer to one.
    Answer {
        /// The number of the errand.
        id: u32,
        /// What the core said.
        answer: Answer,
    },
    /// What a shard says late, for the receiver.
    Late(Late),
    /// What shards tell the receiver, each with the shard and the number there.
    News(Vec<(u16, u64, News)>),
    /// What clients ask, for those of the receiver who watch.
    Shown(Arc<[u8]>),
    /// Nothing is there any more that clients of the receiver have read.
    Flushed,
    /// Keys have changed, or all, which a client of the receiver hears for another.
    Invalidation(SocketId, Keys),
    /// A save or a load has begun, or a core has done its share of one.
    Look,
    /// A fresh connection for the receiver, and what it came in by.
    Socket(OwnedFd, Door),
}

/// This core's side of the mesh.
#[derive(Debug)]
pub struct Hops {
    ways: Vec<Option<Way>>,
    #[expect(clippy::vec_box, reason = "lanes carry boxes, and these go out again")]
    pool: Vec<Box<Parcel>>,
}

#[derive(Debug)]
struct Way {
    link: Link<Shard, Parcel>,
    /// The batch under way in this tick, always `Parcel::Request`.
    current: Option<Box<Parcel>>,
    outstanding: usize,
    /// What shards tell that core, gathered in this tick.
    news: Vec<(u16, u64, News)>,
    outbox: VecDeque<Box<Parcel>>,
    must_wake: bool,
}

impl Way {
    /// Sends what waits in the outbox, leaving room for every batch and reply there may be.
    fn clear_outbox(&mut self) {
        while self.link.out.has_room(2 * REQUESTS_MAX + 1)
            && let Some(parcel) = self.outbox.pop_front()
        {
            self.link.out.push(parcel).expect("there is room");
            self.must_wake = true;
        }
    }

    /// Sends the current batch by the lane, if it may go.
    fn ship(&mut self, stats: &mut CoreStats) {
        if self.outstanding >= REQUESTS_MAX {
            return;
        }
        let Some(parcel) = self.current.take() else { return };
        self.link.out.push(parcel).expect("a lane has room for every request");
        self.outstanding += 1;
        self.must_wake = true;
        stats.batches_out += 1;
    }
}

impl Hops {
    /// Over these links, by core; none at this core's own.
    pub fn new(links: Vec<Option<Link<Shard, Parcel>>>) -> Self {
        let way = |link| Way {
            link,
            current: None,
            outstanding: 0,
            news: Vec::new(),
            outbox: VecDeque::new(),
            must_wake: false,
        };
        Self { ways: links.into_iter().map(|link| link.map(way)).collect(), pool: Vec::new() }
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.ways.len()
    }

    fn way(&mut self, core: usize) -> &mut Way {
        self.ways[core].as_mut().expect("a core has no way to itself")
    }

    /// True if a command for `owner` can be added now.
    pub fn has_room(&mut self, owner: usize, stats: &mut CoreStats) -> bool {
        let way = self.way(owner);
        if let Some(parcel) = &way.current
            && batch_of(parcel).is_full()
        {
            way.ship(stats);
            return way.current.is_none();
        }
        true
    }

    /// The batch under way to `owner`, to which a command may be added after `has_room`.
    pub fn batch(&mut self, owner: usize) -> &mut Batch<Ticket> {
        let way = self.ways[owner].as_mut().expect("a core has no way to itself");
        let parcel = way.current.get_or_insert_with(|| {
            self.pool.pop().unwrap_or_else(|| Box::new(Parcel::Request(Batch::default())))
        });
        match parcel.as_mut() {
            Parcel::Request(batch) => batch,
            _ => unreachable!("the current parcel is a request"),
        }
    }

    /// Adds a command for `owner`.
    pub fn push(
        &mut self,
        owner: usize,
        order: &Order<Ticket>,
        bytes: &[u8],
        ranges: impl Iterator<Item = pinion_io::resp::Range>,
    ) {
        self.batch(owner).push(order, bytes, ranges);
    }

    /// Takes the next parcel from `core`.
    #[inline]
    pub fn receive(&mut self, core: usize) -> Option<Box<Parcel>> {
        let way = self.ways[core].as_mut()?;
        let parcel = way.link.back.pop()?;
        if matches!(*parcel, Parcel::Reply(_)) {
            way.outstanding -= 1;
        }
        Some(parcel)
    }

    /// Sends a batch home with its replies; the lane has room by `REQUESTS_MAX`.
    pub fn send_home(&mut self, core: usize, parcel: Box<Parcel>) {
        let way = self.way(core);
        way.must_wake = true;
        way.link.out.push(parcel).expect("a lane has room for every reply");
    }

    /// Sends anything but a batch: behind the commands of this tick, unless their owner is so far
    /// behind that they wait here.
    pub fn send(&mut self, core: usize, parcel: Parcel, stats: &mut CoreStats) {
        let way = self.way(core);
        way.ship(stats);
        way.outbox.push_back(Box::new(parcel));
        way.clear_outbox();
    }

    /// Sends what a shard tells a core, together with all else of this tick.
    pub fn tell(&mut self, core: usize, news: (u16, u64, News)) {
        self.way(core).news.push(news);
    }

    /// True if a core takes so slowly what it is told that nothing more should be made for it.
    #[inline]
    pub fn is_congested(&self) -> bool {
        self.ways.iter().flatten().any(|way| way.outbox.len() >= OUTBOX_LEN_MAX)
    }

    /// Borrows `owner` for this tick's batch if it is parked and its lane is drained; the batch is
    /// returned with its replies, to be given to `recycle`, and with replies that it set free.
    #[inline]
    pub fn borrow(
        &mut self,
        owner: usize,
        now: Millis,
        home: (Sender, &Settings),
        stats: &mut CoreStats,
    ) -> Option<(Box<Parcel>, Vec<Late>)> {
        let way = self.ways[owner].as_mut()?;
        if way.current.is_none() || !way.outbox.is_empty() || !way.link.out.is_drained() {
            return None;
        }
        let mut loan = way.link.berth.try_borrow()?;
        let mut parcel = way.current.take()?;
        if let Parcel::Request(batch) = parcel.as_mut() {
            // Its owner sleeps, and may not have seen a CONFIG SET.
            home.1.tell(loan.value());
            batch.run(loan.value(), now, home.0);
        }
        stats.batches_borrowed += 1;
        let late = loan.value().take_late();
        // Only its owner writes long replies on, and goes on with scripts.
        way.must_wake |= loan.value().is_reading() || loan.value().has_slow_script();
        Some((parcel, late))
    }

    /// Sends what this tick gathered for `core`, and wakes it if it rests.
    #[inline]
    pub fn flush(&mut self, core: usize, stats: &mut CoreStats) {
        let Some(way) = self.ways[core].as_mut() else { return };
        way.ship(stats);
        if !way.news.is_empty() {
            let news = std::mem::take(&mut way.news);
            way.outbox.push_back(Box::new(Parcel::News(news)));
        }
        if !way.outbox.is_empty() {
            way.clear_outbox();
        }
        if way.must_wake {
            way.must_wake = false;
            way.link.wake();
        }
    }

    /// True if something was added since the flush that could go out now.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.ways.iter().flatten().any(|way| {
            way.must_wake
                || !way.news.is_empty()
                || way.current.is_some() && way.outstanding < REQUESTS_MAX
        })
    }

    /// True if something waits until a lane has room, of which nobody tells.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.ways.iter().flatten().any(|way| !way.outbox.is_empty())
    }

    /// Keeps an emptied batch for use again.
    pub fn recycle(&mut self, mut parcel: Box<Parcel>) {
        if self.pool.len() >= POOL_MAX {
            return;
        }
        if let Parcel::Request(batch) | Parcel::Reply(batch) = parcel.as_mut() {
            let mut batch = std::mem::take(batch);
            batch.clear();
            *parcel = Parcel::Request(batch);
            self.pool.push(parcel);
        }
    }

    /// True if nothing has come from any core.
    pub fn is_quiet(&self) -> bool {
        self.ways.iter().flatten().all(|way| way.link.back.is_empty())
    }

    /// True if nothing waits to go to any core, and nothing is out.
    pub fn is_settled(&self) -> bool {
        self.ways.iter().flatten().all(|way| {
            let none = way.current.is_none() && way.news.is_empty();
            none && way.outbox.is_empty() && way.outstanding == 0
        })
    }
}

fn batch_of(parcel: &Parcel) -> &Batch<Ticket> {
    match parcel {
        Parcel::Request(batch) | Parcel::Reply(batch) => batch,
        _ => unreachable!("only batches are gathered"),
    }
}
