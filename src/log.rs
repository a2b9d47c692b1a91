//! The log: to stderr, and with a directory given also to a file a day.

use crate::config::Settings;
use std::path::Path;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};

/// Log files that are kept, one a day; older ones are removed.
const FILES_MAX: usize = 30;

/// Keeps the log's file open; what is still to be written is written when this is dropped.
#[derive(Debug)]
pub struct Log {
    _file: Option<WorkerGuard>,
}

impl Log {
    /// Begins to log as `settings` say; once in a process.
    ///
    /// # Errors
    /// A sentence that says why there can be no log file.
    pub fn begin(settings: &Settings) -> Result<Self, String> {
        let Some(level) = level(settings.log_level_min) else { return Ok(Self { _file: None }) };
        let mut guard = None;
        let mut writer = BoxMakeWriter::new(std::io::stderr);
        if !settings.log_dir.is_empty() && !settings.log_to_stderr {
            let (file, kept) = open(Path::new(&settings.log_dir))?;
            guard = Some(kept);
            writer = BoxMakeWriter::new(std::io::stderr.and(file));
        }
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_target(false)
            .with_max_level(level)
            .with_writer(writer)
            .finish();
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|error| format!("cannot begin to log: {error}"))?;
        Ok(Self { _file: guard })
    }
}

/// The least severe level that is logged at `min`, or none.
fn level(min: u64) -> Option<Level> {
    match min {
        0 => Some(Level::INFO),
        1 => Some(Level::WARN),
        2 => Some(Level::ERROR),
        _ => None,
    }
}

/// A file a day in `directory`, written by a thread of its own: lines are dropped
/// when the disk is much slower than the log, since a core never waits for it.
fn open(directory: &Path) -> Result<(NonBlocking, WorkerGuard), String> {
    let told =
        |error: &dyn std::fmt::Display| format!("cannot log to {}: {error}", directory.display());
    // The appender would complain on stderr of a directory that it then makes.
    std::fs::create_dir_all(directory).map_err(|error| told(&error))?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("pinion")
        .filename_suffix("log")
        .max_log_files(FILES_MAX)
        .build(directory)
        .map_err(|error| told(&error))?;
    Ok(tracing_appender::non_blocking(appender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tracing_subscriber::fmt::MakeWriter as _;

    #[test]
    fn a_directory_gets_a_file_of_the_day() {
        let directory = std::env::temp_dir().join(format!("pinion-log-{}", std::process::id()));
        let (file, guard) = open(&directory).unwrap();
        file.make_writer().write_all(b"a line\n").unwrap();
        drop(guard);
        let mut files = std::fs::read_dir(&directory).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a line\n");
        assert!(path.to_string_lossy().ends_with(".log"), "{}", path.display());
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_is_told() {
        let error = open(Path::new("/dev/null/x")).unwrap_err();
        assert!(error.starts_with("cannot log to /dev/null/x: "), "{error}");
    }
}
