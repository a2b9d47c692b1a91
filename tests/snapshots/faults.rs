//! Disks that refuse: the last good file stays, nothing else does, the server goes on, says why,
//! and saves again once it can.

use super::place::Place;
use crate::support::client::{Client, Got};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Keys of a server, so that its snapshot has some megabytes.
const KEYS: usize = 20_000;
/// Bytes of each value.
const VALUE_BYTES: usize = 200;
/// Bytes of the small file system: enough for two snapshots.
const SMALL_BYTES: usize = 16 << 20;
/// Times that a save is tried which cannot succeed.
const TRIES: usize = 10;
/// Bytes that a server may have more after many saves that failed.
const LEFT_BYTES_MAX: i64 = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with keys and one good snapshot.
struct Saved {
    server: Server,
    client: Client,
    bytes: Vec<u8>,
}

impl Saved {
    fn new(place: &Place) -> Self {
        let server = place.start(2).expect("a server");
        let mut client = Client::connect(server.address()).expect("a connection");
        // Random enough not to be compressed.
        let value = |key: usize| -> String {
            let number = |at: usize| (key * 7919 + at * 104_729).wrapping_mul(0x9e37_79b9) >> 7;
            (0..VALUE_BYTES).map(|at| char::from(b'!' + (number(at) % 90) as u8)).collect()
        };
        for key in 0..KEYS {
            client.send(&["SET", &format!("key:{key}"), &value(key)]).expect("sent");
            if key % 100 == 99 {
                for _ in 0..100 {
                    let reply = client.receive(PATIENCE);
                    assert!(matches!(reply, Ok(Got::Value(Value::Simple(_)))), "{reply:?}");
                }
            }
        }
        let mut saved = Self { server, client, bytes: Vec::new() };
        assert_eq!(saved.save(), Ok(()));
        saved.bytes = fs::read(place.file()).expect("a snapshot");
        saved
    }

    fn ask(&mut self, words: &[&str]) -> Value {
        self.client.send(words).expect("sent");
        match self.client.receive(PATIENCE) {
            Ok(Got::Value(value)) => value,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn save(&mut self) -> Result<(), String> {
        match self.ask(&["SAVE"]) {
            Value::Simple(_) => Ok(()),
            Value::Error(text) => Err(String::from_utf8_lossy(&text).into_owned()),
            other => panic!("{other:?}"),
        }
    }

    /// A line of INFO.
    fn line(&mut self, section: &str, name: &str) -> String {
        let Value::Bulk(text) = self.ask(&["INFO", section]) else { panic!("no text") };
        let text = String::from_utf8_lossy(&text).into_owned();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    fn used_bytes(&mut self) -> i64 {
        self.line("memory", "used_memory").parse().expect("a number")
    }

    /// Saves in the background; true if that has succeeded.
    fn bgsave(&mut self) -> bool {
        let begun = self.ask(&["BGSAVE"]);
        assert_eq!(begun, Value::Simple(b"Background saving started".to_vec()));
        let until = Instant::now() + PATIENCE;
        while self.line("persistence", "rdb_bgsave_in_progress") != "0" {
            assert!(Instant::now() < until, "the save does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        self.line("persistence", "rdb_last_bgsave_status") == "ok"
    }

    /// Tries saves that must fail with these words, while the snapshot lies at `file`.
    fn fail(&mut self, place: &Place, file: &Path, words: &str) {
        let before = self.used_bytes();
        let errors = place.errors().len();
        for attempt in 0..TRIES {
            if attempt % 2 == 0 {
                let error = self.save().expect_err("it cannot be saved");
                assert!(error.contains(words), "{error}");
            } else {
                assert!(!self.bgsave(), "it cannot be saved");
            }
            assert_eq!(self.ask(&["SET", "key:1", "other"]), Value::Simple(b"OK".to_vec()));
        }
        assert!(fs::read(file).is_ok_and(|bytes| bytes == self.bytes), "the last good file stays");
        // The log is written beside the server's work.
        let until = Instant::now() + PATIENCE;
        let told = |place: &Place| {
            let new = place.errors().split_off(errors);
            new.iter().filter(|line| line.contains(words)).count()
        };
        while told(place) < TRIES {
            assert!(Instant::now() < until, "the log says only {:?}", place.errors());
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.used_bytes() - before;
        assert!(left < LEFT_BYTES_MAX, "{left} bytes more after {TRIES} saves that failed");
    }

    /// Saves, and sees that this snapshot can be loaded.
    fn succeed(mut self, place: &Place) {
        assert!(self.bgsave(), "it can be saved now");
        assert_eq!(self.save(), Ok(()));
        assert_eq!(place.names(), ["dump.rdb"]);
        let Self { server, client, .. } = self;
        drop((client, server));
        let again = place.start(3).expect("a server");
        let mut client = Client::connect(again.address()).expect("a connection");
        assert_eq!(client.ask(&["DBSIZE"]), Ok(Value::Int(KEYS as i64)));
        assert_eq!(client.ask(&["GET", "key:1"]), Ok(Value::Bulk(b"other".to_vec())));
    }
}

#[test]
fn a_directory_that_is_gone() {
    let place = Place::new();
    let mut saved = Saved::new(&place);
    fs::rename(place.folder(), place.elsewhere()).expect("renamed");
    saved.fail(&place, &place.elsewhere().join("dump.rdb"), "No such file or directory");
    // A file in its place is no better.
    fs::write(place.folder(), "no directory").expect("a file");
    saved.fail(&place, &place.elsewhere().join("dump.rdb"), "Not a directory");
    fs::remove_file(place.folder()).expect("removed");
    fs::rename(place.elsewhere(), place.folder()).expect("renamed");
    assert_eq!(place.names(), ["dump.rdb"]);
    saved.succeed(&place);
}

#[test]
fn a_directory_that_may_only_be_read() {
    let place = Place::new();
    let set = |mode| fs::set_permissions(place.folder(), fs::Permissions::from_mode(mode));
    let mut saved = Saved::new(&place);
    set(0o555).expect("read only");
    let probe = place.folder().join("probe");
    if fs::write(&probe, "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        fs::remove_file(probe).expect("removed");
    } else {
        saved.fail(&place, &place.file(), "Permission denied");
    }
    set(0o755).expect("as before");
    saved.succeed(&place);
}

#[test]
fn a_directory_with_the_name_of_the_file() {
    let place = Place::new();
    let mut saved = Saved::new(&place);
    let aside = place.folder().join("aside");
    fs::rename(place.file(), &aside).expect("renamed");
    fs::create_dir(place.file()).expect("a directory");
    saved.fail(&place, &aside, "Is a directory");
    assert_eq!(place.names(), ["aside", "dump.rdb"], "no temporary file stays");
    fs::remove_dir(place.file()).expect("removed");
    fs::rename(&aside, place.file()).expect("renamed");
    saved.succeed(&place);
}

/// Sets the largest file that a process may write.
fn limit_files(server: &Server, bytes: &str) -> bool {
    let (process, limit) = (server.process().to_string(), format!("--fsize={bytes}:unlimited"));
    let done = Command::new("prlimit").args(["--pid", &process, &limit]).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn a_file_that_may_not_grow() {
    let place = Place::new();
    let mut saved = Saved::new(&place);
    if !limit_files(&saved.server, "1048576") {
        eprintln!("skipped: there is no prlimit, or it is refused");
        return;
    }
    // The log's file is far below that.
    saved.fail(&place, &place.file(), "File too large");
    assert_eq!(place.names(), ["dump.rdb"], "no temporary file stays");
    assert!(limit_files(&saved.server, "unlimited"));
    saved.succeed(&place);
}

/// A small file system, gone when dropped.
struct Small(PathBuf);

impl Small {
    /// Mounted here, if this process may do that.
    fn mount(path: PathBuf) -> Option<Self> {
        let size = format!("size={SMALL_BYTES}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        let done = command.stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The server may still have a file open there.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_disk_that_is_full() {
    let place = Place::new();
    let Some(_small) = Small::mount(place.folder()) else {
        eprintln!("skipped: this user may not mount");
        return;
    };
    let mut saved = Saved::new(&place);
    let good = fs::metadata(place.file()).expect("a snapshot");
    let ballast = place.folder().join("ballast");
    let room = SMALL_BYTES - good.size() as usize - (1 << 20);
    fs::write(&ballast, vec![1; room]).expect("ballast");
    saved.fail(&place, &place.file(), "No space left on device");
    assert_eq!(place.names(), ["ballast", "dump.rdb"], "no temporary file stays");
    fs::remove_file(ballast).expect("removed");
    saved.succeed(&place);
}
