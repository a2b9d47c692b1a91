//! Transfers between accounts leave the sum as it is, whenever somebody looks.

/// Checks what was seen of all accounts at once.
///
/// # Errors
/// A sentence with the accounts.
pub(crate) fn check(total: i64, reads: &[Vec<i64>]) -> Result<(), String> {
    match reads.iter().find(|accounts| accounts.iter().sum::<i64>() != total) {
        Some(accounts) => Err(format!("{accounts:?} are not {total} together")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn money_out_of_nothing_is_found() {
        assert_eq!(check(10, &[vec![5, 5], vec![10, 0], vec![-1, 11]]), Ok(()));
        assert!(check(10, &[vec![5, 5], vec![5, 4]]).is_err());
    }
}
