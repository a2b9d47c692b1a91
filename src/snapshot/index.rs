//! Where the chunks of a snapshot are: written at its end, and read by who loads it.

use pinion_io::disk::{Disk, Error, File};
use pinion_io::limits::DISK_BLOCK_BYTES;
use pinion_rdb::{Fault, Item, Parser, Reader, Version, crc, kind, write};
use std::io;
use std::path::Path;

/// What the file is made of, in bytes.
pub const UNIT_BYTES: usize = DISK_BLOCK_BYTES;
/// What says where the index is.
const PLACE: &[u8] = b"pinion-index";
/// What the index is.
const CHUNKS: &[u8] = b"pinion-chunks";
/// The form of the index that is known.
const FORM: u8 = 1;
/// Bytes of a chunk's entry, at least.
const ENTRY_BYTES_MIN: usize = 10;
/// The same at most, for so many as units allow.
const ENTRY_BYTES_MAX: u64 = 26;
/// Bytes of an index without entries, and more.
const INDEX_BYTES_MIN: u64 = 64;
/// Bytes that are read at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// Sums that are combined before others may go on.
pub(super) const SUMS_PER_TURN: usize = 64;

/// A chunk of the file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Chunk {
    /// Its first unit.
    pub unit: u64,
    /// How many it has.
    pub units: u64,
    /// The shard whose keys it holds; if there are as many shards as then, they are there.
    pub shard: u64,
    /// Its checksum.
    pub sum: u64,
}

impl Chunk {
    /// Its offset in the file.
    pub fn offset(&self) -> u64 {
        self.unit * UNIT_BYTES as u64
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.units * UNIT_BYTES as u64
    }
}

/// What a file says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Index {
    /// The version of its format.
    pub version: Version,
    /// Its chunks, in the order of the file.
    pub chunks: Vec<Chunk>,
    /// True if each has its checksum, and the whole has.
    pub is_summed: bool,
    /// How long the file is, in bytes.
    pub bytes: u64,
}

/// Writes what a file begins with: one unit.
pub(super) fn write_head(head: &super::Head, place: (u64, u64)) -> Vec<u8> {
    let mut out = Vec::with_capacity(UNIT_BYTES);
    write::magic(&mut out, head.version);
    let aux = |out: &mut Vec<u8>, name: &str, value: &dyn std::fmt::Display| {
        write::aux(out, name.as_bytes(), value.to_string().as_bytes());
    };
    aux(&mut out, "redis-ver", &head.redis_version);
    aux(&mut out, "redis-bits", &usize::BITS);
    aux(&mut out, "ctime", &(head.created / 1000));
    aux(&mut out, "used-mem", &head.used_memory);
    aux(&mut out, "aof-base", &0);
    write::aux(&mut out, PLACE, format!("{} {}", place.0, place.1).as_bytes());
    let gap = UNIT_BYTES.checked_sub(out.len()).expect("a few short fields fit a unit");
    write::fill(&mut out, gap);
    out
}

/// Writes the index, for chunks that lie one behind the other from unit 1 on.
pub(super) fn write_index(chunks: &[Chunk]) -> Vec<u8> {
    let mut value = vec![FORM];
    write::length(&mut value, chunks.len() as u64);
    for chunk in chunks {
        write::length(&mut value, chunk.units);
        write::length(&mut value, chunk.shard);
        value.extend_from_slice(&chunk.sum.to_le_bytes());
    }
    let mut out = Vec::with_capacity(value.len() + 2 * UNIT_BYTES);
    write::aux(&mut out, CHUNKS, &value);
    out
}

/// Reads the entries, which must lie between unit 1 and unit `end` with nothing between them.
fn parse_chunks(value: &[u8], end: u64) -> Result<Vec<Chunk>, Fault> {
    let mut reader = Reader::new(value);
    if reader.byte()? != FORM {
        return Err(Fault::Text);
    }
    let count = reader.count(ENTRY_BYTES_MIN)?;
    let mut chunks = Vec::with_capacity(count);
    let mut unit = 1_u64;
    for _ in 0..count {
        let (units, shard) = (reader.length()?, reader.length()?);
        let sum = u64::from_le_bytes(reader.array()?);
        if units == 0 || units > end.saturating_sub(unit) {
            return Err(Fault::TooMuch);
        }
        chunks.push(Chunk { unit, units, shard, sum });
        unit += units;
    }
    reader.end()?;
    if unit == end { Ok(chunks) } else { Err(Fault::Cut) }
}

/// The version of a file, and the place of its index, if it says so.
fn parse_head(block: &[u8]) -> Option<(Version, u64, u64)> {
    let mut parser = Parser::new(None).unchecked();
    parser.feed(block);
    let mut version = None;
    loop {
        match parser.next().ok()?? {
            Item::Version(found) => version = Some(found),
            Item::Aux { name, value } if name == PLACE => {
                let (offset, bytes) = std::str::from_utf8(value).ok()?.split_once(' ')?;
                return Some((version?, offset.parse().ok()?, bytes.parse().ok()?));
            }
            Item::Aux { .. } => {}
            _ => return None,
        }
    }
}

/// The index at this place, and the sum at the end of the file.
fn parse_tail(tail: &[u8], bytes: usize, end: u64) -> Result<(Vec<Chunk>, u64), Fault> {
    let (index, rest) = tail.split_at_checked(bytes).ok_or(Fault::Cut)?;
    let mut reader = Reader::new(index);
    if reader.byte()? != kind::AUX || reader.own_text()? != CHUNKS {
        return Err(Fault::Text);
    }
    let value = reader.own_text()?;
    reader.end()?;
    let mut reader = Reader::new(rest);
    if reader.byte()? != kind::END {
        return Err(Fault::Cut);
    }
    let sum = u64::from_le_bytes(reader.array()?);
    reader.end()?;
    Ok((parse_chunks(&value, end)?, sum))
}

/// The index of a file that this server has written, whole and true; none if another has.
///
/// # Errors
/// It cannot be read, or is damaged.
pub async fn read_index<D: Disk>(
    disk: &D,
    file: &D::File,
    path: &Path,
) -> Result<Option<Index>, Error> {
    let bytes = file.bytes().await?;
    let head = file.read(0, UNIT_BYTES).await?;
    let Some((version, offset, index_bytes)) = parse_head(&head) else { return Ok(None) };
    let damaged = |fault: &str| {
        let text = format!("its index is damaged: {fault}");
        Error::new("load", path, io::Error::new(io::ErrorKind::InvalidData, text))
    };
    let end = offset.checked_add(index_bytes).and_then(|end| end.checked_add(9));
    let units = offset / UNIT_BYTES as u64;
    if index_bytes > units * ENTRY_BYTES_MAX + INDEX_BYTES_MIN {
        return Err(damaged("it is larger than the chunks can need"));
    }
    let aligned = offset.is_multiple_of(UNIT_BYTES as u64) && offset > 0;
    if !aligned || end != Some(bytes) {
        return Err(damaged("the file is not as long as it says"));
    }
    let mut tail = Vec::new();
    while offset + (tail.len() as u64) < bytes {
        let block = file.read(offset + tail.len() as u64, READ_BYTES_MAX).await?;
        if block.is_empty() || !tail.len().is_multiple_of(READ_BYTES_MAX) {
            return Err(damaged("the file became shorter"));
        }
        tail.extend_from_slice(&block);
    }
    let parsed = parse_tail(&tail, index_bytes as usize, offset / UNIT_BYTES as u64);
    let (chunks, told) = parsed.map_err(|fault| damaged(&fault.to_string()))?;
    let is_summed = told != 0;
    if is_summed {
        let body = total(disk, crc::crc(&head), &chunks).await;
        let rest = &tail[..tail.len() - 8];
        if crc::combine(body, crc::crc(rest), rest.len() as u64) != told {
            return Err(damaged("its checksum is wrong"));
        }
    }
    Ok(Some(Index { version, chunks, is_summed, bytes }))
}

/// The checksum of the head and the chunks behind it.
pub(super) async fn total<D: Disk>(disk: &D, head: u64, chunks: &[Chunk]) -> u64 {
    let mut sum = head;
    for turn in chunks.chunks(SUMS_PER_TURN) {
        for chunk in turn {
            sum = crc::combine(sum, chunk.sum, chunk.bytes());
        }
        disk.pause().await;
    }
    sum
}
