//! Why a rule is refused, in Redis's words.

/// A rule that does not hold; nothing was changed by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RuleError {
    /// It names no command, subcommand or category there is.
    UnknownName,
    /// It is none.
    Syntax,
    /// A key pattern where all keys are allowed.
    AfterAllKeys,
    /// A channel pattern where all channels are allowed.
    AfterAllChannels,
    /// A password to remove which the user does not have.
    NoSuchPassword,
    /// Not the text of a hash.
    BadHash,
    /// A first argument of a subcommand.
    FirstArgOfSubcommand,
}

impl RuleError {
    /// What is wrong.
    pub fn text(self) -> &'static str {
        match self {
            Self::UnknownName => "Unknown command or category name in ACL",
            Self::Syntax => "Syntax error",
            Self::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                 does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            Self::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// True if a name or pattern has a space or a zero byte, which its text could not hold.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
}
