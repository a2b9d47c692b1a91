//! The first line of a script that begins with `#!`: what it says of itself.

use crate::words;

/// What a script or a function says of itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// It says something: it has a first line for that, or is a function.
    pub declared: bool,
    /// It writes nothing.
    pub no_writes: bool,
    /// It may run where memory is used up.
    pub allow_oom: bool,
    /// It may run where what is read may be old.
    pub allow_stale: bool,
    /// It does not run in cluster mode.
    pub no_cluster: bool,
    /// It may touch keys of several slots.
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    /// Sets the flag of this name; false if there is none.
    pub(crate) fn set(&mut self, name: &[u8]) -> bool {
        match name {
            b"no-writes" => self.no_writes = true,
            b"allow-oom" => self.allow_oom = true,
            b"allow-stale" => self.allow_stale = true,
            b"no-cluster" => self.no_cluster = true,
            b"allow-cross-slot-keys" => self.allow_cross_slot_keys = true,
            // Scripts of Dragonfly say this of themselves; all scripts may.
            b"allow-undeclared-keys" => {}
            _ => return false,
        }
        true
    }

    /// The names of those that are set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
    }
}

/// The flags of a script, and where its code begins: at the end of the first line, so that lines
/// count as before.
///
/// # Errors
/// The text of the error.
pub(crate) fn read(source: &[u8]) -> Result<(Flags, usize), Vec<u8>> {
    let mut flags = Flags::default();
    if !source.starts_with(b"#!") {
        return Ok((flags, 0));
    }
    flags.declared = true;
    let Some(end) = memchr::memchr(b'\n', source) else {
        return Err(b"ERR Invalid script shebang".to_vec());
    };
    let Some(parts) = words::split(&source[..end]) else {
        return Err(b"ERR Invalid engine in script shebang".to_vec());
    };
    let mut parts = parts.iter();
    match parts.next() {
        Some(name) if name == b"#!lua" => {}
        name => {
            let name = name.map_or(&[][..], Vec::as_slice);
            return Err([b"ERR Unexpected engine in script shebang: ", name].concat());
        }
    }
    for part in parts {
        let Some(names) = part.strip_prefix(b"flags=") else {
            return Err([b"ERR Unknown lua shebang option: ", &part[..]].concat());
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|&byte| byte == b',') {
            if !flags.set(name) {
                return Err([b"ERR Unexpected flag in script shebang: ", name].concat());
            }
        }
    }
    Ok((flags, end))
}
