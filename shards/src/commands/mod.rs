//! The table of commands: every row, found by name.
//!
//! A row stands beside its function in its family's file. Everything said about a command anywhere
//! (COMMAND, ACL categories, key positions, the fuzz dictionary) is derived from its row.

mod args;
mod bits;
mod expiry;
mod geo;
mod hashes;
mod hyperloglog;
mod key_spec;
mod keys;
mod lists;
pub mod memcached;
mod pubsub;
mod row;
mod scanning;
mod scripting;
mod sets;
mod sort;
mod streams;
mod strings;
mod timeout;
mod words;
mod zsets;

pub use args::Args;
pub use args::parse_int;
pub use key_spec::{Access, Begin, Find, KeySpec, Others};
pub use keys::migrate::SENT;
pub use keys::populate::FILLED;
pub use row::{
    ADMINISTRATION, Ask, CONNECTION, DANGEROUS, ELEMENTS, Flags, Group, KEYSPACE, Move, Plan, Row,
    Run, Spread, Try,
};
pub use words::Words;

/// The families, each a table of rows.
static FAMILIES: &[&[Row]] = &[
    pubsub::ROWS,
    scripting::ROWS,
    keys::presence::ROWS,
    keys::moving::ROWS,
    keys::whole::ROWS,
    keys::watch::ROWS,
    keys::object::ROWS,
    keys::debug::ROWS,
    keys::dump::ROWS,
    expiry::ROWS,
    strings::get::ROWS,
    strings::set::ROWS,
    strings::count::ROWS,
    strings::range::ROWS,
    strings::many::ROWS,
    strings::lcs::ROWS,
    strings::digest::ROWS,
    bits::single::ROWS,
    bits::count::ROWS,
    bits::position::ROWS,
    bits::combine::ROWS,
    bits::field::ROWS,
    sort::ROWS,
    lists::push::ROWS,
    lists::pop::ROWS,
    lists::read::ROWS,
    lists::edit::ROWS,
    lists::moving::ROWS,
    lists::many::ROWS,
    lists::wait::ROWS,
    sets::member::ROWS,
    sets::random::ROWS,
    sets::algebra::ROWS,
    zsets::add::ROWS,
    zsets::read::ROWS,
    zsets::random::ROWS,
    zsets::range::ROWS,
    zsets::remove::ROWS,
    zsets::pop::ROWS,
    zsets::combine::ROWS,
    geo::places::ROWS,
    geo::search::ROWS,
    hyperloglog::ROWS,
    streams::add::ROWS,
    streams::range::ROWS,
    streams::delete::ROWS,
    streams::read::ROWS,
    streams::read_group::ROWS,
    streams::group::ROWS,
    streams::pending::ROWS,
    streams::claim::ROWS,
    streams::info::ROWS,
    hashes::read::ROWS,
    hashes::walk::ROWS,
    hashes::random::ROWS,
    hashes::write::ROWS,
    hashes::count::ROWS,
    hashes::expire::ROWS,
    hashes::tell::ROWS,
    hashes::timed::ROWS,
];

/// Every row, families in order.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The row of a command, by its name in any case. Container subcommands are found from their
/// container's row (`Row::subcommand`).
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Row> {
    let mut place = hash(name) % INDEX_LEN;
    loop {
        let (family, row) = INDEX[place]?;
        let row = &FAMILIES[usize::from(family)][usize::from(row)];
        if row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(row);
        }
        place = (place + 1) % INDEX_LEN;
    }
}

/// Places of the index: a power of two, and four times the commands there will ever be, so that
/// a search nearly always ends where it begins.
const INDEX_LEN: usize = 1024;

/// Where the rows are, by the hash of their names: family and row. Built by the compiler.
static INDEX: [Option<(u8, u8)>; INDEX_LEN] = index(FAMILIES);

const fn index(families: &[&[Row]]) -> [Option<(u8, u8)>; INDEX_LEN] {
    let mut index = [None; INDEX_LEN];
    let mut count = 0;
    let mut family = 0;
    while family < families.len() {
        let mut row = 0;
        while row < families[family].len() {
            let mut place = hash(families[family][row].name.as_bytes()) % INDEX_LEN;
            while index[place].is_some() {
                place = (place + 1) % INDEX_LEN;
            }
            index[place] = Some((family as u8, row as u8));
            count += 1;
            row += 1;
        }
        assert!(row <= 256, "a row's number in its family is a byte");
        family += 1;
    }
    assert!(family <= 256, "a family's number is a byte");
    assert!(count <= INDEX_LEN / 2, "a search for a name that is not there ends soon");
    index
}

/// A hash of a name that is the same in any case: FNV-1a over its first bytes, and its length.
const fn hash(name: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ name.len() as u64;
    let mut i = 0;
    while i < name.len() && i < 12 {
        hash = (hash ^ (name[i] | 0x20) as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    (hash >> 20) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        let mut names = HashSet::new();
        for row in rows() {
            assert!(names.insert(row.name), "{} stands in one family only", row.name);
            assert_eq!(row.name, row.name.to_lowercase());
            assert!(!row.summary.is_empty() && !row.summary.ends_with('.'), "{}", row.name);
            for name in [row.name.to_owned(), row.name.to_uppercase()] {
                assert!(std::ptr::eq(find(name.as_bytes()).unwrap(), row), "{name}");
            }
            assert!(find(&row.name.as_bytes()[1..]).is_none_or(|other| other.name != row.name));
            if let Plan::Container(rows) = row.plan {
                for inner in rows {
                    let name = inner.name.split_once('|').unwrap();
                    assert_eq!(name.0, row.name);
                    assert!(std::ptr::eq(row.subcommand(name.1.as_bytes()).unwrap(), inner));
                }
            }
        }
        assert!(find(b"").is_none() && find(b"nosuch").is_none() && find(&[0; 4096]).is_none());
    }
}
