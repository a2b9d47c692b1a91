//! As whom a client came in, and the one flag that its requests are looked at by.

use super::{Acl, User};
use std::sync::Arc;

/// A client's user.
#[derive(Clone, Debug)]
pub struct Login {
    user: Arc<User>,
    /// It gave a password, or came in while none was asked for.
    authenticated: bool,
    locked_out: bool,
    /// What dispatch looks at: it must authenticate first, or may not do everything.
    limited: bool,
}

/// What became of a client's user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginChange {
    /// Nothing.
    None,
    /// It may have other rules.
    Rules,
    /// It was deleted: its clients must go.
    Gone,
}

impl Login {
    /// A client that has just connected: the default user.
    pub fn new(acl: &Acl) -> Self {
        let user = Arc::clone(acl.users().default_user());
        let authenticated = user.lets_all_in();
        let limited = !authenticated || !user.is_unrestricted();
        Self { user, authenticated, locked_out: !authenticated, limited }
    }

    /// The client gave the right password for this user.
    pub fn enter(&mut self, user: Arc<User>) {
        self.limited = !user.is_unrestricted();
        (self.user, self.authenticated, self.locked_out) = (user, true, false);
    }

    /// Looks for what has become of its user, once the version has risen.
    #[must_use]
    pub fn refresh(&mut self, acl: &super::Users) -> LoginChange {
        let mut change = LoginChange::None;
        if self.user.is_past() {
            let user = acl.find(self.user.name());
            let Some(user) = user.filter(|user| user.is_same_person(&self.user)) else {
                return LoginChange::Gone;
            };
            self.user = Arc::clone(user);
            change = LoginChange::Rules;
        }
        self.locked_out = !self.authenticated && !acl.default_user().lets_all_in();
        self.limited = self.locked_out || !self.user.is_unrestricted();
        change
    }

    /// Its user.
    #[inline]
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// True while its requests must be looked at.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// True while it may do nothing but authenticate. A client that came in while no password was
    /// asked for stays in, as in Redis.
    #[inline]
    pub fn is_locked_out(&self) -> bool {
        self.locked_out
    }
}
