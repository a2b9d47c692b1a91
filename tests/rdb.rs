//! Files as a whole: ours come back as they were, and others load, or are refused in words.
//!
//! Where `PINION_RDB` names a folder, every file in it is loaded as well, and what it held is
//! written and loaded again; its digest is printed, to be compared with DEBUG DIGEST elsewhere.

mod fuzz {
    pub(crate) mod values;
}

use fuzz::values::{NOW, both_sizes, values};
use pinion_io::resp::{Protocol, Reply};
use pinion_rdb::{Checksum, Error, Fault, Item, Parser, crc, write};
use pinion_shards::commands::{Args, Plan, find};
use pinion_shards::fold::{Fold, Parts, fold};
use pinion_shards::route::Route;
use pinion_shards::snapshot::{Encoder, Loaded, Loader, Purpose};
use pinion_shards::{Call, Sender, Shard, Task};

const SHARDS: usize = 3;
/// Bytes of a block in which files come.
const BLOCK_BYTES: usize = 1000;

/// Loads a file into shards of their own; how many records became what.
fn load(file: &[u8]) -> Result<(Vec<Shard>, [usize; 3]), Error> {
    let mut shards: Vec<_> = (0..SHARDS).map(|index| Shard::new(index, SHARDS, 16, 7)).collect();
    let mut parser = Parser::new(Some(file.len() as u64));
    let (mut loader, mut database, mut counts) = (None, 0, [0; 3]);
    for block in file.chunks(BLOCK_BYTES) {
        parser.feed(block);
        while let Some(item) = parser.next()? {
            match item {
                Item::Version(version) => loader = Some(Loader::new(version.origin)),
                Item::Database(number) => database = number as u16,
                Item::Record(record) => {
                    let owner = Route::new(SHARDS).owner(record.key);
                    let loader = loader.as_mut().expect("the version stands first");
                    let loaded = loader.load(&mut shards[owner], database, &record, NOW);
                    let loaded = loaded.map_err(|fault| Error { at: record.at, fault })?;
                    counts[match loaded {
                        Loaded::In => 0,
                        Loaded::Expired => 1,
                        Loaded::Empty => 2,
                    }] += 1;
                }
                Item::End(sum) => assert!(!matches!(sum, Checksum::Wrong { .. })),
                _ => {}
            }
        }
    }
    if !parser.is_done() {
        return Err(parser.cut());
    }
    shards.iter_mut().for_each(|shard| shard.keyspace().recount());
    Ok((shards, counts))
}

/// Writes all that shards hold.
fn save(shards: &mut [Shard], compress: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(Purpose::File, compress);
    let mut out = Vec::new();
    write::magic(&mut out, 12);
    for shard in shards {
        let keyspace = shard.keyspace();
        for database in 0..keyspace.databases() {
            write::database(&mut out, u64::from(database));
            keyspace.each(database, NOW, |record| {
                let (key, value) = (record.key(), record.value());
                let mut rest = encoder.record((key, value, record.expiry()), &mut out);
                while let Some(left) = &mut rest {
                    if encoder.go_on(left, value, 100, &mut out) {
                        rest = None;
                    }
                }
            });
        }
    }
    let sum = crc::crc(&out);
    write::end(&mut out, sum);
    out
}

/// DEBUG DIGEST.
fn digest(shards: &mut [Shard]) -> String {
    let row = find(b"debug").and_then(|row| row.subcommand(b"digest")).expect("DEBUG DIGEST");
    let Plan::Every { run, .. } = row.plan else { panic!("it asks every shard") };
    let args = Args::new(b"", &[]);
    let replies = shards.iter_mut().map(|shard| {
        let mut out = Vec::new();
        let task = Task::Run(row, run);
        let call = Call { task, sender: Sender(0), db: 0, hash: 0, speaker: None, args };
        shard.run(NOW, &call, &mut Reply::new(&mut out, Protocol::Resp2));
        out
    });
    let replies: Vec<_> = replies.collect();
    let mut out = Vec::new();
    let parts = Parts { replies: &replies, places: &[], random: 0 };
    fold(Fold::Digest, &parts, &mut Reply::new(&mut out, Protocol::Resp2));
    String::from_utf8_lossy(&out).trim().into()
}

/// A file with a value of every type and encoding in two databases.
fn file(compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write::magic(&mut out, 12);
    write::aux(&mut out, b"name", b"value");
    for (database, (rules, count)) in both_sizes().into_iter().enumerate() {
        let mut encoder = Encoder::new(Purpose::File, compress);
        write::database(&mut out, database as u64);
        for (number, object) in values(&rules, count).iter().enumerate() {
            let key = format!("key {number}");
            let expiry = (number % 2 == 0).then_some(NOW + 1000);
            let record = (key.as_bytes(), object.value(), expiry);
            assert_eq!(encoder.record(record, &mut out), None, "it is short");
        }
    }
    let sum = crc::crc(&out);
    write::end(&mut out, sum);
    out
}

/// Saves and loads again, in both ways; the digest stays.
fn comes_back(shards: &mut [Shard], counts: [usize; 3]) -> String {
    let before = digest(shards);
    for compress in [false, true] {
        let again = save(shards, compress);
        let (mut again, others) = load(&again).expect("what we write loads");
        assert_eq!(others, [counts[0], 0, 0]);
        assert_eq!(digest(&mut again), before);
    }
    before
}

#[test]
fn our_files_come_back() {
    for compress in [false, true] {
        let (mut shards, counts) = load(&file(compress)).expect("a sound file");
        assert_eq!(counts, [16, 0, 0]);
        comes_back(&mut shards, counts);
    }
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    let mut out = Vec::new();
    write::magic(&mut out, 11);
    for _ in 0..2 {
        out.extend_from_slice(&[0, 1, b'k', 1, b'v']);
    }
    write::end_unchecked(&mut out);
    assert_eq!(load(&out).err(), Some(Error { at: 14, fault: Fault::KeyTwice }));
}

#[test]
fn what_is_due_and_what_is_empty_is_left_out() {
    let mut out = Vec::new();
    write::magic(&mut out, 11);
    write::expiry(&mut out, NOW - 1);
    out.extend_from_slice(&[0, 1, b'a', 1, b'v']);
    write::expiry(&mut out, NOW + 1);
    out.extend_from_slice(&[0, 1, b'b', 1, b'v']);
    out.extend_from_slice(&[2, 1, b'c', 0]);
    write::end_unchecked(&mut out);
    let (mut shards, counts) = load(&out).expect("a sound file");
    assert_eq!(counts, [1, 1, 1]);
    let expires: usize = shards.iter_mut().map(|shard| shard.keyspace().expires(0)).sum();
    assert_eq!(expires, 1);
}

#[test]
fn files_of_a_folder_load_or_are_refused() {
    let Some(folder) = std::env::var_os("PINION_RDB") else { return };
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let file = std::fs::read(&path).expect("a file");
        match load(&file) {
            Ok((mut shards, counts)) => {
                let digest = comes_back(&mut shards, counts);
                println!("{}: {counts:?} {digest}", path.display());
            }
            Err(error) => println!("{}: {error}", path.display()),
        }
    }
}
