//! The Redis serialisation protocol, versions 2 and 3, as bytes in and bytes out.
//!
//! Source of the format: the public RESP specification. Requests are parsed in place into ranges
//! (`request`), replies are written once into the buffer that is sent (`reply`), and tests and
//! tools read replies back with `decode`.

mod decode;
mod grisu;
mod reply;
mod request;

pub use decode::{DecodeError, Value, decode, skip};
pub use reply::{Protocol, Reply, write_double, write_shortest};
pub use request::{Limits, Parser, ProtocolError, Range, Step};
