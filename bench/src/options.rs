//! What the command line may say.

use std::path::PathBuf;

/// What there is to say after the case.
pub(crate) const HELP: &str = "
--peers DIR            where bin/ has redis8-server, valkey8-server, redis8-benchmark
--rounds N             times that every server is run (5)
--requests N           requests of a run without pipeline; four times as many with one (500000)
--keys N               keys (1000000; 10000000 in `keys`, 5000000 in `snapshot`)
--connections N        connections of the load (50; 10000 in `idle`)
--rate N               commands a second in `rate` (40000) and `snapshot` (30000)
--seconds N            length of a run in `rate` and `idle`, and before a save (10)
--extra NAME=PORT[:PID]  a server that is running already, once more for each
--pinion FILE          the server to measure (the one built beside this program)
--with FLAG            a flag for it, once more for each
";

/// The options of a run; none where the case has a default of its own.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the peers are.
    pub(crate) peers: Option<PathBuf>,
    /// Times that every server is run.
    pub(crate) rounds: u64,
    /// Requests of a run without pipeline.
    pub(crate) requests: u64,
    /// Keys.
    pub(crate) keys: Option<u64>,
    /// Connections of the load.
    pub(crate) connections: Option<u64>,
    /// Commands a second.
    pub(crate) rate: Option<u64>,
    /// Length of a run.
    pub(crate) seconds: u64,
    /// Servers that are running already.
    pub(crate) extras: Vec<Extra>,
    /// The server to measure.
    pub(crate) pinion: PathBuf,
    /// Flags for it.
    pub(crate) flags: Vec<String>,
}

/// A server that is running already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Extra {
    /// What to call it.
    pub(crate) name: String,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Its process, if its CPU is to be told.
    pub(crate) pid: Option<u32>,
}

impl Options {
    /// Reads the words after the case; the error is a sentence.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("finding myself: {error}"))?;
        let mut options = Self {
            peers: None,
            rounds: 5,
            requests: 500_000,
            keys: None,
            connections: None,
            rate: None,
            seconds: 10,
            extras: Vec::new(),
            pinion: own.with_file_name("pinion"),
            flags: Vec::new(),
        };
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => match words.next() {
                    Some(value) => (word.as_str(), value),
                    None => {
                        return Err(format!("{word} needs a value, if there is such an option"));
                    }
                },
            };
            let number = || match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name} {value}: not a number above zero")),
            };
            match name {
                "--peers" => options.peers = Some(value.into()),
                "--rounds" => options.rounds = number()?,
                "--requests" => options.requests = number()?,
                "--keys" => options.keys = Some(number()?),
                "--connections" => options.connections = Some(number()?),
                "--rate" => options.rate = Some(number()?),
                "--seconds" => options.seconds = number()?,
                "--extra" => options.extras.push(parse_extra(&value)?),
                "--pinion" => options.pinion = value.into(),
                "--with" => options.flags.push(value),
                _ => return Err(format!("no option {name}")),
            }
        }
        if !options.pinion.is_file() {
            return Err(format!("no server at {}: build it first", options.pinion.display()));
        }
        Ok(options)
    }
}

fn parse_extra(text: &str) -> Result<Extra, String> {
    let parsed = || {
        let (name, place) = text.split_once('=')?;
        let (port, pid) = match place.split_once(':') {
            Some((port, pid)) => (port, Some(pid.parse().ok()?)),
            None => (place, None),
        };
        Some(Extra { name: name.to_owned(), port: port.parse().ok()?, pid })
    };
    parsed().ok_or_else(|| format!("--extra {text}: not NAME=PORT or NAME=PORT:PID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras() {
        let extra = |pid| Ok(Extra { name: "floor".into(), port: 7000, pid });
        assert_eq!(parse_extra("floor=7000"), extra(None));
        assert_eq!(parse_extra("floor=7000:12"), extra(Some(12)));
        assert!(parse_extra("floor").is_err() && parse_extra("floor=x").is_err());
    }
}
