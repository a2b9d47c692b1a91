//! The lanes, and park, doorbell and lend, under every interleaving that loom can make.
//!
//! Run with `cargo test -p pinion-io --features loom model`. A sleeping core is a loom condition
//! variable here; in the server it is a read of an eventfd on the ring.

use super::{Owner, Rest, lane};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// The doorbell of the model: a counter that wakes.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    woken: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.woken.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.woken.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn parcels_cross_in_order() {
    check(|| {
        let (mut sender, mut receiver) = lane(2);
        let thread = thread::spawn(move || {
            for i in 0..3 {
                let mut parcel = Box::new(i);
                while let Err(back) = sender.push(parcel) {
                    parcel = back;
                    thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 3 {
            match receiver.pop() {
                Some(got) => {
                    assert_eq!(*got, next);
                    next += 1;
                }
                None => thread::yield_now(),
            }
        }
        thread.join().unwrap();
    });
}

/// The value on loan: loom fails the model if two cores touch it without one before the other.
type Watched = UnsafeCell<u32>;

fn add(value: &mut Watched, more: u32) {
    // SAFETY: loom checks this very access.
    value.with_mut(|value| unsafe { *value += more });
}

fn total(value: &mut Watched) -> u32 {
    // SAFETY: loom checks this very access.
    value.with(|value| unsafe { *value })
}

/// An owner that sleeps until it has received `count` parcels, parking as the server does.
fn sleep_until(
    owner: &mut Owner<Watched>,
    receiver: &mut super::Receiver<u32>,
    bell: &Bell,
    count: u32,
) {
    let mut got = 0;
    loop {
        while let Some(parcel) = receiver.pop() {
            add(owner.value(), *parcel);
            got += 1;
        }
        if got == count {
            return;
        }
        owner.park(Rest::Lent);
        if receiver.is_empty() {
            bell.sleep();
        }
        owner.unpark();
    }
}

#[test]
fn no_wake_is_lost() {
    check(|| {
        let mut owner = Owner::new(Watched::new(0));
        let berth = owner.neighbour();
        let (mut sender, mut receiver) = lane(4);
        let bell = Arc::new(Bell::default());
        let rings = Arc::clone(&bell);
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                sender.push(Box::new(1)).unwrap();
                if berth.is_resting() {
                    rings.ring();
                }
            }
        });
        sleep_until(&mut owner, &mut receiver, &bell, 2);
        assert_eq!(total(owner.value()), 2);
        thread.join().unwrap();
    });
}

#[test]
fn a_loan_excludes_and_keeps_order() {
    check(|| {
        let mut owner = Owner::new(Watched::new(0));
        let berth = owner.neighbour();
        let (mut sender, mut receiver) = lane(4);
        let bell = Arc::new(Bell::default());
        let rings = Arc::clone(&bell);
        let thread = thread::spawn(move || {
            // As the server: borrow only if nothing is still in the lane, else send and ring.
            let mut lent = 0;
            if sender.is_drained()
                && let Some(mut loan) = berth.try_borrow()
            {
                add(loan.value(), 10);
                lent += 10;
            }
            sender.push(Box::new(1)).unwrap();
            if berth.is_resting() {
                rings.ring();
            }
            lent
        });
        sleep_until(&mut owner, &mut receiver, &bell, 1);
        let lent = thread.join().unwrap();
        assert_eq!(total(owner.value()), 1 + lent);
    });
}

#[test]
fn a_push_during_a_loan_wakes_the_owner() {
    check(|| {
        let mut owner = Owner::new(Watched::new(0));
        let borrower = owner.neighbour();
        let berth = owner.neighbour();
        let (mut sender, mut receiver) = lane(4);
        let bell = Arc::new(Bell::default());
        let rings = Arc::clone(&bell);
        let borrowing = thread::spawn(move || match borrower.try_borrow() {
            Some(mut loan) => {
                add(loan.value(), 10);
                10
            }
            None => 0,
        });
        let pushing = thread::spawn(move || {
            sender.push(Box::new(1)).unwrap();
            if berth.is_resting() {
                rings.ring();
            }
        });
        sleep_until(&mut owner, &mut receiver, &bell, 1);
        pushing.join().unwrap();
        let lent = borrowing.join().unwrap();
        owner.park(Rest::Lent);
        owner.unpark();
        assert_eq!(total(owner.value()), 1 + lent);
    });
}
