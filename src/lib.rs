//! The server: sockets, sessions and configuration around the shards.
