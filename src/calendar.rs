//! Instants as days and hours of the calendar, in universal time.

use pinion_shards::Millis;

/// An instant to the second.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date {
    /// The year.
    pub year: u64,
    /// Its month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The hour.
    pub hour: u8,
    /// The minute.
    pub minute: u8,
    /// The second.
    pub second: u8,
    /// The day of the week, from 0 for Sunday.
    pub weekday: u8,
}

impl Date {
    /// The date of an instant.
    pub fn of(now: Millis) -> Self {
        let seconds = now / 1000;
        let days = seconds / 86_400;
        // Years that begin in March have their leap day at their end: counted from 1 March of year
        // 0, in eras of 400 years.
        let since = days + 719_468;
        let (era, day) = (since / 146_097, since % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        Self {
            year: era * 400 + year + u64::from(month >= 10),
            month: ((month + 2) % 12) as u8 + 1,
            day: (day - (153 * month + 2) / 5) as u8 + 1,
            hour: (seconds / 3600 % 24) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }
}
