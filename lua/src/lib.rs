//! Scripts and functions: Lua 5.1 as Redis gives it to its clients. Knows: Lua, and RESP as bytes.
//! Never knows: what a command means, keys, shards, sockets, clocks.
//!
//! An `Interpreter` compiles scripts and remembers them. A `Run` is one script at work: it goes on
//! until it has a `Wish`, such as a command to be run, and then stands still, on a stack of its own
//! (`fiber`), until the host comes with the `Answer`.
//!
//! Lua is its own C code, bound by `mlua-sys`. What is unsafe lies in four rooms: `stack` and
//! `machine` call Lua, `fiber` switches stacks, `held` lends what lies in the common ground. The
//! rest is safe Rust over `Stack`.

mod bits;
mod calls;
mod convert;
#[allow(unsafe_code)] // Room: a run's own stack, which it leaves in the middle. Tests: `run`.
mod fiber;
mod globals;
mod ground;
#[allow(unsafe_code)] // Room: values that stay in place when Lua jumps. Tests: `run`.
mod held;
mod interpreter;
mod json;
mod libraries;
pub mod limits;
#[allow(unsafe_code)] // Room: a state of Lua, its memory and its hook. Tests: `run`.
mod machine;
mod msgpack;
mod patterns;
mod protect;
mod random;
mod run;
mod shebang;
#[allow(unsafe_code)] // Room: Lua's stack, as its functions see it. Tests: `run`, fuzz `lua`.
mod stack;
mod structs;
mod words;

pub use interpreter::Interpreter;
pub use libraries::{Function, Library};
pub use run::{Answer, Called, Run, Start, Wish};
pub use shebang::Flags;
