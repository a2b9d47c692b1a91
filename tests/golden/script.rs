//! Reads scripts: paragraphs of directives, actions and the replies that must follow.

use super::notation::{Pattern, split_words};
use pinion_io::resp::Protocol;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A script and where it lies.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    pub(crate) lines: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// One action and what must follow.
#[derive(Debug)]
pub(crate) struct Step {
    /// Index of the action's line.
    pub(crate) line: usize,
    /// Name of the connection; empty for the first one.
    pub(crate) connection: String,
    pub(crate) action: Action,
    pub(crate) expected: Expected,
    pub(crate) only: Only,
}

/// What a script can do.
#[derive(Debug)]
pub(crate) enum Action {
    /// `> words`: send a request.
    Send(Vec<Vec<u8>>),
    /// `>> "bytes"`: send bytes.
    Raw(Vec<u8>),
    /// `<`: only read.
    Receive,
    /// `scan> words`: go on from cursor 0 to cursor 0, and answer everything found, once.
    Scan(Vec<Vec<u8>>),
    /// `sleep 20ms`.
    Sleep(Duration),
}

/// Where a step holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Only {
    /// These shard counts; empty for all.
    shards: Vec<usize>,
    not_redis: bool,
    not_pinion: bool,
}

/// The kind of server a script runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// Pinion with so many shards.
    Pinion(usize),
    /// The real server, which counts as one shard.
    Redis,
}

impl Only {
    /// True if the step holds on `subject`.
    pub(crate) fn holds(&self, subject: Subject) -> bool {
        let (shards, left_out) = match subject {
            Subject::Pinion(shards) => (shards, self.not_pinion),
            Subject::Redis => (1, self.not_redis),
        };
        !left_out && (self.shards.is_empty() || self.shards.contains(&shards))
    }

    /// Reads a directive into itself; false if the line is none.
    fn read(&mut self, line: &str) -> Result<bool, String> {
        if let Some(list) = line.strip_prefix("shards: ") {
            let counts: Result<_, _> = list.split(' ').map(str::parse).collect();
            self.shards = counts.map_err(|_| format!("not shard counts: {list}"))?;
        } else if line.starts_with("!redis ") {
            self.not_redis = true;
        } else if line.starts_with("!pinion ") {
            self.not_pinion = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// The replies of a step, in lines: the same for both protocols, or one list for each.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    common: Vec<String>,
    resp2: Option<Vec<String>>,
    resp3: Option<Vec<String>>,
    /// How many lines of the script it takes.
    pub(crate) line_count: usize,
}

impl Expected {
    /// The lines that hold in `protocol`.
    pub(crate) fn lines(&self, protocol: Protocol) -> &[String] {
        let own = match protocol {
            Protocol::Resp2 => &self.resp2,
            Protocol::Resp3 => &self.resp3,
        };
        own.as_ref().unwrap_or(&self.common)
    }

    /// The replies that must come in `protocol`.
    pub(crate) fn patterns(&self, protocol: Protocol) -> Result<Vec<Pattern>, String> {
        Pattern::parse_all(self.lines(protocol))
    }

    /// True if there is one list for each protocol.
    pub(crate) fn is_split(&self) -> bool {
        self.resp2.is_some() || self.resp3.is_some()
    }

    fn read(lines: &[String]) -> Self {
        let mut expected = Self { line_count: lines.len(), ..Self::default() };
        let mut list = &mut expected.common;
        for line in lines {
            let rest = if let Some(rest) = line.strip_prefix("resp2:") {
                list = expected.resp2.get_or_insert_default();
                rest.trim_start()
            } else if let Some(rest) = line.strip_prefix("resp3:") {
                list = expected.resp3.get_or_insert_default();
                rest.trim_start()
            } else {
                line
            };
            if !rest.is_empty() {
                list.push(rest.into());
            }
        }
        expected
    }
}

impl Script {
    /// Reads the script at `path`; the error names the line.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("reading {}: {error}", path.display()))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let steps = read_steps(&lines).map_err(|error| format!("{}:{error}", path.display()))?;
        Ok(Self { path: path.to_owned(), lines, steps })
    }
}

fn read_steps(lines: &[String]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    // Directives of a paragraph without actions hold for the rest of the script.
    let mut rest_of_script = Only::default();
    let mut paragraph = Only::default();
    let mut has_actions = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_end();
        let at_line = |error: String| format!("{}: {error}", at + 1);
        if line.is_empty() {
            if !has_actions {
                rest_of_script = paragraph;
            }
            paragraph = rest_of_script.clone();
            has_actions = false;
        } else if !line.starts_with('#') && !paragraph.read(line).map_err(at_line)? {
            let (connection, action) = read_action(line)
                .map_err(at_line)?
                .ok_or_else(|| at_line(format!("neither action nor directive: {line}")))?;
            let reply = lines[at + 1..].iter().take_while(|line| is_reply(line)).count();
            let expected = Expected::read(&lines[at + 1..=at + reply]);
            for protocol in [Protocol::Resp2, Protocol::Resp3] {
                expected.patterns(protocol).map_err(at_line)?;
            }
            steps.push(Step { line: at, connection, action, expected, only: paragraph.clone() });
            has_actions = true;
            at += reply;
        }
        at += 1;
    }
    Ok(steps)
}

/// True for a line that belongs to the reply of the action above it.
fn is_reply(line: &str) -> bool {
    let other = line.is_empty()
        || line.starts_with("# ")
        || line.starts_with("!redis ")
        || line.starts_with("!pinion ")
        || line.starts_with("shards: ");
    !other && !matches!(read_action(line), Ok(Some(_)))
}

/// Reads `[@connection ]action`; none if the line is no action.
fn read_action(line: &str) -> Result<Option<(String, Action)>, String> {
    let (connection, line) = match line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
        Some((connection, line)) => (connection, line),
        None => ("", line),
    };
    let action = if let Some(words) = line.strip_prefix("> ") {
        Action::Send(split_words(words)?)
    } else if let Some(text) = line.strip_prefix(">> ") {
        Action::Raw(split_words(text)?.concat())
    } else if line == "<" {
        Action::Receive
    } else if let Some(words) = line.strip_prefix("scan> ") {
        Action::Scan(split_words(words)?)
    } else if let Some(time) = line.strip_prefix("sleep ") {
        let ms = time.strip_suffix("ms").and_then(|ms| ms.parse().ok());
        Action::Sleep(Duration::from_millis(ms.ok_or("sleep needs milliseconds, as 20ms")?))
    } else {
        return Ok(None);
    };
    Ok(Some((connection.into(), action)))
}
