"""What clients say when they connect, in the very packets they send."""

import re

from resp import Connection, Failed, Simple, Verbatim, run

FIELDS = ["server", "version", "proto", "id", "mode", "role", "modules"]


def names_in_any_case(host, port):
    """1: names of commands and subcommands in any case"""
    one = Connection(host, port)
    assert one.ask("pInG") == "PONG"
    assert one.ask("client", "sEtName", "lower") == "OK"
    assert one.ask("CLIENT", "getname") == "lower"
    assert one.ask("config", "get", "DATABASES") == ["DATABASES", "16"]
    assert one.ask("hello", "3", "setname", "again")["proto"] == 3
    assert one.ask("Client", "GETNAME") == "again"


def hello(host, port):
    """2, 3, 4: HELLO in all forms, its seven fields, as a map and as an array"""
    one = Connection(host, port)
    said = one.ask("HELLO", "3")
    assert list(said) == FIELDS, said
    assert said["server"] == "redis" and said["proto"] == 3, said
    version = tuple(int(part) for part in said["version"].split("."))
    assert len(version) == 3 and version >= (7, 4, 0), version
    assert said["id"] == one.ask("CLIENT", "ID")
    assert (said["mode"], said["role"]) == ("standalone", "master")
    assert isinstance(said["modules"], list)
    said = one.ask("HELLO", "2")
    assert len(said) == 14 and said[0::2] == FIELDS and said[5] == 2, said
    said = one.ask("HELLO")
    assert isinstance(said, list) and said[5] == 2, "HELLO alone changes nothing"
    assert one.ask("HELLO", "3", "SETNAME", "n")["proto"] == 3
    assert one.ask("CLIENT", "GETNAME") == "n"
    assert one.ask("HELLO", "2", "SETNAME", "m")[5] == 2
    assert one.ask("CLIENT", "GETNAME") == "m"
    assert one.ask("HELLO", "3", "AUTH", "default", "any", "SETNAME", "o")["proto"] == 3
    assert one.ask("HELLO")["proto"] == 3


def one_packet(host, port):
    """5: a whole handshake in one packet; the protocol changes with the reply to HELLO"""
    one = Connection(host, port)
    replies = one.asks(
        ("HELLO", "3"),
        ("SELECT", "3"),
        ("CLIENT", "SETNAME", "whole"),
        ("CLIENT", "SETINFO", "LIB-NAME", "library"),
        ("CLIENT", "SETINFO", "LIB-VER", "1.2"),
        ("CLIENT", "TRACKING", "ON"),
        ("SET", "k", "v"),
        ("HGETALL", "none"),
    )
    assert replies[0]["proto"] == 3 and replies[1:] == ["OK"] * 6 + [{}], replies
    mine = one.ask("CLIENT", "INFO")
    for word in ("db=3", "name=whole", "lib-name=library", "lib-ver=1.2", "resp=3", "flags=t"):
        assert f" {word} " in mine.replace("\n", " "), (word, mine)
    one = Connection(host, port)
    replies = one.asks(
        ("HGETALL", "none"), ("SELECT", "1"), ("HELLO", "3"), ("HGETALL", "none"), ("HELLO", "2"),
        ("HGETALL", "none"),
    )
    assert replies[0] == [] and replies[1] == "OK" and replies[3] == {}, replies
    assert isinstance(replies[2], dict) and isinstance(replies[4], list) and replies[5] == []


def refused(host, port):
    """6: other versions, unknown commands and words of HELLO are refused with their texts"""
    one = Connection(host, port)
    for version in ("4", "1", "99"):
        assert one.fails("HELLO", version) == "NOPROTO unsupported protocol version"
    assert one.fails("HELLO", "x") == (
        "ERR Protocol version is not an integer or out of range"
    )
    assert one.fails("HELLO", "3", "NOSUCH") == "ERR Syntax error in HELLO option 'NOSUCH'"
    assert one.ask("PING") == "PONG"
    assert one.fails("HALLO", "3") == (
        "ERR unknown command 'HALLO', with args beginning with: '3' "
    )


def open_default_user(host, port):
    """7: the default user takes any password while there is none, no other user does"""
    one = Connection(host, port)
    assert one.ask("AUTH", "default", "whatever") == "OK"
    assert one.ask("HELLO", "3", "AUTH", "default", "whatever")["proto"] == 3
    wrong = "WRONGPASS invalid username-password pair or user is disabled."
    assert one.fails("AUTH", "nobody", "x") == wrong
    assert one.fails("HELLO", "3", "AUTH", "nobody", "x") == wrong
    assert one.fails("AUTH", "x") == (
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?"
    )
    assert one.ask("PING") == "PONG", "errors do not close"


def with_password(host, port):
    """6, 7, 16: with a password nothing but AUTH, HELLO, QUIT and RESET is answered before it"""
    door = Connection(host, port)
    assert door.ask("CONFIG", "SET", "requirepass", "secret") == "OK"
    try:
        one = Connection(host, port)
        required = "NOAUTH Authentication required."
        for words in (("GET", "k"), ("PING",), ("CLIENT", "SETINFO", "LIB-NAME", "x")):
            assert one.fails(*words) == required, words
        assert one.fails("HELLO", "3") == (
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
            "select the RESP protocol version at the same time"
        )
        wrong = "WRONGPASS invalid username-password pair or user is disabled."
        assert one.fails("AUTH", "false") == wrong
        assert one.fails("AUTH", "default", "false") == wrong
        assert one.fails("HELLO", "3", "AUTH", "default", "false") == wrong
        assert one.ask("RESET") == "RESET"
        replies = one.asks(
            ("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "a"), ("SELECT", "2"),
            ("GET", "k"),
        )
        assert replies[0]["proto"] == 3 and replies[1:] == ["OK", None], replies
        assert Connection(host, port).asks(("AUTH", "secret"), ("PING",)) == ["OK", "PONG"]
        assert Connection(host, port).ask("QUIT") == "OK"
        assert one.ask("RESET") == "RESET"
        assert one.fails("GET", "k") == required, "RESET forgets who it was"
    finally:
        assert door.ask("CONFIG", "SET", "requirepass", "") == "OK"


def library(host, port):
    """8: CLIENT SETINFO takes the names that libraries have, and no spaces"""
    one = Connection(host, port)
    for name in ("redis-py(celery_v5.7.0)", "go-redis(,go1.26.10)", "ioredis(bullmq)"):
        assert one.ask("CLIENT", "SETINFO", "LIB-NAME", name) == "OK"
        assert one.ask("client", "setinfo", "lib-ver", "8.1.0") == "OK"
        for text in (one.ask("CLIENT", "INFO"), one.ask("CLIENT", "LIST")):
            assert f" lib-name={name} lib-ver=8.1.0" in text, text
    assert one.fails("CLIENT", "SETINFO", "LIB-NAME", "a b") == (
        "ERR LIB-NAME cannot contain spaces, newlines or special characters."
    )
    assert one.fails("CLIENT", "SETINFO", "LIB-X", "a") == "ERR Unrecognized option 'LIB-X'"


def maintenance(host, port):
    """9: CLIENT MAINT_NOTIFICATIONS is an unknown subcommand, and the connection stays"""
    one = Connection(host, port)
    one.ask("HELLO", "3")
    said = one.fails(
        "CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip"
    )
    assert said == "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."
    assert one.ask("PING") == "PONG"


def names(host, port):
    """10: workers are found in CLIENT LIST by their names"""
    workers = [Connection(host, port, f"bull:cXVldWU=:w:{index}") for index in range(12)]
    assert workers[3].ask("CLIENT", "GETNAME") == "bull:cXVldWU=:w:3"
    found = re.findall(r" name=(bull:\S+) ", workers[0].ask("CLIENT", "LIST"))
    assert sorted(found) == sorted(f"bull:cXVldWU=:w:{index}" for index in range(12)), found
    ids = [worker.ask("CLIENT", "ID") for worker in workers]
    assert len(set(ids)) == 12
    text = workers[0].ask("CLIENT", "LIST", "ID", *ids)
    assert [int(number) for number in re.findall(r"^id=(\d+) ", text, re.M)] == ids, text
    assert workers[0].fails("CLIENT", "SETNAME", "a b") == (
        "ERR Client names cannot contain spaces, newlines or special characters."
    )
    assert Connection(host, port).ask("CLIENT", "GETNAME") is None


def databases(host, port):
    """11: SELECT 0 to 15 at connect, and how many there are"""
    one = Connection(host, port)
    assert one.ask("CONFIG", "GET", "databases") == ["databases", "16"]
    for index in range(16):
        assert one.asks(("SELECT", index), ("SET", "which", index)) == ["OK", "OK"]
    for index in range(16):
        assert one.asks(("SELECT", index), ("GET", "which")) == ["OK", str(index)]
    assert one.fails("SELECT", "16") == "ERR DB index is out of range"
    assert one.fails("SELECT", "x") == "ERR value is not an integer or out of range"


def ping(host, port):
    """12: PING before any handshake, and while subscribed in either protocol"""
    one = Connection(host, port)
    assert one.ask("PING") == "PONG" and isinstance(one.ask("PING"), Simple)
    assert one.ask("PING", "hallo") == "hallo"
    assert one.ask("SUBSCRIBE", "c") == ["subscribe", "c", 1]
    assert one.ask("PING") == ["pong", ""] and one.ask("PING", "x") == ["pong", "x"]
    two = Connection(host, port)
    two.ask("HELLO", "3")
    assert two.ask("SUBSCRIBE", "c") == ["subscribe", "c", 1]
    assert two.ask("PING") == "PONG" and two.ask("PING", "x") == "x"


def no_cluster(host, port):
    """13: CLUSTER SHARDS without a cluster says so"""
    one = Connection(host, port)
    disabled = "ERR This instance has cluster support disabled"
    assert one.fails("CLUSTER", "SHARDS") == disabled
    assert one.fails("CLUSTER", "SLOTS") == disabled
    assert one.fails("READONLY") == disabled


def ends(host, port):
    """16: QUIT answers OK and closes, RESET answers RESET and is as new"""
    one = Connection(host, port)
    one.send(("SET", "k", "v"), ("QUIT",), ("SET", "k", "w"))
    assert one.read() == "OK" and one.read() == "OK" and one.is_closed()
    two = Connection(host, port, "two")
    two.asks(("HELLO", "3"), ("SELECT", "4"), ("MULTI",), ("SUBSCRIBE", "c"))
    assert two.ask("RESET") == "RESET"
    assert two.ask("CLIENT", "GETNAME") is None
    assert two.ask("HGETALL", "none") == [], "RESP2 again"
    assert two.ask("GET", "k") == "v", "database 0 again"


def verbatim(host, port):
    """17: INFO, CLIENT LIST and CLIENT INFO are verbatim in RESP3, bulk strings in RESP2"""
    one = Connection(host, port)
    asked = (("INFO",), ("INFO", "server"), ("CLIENT", "LIST"), ("CLIENT", "INFO"))
    for words in asked:
        assert type(one.ask(*words)) is str, words
    one.ask("HELLO", "3")
    for words in asked:
        text = one.ask(*words)
        assert type(text) is Verbatim and text.startswith("txt:"), (words, text[:20])


def info(host, port):
    """18, 19, 20, 21, 22: INFO's fields for clients, and none that names another server"""
    one = Connection(host, port)
    one.asks(("SET", "a", "1"), ("SET", "b", "1", "EX", "100"), ("SELECT", "5"), ("SET", "c", "1"))
    text = one.ask("INFO")
    assert text.startswith("# Server\r\n") and text.endswith("\r\n")
    fields = dict(line.split(":", 1) for line in text.split("\r\n") if line and line[0] != "#")
    assert "dragonfly_version" not in fields and "valkey_version" not in fields
    for name in """
        redis_version redis_mode tcp_port run_id uptime_in_seconds used_memory maxmemory
        maxmemory_policy connected_clients blocked_clients loading rdb_bgsave_in_progress
        aof_rewrite_in_progress total_commands_processed total_connections_received keyspace_hits
        expired_keys instantaneous_ops_per_sec role master_repl_offset connected_slaves
        cluster_enabled used_cpu_sys pubsub_channels tracking_clients evicted_keys
    """.split():
        assert name in fields, f"INFO has no {name}"
    assert fields["loading"] == "0" and fields["role"] == "master"
    assert fields["cluster_enabled"] == "0" and fields["redis_mode"] == "standalone"
    assert re.fullmatch("[0-9a-f]{40}", fields["run_id"]), fields["run_id"]
    assert int(fields["tcp_port"]) == port
    assert fields["maxmemory_policy"] == "noeviction"
    assert re.match(r"keys=2,expires=1,avg_ttl=\d+", fields["db0"]), fields["db0"]
    assert re.match(r"keys=1,expires=0,avg_ttl=0", fields["db5"]), fields["db5"]
    assert "db1" not in fields
    assert int(fields["connected_clients"]) >= 1
    section = one.ask("INFO", "keyspace")
    assert section.startswith("# Keyspace\r\ndb0:keys=2"), section
    assert "# Commandstats" in one.ask("INFO", "all") and "# Commandstats" not in text
    assert one.ask("INFO", "nosuch") == ""


def configuration(host, port):
    """23, 24: CONFIG GET by names and globs, CONFIG SET of what there is not"""
    one = Connection(host, port)
    assert one.ask("CONFIG", "GET", "nosuch") == []
    assert one.ask("CONFIG", "GET", "save") == ["save", ""]
    assert one.ask("CONFIG", "GET", "appendonly") == ["appendonly", "no"]
    one.ask("HELLO", "3")
    assert one.ask("CONFIG", "GET", "save", "appendonly") == {"save": "", "appendonly": "no"}
    found = one.ask("CONFIG", "GET", "maxmemory*", "TIMEOUT")
    assert found["TIMEOUT"] == "0" and found["maxmemory"] == "0", found
    assert found["maxmemory-policy"] == "noeviction", found
    assert one.ask("CONFIG", "GET", "nosuch*") == {}
    assert len(one.ask("CONFIG", "GET", "*")) > 50
    assert one.fails("CONFIG", "SET", "nosuch", "1") == (
        "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"
    )
    assert one.fails("CONFIG", "SET", "timeout") == (
        "ERR wrong number of arguments for 'config|set' command"
    )
    assert one.ask("CONFIG", "SET", "timeout", "100", "maxmemory", "1gb") == "OK"
    assert one.ask("CONFIG", "GET", "maxmemory") == {"maxmemory": "1073741824"}
    assert one.ask("CONFIG", "SET", "timeout", "0", "maxmemory", "0") == "OK"


def tables(host, port):
    """25, 26: COMMAND and its subcommands, as redis-cli's hints and cluster clients ask them"""
    one = Connection(host, port)
    one.ask("HELLO", "3")
    rows = one.ask("COMMAND")
    assert len(rows) == one.ask("COMMAND", "COUNT") > 200
    assert {"get", "client|list"} <= set(one.ask("COMMAND", "LIST"))
    assert {len(row) for row in rows} == {10}
    docs = one.ask("COMMAND", "DOCS")
    assert len(docs) == len(rows) and docs["get"]["group"] == "string"
    assert docs["set"]["since"] == "1.0.0" and docs["set"]["summary"], docs["set"]
    kinds = [(argument["name"], argument["type"]) for argument in docs["get"]["arguments"]]
    assert kinds == [("key", "key")], docs["get"]
    options = {argument["name"] for argument in docs["set"]["arguments"]}
    assert {"key", "value", "condition", "expiration"} <= options, options
    assert "client|list" in docs["client"]["subcommands"], docs["client"]
    (row,) = one.ask("COMMAND", "INFO", "get")
    assert row[:2] == ["get", 2] and "readonly" in row[2] and row[3:6] == [1, 1, 1], row
    assert one.ask("COMMAND", "INFO", "nosuch") == [None]
    assert one.ask("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2") == ["a", "b"]
    flags = one.ask("COMMAND", "GETKEYSANDFLAGS", "LMOVE", "a", "b", "LEFT", "LEFT")
    assert flags == [["a", {"RW", "access", "delete"}], ["b", {"RW", "insert"}]], flags
    assert one.ask("COMMAND", "DOCS", "nosuch") == {}


def walk(host, port):
    """27, 28: what redis-cli asks for --bigkeys, --memkeys, --pipe and --latency"""
    one = Connection(host, port)
    makers = [
        ("SET", "string", "abc"), ("RPUSH", "list", "a", "b"), ("SADD", "set", "a"),
        ("HSET", "hash", "f", "v"), ("ZADD", "zset", "1", "a"), ("XADD", "stream", "*", "f", "v"),
    ]
    for reply in one.asks(*makers):
        assert not isinstance(reply, Failed), reply
    assert one.ask("DBSIZE") == 6 and "cluster support" in one.fails("READONLY")
    keys, cursor = [], "0"
    while True:
        cursor, found = one.ask("SCAN", cursor, "COUNT", "10")
        keys += found
        if cursor == "0":
            break
    assert sorted(keys) == ["hash", "list", "set", "stream", "string", "zset"], keys
    kinds = one.asks(*(("TYPE", key) for key in keys))
    assert kinds == keys
    sizes = {"string": "STRLEN", "list": "LLEN", "set": "SCARD", "hash": "HLEN"}
    sizes.update({"zset": "ZCARD", "stream": "XLEN"})
    found = dict(zip(keys, one.asks(*((sizes[kind], key) for kind, key in zip(kinds, keys)))))
    assert found == {"string": 3, "list": 2, "set": 1, "hash": 1, "zset": 1, "stream": 1}, found
    usages = one.asks(*(("MEMORY", "USAGE", key, "SAMPLES", "5") for key in keys))
    assert all(usage > 0 for usage in usages), usages
    assert one.ask("MEMORY", "USAGE", "nosuch") is None
    random = bytes(range(20))
    assert one.ask("ECHO", random) == random.decode()


run(
    [
        names_in_any_case, hello, one_packet, refused, open_default_user, with_password, library,
        maintenance, names, databases, ping, no_cluster, ends, verbatim, info, configuration,
        tables, walk,
    ]
)
