//! Clients of a mesh: each asks, and asks again when it has heard.

use super::mesh::{Ask, Heard, Mesh, Planted, Ticket};
use super::source::Source;
use crate::checkers::Span;
use pinion_shards::Retire;
use pinion_shards::commands::Words;
use std::collections::{HashMap, VecDeque};

/// Steps after which a run that has not ended is taken for hung.
const STEPS_MAX: u64 = 400_000;

/// What the clients of a workload do.
pub(crate) trait Script {
    /// What client `client` asks next; nothing once it is done.
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask>;

    /// Takes what it heard, and when.
    fn hear(&mut self, client: usize, heard: Heard, span: Span);

    /// Takes that it will never hear, and when it had asked.
    fn lose(&mut self, _client: usize, _span: Span) {}

    /// Requests that a client sends before it hears of the first.
    fn depth(&self) -> usize {
        1
    }

    /// True if a client that waits may be cut off.
    fn may_cut(&self) -> bool {
        false
    }
}

/// A mesh and its clients.
pub(crate) struct Stage {
    pub(crate) mesh: Mesh,
    pub(crate) source: Source,
    clients: Vec<Client>,
    whose: HashMap<Ticket, usize>,
    ticket: Ticket,
    clock: u64,
}

#[derive(Clone, Debug, Default)]
struct Client {
    core: usize,
    /// What it hears comes in this order.
    asked: VecDeque<Asked>,
    /// It was cut off.
    gone: bool,
    /// It has nothing more to ask.
    done: bool,
}

/// A request under way, and when it was sent.
#[derive(Clone, Debug)]
struct Asked {
    ticket: Ticket,
    sent: u64,
    heard: Option<Heard>,
}

impl Stage {
    /// From a seed: 2 to 5 shards, 3 to 9 clients.
    pub(crate) fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut source = Source(seed);
        let shards = 2 + source.below(4);
        let mesh = Mesh::new(shards, seed, planted);
        let count = 3 + source.below(7);
        let client =
            |source: &mut Source| Client { core: source.below(shards), ..Client::default() };
        let clients = (0..count).map(|_| client(&mut source)).collect();
        Self { mesh, source, clients, whose: HashMap::new(), ticket: 0, clock: 0 }
    }

    /// Has every client do what a script says, until all are done and nothing is under way.
    ///
    /// # Errors
    /// A sentence if it does not end.
    pub(crate) fn play(&mut self, script: &mut dyn Script) -> Result<(), String> {
        let end = self.clock + STEPS_MAX;
        self.clients.iter_mut().for_each(|client| client.done = false);
        loop {
            for index in 0..self.clients.len() {
                let client = &self.clients[index];
                if client.gone {
                    continue;
                }
                let (count, first) = (client.asked.len(), client.asked.front());
                if let Some(&Asked { ticket, sent, .. }) = first
                    && script.may_cut()
                    && index > 0
                    && self.source.below(3_000) == 0
                {
                    self.cut(index, ticket);
                    script.lose(index, Span { sent, done: None });
                    continue;
                }
                if count < script.depth() && !self.clients[index].done && self.source.below(6) == 0
                {
                    match script.next(index, &mut self.source) {
                        Some(ask) => self.ask(index, ask),
                        None => self.clients[index].done = true,
                    }
                }
            }
            self.clock += 1;
            self.mesh.step(&mut self.source);
            self.listen(script);
            let ended = |client: &Client| client.gone || client.done && client.asked.is_empty();
            if self.clients.iter().all(ended) && self.mesh.is_quiet() {
                return Ok(());
            }
            if self.clock > end {
                return Err(format!("not at an end after {STEPS_MAX} steps"));
            }
        }
    }

    fn ask(&mut self, index: usize, mut ask: Ask) {
        if let Ask::Exec(requests) = &mut ask
            && self.source.below(4) == 0
        {
            // Something of the session's own stands among them.
            requests.insert(self.source.below(requests.len() + 1), Words::default());
        }
        self.ticket += 1;
        self.whose.insert(self.ticket, index);
        let asked = Asked { ticket: self.ticket, sent: self.clock, heard: None };
        self.clients[index].asked.push_back(asked);
        let core = self.clients[index].core;
        self.mesh.ask(core, self.ticket, index as u64 + 1, ask);
    }

    fn cut(&mut self, index: usize, ticket: Ticket) {
        self.whose.remove(&ticket);
        let core = self.clients[index].core;
        self.clients[index] = Client { core, asked: VecDeque::new(), gone: true, done: true };
        self.mesh.end(core, ticket, Retire::Gone);
        self.ticket += 1;
        self.mesh.ask(core, self.ticket, index as u64 + 1, Ask::Leave);
    }

    fn listen(&mut self, script: &mut dyn Script) {
        for core in 0..self.mesh.shards() {
            for (ticket, heard) in self.mesh.heard(core) {
                let Some(index) = self.whose.remove(&ticket) else { continue };
                let asked = &mut self.clients[index].asked;
                let own = asked.iter_mut().find(|asked| asked.ticket == ticket);
                own.expect("a reply is to what was asked").heard = Some(heard);
                while let Some(heard) = self.clients[index].asked.front_mut()
                    && let Some(reply) = heard.heard.take()
                {
                    let span = Span { sent: heard.sent, done: Some(self.clock) };
                    self.clients[index].asked.pop_front();
                    script.hear(index, reply, span);
                }
            }
        }
    }
}

/// A request, word by word.
pub(crate) fn words(request: &str) -> Words {
    let mut words = Words::default();
    words.extend(request.split(' ').map(str::as_bytes));
    words
}

/// A request of one command.
pub(crate) fn one(request: &str) -> Ask {
    Ask::One(words(request))
}

/// The strings and numbers of a reply, in order; nulls are left out.
pub(crate) fn values(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(reply);
    let mut lines = text.split("\r\n");
    let mut values = Vec::new();
    while let Some(line) = lines.next() {
        match line.as_bytes().first() {
            Some(b':' | b'+' | b'-') => values.push(line[1..].to_owned()),
            Some(b'$') if line != "$-1" => values.extend(lines.next().map(str::to_owned)),
            _ => {}
        }
    }
    values
}

/// The numbers of a reply; nulls count as 0.
pub(crate) fn numbers(reply: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(reply).replace("$-1\r\n", ":0\r\n");
    values(text.as_bytes()).iter().map(|value| value.parse().unwrap_or(u64::MAX)).collect()
}
