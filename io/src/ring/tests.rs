//! The ring on sockets of this machine.

use super::*;
use crate::limits::{BUFFER_BYTES, BUFFER_COUNT};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// Longest wait for an event that must come.
const PATIENCE: Duration = Duration::from_secs(10);

fn ring() -> (Ring, Arc<Doorbell>) {
    let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
    (Ring::new(Arc::clone(&doorbell)).expect("a ring"), doorbell)
}

/// A socket of the ring, and its peer.
fn attach(ring: &mut Ring) -> (SocketId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    theirs.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    (ring.attach(ours.into()), theirs)
}

/// The next event that is not a heartbeat.
fn next(ring: &mut Ring) -> Event {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ring.next_event() {
            Some(Event::Heartbeat) => {}
            Some(event) => return event,
            None => {
                assert!(Instant::now() < deadline, "an event comes in time");
                ring.poll(Wait::AtMost(Duration::from_millis(100))).expect("a ring that works");
            }
        }
    }
}

/// Takes what has come and what comes within `time`; nothing but heartbeats may.
fn nothing_for(ring: &mut Ring, time: Duration) {
    let deadline = Instant::now() + time;
    loop {
        while let Some(event) = ring.next_event() {
            assert!(matches!(event, Event::Heartbeat), "{event:?} comes unasked");
        }
        if Instant::now() > deadline {
            return;
        }
        ring.poll(Wait::AtMost(Duration::from_millis(10))).expect("a ring that works");
    }
}

/// Receives until `len` bytes have come from `socket`.
fn receive(ring: &mut Ring, socket: SocketId, len: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < len {
        match next(ring) {
            Event::Received { socket: from, chunk } => {
                assert_eq!(from, socket);
                got.extend_from_slice(ring.bytes(&chunk));
                ring.give_back(chunk);
            }
            other => panic!("{other:?} instead of bytes"),
        }
    }
    got
}

fn sent(ring: &mut Ring, socket: SocketId) -> Vec<u8> {
    match next(ring) {
        Event::Sent { socket: of, buffer } if of == socket => buffer,
        other => panic!("{other:?} instead of a send's end"),
    }
}

#[test]
fn bytes_come_and_go() {
    let (mut ring, _) = ring();
    let (socket, mut peer) = attach(&mut ring);
    for round in 0..100_u8 {
        peer.write_all(&[round; 10]).expect("sent");
        assert_eq!(receive(&mut ring, socket, 10), [round; 10]);
        ring.send(socket, vec![round; 20]);
        assert_eq!(sent(&mut ring, socket), [round; 20]);
        let mut got = [0; 20];
        peer.read_exact(&mut got).expect("received");
        assert_eq!(got, [round; 20]);
    }
    peer.shutdown(Shutdown::Write).expect("half closed");
    assert!(matches!(next(&mut ring), Event::Ended { socket: of, error: None } if of == socket));
    // What the peer has half closed can still be written to.
    ring.send(socket, b"the end".to_vec());
    assert_eq!(sent(&mut ring, socket), b"the end");
}

#[test]
fn a_large_buffer_goes_out_in_short_sends() {
    let (mut ring, _) = ring();
    let (socket, mut peer) = attach(&mut ring);
    let large: Vec<u8> = (0..20_000_000_u32).map(|index| (index % 251) as u8).collect();
    let expected = large.clone();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; expected.len()];
        peer.read_exact(&mut got).expect("received");
        assert!(got == expected, "the bytes changed on their way");
        peer
    });
    let memory = large.as_ptr();
    ring.send(socket, large);
    let back = sent(&mut ring, socket);
    assert_eq!(back.as_ptr(), memory, "the buffer itself comes back");
    reader.join().expect("all of it");
}

#[test]
fn a_pause_a_direct_receive_and_chunks_again() {
    let (mut ring, _) = ring();
    let (socket, mut peer) = attach(&mut ring);
    peer.write_all(b"before").expect("sent");
    assert_eq!(receive(&mut ring, socket, 6), b"before");
    ring.pause(socket);
    assert!(matches!(next(&mut ring), Event::Paused { socket: of } if of == socket));
    peer.write_all(&[b'd'; 100_000]).expect("sent");
    nothing_for(&mut ring, Duration::from_millis(50));
    // More room than is asked for, as buffers that grew have.
    let mut buffer = Vec::with_capacity(500_000);
    buffer.extend_from_slice(b"head");
    ring.receive_direct(socket, buffer, 150_000);
    ring.poll(Wait::No).expect("a ring that works");
    peer.write_all(&[b'd'; 50_000]).expect("sent");
    peer.write_all(b"behind").expect("sent");
    match next(&mut ring) {
        Event::Direct { socket: of, buffer } => {
            assert_eq!(of, socket);
            assert_eq!(buffer.len(), 4 + 150_000, "no more and no less than was asked for");
            assert!(buffer.starts_with(b"headd") && buffer.ends_with(b"ddd"));
        }
        other => panic!("{other:?} instead of a direct receive's end"),
    }
    nothing_for(&mut ring, Duration::from_millis(50));
    ring.resume(socket);
    assert_eq!(receive(&mut ring, socket, 6), b"behind");
}

#[test]
fn a_direct_receive_ends_with_its_peer() {
    let (mut ring, _) = ring();
    let (socket, mut peer) = attach(&mut ring);
    ring.pause(socket);
    assert!(matches!(next(&mut ring), Event::Paused { .. }));
    ring.receive_direct(socket, Vec::with_capacity(1000), 1000);
    peer.write_all(b"part").expect("sent");
    drop(peer);
    // What came, and then the end; or the end at once.
    loop {
        match next(&mut ring) {
            Event::Direct { buffer, .. } => {
                assert_eq!(buffer, b"part");
                ring.receive_direct(socket, buffer, 996);
            }
            Event::Ended { socket: of, .. } => break assert_eq!(of, socket),
            other => panic!("{other:?} instead of an end"),
        }
    }
}

#[test]
fn a_receive_goes_on_after_the_buffers_ran_out() {
    let (mut ring, _) = ring();
    let (busy, mut flooder) = attach(&mut ring);
    let (quiet, mut peer) = attach(&mut ring);
    let total = 3 * BUFFER_BYTES * usize::from(BUFFER_COUNT);
    let flood = std::thread::spawn(move || {
        flooder.write_all(&vec![b'f'; total]).expect("sent");
        flooder
    });
    // All buffers are held until nothing more comes.
    let mut held = Vec::new();
    let mut got = 0;
    while held.len() < usize::from(BUFFER_COUNT) {
        match next(&mut ring) {
            Event::Received { socket, chunk } => {
                assert_eq!(socket, busy);
                got += chunk.len();
                held.push(chunk);
            }
            other => panic!("{other:?} instead of bytes"),
        }
    }
    peer.write_all(b"quiet").expect("sent");
    nothing_for(&mut ring, Duration::from_millis(50));
    held.into_iter().for_each(|chunk| ring.give_back(chunk));
    let mut heard = Vec::new();
    while got < total || heard.len() < 5 {
        match next(&mut ring) {
            Event::Received { socket, chunk } => {
                if socket == quiet {
                    heard.extend_from_slice(ring.bytes(&chunk));
                } else {
                    got += chunk.len();
                }
                ring.give_back(chunk);
            }
            other => panic!("{other:?} instead of bytes"),
        }
    }
    assert_eq!((got, heard), (total, b"quiet".to_vec()));
    flood.join().expect("all of it");
}

#[test]
fn a_close_with_everything_in_flight_leaves_nothing() {
    let (mut ring, _) = ring();
    for _ in 0..20 {
        let (socket, mut peer) = attach(&mut ring);
        // A send that cannot end, since nobody reads, beside a receive.
        ring.send(socket, vec![b's'; 5_000_000]);
        ring.poll(Wait::No).expect("a ring that works");
        peer.write_all(b"unread").expect("sent");
        ring.close(socket);
        nothing_for(&mut ring, Duration::from_millis(20));
        assert_eq!(ring.sockets.len(), 0, "its place is free");
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        assert!(rest.len() < 5_000_000);
    }
    let (socket, _peer) = attach(&mut ring);
    ring.pause(socket);
    assert!(matches!(next(&mut ring), Event::Paused { .. }));
    ring.receive_direct(socket, Vec::with_capacity(1000), 1000);
    ring.poll(Wait::No).expect("a ring that works");
    ring.close(socket);
    nothing_for(&mut ring, Duration::from_millis(20));
    assert_eq!(ring.sockets.len(), 0, "its place is free");
}

#[test]
fn a_place_that_is_used_again_has_another_name() {
    let (mut ring, _) = ring();
    let (first, peer) = attach(&mut ring);
    ring.close(first);
    nothing_for(&mut ring, Duration::from_millis(20));
    drop(peer);
    let (second, mut peer) = attach(&mut ring);
    assert_eq!(first.index, second.index);
    assert_ne!(first, second);
    // Whatever is asked of the old name is asked of nobody.
    ring.pause(first);
    ring.resume(first);
    ring.send(first, b"lost".to_vec());
    ring.close(first);
    assert!(ring.descriptor(first).is_none() && ring.descriptor(second).is_some());
    peer.write_all(b"here").expect("sent");
    assert_eq!(receive(&mut ring, second, 4), b"here");
}

#[test]
fn a_peer_that_is_gone_fails_the_send() {
    let (mut ring, _) = ring();
    let (socket, peer) = attach(&mut ring);
    drop(peer);
    assert!(matches!(next(&mut ring), Event::Ended { .. }));
    ring.send(socket, b"late".to_vec());
    assert!(matches!(next(&mut ring), Event::SendFailed { socket: of } if of == socket));
    ring.close(socket);
    nothing_for(&mut ring, Duration::from_millis(20));
    assert_eq!(ring.sockets.len(), 0);
}

#[test]
fn the_doorbell_ends_a_wait() {
    let (mut ring, doorbell) = ring();
    for _ in 0..50 {
        let bell = Arc::clone(&doorbell);
        let ringer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            bell.ring();
        });
        let started = Instant::now();
        assert!(matches!(next(&mut ring), Event::Rung));
        assert!(started.elapsed() < Duration::from_secs(5));
        ringer.join().expect("it rang");
    }
    // Before the wait as well.
    doorbell.ring();
    assert!(matches!(next(&mut ring), Event::Rung));
}

#[test]
fn a_listener_gives_its_connections() {
    let (mut ring, _) = ring();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    ring.listen(listener.into());
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut peer = std::net::TcpStream::connect(address).expect("a connection");
        let socket = match next(&mut ring) {
            Event::Accepted { listener: 0, socket } => socket,
            other => panic!("{other:?} instead of a connection"),
        };
        let socket = ring.attach(socket);
        peer.write_all(b"hello").expect("sent");
        assert_eq!(receive(&mut ring, socket, 5), b"hello");
        peers.push(peer);
    }
    ring.stop_listening();
    nothing_for(&mut ring, Duration::from_millis(20));
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
}

const PIECE_BYTES: usize = 50_000;
const PIECES_MAX: u8 = 64;

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
    let (mut ring, _) = ring();
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
    let reader = std::thread::spawn(move || {
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
