//! The file of users: a line `user name rules...` each.

use super::rule::{RuleError, has_spaces};
use super::{DEFAULT, User, Users, join_selectors};
use crate::config::replace_file;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Longest file of users, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the users of a file.
///
/// # Errors
/// What is wrong with the file or its lines, for the log and for who asked.
pub fn read_users(path: &str, all_channels: bool) -> Result<Users, String> {
    let failed = |error| format!("Error loading ACLs, opening file '{path}': {error}");
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("Error loading ACLs, '{path}' is longer than {FILE_BYTES_MAX} bytes"));
    }
    parse(path, &text, all_channels)
}

fn parse(path: &str, text: &[u8], all_channels: bool) -> Result<Users, String> {
    let mut users = Users::new();
    let mut seen_default = false;
    let mut errors = String::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let words: Vec<&[u8]> =
            line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            continue;
        }
        let place = format!("{path}:{}", index + 1);
        let (Some(name), true) = (words.get(1), words[0] == b"user") else {
            errors +=
                &format!("{place}: should start with user keyword followed by the username. ");
            continue;
        };
        let shown = String::from_utf8_lossy(name);
        if has_spaces(name) {
            errors += &format!("{place}: username '{shown}' contains invalid characters. ");
            continue;
        }
        let is_default = *name == DEFAULT;
        if if is_default { seen_default } else { users.find(name).is_some() } {
            let number = index + 1;
            errors += &format!("WARNING: Duplicate user '{shown}' found on line {number}. ");
            continue;
        }
        seen_default |= is_default;
        match user_of(&place, name, &words[2..], all_channels) {
            Ok(user) => users.put(user),
            Err(error) => errors += &error,
        }
    }
    if errors.is_empty() {
        return Ok(users);
    }
    errors += "WARNING: ACL errors detected, no change to the previously active ACL rules was \
               performed";
    Err(errors)
}

fn user_of(place: &str, name: &[u8], words: &[&[u8]], all_channels: bool) -> Result<User, String> {
    let rules = join_selectors(words)
        .map_err(|_| format!("{place}: Unmatched parenthesis in selector definition."))?;
    let mut user = User::new(name, 0, all_channels);
    let mut errors = String::new();
    let mut told = false;
    for rule in rules {
        match user.apply(&rule, all_channels) {
            Ok(()) => {}
            // What is not known may be told: it is no password.
            Err(RuleError::UnknownName) => {
                let (rule, text) = (String::from_utf8_lossy(&rule), RuleError::UnknownName.text());
                errors += &format!("{place}: Error in applying operation '{rule}': {text}. ");
            }
            // Of the others only the first: it may be what makes the next ones wrong.
            Err(_) if told => {}
            Err(error) => {
                told = true;
                errors += &format!("{place}: {}. ", error.text());
            }
        }
    }
    if errors.is_empty() { Ok(user) } else { Err(errors) }
}

/// Writes users to a file, which has the old or the new ones at any time.
///
/// # Errors
/// What could not be done.
pub fn write_users(path: &str, users: &Users) -> Result<(), String> {
    replace_file(Path::new(path), &text(users))
        .map_err(|error| format!("saving users to {path}: {error}"))
}

/// A line for each user, as ACL LIST tells them.
fn text(users: &Users) -> Vec<u8> {
    let mut text = Vec::new();
    for user in users.iter() {
        text.extend_from_slice(&[b"user ", user.name(), b" ", &user.text(), b"\n"].concat());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_written_reads_back() {
        let path = std::env::temp_dir().join(format!("pinion-users-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let mut users = Users::new();
        for (name, rules) in [
            ("alice", "on >secret ~a* %R~b* +@all -@dangerous (+get ~c) (~d +@write &x)"),
            ("bob", "nopass resetkeys -@all +client|id +select|0 skip-sanitize-payload"),
            ("default", "off -@all"),
        ] {
            let words: Vec<&[u8]> = rules.split(' ').map(str::as_bytes).collect();
            users.set(name.as_bytes(), &words, false).unwrap();
        }
        write_users(path, &users).unwrap();
        let read = read_users(path, true).unwrap();
        assert_eq!(text(&read), text(&users));
        // Who may read it is for its owner to say.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        write_users(path, &users).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(path).unwrap();
        assert!(read_users(path, true).unwrap_err().starts_with("Error loading ACLs, opening"));
        assert!(write_users("/no/such/folder/users", &users).is_err());
    }

    #[test]
    fn every_mistake_of_a_file_is_told() {
        let text = b"user a on\n\n  \nusr b\nuser a off\nuser c +nosuch -@nosuch ~a ~* ~b &* &a\n\
                     user d (+get\nuser default on\nuser default on\nuser\n";
        let errors = parse("f", text, false).unwrap_err();
        assert_eq!(
            errors,
            "f:4: should start with user keyword followed by the username. \
             WARNING: Duplicate user 'a' found on line 5. \
             f:6: Error in applying operation '+nosuch': Unknown command or category name in ACL. \
             f:6: Error in applying operation '-@nosuch': Unknown command or category name in ACL. \
             f:6: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
             does not have any effect. Try 'resetkeys' to start with an empty list of patterns. \
             f:7: Unmatched parenthesis in selector definition.\
             WARNING: Duplicate user 'default' found on line 9. \
             f:10: should start with user keyword followed by the username. \
             WARNING: ACL errors detected, no change to the previously active ACL rules was \
             performed"
        );
    }
}
