//! A client's mistakes, with the text each puts on the wire.

/// What a command refuses. Copyable, returned, never logged; it never changed state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Arguments that fit no form of the command.
    Syntax,
    /// Text that is not a 64-bit integer.
    NotInteger,
    /// An integer beyond 32 bits, where those are all.
    BeyondInt,
    /// An integer beyond 64 bits with its sign turned, where that must be.
    BeyondLong,
    /// Text that is not a float.
    NotFloat,
    /// A value of another type than the command works on.
    WrongType,
    /// Arithmetic beyond 64 bits.
    Overflow,
    /// No such key, where the command needs one.
    NoSuchKey,
    /// Keys of one command on different shards, where the command works on one.
    CrossShard,
    /// A number out of its range.
    OutOfRange,
    /// A database number that does not exist.
    DatabaseIndex,
    /// A string beyond `STRING_BYTES_MAX`.
    StringTooLong,
    /// A time to live that is not positive, or beyond 64 bits of milliseconds; for the named
    /// command.
    ExpireTime(&'static str),
    /// Wrong number of arguments, for the named command.
    Arity(&'static str),
    /// A longitude or latitude out of its range: the bits of both doubles.
    Coordinates {
        /// Of the longitude.
        longitude: u64,
        /// Of the latitude.
        latitude: u64,
    },
    /// None of two options, or both, for the named command.
    ExactlyOne {
        /// The options.
        of: &'static str,
        /// The command.
        name: &'static str,
    },
    /// No keys to combine, for the named command.
    NoInputKey(&'static str),
    /// Any other fixed text, with its prefix (`ERR ...`).
    Text(&'static str),
}

impl Error {
    /// The line on the wire after `-`.
    pub fn text(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Syntax => "ERR syntax error".into(),
            Self::NotInteger => "ERR value is not an integer or out of range".into(),
            Self::BeyondInt => "ERR value is out of range, value must between \
                 -2147483648 and 2147483647"
                .into(),
            Self::BeyondLong => "ERR value is out of range, value must between \
                 -9223372036854775807 and 9223372036854775807"
                .into(),
            Self::NotFloat => "ERR value is not a valid float".into(),
            Self::WrongType => {
                "WRONGTYPE Operation against a key holding the wrong kind of value".into()
            }
            Self::Overflow => "ERR increment or decrement would overflow".into(),
            Self::NoSuchKey => "ERR no such key".into(),
            Self::CrossShard => "CROSSSLOT Keys in request live on different shards; \
                 give them one {hash tag}"
                .into(),
            Self::OutOfRange => "ERR value is out of range".into(),
            Self::DatabaseIndex => "ERR DB index is out of range".into(),
            Self::StringTooLong => {
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)".into()
            }
            Self::ExpireTime(name) => format!("ERR invalid expire time in '{name}' command").into(),
            Self::Arity(name) => {
                format!("ERR wrong number of arguments for '{name}' command").into()
            }
            Self::Coordinates { longitude, latitude } => {
                let (longitude, latitude) = (f64::from_bits(longitude), f64::from_bits(latitude));
                format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into()
            }
            Self::ExactlyOne { of, name } => {
                format!("ERR exactly one of {of} can be specified for {name}").into()
            }
            Self::NoInputKey(name) => {
                format!("ERR at least 1 input key is needed for '{name}' command").into()
            }
            Self::Text(text) => text.into(),
        }
    }
}
