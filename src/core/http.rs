//! Connections that speak HTTP: their bytes to answers.

use super::Core;
use crate::acl::Acl;
use crate::commands::{Job, find};
use crate::connection::Wire;
use crate::errand::Errand;
use crate::http::{self, Page, Sniff, Status};
use pinion_io::resp::{Protocol, Range};
use pinion_io::ring::SocketId;
use pinion_shards::commands::{Args, Group, Plan, Row};

/// What the figures of commands call a request.
static REQUEST: Row = Row::new("http", 1, Group::Server, Plan::Session);

impl Core {
    /// None if a connection that has gathered bytes speaks Redis's protocol. If it speaks another
    /// it is answered, as far as it may be, and its next request is known to miss so many bytes.
    pub(super) fn serve_other(&mut self, socket: SocketId) -> Option<usize> {
        let http = self.work.settings.http;
        let connection = self.work.connection(socket)?;
        if connection.wire == Wire::Fresh {
            connection.wire = wire_of(&connection.input, http);
        }
        match connection.wire {
            Wire::Redis => return None,
            Wire::Fresh => {}
            Wire::Http => self.serve_http(socket),
            Wire::Memcached => return Some(self.serve_memcached(socket)),
        }
        Some(0)
    }

    /// Answers the HTTP requests that a connection has gathered, as far as it may.
    fn serve_http(&mut self, socket: SocketId) {
        let (now, index) = (self.work.now, socket.index as usize);
        while let Some(connection) = self.work.connections[index].as_mut()
            && connection.runs()
            && !connection.input.is_empty()
        {
            connection.mark(&mut self.work.dirty);
            let (asked, len) = match http::read(&connection.input) {
                Ok(Some(read)) => read,
                Ok(None) => return,
                Err(status) => {
                    let shape = http::Shape { close: true, ..http::Shape::default() };
                    let answer = http::refuse(status, shape, now);
                    connection.pipeline.write(Protocol::Resp2, true, |reply| reply.raw(&answer));
                    connection.session.closing = true;
                    connection.input.clear();
                    return;
                }
            };
            connection.input.drain(..len);
            connection.session.closing = asked.shape.close;
            let page = asked.page;
            let refusal = asked.refusal(|given| may_see(&self.work.server.acl, given, page));
            match (refusal, asked.page) {
                (None, Ok(page)) => {
                    let job = Job::Errand(Errand::Page(page, asked.shape));
                    self.work.ask_job(socket, job, &REQUEST);
                }
                (Some(status), _) | (None, Err(status)) => {
                    let answer = http::refuse(status, asked.shape, now);
                    connection.pipeline.write(Protocol::Resp2, true, |reply| reply.raw(&answer));
                    if status == Status::Unauthorized {
                        self.work.bound_stranger(socket);
                    }
                    if status == Status::Unauthorized && asked.password.is_some() {
                        self.work.note_wrong_password(socket, "http");
                    }
                }
            }
        }
    }
}

/// True if who gives this password may see a page: it is the default user's, who may ask for INFO
/// where the page tells as much.
fn may_see(acl: &Acl, given: &[u8], page: Result<Page, Status>) -> bool {
    const INFO: &[u8] = b"info";
    let words = [Range { start: 0, len: INFO.len() as u32 }];
    let args = Args::new(INFO, &words);
    let users = acl.users();
    let user = users.default_user();
    let tells = matches!(page, Ok(Page::Home | Page::Metrics));
    let may = || find(&args).is_ok_and(|info| user.check(info.row(), &args).is_ok());
    user.lets_in(given) && (!tells || user.is_unrestricted() || may())
}

/// What a connection speaks that begins with these bytes, where HTTP may be spoken or may not.
pub(super) fn wire_of(bytes: &[u8], http: bool) -> Wire {
    match http::sniff(bytes) {
        Sniff::Http if http => Wire::Http,
        Sniff::More if http => Wire::Fresh,
        _ => Wire::Redis,
    }
}
