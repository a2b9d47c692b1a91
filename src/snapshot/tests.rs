//! Snapshots of several cores on a disk that fails at every one of its operations in turn.

use super::*;
use pinion_io::disk::{Disk as _, Fault, Faulty, Trouble};
use pinion_rdb::{Checksum, Item, Parser, kind, write};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

const DIRECTORY: &str = "/data";
const CORES: usize = 3;

/// Numbers that a seed gives (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs tasks to their ends, in an order that the seed gives.
fn run(mut tasks: Vec<Task<'_>>, random: &mut Random) {
    let mut context = Context::from_waker(Waker::noop());
    while !tasks.is_empty() {
        let at = random.below(tasks.len() as u64) as usize;
        if tasks[at].as_mut().poll(&mut context).is_ready() {
            drop(tasks.swap_remove(at));
        }
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.push(kind::STRING);
    write::plain(out, key);
    write::plain(out, value);
}

/// What a core writes: some chunks, and now and then a long record.
async fn fill(
    writer: &Writer<Faulty>,
    (core, random): (usize, &mut Random),
    keys: &RefCell<Keys>,
) -> Result<(), pinion_io::disk::Error> {
    for part in 0..random.below(4) {
        let (mut out, mut own) = (Vec::new(), Vec::new());
        write::database(&mut out, 0);
        let is_long = random.below(3) == 0;
        let count = if is_long { 1 } else { random.below(20) + 1 };
        for number in 0..count {
            let key = format!("{core}-{part}-{number}").into_bytes();
            let len = random.below(if is_long { 30_000 } else { 600 });
            let value = vec![b'a' + (number % 26) as u8; len as usize];
            record(&mut out, &key, &value);
            own.push((key, value));
        }
        if is_long {
            let counted = out.len() as u64 + random.below(9000);
            let mut run = writer.begin_run(counted, core);
            let cut = (out.len() / 2) / UNIT_BYTES * UNIT_BYTES;
            let mut rest = out.split_off(cut);
            writer.write_run(&mut run, &mut out).await?;
            writer.write_run(&mut run, &mut rest).await?;
            writer.end_run(run).await?;
        } else {
            writer.write_chunk(&mut out, core).await?;
        }
        keys.borrow_mut().extend(own);
    }
    Ok(())
}

fn order(name: &str, now: u64) -> Order {
    Order {
        directory: DIRECTORY.into(),
        names: Names::new(name).unwrap(),
        now,
        is_summed: true,
        keep: 2,
    }
}

fn head() -> Head {
    Head { version: 11, created: 5000, used_memory: 77, redis_version: "8.0.6" }
}

/// Takes a snapshot; returns the keys in it, and what came of it.
fn save(disk: &Faulty, order: Order, seed: u64) -> (Keys, Result<Finished, String>) {
    let keys = RefCell::new(Keys::new());
    let begun = wait(Snapshot::begin(disk.clone(), order));
    let writer = match begun {
        Ok(writer) => writer,
        Err(error) => return (Keys::new(), Err(error.to_string())),
    };
    let tasks = (0..CORES).map(|core| {
        let (snapshot, keys) = (Arc::clone(writer.snapshot()), &keys);
        let mut random = Random::new(seed * 31 + core as u64);
        Box::pin(async move {
            let Ok(own) = snapshot.writer().await else { return };
            let filled = fill(&own, (core, &mut random), keys).await;
            assert!(filled.is_ok() || snapshot.failure().is_some());
            let _ = own.close().await;
        }) as Task<'_>
    });
    run(tasks.collect(), &mut Random::new(seed));
    let finished = wait(writer.finish(head())).map_err(|error| error.to_string());
    (keys.into_inner(), finished)
}

/// Reads a file as any server would.
fn read(bytes: &[u8]) -> Keys {
    let mut parser = Parser::new(Some(bytes.len() as u64));
    parser.feed(bytes);
    let mut keys = Keys::new();
    loop {
        match parser.next().expect("a whole file").expect("the whole of it") {
            Item::Record(record) => {
                let mut reader = pinion_rdb::Reader::new(record.object);
                let twice = keys.insert(record.key.into(), reader.own_text().unwrap());
                assert_eq!(twice, None);
            }
            Item::End(checksum) => {
                assert_eq!(checksum, Checksum::Right);
                return keys;
            }
            _ => {}
        }
    }
}

/// Reads it as this server does: each chunk by itself.
fn read_by_index(disk: &Faulty, path: &Path) -> Keys {
    wait(async {
        let file = disk.open(path, false).await.unwrap();
        let index = read_index(disk, &file, path).await.unwrap().expect("an index");
        assert!(index.is_summed);
        let bytes = disk.contents(path).unwrap();
        assert_eq!(bytes.len() as u64, index.bytes);
        let mut keys = Keys::new();
        for chunk in &index.chunks {
            let own = &bytes[chunk.offset() as usize..][..chunk.bytes() as usize];
            assert_eq!(pinion_rdb::crc::crc(own), chunk.sum);
            let mut parser = Parser::inside(index.version, chunk.offset(), chunk.bytes());
            parser.feed(own);
            while !parser.is_between() {
                if let Some(Item::Record(record)) = parser.next().unwrap() {
                    assert!(record.key.starts_with(chunk.shard.to_string().as_bytes()));
                    let mut reader = pinion_rdb::Reader::new(record.object);
                    keys.insert(record.key.into(), reader.own_text().unwrap());
                }
            }
        }
        keys
    })
}

fn target() -> PathBuf {
    Path::new(DIRECTORY).join("dump.rdb")
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("temp-")
}

#[test]
fn every_reader_finds_what_was_written() {
    for seed in 0..200 {
        let disk = Faulty::new(seed);
        let (keys, finished) = save(&disk, order("dump.rdb", 0), seed);
        let finished = finished.unwrap();
        assert_eq!((finished.path, finished.warnings.len()), (target(), 0));
        let bytes = disk.contents(&target()).unwrap();
        assert_eq!(finished.bytes, bytes.len() as u64);
        assert_eq!(read(&bytes), keys, "seed {seed}");
        assert_eq!(read_by_index(&disk, &target()), keys, "seed {seed}");
        assert_eq!((disk.names(), disk.open_files()), (vec![target()], 0));
    }
}

/// What must hold after a snapshot on a disk with a fault, and after the power went.
fn check(disk: &Faulty, old: &Keys, (new, finished): (Keys, Result<Finished, String>), off: bool) {
    let now = read(&disk.contents(&target()).unwrap());
    match &finished {
        Ok(_) => assert_eq!(now, new),
        Err(text) => {
            assert!(text.starts_with("cannot "), "{text}");
            assert!(text.contains(DIRECTORY), "{text}");
            let renamed = text.contains("sync directory");
            assert!(now == *old || (renamed || off) && now == new, "{text}");
        }
    }
    let left = disk.names().iter().any(|path| is_temporary(path));
    assert!(!left || off, "{:?} {finished:?}", disk.names());
    assert_eq!(disk.open_files(), 0);
    disk.restart();
    let then = read(&disk.contents(&target()).unwrap());
    assert!(then == new || then == *old && finished.is_err(), "{finished:?}");
    wait(async {
        let names = disk.list(Path::new(DIRECTORY)).await.unwrap();
        for name in forgotten(&names, |_| false) {
            disk.remove(&Path::new(DIRECTORY).join(name)).await.unwrap();
        }
    });
    assert_eq!(disk.names(), [target()]);
    let (keys, finished) = save(disk, order("dump.rdb", 0), 7);
    assert!(finished.is_ok(), "{finished:?}");
    assert_eq!(read(&disk.contents(&target()).unwrap()), keys);
}

#[test]
fn the_last_good_file_survives_every_fault() {
    let troubles =
        [Trouble::Refuse, Trouble::Tear, Trouble::LoseSync, Trouble::Full, Trouble::PowerOff];
    let (mut points, mut failures) = (0, 0);
    for seed in 1..=12 {
        let operations = {
            let disk = Faulty::new(seed);
            save(&disk, order("dump.rdb", 0), seed).1.unwrap();
            disk.operations()
        };
        for trouble in troubles {
            for operation in 1..=operations {
                let disk = Faulty::new(seed);
                let (old, first) = save(&disk, order("dump.rdb", 0), seed + 100);
                first.unwrap();
                disk.fail(Some(Fault { operation, trouble }));
                let outcome = save(&disk, order("dump.rdb", 0), seed);
                points += 1;
                failures += u32::from(outcome.1.is_err());
                check(&disk, &old, outcome, trouble == Trouble::PowerOff);
            }
        }
    }
    assert!(points > 500 && failures > points / 2, "{failures} of {points}");
}

#[test]
fn older_ones_go_and_the_new_one_stays() {
    let disk = Faulty::new(3);
    disk.put(&Path::new(DIRECTORY).join("dump.rdb"), b"another's");
    let hours = [5, 6, 7, 1];
    for hour in hours {
        let (_, finished) = save(&disk, order("d-{timestamp}", hour * 3_600_000), hour);
        assert_eq!(finished.unwrap().warnings.len(), 0);
    }
    let names = wait(disk.list(Path::new(DIRECTORY))).unwrap();
    let kept = ["d-1970-01-01T01:00:00.rdb", "d-1970-01-01T07:00:00.rdb", "dump.rdb"];
    assert_eq!(names, kept);
}

#[test]
fn a_record_longer_than_counted_fails_the_snapshot() {
    let disk = Faulty::new(1);
    wait(async {
        let writer = Snapshot::begin(disk.clone(), order("dump.rdb", 0)).await.unwrap();
        let mut run = writer.begin_run(10, 0);
        let error = writer.write_run(&mut run, &mut vec![0; 9000]).await.unwrap_err();
        assert!(error.to_string().ends_with("a record is longer than was counted"), "{error}");
        assert!(writer.snapshot().failure().is_some());
        assert!(writer.finish(head()).await.is_err());
    });
    assert_eq!(disk.names(), [""; 0].map(PathBuf::from));
}

#[test]
fn damage_in_an_index_is_told() {
    let disk = Faulty::new(9);
    save(&disk, order("dump.rdb", 0), 5).1.unwrap();
    let whole = disk.contents(&target()).unwrap();
    let mut random = Random::new(1);
    let path = Path::new("/data/other.rdb");
    let look = |bytes: &[u8]| {
        disk.put(path, bytes);
        wait(async {
            let file = disk.open(path, false).await.unwrap();
            read_index(&disk, &file, path).await
        })
    };
    let index = look(&whole).unwrap().unwrap();
    let end = index.chunks.iter().map(|chunk| chunk.offset() + chunk.bytes()).max().unwrap();
    for _ in 0..500 {
        let mut bytes = whole.clone();
        // Anywhere but in the chunks, which have sums of their own.
        let outside = UNIT_BYTES as u64 + whole.len() as u64 - end;
        let at = random.below(outside);
        let at = if at < UNIT_BYTES as u64 { at } else { at - UNIT_BYTES as u64 + end };
        bytes[at as usize] ^= 1 << random.below(8);
        let seen = look(&bytes);
        assert!(!matches!(&seen, Ok(Some(other)) if *other == index), "byte {at}");
    }
    for cut in [0, 5, 100, 4096, whole.len() - 1] {
        assert!(!matches!(look(&whole[..cut]), Ok(Some(_))), "{cut}");
    }
    assert_eq!(look(b"REDIS0011\xff\0\0\0\0\0\0\0\0").unwrap(), None);
}
