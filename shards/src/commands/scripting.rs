//! The rows of scripts and functions; `scripts` runs them.

use super::{Flags, Group, KeySpec, Plan, Row};

const KEYS: &[KeySpec] = &[KeySpec::counted(2, 1, &["RW", "ACCESS", "UPDATE"])];
const KEYS_READ: &[KeySpec] = &[KeySpec::counted(2, 1, &["RO", "ACCESS"])];

const fn row(name: &'static str, keys: &'static [KeySpec]) -> Row {
    Row::new(name, -3, Group::Scripting, Plan::Script)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::STALE,
            Flags::SKIP_MONITOR,
            Flags::NO_MANDATORY_KEYS,
            Flags::MOVABLEKEYS,
        ])
        .keys(keys)
}

const fn row_read(name: &'static str) -> Row {
    row(name, KEYS_READ).flags(&[Flags::READONLY])
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    row("eval", KEYS).about("2.6.0", "Runs a script"),
    row("evalsha", KEYS).about("2.6.0", "Runs a script that is known, by its digest"),
    row_read("eval_ro").about("7.0.0", "Runs a script that only reads"),
    row_read("evalsha_ro").about("7.0.0", "Runs a script that is known and only reads"),
    row("fcall", KEYS).about("7.0.0", "Calls a function"),
    row_read("fcall_ro").about("7.0.0", "Calls a function that only reads"),
];
