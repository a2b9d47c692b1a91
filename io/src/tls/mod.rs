//! TLS on a server's side: the bytes of the wire to those of a protocol, and back.
//!
//! A stream reads no socket: it is given what arrived, opens it where it lies, and leaves what is
//! to be sent in a buffer. It holds the part of a record that is not whole yet, and nothing while
//! idle.

mod acceptor;

pub use acceptor::{Acceptor, ClientAuth, Error, Options};

use crate::limits::TLS_WAITING_BYTES_MAX;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use std::fmt;
use std::sync::Arc;

/// Bytes that a record is longer than what it carries, at most: header, nonce, type and tag.
const RECORD_OVERHEAD_BYTES: usize = 64;
/// What one record carries, at most.
const RECORD_CARRIES_BYTES: usize = 16 * 1024;
/// The first byte of a connection that begins with a handshake.
const HANDSHAKE_BYTE: u8 = 22;

/// Why a stream has ended badly; it is to be closed once what it has to send is out.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The peer speaks something else.
    NotTls,
    /// A record, or what came of a handshake, is longer than may be.
    TooLong,
    /// What came breaks the protocol, or the peer is not to be trusted.
    Broken(rustls::Error),
    /// Nothing more can be sealed.
    Exhausted,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => out.write_str("the peer does not speak TLS"),
            Self::TooLong => out.write_str("a message is too long"),
            Self::Broken(error) => write!(out, "{error}"),
            Self::Exhausted => out.write_str("its keys are used up"),
        }
    }
}

impl std::error::Error for Fault {}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing has arrived.
    Fresh,
    /// Keys are being agreed on.
    Handshake,
    /// Bytes go both ways.
    Open,
    /// The peer has said that it sends no more.
    Ended,
    /// Of no use any more.
    Failed,
}

/// One connection's TLS.
pub struct Stream {
    connection: UnbufferedServerConnection,
    stage: Stage,
    /// Received, and not yet whole.
    incoming: Vec<u8>,
    /// To be sent.
    outgoing: Vec<u8>,
    /// It has told the peer that it sends no more.
    said_end: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = (self.incoming.len(), self.outgoing.len());
        write!(out, "Stream({:?}, {waiting:?})", self.stage)
    }
}

impl Stream {
    /// A fresh one.
    ///
    /// # Errors
    /// The acceptor's settings do not allow any.
    pub fn new(acceptor: &Acceptor) -> Result<Self, Fault> {
        let config = Arc::clone(acceptor.config());
        Ok(Self {
            connection: UnbufferedServerConnection::new(config).map_err(Fault::Broken)?,
            stage: Stage::Fresh,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            said_end: false,
        })
    }

    /// Appends what `bytes`, which arrived, bring to `plain`. The bytes themselves are of no use
    /// afterwards.
    ///
    /// # Errors
    /// The stream is to be closed. What it has to send first, if anything, tells the peer why.
    pub fn open(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Fault> {
        match self.stage {
            _ if self.said_end => return Ok(()),
            Stage::Ended | Stage::Failed => return Ok(()),
            Stage::Fresh if bytes.first().is_some_and(|first| *first != HANDSHAKE_BYTE) => {
                self.stage = Stage::Failed;
                return Err(Fault::NotTls);
            }
            Stage::Fresh => self.stage = Stage::Handshake,
            Stage::Handshake | Stage::Open => {}
        }
        let opened = if self.incoming.is_empty() {
            let opened = self.read(bytes, plain);
            if let Ok(used) = opened {
                self.incoming.extend_from_slice(&bytes[used..]);
            }
            opened
        } else {
            let mut incoming = std::mem::take(&mut self.incoming);
            incoming.extend_from_slice(bytes);
            let opened = self.read(&mut incoming, plain);
            if let Ok(used) = opened
                && used < incoming.len()
            {
                incoming.drain(..used);
                self.incoming = incoming;
            }
            opened
        };
        opened?;
        if self.stage == Stage::Ended {
            self.incoming = Vec::new();
        }
        if self.incoming.len() > TLS_WAITING_BYTES_MAX {
            self.stage = Stage::Failed;
            return Err(Fault::TooLong);
        }
        Ok(())
    }

    /// Seals `plain` behind what is to be sent.
    ///
    /// # Errors
    /// The stream is to be closed.
    pub fn seal(&mut self, plain: &[u8]) -> Result<(), Fault> {
        self.write(|traffic, outgoing| {
            let records = plain.len() / RECORD_CARRIES_BYTES + 1;
            let bytes = plain.len() + records * RECORD_OVERHEAD_BYTES;
            append(outgoing, bytes, |to| traffic.encrypt(plain, to))
        })
    }

    /// Tells the peer, once, that nothing more comes; false if it has been told or cannot be.
    pub fn end(&mut self) -> bool {
        let tells = self.is_open();
        self.said_end = true;
        let append_end = |traffic: &mut WriteTraffic<'_, _>, outgoing: &mut Vec<u8>| {
            append(outgoing, RECORD_OVERHEAD_BYTES, |to| traffic.queue_close_notify(to))
        };
        tells && self.write(append_end).is_ok()
    }

    /// True if what is to be sent can be sealed.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Ended) && !self.said_end
    }

    /// True until keys are agreed on.
    pub fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Handshake)
    }

    /// True once the peer has said that it sends no more.
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Bytes that are to be sent.
    pub fn outgoing_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Bytes received and not yet whole.
    pub fn incoming_bytes(&self) -> usize {
        self.incoming.len()
    }

    /// Takes what is to be sent, with its memory.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Gives memory for what is to be sent where there is none.
    pub fn lend(&mut self, buffer: Vec<u8>) {
        if self.outgoing.capacity() == 0 {
            self.outgoing = buffer;
        }
    }

    /// Takes the whole records of `bytes`; returns how many bytes these are.
    fn read(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut bytes[used..]);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.outgoing);
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.stage = Stage::Ended;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    if self.stage == Stage::Handshake && !self.connection.is_handshaking() {
                        self.stage = Stage::Open;
                    }
                    false
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => false,
                // Of data that comes with the first message none was allowed.
                Ok(_) => return Err(self.fail(Fault::TooLong, &mut bytes[used..])),
                Err(error) => {
                    let rest = &mut bytes[used + discard..];
                    return Err(self.fail(Fault::Broken(error), rest));
                }
            };
            used += discard;
            if !more {
                return Ok(used);
            }
        }
    }

    /// Ends it badly, with what is to tell the peer why.
    fn fail(&mut self, fault: Fault, rest: &mut [u8]) -> Fault {
        self.stage = Stage::Failed;
        // Only what is ready to be sent: the library must not look at these bytes again.
        while self.connection.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(data)) =
                self.connection.process_tls_records(rest).state
        {
            encode(data, &mut self.outgoing);
        }
        fault
    }

    /// Has `write` write what goes out next.
    fn write(
        &mut self,
        write: impl FnOnce(
            &mut WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        // All that arrived has been taken but what is not whole, which the library wants to see.
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut used = 0;
        let written = loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut incoming[used..]);
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    break write(&mut traffic, &mut self.outgoing);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(_) | Err(_) => break Err(Fault::Exhausted),
            }
            used += discard;
        };
        if written.is_err() {
            self.stage = Stage::Failed;
        }
        incoming.drain(..used);
        self.incoming = incoming;
        written
    }
}

/// Appends what `write` writes into the room it is given: `bytes`, or as many as it asks for.
fn append(
    outgoing: &mut Vec<u8>,
    bytes: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Fault> {
    let before = outgoing.len();
    let mut room = bytes;
    loop {
        outgoing.resize(before + room, 0);
        match write(&mut outgoing[before..]) {
            Ok(written) => {
                outgoing.truncate(before + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(_) => {
                outgoing.truncate(before);
                return Err(Fault::Exhausted);
            }
        }
    }
}

/// Appends a record of the protocol's own.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) {
    let before = outgoing.len();
    let mut room = RECORD_OVERHEAD_BYTES;
    loop {
        outgoing.resize(before + room, 0);
        match data.encode(&mut outgoing[before..]) {
            Ok(written) => return outgoing.truncate(before + written),
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(_) => return outgoing.truncate(before),
        }
    }
}

#[cfg(test)]
mod tests;
