//! What users and their rules mean for the clients of a core.

use super::Work;
use crate::acl::{Denied, Directory, LoginChange, Reason, Refused};
use crate::commands::Found;
use crate::connection::{Connection, Stall};
use crate::dispatch::{Refusal, denied_option};
use crate::errand::ClientView;
use crate::session::Queued;
use pinion_io::resp::Reply;
use pinion_io::ring::SocketId;
use pinion_shards::channels::{Kind, Subscriptions};
use pinion_shards::commands::{Args, Row};
use std::sync::Arc;

/// Bytes that a client may leave with us, each way, before it has authenticated.
pub(super) const STRANGER_BYTES_MAX: usize = 16 * 1024;

impl Work {
    /// Looks at every client's user if one has changed. Closes the clients of those who are gone,
    /// or who may not listen any more to what they subscribe to: the one whose command is under way
    /// behind its reply, the others at once.
    #[inline]
    pub(super) fn refresh_logins(&mut self, current: Option<SocketId>) {
        if self.server.acl.version() != self.acl_version {
            self.refresh_all_logins(current);
        }
    }

    #[cold]
    fn refresh_all_logins(&mut self, current: Option<SocketId>) {
        let users = self.server.acl.users();
        // Read under the lock, or a change between would be missed.
        self.acl_version = self.server.acl.version();
        let mut denied = Vec::new();
        for connection in self.connections.iter_mut().flatten() {
            let stays = match connection.session.login.refresh(&users) {
                LoginChange::None => true,
                LoginChange::Rules => may_listen(connection, &self.channels.subscriptions),
                LoginChange::Gone => false,
            };
            if stays {
                let Stall::Blocked(id) = connection.stall else { continue };
                let user = connection.session.login.user();
                let command = self.blocked.command(id);
                let refused = command.and_then(|(row, args)| user.check(row, &args).err());
                denied.extend(refused.map(|refused| (id, refused)));
                continue;
            }
            if current == Some(connection.socket) {
                connection.session.closing = true;
            } else {
                connection.dismiss();
            }
            connection.mark(&mut self.dirty);
        }
        drop(users);
        for (id, refused) in denied {
            self.deny_wait(id, refused);
        }
    }

    /// Tells a client that waited that it may not do that any more.
    pub(super) fn fill_denied(
        &mut self,
        socket: SocketId,
        sequence: u32,
        (row, args): (&'static Row, &Args<'_>),
        denied: Denied,
    ) {
        let Some(connection) = self.connection(socket) else { return };
        let user = Arc::clone(connection.session.login.user());
        let mut line = Vec::new();
        let mut reply = Reply::new(&mut line, Default::default());
        Refusal::Denied(row, denied).write(args, user.name(), &mut reply);
        self.log_denied(socket, "toplevel", (row, args), denied);
        self.stats.error(Some(row), &line, true);
        self.fill(socket, sequence, &line);
    }

    /// Counts and logs a request that a client's user is not allowed.
    pub(super) fn note_refusal(&mut self, socket: SocketId, args: &Args<'_>, refusal: Refusal) {
        let Refusal::Denied(row, denied) = refusal else { return };
        let Some(connection) = self.connection(socket) else { return };
        connection.session.last_command = Some(row);
        let context = if connection.session.is_queuing() { "multi" } else { "toplevel" };
        self.log_denied(socket, context, (row, args), denied);
    }

    /// Counts and logs a password that was wrong, given in another protocol.
    pub(super) fn note_wrong_password(&mut self, socket: SocketId, protocol: &'static str) {
        self.log_refusal(socket, "toplevel", (Reason::Auth, protocol.as_bytes()));
    }

    pub(super) fn log_denied(
        &mut self,
        socket: SocketId,
        context: &'static str,
        (row, args): (&'static Row, &Args<'_>),
        denied: Denied,
    ) {
        let what = match denied {
            Denied::Command => (Reason::Command, Directory::here().name(row).as_bytes()),
            Denied::Key(index) => (Reason::Key, args.at(index)),
            Denied::Channel(index) => (Reason::Channel, args.at(index)),
        };
        self.log_refusal(socket, context, what);
    }

    fn log_refusal(
        &mut self,
        socket: SocketId,
        context: &'static str,
        (reason, object): (Reason, &[u8]),
    ) {
        let now = self.now;
        let Some(connection) = self.connections[socket.index as usize].as_mut() else { return };
        let (input_bytes, output_bytes) = (connection.input_bytes(), connection.output_bytes());
        let client = crate::commands::line(
            &ClientView {
                session: &mut connection.session,
                input_bytes,
                output_bytes,
                kill: &mut false,
                is_blocked: false,
                is_postponed: false,
                unblock: &mut None,
            },
            now,
        );
        let user = connection.session.login.user();
        let refused = Refused { reason, context, object, user: user.name(), client };
        self.server.acl.refuse(refused, now, &self.settings);
    }

    /// Looks again at what a client has queued: its user may have lost a permission since.
    pub(super) fn recheck(&mut self, socket: SocketId, queue: &mut [Queued]) {
        let Some(connection) = self.connection(socket) else { return };
        if !connection.session.login.is_limited() {
            return;
        }
        let user = Arc::clone(connection.session.login.user());
        for queued in queue {
            let row = queued.found.row();
            let args = queued.words.args();
            let option = denied_option(&user, row, &args).map(|_| Denied::Key(1));
            queued.denied = user.check(row, &args).err().or(option);
            if let Some(denied) = queued.denied {
                self.log_denied(socket, "multi", (row, &queued.words.args()), denied);
            }
        }
    }

    /// Why a queued command is not run: what was found before EXEC ran the others or, for one of
    /// the session, what those have made of the user since.
    pub(super) fn denied_now(&mut self, socket: SocketId, queued: &Queued) -> Option<Denied> {
        let Found::Session(row) = queued.found else { return queued.denied };
        let login = &self.connection(socket)?.session.login;
        if queued.denied.is_some() || !login.is_limited() {
            return queued.denied;
        }
        login.user().check(&row.row, &queued.words.args()).err()
    }

    /// Closes a client that has not authenticated and does not read what it is told.
    pub(super) fn bound_stranger(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket)
            && connection.session.login.is_locked_out()
            && connection.output_bytes() > STRANGER_BYTES_MAX
            && !connection.killed
        {
            connection.kill();
            self.stats.output_limit_closed += 1;
            self.mark_dirty(socket);
        }
    }
}

/// True if the user of a client may subscribe to all that it does.
fn may_listen(connection: &Connection, subscriptions: &Subscriptions<SocketId>) -> bool {
    let user = connection.session.login.user();
    let may = |kind: Kind| {
        let literal = kind == Kind::Pattern;
        let mut names = subscriptions.names(connection.socket, kind);
        names.all(|name| user.may_use_channels(&[name], literal))
    };
    // What a client caches is no channel.
    let kinds = [Kind::Channel, Kind::Pattern, Kind::Sharded];
    !connection.session.is_subscriber() || kinds.into_iter().all(may)
}

/// What EXEC says of a queued command that its user may no longer run.
pub(super) fn denied_text(denied: Denied) -> String {
    let what = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => {
            "no permission to access one of the channels used as arguments to the command"
        }
    };
    format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
         EXEC call. This command is no longer allowed for the following reason: {what}"
    )
}
