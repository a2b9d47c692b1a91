//! The ring on sockets of this machine.

use super::*;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::thread;

const PIECE_BYTES: usize = 50_000;
const PIECES_MAX: u8 = 64;

fn ring() -> Ring {
    Ring::new(Arc::new(Doorbell::new().unwrap())).unwrap()
}

/// Polls until a send has ended; true if it went out whole.
fn send_ends(ring: &mut Ring, polls: usize) -> Option<bool> {
    for _ in 0..polls {
        ring.poll(Wait::AtMost(Duration::from_millis(10))).unwrap();
        let mut ended = None;
        while let Some(event) = ring.next_event() {
            match event {
                Event::Sent { .. } => ended = Some(true),
                Event::SendFailed { .. } => ended = Some(false),
                _ => {}
            }
        }
        if ended.is_some() {
            return ended;
        }
    }
    None
}

#[test]
fn a_send_that_does_not_fit_at_once_arrives_whole() {
    let mut ring = ring();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let socket = ring.attach(ours.into());
    let mut expected = Vec::new();
    let refused = (0..PIECES_MAX).find(|&piece| {
        expected.extend_from_slice(&[piece; PIECE_BYTES]);
        ring.send(socket, vec![piece; PIECE_BYTES]);
        send_ends(&mut ring, 3).is_none()
    });
    assert!(refused.is_some(), "nobody reads, so some piece has no room");
    let mut got = vec![0; expected.len()];
    let reader = thread::spawn(move || {
        theirs.read_exact(&mut got).unwrap();
        (got, theirs)
    });
    assert_eq!(send_ends(&mut ring, 500), Some(true));
    let (got, theirs) = reader.join().unwrap();
    assert!(got == expected, "every byte came once, in order");
    drop(theirs);
    ring.send(socket, vec![0; PIECE_BYTES]);
    assert_eq!(send_ends(&mut ring, 500), Some(false));
}
