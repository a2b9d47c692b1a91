//! The ring on sockets of this machine.
