//! Streams against the client of the same library.
