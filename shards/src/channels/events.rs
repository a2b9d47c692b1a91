//! Publishes what happens to keys, on channels named after keys and after events.

use super::Kind;
use crate::keyspace::{Class, Event};
use crate::shard::Shard;

impl Shard {
    /// Publishes what was noted since the last call.
    #[cold]
    pub(crate) fn publish_events(&mut self) {
        let events = self.keyspace.take_events();
        if !self.channels.has(Kind::Channel) && !self.channels.has(Kind::Pattern) {
            return;
        }
        for Event { name, db, key, .. } in events {
            if self.keyspace.sends(Class::KEYSPACE) {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), &key].concat();
                self.channels.publish(false, &channel, name.as_bytes());
            }
            if self.keyspace.sends(Class::KEYEVENT) {
                let channel = format!("__keyevent@{db}__:{name}");
                self.channels.publish(false, channel.as_bytes(), &key);
            }
        }
    }
}
