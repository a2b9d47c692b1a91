//! Who executes a shard: one atomic word, `RUNNING | PARKED | LENT | ASLEEP`.
//!
//! ```text
//!            park(Lent)             try_borrow
//! RUNNING ------------> PARKED ------------------> LENT
//!  ^ ^ |                  |  ^                      |
//!  | | | park(Kept)       |  +----------------------+
//!  | | +------> ASLEEP    |        loan dropped
//!  | |             |      |
//!  | +-------------+      |
//!  +----------------------+  unpark
//! ```
//!
//! ASLEEP is PARKED without the offer: while jobs run beside the shard's loop it is not lent, but
//! its owner must still be woken.

use super::sync::{Arc, AtomicU32, Ordering, UnsafeCell, fence, spin_loop, yield_now};

const RUNNING: u32 = 0;
const PARKED: u32 = 1;
const LENT: u32 = 2;
const ASLEEP: u32 = 3;

/// Spins before an owner lets the borrower's thread have the processor: on a shared core the
/// borrower may have been preempted with the loan in hand.
const SPINS_BEFORE_YIELD: u32 = 200;

#[derive(Debug)]
#[repr(align(128))]
struct Berth<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by whoever holds the word: the one `Owner` while it is RUNNING,
// or the one `Loan` while it is LENT; the word's acquire and release order the two.
unsafe impl<T: Send> Sync for Berth<T> {}

/// Whether a resting owner's value may be borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rest {
    /// It may.
    Lent,
    /// It may not.
    Kept,
}

/// The owner's end: there is one, and it executes the value except while it is parked.
#[derive(Debug)]
pub struct Owner<T> {
    berth: Arc<Berth<T>>,
    /// What the word says while nobody borrows.
    word: u32,
}

/// A neighbour's end: it may borrow the value while its owner is parked.
#[derive(Debug)]
pub struct Neighbour<T> {
    berth: Arc<Berth<T>>,
}

/// The value, borrowed from a parked owner; dropping it puts it back.
#[derive(Debug)]
pub struct Loan<'a, T> {
    berth: &'a Berth<T>,
}

impl<T> Owner<T> {
    /// Owns `value`, running.
    pub fn new(value: T) -> Self {
        let berth = Berth { word: AtomicU32::new(RUNNING), value: UnsafeCell::new(value) };
        Self { berth: Arc::new(berth), word: RUNNING }
    }

    /// An end for a neighbour.
    pub fn neighbour(&self) -> Neighbour<T> {
        Neighbour { berth: Arc::clone(&self.berth) }
    }

    /// The value.
    ///
    /// # Panics
    /// While parked.
    #[inline]
    pub fn value(&mut self) -> &mut T {
        assert!(self.word == RUNNING, "a parked owner has no claim on its value");
        // SAFETY: the word is RUNNING, since only this owner sets and leaves that state; so no loan
        // exists, and `&mut self` makes this the only reference from the owner.
        unsafe { pointer(&self.berth.value).as_mut().expect("a cell has an address") }
    }

    /// Rests, and offers the value to neighbours if `rest` says so. The caller must look at its
    /// lanes again before it sleeps, and `unpark` if it finds anything.
    #[inline]
    pub fn park(&mut self, rest: Rest) {
        debug_assert!(self.word == RUNNING, "parking is not counted");
        self.word = if rest == Rest::Lent { PARKED } else { ASLEEP };
        self.berth.word.store(self.word, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Takes the value back, waiting the microseconds that a loan may still last.
    #[inline]
    pub fn unpark(&mut self) {
        debug_assert!(self.word != RUNNING, "only a parked owner unparks");
        let mut spins = 0;
        while self
            .berth
            .word
            .compare_exchange(self.word, RUNNING, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            spins += 1;
            if spins % SPINS_BEFORE_YIELD == 0 || cfg!(feature = "loom") {
                yield_now();
            } else {
                spin_loop();
            }
        }
        self.word = RUNNING;
    }
}

impl<T> Clone for Neighbour<T> {
    fn clone(&self) -> Self {
        Self { berth: Arc::clone(&self.berth) }
    }
}

impl<T> Neighbour<T> {
    /// Borrows the value if its owner is parked and nobody else has it.
    #[inline]
    pub fn try_borrow(&self) -> Option<Loan<'_, T>> {
        self.berth
            .word
            .compare_exchange(PARKED, LENT, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
            .then(|| Loan { berth: &self.berth })
    }

    /// After a push: true if the owner may be asleep and must be woken.
    #[inline]
    pub fn is_resting(&self) -> bool {
        fence(Ordering::SeqCst);
        self.berth.word.load(Ordering::SeqCst) != RUNNING
    }
}

impl<T> Loan<'_, T> {
    /// The borrowed value.
    #[inline]
    pub fn value(&mut self) -> &mut T {
        // SAFETY: the word is LENT and this is the loan it was lent to; `&mut self` makes this the
        // only reference.
        unsafe { pointer(&self.berth.value).as_mut().expect("a cell has an address") }
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        debug_assert_eq!(self.berth.word.load(Ordering::Relaxed), LENT, "a loan is put back once");
        self.berth.word.store(PARKED, Ordering::SeqCst);
    }
}

#[cfg(not(feature = "loom"))]
#[inline]
fn pointer<T>(cell: &UnsafeCell<T>) -> *mut T {
    cell.get()
}

#[cfg(feature = "loom")]
fn pointer<T>(cell: &UnsafeCell<T>) -> *mut T {
    cell.with_mut(|value| value)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn lent_only_while_parked_and_to_one() {
        let mut owner = Owner::new(1);
        let (a, b) = (owner.neighbour(), owner.neighbour());
        assert!(a.try_borrow().is_none());
        assert!(!a.is_resting());
        owner.park(Rest::Lent);
        let mut loan = a.try_borrow().expect("parked");
        assert!(b.try_borrow().is_none());
        assert!(b.is_resting());
        *loan.value() += 1;
        drop(loan);
        *b.try_borrow().expect("put back").value() += 1;
        owner.unpark();
        assert!(a.try_borrow().is_none());
        assert_eq!(*owner.value(), 3);
    }

    #[test]
    fn asleep_is_not_lent_but_must_be_woken() {
        let mut owner = Owner::new(1);
        let neighbour = owner.neighbour();
        owner.park(Rest::Kept);
        assert!(neighbour.is_resting());
        assert!(neighbour.try_borrow().is_none());
        owner.unpark();
        assert!(!neighbour.is_resting());
    }

    #[test]
    #[should_panic(expected = "no claim")]
    fn a_parked_owner_has_no_claim() {
        let mut owner = Owner::new(());
        owner.park(Rest::Lent);
        owner.value();
    }
}
