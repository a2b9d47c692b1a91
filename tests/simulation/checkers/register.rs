//! Linearizability of one register whose writes all write different values.
//!
//! Source: P. Gibbons, E. Korach, "Testing Shared Memories", SIAM J. Comput. 26 (1997): a value and
//! the reads of it form a zone, between the first that ended and the last that began; the history
//! is linearizable if zones that must follow one another can.

use super::Span;
use std::collections::HashMap;

/// A write, or a read and what it saw; 0 stands for nothing written yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) span: Span,
    pub(crate) value: u64,
    pub(crate) write: bool,
}

/// A value's zone: from `first_end` to `last_begin`.
#[derive(Clone, Copy, Debug)]
struct Zone {
    value: u64,
    first_end: u64,
    last_begin: u64,
}

/// Checks the accesses of one register.
///
/// # Errors
/// A sentence that names the values.
pub(crate) fn check(accesses: &[Access]) -> Result<(), String> {
    let mut zones = HashMap::from([(0, Zone { value: 0, first_end: 0, last_begin: 0 })]);
    let mut sent = HashMap::from([(0, 0)]);
    for write in accesses.iter().filter(|access| access.write) {
        if sent.insert(write.value, write.span.sent).is_some() {
            return Err(format!("{} is written twice", write.value));
        }
        let end = write.span.done.unwrap_or(u64::MAX);
        let zone = Zone { value: write.value, first_end: end, last_begin: write.span.sent };
        zones.insert(write.value, zone);
    }
    for read in accesses.iter().filter(|access| !access.write) {
        let Some(done) = read.span.done else { continue };
        let Some(zone) = zones.get_mut(&read.value) else {
            return Err(format!("{} is read, and was never written", read.value));
        };
        if done < sent[&read.value] {
            return Err(format!("{} is read before it is written", read.value));
        }
        zone.first_end = zone.first_end.min(done);
        zone.last_begin = zone.last_begin.max(read.span.sent);
    }
    let mut forward: Vec<Zone> =
        zones.values().copied().filter(|zone| zone.first_end < zone.last_begin).collect();
    forward.sort_unstable_by_key(|zone| zone.first_end);
    for pair in forward.windows(2) {
        if pair[1].first_end < pair[0].last_begin {
            return Err(format!(
                "{} and {} are each read around the other",
                pair[0].value, pair[1].value
            ));
        }
    }
    for zone in zones.values().filter(|zone| zone.first_end >= zone.last_begin) {
        let at = forward.partition_point(|other| other.first_end < zone.last_begin);
        if let Some(around) = at.checked_sub(1).map(|at| forward[at])
            && zone.first_end < around.last_begin
        {
            return Err(format!("{} stands while {} is written or read", around.value, zone.value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(write: bool, value: u64, sent: u64, done: u64) -> Access {
        Access { span: Span { sent, done: Some(done) }, value, write }
    }

    #[test]
    fn what_could_be_is_let_through() {
        let history = [
            access(false, 0, 1, 2),
            access(true, 1, 3, 10),
            access(false, 0, 4, 5),
            access(false, 1, 6, 7),
            access(true, 2, 8, 9),
            access(false, 2, 11, 12),
        ];
        // 2 may be written after 1 though it ended first.
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        let stale = [access(true, 1, 1, 2), access(true, 2, 3, 4), access(false, 1, 5, 6)];
        let early = [access(false, 1, 1, 2), access(true, 1, 3, 4)];
        let unknown = [access(false, 7, 1, 2)];
        let lost = [access(true, 1, 1, 2), access(false, 0, 3, 4)];
        let back = [
            access(true, 1, 1, 20),
            access(true, 2, 1, 20),
            access(false, 1, 2, 3),
            access(false, 2, 4, 5),
            access(false, 1, 6, 7),
        ];
        for history in [&stale[..], &early, &unknown, &lost, &back] {
            assert!(check(history).is_err(), "{history:?}");
        }
    }
}
