//! What is wrong with bytes that should be a file or an object.

/// What was found wrong, in one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The bytes end before what they begin.
    Cut,
    /// The file does not begin as RDB files do.
    Magic,
    /// A version that is not known.
    Version(u32),
    /// A type of value, or an opcode, that is not known.
    Type(u8),
    /// A value that belongs to a module.
    Module,
    /// Functions as they were written before Redis 7.0 was released.
    OldFunction,
    /// Where a length should be there is something else.
    Length,
    /// More is claimed than the bytes could hold.
    TooMuch,
    /// A string in a form that is not known.
    Text,
    /// Compressed bytes that give nothing, or not as much as they say.
    Compressed,
    /// A number of a database beyond 32 bits.
    Database,
    /// A time that cannot be.
    Time,
    /// A score that is not a number.
    Score,
    /// A listpack whose bytes do not agree with each other.
    Listpack,
    /// The same of a ziplist.
    Ziplist,
    /// The same of a zipmap.
    Zipmap,
    /// The same of a set of integers.
    Intset,
    /// The same of a node of a list.
    Quicklist,
    /// The same of a stream or its groups.
    Stream,
    /// Entries of a stream that were given back, and belong to no consumer.
    GivenBack,
    /// A value without elements.
    Empty,
    /// An element that is there twice.
    Twice,
    /// A key that is there twice.
    KeyTwice,
    /// Elements that are not in their order.
    Order,
    /// Bytes behind the end of a value.
    Trailing,
    /// A value larger than any may be here.
    TooLarge,
}

/// A fault with its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error {
    /// Offset of the byte in the file, from 0.
    pub at: u64,
    /// What is wrong there.
    pub fault: Fault,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cut => "it ends too early",
            Self::Magic => "it does not begin as an RDB file does",
            Self::Version(version) => return write!(f, "RDB version {version} is not known"),
            Self::Type(number) => return write!(f, "type {number} is not known"),
            Self::Module => "a value of a module, and there are no modules",
            Self::OldFunction => "functions in a form older than Redis 7.0",
            Self::Length => "no length where one should be",
            Self::TooMuch => "a length beyond the bytes there are",
            Self::Text => "a string in a form that is not known",
            Self::Compressed => "a string that cannot be decompressed",
            Self::Database => "no database has such a number",
            Self::Time => "a time that cannot be",
            Self::Score => "a score that is not a number",
            Self::Listpack => "a damaged listpack",
            Self::Ziplist => "a damaged ziplist",
            Self::Zipmap => "a damaged zipmap",
            Self::Intset => "a damaged set of integers",
            Self::Quicklist => "a damaged node of a list",
            Self::Stream => "a damaged stream",
            Self::GivenBack => "entries that XNACK gave back, which are not known here",
            Self::Empty => "a value without elements",
            Self::Twice => "an element that is there twice",
            Self::KeyTwice => "a key that is there twice",
            Self::Order => "elements out of order",
            Self::Trailing => "bytes behind the end of a value",
            Self::TooLarge => "a value larger than any may be",
        })
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.fault)
    }
}

impl std::error::Error for Error {}
