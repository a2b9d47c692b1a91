//! Causal order: who sees a write sees all that its writer had written before.

/// What a reader saw of one writer's keys, by key. The writer writes 1, 2, 3 and so on, each when
/// the one before is answered, number `n` to key `n % keys`; 0 is a key not yet written.
pub(crate) type Seen = Vec<u64>;

/// Checks what was seen of one writer.
///
/// # Errors
/// A sentence that names the numbers.
pub(crate) fn check(reads: &[Seen]) -> Result<(), String> {
    for seen in reads {
        let keys = seen.len() as u64;
        let newest = seen.iter().copied().max().unwrap_or(0);
        for (key, &value) in seen.iter().enumerate() {
            let key = key as u64;
            if value != 0 && value % keys != key {
                return Err(format!("key {key} holds {value}, which was never written to it"));
            }
            // The last number written to this key up to the newest that was seen.
            let behind = (newest % keys + keys - key) % keys;
            let wanted = newest.saturating_sub(behind);
            if value < wanted {
                return Err(format!(
                    "{newest} is seen, and {wanted} of key {key} is not: {seen:?}"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_gap_is_found() {
        assert_eq!(check(&[vec![0, 0, 0], vec![0, 1, 0], vec![3, 1, 2], vec![3, 4, 2]]), Ok(()));
        assert!(check(&[vec![0, 0, 2]]).is_err());
        assert!(check(&[vec![3, 4, 5], vec![6, 4, 2]]).is_err());
        assert!(check(&[vec![1, 0, 0]]).is_err());
    }
}
