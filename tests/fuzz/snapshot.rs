//! Snapshots: files that are nearly right, and objects that RESTORE takes or refuses, on which
//! every command must then work.
//!
//! What is mutated is written by our own writer; where `PINION_FUZZ_RDB` names a folder, the
//! records of the files in it are as well, and so are those files that are short.

use super::rows::{run, targets, words};
use super::source::Source;
use super::values::{NOW, both_sizes, values};
use pinion::check::{Check, Damage};
use pinion_io::resp::Protocol;
use pinion_rdb::{Item, Parser, crc, write};
use pinion_shards::snapshot::{Encoder, Purpose};
use pinion_shards::{Millis, Shard};

/// Files of more bytes are taken apart, but not mutated themselves.
const FILE_BYTES_MAX: usize = 2000;
/// Objects of more bytes are left out: mutations would hardly meet what matters.
const OBJECT_BYTES_MAX: usize = 3000;
/// Commands between recounts, and between flushes.
const RECOUNT_EVERY: usize = 400;
const FLUSH_EVERY: usize = 4000;

/// Types with objects, and files.
struct Seeds {
    objects: Vec<(u8, Vec<u8>)>,
    files: Vec<Vec<u8>>,
}

fn seeds() -> Seeds {
    let mut seeds = Seeds { objects: Vec::new(), files: Vec::new() };
    let mut file = Vec::new();
    write::magic(&mut file, 12);
    write::aux(&mut file, b"name", b"value");
    write::database(&mut file, 1);
    write::sizes(&mut file, 8, 8);
    for (rules, count) in both_sizes() {
        let rules = &rules;
        for (object, compress) in values(rules, count).iter().zip([true, false].into_iter().cycle())
        {
            let mut encoder = Encoder::new(Purpose::Dump, compress);
            let mut bytes = Vec::new();
            encoder.object(object.value(), &mut bytes);
            seeds.objects.push((encoder.kind(object.value()), bytes));
            let record = (&b"key"[..], object.value(), Some(NOW));
            let rest = encoder.record(record, &mut file);
            assert_eq!(rest, None, "it is short");
        }
    }
    write::fill(&mut file, 20);
    let sum = crc::crc(&file);
    write::end(&mut file, sum);
    seeds.files.push(file);
    if let Some(folder) = std::env::var_os("PINION_FUZZ_RDB") {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let bytes = std::fs::read(entry.expect("a file").path()).expect("a file");
            seeds.take(bytes);
        }
    }
    seeds
}

impl Seeds {
    /// Adds a file and its records.
    fn take(&mut self, file: Vec<u8>) {
        let mut parser = Parser::new(Some(file.len() as u64));
        parser.feed(&file);
        while let Ok(Some(item)) = parser.next() {
            if let Item::Record(record) = item
                && record.object.len() <= OBJECT_BYTES_MAX
            {
                self.objects.push((record.kind, record.object.to_vec()));
            }
        }
        if file.len() <= FILE_BYTES_MAX {
            self.files.push(file);
        }
    }
}

/// Changes bytes where lengths and counts are, or anywhere.
fn damage(source: &mut Source, bytes: &mut Vec<u8>) {
    if source.once_in(2) {
        return source.mutate(bytes);
    }
    for _ in 0..=source.below(2) {
        let at = source.below(bytes.len().max(1)).min(source.below(40));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = match source.below(4) {
                0 => byte.wrapping_add(1),
                1 => byte.wrapping_sub(1),
                2 => *source.one_of(&[&0, &1, &0x3f, &0x40, &0x80, &0x81, &0xc3, &0xff]),
                _ => source.below(256) as u8,
            };
        }
    }
}

/// The payload of DUMP for an object.
fn payload(number: u8, object: &[u8], version: u16) -> Vec<u8> {
    let mut payload = vec![number];
    payload.extend_from_slice(object);
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc::crc(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

#[test]
fn objects() {
    let mut source = Source::new("snapshot objects");
    let (seeds, targets) = (seeds(), targets());
    let find = |name| targets.iter().find(|target| target.row.name == name).expect("a row");
    let (restore, flush) = (find("restore"), find("flushall"));
    let mut shard = Shard::new(0, 1, 16, 7);
    let (mut now, mut count) = (NOW, 0);
    while source.goes_on() {
        for _ in 0..50 {
            count += 1;
            now += source.below(40) as Millis;
            let (number, object) = &seeds.objects[source.below(seeds.objects.len())];
            let (mut number, mut object) = (*number, object.clone());
            if !source.once_in(5) {
                damage(&mut source, &mut object);
            }
            if source.once_in(10) {
                number = source.below(30) as u8;
            }
            let version = *source.one_of(&[&12, &12, &12, &80]);
            let key = format!("k{}", source.below(8)).into_bytes();
            let payload = payload(number, &object, version);
            let words_of = |name: &str| name.as_bytes().to_vec();
            let request = [words_of("RESTORE"), key, words_of("0"), payload, words_of("REPLACE")];
            run(&mut shard, now, restore, &request, Protocol::Resp3);
            for _ in 0..source.below(3) {
                let target = &targets[source.below(targets.len())];
                let words = words(&mut source, target.row);
                run(&mut shard, now, target, &words, Protocol::Resp3);
            }
            if source.once_in(50) {
                shard.tick(now);
            }
            if count % RECOUNT_EVERY == 0 {
                shard.keyspace().recount();
            }
            if count % FLUSH_EVERY == 0 {
                run(&mut shard, now, flush, &[words_of("FLUSHALL")], Protocol::Resp3);
            }
        }
    }
    eprintln!("{count} objects from {} seeds", seeds.objects.len());
}

/// What a file holds, read in blocks that end at `cuts` and at the end.
fn checked(file: &[u8], cuts: &[usize]) -> Result<String, Damage> {
    let mut check = Check::new(file.len() as u64, NOW as i64);
    let mut at = 0;
    for &end in cuts.iter().chain(std::iter::once(&file.len())) {
        check.feed(&file[at..end])?;
        at = end;
    }
    let mut out = Vec::new();
    check.end()?.write(&mut out).expect("a vector takes all");
    Ok(String::from_utf8(out).expect("it is text"))
}

#[test]
fn files() {
    let mut source = Source::new("snapshot files");
    let seeds = seeds();
    let (mut count, mut sound) = (0, 0);
    while source.goes_on() {
        let mut file = seeds.files[source.below(seeds.files.len())].clone();
        if !source.once_in(20) {
            source.mutate(&mut file);
        }
        if source.once_in(2) && file.len() > write::END_BYTES {
            // The checksum is made right, so that it is not what is found.
            let end = file.len() - write::END_BYTES;
            file.truncate(end);
            let sum = crc::crc(&file);
            write::end(&mut file, sum);
        }
        let whole = checked(&file, &[]);
        let mut cuts: Vec<usize> = (0..5).map(|_| source.below(file.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(checked(&file, &cuts), whole, "{cuts:?} of {}", file.escape_ascii());
        count += 1;
        sound += usize::from(whole.is_ok());
    }
    eprintln!("{count} files, {sound} of them sound");
}
