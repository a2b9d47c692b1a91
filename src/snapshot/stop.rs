//! How a server is to stop: the options of SHUTDOWN, and of the signals that ask for it.

/// The options.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stop {
    /// Take a snapshot first, or not; without a word, if there are save points.
    pub save: Option<bool>,
    /// Do not wait for replicas.
    pub now: bool,
    /// Stop even if the snapshot fails.
    pub force: bool,
}

/// The words, in Redis's order.
const WORDS: [&str; 5] = ["default", "save", "nosave", "now", "force"];

impl Stop {
    /// Reads the options for a signal.
    ///
    /// # Errors
    /// The words are not known, or at odds: the words there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let given: Vec<_> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        let has = |word: &str| given.iter().any(|given| given == word);
        let known = given.iter().all(|given| WORDS.contains(&given.as_str()));
        if !known || given.is_empty() || has("default") && given.len() > 1 {
            let refusal = "argument(s) must be one of the following: ";
            return Err(format!("{refusal}{}", WORDS.join(", ")));
        }
        if has("save") && has("nosave") {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        let save = if has("save") { Some(true) } else { has("nosave").then_some(false) };
        Ok(Self { save, now: has("now"), force: has("force") })
    }

    /// The options as words.
    pub fn text(self) -> String {
        let has = [
            self == Self::default(),
            self.save == Some(true),
            self.save == Some(false),
            self.now,
            self.force,
        ];
        let words = WORDS.iter().zip(has).filter(|(_, has)| *has).map(|(word, _)| *word);
        words.collect::<Vec<_>>().join(" ")
    }

    /// True if a snapshot is to be taken by a server that has save points or not.
    pub fn wants_save(self, has_save_points: bool) -> bool {
        self.save.unwrap_or(has_save_points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_words() {
        for text in ["default", "save", "nosave now", "now force", "save now force"] {
            assert_eq!(Stop::parse(text).unwrap().text(), text);
        }
        assert_eq!(Stop::parse("FORCE save").unwrap().text(), "save force");
        for bad in ["", "save nosave", "default now", "what"] {
            assert!(Stop::parse(bad).is_err(), "{bad}");
        }
        assert!(Stop::default().wants_save(true) && !Stop::default().wants_save(false));
        assert!(Stop::parse("save").unwrap().wants_save(false));
    }
}
