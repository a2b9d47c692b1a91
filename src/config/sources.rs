//! Reads the settings to start with: the command line, over flag files, over a configuration file,
//! over the environment.

use super::file;
use super::flag::{Flag, Value};
use super::settings::Settings;
use super::table::FLAGS;
use super::unbuilt::{SWITCHES, VALUES};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

/// Prefixes of the environment's variables, the stronger last.
const PREFIXES: [&str; 2] = ["DFLY_", "PINION_"];
/// The variable that gives the password, besides `DFLY_requirepass`.
const PASSWORD_VARIABLE: &str = "DFLY_PASSWORD";

/// What the command line asks for.
#[derive(Debug)]
pub enum Start {
    /// To serve.
    Serve {
        /// With these settings.
        settings: Box<Settings>,
        /// To be logged first: flags that are accepted and have no effect.
        warnings: Vec<String>,
    },
    /// To print this text and end.
    Print(String),
}

/// Reads the words of the command line after the program's name, the flag files they name, and the
/// variables of the environment.
///
/// # Errors
/// One sentence that says which flag is unknown or which value is bad, and where it was given.
pub fn read(
    words: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Start, String> {
    let mut given = Given::default();
    let mut words = words.into_iter().peekable();
    let file = words.next_if(|word| !word.as_encoded_bytes().starts_with(b"-"));
    let line = match parse("", words) {
        Ok(matches) => matches,
        Err(Parsed::Print(text)) => return Ok(Start::Print(text)),
        Err(Parsed::Bad(sentence)) => return Err(sentence),
    };
    let variables: Vec<(String, String)> = environment.into_iter().collect();
    given.environment(&variables)?;
    if let Some(file) = file {
        given.config_file(&file.to_string_lossy())?;
    }
    let files = line.get_one::<String>("flagfile").or(given.flagfile.as_ref()).cloned();
    for path in files.iter().flat_map(|paths| paths.split(',')).filter(|path| !path.is_empty()) {
        given.flagfile(path)?;
    }
    given.take("", &line)?;
    let unbuilt = given.unbuilt.iter().map(|name| {
        format!("flag --{name} is accepted, but nothing is built behind it yet: it has no effect")
    });
    let warnings = given.warnings.iter().cloned().chain(unbuilt).collect();
    let dir = &mut given.settings.snapshots.dir;
    if dir.is_empty() {
        *dir = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    }
    Ok(Start::Serve { settings: Box::new(given.settings), warnings })
}

/// What has been given so far, the weaker sources first.
struct Given {
    settings: Settings,
    unbuilt: Vec<&'static str>,
    warnings: Vec<String>,
    flagfile: Option<String>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            settings: Settings::initial(),
            unbuilt: Vec::new(),
            warnings: Vec::new(),
            flagfile: None,
        }
    }
}

impl Given {
    fn environment(&mut self, variables: &[(String, String)]) -> Result<(), String> {
        for (_, password) in variables.iter().filter(|(name, _)| name == PASSWORD_VARIABLE) {
            self.settings.password.clone_from(password);
        }
        for prefix in PREFIXES {
            for (variable, text) in variables {
                let Some(name) = variable.strip_prefix(prefix) else { continue };
                // Others use such names too (Kubernetes sets PINION_PORT for a service called
                // pinion, in capitals): only words that could be a flag's name are read as one.
                let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                if name.is_empty() || !name.chars().all(lower) {
                    continue;
                }
                let source = format!("environment variable {variable}: ");
                let matches = parse(&source, [format!("--{name}={text}").into()])
                    .map_err(|parsed| parsed.sentence(&source))?;
                if let Some(path) = matches.get_one::<String>("flagfile") {
                    self.flagfile = Some(path.clone());
                }
                self.take(&source, &matches)?;
            }
        }
        Ok(())
    }

    /// Reads a file in Redis's form.
    fn config_file(&mut self, path: &str) -> Result<(), String> {
        let directives = file::directives(path)?;
        file::apply(&mut self.settings, &directives, &mut self.warnings)?;
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
        self.settings.config_file = whole.to_string_lossy().into_owned();
        Ok(())
    }

    /// Reads a file of one flag a line; a line that begins with `#` is a comment.
    fn flagfile(&mut self, path: &str) -> Result<(), String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read flag file {path}: {error}"))?;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let source = format!("{path} line {}: ", index + 1);
            let line = match line.strip_prefix("--").or_else(|| line.strip_prefix('-')) {
                Some(rest) => format!("--{rest}"),
                None => return Err(format!("{source}expected --flag=value, found '{line}'")),
            };
            // `--flag value` is two words; a value after `=` may hold spaces.
            let space = line.find(char::is_whitespace).unwrap_or(line.len());
            let words = if line[..space].contains('=') || space == line.len() {
                vec![line.into()]
            } else {
                vec![line[..space].into(), line[space..].trim_start().into()]
            };
            let matches = parse(&source, words).map_err(|parsed| parsed.sentence(&source))?;
            if matches.get_one::<String>("flagfile").is_some() {
                return Err(format!("{source}a flag file cannot name another"));
            }
            self.take(&source, &matches)?;
        }
        Ok(())
    }

    fn take(&mut self, source: &str, matches: &ArgMatches) -> Result<(), String> {
        for flag in FLAGS {
            let Some(text) = given(matches, flag.name, flag.is_switch()) else { continue };
            let text = if flag.is_switch() { switch_word(&text) } else { &text };
            flag.set(&mut self.settings, text).map_err(|refusal| {
                format!("{source}bad value '{text}' for flag --{}: {refusal}", flag.name)
            })?;
            let kept = matches!(flag.value, Value::Kept(..));
            if kept && flag.show(&mut self.settings) != flag.default {
                self.unbuilt.push(flag.name);
            }
        }
        let switches = SWITCHES.iter().map(|name| (name, true));
        for (name, is_switch) in switches.chain(VALUES.iter().map(|name| (name, false))) {
            let Some(text) = given(matches, name, is_switch) else { continue };
            if is_switch && !matches!(switch_word(&text), "yes" | "no") {
                return Err(format!("{source}bad value '{text}' for flag --{name}: not a boolean"));
            }
            if !self.unbuilt.contains(name) {
                self.unbuilt.push(name);
            }
        }
        Ok(())
    }
}

/// The text given for a flag in `matches`, if any.
fn given(matches: &ArgMatches, name: &str, is_switch: bool) -> Option<String> {
    if is_switch && matches.get_flag(&format!("no{name}")) {
        return Some("no".to_owned());
    }
    let there = matches.value_source(name) == Some(ValueSource::CommandLine);
    there.then(|| matches.get_one::<String>(name).cloned().unwrap_or_default())
}

/// On and off in the words of the command line, turned to those of CONFIG.
fn switch_word(text: &str) -> &str {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => "yes",
        "false" | "f" | "no" | "n" | "0" => "no",
        _ => text,
    }
}

/// Why there are no matches.
enum Parsed {
    /// `--help` or `--version`: the text.
    Print(String),
    /// A sentence about what is wrong.
    Bad(String),
}

impl Parsed {
    fn sentence(self, source: &str) -> String {
        match self {
            Self::Print(_) => format!("{source}only the command line can ask for this"),
            Self::Bad(sentence) => sentence,
        }
    }
}

fn parse(source: &str, words: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, Parsed> {
    command().try_get_matches_from(words).map_err(|error| {
        let word = |kind| match error.get(kind) {
            Some(ContextValue::String(word)) => word.clone(),
            _ => String::new(),
        };
        // Clap quotes the whole form, such as `--port <NUMBER>`: the flag alone says enough.
        let full = word(ContextKind::InvalidArg);
        let flag = full.split([' ', '=', '[']).next().unwrap_or_default();
        Parsed::Bad(match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                return Parsed::Print(error.render().to_string());
            }
            ErrorKind::UnknownArgument if flag.starts_with('-') => {
                format!("{source}unknown flag {flag}; --help lists those there are")
            }
            ErrorKind::UnknownArgument => {
                format!("{source}'{flag}' is not a flag; flags begin with --")
            }
            ErrorKind::TooManyValues => format!("{source}flag {flag} takes no value"),
            ErrorKind::InvalidUtf8 => format!("{source}a value is not valid UTF-8"),
            _ => format!("{source}flag {flag} needs a value"),
        })
    })
}

/// The flags as clap knows them.
fn command() -> Command {
    let mut command = Command::new("pinion")
        .about("An in-memory datastore that speaks Redis.")
        .after_help("pinion check FILE looks at every byte of a snapshot and tells what is in it.")
        .version(env!("CARGO_PKG_VERSION"))
        .no_binary_name(true)
        .args_override_self(true)
        .arg(value("flagfile", "FILE").help("File of flags, one a line; # begins a comment"));
    for flag in FLAGS {
        command = command.args(built(flag));
    }
    for name in SWITCHES {
        command = command.args(switch(name).map(|arg| arg.hide(true)));
    }
    for name in VALUES {
        command = command.arg(value(name, "VALUE").hide(true));
    }
    command
}

fn built(flag: &Flag) -> Vec<Arg> {
    let default = if flag.default.is_empty() { "none" } else { flag.default };
    let help = format!("{} [default: {default}]", flag.meaning);
    let kind = match flag.value {
        Value::Switch(_) => {
            let [on, off] = switch(flag.name);
            return vec![on.help(help).hide(flag.hidden), off];
        }
        Value::Count(..) | Value::Size(..) | Value::Signed(..) => "NUMBER",
        Value::Bytes(..) | Value::Memory(_) => "BYTES",
        Value::Choice(..) => "WORD",
        Value::Text(_) | Value::Parsed { .. } | Value::Kept(..) | Value::Constant(_) => "VALUE",
    };
    let mut arg = value(flag.name, kind).help(help).hide(flag.hidden);
    if let Some(alias) = flag.alias {
        arg = arg.alias(alias);
    }
    vec![arg]
}

/// `--name=value` and `--name value`; the value may begin with a dash.
fn value(name: &'static str, kind: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(kind).num_args(1).allow_hyphen_values(true)
}

/// `--name`, `--name=true`, and `--noname`.
fn switch(name: &'static str) -> [Arg; 2] {
    let no = format!("no{name}");
    let on = Arg::new(name)
        .long(name)
        .value_name("true|false")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .overrides_with(no.clone());
    let off =
        Arg::new(no.clone()).long(no).action(ArgAction::SetTrue).hide(true).overrides_with(name);
    [on, off]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pin;

    fn start(words: &[&str], variables: &[(&str, &str)]) -> Result<Start, String> {
        let variables = variables.iter().map(|(name, text)| ((*name).into(), (*text).into()));
        read(words.iter().map(Into::into), variables)
    }

    fn serve(words: &[&str], variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        match start(words, variables).unwrap() {
            Start::Serve { settings, warnings } => (*settings, warnings),
            Start::Print(text) => panic!("{text}"),
        }
    }

    /// A file of flags that is gone when the test ends.
    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pinion-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn flag(&self) -> String {
            format!("--flagfile={}", self.0.display())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn every_form_of_a_flag() {
        let (settings, warnings) = serve(
            &["--port=7", "--maxclients", "9", "--noborrow", "--logtostderr", "--pin=never"],
            &[],
        );
        assert_eq!((settings.port, settings.clients_max), (7, 9));
        assert!(!settings.borrow && settings.log_to_stderr);
        assert_eq!(settings.pin, Pin::Never);
        assert!(warnings.is_empty());
        assert_eq!(serve(&["--port", "-1"], &[]).0.port, -1);
        assert_eq!(serve(&["--threads=2"], &[]).0.threads, 2);
        assert_eq!(serve(&["--proactor_threads", "2"], &[]).0.threads, 2);
        assert!(!serve(&["--borrow=false"], &[]).0.borrow);
        assert!(serve(&["--noborrow", "--borrow"], &[]).0.borrow);
        assert!(!serve(&["--borrow", "--noborrow"], &[]).0.borrow);
        assert_eq!(serve(&["--port=1", "--port=2"], &[]).0.port, 2);
        assert_eq!(serve(&["--requirepass=a b=c"], &[]).0.password, "a b=c");
        assert_eq!(serve(&["--maxmemory=2gb"], &[]).0.memory_bytes_max, 2 << 30);
    }

    #[test]
    fn the_command_line_is_over_files_and_these_over_the_environment() {
        let file = File::new(
            "layers",
            "# a comment\n\n--port=2\n  --timeout 20\n--requirepass=with two spaces\n\
             --version_check=true\n-maxclients=44\n--nologtostderr\n",
        );
        let variables = [("DFLY_port", "1"), ("PINION_port", "4"), ("DFLY_tcp_keepalive", "9")];
        let (settings, warnings) = serve(&[&file.flag(), "--port=3"], &variables);
        assert_eq!((settings.port, settings.timeout, settings.tcp_keepalive), (3, 20, 9));
        assert_eq!((settings.password.as_str(), settings.clients_max), ("with two spaces", 44));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("--version_check"), "{warnings:?}");
        assert_eq!(serve(&[&file.flag()], &variables).0.port, 2);
        assert_eq!(serve(&[], &variables).0.port, 4);
        let path = file.0.display().to_string();
        assert_eq!(serve(&[], &[("DFLY_flagfile", &path)]).0.port, 2);
    }

    #[test]
    fn variables_that_are_not_ours_are_left_alone() {
        let (settings, _) = serve(&[], &[("PINION_PORT", "tcp://10.0.0.1:6379"), ("PATH", "x")]);
        assert_eq!(settings.port, 6379);
        assert_eq!(serve(&[], &[("DFLY_PASSWORD", "s")]).0.password, "s");
    }

    #[test]
    fn a_mistake_is_one_sentence() {
        let file = File::new("bad", "--port=1\nport=2\n");
        for (words, text) in [
            (&["--nosuch=1"][..], "unknown flag --nosuch; --help lists those there are"),
            (&["--nosuch"][..], "unknown flag --nosuch; --help lists those there are"),
            (&["--port=1", "word"][..], "'word' is not a flag; flags begin with --"),
            (&["--port"][..], "flag --port needs a value"),
            (
                &["--port=x"][..],
                "bad value 'x' for flag --port: argument must be between -1 and 65535 inclusive",
            ),
            (
                &["--borrow=maybe"][..],
                "bad value 'maybe' for flag --borrow: argument must be 'yes' or 'no'",
            ),
            (&["--jsonpathv2=maybe"][..], "bad value 'maybe' for flag --jsonpathv2: not a boolean"),
            (&["--noborrow=1"][..], "flag --noborrow takes no value"),
            (
                &[file.flag().as_str()][..],
                &format!("{} line 2: expected --flag=value, found 'port=2'", file.0.display()),
            ),
        ] {
            assert_eq!(start(words, &[]).unwrap_err(), text, "{words:?}");
        }
        assert!(start(&["--flagfile=/no/such"], &[]).unwrap_err().starts_with("cannot read"));
        assert_eq!(
            start(&[], &[("PINION_nosuch", "1")]).unwrap_err(),
            "environment variable PINION_nosuch: unknown flag --nosuch; \
             --help lists those there are"
        );
    }

    #[test]
    fn dragonflys_flags_are_accepted_and_named_once() {
        let words =
            ["--cluster_mode", "yes", "--jsonpathv2", "--nojsonpathv2", "--version_check=true"];
        let (_, warnings) = serve(&words, &[]);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        let twice = FLAGS.iter().find(|f| SWITCHES.contains(&f.name) || VALUES.contains(&f.name));
        assert!(twice.is_none(), "{twice:?} is built");
    }

    #[test]
    fn help_and_version_are_printed() {
        for (word, text) in [("--help", "--proactor_threads"), ("--version", "pinion 0")] {
            match start(&[word], &[]).unwrap() {
                Start::Print(printed) => assert!(printed.contains(text), "{printed}"),
                Start::Serve { .. } => panic!("{word} serves"),
            }
        }
    }
}
