//! Where a server's files are, and what may be there.

use crate::support::server::Server;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of a snapshot.
const FILE: &str = "dump.rdb";

/// A directory for snapshots and one for the log, which outlive the servers that use them.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pinion-snapshots-{}-{number}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(place.folder()).expect("a directory for snapshots");
        fs::create_dir_all(place.log()).expect("a directory for the log");
        place
    }

    /// Where snapshots go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where they are while the server must not find the folder.
    pub(crate) fn elsewhere(&self) -> PathBuf {
        self.0.join("elsewhere")
    }

    /// The snapshot.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join(FILE)
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// A server whose files are here, which need not answer yet.
    pub(crate) fn launch(&self, shards: usize) -> Result<Server, String> {
        let words = self.words();
        Server::launch(shards, &words.each_ref().map(String::as_str))
    }

    /// The same, once it answers.
    pub(crate) fn start(&self, shards: usize) -> Result<Server, String> {
        let words = self.words();
        Server::start(shards, &words.each_ref().map(String::as_str))
    }

    /// The same with further arguments.
    pub(crate) fn start_with(&self, shards: usize, more: &[&str]) -> Result<Server, String> {
        let words = self.words();
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Server::start(shards, &words)
    }

    fn words(&self) -> [String; 2] {
        let (folder, log) = (self.folder(), self.log());
        [format!("--dir={}", folder.display()), format!("--log_dir={}", log.display())]
    }

    /// The names of all that is in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).expect("the folder");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// Lines of the log that tell of errors.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.told(" ERROR ")
    }

    /// Lines of the log that tell of what is doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.told(" WARN ")
    }

    fn told(&self, level: &str) -> Vec<String> {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let entries = fs::read_dir(self.log()).expect("the log's directory");
        let texts = entries.map(|entry| read(&entry.expect("an entry").path()));
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|line| line.contains(level)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Who wants to know why looks at the files.
            eprintln!("the files are in {}", self.0.display());
            return;
        }
        drop(fs::remove_dir_all(&self.0));
    }
}
