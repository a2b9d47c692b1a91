//! When snapshots are taken: save points and a schedule in the form of cron.
//!
//! A schedule has five fields: minute, hour, day of the month, month, day of the week (0 to 7, both
//! ends Sunday; or names). A field is a list with commas of `*`, `a`, `a-b`, each perhaps with a
//! step behind it (`/n`). As everywhere, a day fits by either of its two fields if both say
//! something. Times are universal.
//!
//! Another form, which Dragonfly had first, gives only times of the day, as a pattern of `HH:MM`.

use crate::calendar::Date;
use pinion_shards::{Millis, glob};

/// So many changes, after so many seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SavePoint {
    /// Seconds since the last snapshot, more than which must have passed.
    pub seconds: u64,
    /// Changes since then, at least.
    pub changes: u64,
}

/// Minutes at which a snapshot is taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    text: String,
    /// Bits of the values that fit: minutes, hours, days, months, days of the week.
    fields: [u64; 5],
    /// True if the field of days says nothing, and the same of days of the week.
    any_day: [bool; 2],
    /// It was written as times of the day.
    is_daily: bool,
}

/// The least and greatest value of each field.
const BOUNDS: [(u64, u64); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MINUTE_MS: Millis = 60_000;
/// Minutes that are looked at after a long pause, such as the sleep of a laptop.
const MINUTES_MAX: u64 = 24 * 60;

impl Schedule {
    /// Reads a schedule.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let words: [&str; 5] = words.try_into().ok()?;
        let mut fields = [0; 5];
        for (index, word) in words.iter().enumerate() {
            fields[index] = field(word, index)?;
        }
        if fields[4] & 1 << 7 != 0 {
            fields[4] |= 1;
        }
        let any_day = [words[2].starts_with('*'), words[4].starts_with('*')];
        Some(Self { text: words.join(" "), fields, any_day, is_daily: false })
    }

    /// Reads times of the day: a pattern of the hour and one of the minute, two digits each.
    pub fn parse_daily(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let bits = |pattern: &str, index: usize| {
            let (least, greatest) = BOUNDS[index];
            let fit = (least..=greatest).filter(|value| {
                glob::is_match(pattern.as_bytes(), format!("{value:02}").as_bytes())
            });
            let bits = fit.fold(0, |bits: u64, value| bits | 1 << value);
            (bits != 0).then_some(bits)
        };
        let mut fields = [u64::MAX; 5];
        (fields[0], fields[1]) = (bits(minute, 0)?, bits(hour, 1)?);
        Some(Self { text: text.to_owned(), fields, any_day: [true; 2], is_daily: true })
    }

    /// True if it was written as times of the day.
    pub fn is_daily(&self) -> bool {
        self.is_daily
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn fits(&self, now: Millis) -> bool {
        let Date { minute, hour, day, month, weekday, .. } = Date::of(now);
        let has = |index: usize, value: u8| self.fields[index] & 1 << value != 0;
        let (by_day, by_weekday) = (has(2, day), has(4, weekday));
        let day_fits = match self.any_day {
            [false, false] => by_day || by_weekday,
            _ => by_day && by_weekday,
        };
        has(0, minute) && has(1, hour) && has(3, month) && day_fits
    }

    /// True if one of its minutes has begun after `last` and up to `now`.
    pub fn is_due(&self, last: Millis, now: Millis) -> bool {
        let (last, now) = (last / MINUTE_MS, now / MINUTE_MS);
        let first = (last + 1).max(now.saturating_sub(MINUTES_MAX));
        (first..=now).any(|minute| self.fits(minute * MINUTE_MS))
    }
}

/// The values of a field, as bits.
fn field(word: &str, index: usize) -> Option<u64> {
    let (least, greatest) = BOUNDS[index];
    let number = |word: &str| {
        let names = match index {
            3 => &MONTHS[..],
            4 => &WEEKDAYS[..],
            _ => &[],
        };
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let value = match named {
            Some(place) => place as u64 + least,
            None => word.parse().ok()?,
        };
        (least..=greatest).contains(&value).then_some(value)
    };
    let mut bits = 0;
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|&step| step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, greatest.min(if index == 4 { 6 } else { greatest })),
            Some((first, last)) => (number(first)?, number(last)?),
            None => {
                let first = number(range)?;
                (first, if step.is_some() { greatest } else { first })
            }
        };
        if first > last {
            return None;
        }
        (first..=last).step_by(step.unwrap_or(1)).for_each(|value| bits |= 1 << value);
    }
    Some(bits)
}

/// Reads save points: pairs of seconds and changes, with one space between any two.
pub fn parse_save_points(text: &str) -> Option<Vec<SavePoint>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let words: Vec<&str> = text.split(' ').collect();
    if !words.len().is_multiple_of(2) {
        return None;
    }
    let point = |pair: &[&str]| {
        let seconds = pair[0].parse::<u32>().ok().filter(|&seconds| seconds > 0)?;
        let changes = pair[1].parse::<i32>().ok().filter(|&changes| changes >= 0)?;
        Some(SavePoint { seconds: seconds.into(), changes: changes as u64 })
    };
    words.chunks_exact(2).map(point).collect()
}

/// Save points as they are written.
pub fn show_save_points(points: &[SavePoint]) -> String {
    let words = points.iter().map(|point| format!("{} {}", point.seconds, point.changes));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 6 November 1994, 08:49:37.
    const SUNDAY: Millis = 784_111_777_000;

    #[test]
    fn schedules_fit_their_minutes() {
        let fits = |text: &str| Schedule::parse(text).unwrap().fits(SUNDAY);
        for text in [
            "* * * * *",
            "49 8 6 11 0",
            "49 8 * * 7",
            "*/7 * * * *",
            "40-50/3 8 * nov sun",
            "1,2,49 */4 1-10 NOV *",
            "49 8 1 * SUN",
            "49 8 6 * mon",
            "9/10 * * * *",
            "* * * * sun-sat",
            "* * * * 5-7",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "50 * * * *",
            "* 9 * * *",
            "* * 7 * *",
            "* * * oct *",
            "* * * * 1-6",
            "* * 7 * mon",
            "* * */2 * *",
            "*/2 * * * *",
        ] {
            assert!(!fits(text), "{text}");
        }
    }

    #[test]
    fn times_of_the_day_are_patterns() {
        for (text, fits) in [
            ("08:49", true),
            ("*:*", true),
            ("*:49", true),
            ("0?:4*", true),
            ("[01]*:*9", true),
            ("08:50", false),
            ("8:49", false),
            ("*:1*", false),
            ("20:*", false),
        ] {
            let schedule = Schedule::parse_daily(text);
            assert_eq!(schedule.is_some_and(|it| it.is_daily() && it.fits(SUNDAY)), fits, "{text}");
        }
        for text in ["", "*", "24:00", "00:60", "8:49", "08:49:00", ":"] {
            assert_eq!(Schedule::parse_daily(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "1- * * * *",
            ", * * * *",
            "-1 * * * *",
            "jan * * * *",
            "*/x * * * *",
            "**/2 * * * *",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
        assert_eq!(Schedule::parse(" 0  0 * * 1 ").unwrap().text(), "0 0 * * 1");
    }

    #[test]
    fn each_minute_is_due_once() {
        let schedule = Schedule::parse("*/5 * * * *").unwrap();
        let (mut last, mut count) = (SUNDAY, 0);
        for now in (SUNDAY..SUNDAY + 3_600_000).step_by(100) {
            count += u32::from(schedule.is_due(last, now));
            last = now;
        }
        assert_eq!(count, 12);
        assert!(schedule.is_due(0, SUNDAY), "years at once");
        assert!(!schedule.is_due(SUNDAY, SUNDAY - 600_000), "the clock goes back");
        assert!(!Schedule::parse("0 0 30 2 *").unwrap().is_due(0, SUNDAY));
    }

    #[test]
    fn save_points_are_pairs() {
        let points = parse_save_points("3600 1 300 100").unwrap();
        assert_eq!(points[1], SavePoint { seconds: 300, changes: 100 });
        assert_eq!(show_save_points(&points), "3600 1 300 100");
        assert_eq!(parse_save_points(""), Some(Vec::new()));
        for bad in ["1", "0 1", "x 1", "1 -1", "1 2 3", "99999999999 1", "1  2", " 1 2"] {
            assert_eq!(parse_save_points(bad), None, "{bad}");
        }
    }
}
