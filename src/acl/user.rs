//! One user: whether and how they come in, and what they may do then.

use super::password::Hash;
use super::rule::RuleError;
use super::selector::{Denied, Selector};
use pinion_shards::commands::{Args, Row};
use std::sync::atomic::{AtomicBool, Ordering};

/// A user. One that is known to others never changes: it is replaced.
#[derive(Debug)]
pub struct User {
    name: Box<[u8]>,
    /// Of this name's life: new where a user of the same name was deleted before.
    birth: u64,
    is_on: bool,
    /// Any password is right.
    is_open: bool,
    /// RESTORE looks closely at what this user sends.
    sanitizes: bool,
    passwords: Vec<Hash>,
    /// The user's own rules, and those in parentheses.
    selectors: Vec<Selector>,
    /// Another has taken its place, or it was deleted.
    is_past: AtomicBool,
}

impl Clone for User {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            birth: self.birth,
            is_on: self.is_on,
            is_open: self.is_open,
            sanitizes: self.sanitizes,
            passwords: self.passwords.clone(),
            selectors: self.selectors.clone(),
            is_past: AtomicBool::new(false),
        }
    }
}

impl User {
    /// A user who is off and may do nothing, except perhaps use every channel.
    pub fn new(name: &[u8], birth: u64, all_channels: bool) -> Self {
        Self {
            name: name.into(),
            birth,
            is_on: false,
            is_open: false,
            sanitizes: true,
            passwords: Vec::new(),
            selectors: vec![Selector::new(all_channels)],
            is_past: AtomicBool::new(false),
        }
    }

    /// The user `default` as it is at first: without a password, and may do everything.
    pub fn initial(birth: u64) -> Self {
        let mut user = Self::new(super::DEFAULT, birth, true);
        for rule in ["+@all", "~*", "on", "nopass"] {
            user.apply(rule.as_bytes(), true).expect("a rule that always holds");
        }
        user
    }

    /// Applies one rule; an empty one is none. `all_channels` says whether a fresh list of rules
    /// allows every channel.
    ///
    /// # Errors
    /// The rule does not hold. The user may have been changed in part.
    pub fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            [b'>', password @ ..] => self.add_password(Hash::of(password)),
            [b'#', text @ ..] => self.add_password(Hash::parse(text).ok_or(RuleError::BadHash)?),
            [b'<', password @ ..] => self.remove_password(Hash::of(password))?,
            [b'!', text @ ..] => {
                self.remove_password(Hash::parse(text).ok_or(RuleError::BadHash)?)?;
            }
            [b'(', rules @ .., b')'] => self.selectors.push(Selector::parse(rules, all_channels)?),
            _ if is("on") => self.is_on = true,
            _ if is("off") => self.is_on = false,
            _ if is("nopass") => {
                self.is_open = true;
                self.passwords.clear();
            }
            _ if is("resetpass") => {
                self.is_open = false;
                self.passwords.clear();
            }
            _ if is("sanitize-payload") => self.sanitizes = true,
            _ if is("skip-sanitize-payload") => self.sanitizes = false,
            _ if is("clearselectors") => self.selectors.truncate(1),
            _ if is("reset") => *self = Self::new(&self.name, self.birth, all_channels),
            _ => self.selectors[0].apply(rule)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: Hash) {
        self.is_open = false;
        if !self.passwords.iter().any(|known| known.is(&hash)) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: Hash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known.is(&hash));
        self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// This one as what became of `past`, whose clients stay.
    pub(super) fn reborn(&self, past: &Self) -> Self {
        self.reborn_at(past.birth)
    }

    /// This one as a user of its own, born then.
    pub(super) fn reborn_at(&self, birth: u64) -> Self {
        Self { birth, ..self.clone() }
    }

    /// True if `other` is the same user at another time, not only one of the same name.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.birth == other.birth && self.name == other.name
    }

    /// True if it may come in with any password, or without one where it is `default`.
    pub fn lets_all_in(&self) -> bool {
        self.is_on && self.is_open
    }

    /// True if any password is right, were it only on.
    pub fn has_no_password(&self) -> bool {
        self.is_open
    }

    /// True if it comes in with this password.
    pub fn lets_in(&self, password: &[u8]) -> bool {
        let given = Hash::of(password);
        // All are looked at, so that the time tells nothing of which it was.
        let right = self.passwords.iter().fold(false, |right, known| known.is(&given) | right);
        self.is_on && (self.is_open || right)
    }

    /// True if it may do everything.
    pub fn is_unrestricted(&self) -> bool {
        self.selectors[0].is_unrestricted()
    }

    /// Says that another took its place, or nobody.
    pub(super) fn end(&self) {
        self.is_past.store(true, Ordering::Release);
    }

    /// True if another took its place, or nobody.
    #[inline]
    pub fn is_past(&self) -> bool {
        self.is_past.load(Ordering::Acquire)
    }

    /// Looks at a request. Where none of the lists of rules allows it, the reason is that of the
    /// one which came furthest.
    ///
    /// # Errors
    /// It is not allowed.
    #[cold]
    pub fn check(&self, row: &'static Row, args: &Args<'_>) -> Result<(), Denied> {
        let rank = |denied: Denied| match denied {
            Denied::Command => (0, 0),
            Denied::Key(index) => (1, index),
            Denied::Channel(index) => (2, index),
        };
        let mut furthest = Denied::Command;
        for selector in &self.selectors {
            match selector.check(row, args) {
                Ok(()) => return Ok(()),
                Err(denied) if rank(denied) > rank(furthest) => furthest = denied,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    /// True if it may run a command and read all keys there are besides: SORT with BY or GET.
    pub fn may_read_all(&self, row: &'static Row, args: &Args<'_>) -> bool {
        let may =
            |selector: &Selector| selector.may_read_all() && selector.check(row, args).is_ok();
        self.selectors.iter().any(may)
    }

    /// True if one of its lists of rules allows all these channels; `literal` is for patterns to
    /// subscribe to, which must be allowed as they stand.
    pub fn may_use_channels(&self, names: &[&[u8]], literal: bool) -> bool {
        let may =
            |selector: &Selector| names.iter().all(|name| selector.may_use_channel(name, literal));
        self.selectors.iter().any(may)
    }

    /// Its flags, passwords and selectors, as ACL GETUSER tells them.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_on { "on" } else { "off" }];
        flags.extend(self.is_open.then_some("nopass"));
        flags.push(if self.sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" });
        flags
    }

    /// The hashes of its passwords.
    pub fn passwords(&self) -> &[Hash] {
        &self.passwords
    }

    /// Its lists of rules, its own first.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// All its rules, such that applying them to a fresh user gives the same.
    pub fn text(&self) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> =
            self.flags().iter().map(|flag| flag.as_bytes().into()).collect();
        parts.extend(self.passwords.iter().map(|hash| format!("#{}", hash.text()).into_bytes()));
        for (index, selector) in self.selectors.iter().enumerate() {
            let text = selector.text();
            parts.push(if index == 0 { text } else { [b"(", &text[..], b")"].concat() });
        }
        parts.join(&b' ')
    }
}
