//! Keys, values and commands.
