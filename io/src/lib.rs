//! Bytes, descriptors and cores: the half of Pinion that touches the kernel.
//!
//! Knows: the wire format, the raw ring, the lanes between cores, files, placement.
//! Never knows: keys, commands, values. The only package that names `glommio`, `io-uring`,
//! `nix` and `libc`.

pub mod limits;
pub mod resp;

pub mod clock;
pub mod disk;
#[allow(unsafe_code)]
// Room: boxes through atomic pointers, a cell behind an atomic word. Model: `mesh::model`.
pub mod mesh;
pub mod net;
pub mod outgoing;
#[allow(unsafe_code)]
// Room: memory the kernel reads and writes. Tests: `ring::tests`, the black box.
pub mod ring;
pub mod runtime;
pub mod tls;
