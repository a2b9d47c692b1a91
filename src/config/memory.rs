//! Settings of the memory limit, and of what happens there.

use super::flag::{Flag, Refusal, Value, parse_bytes};
use crate::process::system_memory;

const I32_MAX: u64 = i32::MAX as u64;

pub(super) const TABLE: &[Flag] = &[
    Flag::new(
        "maxmemory",
        Value::Memory(|settings| &mut settings.memory_bytes_max),
        "0",
        "Memory limit: bytes, as 2gb, or percent of the machine's memory, as 75%; 0 for none",
    )
    .live(),
    Flag::new(
        "maxmemory_policy",
        Value::Choice(|settings| &mut settings.memory_policy, POLICIES),
        "noeviction",
        "What goes there: noeviction, or allkeys- or volatile- with lru, lrm, lfu, random, ttl",
    )
    .config("maxmemory-policy")
    .live(),
    Flag::new(
        "cache_mode",
        Value::Switch(|settings| &mut settings.cache_mode),
        "no",
        "At the memory limit, evict as a cache does that scans do not sweep out",
    )
    .live(),
    Flag::new(
        "maxmemory_samples",
        Value::Count(|settings| &mut settings.eviction_samples, 1, 64),
        "5",
        "Keys looked at for each that is evicted",
    )
    .config("maxmemory-samples")
    .live()
    .hidden(),
    Flag::new(
        "maxmemory_eviction_tenacity",
        Value::Count(|settings| &mut settings.eviction_tenacity, 0, 100),
        "10",
        "How much is evicted before a command runs, from 0 to 100",
    )
    .config("maxmemory-eviction-tenacity")
    .live()
    .hidden(),
    Flag::new(
        "lfu_log_factor",
        Value::Count(|settings| &mut settings.lfu_log_factor, 0, I32_MAX),
        "10",
        "How slowly counts of use rise",
    )
    .config("lfu-log-factor")
    .live()
    .hidden(),
    Flag::new(
        "lfu_decay_time",
        Value::Count(|settings| &mut settings.lfu_decay_minutes, 0, I32_MAX),
        "1",
        "Minutes after which a count of use falls by one; 0 for never",
    )
    .config("lfu-decay-time")
    .live()
    .hidden(),
];

static POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lrm",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lrm",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

/// An amount of memory, perhaps in percent of the machine's.
pub(super) fn parse_memory(text: &str) -> Result<u64, Refusal> {
    let Some(percent) = text.strip_suffix('%') else {
        return parse_bytes(text).ok_or("argument must be a memory value".into());
    };
    let percent: u64 = percent.parse().map_err(|_| "argument must be a memory value")?;
    if percent > 100 {
        return Err("percentage argument must be less or equal to 100".into());
    }
    Ok((u128::from(system_memory()) * u128::from(percent) / 100) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_bytes_or_percent_of_the_machine() {
        for (text, bytes) in [("0", 0), ("3k", 3000), ("2gb", 2 << 30)] {
            assert_eq!(parse_memory(text), Ok(bytes));
        }
        assert!(parse_memory("50%").unwrap().abs_diff(system_memory() / 2) < 2);
        for bad in ["", "x", "101%", "%", "-1"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_policy_is_known_to_the_shards() {
        for name in POLICIES {
            assert!(pinion_shards::keyspace::Policy::parse(name).is_some(), "{name}");
        }
    }
}
