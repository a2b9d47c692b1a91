//! Who may do what: users, their rules, and the log of refusals.
//!
//! ```text
//! commands.rs   every command under a number, and the categories
//! selector.rs   one list of rules: commands, keys, channels; the check of a request
//! user.rs       one user: on or off, passwords, lists of rules
//! users.rs      all users, by name; the rules of SETUSER and of files
//! login.rs      as whom a client came in, with the one flag that dispatch looks at
//! log.rs        ACL LOG
//! ```
//!
//! A user that others hold never changes: it is replaced and marked as past, and the version rises.
//! Each core looks at the version once a tick, then at its clients (`Login::refresh`), so that a
//! client who may do everything costs one branch a request.

mod commands;
mod file;
mod log;
mod login;
mod password;
mod rule;
mod selector;
mod user;
mod users;

pub use commands::{CATEGORIES, Directory, category};
pub use file::{read_users, write_users};
pub use log::{Entry, Log, Reason, Refused};
pub use login::{Login, LoginChange};
pub use password::hex;
pub use rule::RuleError;
pub use selector::{Denied, Selector, accesses};
pub use user::User;
pub use users::{SetError, Users, check_line, join_selectors};

use crate::config::Settings;
use pinion_shards::Millis;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The name of the user that clients are at first.
pub const DEFAULT: &[u8] = b"default";

/// The users of a server, for all cores.
#[derive(Debug)]
pub struct Acl {
    version: AtomicU64,
    users: Mutex<Users>,
    /// The `requirepass` that the default user has last been given.
    password: Mutex<String>,
    log: Mutex<Log>,
    /// How often each reason was one.
    refused: [AtomicU64; Reason::ALL.len()],
}

impl Acl {
    /// Only the default user, with this password if it is not empty.
    pub fn new(password: &str) -> Self {
        let mut users = Users::new();
        users.set_default_password(password);
        Self {
            version: AtomicU64::new(1),
            users: Mutex::new(users),
            password: Mutex::new(password.into()),
            log: Mutex::default(),
            refused: Default::default(),
        }
    }

    /// The users that the settings name, at start.
    ///
    /// # Errors
    /// One sentence about a rule that does not hold or a file that cannot be read.
    pub fn begin(&self, settings: &Settings) -> Result<(), String> {
        let mut users = self.change();
        if settings.acl_file.is_empty() {
            for words in &settings.users {
                users.add_line(words, settings.acl_channels())?;
            }
            Ok(())
        } else if settings.users.is_empty() {
            users.replace(read_users(&settings.acl_file, settings.acl_channels())?);
            Ok(())
        } else {
            Err("users are given both in an ACL file and by themselves: one of them must go".into())
        }
    }

    /// Rises with every change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The users, as they are now.
    pub fn users(&self) -> impl Deref<Target = Users> {
        lock(&self.users)
    }

    /// The users, to be changed; the version rises when that is done.
    pub fn change(&self) -> impl DerefMut<Target = Users> {
        Change { users: lock(&self.users), version: &self.version }
    }

    /// Follows `requirepass` where that was changed: it is the default user's password.
    pub fn follow(&self, settings: &Settings) {
        let mut known = lock(&self.password);
        if *known != settings.password {
            known.clone_from(&settings.password);
            self.change().set_default_password(&settings.password);
        }
    }

    /// Counts a refusal and puts it in the log.
    pub fn refuse(&self, refused: Refused<'_>, now: Millis, settings: &Settings) {
        self.refused[refused.reason as usize].fetch_add(1, Ordering::Relaxed);
        lock(&self.log).add(refused, now, settings.acl_log_len_max as usize);
    }

    /// The log of refusals.
    pub fn log(&self) -> impl DerefMut<Target = Log> {
        lock(&self.log)
    }

    /// How often each reason was one, in the order of `Reason::ALL`.
    pub fn refused(&self) -> [u64; Reason::ALL.len()] {
        std::array::from_fn(|index| self.refused[index].load(Ordering::Relaxed))
    }
}

/// The users while they are changed. The version rises before the lock is given back: who sees the
/// old version has not yet been answered by what changed them.
struct Change<'a> {
    users: MutexGuard<'a, Users>,
    version: &'a AtomicU64,
}

impl Deref for Change<'_> {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.users
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Users {
        &mut self.users
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
