//! The table of commands: every row, found by name.
//!
//! A row stands beside its function in its family's file. Everything said about a command anywhere
//! (COMMAND, ACL categories, key positions, the fuzz dictionary) is derived from its row.

mod args;
mod row;

pub use args::Args;
pub use args::parse_int;
pub use row::{Access, DANGEROUS, Flags, Group, KEYSPACE, KeySpec, Plan, Row, Run};

/// The families, each a table of rows.
static FAMILIES: &[&[Row]] = &[];

/// Every row, families in order.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|family| family.iter())
}
