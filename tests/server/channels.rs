//! Channels over several cores: every subscriber hears the same, in one order, and however fast the
//! publishers are, all of it.

use crate::support::client::{Client, Got};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::collections::HashMap;
use std::time::Duration;

const PUBLISHERS: usize = 3;
const SUBSCRIBERS: usize = 40;
const MESSAGES: usize = 3000;
const CHANNELS: [&str; 2] = ["news", "other"];

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// The next thing that a client is told.
fn next(client: &mut Client) -> Value {
    match client.receive(Duration::from_secs(20)) {
        Ok(Got::Value(value)) => value,
        other => panic!("nothing came: {other:?}"),
    }
}

/// Publishes numbered messages to both channels, all at once; every one must be heard by all.
fn publish(server: &Server, publisher: usize) {
    let mut client = Client::connect(server.address()).expect("a connection");
    for number in 0..MESSAGES {
        let channel = CHANNELS[number % CHANNELS.len()];
        let message = format!("{publisher}:{number}");
        client.send(&["PUBLISH", channel, &message]).expect("sent");
    }
    for _ in 0..MESSAGES {
        let told = next(&mut client);
        assert_eq!(told, Value::Int(SUBSCRIBERS as i64));
    }
}

/// Hears all messages; those of each channel, in order.
fn hear(client: &mut Client) -> HashMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut heard: HashMap<_, Vec<_>> = HashMap::new();
    for _ in 0..PUBLISHERS * MESSAGES {
        match next(client) {
            Value::Array(parts) => match &parts[..] {
                [Value::Bulk(kind), Value::Bulk(channel), Value::Bulk(payload)] => {
                    assert_eq!(kind, b"message");
                    heard.entry(channel.clone()).or_default().push(payload.clone());
                }
                other => panic!("{other:?} is no message"),
            },
            other => panic!("{other:?} is no message"),
        }
    }
    heard
}

#[test]
fn all_subscribers_hear_all_in_one_order() {
    let server = Server::start(4, &[]).expect("a server");
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = Client::connect(server.address()).expect("a connection");
        for (count, channel) in CHANNELS.into_iter().enumerate() {
            let confirmed = client.ask(&["SUBSCRIBE", channel]);
            let wanted = vec![bulk("subscribe"), bulk(channel), Value::Int(count as i64 + 1)];
            assert_eq!(confirmed, Ok(Value::Array(wanted)));
        }
        subscribers.push(client);
    }
    let heard: Vec<_> = std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let server = &server;
            scope.spawn(move || publish(server, publisher));
        }
        let hear = |client| scope.spawn(move || hear(client));
        let hearing: Vec<_> = subscribers.iter_mut().map(hear).collect();
        hearing.into_iter().map(|hearing| hearing.join().expect("a subscriber")).collect()
    });
    for one in &heard {
        assert!(*one == heard[0], "two subscribers heard another order");
    }
    // Each publisher's own messages are in its order.
    for messages in heard[0].values() {
        for publisher in 0..PUBLISHERS {
            let own = messages.iter().filter_map(|message| {
                let text = std::str::from_utf8(message).ok()?;
                text.strip_prefix(&format!("{publisher}:"))?.parse::<usize>().ok()
            });
            let own: Vec<_> = own.collect();
            assert_eq!(own.len(), MESSAGES / CHANNELS.len());
            assert!(own.is_sorted(), "publisher {publisher}: {own:?}");
        }
    }
}
