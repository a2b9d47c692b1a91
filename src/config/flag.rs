//! One setting as the table tells it: its names, its bounds, and how its text becomes a value.

use super::kept::Form;
use super::memory::parse_memory;
use super::settings::Settings;
use std::borrow::Cow;

/// Why a text is no value for a setting, as Redis words it.
pub type Refusal = Cow<'static, str>;

/// How a setting is read from text and shown.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// `yes` or `no`.
    Switch(fn(&mut Settings) -> &mut bool),
    /// A whole number within bounds.
    Count(fn(&mut Settings) -> &mut u64, u64, u64),
    /// The same with a sign.
    Signed(fn(&mut Settings) -> &mut i64, i64, i64),
    /// The same, of elements or bytes in memory.
    Size(fn(&mut Settings) -> &mut usize, usize, usize),
    /// An amount of memory within bounds: a number, and perhaps `b`, `k`, `kb`, `m`, `mb`, `g` or
    /// `gb`.
    Bytes(fn(&mut Settings) -> &mut u64, u64, u64),
    /// The same without bounds, or percent of the machine's memory.
    Memory(fn(&mut Settings) -> &mut u64),
    /// Any text.
    Text(fn(&mut Settings) -> &mut String),
    /// One of these words.
    Choice(fn(&mut Settings) -> &mut String, &'static [&'static str]),
    /// Text with a form of its own.
    Parsed {
        /// Reads it.
        set: fn(&mut Settings, &str) -> Result<(), Refusal>,
        /// Shows it.
        show: fn(&Settings) -> String,
    },
    /// A text that is kept under this name, for those who ask.
    Kept(&'static str, Form),
    /// What holds and cannot be otherwise, told to those who ask.
    Constant(&'static str),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name on the command line, in flag files and in the environment.
    pub name: &'static str,
    /// Its name for CONFIG.
    pub config: &'static str,
    /// Another name on the command line, or none.
    pub alias: Option<&'static str>,
    /// Its name for CONFIG in earlier versions of Redis, or none.
    pub earlier: Option<&'static str>,
    /// How it is read and shown.
    pub value: Value,
    /// Its value where none is given.
    pub default: &'static str,
    /// What it is for, for `--help`.
    pub meaning: &'static str,
    /// True if CONFIG SET may change it.
    pub live: bool,
    /// True if CONFIG SET needs leave to change it (`enable-protected-configs`).
    pub protected: bool,
    /// True if `--help` leaves it out.
    pub hidden: bool,
    /// True if CONFIG GET leaves it out unless its whole name is given.
    pub unlisted: bool,
}

impl Flag {
    /// A setting that is fixed at start, with one name for all uses.
    pub(super) const fn new(
        name: &'static str,
        value: Value,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            config: name,
            alias: None,
            earlier: None,
            value,
            default,
            meaning,
            live: false,
            protected: false,
            hidden: false,
            unlisted: false,
        }
    }

    /// True if this is what it is already, of those that Redis does not know, or lets change while
    /// serving, and that are fixed here.
    pub(super) fn is_unchanged(&self, settings: &mut Settings, text: &str) -> bool {
        let own = self.config == self.name && !matches!(self.value, Value::Kept(..));
        let fixed = ["unixsocket", "unixsocketperm", "rdbchecksum"].contains(&self.config);
        let fixed = fixed || self.protected;
        (own && !fixed || self.config == "tls-port") && self.show(settings) == text
    }

    /// Answers only to its whole name, not to patterns.
    #[must_use]
    pub(super) const fn unlisted(mut self) -> Self {
        self.unlisted = true;
        self
    }

    /// Gives it another name for CONFIG.
    #[must_use]
    pub(super) const fn config(mut self, config: &'static str) -> Self {
        self.config = config;
        self
    }

    /// Gives it another name on the command line.
    #[must_use]
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Gives it the name for CONFIG that it had in earlier versions of Redis.
    #[must_use]
    pub(super) const fn earlier(mut self, earlier: &'static str) -> Self {
        self.earlier = Some(earlier);
        self
    }

    /// True if CONFIG knows it by this name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.config_names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Its names for CONFIG.
    pub fn config_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.config).chain(self.earlier)
    }

    /// Has CONFIG SET ask for leave to change it.
    #[must_use]
    pub(super) const fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    /// Lets CONFIG SET change it.
    #[must_use]
    pub(super) const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Leaves it out of `--help`.
    #[must_use]
    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// True if the flag may stand without a value.
    pub fn is_switch(&self) -> bool {
        matches!(self.value, Value::Switch(_))
    }

    /// Reads `text` into `settings`.
    ///
    /// # Errors
    /// The text is no value for this setting; nothing has changed.
    pub fn set(&self, settings: &mut Settings, text: &str) -> Result<(), Refusal> {
        match self.value {
            Value::Switch(at) => *at(settings) = parse_switch(text)?,
            Value::Count(at, min, max) => *at(settings) = parse_count(text, min, max)?,
            Value::Size(at, min, max) => {
                *at(settings) = parse_count(text, min as u64, max as u64)? as usize;
            }
            Value::Signed(at, min, max) => {
                let number: i64 =
                    text.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
                if !(min..=max).contains(&number) {
                    let refusal = format!("argument must be between {min} and {max} inclusive");
                    return Err(refusal.into());
                }
                *at(settings) = number;
            }
            Value::Bytes(at, min, max) => {
                let bytes = parse_bytes(text).ok_or("argument must be a memory value")?;
                *at(settings) = within(bytes, min, max)?;
            }
            Value::Memory(at) => *at(settings) = parse_memory(text)?,
            Value::Text(at) => text.clone_into(at(settings)),
            Value::Choice(at, words) => {
                let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) else {
                    let words = words.join(", ");
                    let refusal = "argument(s) must be one of the following: ";
                    return Err(format!("{refusal}{words}").into());
                };
                (*word).clone_into(at(settings));
            }
            Value::Parsed { set, .. } => set(settings, text)?,
            Value::Kept(name, form) => {
                settings.kept.insert(name, form.read(text)?);
            }
            Value::Constant(only) if only == text => {}
            Value::Constant(only) => {
                return Err(format!("this build knows only the value '{only}'").into());
            }
        }
        Ok(())
    }

    /// Its value in `settings`, as CONFIG GET shows it. The settings are borrowed mutably because
    /// one way to a field serves for both reading and writing; they stay as they are.
    pub fn show(&self, settings: &mut Settings) -> String {
        match self.value {
            Value::Switch(at) => (if *at(settings) { "yes" } else { "no" }).to_owned(),
            Value::Count(at, ..) | Value::Bytes(at, ..) => at(settings).to_string(),
            Value::Memory(at) => at(settings).to_string(),
            Value::Size(at, ..) => at(settings).to_string(),
            Value::Signed(at, ..) => at(settings).to_string(),
            Value::Text(at) | Value::Choice(at, _) => at(settings).clone(),
            Value::Parsed { show, .. } => show(settings),
            Value::Kept(name, _) => settings.kept.get(name).cloned().unwrap_or_default(),
            Value::Constant(only) => only.to_owned(),
        }
    }
}

pub(super) fn parse_switch(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(super) fn parse_count(text: &str, min: u64, max: u64) -> Result<u64, Refusal> {
    let value: i128 =
        text.parse().map_err(|_| Refusal::from("argument couldn't be parsed into an integer"))?;
    within(u64::try_from(value).unwrap_or(u64::MAX), min, max)
        .and_then(|count| if value < 0 { within(min.wrapping_sub(1), min, max) } else { Ok(count) })
}

fn within(value: u64, min: u64, max: u64) -> Result<u64, Refusal> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

/// An amount of memory as Redis reads it: `k` is a thousand, `kb` is 1024, and so on, in any case.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_redis_reads_it() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1kb", Some(1024)),
            ("1k", Some(1000)),
            ("2GB", Some(2 << 30)),
            ("1Mb", Some(1 << 20)),
            ("", None),
            ("kb", None),
            ("1tb", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615gb", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn counts_keep_their_bounds() {
        assert_eq!(parse_count("5", 1, 9), Ok(5));
        for text in ["0", "10", "-1", "99999999999999999999"] {
            let refusal = parse_count(text, 1, 9).unwrap_err();
            assert_eq!(refusal, "argument must be between 1 and 9 inclusive", "{text}");
        }
        assert!(parse_count("-1", 0, 9).is_err());
        assert_eq!(
            parse_count("x", 1, 9).unwrap_err(),
            "argument couldn't be parsed into an integer"
        );
    }
}
