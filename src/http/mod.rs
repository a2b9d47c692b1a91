//! HTTP on the main port, for browsers, scrapers and probes: what is asked, and the answers.
//!
//! A connection whose first line is the request line of HTTP is an HTTP connection to its end; an
//! inline command such as `GET key` is none. Requests are bounded, have no body, and are answered
//! from the figures of every core, asked for as INFO asks. Nothing is collected between requests.

mod answer;
mod metrics;
mod page;
mod request;

pub use answer::{Shape, Status, refuse, show};
pub use request::{Asked, HEAD_BYTES_MAX, Page, Sniff, read, sniff};
