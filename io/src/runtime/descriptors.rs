//! How many descriptors the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to `wanted`, as far as the hard one allows; returns what it is then.
///
/// # Errors
/// The kernel does not say, or refuses.
pub fn raise_descriptor_limit(wanted: u64) -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let limit = wanted.min(hard);
    if limit <= soft {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard)?;
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_rises_and_never_falls() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_descriptor_limit(0).unwrap(), soft);
        assert_eq!(raise_descriptor_limit(u64::MAX).unwrap(), hard.max(soft));
    }
}
