//! Commands under other names or under none: `rename-command` of a configuration file.

use super::FindError;
use super::command_rows::Entry;
use super::table::{Found, find_named, find_session};
use pinion_shards::commands::Args;

/// What names stand for, where that is not what they say. Few, so that they are looked through.
#[derive(Clone, Debug, Default)]
pub struct Renames(Vec<Rename>);

#[derive(Clone, Debug)]
struct Rename {
    /// In lower case.
    name: Box<[u8]>,
    /// The command's own name; none where no command goes by this name any more.
    stands_for: Option<&'static str>,
}

impl Renames {
    /// Gives the command that goes by `name` the name `to`, or none if that is empty.
    ///
    /// # Errors
    /// One sentence: no command goes by `name`, or one goes by `to` already.
    pub fn add(&mut self, name: &str, to: &str) -> Result<(), String> {
        let own = self.own_name(name.as_bytes());
        let own = own.ok_or_else(|| format!("there is no command '{name}' to rename"))?;
        if !to.is_empty() && self.own_name(to.as_bytes()).is_some() {
            return Err(format!("there is a command '{to}' already"));
        }
        self.put(name, None);
        if !to.is_empty() {
            self.put(to, Some(own));
        }
        Ok(())
    }

    fn put(&mut self, name: &str, stands_for: Option<&'static str>) {
        let name: Box<[u8]> = name.to_ascii_lowercase().into_bytes().into();
        self.0.retain(|known| known.name != name);
        self.0.push(Rename { name, stands_for });
    }

    /// True if every command goes by its own name.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The own name of the command that goes by `name`, if there is one.
    fn own_name(&self, name: &[u8]) -> Option<&'static str> {
        match self.0.iter().find(|known| known.name.eq_ignore_ascii_case(name)) {
            Some(known) => known.stands_for,
            None => pinion_shards::commands::find(name)
                .or_else(|| find_session(name).map(|session| &session.row))
                .map(|row| row.name),
        }
    }

    /// Every command that goes by some name, without the subcommands.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        Entry::all().filter(|entry| {
            let own = entry.row.name;
            let is_own = self.own_name(own.as_bytes()) == Some(own);
            is_own || self.0.iter().any(|known| known.stands_for == Some(own))
        })
    }

    /// The command that goes by a name, or its subcommand as `name|subcommand`, in any case.
    pub(super) fn entry(&self, name: &[u8]) -> Option<Entry> {
        let bar = name.iter().position(|&byte| byte == b'|').unwrap_or(name.len());
        let own = self.own_name(&name[..bar])?;
        Entry::find(&[own.as_bytes(), &name[bar..]].concat())
    }

    /// The row of a request, as `find` gives it where nothing is renamed.
    ///
    /// # Errors
    /// There is none.
    #[cold]
    pub fn find(&self, args: &Args<'_>) -> Result<Found, FindError> {
        let own = self.own_name(args.at(0)).ok_or(FindError::UnknownCommand)?;
        find_named(own.as_bytes(), args)
    }

    /// What was renamed, and to what, in an order in which `Renames::add` takes it.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let named = |own: &'static str| {
            let at = self.0.iter().find(|known| known.stands_for == Some(own));
            (own, at.map_or(String::new(), |at| String::from_utf8_lossy(&at.name).into_owned()))
        };
        // Each command whose own name is in the list: it is gone, or another's.
        let own_names = self.0.iter().filter_map(|known| Self::default().own_name(&known.name));
        let mut left: Vec<_> = own_names.map(named).collect();
        let (mut pairs, mut made) = (Vec::new(), Self::default());
        // A name must be free before it is given: as many rounds as names were passed on.
        for _ in 0..left.len() {
            left.retain(|(own, to)| {
                let fits = made.add(own, to).is_ok();
                if fits {
                    pairs.push((*own, to.clone()));
                }
                !fits
            });
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_shards::commands::Words;

    fn found(renames: &Renames, request: &str) -> Result<&'static str, FindError> {
        let mut words = Words::default();
        words.extend(request.split(' ').map(str::as_bytes));
        renames.find(&words.args()).map(|found| found.row().name)
    }

    #[test]
    fn a_command_goes_by_its_new_name_only() {
        let mut renames = Renames::default();
        assert!(renames.is_empty());
        for (name, to) in
            [("GET", "Fetch"), ("config", "guarded"), ("FLUSHALL", ""), ("set", "get")]
        {
            assert_eq!(renames.add(name, to), Ok(()), "{name}");
        }
        assert_eq!(found(&renames, "fetch k"), Ok("get"));
        assert_eq!(found(&renames, "GET k v"), Ok("set"));
        assert_eq!(found(&renames, "GUARDED get x"), Ok("config|get"));
        assert_eq!(found(&renames, "guarded x"), Err(FindError::UnknownSubcommand("config")));
        for gone in ["set k v", "config get x", "flushall", "nosuch"] {
            assert_eq!(found(&renames, gone), Err(FindError::UnknownCommand), "{gone}");
        }
        assert_eq!(found(&renames, "del k"), Ok("del"));
        for (name, to) in [("nosuch", "x"), ("flushall", "x"), ("del", "unlink"), ("del", "fetch")]
        {
            assert!(renames.add(name, to).is_err(), "{name} {to}");
        }
        assert_eq!(renames.add("fetch", "GRAB"), Ok(()), "what was renamed may be again");
        assert_eq!(found(&renames, "grab k"), Ok("get"));
        let names: Vec<_> = renames.entries().map(|entry| entry.row.name).collect();
        assert!(names.contains(&"get") && names.contains(&"config"));
        assert!(!names.contains(&"flushall"));
        let entry = |name: &str| renames.entry(name.as_bytes()).map(|entry| entry.row.name);
        assert_eq!((entry("Grab"), entry("get"), entry("set")), (Some("get"), Some("set"), None));
        assert_eq!((entry("guarded|get"), entry("config|get")), (Some("config|get"), None));
        let mut again = Renames::default();
        for (name, to) in renames.pairs() {
            assert_eq!(again.add(name, &to), Ok(()), "{name} {to}");
        }
        for (request, row) in
            [("grab k", "get"), ("get k v", "set"), ("guarded get x", "config|get")]
        {
            assert_eq!(found(&again, request), Ok(row));
        }
        for gone in ["flushall", "set k v", "config get x", "fetch k"] {
            assert_eq!(found(&again, gone), Err(FindError::UnknownCommand), "{gone}");
        }
    }
}
