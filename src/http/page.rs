//! The page for people: what the server is, and its figures at a glance.

use crate::commands::Context;
use crate::errand::CoreFigures;
use crate::process::Memory;
use std::fmt::Write as _;

/// What stands before the figures; nothing is loaded from elsewhere.
const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Pinion</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 3em auto; max-width: 40em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3em .5em; text-align: right; }
th:first-child, td:first-child { text-align: left; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } }
</style>
</head>
<body>
";

/// The page, from the figures of every core.
pub(super) fn text(cores: &[CoreFigures], at_home: &Context<'_>) -> String {
    let sum = |figure: fn(&CoreFigures) -> u64| cores.iter().map(figure).sum::<u64>();
    let keys = |core: &CoreFigures| core.shard.databases.iter().map(|db| db.keys).sum::<u64>();
    let up = at_home.now.saturating_sub(at_home.server.started) / 1000;
    let mut page = String::from(HEAD);
    let mut rows = vec![
        ("Up", format!("{}d {}h {}m {}s", up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60)),
        ("Clients", sum(|core| core.clients).to_string()),
        ("Keys", sum(keys).to_string()),
        ("Memory in use", format!("{:.1} MiB", mebibytes(Memory::now().used))),
        ("Commands a second", sum(|core| core.rates[0]).to_string()),
        ("Commands run", sum(|core| core.stats.commands).to_string()),
        ("Reads that found their key", share(cores)),
    ];
    let limit = at_home.settings.memory_bytes_max;
    if limit > 0 {
        rows.push(("Memory limit", format!("{:.1} MiB", mebibytes(limit))));
    }
    let version = env!("CARGO_PKG_VERSION");
    write!(page, "<h1>Pinion {version}</h1>\n<table>\n").expect("writing to memory does not fail");
    for (name, value) in rows {
        writeln!(page, "<tr><td>{name}</td><td>{value}</td></tr>")
            .expect("writing to memory does not fail");
    }
    page.push_str("</table>\n<h2>Cores</h2>\n<table>\n");
    page.push_str(
        "<tr><th>Core</th><th>Clients</th><th>Keys</th><th>Commands a second</th></tr>\n",
    );
    for core in cores {
        let (number, clients, rate) = (core.core, core.clients, core.rates[0]);
        writeln!(
            page,
            "<tr><td>{number}</td><td>{clients}</td><td>{}</td><td>{rate}</td></tr>",
            keys(core)
        )
        .expect("writing to memory does not fail");
    }
    page.push_str("</table>\n<p><a href=\"metrics\">/metrics</a> has all figures.</p>\n");
    page.push_str("</body>\n</html>\n");
    page
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Which share of the reads found their key.
fn share(cores: &[CoreFigures]) -> String {
    let hits: u64 = cores.iter().map(|core| core.shard.keyspace_hits).sum();
    let misses: u64 = cores.iter().map(|core| core.shard.keyspace_misses).sum();
    match hits + misses {
        0 => "-".to_owned(),
        reads => format!("{:.1} %", hits as f64 * 100.0 / reads as f64),
    }
}
