//! All users by name, and the rules that make them.

use super::rule::{RuleError, has_spaces};
use super::{DEFAULT, User};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The users. There always is one called `default`.
#[derive(Debug)]
pub struct Users {
    by_name: BTreeMap<Box<[u8]>, Arc<User>>,
    next_birth: u64,
}

/// Why a user was not changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SetError {
    /// The name has spaces.
    Name,
    /// The word at this index opens a parenthesis that is not closed.
    Parenthesis(usize),
    /// This rule does not hold.
    Rule(Vec<u8>, RuleError),
}

impl Default for Users {
    fn default() -> Self {
        Self::new()
    }
}

impl Users {
    /// Only the default user, who may do everything.
    pub fn new() -> Self {
        let default = Arc::new(User::initial(0));
        Self { by_name: BTreeMap::from([(DEFAULT.into(), default)]), next_birth: 1 }
    }

    /// The user of this name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The user that clients are at first.
    pub fn default_user(&self) -> &Arc<User> {
        &self.by_name[DEFAULT]
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// Applies rules to a user, all or none, and makes the user where there is none of this name.
    /// `all_channels` says whether a fresh list of rules allows every channel.
    ///
    /// # Errors
    /// The name is none, or a rule does not hold; nothing has changed.
    pub fn set(
        &mut self,
        name: &[u8],
        words: &[&[u8]],
        all_channels: bool,
    ) -> Result<(), SetError> {
        if has_spaces(name) {
            return Err(SetError::Name);
        }
        let rules = join_selectors(words).map_err(SetError::Parenthesis)?;
        let mut user = match self.by_name.get(name) {
            Some(user) => User::clone(user),
            None => User::new(name, self.next_birth, all_channels),
        };
        for rule in rules {
            if let Err(error) = user.apply(&rule, all_channels) {
                return Err(SetError::Rule(rule, error));
            }
        }
        self.put(user);
        Ok(())
    }

    /// Puts a user in the place of the one of the same name.
    pub(super) fn put(&mut self, user: User) {
        self.next_birth += 1;
        let past = self.by_name.insert(user.name().into(), Arc::new(user));
        if let Some(past) = past {
            past.end();
        }
    }

    /// Deletes a user; false if there is none. The default user stays.
    pub fn delete(&mut self, name: &[u8]) -> bool {
        if name == DEFAULT {
            return false;
        }
        let user = self.by_name.remove(name);
        if let Some(user) = &user {
            user.end();
        }
        user.is_some()
    }

    /// Takes the place of these users all at once. Clients of a user who is in both stay.
    pub fn replace(&mut self, others: Self) {
        let past = std::mem::take(&mut self.by_name);
        for other in others.by_name.into_values() {
            let known = past.get(other.name());
            self.put(match known {
                Some(known) => other.reborn(known),
                None => other.reborn_at(self.next_birth),
            });
        }
        past.values().for_each(|user| user.end());
    }

    /// Gives the default user this password, or lets everyone in if it is empty.
    pub fn set_default_password(&mut self, password: &str) {
        let mut user = User::clone(self.default_user());
        let rule = format!(">{password}");
        let rules =
            if password.is_empty() { ["resetpass", "nopass"] } else { ["resetpass", &rule] };
        for rule in rules {
            user.apply(rule.as_bytes(), true).expect("a rule that always holds");
        }
        self.put(user);
    }

    /// Adds the user that a `user` line of a configuration file defines, given as the words after
    /// `user`. The default user begins anew.
    ///
    /// # Errors
    /// One sentence: a rule does not hold, or there is a line for this user already.
    pub fn add_line(&mut self, words: &[Vec<u8>], all_channels: bool) -> Result<(), String> {
        let user = user_of(words, self.next_birth, all_channels)?;
        if user.name() != DEFAULT && self.by_name.contains_key(user.name()) {
            return Err(format!("the user {} is defined twice", shown(user.name())));
        }
        let user = if user.name() == DEFAULT { user.reborn(self.default_user()) } else { user };
        self.put(user);
        Ok(())
    }
}

/// Says whether the words after `user` of a configuration file's line define one.
///
/// # Errors
/// One sentence that says why not.
pub fn check_line(words: &[Vec<u8>]) -> Result<(), String> {
    user_of(words, 0, false).map(|_| ())
}

fn user_of(words: &[Vec<u8>], birth: u64, all_channels: bool) -> Result<User, String> {
    let Some((name, words)) = words.split_first() else {
        return Err("a line that begins with user names one".into());
    };
    if has_spaces(name) {
        return Err(format!("the user name {} has spaces", shown(name)));
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let rules = join_selectors(&words)
        .map_err(|_| format!("the rules of user {} lack a closing parenthesis", shown(name)))?;
    let mut user = User::new(name, birth, all_channels);
    for rule in rules {
        // The rule itself may be a password.
        user.apply(&rule, all_channels)
            .map_err(|error| format!("the rules of user {}: {}", shown(name), error.text()))?;
    }
    Ok(user)
}

fn shown(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}

/// Joins the words from one that begins with `(` to one that ends with `)`.
///
/// # Errors
/// The index of a word that begins with `(` and is never closed.
pub fn join_selectors(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, usize> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    let mut open = None;
    for (index, word) in words.iter().enumerate() {
        match open {
            Some(_) => {
                let rule = rules.last_mut().expect("it was opened");
                rule.push(b' ');
                rule.extend_from_slice(word);
            }
            None => {
                rules.push(word.to_vec());
                open = word.starts_with(b"(").then_some(index);
            }
        }
        if word.ends_with(b")") {
            open = None;
        }
    }
    open.map_or(Ok(rules), Err)
}
