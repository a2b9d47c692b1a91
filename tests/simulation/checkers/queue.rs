//! Queues: nothing is lost, nothing comes twice, and who takes finds the order of who puts.

use super::Span;
use std::collections::{HashMap, HashSet};

/// What happened to queues until they were empty in the end.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Values put in, each once, and when.
    pub(crate) puts: Vec<(u64, Span)>,
    /// Values taken out.
    pub(crate) taken: Vec<u64>,
    /// What each consumer got of each queue, in order, if it is its only one.
    pub(crate) alone: Vec<Vec<u64>>,
    /// Requests to take that were never answered: each may have taken a value.
    pub(crate) unanswered: usize,
}

/// Checks a history.
///
/// # Errors
/// A sentence that names a value.
pub(crate) fn check(history: &History) -> Result<(), String> {
    let puts: HashMap<u64, Span> = history.puts.iter().copied().collect();
    let mut taken = HashSet::new();
    for value in &history.taken {
        if !puts.contains_key(value) {
            return Err(format!("{value} is taken, and was never put"));
        }
        if !taken.insert(*value) {
            return Err(format!("{value} is taken twice"));
        }
    }
    let put = history.puts.iter().filter(|(_, span)| span.done.is_some());
    let missing: Vec<u64> =
        put.map(|(value, _)| *value).filter(|value| !taken.contains(value)).collect();
    if missing.len() > history.unanswered {
        return Err(format!(
            "{missing:?} are lost, where {} requests are unanswered",
            history.unanswered
        ));
    }
    for values in &history.alone {
        for pair in values.windows(2) {
            let (first, second) = (puts[&pair[0]], puts[&pair[1]]);
            if second.done.is_some_and(|done| done < first.sent) {
                return Err(format!("{} comes out before {}", pair[0], pair[1]));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(taken: &[u64]) -> History {
        let puts = (1..=3).map(|at| (at, Span { sent: 10 * at, done: Some(10 * at + 5) }));
        History { puts: puts.collect(), taken: taken.to_vec(), ..History::default() }
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        assert_eq!(check(&history(&[3, 1, 2])), Ok(()));
        assert!(check(&history(&[1, 2])).is_err(), "lost");
        assert!(check(&history(&[1, 2, 3, 3])).is_err(), "doubled");
        assert!(check(&history(&[1, 2, 3, 4])).is_err(), "invented");
        assert_eq!(check(&History { unanswered: 1, ..history(&[1, 2]) }), Ok(()));
        let alone = vec![vec![1, 3, 2]];
        assert!(check(&History { alone, ..history(&[1, 2, 3]) }).is_err(), "out of order");
    }
}
