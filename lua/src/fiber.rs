//! The stack of its own on which a run goes on, so that it can stand still anywhere.
//!
//! Lua 5.1 cannot yield across a `pcall`, a metamethod or a callback of `gsub`. A run may call
//! the host from all of these. So it has a stack of its own, which is left as it is while the host
//! does what was asked, and may be taken up again by another thread.

use crate::limits::STACK_BYTES;
use crate::run::{Answer, Wish};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::fmt;

/// The way from a run to its host.
#[derive(Default)]
pub(crate) struct Link(Cell<Option<*const Yielder<Answer, Wish>>>);

impl Link {
    /// Stands still until the host has an answer.
    ///
    /// # Panics
    /// If nothing runs.
    pub(crate) fn ask(&self, wish: Wish) -> Answer {
        let yielder = self.0.get().expect("a run asks");
        // SAFETY: it lives on the fiber's stack as long as the fiber does, and this runs there.
        unsafe { (*yielder).suspend(wish) }
    }
}

/// A stack on which runs go on, one after the other.
pub(crate) struct Fiber(Coroutine<Answer, Wish, (), DefaultStack>);

// SAFETY: what lies on its stack are frames of Lua and of this package, which hold nothing that
// belongs to a thread.
unsafe impl Send for Fiber {}

impl Fiber {
    /// One that does `work` each time it is told to begin; `link` is how that asks the host.
    ///
    /// # Errors
    /// There is no memory for its stack.
    pub(crate) fn new(
        link: &'static Link,
        mut work: impl FnMut() + 'static,
    ) -> std::io::Result<Self> {
        let stack = DefaultStack::new(STACK_BYTES)?;
        Ok(Self(Coroutine::with_stack(stack, move |yielder, _: Answer| {
            link.0.set(Some(std::ptr::from_ref(yielder)));
            loop {
                work();
                yielder.suspend(Wish::Done);
            }
        })))
    }

    /// Begins, or goes on with what it asked for, up to the next wish.
    pub(crate) fn go_on(&mut self, answer: Answer) -> Wish {
        match self.0.resume(answer) {
            CoroutineResult::Yield(wish) => wish,
            CoroutineResult::Return(()) => unreachable!("it goes on for ever"),
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // SAFETY: frames of Lua own nothing; what ours own in the middle of a call leaks, which
        // happens only where a run is dropped before its end.
        unsafe { self.0.force_reset() };
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").finish_non_exhaustive()
    }
}
