//! The longest common subsequence of two strings.
//!
//! The usual table of lengths, of which only two rows are kept. To find the way back, one bit a
//! cell remembers where the longer neighbour was, so that the work is bounded before the memory.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::LCS_CELLS_MAX;
use crate::shard::Scope;
use crate::value::Value;
use pinion_io::resp::Reply;

#[derive(Default)]
struct Options {
    len: bool,
    indexes: bool,
    match_len_min: usize,
    with_match_len: bool,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            if args.is(index, "LEN") {
                options.len = true;
            } else if args.is(index, "IDX") {
                options.indexes = true;
            } else if args.is(index, "WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.is(index, "MINMATCHLEN") && index + 1 < args.len() {
                index += 1;
                options.match_len_min = usize::try_from(args.int(index)?).unwrap_or(0);
            } else {
                return Err(Error::Syntax);
            }
            index += 1;
        }
        if options.len && options.indexes {
            return Err(Error::Text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// Equal runs of both strings: where each begins, and how long they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    first: usize,
    second: usize,
    len: usize,
}

/// A longest common subsequence.
struct Common {
    len: usize,
    /// From the strings' ends to their beginnings.
    runs: Vec<Run>,
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]`
fn lcs(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let mut values = scope.sources(args, 1..=2).into_iter();
    let (mut one, mut two) = (itoa::Buffer::new(), itoa::Buffer::new());
    let first = text(values.next().flatten(), &mut one)?;
    let second = text(values.next().flatten(), &mut two)?;
    let cells = (first.len() + 1).saturating_mul(second.len() + 1);
    let options = Options::parse(args)?;
    if cells > LCS_CELLS_MAX {
        return Err(Error::Text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let common = common(first, second, !options.len);
    if options.len {
        reply.int(common.len as i64);
    } else if options.indexes {
        write_runs(&common, &options, reply);
    } else {
        let parts = common.runs.iter().rev().map(|run| &first[run.first..run.first + run.len]);
        reply.bulk(&parts.collect::<Vec<_>>().concat());
    }
    Ok(())
}

/// The bytes of a string; none where there is no key.
fn text<'a>(value: Option<Value<'a>>, digits: &'a mut itoa::Buffer) -> Result<&'a [u8], Error> {
    let Some(value) = value else { return Ok(&[]) };
    value.text(digits).map_err(|_| Error::Text("ERR The specified keys must contain string values"))
}

fn write_runs(common: &Common, options: &Options, reply: &mut Reply<'_>) {
    let wanted = common.runs.iter().filter(|run| run.len >= options.match_len_min);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(wanted.clone().count());
    for run in wanted {
        reply.array(2 + usize::from(options.with_match_len));
        for start in [run.first, run.second] {
            reply.array(2);
            reply.int(start as i64);
            reply.int((start + run.len - 1) as i64);
        }
        if options.with_match_len {
            reply.int(run.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.int(common.len as i64);
}

/// The longest common subsequence; its runs only where `trace` asks for them. Of several equally
/// long ones, the one Redis finds: going back from the ends, equal bytes are taken at once, and
/// else the first string is shortened only where that leaves strictly more.
fn common(first: &[u8], second: &[u8], trace: bool) -> Common {
    let width = second.len();
    let cells = if trace { first.len() * width } else { 0 };
    let mut shorten_first = vec![0u64; cells.div_ceil(64)];
    let mut above = vec![0u32; width + 1];
    let mut row = vec![0u32; width + 1];
    for (i, &byte) in first.iter().enumerate() {
        for (j, &other) in second.iter().enumerate() {
            row[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(row[j]) };
            if trace && above[j + 1] > row[j] {
                let cell = i * width + j;
                shorten_first[cell / 64] |= 1 << (cell % 64);
            }
        }
        std::mem::swap(&mut above, &mut row);
    }
    let mut runs: Vec<Run> = Vec::new();
    let (mut i, mut j) = if trace { (first.len(), second.len()) } else { (0, 0) };
    while i > 0 && j > 0 {
        if first[i - 1] == second[j - 1] {
            match runs.last_mut() {
                Some(run) if (run.first, run.second) == (i, j) => {
                    *run = Run { first: i - 1, second: j - 1, len: run.len + 1 };
                }
                _ => runs.push(Run { first: i - 1, second: j - 1, len: 1 }),
            }
            (i, j) = (i - 1, j - 1);
        } else {
            let cell = (i - 1) * width + j - 1;
            let first_is_longer = (shorten_first[cell / 64] >> (cell % 64)) & 1 == 1;
            (i, j) = if first_is_longer { (i - 1, j) } else { (i, j - 1) };
        }
    }
    Common { len: above[width] as usize, runs }
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("lcs", -3, Group::String, Plan::gather(lcs))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::range(1, 1, 1, &["RO", "ACCESS"])])
        .about("7.0.0", "Finds the longest common subsequence of two strings")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_manual() {
        let found = common(b"ohmytext", b"mynewtext", true);
        assert_eq!(found.len, 6);
        let wanted = [Run { first: 4, second: 5, len: 4 }, Run { first: 2, second: 0, len: 2 }];
        assert_eq!(found.runs, wanted);
        assert_eq!(common(b"", b"abc", true).len, 0);
    }
}
