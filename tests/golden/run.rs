//! Runs a script on a server and says where the replies differ.

use super::notation::{Names, Pattern, lines};
use super::script::{Action, Script, Step, Subject};
use crate::support::client::{Client, Got};
use pinion_io::resp::{Protocol, Value};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest wait for a reply that must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait for a reply that may come, while answers are being recorded.
const RECORD_PATIENCE: Duration = Duration::from_millis(20);
/// Cursors followed by one `scan>`, before it counts as endless.
const SCAN_CALLS_MAX: usize = 100_000;

/// A step whose replies were not as written.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Index of the step.
    pub(crate) step: usize,
    /// What came instead, in lines.
    pub(crate) got: Vec<String>,
}

struct Connection {
    client: Client,
    protocol: Protocol,
}

/// Runs of one script: its connections and the integers it kept.
pub(crate) struct Run<'a> {
    script: &'a Script,
    address: SocketAddr,
    protocol: Protocol,
    /// Read whatever comes, not only as many replies as are written.
    record: bool,
    connections: HashMap<String, Connection>,
    names: Names,
}

impl<'a> Run<'a> {
    /// A run of `script` at `address`, whose connections begin in `protocol`.
    pub(crate) fn new(
        script: &'a Script,
        address: SocketAddr,
        protocol: Protocol,
        record: bool,
    ) -> Self {
        let (connections, names) = (HashMap::new(), Names::new());
        Self { script, address, protocol, record, connections, names }
    }

    /// Runs every step that holds on `subject`, after emptying the server.
    pub(crate) fn run(&mut self, subject: Subject) -> Result<Vec<Difference>, String> {
        let mut client = Client::connect(self.address)?;
        let flushed = client.ask(&["FLUSHALL"])?;
        if flushed != Value::Simple(b"OK".to_vec()) {
            return Err(format!("FLUSHALL: {flushed:?}"));
        }
        until_alone(&mut client)?;
        let mut differences = Vec::new();
        for (index, step) in self.script.steps.iter().enumerate() {
            if !step.only.holds(subject) {
                continue;
            }
            let got = self.step(step).map_err(|error| {
                format!("{}:{}: {error}", self.script.path.display(), step.line + 1)
            })?;
            if let Some(got) = got {
                differences.push(Difference { step: index, got });
            }
        }
        Ok(differences)
    }

    /// Runs one step; returns what came, in lines, if that is not as written.
    fn step(&mut self, step: &Step) -> Result<Option<Vec<String>>, String> {
        if let Action::Sleep(time) = step.action {
            std::thread::sleep(time);
            return Ok(None);
        }
        self.connect(&step.connection)?;
        let connection = self.connections.get_mut(&step.connection).expect("just connected");
        let mut found = None;
        match &step.action {
            Action::Send(words) => connection.client.send(&with_names(words, &self.names))?,
            Action::Raw(bytes) => connection.client.send_raw(bytes)?,
            Action::Scan(words) => found = Some(scan(&mut connection.client, words)?),
            Action::Receive | Action::Sleep(_) => {}
        }
        let got = connection.read(step, found, self.record)?;
        let protocol = connection.protocol;
        if got.contains(&Got::Closed) {
            self.connections.remove(&step.connection);
        }
        let expected = step.expected.patterns(protocol)?;
        let same = expected.len() == got.len()
            && expected.iter().zip(&got).all(|(pattern, got)| match (pattern, got) {
                (Pattern::Closed, Got::Closed) => true,
                (pattern, Got::Value(value)) => pattern.matches(value, protocol, &mut self.names),
                _ => false,
            });
        Ok((!same).then(|| got.iter().flat_map(got_lines).collect()))
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        if self.connections.contains_key(name) {
            return Ok(());
        }
        let mut client = Client::connect(self.address)?;
        let mut protocol = Protocol::Resp2;
        // A server that wants a password first refuses; the script then begins in RESP2.
        if self.protocol == Protocol::Resp3 && matches!(client.ask(&["HELLO", "3"])?, Value::Map(_))
        {
            protocol = Protocol::Resp3;
        }
        self.connections.insert(name.into(), Connection { client, protocol });
        Ok(())
    }
}

impl Connection {
    /// Reads as many replies as are written (or, to record, as come), `found` first.
    fn read(
        &mut self,
        step: &Step,
        mut found: Option<Value>,
        record: bool,
    ) -> Result<Vec<Got>, String> {
        let mut got = Vec::new();
        loop {
            // A first reply may change the protocol, and so what is expected.
            let expected = step.expected.patterns(self.protocol)?.len();
            if got.len() >= expected && !record {
                return Ok(got);
            }
            let patience = if got.len() < expected { PATIENCE } else { RECORD_PATIENCE };
            let next = match found.take() {
                Some(found) => Got::Value(found),
                None => self.client.receive(patience)?,
            };
            if got.is_empty()
                && let (Action::Send(words), Got::Value(value)) = (&step.action, &next)
            {
                self.follow_protocol(words, value);
            }
            let end = !matches!(next, Got::Value(_));
            if next != Got::Late || got.len() < expected {
                got.push(next);
            }
            if end || (record && matches!(step.action, Action::Scan(_))) {
                return Ok(got);
            }
        }
    }

    /// Keeps up with HELLO and RESET. A HELLO that was only queued has changed nothing yet.
    fn follow_protocol(&mut self, words: &[Vec<u8>], reply: &Value) {
        let is = |index: usize, word: &str| {
            words.get(index).is_some_and(|got| got.eq_ignore_ascii_case(word.as_bytes()))
        };
        if is(0, "RESET") {
            self.protocol = Protocol::Resp2;
        } else if is(0, "HELLO") && matches!(reply, Value::Map(_) | Value::Array(_)) {
            if is(1, "2") {
                self.protocol = Protocol::Resp2;
            } else if is(1, "3") {
                self.protocol = Protocol::Resp3;
            }
        }
    }
}

fn got_lines(got: &Got) -> Vec<String> {
    match got {
        Got::Value(value) => lines(value),
        Got::Closed => vec!["closed".into()],
        Got::Late => vec!["nothing came in time".into()],
    }
}

/// Waits until the server has seen the clients of the last script go, and their subscriptions with
/// them: it learns of a closed connection when it comes to reading it.
fn until_alone(client: &mut Client) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let clients = client.ask(&["CLIENT", "LIST"])?;
        let channels = client.ask(&["PUBSUB", "CHANNELS"])?;
        let patterns = client.ask(&["PUBSUB", "NUMPAT"])?;
        let others = match &clients {
            Value::Bulk(lines) | Value::Verbatim(_, lines) => {
                lines.iter().filter(|byte| **byte == b'\n').count() - 1
            }
            other => return Err(format!("CLIENT LIST: {other:?}")),
        };
        if others == 0 && channels == Value::Array(Vec::new()) && patterns == Value::Int(0) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{others} others, {channels:?}, {patterns:?} patterns stay"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Puts kept integers in the place of words `<name>`.
fn with_names(words: &[Vec<u8>], names: &Names) -> Vec<Vec<u8>> {
    let value = |word: &Vec<u8>| {
        let inner = word.strip_prefix(b"<").and_then(|word| word.strip_suffix(b">"))?;
        names.get(std::str::from_utf8(inner).ok()?).map(|value| value.to_string().into_bytes())
    };
    words.iter().map(|word| value(word).unwrap_or_else(|| word.clone())).collect()
}

/// Follows the cursor, the word `0`, to its end; everything found, each once and in order.
fn scan(client: &mut Client, words: &[Vec<u8>]) -> Result<Value, String> {
    let place = words.iter().position(|word| word == b"0").ok_or("scan> needs the cursor 0")?;
    let mut words = words.to_vec();
    let mut found = BTreeSet::new();
    for _ in 0..SCAN_CALLS_MAX {
        let reply = client.ask(&words)?;
        let Value::Array(parts) = &reply else { return Ok(reply) };
        let [Value::Bulk(cursor), Value::Array(items)] = parts.as_slice() else {
            return Ok(reply);
        };
        for item in items {
            let Value::Bulk(item) = item else { return Ok(reply) };
            found.insert(item.clone());
        }
        if cursor == b"0" {
            return Ok(Value::Array(found.into_iter().map(Value::Bulk).collect()));
        }
        words[place].clone_from(cursor);
    }
    Err("the cursor never came back to 0".into())
}
