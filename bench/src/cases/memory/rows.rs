//! What servers are filled with.

use std::fmt::Write as _;

/// One kind of data.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Groups of requests after which it is measured.
    pub(super) stops: &'static [u64],
    /// Requests and elements of a group.
    pub(super) requests: u64,
    pub(super) elements: u64,
    /// Bytes of an element that the client sends, on average.
    pub(super) payload: f64,
    /// Writes a group: its number, how many there are, where to.
    pub(super) write: fn(u64, u64, &mut Vec<u8>),
}

/// Elements of a request that has many.
const MANY: u64 = 100;

/// The rows.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "string, 16 + 32 bytes",
        // The segments of Pinion's table are fuller before they split than after.
        stops: &[4_000_000, 5_000_000, 6_000_000, 7_000_000],
        requests: 1,
        elements: 1,
        payload: 48.0,
        write: |n, _, out| line(out, format_args!("SET k{n:015} {:032}", n)),
    },
    Row {
        name: "hash of 5 fields",
        stops: &[1_000_000],
        requests: 1,
        elements: 1,
        payload: 59.4,
        write: |n, _, out| {
            let (name, age, city) = (n % 99_999, 20 + n % 60, n % 999);
            let (mail, last) = (n % 999_999, n % 1000);
            line(
                out,
                format_args!(
                    "HSET user:{n:09} name user{name:05} age {age} city city{city:03} \
                     mail m{mail:06} n {last}"
                ),
            );
        },
    },
    Row {
        name: "sorted set of 2M",
        stops: &[20_000],
        requests: 1,
        elements: MANY,
        payload: 27.0,
        write: |n, groups, out| {
            many(out, "ZADD z", n, |text, member| {
                let score = member * 7 % (groups * MANY);
                write!(text, " {score}.0 member:{member:012}")
            });
        },
    },
    Row {
        name: "set of 2M",
        stops: &[20_000],
        requests: 1,
        elements: MANY,
        payload: 19.0,
        write: |n, _, out| {
            many(out, "SADD s", n, |text, member| write!(text, " member:{member:012}"));
        },
    },
    Row {
        name: "hash of 2M fields",
        stops: &[20_000],
        requests: 1,
        elements: MANY,
        payload: 34.0,
        write: |n, _, out| {
            many(out, "HSET h", n, |text, field| {
                write!(text, " field:{field:010} value:{field:012}")
            });
        },
    },
    Row {
        name: "list of 5M",
        stops: &[50_000],
        requests: 1,
        elements: MANY,
        payload: 13.0,
        write: |n, _, out| many(out, "RPUSH l", n, |text, item| write!(text, " item:{item:08}")),
    },
    Row {
        name: "string with a time",
        stops: &[1_000_000],
        requests: 1,
        elements: 1,
        payload: 56.0,
        write: |n, _, out| {
            line(out, format_args!("SET k{n:015} {n:032} EX {}", 100_000 + n % 1000));
        },
    },
    Row {
        name: "session of 10 fields",
        stops: &[1_000_000],
        requests: 1,
        elements: 1,
        payload: 219.0,
        write: |n, _, out| {
            let mut text = format!("HSET session:{n:020}");
            for field in 0..10 {
                text += &format!(" field{field} value{field}:{}", n % 100_000);
            }
            line(out, format_args!("{text}"));
        },
    },
    Row {
        name: "entry, streams of 20",
        stops: &[100_000],
        requests: 20,
        elements: 20,
        payload: 31.0,
        write: |n, _, out| {
            for entry in 0..20 {
                let user = n % 999_999;
                let fields = format_args!("event click{entry} user u{user:06}");
                line(out, format_args!("XADD stream:{n:08} * {fields}"));
            }
        },
    },
    Row {
        name: "key, sessions and rates",
        stops: &[125_000],
        requests: 13,
        elements: 9,
        payload: 167.0,
        write: |n, _, out| (4 * n..4 * n + 4).for_each(|n| mixed(n, out)),
    },
];

/// What a site keeps for a visitor: a session and a counter that expire, and for each fourth the
/// times of its last requests.
fn mixed(n: u64, out: &mut Vec<u8>) {
    let (one, other) = (drawn(n), drawn(!n));
    let len = 64 + (one % 337) as usize;
    line(out, format_args!("SET sess:{one:016x}{other:016x} {:x<len$} EX 3600", ""));
    line(out, format_args!("INCR rate:{n:08}"));
    line(out, format_args!("EXPIRE rate:{n:08} {}", 60 + n % 3600));
    if n.is_multiple_of(4) {
        let mut text = format!("ZADD rl:{n:08}");
        for request in 0..8 {
            let (time, name) = (1_700_000_000_000 + request * 1000 + n, drawn(one ^ request));
            text += &format!(" {time} {name:016x}");
        }
        line(out, format_args!("{text}"));
    }
}

/// A number as any other, the same for every server (splitmix64, Vigna).
fn drawn(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn line(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    out.extend_from_slice(format!("{words}\r\n").as_bytes());
}

/// One request with the elements of group `n`.
fn many(
    out: &mut Vec<u8>,
    begin: &str,
    n: u64,
    element: impl Fn(&mut String, u64) -> std::fmt::Result,
) {
    let mut text = begin.to_owned();
    for number in n * MANY..(n + 1) * MANY {
        element(&mut text, number).expect("a string takes whatever is written");
    }
    line(out, format_args!("{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_as_many_requests_as_they_say() {
        for row in ROWS {
            let mut out = Vec::new();
            (row.write)(7, 100, &mut out);
            let lines = out.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(lines as u64, row.requests, "{}", row.name);
        }
    }
}
