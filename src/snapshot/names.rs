//! The names of snapshots: `dbfilename`, with the time in it if that is wanted, and temporary ones.

use crate::calendar::Date;
use pinion_shards::Millis;
use std::sync::atomic::{AtomicU64, Ordering};

/// What stands for the time of a snapshot in `dbfilename`.
const TIMESTAMP: &str = "{timestamp}";
/// What the name of a file ends with that has the time in it.
const EXTENSION: &str = ".rdb";
/// A time as it stands in names; they sort as the times do.
const FORM: &[u8] = b"0000-00-00T00:00:00";

/// How snapshots are called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    before: String,
    /// What comes behind the time, where there is one.
    after: Option<String>,
}

impl Names {
    /// The names that a `dbfilename` asks for; none if it is empty, which is how Dragonfly's users
    /// say that they want no snapshots. Without `{timestamp}` there is only one, as it is; with it
    /// the extension may be left out.
    pub fn new(dbfilename: &str) -> Option<Self> {
        if dbfilename.is_empty() {
            return None;
        }
        let Some((before, after)) = dbfilename.split_once(TIMESTAMP) else {
            return Some(Self { before: dbfilename.into(), after: None });
        };
        let extension = if after.ends_with(EXTENSION) { "" } else { EXTENSION };
        Some(Self { before: before.into(), after: Some(format!("{after}{extension}")) })
    }

    /// The name of a snapshot of this time.
    pub fn at(&self, now: Millis) -> String {
        let Self { before, after: Some(after) } = self else { return self.before.clone() };
        let Date { year, month, day, hour, minute, second, .. } = Date::of(now);
        format!("{before}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{after}")
    }

    /// True if names differ by their times.
    pub fn have_times(&self) -> bool {
        self.after.is_some()
    }

    /// True if this may be the name of a snapshot.
    pub fn are_like(&self, name: &str) -> bool {
        let Some(after) = &self.after else { return name == self.before };
        let time = name.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&**after));
        let fits = |(is, like): (u8, &u8)| {
            if like.is_ascii_digit() { is.is_ascii_digit() } else { is == *like }
        };
        time.is_some_and(|time| time.len() == FORM.len() && time.bytes().zip(FORM).all(fits))
    }

    /// The name of the newest snapshot among these.
    pub fn newest<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        names.iter().map(|name| &**name).filter(|name| self.are_like(name)).max()
    }

    /// Those that are older than the newest `keep`; all are kept for 0. `newest` has just been
    /// written and stays, whatever the clock says.
    pub fn outdated<'a>(&self, names: &'a [String], keep: usize, newest: &str) -> Vec<&'a str> {
        if keep == 0 || !self.have_times() {
            return Vec::new();
        }
        let others = names.iter().map(|name| &**name);
        let mut others: Vec<&str> =
            others.filter(|name| *name != newest && self.are_like(name)).collect();
        others.sort_unstable();
        others.truncate(others.len().saturating_sub(keep - 1));
        others
    }
}

/// A name for a snapshot on its way; never the same twice from one process.
pub(super) fn temporary() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("temp-{}-{number}{EXTENSION}", std::process::id())
}

/// Those of these names that processes gave which are no more, for snapshots they did not finish.
/// This process counts as one of them: to be asked before it has given any, or at its end.
pub fn forgotten(names: &[String], is_alive: impl Fn(u32) -> bool) -> Vec<&str> {
    let writer = |name: &str| {
        let (process, number) =
            name.strip_prefix("temp-")?.strip_suffix(EXTENSION)?.split_once('-')?;
        number.parse::<u64>().ok()?;
        process.parse::<u32>().ok()
    };
    let own = std::process::id();
    let names = names.iter().map(|name| &**name);
    names
        .filter(|name| writer(name).is_some_and(|process| process == own || !is_alive(process)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_in_names_where_they_are_wanted() {
        let names = Names::new("dump.rdb").unwrap();
        assert_eq!(names.at(0), "dump.rdb");
        assert_eq!(Names::new("dump").unwrap().at(0), "dump");
        assert_eq!(Names::new(""), None);
        let names = Names::new("dump-{timestamp}").unwrap();
        assert_eq!(names.at(784_111_777_000), "dump-1994-11-06T08:49:37.rdb");
        let names = Names::new("a{timestamp}b.rdb").unwrap();
        assert_eq!(names.at(951_782_400_000), "a2000-02-29T00:00:00b.rdb");
        assert!(names.are_like(&names.at(1)));
        for other in ["ab.rdb", "a2000-02-29T00:00:00.rdb", "a2000-02-29 00:00:00b.rdb"] {
            assert!(!names.are_like(other), "{other}");
        }
    }

    #[test]
    fn the_newest_are_kept() {
        let names = Names::new("d-{timestamp}").unwrap();
        let mut files: Vec<String> = (0..5).map(|hour| names.at(hour * 3_600_000)).collect();
        files.extend(["d-x.rdb", "dump.rdb", "a"].map(String::from));
        assert_eq!(names.newest(&files), Some(&*files[4]));
        assert_eq!(names.outdated(&files, 0, &files[4]), [""; 0]);
        assert_eq!(names.outdated(&files, 2, &files[4]), files[..3]);
        assert_eq!(
            names.outdated(&files, 1, &files[1]),
            [&*files[0], &files[2], &files[3], &files[4]]
        );
        assert_eq!(names.outdated(&files, 9, &files[4]), [""; 0]);
        let one = Names::new("dump.rdb").unwrap();
        assert_eq!(one.outdated(&files, 1, "dump.rdb"), [""; 0]);
        assert_eq!(one.newest(&files), Some("dump.rdb"));
    }

    #[test]
    fn what_the_dead_left_is_known() {
        let own = format!("temp-{}-1.rdb", std::process::id());
        let names = ["dump.rdb", "temp-1-1.rdb", "temp-2-7.rdb", "temp-9.rdb", "temp-x-1.rdb"];
        let mut names: Vec<String> = names.map(String::from).into();
        names.push(own.clone());
        assert_eq!(forgotten(&names, |process| process == 1), ["temp-2-7.rdb", &own]);
    }
}
