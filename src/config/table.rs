//! The table of flags: every setting once, with its names, bounds, default and meaning.

use super::flag::{Flag, Refusal, Value, parse_bytes};
use super::settings::{BufferLimit, Pin, Settings};
use super::{kept, memory, operation, snapshots, tls};
use crate::commands::Renames;
use pinion_shards::keyspace::Class;
use pinion_shards::limits::{DATABASES_MAX, SHARDS_MAX, STRING_BYTES_MAX};
use pinion_shards::route::Prefix;

const MIB: u64 = 1 << 20;
const U32_MAX: u64 = u32::MAX as u64;
const I32_MAX: u64 = i32::MAX as u64;
const SIZE_MAX: usize = i64::MAX as usize;

/// Every setting, by subject.
pub static FLAGS: &[Flag] = &join::<FLAG_COUNT>(TABLES);

const TABLES: &[&[Flag]] =
    &[TABLE, memory::TABLE, tls::TABLE, snapshots::TABLE, operation::TABLE, kept::TABLE];
const FLAG_COUNT: usize = count(TABLES);

const fn count(tables: &[&[Flag]]) -> usize {
    let (mut table, mut count) = (0, 0);
    while table < tables.len() {
        count += tables[table].len();
        table += 1;
    }
    count
}

const fn join<const LEN: usize>(tables: &[&[Flag]]) -> [Flag; LEN] {
    let mut flags = [tables[0][0]; LEN];
    let (mut table, mut count) = (0, 0);
    while table < tables.len() {
        let mut index = 0;
        while index < tables[table].len() {
            flags[count] = tables[table][index];
            index += 1;
            count += 1;
        }
        table += 1;
    }
    assert!(count == LEN, "every flag has a place");
    flags
}

const TABLE: &[Flag] = &[
    // Where clients come in.
    Flag::new(
        "port",
        Value::Parsed { set: set_port, show: |settings| settings.port.to_string() },
        "6379",
        "TCP port; 0 for none, -1 for any free one, which is printed",
    ),
    Flag::new(
        "bind",
        Value::Parsed { set: set_bind, show: |settings| settings.bind.join(" ") },
        "",
        "Addresses to listen on, with spaces or commas between; all of this machine's if empty",
    ),
    Flag::new(
        "unixsocket",
        Value::Text(|settings| &mut settings.unixsocket),
        "",
        "Path of a unix socket to listen on as well",
    ),
    Flag::new(
        "unixsocketperm",
        Value::Parsed { set: set_unixsocket_mode, show: show_unixsocket_mode },
        "0",
        "Permissions of the unix socket, in octal; 0 leaves them to the umask",
    ),
    Flag::new(
        "tcp_backlog",
        Value::Count(|settings| &mut settings.tcp_backlog, 1, 65_535),
        "511",
        "Connections that may wait to be accepted",
    )
    .config("tcp-backlog"),
    Flag::new(
        "tcp_keepalive",
        Value::Count(|settings| &mut settings.tcp_keepalive, 0, I32_MAX),
        "300",
        "Seconds without traffic until a client's connection is probed; 0 for never",
    )
    .config("tcp-keepalive")
    .live(),
    Flag::new(
        "timeout",
        Value::Count(|settings| &mut settings.timeout, 0, I32_MAX),
        "0",
        "Seconds until an idle client is closed; 0 for never",
    )
    .live(),
    Flag::new(
        "maxclients",
        Value::Count(|settings| &mut settings.clients_max, 1, U32_MAX),
        "64000",
        "Most clients at once",
    )
    .live(),
    // Who may come in.
    Flag::new(
        "requirepass",
        Value::Text(|settings| &mut settings.password),
        "",
        "Password that clients must give; also read from the environment, DFLY_PASSWORD",
    )
    .live(),
    Flag::new(
        "aclfile",
        Value::Text(|settings| &mut settings.acl_file),
        "",
        "File of users to read at start, and for ACL LOAD and ACL SAVE",
    ),
    Flag::new(
        "acllog_max_len",
        Value::Count(|settings| &mut settings.acl_log_len_max, 0, i64::MAX as u64),
        "128",
        "Entries of ACL LOG, at most",
    )
    .config("acllog-max-len")
    .live(),
    Flag::new(
        "acl_pubsub_default",
        Value::Choice(|settings| &mut settings.acl_pubsub_default, CHANNELS),
        "resetchannels",
        "Channels that a new user may use: allchannels or resetchannels",
    )
    .config("acl-pubsub-default")
    .live()
    .hidden(),
    Flag::new(
        "protected_mode",
        Value::Switch(|settings| &mut settings.protected_mode),
        "yes",
        "Refuse clients from other machines while there is no password",
    )
    .config("protected-mode")
    .live(),
    Flag::new(
        "primary_port_http_enabled",
        Value::Switch(|settings| &mut settings.http),
        "yes",
        "Answer HTTP on the main port: a page at /, figures at /metrics, and /healthz",
    ),
    Flag::new(
        "memcached_port",
        Value::Count(|settings| &mut settings.memcached_port, 0, 65_535),
        "0",
        "TCP port for memcached's text protocol, over database 0; 0 for none",
    ),
    Flag::new(
        "rename_command",
        Value::Parsed { set: set_renames, show: show_renames },
        "",
        "Commands under other names, such as GET=FETCH,FLUSHALL= (none for that)",
    )
    .config("rename-command")
    .unlisted(),
    // What a client may ask for.
    Flag::new(
        "max_bulk_len",
        Value::Bytes(|settings| &mut settings.bulk_bytes_max, MIB, STRING_BYTES_MAX as u64),
        "512mb",
        "Longest argument of a request, and longest string",
    )
    .config("proto-max-bulk-len")
    .live(),
    Flag::new(
        "client_query_buffer_limit",
        Value::Bytes(|settings| &mut settings.query_buffer_bytes_max, MIB, i64::MAX as u64),
        "1gb",
        "Most memory for a client's requests under way",
    )
    .config("client-query-buffer-limit")
    .live(),
    Flag::new(
        "client_output_buffer_limit",
        Value::Parsed { set: set_output_limits, show: show_output_limits },
        "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
        "Replies that may wait for a client: class, hard limit, soft limit, its seconds; repeated",
    )
    .config("client-output-buffer-limit")
    .live(),
    // The keyspace.
    Flag::new(
        "colocate",
        Value::Parsed { set: set_colocate, show: |settings| settings.colocate.join(",") },
        "",
        "First bytes of keys that go to one core, such as bull:{queue}: for BullMQ; repeated",
    ),
    Flag::new(
        "dbnum",
        Value::Count(|settings| &mut settings.databases, 1, DATABASES_MAX as u64),
        "16",
        "Databases",
    )
    .config("databases"),
    Flag::new("appendonly", Value::Constant("no"), "no", "An append-only file; not in this build")
        .hidden()
        .live(),
    Flag::new(
        "aof_use_rdb_preamble",
        Value::Constant("yes"),
        "yes",
        "How an append-only file begins; there is none in this build",
    )
    .config("aof-use-rdb-preamble")
    .hidden()
    .live(),
    Flag::new(
        "appendfsync",
        Value::Constant("everysec"),
        "everysec",
        "When an append-only file reaches the disk; there is none in this build",
    )
    .hidden()
    .live(),
    // How values are kept.
    Flag::new(
        "list_max_listpack_size",
        Value::Parsed { set: set_list_node, show: show_list_node },
        "-2",
        "Size of a node of a list: elements, or -1 to -5 for 4 to 64 KiB",
    )
    .config("list-max-listpack-size")
    .earlier("list-max-ziplist-size")
    .live()
    .hidden(),
    Flag::new(
        "hash_max_listpack_entries",
        Value::Size(|settings| &mut settings.encodings.hash_max_listpack_entries, 0, SIZE_MAX),
        "512",
        "Fields of a hash kept packed, at most",
    )
    .config("hash-max-listpack-entries")
    .earlier("hash-max-ziplist-entries")
    .live()
    .hidden(),
    Flag::new(
        "hash_max_listpack_value",
        Value::Size(|settings| &mut settings.encodings.hash_max_listpack_value, 0, SIZE_MAX),
        "64",
        "Bytes of a field or value of a hash kept packed, at most",
    )
    .config("hash-max-listpack-value")
    .earlier("hash-max-ziplist-value")
    .live()
    .hidden(),
    Flag::new(
        "list_compress_depth",
        Value::Size(|settings| &mut settings.encodings.list_compress_depth, 0, SIZE_MAX),
        "0",
        "Nodes at each end of a list not to compress; nothing is compressed",
    )
    .config("list-compress-depth")
    .live()
    .hidden(),
    Flag::new(
        "set_max_intset_entries",
        Value::Size(|settings| &mut settings.encodings.set_max_intset_entries, 0, SIZE_MAX),
        "512",
        "Integers of a set kept sorted in one piece, at most",
    )
    .config("set-max-intset-entries")
    .live()
    .hidden(),
    Flag::new(
        "set_max_listpack_entries",
        Value::Size(|settings| &mut settings.encodings.set_max_listpack_entries, 0, SIZE_MAX),
        "128",
        "Members of a set kept packed, at most",
    )
    .config("set-max-listpack-entries")
    .live()
    .hidden(),
    Flag::new(
        "set_max_listpack_value",
        Value::Size(|settings| &mut settings.encodings.set_max_listpack_value, 0, SIZE_MAX),
        "64",
        "Bytes of a member of a set kept packed, at most",
    )
    .config("set-max-listpack-value")
    .live()
    .hidden(),
    Flag::new(
        "zset_max_listpack_entries",
        Value::Size(|settings| &mut settings.encodings.zset_max_listpack_entries, 0, SIZE_MAX),
        "128",
        "Members of a sorted set kept packed, at most",
    )
    .config("zset-max-listpack-entries")
    .earlier("zset-max-ziplist-entries")
    .live()
    .hidden(),
    Flag::new(
        "zset_max_listpack_value",
        Value::Size(|settings| &mut settings.encodings.zset_max_listpack_value, 0, SIZE_MAX),
        "64",
        "Bytes of a member of a sorted set kept packed, at most",
    )
    .config("zset-max-listpack-value")
    .earlier("zset-max-ziplist-value")
    .live()
    .hidden(),
    Flag::new(
        "stream_node_max_bytes",
        Value::Size(|settings| &mut settings.encodings.stream_node_max_bytes, 0, SIZE_MAX),
        "4096",
        "Bytes of a node of a stream; 0 for no limit",
    )
    .config("stream-node-max-bytes")
    .live()
    .hidden(),
    Flag::new(
        "stream_node_max_entries",
        Value::Size(|settings| &mut settings.encodings.stream_node_max_entries, 0, SIZE_MAX),
        "100",
        "Entries of a node of a stream; 0 for no limit",
    )
    .config("stream-node-max-entries")
    .live()
    .hidden(),
    Flag::new(
        "hll_sparse_max_bytes",
        Value::Size(|settings| &mut settings.encodings.hll_sparse_max_bytes, 0, SIZE_MAX),
        "3000",
        "Bytes of a sparse HyperLogLog, at most",
    )
    .config("hll-sparse-max-bytes")
    .live()
    .hidden(),
    Flag::new(
        "notify_keyspace_events",
        Value::Parsed { set: set_notify, show: |settings| settings.notify.letters() },
        "",
        "Events of keys that are published, by the letters of their classes; KEA for nearly all",
    )
    .config("notify-keyspace-events")
    .live(),
    Flag::new(
        "tracking_table_max_keys",
        Value::Count(|settings| &mut settings.tracked_keys_max, 0, i64::MAX as u64),
        "1000000",
        "Keys of clients that cache what they read, remembered at most; 0 for any number",
    )
    .config("tracking-table-max-keys")
    .live()
    .hidden(),
    // Cores.
    Flag::new(
        "proactor_threads",
        Value::Count(|settings| &mut settings.threads, 0, SHARDS_MAX as u64),
        "0",
        "Serving threads, each with a shard; 0 for one a core (short form: --threads)",
    )
    .alias("threads"),
    Flag::new(
        "cores",
        Value::Parsed { set: set_cores, show: show_cores },
        "",
        "Cores to serve on, such as 0,2-3; all that are allowed if empty",
    ),
    Flag::new(
        "pin",
        Value::Parsed { set: set_pin, show: show_pin },
        "auto",
        "Keep threads on their cores: always, never, or auto (while no other program competes)",
    ),
    Flag::new(
        "borrow",
        Value::Switch(|settings| &mut settings.borrow),
        "yes",
        "Run a parked neighbour's work oneself; off only to measure what it gains",
    )
    .hidden(),
    // The log.
    Flag::new(
        "log_dir",
        Value::Text(|settings| &mut settings.log_dir),
        "",
        "Directory of log files, a new one each day; stderr only if empty",
    ),
    Flag::new(
        "logtostderr",
        Value::Switch(|settings| &mut settings.log_to_stderr),
        "no",
        "Log to stderr only, whatever log_dir says",
    ),
    Flag::new(
        "minloglevel",
        Value::Count(|settings| &mut settings.log_level_min, 0, 3),
        "0",
        "Least that is logged: 0 all, 1 warnings and errors, 2 errors, 3 nothing",
    ),
];

static CHANNELS: &[&str] = &["allchannels", "resetchannels"];

fn set_port(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let port = text.parse().ok().filter(|port| (-1..=65_535).contains(port));
    settings.port = port.ok_or("argument must be between -1 and 65535 inclusive")?;
    Ok(())
}

fn set_bind(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    settings.bind = words.map(str::to_owned).collect();
    Ok(())
}

fn set_colocate(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        settings.colocate.clear();
    }
    for pattern in text.split(',').filter(|pattern| !pattern.is_empty()) {
        Prefix::parse(pattern)
            .ok_or("argument must be the first bytes of keys, with one {name} and what ends it")?;
        settings.colocate.push(pattern.to_owned());
    }
    Ok(())
}

fn set_renames(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let mut renames = Renames::default();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, to) = pair.split_once('=').ok_or("argument must be a list such as GET=FETCH")?;
        renames.add(name.trim(), to.trim())?;
    }
    settings.renames = renames;
    Ok(())
}

fn show_renames(settings: &Settings) -> String {
    let pairs = settings.renames.pairs();
    pairs.iter().map(|(name, to)| format!("{name}={to}")).collect::<Vec<_>>().join(",")
}

fn set_unixsocket_mode(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let mode = if text.is_empty() { Some(0) } else { u32::from_str_radix(text, 8).ok() };
    let mode = mode.filter(|mode| *mode <= 0o777);
    settings.unixsocket_mode = mode.ok_or("argument must be octal permissions, up to 777")?;
    Ok(())
}

fn show_unixsocket_mode(settings: &Settings) -> String {
    format!("{:o}", settings.unixsocket_mode)
}

fn set_list_node(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let size = text.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    settings.encodings.list_max_listpack_size = size;
    Ok(())
}

fn show_list_node(settings: &Settings) -> String {
    settings.encodings.list_max_listpack_size.to_string()
}

fn set_notify(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let classes = Class::parse(text);
    settings.notify = classes.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(())
}

fn set_pin(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.pin = match text {
        "auto" => Pin::Auto,
        "always" => Pin::Always,
        "never" => Pin::Never,
        _ => return Err("argument(s) must be one of the following: auto, always, never".into()),
    };
    Ok(())
}

fn show_pin(settings: &Settings) -> String {
    match settings.pin {
        Pin::Auto => "auto",
        Pin::Always => "always",
        Pin::Never => "never",
    }
    .to_owned()
}

/// Most cores that a list may name, so that `0-4000000000` costs nothing.
const CORE_NUMBER_MAX: usize = 4095;

fn set_cores(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
            (Ok(first), Ok(last)) if first <= last && last <= CORE_NUMBER_MAX => {
                cores.extend(first..=last);
            }
            _ => return Err("argument must be a list of cores such as 0,2-3".into()),
        }
    }
    cores.sort_unstable();
    cores.dedup();
    settings.cores = cores;
    Ok(())
}

fn show_cores(settings: &Settings) -> String {
    settings.cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn set_output_limits(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = [settings.output_normal, settings.output_replica, settings.output_pubsub];
    for class in words.chunks_exact(4) {
        let index = match class[0].to_ascii_lowercase().as_str() {
            "normal" => 0,
            "slave" | "replica" => 1,
            "pubsub" => 2,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let (hard, soft) = (parse_bytes(class[1]), parse_bytes(class[2]));
        let (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) = (hard, soft, class[3].parse())
        else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit \
                configuration."
                .into());
        };
        limits[index] = BufferLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    [settings.output_normal, settings.output_replica, settings.output_pubsub] = limits;
    Ok(())
}

fn show_output_limits(settings: &Settings) -> String {
    let show = |class: &str, limit: BufferLimit| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    };
    [
        show("normal", settings.output_normal),
        show("slave", settings.output_replica),
        show("pubsub", settings.output_pubsub),
    ]
    .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_and_every_name_is_one() {
        let mut settings = Settings::initial();
        for flag in FLAGS {
            assert_eq!(flag.set(&mut settings, flag.default), Ok(()), "{}", flag.name);
            let shown = flag.show(&mut settings);
            assert_eq!(flag.set(&mut settings, &shown), Ok(()), "{} = {shown}", flag.name);
            assert!(!flag.meaning.is_empty() && !flag.meaning.ends_with('.'), "{}", flag.name);
            let same = |other: &&Flag| other.name == flag.name || other.config == flag.config;
            assert_eq!(FLAGS.iter().filter(same).count(), 1, "{}", flag.name);
        }
        assert_eq!(settings.port, 6379);
        assert_eq!(settings.output_pubsub.soft_bytes, 8 << 20);
    }

    #[test]
    fn lists_of_cores() {
        let mut settings = Settings::initial();
        assert_eq!(set_cores(&mut settings, "0,2-3,2"), Ok(()));
        assert_eq!(settings.cores, [0, 2, 3]);
        assert_eq!(show_cores(&settings), "0,2,3");
        for bad in ["x", "3-2", "1-", "0-99999999999", "-1"] {
            assert!(set_cores(&mut settings, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_class_of_output_limits_leaves_the_others() {
        let mut settings = Settings::initial();
        assert_eq!(set_output_limits(&mut settings, "pubsub 1mb 1kb 5"), Ok(()));
        assert_eq!(
            show_output_limits(&settings),
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1024 5"
        );
        for bad in ["", "pubsub 1 2", "other 1 2 3", "normal a 2 3"] {
            assert!(set_output_limits(&mut settings, bad).is_err(), "{bad}");
        }
    }
}
