//! Answers: heads, and what they announce.

use super::request::{Asked, Page};
use super::{metrics, page};
use crate::calendar::Date;
use crate::commands::Context;
use crate::errand::CoreFigures;
use pinion_shards::Millis;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Here it is.
    Ok,
    /// It is no request.
    BadRequest,
    /// The password is missing or wrong.
    Unauthorized,
    /// There is no such page.
    NotFound,
    /// Pages can only be read.
    MethodNotAllowed,
    /// Its head is too large.
    TooLarge,
    /// The server is stopping.
    Unavailable,
}

/// How an answer is to be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shape {
    /// Without the body that its head announces.
    pub head_only: bool,
    /// The last of its connection.
    pub close: bool,
}

/// What a body is.
struct Body {
    kind: &'static str,
    text: String,
}

impl Status {
    /// Number and name.
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Unauthorized => "401 Unauthorized",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// The header line that goes with it alone.
    fn header(self) -> &'static str {
        match self {
            Self::Unauthorized => "WWW-Authenticate: Basic realm=\"pinion\"\r\n",
            Self::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        }
    }
}

/// The answer to a request that is refused.
pub fn refuse(status: Status, shape: Shape, now: Millis) -> Vec<u8> {
    let text = format!("{}\n", status.line());
    write(status, shape, now, &Body { kind: "text/plain; charset=utf-8", text })
}

/// A page, from the figures of every core.
pub fn show(page: Page, shape: Shape, cores: &[CoreFigures], at_home: &Context<'_>) -> Vec<u8> {
    let stopping = at_home.server.stopping.load(Ordering::Relaxed);
    let (status, body) = match page {
        Page::Home => {
            let text = page::text(cores, at_home);
            (Status::Ok, Body { kind: "text/html; charset=utf-8", text })
        }
        Page::Metrics => {
            let text = metrics::text(cores, at_home);
            (Status::Ok, Body { kind: "text/plain; version=0.0.4; charset=utf-8", text })
        }
        Page::Health if stopping => return refuse(Status::Unavailable, shape, at_home.now),
        Page::Health => {
            let text = "OK\n".to_owned();
            (Status::Ok, Body { kind: "text/plain; charset=utf-8", text })
        }
    };
    write(status, shape, at_home.now, &body)
}

impl Asked {
    /// Why it is refused, if it is; `wanted` is the password asked for, if there is one.
    pub fn refusal(&self, lets_in: impl FnOnce(&[u8]) -> bool) -> Option<Status> {
        if !lets_in(self.password.as_deref().unwrap_or_default()) {
            return Some(Status::Unauthorized);
        }
        self.page.err()
    }
}

fn write(status: Status, shape: Shape, now: Millis, body: &Body) -> Vec<u8> {
    let mut head = String::with_capacity(256);
    let connection = if shape.close { "close" } else { "keep-alive" };
    write!(
        head,
        "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: {connection}\r\n\
         {}\r\n",
        status.line(),
        date(now),
        body.kind,
        body.text.len(),
        status.header(),
    )
    .expect("writing to memory does not fail");
    let mut answer = head.into_bytes();
    if !shape.head_only {
        answer.extend_from_slice(body.text.as_bytes());
    }
    answer
}

/// An instant as RFC 9110 writes it, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(now: Millis) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Date { year, month, day, hour, minute, second, weekday } = Date::of(now);
    let (name, month) = (DAYS[usize::from(weekday)], MONTHS[usize::from(month) - 1]);
    format!("{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        ] {
            assert_eq!(date(seconds * 1000), text);
        }
    }

    #[test]
    fn a_head_announces_what_follows_or_would() {
        let shape = Shape { head_only: false, close: true };
        let text = String::from_utf8(refuse(Status::Unauthorized, shape, 0)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\nDate: Thu, 01 Jan 1970"), "{head}");
        assert!(head.contains("\r\nContent-Length: 17\r\n"), "{head}");
        assert!(head.contains("\r\nWWW-Authenticate: Basic realm=\"pinion\""), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert_eq!(body, "401 Unauthorized\n");
        let shape = Shape { head_only: true, close: false };
        assert!(refuse(Status::NotFound, shape, 0).ends_with(b"Connection: keep-alive\r\n\r\n"));
    }
}
