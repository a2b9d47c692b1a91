//! The server from outside: its binary, real sockets, several shards, a deadline on every answer.
//!
//! What a single command answers is the golden scripts' affair. Here is what they cannot say: bytes
//! that come cut or in floods, peers that are slow, half gone or gone, limits, many connections,
//! the server's start and end, and everything at once (`wedge`).

mod support;

mod server {
    mod access;
    mod channels;
    mod clients;
    mod configuration;
    mod http;
    mod limits;
    mod long;
    mod memcached;
    mod migrate;
    mod process;
    mod queues;
    mod slow;
    mod tls;
    mod traffic;
    mod unsaved;
    mod wedge;
}
