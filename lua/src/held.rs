//! A value that is lent for the length of a closure, and stays in its place if the closure is left
//! by a jump.

use std::cell::UnsafeCell;

/// A value of the common ground.
#[derive(Debug, Default)]
pub(crate) struct Held<T>(UnsafeCell<T>);

impl<T> Held<T> {
    /// Lends the value. The closure runs no Lua code and lends nothing of the same place again:
    /// what it does with Lua is to read values and to make them.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: an interpreter is used by one thread at a time, and no closure that has borrowed
        // the value reaches this again, by the rule above. One that was left by a jump is gone.
        work(unsafe { &mut *self.0.get() })
    }
}
