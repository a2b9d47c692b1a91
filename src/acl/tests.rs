//! Rules against a model that knows sets of names only, and what Redis tells of some.

use super::*;
use crate::commands::find;
use pinion_shards::commands::{Args, Words};
use std::collections::HashSet;

/// Looks at a request, given as words with spaces between.
fn check(user: &User, request: &str) -> Result<(), Denied> {
    let mut words = Words::default();
    words.extend(request.split(' ').map(str::as_bytes));
    let args = words.args();
    let found = find(&args).unwrap_or_else(|_| panic!("no such command: {request}"));
    user.check(found.row(), &args)
}

fn user(rules: &str) -> User {
    let mut users = Users::new();
    let words: Vec<&[u8]> = rules.split_ascii_whitespace().map(str::as_bytes).collect();
    users.set(b"u", &words, false).unwrap_or_else(|error| panic!("{rules}: {error:?}"));
    User::clone(users.find(b"u").unwrap())
}

#[test]
fn a_request_is_allowed_whole_by_one_list_of_rules() {
    for (rules, request, outcome) in [
        ("", "get a", Err(Denied::Command)),
        ("+get", "get a", Err(Denied::Key(1))),
        ("+get ~a", "get a", Ok(())),
        ("+get ~a", "get b", Err(Denied::Key(1))),
        ("+@read ~a*", "mget a1 b a2", Err(Denied::Key(2))),
        ("+@all %R~r* %W~w*", "copy r w", Ok(())),
        ("+@all %R~r* %W~w*", "copy w r", Err(Denied::Key(1))),
        ("+@all %R~r* %W~w*", "set w 1", Ok(())),
        ("+@all %R~r* %W~w*", "set w 1 get", Err(Denied::Key(1))),
        ("+@all %R~r* %W~w*", "bitfield r get u8 0", Ok(())),
        ("+@all %R~r* %W~w*", "bitfield r overflow sat get u8 0", Ok(())),
        ("+@all %R~r* %W~w*", "bitfield r set u8 0 1", Err(Denied::Key(1))),
        ("+@all %R~r* %W~w*", "bitfield r get u8", Err(Denied::Key(1))),
        ("+@all %R~r* %W~w*", "exists r w", Ok(())),
        ("+@all %R~r* %W~w*", "strlen x", Err(Denied::Key(1))),
        ("+@all %R~r* %W~w*", "sort r store w", Ok(())),
        ("+@all %R~r* %W~w*", "zunionstore w 2 r r", Ok(())),
        ("+@all %R~r* %W~w*", "zunionstore w 2 r w", Err(Denied::Key(4))),
        ("+@all %R~r* %W~w*", "zunionstore w 3 r x", Ok(())),
        ("+client|id", "client id", Ok(())),
        ("+client|id", "client list", Err(Denied::Command)),
        ("+@all -client|id", "client id", Err(Denied::Command)),
        ("+@all -client", "client id", Err(Denied::Command)),
        ("+select|0", "select 0", Ok(())),
        ("+select|0", "select 1", Err(Denied::Command)),
        ("+select|0 -select", "select 0", Err(Denied::Command)),
        ("+debug|Object ~k", "debug object k", Ok(())),
        ("+debug|object", "debug object k", Ok(())),
        ("+debug|object", "debug sleep 0", Err(Denied::Command)),
        ("-@all", "auth x", Ok(())),
        ("-@all", "hello", Ok(())),
        ("+get ~a (+set ~b)", "set b 1", Ok(())),
        ("+get ~a (+set ~b)", "set a 1", Err(Denied::Key(1))),
        ("+mget ~k (+mget ~k ~o)", "mget k o s", Err(Denied::Key(3))),
        ("(%R~a +@all) (%W~b +@all)", "copy a b", Err(Denied::Key(2))),
    ] {
        assert_eq!(check(&user(rules), request), outcome, "{rules}: {request}");
    }
}

#[test]
fn rules_are_told_again_in_one_form() {
    for (rules, text) in [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        ("reset on ALLKEYS AllChannels allCommands", "on sanitize-payload ~* &* +@all"),
        ("+@HASH +@hash -HGET", "off sanitize-payload resetchannels -@all +@hash -hget"),
        ("+config|get +config", "off sanitize-payload resetchannels -@all +config"),
        ("+config +config|GET", "off sanitize-payload resetchannels -@all +config +config|get"),
        ("-@all -@dangerous", "off sanitize-payload resetchannels -@all -@dangerous"),
        ("%R~a %W~a %rw~b %w~c", "off sanitize-payload ~a ~b %W~c resetchannels -@all"),
        ("&a &b &a", "off sanitize-payload resetchannels &a &b -@all"),
        (
            "(~a +get) ( %R~b &x )",
            "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) \
             (%R~b resetchannels &x -@all)",
        ),
        ("(~a) clearselectors", "off sanitize-payload resetchannels -@all"),
    ] {
        let user = user(rules);
        assert_eq!(String::from_utf8_lossy(&user.text()), text, "{rules}");
        let mut again = Users::new();
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        again.set(b"u", &words, true).unwrap();
        let again = again.find(b"u").unwrap();
        assert_eq!(again.selectors(), user.selectors(), "{rules}");
        assert_eq!(again.text(), user.text());
    }
}

#[test]
fn what_is_no_rule_changes_nothing() {
    let mut users = Users::new();
    users.set(b"u", &[b"on"], false).unwrap();
    for (rules, error) in [
        ("+nosuch", RuleError::UnknownName),
        ("-client|nosuch", RuleError::UnknownName),
        ("+client|nosuch", RuleError::UnknownName),
        ("-select|0", RuleError::UnknownName),
        ("+@nosuch", RuleError::UnknownName),
        ("+client|id|x", RuleError::FirstArgOfSubcommand),
        ("+select|", RuleError::Syntax),
        ("nosuch", RuleError::Syntax),
        ("%~a", RuleError::Syntax),
        ("%RR~a", RuleError::Syntax),
        ("%X~a", RuleError::Syntax),
        ("%", RuleError::Syntax),
        (")", RuleError::Syntax),
        ("(nosuch)", RuleError::Syntax),
        ("~* ~a", RuleError::AfterAllKeys),
        ("&* &a", RuleError::AfterAllChannels),
        ("<x", RuleError::NoSuchPassword),
        ("#x", RuleError::BadHash),
        ("!x", RuleError::BadHash),
    ] {
        let words: Vec<&[u8]> = ["off", "+get", "~a"]
            .into_iter()
            .take(1)
            .chain(rules.split(' '))
            .map(str::as_bytes)
            .collect();
        match users.set(b"u", &words, false) {
            Err(SetError::Rule(_, got)) => assert_eq!(got, error, "{rules}"),
            other => panic!("{rules}: {other:?}"),
        }
        assert_eq!(users.find(b"u").unwrap().text(), b"on sanitize-payload resetchannels -@all");
    }
    let open: Vec<&[u8]> = vec![b"(+get", b"(+set"];
    assert_eq!(users.set(b"u", &open, false), Err(SetError::Parenthesis(0)));
    assert_eq!(users.set(b"a b", &[], false), Err(SetError::Name));
}

#[test]
fn passwords_let_in_who_has_one() {
    let mut user = user("on >one >two");
    assert!(user.lets_in(b"one") && user.lets_in(b"two") && !user.lets_in(b"three"));
    for (rule, one) in [("<one", false), ("nopass", true), ("resetpass", false), (">one", true)] {
        user.apply(rule.as_bytes(), false).unwrap();
        assert_eq!(user.lets_in(b"one"), one, "{rule}");
    }
    user.apply(b"off", false).unwrap();
    assert!(!user.lets_in(b"one"));
}

#[test]
fn a_login_follows_its_user_and_ends_with_it() {
    let acl = Acl::new("");
    let mut login = Login::new(&acl);
    assert!(!login.is_limited());
    let version = acl.version();
    acl.change().set(b"default", &[b"-get"], false).unwrap();
    assert!(acl.version() > version);
    assert_eq!(login.refresh(&acl.users()), LoginChange::Rules);
    assert!(login.is_limited() && !login.is_locked_out());
    acl.change().set(b"default", &[b"+@all", b">x"], false).unwrap();
    assert_eq!(login.refresh(&acl.users()), LoginChange::Rules);
    assert!(!login.is_limited());
    assert!(Login::new(&acl).is_locked_out() && Login::new(&acl).is_limited());
    acl.change().set(b"u", &[b"on", b"nopass"], false).unwrap();
    login.enter(acl.users().find(b"u").cloned().unwrap());
    assert!(login.is_limited() && login.refresh(&acl.users()) == LoginChange::None);
    acl.change().delete(b"u");
    acl.change().set(b"u", &[b"on", b"nopass"], false).unwrap();
    let change = login.refresh(&acl.users());
    assert_eq!(change, LoginChange::Gone, "another of the same name is not the same");
    login.enter(acl.users().find(b"u").cloned().unwrap());
    let mut loaded = Users::new();
    loaded.set(b"u", &[b"+@all", b"~*", b"&*"], false).unwrap();
    acl.change().replace(loaded);
    assert_eq!(login.refresh(&acl.users()), LoginChange::Rules);
    assert!(!login.is_limited());
    acl.change().replace(Users::new());
    assert_eq!(login.refresh(&acl.users()), LoginChange::Gone);
}

/// A seeded source of numbers: xorshift.
struct Source(u64);

impl Source {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Names of commands that may be run, kept by walking all names for each rule.
#[derive(Default)]
struct Model {
    allowed: HashSet<&'static str>,
}

impl Model {
    fn apply(&mut self, rule: &str) {
        let directory = Directory::here();
        let allows = rule.starts_with('+');
        for id in 0..directory.count() as u16 {
            let row = directory.command(id).row;
            let of = |name: &str| row.name == name || row.name.starts_with(&format!("{name}|"));
            let fits = match &rule[1..] {
                "@all" => true,
                name => match name.strip_prefix('@') {
                    Some(name) => {
                        let container = row.name.split('|').next().unwrap();
                        let container = directory.find(container.as_bytes()).unwrap();
                        let in_it = |row| {
                            let categories = crate::commands::categories(row);
                            categories.iter().any(|category| category[1..] == *name)
                        };
                        in_it(row) || in_it(directory.command(container).row)
                    }
                    None => of(name),
                },
            };
            if fits && allows {
                self.allowed.insert(row.name);
            } else if fits {
                self.allowed.remove(row.name);
            }
        }
    }
}

#[test]
fn random_rules_allow_what_a_plain_model_allows() {
    let directory = Directory::here();
    for seed in 1..200 {
        let mut source = Source(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let (mut model, mut user) = (Model::default(), User::new(b"u", 0, true));
        for _ in 0..source.below(12) {
            let sign = ["+", "-"][source.below(2)];
            let name = match source.below(8) {
                0 => "@all".to_owned(),
                1..4 => format!("@{}", CATEGORIES[source.below(CATEGORIES.len())]),
                _ => directory.command(source.below(directory.count()) as u16).row.name.to_owned(),
            };
            let rule = format!("{sign}{name}");
            user.apply(rule.as_bytes(), false).unwrap();
            model.apply(&rule);
        }
        let mut again = User::new(b"u", 0, true);
        for rule in user.text().split(|&byte| byte == b' ') {
            again.apply(rule, false).unwrap();
        }
        for id in 0..directory.count() as u16 {
            let row = directory.command(id).row;
            let args = Args::new(&[], &[]);
            let wanted = model.allowed.contains(row.name)
                || row.flags.has(pinion_shards::commands::Flags::NO_AUTH);
            for user in [&user, &again] {
                let may = user.selectors()[0].check(row, &args) != Err(Denied::Command);
                assert_eq!(may, wanted, "seed {seed}: {} {:?}", row.name, user.text());
            }
        }
    }
}

/// A word that may be a rule.
fn word(source: &mut Source) -> String {
    let directory = Directory::here();
    let patterns = ["a", "a*", "*", "", "[x", "k?", "x y", "\\"];
    let pattern = patterns[source.below(patterns.len())];
    let signs = ["~", "&", "%R~", "%W~", "%RW~", "%~", "%RR~", "%", "(~", "(&", "("];
    let words = [
        "on",
        "off",
        "nopass",
        "resetpass",
        "reset",
        "clearselectors",
        "allkeys",
        "resetkeys",
        "allchannels",
        "resetchannels",
        "allcommands",
        "nocommands",
        "skip-sanitize-payload",
        ">p",
        "<p",
        "#p",
        ")",
        "+get)",
        "+select|0",
        "+config|get|x",
        "nosuch",
        "",
    ];
    match source.below(4) {
        0 => words[source.below(words.len())].to_owned(),
        1 => format!("{}{pattern}", signs[source.below(signs.len())]),
        2 => format!("+@{}", CATEGORIES[source.below(CATEGORIES.len())]),
        _ => {
            let name = directory.command(source.below(directory.count()) as u16).row.name;
            format!("{}{name}", ["+", "-"][source.below(2)])
        }
    }
}

#[test]
fn any_rules_are_refused_whole_or_told_again_the_same() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..3000_u64 {
        let mut source = Source(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut users = Users::new();
        for _ in 0..4 {
            let before = users.find(b"u").map(|user| user.text());
            let words: Vec<String> = (0..source.below(5)).map(|_| word(&mut source)).collect();
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            if users.set(b"u", &words, false).is_err() {
                refused += 1;
                assert_eq!(users.find(b"u").map(|user| user.text()), before, "seed {seed}");
                continue;
            }
            taken += 1;
            let text = users.find(b"u").unwrap().text();
            let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
            let mut again = Users::new();
            again.set(b"u", &words, seed % 2 == 0).unwrap_or_else(|error| {
                panic!("seed {seed}: {}: {error:?}", String::from_utf8_lossy(&text))
            });
            assert_eq!(again.find(b"u").unwrap().text(), text, "seed {seed}");
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}
