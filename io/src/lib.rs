//! Bytes, descriptors and cores: the half of Pinion that touches the kernel.
//!
//! Knows: the wire format, the raw ring, the lanes between cores, files, placement.
//! Never knows: keys, commands, values. The only package that names `glommio`, `io-uring`,
//! `nix` and `libc`.

pub mod limits;
pub mod resp;
