//! A connection that writes requests and reads replies without taking either apart into values.

use pinion_io::resp::skip;
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

/// Longest wait for anything to come.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes received at once.
const PIECE: usize = 16 * 1024;

/// One connection of a history, whose keys begin with a prefix.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    prefix: String,
    output: Vec<u8>,
    /// Bytes of `output` that are sent; they stay, to be told when no reply comes.
    sent: usize,
    word: String,
    input: Vec<u8>,
    /// Bytes of `input` that are read.
    read: usize,
}

impl Connection {
    pub(crate) fn connect(address: SocketAddr, prefix: &str) -> Result<Self, String> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .map_err(|error| format!("connecting to {address}: {error}"))?;
        let set = |what: &str, result: std::io::Result<()>| {
            result.map_err(|error| format!("setting {what}: {error}"))
        };
        set("TCP_NODELAY", stream.set_nodelay(true))?;
        set("a deadline", stream.set_read_timeout(Some(DEADLINE)))?;
        set("a deadline", stream.set_write_timeout(Some(DEADLINE)))?;
        Ok(Self {
            stream,
            prefix: prefix.to_owned(),
            output: Vec::new(),
            sent: 0,
            word: String::new(),
            input: Vec::new(),
            read: 0,
        })
    }

    /// Begins a request of that many words, which are to follow.
    pub(crate) fn request(&mut self, words: usize) -> &mut Self {
        if self.sent > 0 {
            self.output.clear();
            self.sent = 0;
        }
        self.output.extend_from_slice(format!("*{words}\r\n").as_bytes());
        self
    }

    /// A word of the request.
    pub(crate) fn word(&mut self, word: impl Display) -> &mut Self {
        self.word.clear();
        write!(self.word, "{word}").expect("a word to be written");
        self.push_word()
    }

    /// The name of a key, as a word of the request.
    pub(crate) fn key(&mut self, number: impl Display) -> &mut Self {
        self.word.clear();
        write!(self.word, "{}:{number}", self.prefix).expect("a key to be written");
        self.push_word()
    }

    fn push_word(&mut self) -> &mut Self {
        let head = format!("${}\r\n", self.word.len());
        for bytes in [head.as_bytes(), self.word.as_bytes(), b"\r\n"] {
            self.output.extend_from_slice(bytes);
        }
        self
    }

    /// Sends the requests begun since the last time.
    pub(crate) fn send(&mut self) -> Result<(), String> {
        let unsent = &self.output[self.sent..];
        self.stream.write_all(unsent).map_err(|error| self.tell("sending", &error))?;
        self.sent = self.output.len();
        Ok(())
    }

    /// Waits until that many replies have come whole.
    pub(crate) fn receive(&mut self, replies: usize) -> Result<(), String> {
        self.input.drain(..self.read);
        self.read = 0;
        let (mut at, mut left) = (0, replies);
        while left > 0 {
            if let Some(len) = skip(&self.input[at..]) {
                at += len;
                left -= 1;
            } else if self.receive_more()? == 0 {
                return Err(self.tell("the server closed the connection", &"no more bytes"));
            }
        }
        Ok(())
    }

    /// Half closes the connection and waits for the server to close it too; the replies that came
    /// until then can be read. True if there is one.
    pub(crate) fn hang_up(&mut self) -> Result<bool, String> {
        self.input.drain(..self.read);
        self.read = 0;
        let closed = self.stream.shutdown(Shutdown::Write);
        closed.map_err(|error| self.tell("closing", &error))?;
        while self.receive_more()? > 0 {}
        Ok(skip(&self.input).is_some())
    }

    fn receive_more(&mut self) -> Result<usize, String> {
        let mut piece = [0; PIECE];
        loop {
            match self.stream.read(&mut piece) {
                Ok(len) => {
                    self.input.extend_from_slice(&piece[..len]);
                    return Ok(len);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Ok(0),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        return Err(self.tell("no reply in time", &format!("{DEADLINE:?}")));
                    }
                    _ => return Err(self.tell("receiving", &error)),
                },
            }
        }
    }

    fn tell(&self, doing: &str, error: &dyn Display) -> String {
        let asked = String::from_utf8_lossy(&self.output).replace("\r\n", " ");
        let client = self.stream.local_addr().map_or(0, |address| address.port());
        format!("{doing}: {error}; client port {client} had asked: {asked}")
    }

    /// The next line: its first byte, and the rest as text.
    fn line(&mut self) -> Result<(u8, String), String> {
        let rest = &self.input[self.read..];
        let Some(len) = rest.windows(2).position(|two| two == b"\r\n").filter(|len| *len > 0)
        else {
            return Err(self.tell("reading", &"a line that is not there"));
        };
        let (mark, text) = (rest[0], String::from_utf8_lossy(&rest[1..len]).into_owned());
        self.read += len + 2;
        if mark == b'-' {
            return Err(self.tell("the server answers", &text));
        }
        Ok((mark, text))
    }

    fn number_behind(&mut self, mark: u8) -> Result<i64, String> {
        let (found, text) = self.line()?;
        match text.parse() {
            Ok(number) if found == mark => Ok(number),
            _ => Err(self.tell("reading", &format!("{:?}{text}", char::from(found)))),
        }
    }

    /// Reads a reply that must be this line.
    pub(crate) fn expect(&mut self, status: &str) -> Result<(), String> {
        match self.line()? {
            (b'+', text) if text == status => Ok(()),
            (_, text) => Err(self.tell("reading", &format!("{text} in the place of {status}"))),
        }
    }

    /// Reads a number.
    pub(crate) fn int(&mut self) -> Result<i64, String> {
        self.number_behind(b':')
    }

    /// Reads the head of an array: how many replies it holds, `None` for one that is null.
    pub(crate) fn array(&mut self) -> Result<Option<usize>, String> {
        Ok(usize::try_from(self.number_behind(b'*')?).ok())
    }

    /// Reads the head of an array of that many replies.
    pub(crate) fn array_of(&mut self, len: usize) -> Result<(), String> {
        match self.array()? {
            Some(found) if found == len => Ok(()),
            found => Err(self.tell("reading", &format!("an array of {found:?}, not of {len}"))),
        }
    }

    /// Reads a string as what it says; `None` for null, which BLMOVE says as an array.
    pub(crate) fn string<T: FromStr>(&mut self) -> Result<Option<T>, String> {
        if self.input[self.read..].starts_with(b"*-1") {
            self.line()?;
            return Ok(None);
        }
        let Ok(len) = usize::try_from(self.number_behind(b'$')?) else { return Ok(None) };
        let bytes = &self.input[self.read..self.read + len];
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.read += len + 2;
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.tell("reading", &format!("{text:?}"))),
        }
    }

    /// Reads a string that must be there.
    pub(crate) fn some<T: FromStr>(&mut self) -> Result<T, String> {
        let read = self.string()?;
        read.ok_or_else(|| self.tell("reading", &"nothing"))
    }
}
