//! Folds the replies of a command's parts, one a shard, into the one reply of the client.

/// How parts become one reply. Each works on encoded replies, so a part may come from any core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fold {
    /// Integers are added: DEL, EXISTS, DBSIZE.
    Sum,
    /// `+OK` from every part: MSET, FLUSHALL.
    Ok,
    /// Arrays with one element a key go back to the keys' places: MGET.
    Interleave,
    /// Arrays are joined: KEYS.
    Concat,
    /// Each part is an array of a weight and a value: one is chosen by weight; RANDOMKEY.
    Pick,
}
