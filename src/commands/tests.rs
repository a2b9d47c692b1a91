//! Session commands as a client sees them, without a server around.

use super::*;
use crate::config::Config;
use crate::session::Peer;
use pinion_io::resp::{Limits, Parser, Protocol, Step};

/// A client of a server of its own.
struct Client {
    session: Session,
    server: Server,
}

impl Client {
    fn new() -> Self {
        let ends = || Peer::Tcp("127.0.0.1:5000".parse().unwrap());
        let server = Server::new(Config::new(Settings::initial()), 0, 1, [0; 20]);
        let session = Session::new(7, (ends(), ends()), 9, 0, 0, &server.acl);
        Self { session, server }
    }

    fn run(&mut self, request: &str) -> (String, Outcome) {
        let mut line = format!("{request}\r\n").into_bytes();
        let mut parser = Parser::default();
        if let Step::Inline { rewritten, .. } = parser.next(&line, 0, &Limits::default()).unwrap() {
            line = rewritten;
            parser.next(&line, 0, &Limits::default()).unwrap();
        }
        let args = Args::new(&line, parser.args());
        let mut out = Vec::new();
        let protocol = self.session.protocol;
        let mut reply = Reply::new(&mut out, protocol);
        let found = match find(&args) {
            Ok(Found::Session(row)) => row,
            Ok(Found::Shard(row)) => panic!("{} runs on a shard", row.name),
            Err(error) => {
                error.write(&args, &mut reply);
                return (String::from_utf8(out).unwrap(), Outcome::Done);
            }
        };
        assert!(found.row.accepts(args.len()), "{request} has the wrong length");
        let settings = self.server.config.settings();
        let mut context = Context {
            session: &mut self.session,
            server: &self.server,
            settings: &settings,
            now: 0,
            core: 0,
        };
        let outcome = (found.run)(&mut context, &args, &mut reply);
        let outcome = outcome.unwrap_or_else(|error| {
            reply.truncate(0);
            reply.error(error.text().as_bytes());
            Outcome::Done
        });
        (String::from_utf8(out).unwrap(), outcome)
    }

    fn reply(&mut self, request: &str) -> String {
        self.run(request).0.replace("\r\n", " ").trim_end().to_owned()
    }
}

fn check(replies: &[(&str, &str)]) {
    let mut client = Client::new();
    for (request, reply) in replies {
        assert_eq!(client.reply(request), *reply, "{request}");
    }
}

#[test]
fn mistakes_about_the_connection_are_told_in_redis_s_words() {
    check(&[
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
        (
            "HELLO 2 SETNAME 'a b'",
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        ("HELLO 3 AUTH foo bar", "-WRONGPASS invalid username-password pair or user is disabled."),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        ("AUTH a b c", "-ERR syntax error"),
        ("SELECT 16", "-ERR DB index is out of range"),
        ("SELECT -1", "-ERR DB index is out of range"),
        (
            "SELECT 3000000000",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("SELECT x", "-ERR value is not an integer or out of range"),
        ("CLIENT SETINFO FOO x", "-ERR Unrecognized option 'FOO'"),
        (
            "CLIENT SETINFO LIB-NAME 'a b'",
            "-ERR LIB-NAME cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT NO-EVICT x", "-ERR syntax error"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL MAXAGE x", "-ERR maxage is not an integer or out of range"),
        ("CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0"),
        ("CLIENT KILL USER nosuch", "-ERR No such user 'nosuch'"),
        ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT KILL ID 1 FOO", "-ERR syntax error"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST TYPE", "-ERR syntax error"),
    ]);
}

#[test]
fn mistakes_about_the_server_are_told_in_redis_s_words() {
    check(&[
        (
            "CONFIG SET nosuch 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        ),
        ("CONFIG SET timeout 1 x", "-ERR syntax error"),
        (
            "CONFIG SET timeout x",
            "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't \
             be parsed into an integer",
        ),
        (
            "CONFIG SET databases 3",
            "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set \
             immutable config",
        ),
        (
            "DEBUG FOO",
            "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.",
        ),
        ("COMMAND GETKEYS foo a", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS ping", "-ERR The command has no key arguments"),
        ("COMMAND LIST FILTERBY FOO x", "-ERR syntax error"),
        ("READONLY", "-ERR This instance has cluster support disabled"),
        ("CLUSTER SHARDS", "-ERR This instance has cluster support disabled"),
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
        (
            "CLIENT MAINT_NOTIFICATIONS ON",
            "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.",
        ),
    ]);
}

#[test]
fn a_client_library_s_first_words() {
    let mut client = Client::new();
    assert_eq!(client.reply("select 3"), "+OK");
    assert!(client.reply("HELLO 2 SETNAME one").starts_with("*14 $6 server $5 redis $7 version"));
    let hello = client.reply("hello 3 auth default anything setname two");
    assert_eq!(
        hello,
        "%7 $6 server $5 redis $7 version $5 8.0.6 $5 proto :3 $2 id :7 $4 mode $10 standalone \
         $4 role $6 master $7 modules *0"
    );
    assert_eq!(client.reply("CLIENT GETNAME"), "$3 two");
    assert_eq!(client.reply("client setinfo lib-name redis-py(celery_v5.7.0)"), "+OK");
    assert_eq!(client.reply("CLIENT SETINFO LIB-VER 8.1.0"), "+OK");
    let info = client.reply("CLIENT INFO");
    assert!(info.starts_with('=') && info.contains("txt:id=7 addr=127.0.0.1:5000 "), "{info}");
    assert!(info.contains(" db=3 ") && info.contains(" lib-name=redis-py(celery_v5.7.0) "));
    assert_eq!(client.reply("CLIENT ID"), ":7");
    assert_eq!(
        client.reply("CONFIG GET SAVE appendonly"),
        "%2 $10 appendonly $2 no $4 SAVE $23 3600 1 300 100 60 10000"
    );
    assert_eq!(client.reply("CONFIG GET data*"), "%1 $9 databases $2 16");
    assert_eq!(client.reply("RESET"), "+RESET");
    assert_eq!(client.reply("CLIENT GETNAME"), "$-1");
    assert_eq!((client.session.db, client.session.protocol), (0, Protocol::Resp2));
    assert_eq!(client.reply("CONFIG GET nosuch"), "*0");
    assert_eq!(client.reply("QUIT"), "+OK");
    assert!(client.session.closing);
}

#[test]
fn a_password_locks_out_those_who_come_later() {
    let mut client = Client::new();
    assert_eq!(client.reply("CONFIG SET requirepass secret"), "+OK");
    let change = client.session.login.refresh(&client.server.acl.users());
    assert_eq!(change, crate::acl::LoginChange::Rules);
    assert!(!client.session.login.is_locked_out(), "who was in stays in");
    assert_eq!(client.reply("RESET"), "+RESET");
    assert!(client.session.login.is_locked_out());
    assert!(client.reply("HELLO 3").starts_with("-NOAUTH HELLO must be called with the client"));
    assert!(client.reply("AUTH guess").starts_with("-WRONGPASS"));
    assert!(client.reply("HELLO 3 AUTH default guess").starts_with("-WRONGPASS"));
    assert_eq!(client.session.protocol, Protocol::Resp2);
    assert!(client.reply("HELLO 3 AUTH default secret").starts_with("%7"));
    assert!(!client.session.login.is_locked_out());
}

#[test]
fn replies_are_left_out_as_asked() {
    let mut client = Client::new();
    assert_eq!(client.reply("CLIENT REPLY SKIP"), "");
    assert_eq!(client.session.reply_mode, crate::session::ReplyMode::SkipNext);
    assert_eq!(client.reply("CLIENT REPLY OFF"), "");
    assert!(!client.session.reply_mode.answers());
    assert_eq!(client.reply("CLIENT REPLY ON"), "+OK");
    assert!(client.session.reply_mode.answers());
}

#[test]
fn what_waits_is_a_job() {
    let mut client = Client::new();
    let started = |outcome| match outcome {
        Outcome::Start(job) => format!("{job:?}"),
        _ => String::new(),
    };
    for (request, job) in [
        ("DEBUG SLEEP 0.5", "Sleep(500ms)"),
        ("DEBUG SET-ACTIVE-EXPIRE 0", "Errand(SetActiveExpiry(false))"),
        ("CONFIG RESETSTAT", "Errand(ResetStats)"),
        ("CLIENT UNPAUSE", "Errand(Unpause)"),
        ("SHUTDOWN NOSAVE", "Stop(Stop { save: Some(false), now: false, force: false })"),
    ] {
        let (reply, outcome) = client.run(request);
        assert_eq!((reply.as_str(), started(outcome).as_str()), ("", job), "{request}");
    }
    assert!(started(client.run("INFO").1).starts_with("Errand(Info("));
    assert_eq!(client.reply("INFO nosuch"), "$0");
}

#[test]
fn command_tells_what_the_rows_say() {
    let mut client = Client::new();
    assert_eq!(
        client.reply("COMMAND INFO nosuch get"),
        "*2 $-1 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *1 *6 $5 \
         flags *2 +RO +access $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 $9 \
         find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0"
    );
    assert_eq!(client.reply("COMMAND GETKEYS mset a b c d"), "*2 $1 a $1 c");
    assert_eq!(client.reply("COMMAND GETKEYSANDFLAGS get k"), "*1 *2 $1 k *2 +RO +access");
    assert_eq!(
        client.reply("COMMAND LIST FILTERBY PATTERN client|i*"),
        "*2 $9 client|id $11 client|info"
    );
    assert_eq!(client.reply("COMMAND LIST FILTERBY ACLCAT nosuch"), "*0");
    assert!(client.reply("COMMAND DOCS config").contains("$11 subcommands *10 $10 config|get *8 "));
    assert!(client.reply("COMMAND INFO memory").contains("$12 memory|usage"));
    assert_eq!(client.reply("COMMAND DOCS nosuch"), "*0");
}
