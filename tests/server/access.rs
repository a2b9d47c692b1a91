//! Who may do what, over sockets: nothing is reachable that rules forbid, on any core, at any time.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// Commands that Redis lets through whatever the rules say.
const ENTRY: [&str; 4] = ["auth", "hello", "quit", "reset"];

fn connect(server: &Server) -> Client {
    Client::connect(server.address()).expect("a connection")
}

fn ask(client: &mut Client, line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').collect();
    client.ask(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

/// The text of an error, or what else it was. That of EXEC says first that it is the end of it.
fn refusal(value: &Value) -> String {
    match value {
        Value::Error(text) => {
            let text = String::from_utf8_lossy(text);
            let start = "EXECABORT Transaction discarded because of: ";
            text.strip_prefix(start).unwrap_or(&text).to_owned()
        }
        other => format!("{other:?}"),
    }
}

/// A client of this user, whose password is any.
fn client_of(server: &Server, user: &str) -> Client {
    let mut client = connect(server);
    assert_eq!(ask(&mut client, &format!("AUTH {user} x")), ok());
    client
}

/// Every command and subcommand of the server, as words, with as many more as it wants at least.
fn all_commands(client: &mut Client) -> Vec<Vec<String>> {
    let Value::Array(entries) = ask(client, "COMMAND") else { panic!("no commands") };
    let mut requests = Vec::new();
    for entry in &entries {
        let Value::Array(parts) = entry else { panic!("no entry: {entry:?}") };
        let (Value::Array(inner) | Value::Set(inner)) = &parts[9] else { panic!("{parts:?}") };
        // A container's name alone is no request.
        let own = inner.is_empty().then_some(parts.as_slice());
        let inner = inner.iter().map(|entry| match entry {
            Value::Array(parts) => parts.as_slice(),
            other => panic!("no entry: {other:?}"),
        });
        for parts in own.into_iter().chain(inner) {
            let (Value::Bulk(name), Value::Int(arity)) = (&parts[0], &parts[1]) else {
                panic!("{parts:?}")
            };
            let name = String::from_utf8(name.clone()).expect("a name");
            let mut words: Vec<String> = name.split('|').map(str::to_owned).collect();
            words.resize(arity.unsigned_abs() as usize, "1".into());
            requests.push(words);
        }
    }
    assert!(requests.len() > 250, "{} requests", requests.len());
    requests
}

#[test]
fn a_user_with_nothing_reaches_nothing() {
    let server = Server::start(2, &[]).expect("a server");
    let mut admin = connect(&server);
    let requests = all_commands(&mut admin);
    assert_eq!(ask(&mut admin, "ACL SETUSER nobody on nopass"), ok());
    let mut nobody = client_of(&server, "nobody");
    for words in &requests {
        if ENTRY.contains(&words[0].as_str()) {
            continue;
        }
        let got = refusal(&nobody.ask(words).expect("a reply"));
        assert!(
            got.starts_with("NOPERM User nobody has no permissions to run the '"),
            "{words:?}: {got}"
        );
    }
    // Nor one that may do all but touch keys: what names one is refused.
    assert_eq!(ask(&mut admin, "ACL SETUSER keyless on nopass +@all &*"), ok());
    let mut keyless = client_of(&server, "keyless");
    for line in ["GET k", "DEL a b", "BLPOP a 0", "WATCH k", "SORT k", "OBJECT ENCODING k"] {
        assert_eq!(refusal(&ask(&mut keyless, line)), "NOPERM No permissions to access a key");
    }
    assert_eq!(ask(&mut keyless, "DBSIZE"), Value::Int(0));
}

#[test]
fn a_stranger_reaches_nothing() {
    let server = Server::start(2, &["--requirepass=secret"]).expect("a server");
    let mut admin = connect(&server);
    assert_eq!(ask(&mut admin, "AUTH secret"), ok());
    let requests = all_commands(&mut admin);
    let mut stranger = connect(&server);
    for words in &requests {
        if ENTRY.contains(&words[0].as_str()) {
            continue;
        }
        let got = refusal(&stranger.ask(words).expect("a reply"));
        assert_eq!(got, "NOAUTH Authentication required.", "{words:?}");
    }
    assert!(refusal(&ask(&mut stranger, "HELLO 3")).starts_with("NOAUTH HELLO must be called"));
    assert!(refusal(&ask(&mut stranger, "AUTH x")).starts_with("WRONGPASS"));
    assert_eq!(ask(&mut stranger, "RESET"), Value::Simple(b"RESET".to_vec()));
    assert_eq!(refusal(&ask(&mut stranger, "PING")), "NOAUTH Authentication required.");
}

#[test]
fn a_stranger_leaves_little_behind() {
    let server = Server::start(1, &["--requirepass=secret"]).expect("a server");
    // A request that fits the limits of each word, and all of them not.
    let mut sends = connect(&server);
    let words = vec![vec![b'x'; 16_000]; 10];
    let whole = request(&words);
    let end = loop {
        // The server may have closed before all is sent.
        if sends.send_raw(&whole[..whole.len() - 1]).is_err() {
            break Ok(Got::Closed);
        }
        let end = sends.receive(PATIENCE);
        if end != Ok(Got::Late) {
            break end;
        }
    };
    assert_eq!(end, Ok(Got::Closed));
    // Replies that nobody reads.
    let mut mute = connect(&server);
    let many = request(&["PING"]).repeat(200_000);
    let mut closed = mute.send_raw(&many).is_err();
    while !closed {
        match mute.receive(PATIENCE) {
            Ok(Got::Value(_)) => {}
            Ok(Got::Late) => panic!("neither replies nor an end"),
            Ok(Got::Closed) | Err(_) => closed = true,
        }
    }
    // Who authenticates may do both.
    let mut friend = connect(&server);
    let large = vec![b'v'; 100_000];
    let bytes = [request(&["AUTH", "secret"]), request(&[b"SET".as_slice(), b"k", &large])];
    friend.send_raw(&bytes.concat()).expect("sent");
    for _ in 0..2 {
        assert_eq!(friend.receive(PATIENCE), Ok(Got::Value(ok())));
    }
}

#[test]
fn every_core_sees_new_rules_at_once() {
    let server = Server::start(4, &[]).expect("a server");
    let mut admin = connect(&server);
    assert_eq!(ask(&mut admin, "ACL SETUSER u on nopass ~* +@all"), ok());
    let mut clients: Vec<_> = (0..12).map(|_| client_of(&server, "u")).collect();
    for round in 0..50 {
        let (rule, may) = if round % 2 == 0 { ("-get", false) } else { ("+get", true) };
        assert_eq!(ask(&mut admin, &format!("ACL SETUSER u {rule}")), ok());
        for client in &mut clients {
            let got = ask(client, "GET k");
            assert_eq!(got == Value::NullBulk, may, "{rule}: {got:?}");
        }
    }
    assert_eq!(ask(&mut admin, "ACL DELUSER u"), Value::Int(1));
    for client in &mut clients {
        assert_eq!(client.receive(PATIENCE), Ok(Got::Closed));
    }
    assert_eq!(ask(&mut admin, "ACL WHOAMI"), Value::Bulk(b"default".to_vec()));
}

#[test]
fn users_are_read_from_their_file_and_written_to_it() {
    let path = std::env::temp_dir().join(format!("pinion-acl-{}", std::process::id()));
    let name = path.to_str().expect("a name");
    std::fs::write(&path, "user alice on nopass ~* &* +@all\nuser bob on nopass +ping\n").unwrap();
    let server = Server::start(2, &[&format!("--aclfile={name}")]).expect("a server");
    let mut admin = connect(&server);
    let (mut alice, mut bob) = (client_of(&server, "alice"), client_of(&server, "bob"));
    assert_eq!(ask(&mut admin, "ACL SETUSER carol on nopass +ping"), ok());
    let mut carol = client_of(&server, "carol");
    assert_eq!(ask(&mut admin, "ACL SETUSER bob +get ~k"), ok());
    assert_eq!(ask(&mut bob, "GET k"), Value::NullBulk);
    assert_eq!(ask(&mut admin, "ACL LOAD"), ok());
    assert!(refusal(&ask(&mut bob, "GET k")).starts_with("NOPERM"));
    assert_eq!(ask(&mut alice, "GET k"), Value::NullBulk);
    assert_eq!(carol.receive(PATIENCE), Ok(Got::Closed));
    assert_eq!(ask(&mut admin, "ACL SETUSER dave off"), ok());
    assert_eq!(ask(&mut admin, "ACL SAVE"), ok());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "user alice on nopass sanitize-payload ~* &* +@all\n\
         user bob on nopass sanitize-payload resetchannels -@all +ping\n\
         user dave off sanitize-payload resetchannels -@all\n\
         user default on nopass sanitize-payload ~* &* +@all\n"
    );
    std::fs::write(&path, "user alice on\nnosuch\nuser alice off\n").unwrap();
    let got = refusal(&ask(&mut admin, "ACL LOAD"));
    assert!(got.contains(":2: should start with user") && got.contains("Duplicate"), "{got}");
    assert_eq!(ask(&mut alice, "GET k"), Value::NullBulk);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_renamed_command_is_gone_under_its_own_name() {
    let renames = "--rename_command=GET=FETCH, CONFIG=guarded ,FLUSHALL=";
    let server = Server::start(2, &[renames]).expect("a server");
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, "SET k v"), ok());
    assert_eq!(ask(&mut client, "fetch k"), Value::Bulk(b"v".to_vec()));
    assert!(matches!(ask(&mut client, "GUARDED GET port"), Value::Array(_)));
    for line in ["GET k", "CONFIG GET port", "FLUSHALL"] {
        let got = refusal(&ask(&mut client, line));
        assert!(got.starts_with("ERR unknown command '"), "{line}: {got}");
    }
    let count = |client: &mut Client, line: &str| match ask(client, line) {
        Value::Array(entries) => entries.iter().filter(|entry| **entry != Value::NullBulk).count(),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(count(&mut client, "COMMAND LIST FILTERBY PATTERN FLUSHALL"), 0);
    assert_eq!(count(&mut client, "COMMAND DOCS get config"), 0);
    assert_eq!(count(&mut client, "COMMAND DOCS fetch"), 2);
    let unknown = refusal(&ask(&mut client, "Guarded x"));
    assert_eq!(unknown, "ERR unknown subcommand 'x'. Try GUARDED HELP.");
    // Rules name commands as ever.
    assert_eq!(ask(&mut client, "ACL SETUSER u on nopass ~* +get"), ok());
    let mut user = client_of(&server, "u");
    assert_eq!(ask(&mut user, "FETCH k"), Value::Bulk(b"v".to_vec()));
    assert!(refusal(&ask(&mut user, "GUARDED GET port")).starts_with("NOPERM User u has no"));
}

#[test]
fn users_and_names_come_from_a_configuration_file_and_users_go_there() {
    let path = std::env::temp_dir().join(format!("pinion-conf-{}", std::process::id()));
    let name = path.to_str().expect("a name");
    let old = "# ours\nuser bob on nopass ~b* +@all (+get ~c)\nrename-command GET \"FETCH\"\n";
    std::fs::write(&path, old).unwrap();
    // Both servers have it, since the file will name it.
    let room = std::env::temp_dir().join(format!("pinion-users-{}", std::process::id()));
    std::fs::create_dir_all(&room).unwrap();
    let dir = format!("--dir={}", room.display());
    let server = Server::start(2, &[name, &dir]).expect("a server");
    let mut admin = connect(&server);
    let mut bob = client_of(&server, "bob");
    assert_eq!(ask(&mut bob, "FETCH c"), Value::NullBulk);
    assert!(refusal(&ask(&mut bob, "SET c 1")).starts_with("NOPERM"));
    assert!(refusal(&ask(&mut admin, "GET c")).starts_with("ERR unknown command 'GET'"));
    assert_eq!(ask(&mut admin, "ACL SETUSER carol on >secret +ping"), ok());
    assert_eq!(ask(&mut admin, "CONFIG REWRITE"), ok());
    let text = std::fs::read_to_string(&path).unwrap();
    let bob = "user bob on nopass sanitize-payload ~b* resetchannels +@all \
               (~c resetchannels -@all +get)";
    for line in ["# ours", bob, "rename-command GET \"FETCH\""] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(
        text.contains("\nuser carol on sanitize-payload #2bb80d537b1da3e38bd30361aa"),
        "{text}"
    );
    drop(server);
    let server = Server::start(2, &[name, &dir]).expect("a server");
    let mut carol = connect(&server);
    assert_eq!(ask(&mut carol, "AUTH carol secret"), ok());
    drop(server);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_dir_all(&room).unwrap();
}

#[test]
fn a_wrong_password_is_logged_whatever_the_protocol() {
    let server = Server::start(2, &["--requirepass=secret"]).expect("a server");
    let mut browser = connect(&server);
    let asked = "GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjp3cm9uZw==\r\n\r\n";
    browser.send_raw(asked.as_bytes()).expect("sent");
    // What comes is not of Redis's protocol.
    assert!(browser.receive(PATIENCE).is_err());
    let mut admin = connect(&server);
    assert!(refusal(&ask(&mut admin, "AUTH alice wrong")).starts_with("WRONGPASS"));
    assert_eq!(ask(&mut admin, "AUTH secret"), ok());
    let Value::Array(entries) = ask(&mut admin, "ACL LOG") else { panic!("no log") };
    let told: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Value::Array(parts) => (parts[7].clone(), parts[9].clone()),
            other => panic!("no entry: {other:?}"),
        })
        .collect();
    let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
    let wanted = [(bulk("AUTH"), bulk("alice")), (bulk("http"), bulk("default"))];
    assert_eq!(told, wanted);
}
