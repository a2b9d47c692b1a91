//! Strict serialisability of transactions that append to lists and read them.
//!
//! Source: K. Kingsbury, P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations", VLDB 2020. A list shows the order of its appends, so reads tell which transaction
//! came before which; together with real time these orders must have no cycle.

use super::Span;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// What a transaction does to one list. Every value is appended once in a history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Appends a value to a list.
    Append(u32, u64),
    /// Reads a list whole.
    Read(u32, Vec<u64>),
}

/// A transaction; if it was not answered, with its appends only.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// Who asked for it: one that asks before it hears is served in the order in which it asked,
    /// for each list.
    pub(crate) session: usize,
    pub(crate) span: Span,
    pub(crate) steps: Vec<Step>,
}

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// It appended what the other found.
    Read,
    /// It appended just before the other.
    Append,
    /// It did not find what the other appended.
    Missed,
    /// It was answered before the other was sent.
    Time,
    /// The same client sent it before the other.
    Session,
}

/// The transactions that come after each.
type Graph = Vec<Vec<(u32, Why)>>;

/// Checks a history.
///
/// # Errors
/// A sentence that names the transactions by index.
pub(crate) fn check(history: &[Transaction]) -> Result<(), String> {
    let orders = orders(history)?;
    let writers = writers(history)?;
    let mut graph: Graph = vec![Vec::new(); history.len()];
    for (key, order) in &orders {
        for pair in order.windows(2) {
            let (one, other) = (writer(&writers, *key, pair[0])?, writer(&writers, *key, pair[1])?);
            edge(&mut graph, one, other, Why::Append);
        }
    }
    for (index, transaction) in history.iter().enumerate() {
        let mut own: HashMap<u32, Vec<u64>> = HashMap::new();
        for step in &transaction.steps {
            match step {
                Step::Append(key, value) => own.entry(*key).or_default().push(*value),
                Step::Read(key, values) => {
                    let mine = own.get(key).map_or(&[][..], Vec::as_slice);
                    if !values.ends_with(mine) {
                        return Err(format!("{index} does not find its own appends to {key}"));
                    }
                    let found = &values[..values.len() - mine.len()];
                    let later = transaction.steps.iter().filter_map(|step| match step {
                        Step::Append(its, value) if its == key => Some(value),
                        _ => None,
                    });
                    if later.skip(mine.len()).any(|value| values.contains(value)) {
                        return Err(format!("{index} finds what it has yet to append to {key}"));
                    }
                    if let Some(last) = found.last() {
                        edge(&mut graph, writer(&writers, *key, *last)?, index as u32, Why::Read);
                    }
                    let order = orders.get(key).map_or(&[][..], Vec::as_slice);
                    if let Some(next) = order.get(values.len()) {
                        edge(&mut graph, index as u32, writer(&writers, *key, *next)?, Why::Missed);
                    }
                }
            }
        }
    }
    unseen(history, &orders, &mut graph);
    lost(history, &orders)?;
    add_time(history, &mut graph);
    add_sessions(history, &mut graph)?;
    match cycle(&graph) {
        Some(cycle) => Err(format!("a cycle: {}", tell(&cycle, &graph))),
        None => Ok(()),
    }
}

fn edge(graph: &mut Graph, from: u32, to: u32, why: Why) {
    if from != to {
        graph[from as usize].push((to, why));
    }
}

/// The order of appends of each list: its longest read, of which all others are beginnings.
fn orders(history: &[Transaction]) -> Result<HashMap<u32, Vec<u64>>, String> {
    let mut orders: HashMap<u32, &Vec<u64>> = HashMap::new();
    let reads = || {
        history.iter().enumerate().flat_map(|(index, transaction)| {
            transaction.steps.iter().filter_map(move |step| match step {
                Step::Read(key, values) => Some((index, *key, values)),
                Step::Append(..) => None,
            })
        })
    };
    for (_, key, values) in reads() {
        let longest = orders.entry(key).or_insert(values);
        if values.len() > longest.len() {
            *longest = values;
        }
    }
    for (index, key, values) in reads() {
        if !orders[&key].starts_with(values) {
            return Err(format!("{index} reads {key} in another order: {values:?}"));
        }
    }
    Ok(orders.into_iter().map(|(key, values)| (key, values.clone())).collect())
}

/// Who appended what.
fn writers(history: &[Transaction]) -> Result<HashMap<(u32, u64), u32>, String> {
    let mut writers = HashMap::new();
    for (index, transaction) in history.iter().enumerate() {
        for step in &transaction.steps {
            if let Step::Append(key, value) = step
                && writers.insert((*key, *value), index as u32).is_some()
            {
                return Err(format!("{value} is appended to {key} twice, also by {index}"));
            }
        }
    }
    Ok(writers)
}

fn writer(writers: &HashMap<(u32, u64), u32>, key: u32, value: u64) -> Result<u32, String> {
    writers.get(&(key, value)).copied().ok_or(format!("{key} holds {value}, which nobody appended"))
}

/// Orders appends that were acknowledged and that no read shows: they came after what is known of
/// their list, and after all who read that.
fn unseen(history: &[Transaction], orders: &HashMap<u32, Vec<u64>>, graph: &mut Graph) {
    let mut ends: HashMap<u32, Vec<u32>> = HashMap::new();
    let full = |key: &u32, len: usize| orders.get(key).is_some_and(|order| order.len() == len);
    for (index, transaction) in history.iter().enumerate() {
        for step in &transaction.steps {
            match step {
                Step::Read(key, values) if full(key, values.len()) => {
                    ends.entry(*key).or_default().push(index as u32);
                }
                _ => {}
            }
        }
    }
    for (index, transaction) in history.iter().enumerate() {
        for step in &transaction.steps {
            if let Step::Append(key, value) = step
                && transaction.span.done.is_some()
                && !orders.get(key).is_some_and(|order| order.contains(value))
            {
                for reader in ends.get(key).into_iter().flatten() {
                    edge(graph, *reader, index as u32, Why::Missed);
                }
            }
        }
    }
}

/// Finds doubled elements, and appends that were acknowledged and that no later read shows.
fn lost(history: &[Transaction], orders: &HashMap<u32, Vec<u64>>) -> Result<(), String> {
    let mut places: HashMap<(u32, u64), usize> = HashMap::new();
    for (key, order) in orders {
        for (place, value) in order.iter().enumerate() {
            if places.insert((*key, *value), place).is_some() {
                return Err(format!("{key} holds {value} twice"));
            }
        }
    }
    // The last read of each list to begin, which must show all that was there before.
    let mut last: HashMap<u32, u64> = HashMap::new();
    for transaction in history {
        for step in &transaction.steps {
            if let Step::Read(key, _) = step {
                let sent = last.entry(*key).or_default();
                *sent = transaction.span.sent.max(*sent);
            }
        }
    }
    for (index, transaction) in history.iter().enumerate() {
        let Some(done) = transaction.span.done else { continue };
        for step in &transaction.steps {
            if let Step::Append(key, value) = step
                && last.get(key).is_some_and(|sent| done < *sent)
                && !places.contains_key(&(*key, *value))
            {
                return Err(format!("{value}, appended to {key} by {index}, is lost"));
            }
        }
    }
    Ok(())
}

/// Adds the edges of real time, without those that others imply.
fn add_time(history: &[Transaction], graph: &mut Graph) {
    let mut events: Vec<(u64, bool, u32)> = Vec::with_capacity(history.len() * 2);
    for (index, transaction) in history.iter().enumerate() {
        events.push((transaction.span.sent, false, index as u32));
        if let Some(done) = transaction.span.done {
            events.push((done, true, index as u32));
        }
    }
    // What is sent and done at one instant is not ordered.
    events.sort_unstable();
    let mut frontier: VecDeque<u32> = VecDeque::new();
    for (_, done, index) in events {
        if done {
            let sent = history[index as usize].span.sent;
            // Those done before this was sent come before all that it comes before.
            frontier.retain(|other| history[*other as usize].span.done >= Some(sent));
            frontier.push_back(index);
        } else {
            for other in &frontier {
                edge(graph, *other, index, Why::Time);
            }
        }
    }
}

/// Who asked for which list, when, in which transaction, and how much of it was read.
type Asked = ((usize, u32), u64, u32, Option<usize>);

/// Adds the order in which each client asked for the same list, where one of two requests changes
/// it: what it sends without waiting may be done side by side where it concerns different ones.
///
/// # Errors
/// A sentence if a client saw less of a list than it had seen before.
fn add_sessions(history: &[Transaction], graph: &mut Graph) -> Result<(), String> {
    let mut steps: Vec<Asked> = Vec::new();
    for (index, asked) in history.iter().enumerate() {
        for step in &asked.steps {
            let (key, read) = match step {
                Step::Append(key, _) => (*key, None),
                Step::Read(key, values) => (*key, Some(values.len())),
            };
            steps.push(((asked.session, key), asked.span.sent, index as u32, read));
        }
    }
    steps.sort_unstable_by_key(|&(whose, sent, ..)| (whose, sent));
    for list in steps.chunk_by(|one, other| one.0 == other.0) {
        let (mut last, mut readers, mut seen) = (None, Vec::new(), (0, 0));
        for &(_, sent, index, read) in list {
            // What was sent at one instant is one transaction.
            match read {
                Some(len) => {
                    if len < seen.1 && seen.0 < sent {
                        return Err(format!("{index} sees less than its client had seen"));
                    }
                    seen = (sent, seen.1.max(len));
                    readers.push(index);
                    last.into_iter().for_each(|last| edge(graph, last, index, Why::Session));
                }
                None => {
                    readers.drain(..).chain(last).for_each(|before| {
                        edge(graph, before, index, Why::Session);
                    });
                    last = Some(index);
                }
            }
        }
    }
    Ok(())
}

/// A cycle, if there is one: depth first, without recursion.
fn cycle(graph: &Graph) -> Option<Vec<u32>> {
    const NEW: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut state = vec![NEW; graph.len()];
    let mut path: Vec<(u32, usize)> = Vec::new();
    for start in 0..graph.len() as u32 {
        if state[start as usize] != NEW {
            continue;
        }
        path.push((start, 0));
        state[start as usize] = OPEN;
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(&(to, _)) = graph[node as usize].get(*next) else {
                state[node as usize] = DONE;
                path.pop();
                continue;
            };
            *next += 1;
            match state[to as usize] {
                NEW => {
                    state[to as usize] = OPEN;
                    path.push((to, 0));
                }
                OPEN => {
                    let from = path.iter().position(|&(node, _)| node == to);
                    let nodes = path[from.unwrap_or_default()..].iter().map(|&(node, _)| node);
                    return Some(shorten(graph, &nodes.collect::<Vec<_>>()));
                }
                _ => {}
            }
        }
    }
    None
}

/// A shortest cycle through one node of this one.
fn shorten(graph: &Graph, cycle: &[u32]) -> Vec<u32> {
    let start = cycle[0];
    let mut from: HashMap<u32, u32> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &(to, _) in &graph[node as usize] {
            if to == start {
                let mut nodes = vec![node];
                while nodes[nodes.len() - 1] != start {
                    nodes.push(from[&nodes[nodes.len() - 1]]);
                }
                nodes.reverse();
                return nodes;
            }
            if let Entry::Vacant(place) = from.entry(to) {
                place.insert(node);
                queue.push_back(to);
            }
        }
    }
    cycle.to_vec()
}

fn tell(cycle: &[u32], graph: &Graph) -> String {
    let mut text = String::new();
    for (at, node) in cycle.iter().enumerate() {
        let next = cycle[(at + 1) % cycle.len()];
        let why = graph[*node as usize].iter().find(|(to, _)| *to == next).map(|(_, why)| *why);
        text += &match why {
            Some(Why::Read) => format!("{next} reads what {node} appended; "),
            Some(Why::Append) => format!("{next} appends behind {node}; "),
            Some(Why::Missed) => format!("{node} does not see what {next} appended; "),
            Some(Why::Session) => format!("{node} was sent before {next} by the same client; "),
            _ => format!("{node} was answered before {next} was sent; "),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Append, Read};

    fn transaction(sent: u64, done: u64, steps: Vec<Step>) -> Transaction {
        // Whatever overlaps comes from different clients.
        let session = (sent * 100 + done) as usize + steps.len() * 7;
        Transaction { session, span: Span { sent, done: Some(done) }, steps }
    }

    #[test]
    fn what_could_be_is_let_through() {
        let history = [
            transaction(1, 5, vec![Append(1, 1), Append(2, 1)]),
            transaction(2, 6, vec![Append(1, 2), Read(2, vec![1])]),
            transaction(3, 4, vec![Read(1, vec![]), Read(2, vec![])]),
            transaction(7, 8, vec![Read(1, vec![1, 2]), Append(1, 3), Read(1, vec![1, 2, 3])]),
            Transaction {
                session: 0,
                span: Span { sent: 1, done: None },
                steps: vec![Append(1, 9)],
            },
        ];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        let torn = vec![
            transaction(1, 9, vec![Append(1, 1), Append(2, 1)]),
            transaction(1, 9, vec![Read(1, vec![1]), Read(2, vec![])]),
            transaction(10, 11, vec![Read(2, vec![1])]),
        ];
        let skew = vec![
            transaction(1, 9, vec![Read(1, vec![]), Append(2, 1)]),
            transaction(1, 9, vec![Read(2, vec![]), Append(1, 1)]),
            transaction(10, 11, vec![Read(1, vec![1]), Read(2, vec![1])]),
        ];
        let stale = vec![
            transaction(1, 2, vec![Append(1, 1)]),
            transaction(3, 4, vec![Read(1, vec![])]),
            transaction(5, 6, vec![Read(1, vec![1])]),
        ];
        let lost =
            vec![transaction(1, 2, vec![Append(1, 1)]), transaction(3, 4, vec![Read(1, vec![])])];
        let forked = vec![
            transaction(1, 2, vec![Append(1, 1), Append(1, 2)]),
            transaction(3, 4, vec![Read(1, vec![1, 2])]),
            transaction(3, 4, vec![Read(1, vec![2])]),
        ];
        let doubled = vec![
            transaction(1, 2, vec![Append(1, 1)]),
            transaction(3, 4, vec![Read(1, vec![1, 1])]),
        ];
        let invented = vec![transaction(3, 4, vec![Read(1, vec![4])])];
        let own = vec![transaction(3, 4, vec![Append(1, 1), Read(1, vec![])])];
        let ahead = vec![transaction(3, 4, vec![Read(1, vec![1]), Append(1, 1)])];
        let unseen = vec![
            transaction(1, 9, vec![Read(1, vec![]), Append(2, 1)]),
            transaction(1, 9, vec![Read(2, vec![]), Append(1, 1)]),
        ];
        for history in [torn, skew, stale, lost, forked, doubled, invented, own, ahead, unseen] {
            assert!(check(&history).is_err(), "{history:?}");
        }
    }

    #[test]
    fn a_client_is_served_in_order() {
        let asked = |session, sent, steps| Transaction {
            session,
            span: Span { sent, done: Some(20) },
            steps,
        };
        let writer = asked(1, 1, vec![Append(1, 1)]);
        let ahead = asked(2, 2, vec![Read(1, vec![1])]);
        let behind = asked(2, 3, vec![Read(1, vec![])]);
        let error = check(&[writer.clone(), ahead.clone(), behind.clone()]).unwrap_err();
        assert!(error.contains("less than its client had seen"), "{error}");
        let first = asked(4, 1, vec![Append(1, 2)]);
        let second = asked(4, 2, vec![Append(1, 3)]);
        let reader = asked(5, 3, vec![Read(1, vec![3, 2])]);
        let error = check(&[first, second, reader]).unwrap_err();
        assert!(error.contains("by the same client"), "{error}");
        assert_eq!(check(&[writer, ahead, Transaction { session: 3, ..behind }]), Ok(()));
    }

    #[test]
    fn real_time_is_kept_across_lists() {
        // 1 then 2, by time alone; a reader sees 2 and not 1.
        let history = [
            transaction(1, 2, vec![Append(1, 1)]),
            transaction(3, 4, vec![Append(2, 2)]),
            transaction(1, 9, vec![Read(1, vec![]), Read(2, vec![2])]),
            transaction(10, 11, vec![Read(1, vec![1])]),
        ];
        let error = check(&history).unwrap_err();
        assert!(error.contains("was answered before"), "{error}");
    }
}
