//! Settings that those who operate a server ask for: what is logged and measured.

use super::flag::{Flag, Refusal, Value, parse_bytes};
use super::settings::{Allowed, ClientsMemory, Settings};

const I64_MAX: u64 = i64::MAX as u64;

const fn log_from(
    name: &'static str,
    value: Value,
    default: &'static str,
    meaning: &'static str,
) -> Flag {
    Flag::new(name, value, default, meaning).live().hidden()
}

pub(super) const TABLE: &[Flag] = &[
    Flag::new(
        "enable_debug_command",
        Value::Parsed { set: set_debug, show: |settings| settings.debug_command.name().to_owned() },
        "local",
        "Who may use DEBUG: yes, no, or local",
    )
    .config("enable-debug-command")
    .hidden(),
    Flag::new(
        "enable_protected_configs",
        Value::Parsed {
            set: set_protected,
            show: |settings| settings.protected_configs.name().to_owned(),
        },
        "no",
        "Who may change settings that name files, such as dir: yes, no, or local",
    )
    .config("enable-protected-configs")
    .hidden(),
    log_from(
        "maxmemory_clients",
        Value::Parsed { set: set_clients_memory, show: show_clients_memory },
        "0",
        "Memory of all clients from which the largest are closed: bytes, or percent of maxmemory",
    )
    .config("maxmemory-clients"),
    log_from(
        "busy_reply_threshold",
        Value::Count(|settings| &mut settings.busy_reply_ms, 0, I64_MAX),
        "5000",
        "Milliseconds after which a script makes others hear that the server is busy",
    )
    .config("busy-reply-threshold")
    .earlier("lua-time-limit"),
    log_from(
        "slowlog_log_slower_than",
        Value::Signed(|settings| &mut settings.command_logs[0].from, -1, i64::MAX),
        "10000",
        "Microseconds from which a command is in the slow log; -1 for none",
    )
    .config("slowlog-log-slower-than")
    .earlier("commandlog-execution-slower-than"),
    log_from(
        "slowlog_max_len",
        Value::Count(|settings| &mut settings.command_logs[0].len_max, 0, I64_MAX),
        "128",
        "Entries of the slow log, at most",
    )
    .config("slowlog-max-len")
    .earlier("commandlog-slow-execution-max-len"),
    log_from(
        "commandlog_request_larger_than",
        Value::Signed(|settings| &mut settings.command_logs[1].from, -1, i64::MAX),
        "1048576",
        "Bytes from which a request is in the log of large requests; -1 for none",
    )
    .config("commandlog-request-larger-than"),
    log_from(
        "commandlog_large_request_max_len",
        Value::Count(|settings| &mut settings.command_logs[1].len_max, 0, I64_MAX),
        "128",
        "Entries of the log of large requests, at most",
    )
    .config("commandlog-large-request-max-len"),
    log_from(
        "commandlog_reply_larger_than",
        Value::Signed(|settings| &mut settings.command_logs[2].from, -1, i64::MAX),
        "1048576",
        "Bytes from which a reply is in the log of large replies; -1 for none",
    )
    .config("commandlog-reply-larger-than"),
    log_from(
        "commandlog_large_reply_max_len",
        Value::Count(|settings| &mut settings.command_logs[2].len_max, 0, I64_MAX),
        "128",
        "Entries of the log of large replies, at most",
    )
    .config("commandlog-large-reply-max-len"),
    log_from(
        "latency_monitor_threshold",
        Value::Count(|settings| &mut settings.latency_threshold_ms, 0, I64_MAX),
        "0",
        "Milliseconds from which an event is a spike; 0 for never",
    )
    .config("latency-monitor-threshold"),
    Flag::new(
        "latency_tracking",
        Value::Switch(|settings| &mut settings.latency_tracking),
        "yes",
        "Keep histograms of how long each command takes",
    )
    .config("latency-tracking")
    .live(),
    log_from(
        "latency_tracking_info_percentiles",
        Value::Parsed { set: set_percentiles, show: show_percentiles },
        "50 99 99.9",
        "What INFO tells of these histograms, in percent",
    )
    .config("latency-tracking-info-percentiles"),
];

fn allowed(text: &str) -> Result<Allowed, Refusal> {
    let refusal = "argument(s) must be one of the following: no, yes, local";
    Allowed::parse(text).ok_or(refusal.into())
}

fn set_debug(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.debug_command = allowed(text)?;
    Ok(())
}

fn set_protected(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.protected_configs = allowed(text)?;
    Ok(())
}

fn set_clients_memory(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.clients_memory = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: u64 =
                percent.parse().map_err(|_| "argument must be a memory or percent value")?;
            if percent > 100 {
                return Err("percentage argument must be less or equal to 100".into());
            }
            ClientsMemory::Percent(percent)
        }
        None => ClientsMemory::Bytes(
            parse_bytes(text).ok_or("argument must be a memory or percent value")?,
        ),
    };
    Ok(())
}

fn show_clients_memory(settings: &Settings) -> String {
    match settings.clients_memory {
        ClientsMemory::Bytes(bytes) => bytes.to_string(),
        ClientsMemory::Percent(percent) => format!("{percent}%"),
    }
}

fn set_percentiles(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let percentile = |word: &str| match word.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        Ok(_) => Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
        Err(_) => Err("Invalid latency-tracking-info-percentiles parameters"),
    };
    settings.latency_percentiles =
        text.split_whitespace().map(percentile).collect::<Result<_, _>>()?;
    Ok(())
}

fn show_percentiles(settings: &Settings) -> String {
    let percentiles: Vec<_> = settings.latency_percentiles.iter().map(f64::to_string).collect();
    percentiles.join(" ")
}
