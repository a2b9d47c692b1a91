//! What one list of rules allows: commands, keys and channels.
//!
//! A user has one such list at least, and may run a command that any of them allows whole. Knows:
//! rules, rows and patterns. Never knows: passwords, sessions.

use super::commands::{CommandSet, Directory, Id, category};
use super::rule::{RuleError, has_spaces};
use pinion_shards::commands::{Access, Args, Flags, Row};
use pinion_shards::glob;

/// May read a key.
const READ: u8 = 1;
/// May change a key.
const WRITE: u8 = 2;

/// Why a request is not allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The command is not.
    Command,
    /// The key at this index is not.
    Key(usize),
    /// The channel at this index is not.
    Channel(usize),
}

/// Keys whose names fit a pattern, and what may be done with them.
#[derive(Clone, Debug, Eq, PartialEq)]
struct KeyPattern {
    pattern: Box<[u8]>,
    access: u8,
}

/// A rule about commands, as it is told again: which command, first argument or `@category`.
#[derive(Clone, Debug, Eq, PartialEq)]
struct CommandRule {
    allows: bool,
    name: Box<[u8]>,
}

/// One list of rules, and what follows from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    /// Every command: nothing was taken away since `+@all`.
    all_commands: bool,
    /// Commands that no rule names are allowed: `+@all` is the last rule about all.
    is_open: bool,
    commands: CommandSet,
    /// Commands that are allowed with these first arguments only.
    first_args: Vec<(Id, Box<[u8]>)>,
    /// What came after the last rule about all commands, without what later rules made void.
    rules: Vec<CommandRule>,
    all_keys: bool,
    keys: Vec<KeyPattern>,
    all_channels: bool,
    channels: Vec<Box<[u8]>>,
}

impl Selector {
    /// Nothing is allowed, except perhaps every channel.
    pub fn new(all_channels: bool) -> Self {
        Self {
            all_commands: false,
            is_open: false,
            commands: CommandSet::filled(false),
            first_args: Vec::new(),
            rules: Vec::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
        }
    }

    /// Reads rules with spaces between, as they stand between parentheses.
    ///
    /// # Errors
    /// A rule does not hold.
    pub fn parse(text: &[u8], all_channels: bool) -> Result<Self, RuleError> {
        let mut selector = Self::new(all_channels);
        for rule in text.split(u8::is_ascii_whitespace).filter(|rule| !rule.is_empty()) {
            selector.apply(rule)?;
        }
        Ok(selector)
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// The rule does not hold; nothing has changed.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || rule == b"~*" {
            self.reset_keys();
            self.all_keys = true;
        } else if is("resetkeys") {
            self.reset_keys();
        } else if is("allchannels") || rule == b"&*" {
            self.reset_channels(true);
        } else if is("resetchannels") {
            self.reset_channels(false);
        } else if is("allcommands") || is("+@all") {
            self.reset_commands(true);
        } else if is("nocommands") || is("-@all") {
            self.reset_commands(false);
        } else {
            match rule {
                [b'~' | b'%', ..] if self.all_keys => return Err(RuleError::AfterAllKeys),
                [b'~', pattern @ ..] => self.add_keys(pattern, READ | WRITE)?,
                [b'%', rest @ ..] => {
                    let (pattern, access) = parse_access(rest).ok_or(RuleError::Syntax)?;
                    self.add_keys(pattern, access)?;
                }
                [b'&', pattern @ ..] => self.add_channel(pattern)?,
                [sign @ (b'+' | b'-'), b'@', name @ ..] => {
                    self.rule_category(name, *sign == b'+')?;
                }
                [b'+', name @ ..] => self.allow(name)?,
                [b'-', name @ ..] => self.forbid(name)?,
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    /// Allows or forbids every command, those to come among them.
    pub(super) fn reset_commands(&mut self, to: bool) {
        (self.all_commands, self.is_open) = (to, to);
        self.commands = CommandSet::filled(to);
        self.first_args.clear();
        self.rules.clear();
    }

    /// Forbids every key.
    pub(super) fn reset_keys(&mut self) {
        self.all_keys = false;
        self.keys.clear();
    }

    /// Allows or forbids every channel.
    pub(super) fn reset_channels(&mut self, to: bool) {
        self.all_channels = to;
        self.channels.clear();
    }

    fn add_keys(&mut self, pattern: &[u8], access: u8) -> Result<(), RuleError> {
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| &*known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { pattern: pattern.into(), access }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| &**known == pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    fn rule_category(&mut self, name: &[u8], allows: bool) -> Result<(), RuleError> {
        let place = category(name).ok_or(RuleError::UnknownName)?;
        for id in Directory::here().in_category(place) {
            self.set_command(id, allows);
        }
        self.note_rule(&[b"@", name].concat(), allows);
        Ok(())
    }

    /// `+command`, `+container|subcommand`, `+command|first-argument`.
    fn allow(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let directory = Directory::here();
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            let id = directory.find(name).ok_or(RuleError::UnknownName)?;
            self.set_command(id, true);
            self.note_rule(name, true);
            return Ok(());
        };
        let (first, argument) = (&name[..bar], &name[bar + 1..]);
        let id = directory.find(first).ok_or(RuleError::UnknownName)?;
        let command = directory.command(id);
        if command.parent.is_some() {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        if argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        if command.inner.is_empty() {
            let argument: Box<[u8]> = argument.into();
            let known =
                |known: &(Id, Box<[u8]>)| known.0 == id && known.1.eq_ignore_ascii_case(&argument);
            if !self.first_args.iter().any(known) {
                self.first_args.push((id, argument));
            }
        } else {
            self.set_command(directory.find(name).ok_or(RuleError::UnknownName)?, true);
        }
        self.note_rule(name, true);
        Ok(())
    }

    fn forbid(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let id = Directory::here().find(name).ok_or(RuleError::UnknownName)?;
        self.set_command(id, false);
        self.note_rule(name, false);
        Ok(())
    }

    /// Allows or forbids a command with its subcommands.
    fn set_command(&mut self, id: Id, to: bool) {
        self.all_commands &= to;
        self.commands.set(id, to);
        self.first_args.retain(|(known, _)| *known != id);
        for &inner in &Directory::here().command(id).inner {
            self.commands.set(inner, to);
        }
    }

    /// Keeps a rule about commands to be told again. What it makes void is forgotten: the same name
    /// and, where it is that of a whole command, its parts.
    fn note_rule(&mut self, name: &[u8], allows: bool) {
        let name = name.to_ascii_lowercase();
        self.rules.retain(|rule| {
            let rest = rule.name.strip_prefix(name.as_slice());
            !rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'|')
        });
        self.rules.push(CommandRule { allows, name: name.into() });
    }

    /// True if it allows everything.
    pub fn is_unrestricted(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels
    }

    /// Looks at a request.
    ///
    /// # Errors
    /// It is not allowed.
    pub fn check(&self, row: &'static Row, args: &Args<'_>) -> Result<(), Denied> {
        let id = Directory::here().id(row);
        // For rules some rows are parts of one command.
        let row = Directory::here().command(id).row;
        if !self.all_commands && !row.flags.has(Flags::NO_AUTH) && !self.may_run(id, args) {
            return Err(Denied::Command);
        }
        if !self.all_keys {
            for spec in row.keys.iter().filter(|spec| !is(spec.access, "NOT_KEY")) {
                let access = wanted(accesses(row, spec.access, args));
                let denied = |index: &usize| !self.may_use_key(args.at(*index), access);
                if let Some(index) = spec.indexes(args).find(denied) {
                    return Err(Denied::Key(index));
                }
            }
        }
        if !self.all_channels
            && let Some((channels, literal)) = channels(row, args)
        {
            let denied = |index: &usize| !self.may_use_channel(args.at(*index), literal);
            if let Some(index) = channels.into_iter().find(denied) {
                return Err(Denied::Channel(index));
            }
        }
        Ok(())
    }

    fn may_run(&self, id: Id, args: &Args<'_>) -> bool {
        if self.commands.has(id) {
            return true;
        }
        let Some(first) = args.try_at(1) else { return false };
        let fits = |(known, argument): &(Id, Box<[u8]>)| {
            *known == id && argument.eq_ignore_ascii_case(first)
        };
        self.first_args.iter().any(fits)
    }

    fn may_use_key(&self, key: &[u8], access: u8) -> bool {
        let fits = |known: &KeyPattern| {
            known.access & access == access && glob::is_match(&known.pattern, key)
        };
        self.all_keys || self.keys.iter().any(fits)
    }

    /// True if every key may be read, as SORT needs it for BY and GET.
    pub fn may_read_all(&self) -> bool {
        let all = |known: &KeyPattern| known.access & READ != 0 && &*known.pattern == b"*";
        self.all_keys || self.keys.iter().any(all)
    }

    /// True if it allows a channel; `literal` is for patterns to subscribe to, which must be
    /// allowed as they stand.
    pub fn may_use_channel(&self, name: &[u8], literal: bool) -> bool {
        let fits = |known: &[u8]| {
            if literal { known == name } else { glob::is_match(known, name) }
        };
        self.all_channels || self.channels.iter().any(|known| fits(known))
    }

    /// Its rules about commands, in one line.
    pub fn commands_text(&self) -> Vec<u8> {
        let mut text = (if self.is_open { b"+@all" } else { b"-@all" }).to_vec();
        for rule in &self.rules {
            text.extend_from_slice(if rule.allows { b" +" } else { b" -" });
            text.extend_from_slice(&rule.name);
        }
        text
    }

    /// Its rules about keys, in one line.
    pub fn keys_text(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let words = self.keys.iter().map(|known| {
            let sign: &[u8] = match known.access {
                READ => b"%R~",
                WRITE => b"%W~",
                _ => b"~",
            };
            [sign, &known.pattern].concat()
        });
        words.collect::<Vec<_>>().join(&b' ')
    }

    /// Its rules about channels, in one line.
    pub fn channels_text(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let words = self.channels.iter().map(|known| [b"&", &**known].concat());
        words.collect::<Vec<_>>().join(&b' ')
    }

    /// All its rules, such that applying them to a fresh one gives the same.
    pub fn text(&self) -> Vec<u8> {
        let mut channels = self.channels_text();
        if !self.all_channels {
            let start: &[u8] =
                if channels.is_empty() { b"resetchannels" } else { b"resetchannels " };
            channels.splice(0..0, start.iter().copied());
        }
        let parts = [self.keys_text(), channels, self.commands_text()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&b' ')
    }
}

/// Splits what follows a `%` into the pattern and what may be done with its keys. Without a `~`
/// the pattern is empty, as in Redis.
fn parse_access(rest: &[u8]) -> Option<(&[u8], u8)> {
    let mut access = 0;
    for (index, byte) in rest.iter().enumerate() {
        let bit = match byte.to_ascii_uppercase() {
            b'R' => READ,
            b'W' => WRITE,
            b'~' => return (access != 0).then_some((&rest[index + 1..], access)),
            _ => return None,
        };
        if access & bit != 0 {
            return None;
        }
        access |= bit;
    }
    (access != 0).then_some((&[], access))
}

/// What must be allowed for such an access. One that neither takes the value nor changes it, as
/// EXISTS, needs only some permission on the key.
fn wanted(access: Access) -> u8 {
    let reads = if is(access, "ACCESS") { READ } else { 0 };
    let writes = is(access, "INSERT") || is(access, "DELETE") || is(access, "UPDATE");
    reads | if writes { WRITE } else { 0 }
}

/// True if a word stands in what is said of an access.
fn is(access: Access, name: &str) -> bool {
    access.0.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// What a request does with the keys of a run: for SET and BITFIELD its words say that.
pub fn accesses(row: &Row, general: Access, args: &Args<'_>) -> Access {
    match row.name {
        "set" if (3..args.len()).any(|index| args.is(index, "GET")) => {
            Access(&["RW", "ACCESS", "UPDATE"])
        }
        "set" => Access(&["OW", "UPDATE"]),
        "bitfield" if only_gets(args) => Access(&["RO", "ACCESS"]),
        "bitfield" => Access(&["RW", "ACCESS", "UPDATE"]),
        _ => general,
    }
}

/// True if a BITFIELD has nothing but GET; what is no operation at all may write for all we know.
fn only_gets(args: &Args<'_>) -> bool {
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index;
        index += match () {
            () if args.is(index, "GET") && left >= 3 => 3,
            () if args.is(index, "OVERFLOW") && left >= 2 => 2,
            () => return false,
        };
    }
    true
}

/// Where the channels of a request stand, and whether they are patterns.
fn channels(row: &Row, args: &Args<'_>) -> Option<(std::ops::Range<usize>, bool)> {
    if !row.flags.has(Flags::PUBSUB) {
        return None;
    }
    match row.name {
        "subscribe" | "ssubscribe" => Some((1..args.len(), false)),
        "psubscribe" => Some((1..args.len(), true)),
        "publish" | "spublish" => Some((1..2, false)),
        _ => None,
    }
}
