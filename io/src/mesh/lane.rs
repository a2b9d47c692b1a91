//! A bounded lane from one core to another: single producer, single consumer, boxes in order.
//!
//! Each place of the ring is one atomic pointer, null when free. The producer fills the next place
//! if it is free; the consumer empties the next if it is full. Neither reads the other's position,
//! so the two cores share only the cache line of the parcel that moves. (The layout is that of
//! FastForward: Giacomoni, Moseley, Vachharajani, PPoPP 2008.)

use super::sync::{Arc, AtomicPtr, Ordering};
use std::ptr;

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T> {
    places: Arc<Places<T>>,
    next: usize,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<T> {
    places: Arc<Places<T>>,
    next: usize,
}

#[derive(Debug)]
struct Places<T> {
    ring: Box<[AtomicPtr<T>]>,
}

/// A lane of `len` places.
///
/// # Panics
/// If `len` is 0.
pub fn lane<T>(len: usize) -> (Sender<T>, Receiver<T>) {
    assert!(len > 0, "a lane has a place");
    let ring = (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
    let places = Arc::new(Places { ring });
    (Sender { places: Arc::clone(&places), next: 0 }, Receiver { places, next: 0 })
}

impl<T: Send> Sender<T> {
    /// Sends `parcel`, or gives it back if the lane is full.
    ///
    /// # Errors
    /// The parcel, when no place is free.
    #[inline]
    pub fn push(&mut self, parcel: Box<T>) -> Result<(), Box<T>> {
        let place = &self.places.ring[self.next];
        if !place.load(Ordering::Acquire).is_null() {
            return Err(parcel);
        }
        place.store(Box::into_raw(parcel), Ordering::Release);
        self.next = if self.next + 1 == self.places.ring.len() { 0 } else { self.next + 1 };
        Ok(())
    }

    /// True if the next `count` pushes will each find a place: places are freed in order, so the
    /// last of them speaks for all.
    ///
    /// # Panics
    /// If `count` is 0 or more than the lane has places.
    #[inline]
    pub fn has_room(&self, count: usize) -> bool {
        let len = self.places.ring.len();
        assert!((1..=len).contains(&count), "a lane has room for its length at most");
        self.places.ring[(self.next + count - 1) % len].load(Ordering::Acquire).is_null()
    }

    /// True if the receiver has taken everything that was sent.
    #[inline]
    pub fn is_drained(&self) -> bool {
        let len = self.places.ring.len();
        let last = if self.next == 0 { len - 1 } else { self.next - 1 };
        self.places.ring[last].load(Ordering::Acquire).is_null()
    }
}

impl<T: Send> Receiver<T> {
    /// Takes the next parcel, if one has come.
    #[inline]
    pub fn pop(&mut self) -> Option<Box<T>> {
        let place = &self.places.ring[self.next];
        let parcel = place.load(Ordering::Acquire);
        if parcel.is_null() {
            return None;
        }
        place.store(ptr::null_mut(), Ordering::Release);
        self.next = if self.next + 1 == self.places.ring.len() { 0 } else { self.next + 1 };
        // SAFETY: the pointer came from `Box::into_raw` in `push`; its place is emptied before
        // anyone else could take it, and only this one receiver takes.
        Some(unsafe { Box::from_raw(parcel) })
    }

    /// True if nothing waits to be taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.ring[self.next].load(Ordering::Acquire).is_null()
    }
}

impl<T> Drop for Places<T> {
    fn drop(&mut self) {
        for place in &self.ring {
            let parcel = place.load(Ordering::Acquire);
            if !parcel.is_null() {
                // SAFETY: both ends are gone, so the parcel in this place is nobody else's.
                drop(unsafe { Box::from_raw(parcel) });
            }
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn order_bound_and_drain() {
        let (mut sender, mut receiver) = lane(2);
        assert!(sender.is_drained());
        assert!(receiver.is_empty());
        sender.push(Box::new(1)).unwrap();
        sender.push(Box::new(2)).unwrap();
        assert_eq!(sender.push(Box::new(3)), Err(Box::new(3)));
        assert!(!sender.has_room(1));
        assert_eq!(receiver.pop(), Some(Box::new(1)));
        assert!(sender.has_room(1));
        assert!(!sender.has_room(2));
        assert!(!sender.is_drained());
        sender.push(Box::new(4)).unwrap();
        assert_eq!(receiver.pop(), Some(Box::new(2)));
        assert_eq!(receiver.pop(), Some(Box::new(4)));
        assert_eq!(receiver.pop(), None);
        assert!(sender.is_drained());
    }

    #[test]
    fn what_was_not_taken_is_dropped_with_the_lane() {
        let kept = std::sync::Arc::new(());
        let (mut sender, receiver) = lane(4);
        sender.push(Box::new(std::sync::Arc::clone(&kept))).unwrap();
        drop((sender, receiver));
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
    }

    #[test]
    fn a_million_parcels_cross_in_order() {
        let (mut sender, mut receiver) = lane(8);
        let count = if cfg!(miri) { 200 } else { 1_000_000 };
        let thread = std::thread::spawn(move || {
            for i in 0..count {
                let mut parcel = Box::new(i);
                while let Err(back) = sender.push(parcel) {
                    parcel = back;
                    std::thread::yield_now();
                }
            }
        });
        for i in 0..count {
            let got = loop {
                match receiver.pop() {
                    Some(got) => break got,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(*got, i);
        }
        thread.join().unwrap();
    }
}
