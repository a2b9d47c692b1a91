//! Settings of snapshots: where they go, when they are taken, and what they are.

use super::flag::{Flag, Refusal, Value};
use super::settings::Settings;
use crate::snapshot::{Names, SavePoint, Schedule, Stop, parse_save_points, show_save_points};
use std::io;
use std::path::{Path, PathBuf};

/// How snapshots are taken. The meaning of a field stands in the table.
#[derive(Clone, Debug, Default)]
pub struct SnapshotSettings {
    /// The directory, as an absolute path; empty until start-up has asked where it is.
    pub dir: String,
    /// The name of a file.
    pub dbfilename: String,
    /// When one is due by changes.
    pub save_points: Vec<SavePoint>,
    /// When one is due by the clock.
    pub schedule: Option<Schedule>,
    /// They end with a checksum, which is looked at when they are loaded.
    pub checksum: bool,
    /// How many with times in their names are kept; 0 for all.
    pub keep: u64,
    /// Refuse to write to keys once a snapshot has failed.
    pub stop_writes: bool,
    /// Asked for and of no consequence: there is one form of file.
    pub df_format: bool,
    /// How SIGINT stops the server.
    pub on_interrupt: Stop,
    /// How SIGTERM does.
    pub on_terminate: Stop,
}

impl SnapshotSettings {
    /// The names of files; none if there are to be no snapshots.
    pub fn names(&self) -> Option<Names> {
        Names::new(&self.dbfilename)
    }

    /// True if nothing may be written to keys while the last snapshot has failed.
    pub fn refuse_unsaved(&self) -> bool {
        self.stop_writes && !self.save_points.is_empty()
    }

    /// The directory.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(&self.dir)
    }
}

pub(super) const TABLE: &[Flag] = &[
    Flag::new(
        "dir",
        Value::Parsed { set: set_dir, show: |settings| settings.snapshots.dir.clone() },
        "",
        "Directory of snapshots; the one that the server is started in if empty",
    )
    .live()
    .protected(),
    Flag::new(
        "dbfilename",
        Value::Parsed {
            set: set_dbfilename,
            show: |settings| settings.snapshots.dbfilename.clone(),
        },
        "dump.rdb",
        "File of snapshots; {timestamp} in it is the time of each; none are taken if empty",
    )
    .live()
    .protected(),
    Flag::new(
        "save",
        Value::Parsed {
            set: set_save_points,
            show: |settings| show_save_points(&settings.snapshots.save_points),
        },
        "3600 1 300 100 60 10000",
        "Take a snapshot after so many seconds with so many changes: pairs; never if empty",
    )
    .live(),
    Flag::new(
        "snapshot_cron",
        Value::Parsed { set: set_schedule, show: |settings| show_schedule(settings, false) },
        "",
        "Take a snapshot at these minutes: five fields as of cron, in universal time",
    )
    .live(),
    Flag::new(
        "save_schedule",
        Value::Parsed { set: set_daily, show: |settings| show_schedule(settings, true) },
        "",
        "The same as a pattern of HH:MM, such as 04:30 or *:00; the later of the two holds",
    )
    .live(),
    Flag::new(
        "snapshot_retention",
        Value::Count(|settings| &mut settings.snapshots.keep, 0, u32::MAX as u64),
        "0",
        "Snapshots with {timestamp} in their name that are kept, the newest; 0 for all",
    )
    .live(),
    Flag::new(
        "df_snapshot_format",
        Value::Switch(|settings| &mut settings.snapshots.df_format),
        "yes",
        "Accepted from Dragonfly's users: there is one form of file, which all cores write",
    )
    .live()
    .hidden(),
    Flag::new(
        "rdbcompression",
        Value::Switch(|settings| &mut settings.encodings.rdb_compression),
        "yes",
        "Compress strings of more than 20 bytes in snapshots",
    )
    .live(),
    Flag::new(
        "rdbchecksum",
        Value::Switch(|settings| &mut settings.snapshots.checksum),
        "yes",
        "Write a checksum at the end of snapshots, and look at it when they are loaded",
    ),
    Flag::new(
        "stop_writes_on_bgsave_error",
        Value::Switch(|settings| &mut settings.snapshots.stop_writes),
        "yes",
        "Refuse to write to keys while there are save points and the last snapshot has failed",
    )
    .config("stop-writes-on-bgsave-error")
    .live(),
    Flag::new(
        "shutdown_on_sigint",
        Value::Parsed {
            set: |settings, text| {
                settings.snapshots.on_interrupt = Stop::parse(text)?;
                Ok(())
            },
            show: |settings| settings.snapshots.on_interrupt.text(),
        },
        "default",
        "How SIGINT stops the server: save, nosave, now, force",
    )
    .config("shutdown-on-sigint")
    .live()
    .hidden(),
    Flag::new(
        "shutdown_on_sigterm",
        Value::Parsed {
            set: |settings, text| {
                settings.snapshots.on_terminate = Stop::parse(text)?;
                Ok(())
            },
            show: |settings| settings.snapshots.on_terminate.text(),
        },
        "default",
        "How SIGTERM stops the server: save, nosave, now, force",
    )
    .config("shutdown-on-sigterm")
    .live()
    .hidden(),
];

/// What the kernel said, in its own words alone.
fn words_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A path that is not whole begins in the directory that was set before.
fn set_dir(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let dir = &mut settings.snapshots.dir;
    if text.is_empty() && dir.is_empty() {
        return Ok(());
    }
    let path = Path::new(&dir).join(text);
    // A directory that may not be entered is no use; its dot is in it.
    let found = path.canonicalize().and_then(|whole| {
        std::fs::metadata(whole.join("."))?;
        Ok(whole)
    });
    let found = match found {
        _ if text.is_empty() => Err("No such file or directory".into()),
        Ok(whole) => whole.into_os_string().into_string().map_err(|_| "Invalid argument".into()),
        Err(error) => Err(words_of(&error)),
    };
    *dir = found?;
    Ok(())
}

fn set_dbfilename(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if text.contains('/') {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    text.clone_into(&mut settings.snapshots.dbfilename);
    Ok(())
}

fn set_save_points(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.snapshots.save_points = parse_save_points(text).ok_or("Invalid save parameters")?;
    Ok(())
}

fn set_schedule(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let schedule = match text.trim() {
        "" => None,
        text => Some(Schedule::parse(text).ok_or("argument must be five fields as of cron")?),
    };
    take_schedule(settings, schedule, false);
    Ok(())
}

fn set_daily(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let schedule = match text.trim() {
        "" => None,
        text => Some(Schedule::parse_daily(text).ok_or("argument must be a pattern of HH:MM")?),
    };
    take_schedule(settings, schedule, true);
    Ok(())
}

/// Takes a schedule, or the end of the one that was written in this form.
fn take_schedule(settings: &mut Settings, schedule: Option<Schedule>, is_daily: bool) {
    let own = settings.snapshots.schedule.as_ref();
    if schedule.is_some() || own.is_some_and(|own| own.is_daily() == is_daily) {
        settings.snapshots.schedule = schedule;
    }
}

/// The schedule, if it was written in this form.
fn show_schedule(settings: &Settings, is_daily: bool) -> String {
    let schedule = settings.snapshots.schedule.as_ref();
    let schedule = schedule.filter(|schedule| schedule.is_daily() == is_daily);
    schedule.map_or(String::new(), |schedule| schedule.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_there_and_whole() {
        let mut settings = Settings::initial();
        assert_eq!(set_dir(&mut settings, "/tmp/../tmp"), Ok(()));
        let tmp = std::fs::canonicalize("/tmp").unwrap();
        assert_eq!(settings.snapshots.directory(), tmp);
        assert_eq!(set_dir(&mut settings, "."), Ok(()));
        assert_eq!(settings.snapshots.directory(), tmp);
        for (text, refusal) in [
            ("/no/such", "No such file or directory"),
            ("no-such", "No such file or directory"),
            ("", "No such file or directory"),
            ("/dev/null", "Not a directory"),
        ] {
            assert_eq!(set_dir(&mut settings, text), Err(refusal.into()), "{text}");
        }
        assert_eq!(settings.snapshots.directory(), tmp);
    }

    #[test]
    fn a_file_is_a_name() {
        let mut settings = Settings::initial();
        let refusal = "dbfilename can't be a path, just a filename";
        assert_eq!(set_dbfilename(&mut settings, "a/b"), Err(refusal.into()));
        assert_eq!(set_dbfilename(&mut settings, ""), Ok(()));
        assert_eq!(settings.snapshots.names(), None);
    }
}
