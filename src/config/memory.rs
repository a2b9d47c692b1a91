//! Settings of the memory limit, and of what happens there.

use super::flag::{Flag, Refusal, Value, parse_bytes};
use super::settings::Settings;
use crate::process::system_memory;

const I32_MAX: u64 = i32::MAX as u64;

pub(super) const TABLE: &[Flag] = &[
    Flag::new(
        "maxmemory",
        Value::Parsed {
            set: set_memory_limit,
            show: |settings| settings.memory_bytes_max.to_string(),
        },
        "0",
        "Memory limit: bytes, as 2gb, or percent of the machine's memory, as 75%; 0 for none",
    )
    .live(),
    Flag::new(
        "maxmemory_policy",
        Value::Choice(|settings| &mut settings.memory_policy, POLICIES),
        "noeviction",
        "What goes at the memory limit: noeviction, or as allkeys-lru, volatile-ttl",
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

fn set_memory_limit(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.memory_bytes_max = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: u64 = percent.parse().map_err(|_| "argument must be a memory value")?;
            if percent > 100 {
                return Err("percentage argument must be less or equal to 100".into());
            }
            (u128::from(system_memory()) * u128::from(percent) / 100) as u64
        }
        None => parse_bytes(text).ok_or("argument must be a memory value")?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_bytes_or_percent_of_the_machine() {
        let mut settings = Settings::initial();
        for (text, bytes) in [("0", 0), ("3k", 3000), ("2gb", 2 << 30)] {
            assert_eq!(set_memory_limit(&mut settings, text), Ok(()));
            assert_eq!(settings.memory_bytes_max, bytes);
        }
        assert_eq!(set_memory_limit(&mut settings, "50%"), Ok(()));
        assert!(settings.memory_bytes_max.abs_diff(system_memory() / 2) < 2);
        for bad in ["", "x", "101%", "%", "-1"] {
            assert!(set_memory_limit(&mut settings, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_policy_is_known_to_the_shards() {
        for name in POLICIES {
            assert!(pinion_shards::keyspace::Policy::parse(name).is_some(), "{name}");
        }
    }
}
