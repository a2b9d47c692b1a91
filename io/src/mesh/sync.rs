//! The primitives the mesh is built from, exchanged for loom's when it is model-checked.

#[cfg(not(feature = "loom"))]
pub(super) use std::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::Arc,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence},
    thread::yield_now,
};

#[cfg(feature = "loom")]
pub(super) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::Arc,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence},
    thread::yield_now,
};
