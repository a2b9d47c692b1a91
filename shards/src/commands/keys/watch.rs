//! WATCH: has an EXEC do nothing if one of these keys changes before it.

use crate::commands::{Flags, Group, KeySpec, Plan, Row};

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("watch", -2, Group::Transactions, Plan::Watch)
        .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ALLOW_BUSY])
        .keys(&[KeySpec::rest(1, 1, &["RO"])])
        .about("2.2.0", "Has the next EXEC run only if these keys stay as they are")];
