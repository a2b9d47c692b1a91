//! The settings: one table of flags, read at start and partly changeable while serving.

mod file;
mod flag;
mod kept;
mod memory;
mod operation;
mod rewrite;
mod settings;
mod snapshots;
mod sources;
mod table;
mod tls;
mod unbuilt;

pub(crate) use flag::parse_bytes;
pub use flag::{Flag, Refusal, Value};
pub use kept::Form;
pub(crate) use rewrite::replace_file;
pub use rewrite::rewrite;
pub use settings::{Allowed, BufferLimit, ClientsMemory, LogSetting, Pin, Settings};
pub use snapshots::SnapshotSettings;
pub use sources::{Start, read};
pub use table::FLAGS;
pub use tls::TlsSettings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The settings in force, and their version: a core keeps a copy and takes a new one when the
/// version has changed.
#[derive(Debug)]
pub struct Config {
    version: AtomicU64,
    current: Mutex<Arc<Settings>>,
}

/// Why settings were not changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SetError {
    /// There is no setting of this name.
    Unknown(String),
    /// This setting was not changed, for the reason given.
    Refused(&'static str, Refusal),
}

impl Config {
    /// Begins with `settings`.
    pub fn new(settings: Settings) -> Self {
        Self { version: AtomicU64::new(1), current: Mutex::new(Arc::new(settings)) }
    }

    /// Rises with every change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes settings, whatever the table says of them: for what start-up finds out, such as the
    /// port that was free.
    pub fn update(&self, change: impl FnOnce(&mut Settings)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Changes several settings, all or none, each given by its CONFIG name in any case, for a
    /// client that `is_local` to this machine or not.
    ///
    /// # Errors
    /// A name is unknown, is given twice, or cannot be changed while serving or by this client; or
    /// a value is bad.
    pub fn set(&self, pairs: &[(&str, &str)], is_local: bool) -> Result<(), SetError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = Settings::clone(&current);
        let mut seen: Vec<&'static str> = Vec::new();
        // Where to listen is settled at start, which is told once all else is known to be right.
        let mut unable = None;
        for (name, text) in pairs {
            let flag = find(name).ok_or_else(|| SetError::Unknown((*name).to_owned()))?;
            if seen.contains(&flag.config) {
                return Err(SetError::Refused(flag.config, "duplicate parameter".into()));
            }
            seen.push(flag.config);
            if flag.is_unchanged(&mut settings, text) {
                continue;
            }
            let rebound = match flag.config {
                "port" | "tls-port" => Some("Unable to listen on this port. Check server logs."),
                "bind" => Some("Failed to bind to specified addresses."),
                _ => None,
            };
            if let Some(refusal) = rebound {
                flag.set(&mut settings, text)
                    .map_err(|refusal| SetError::Refused(flag.config, refusal))?;
                unable = unable.or(Some((flag.config, refusal)));
                continue;
            }
            if !flag.live {
                return Err(SetError::Refused(flag.config, "can't set immutable config".into()));
            }
            if flag.protected && !settings.protected_configs.allows(is_local) {
                return Err(SetError::Refused(flag.config, "can't set protected config".into()));
            }
            flag.set(&mut settings, text)
                .map_err(|refusal| SetError::Refused(flag.config, refusal))?;
        }
        if let Some(name) = seen.iter().find(|name| TlsSettings::depends_on(name)) {
            reload(&mut settings, name)?;
        }
        if let Some((name, refusal)) = unable {
            return Err(SetError::Refused(name, refusal.into()));
        }
        *current = Arc::new(settings);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// Reads certificates and keys again, for a change of the setting `name`.
fn reload(settings: &mut Settings, name: &'static str) -> Result<(), SetError> {
    match settings.tls.load() {
        Ok(warnings) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            Ok(())
        }
        Err(error) => {
            tracing::warn!("CONFIG SET changes nothing of TLS: {error}");
            let refusal = "Unable to update TLS configuration. Check server logs.";
            Err(SetError::Refused(name, refusal.into()))
        }
    }
}

/// The flag that CONFIG calls `name`, in any case.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_all_or_none() {
        let config = Config::new(Settings::initial());
        let before = config.version();
        let refused = config.set(&[("timeout", "7"), ("maxclients", "0")], true);
        assert!(matches!(refused, Err(SetError::Refused("maxclients", _))), "{refused:?}");
        assert_eq!((config.settings().timeout, config.version()), (0, before));
        assert_eq!(config.set(&[("TIMEOUT", "7"), ("maxclients", "5")], true), Ok(()));
        assert_eq!((config.settings().timeout, config.settings().clients_max), (7, 5));
        assert!(config.version() > before);
    }

    #[test]
    fn what_cannot_change_says_why() {
        let config = Config::new(Settings::initial());
        for (pairs, text) in [
            (&[("databases", "3")][..], "can't set immutable config"),
            (&[("timeout", "1"), ("timeout", "2")][..], "duplicate parameter"),
            (&[("appendonly", "yes")][..], "this build knows only the value 'no'"),
            (&[("timeout", "1"), ("dir", "/tmp")][..], "can't set protected config"),
        ] {
            match config.set(pairs, true) {
                Err(SetError::Refused(_, refusal)) => assert_eq!(refusal, text),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(config.set(&[("save", "")], true), Ok(()));
        let unknown = Err(SetError::Unknown("nosuch".to_owned()));
        assert_eq!(config.set(&[("nosuch", "1")], true), unknown);
        config.update(|settings| settings.protected_configs = Allowed::Local);
        assert_eq!(config.set(&[("dir", "/tmp")], true), Ok(()));
        assert!(config.set(&[("dir", "/tmp")], false).is_err());
    }
}
