"""What operators do to sessions: CLIENT's subcommands, MONITOR, SLOWLOG, limits, subscriptions."""

import re
import time

from resp import Closed, Connection, Failed, Push, eventually, run

MESSAGES = 2000


def fields(text):
    """The fields of one line of CLIENT LIST."""
    return dict(word.split("=", 1) for word in text.strip().split(" "))


def lists(host, port):
    """30: CLIENT LIST by TYPE and ID, and what a line says"""
    one, subscriber = Connection(host, port, "one"), Connection(host, port, "sub")
    subscriber.ask("SUBSCRIBE", "a", "b")
    subscriber.read()
    mine = fields(one.ask("CLIENT", "INFO"))
    assert int(mine["id"]) == one.ask("CLIENT", "ID")
    local, peer = one.socket.getsockname(), one.socket.getpeername()
    assert mine["addr"] == f"{local[0]}:{local[1]}" and mine["laddr"] == f"{peer[0]}:{peer[1]}"
    assert (mine["name"], mine["db"], mine["cmd"], mine["user"]) == (
        "one", "0", "client|info", "default"
    )
    (line,) = one.ask("CLIENT", "LIST", "TYPE", "PUBSUB").strip().split("\n")
    theirs = fields(line)
    assert theirs["name"] == "sub" and theirs["flags"] == "P" and theirs["sub"] == "2", theirs
    one.send(("MULTI",), ("GET", "k"))
    other = Connection(host, port)
    eventually(lambda: " multi=1 " in other.ask("CLIENT", "LIST", "ID", mine["id"]))
    assert fields(other.ask("CLIENT", "LIST", "ID", mine["id"]))["flags"] == "x"
    assert other.ask("CLIENT", "LIST", "TYPE", "master") == ""
    assert other.fails("CLIENT", "LIST", "TYPE", "x") == "ERR Unknown client type 'x'"
    assert other.fails("CLIENT", "LIST", "ID", "x") == "ERR Invalid client ID"


def kills(host, port):
    """30: CLIENT KILL by ID, ADDR, LADDR, TYPE, USER, SKIPME and MAXAGE"""
    door = Connection(host, port, "door")

    def fresh():
        one = Connection(host, port)
        return one, one.ask("CLIENT", "ID"), "%s:%d" % one.socket.getsockname()

    one, number, _ = fresh()
    assert door.ask("CLIENT", "KILL", "ID", number) == 1 and one.is_closed()
    assert door.ask("CLIENT", "KILL", "ID", number) == 0
    one, _, address = fresh()
    assert door.ask("CLIENT", "KILL", "ADDR", address) == 1 and one.is_closed()
    one, _, address = fresh()
    assert door.ask("CLIENT", "KILL", address) == "OK" and one.is_closed()
    assert door.fails("CLIENT", "KILL", address) == "ERR No such client"
    many = [fresh()[0] for _ in range(20)]
    assert door.ask("CLIENT", "KILL", "TYPE", "pubsub") == 0
    assert door.ask("CLIENT", "KILL", "USER", "default", "TYPE", "normal") == 20
    assert all(one.is_closed() for one in many)
    one, number, _ = fresh()
    assert door.ask("CLIENT", "KILL", "ID", number, "MAXAGE", "1000") == 0
    assert door.ask("CLIENT", "KILL", "LADDR", "127.0.0.1:1") == 0
    assert door.fails("CLIENT", "KILL", "USER", "nobody") == "ERR No such user 'nobody'"
    assert door.fails("CLIENT", "KILL", "ID", "x") == "ERR client-id should be greater than 0"
    assert one.ask("PING") == "PONG"
    door.send(("CLIENT", "KILL", "ID", door.ask("CLIENT", "ID"), "SKIPME", "no"), ("PING",))
    assert door.read() == 1 and door.is_closed(), "its own reply still comes"


def pauses(host, port):
    """30: CLIENT PAUSE holds writes, or all; UNPAUSE lets them go on in order"""
    one, door = Connection(host, port), Connection(host, port)
    assert door.ask("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
    assert one.ask("GET", "k") is None
    one.send(("SET", "k", "1"), ("APPEND", "k", "2"), ("GET", "k"))
    assert one.is_silent(0.05)
    assert door.ask("GET", "k") is None
    assert door.ask("CLIENT", "UNPAUSE") == "OK"
    assert [one.read() for _ in range(3)] == ["OK", 2, "12"]
    start = time.monotonic()
    assert door.ask("CLIENT", "PAUSE", "100") == "OK"
    assert one.ask("GET", "k") == "12" and time.monotonic() - start >= 0.09
    assert one.fails("CLIENT", "PAUSE", "-1") == "ERR timeout is negative"


def replies_off(host, port):
    """30: CLIENT REPLY OFF, SKIP and ON"""
    one = Connection(host, port)
    one.send(
        ("CLIENT", "REPLY", "OFF"), ("SET", "k", "1"), ("GET", "k"), ("CLIENT", "REPLY", "ON"),
        ("GET", "k"), ("CLIENT", "REPLY", "SKIP"), ("INCR", "k"), ("GET", "k"),
    )
    assert [one.read() for _ in range(3)] == ["OK", "1", "2"]
    assert one.is_silent(0.05)


def switches(host, port):
    """30: NO-EVICT, NO-TOUCH, GETREDIR, TRACKINGINFO, HELP"""
    one = Connection(host, port)
    assert one.ask("CLIENT", "NO-EVICT", "ON") == "OK"
    assert one.ask("CLIENT", "NO-TOUCH", "ON") == "OK"
    assert fields(one.ask("CLIENT", "INFO"))["flags"] == "eT"
    one.asks(("CLIENT", "NO-EVICT", "OFF"), ("CLIENT", "NO-TOUCH", "OFF"))
    assert fields(one.ask("CLIENT", "INFO"))["flags"] == "N"
    assert one.fails("CLIENT", "NO-TOUCH", "X") == "ERR syntax error"
    assert one.ask("CLIENT", "TRACKINGINFO") == ["flags", ["off"], "redirect", -1, "prefixes", []]


def monitors(host, port):
    """31: MONITOR lines, word for word as the client wrote them"""
    monitor, one = Connection(host, port), Connection(host, port)
    assert monitor.ask("MONITOR") == "OK"
    one.asks(("SELECT", "9"), ("sEt", 'a"b', b"\x00\r\n\\\xff"), ("gEt", 'a"b'))
    one.asks(("MULTI",), ("incr", "n"), ("EXEC",))
    one.fails("AUTH", "some", "secret")
    one.ask("PING")
    address = "%s:%d" % one.socket.getsockname()
    lines = []
    while not lines or '"PING"' not in lines[-1]:
        lines.append(monitor.read())
    assert all(re.match(r"\d{10}\.\d{6} \[\d+ [^ ]+\] \"", line) for line in lines), lines
    said = [line.split(" ", 1)[1] for line in lines]
    assert said == [
        f'[9 {address}] "SELECT" "9"',
        f'[9 {address}] "sEt" "a\\"b" "\\x00\\r\\n\\\\\\xff"',
        f'[9 {address}] "gEt" "a\\"b"',
        f'[9 {address}] "MULTI"',
        f'[9 {address}] "incr" "n"',
        f'[9 {address}] "EXEC"',
        f'[9 {address}] "AUTH" "(redacted)" "(redacted)"',
        f'[9 {address}] "PING"',
    ], said
    one.ask("CONFIG", "GET", "port")
    one.ask("GET", "end")
    assert '"GET" "end"' in monitor.read(), "what operators say is not shown"
    assert monitor.ask("RESET") == "RESET" and monitor.ask("PING") == "PONG"


def slow_ones(host, port):
    """32: SLOWLOG in all its forms"""
    one = Connection(host, port, "slow")
    assert one.ask("SLOWLOG", "RESET") == "OK"
    one.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    one.asks(("SET", "k", "v"), ("RPUSH", "l", *range(40)), ("SET", "long", "x" * 200))
    one.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    entries = one.ask("SLOWLOG", "GET", "-1")
    words = {entry[3][1]: entry for entry in entries if entry[3][0] in ("SET", "RPUSH")}
    entry = words["k"]
    assert entry[3] == ["SET", "k", "v"] and entry[5] == "slow", entry
    assert entry[4] == "%s:%d" % one.socket.getsockname() and abs(entry[1] - time.time()) < 60
    assert words["l"][3][-1] == "... (11 more arguments)" and len(words["l"][3]) == 32, words["l"]
    assert words["long"][3][2] == "x" * 128 + "... (72 more bytes)", words["long"]
    assert one.ask("SLOWLOG", "LEN") == len(entries)
    assert len(one.ask("SLOWLOG", "GET", "2")) == 2
    assert one.ask("SLOWLOG", "RESET") == "OK" and one.ask("SLOWLOG", "LEN") == 0


def latencies(host, port):
    """32: LATENCY's events and histograms, MEMORY, LASTSAVE"""
    one = Connection(host, port)
    one.asks(("SET", "k", "v"), ("GET", "k"), ("LATENCY", "RESET"))
    assert one.ask("LATENCY", "LATEST") == [] and one.ask("LATENCY", "HISTORY", "command") == []
    found = one.ask("LATENCY", "HISTOGRAM", "set", "get")
    assert found[0::2] == ["get", "set"] or found[0::2] == ["set", "get"], found
    assert found[1][0] == "calls" and found[1][2] == "histogram_usec", found
    assert one.fails("LATENCY", "GRAPH", "none") == (
        "ERR No samples available for event 'none'"
    )
    assert one.ask("LATENCY", "DOCTOR") and one.ask("MEMORY", "DOCTOR")
    assert abs(one.ask("LASTSAVE") - time.time()) < 100_000


def full(host, port):
    """36: one client too many is told so, and room is made when one goes"""
    door = Connection(host, port)
    most = door.ask("CONFIG", "GET", "maxclients")[1]
    count = len(door.ask("CLIENT", "LIST").strip().split("\n"))
    assert door.ask("CONFIG", "SET", "maxclients", count + 5) == "OK"
    try:
        ones = [Connection(host, port) for _ in range(5)]
        assert all(one.ask("PING") == "PONG" for one in ones)
        late = Connection(host, port)
        assert str(late.read()) == "ERR max number of clients reached" and late.is_closed()
        ones.pop().close()
        eventually(lambda: is_served(host, port))
    finally:
        assert door.ask("CONFIG", "SET", "maxclients", most) == "OK"


def is_served(host, port):
    try:
        return Connection(host, port).ask("PING") == "PONG"
    except (OSError, Closed):
        return False


def subscriptions(host, port):
    """39: counts over channels and patterns; arrays and nothing else in RESP2, pushes in RESP3"""
    for protocol in (2, 3):
        one, other = Connection(host, port), Connection(host, port)
        one.ask("HELLO", protocol)
        kind = Push if protocol == 3 else list
        one.send(
            ("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "s"), ("UNSUBSCRIBE", "a")
        )
        replies = [one.read() for _ in range(5)]
        assert replies == [
            ["subscribe", "a", 1], ["subscribe", "b", 2], ["psubscribe", "*", 3],
            ["ssubscribe", "s", 1], ["unsubscribe", "a", 2],
        ], replies
        assert all(type(reply) is kind for reply in replies), replies
        assert other.ask("PUBLISH", "b", "x") == 2 and other.ask("SPUBLISH", "s", "y") == 1
        got = [one.read() for _ in range(3)]
        assert ["message", "b", "x"] in got and ["pmessage", "*", "b", "x"] in got, got
        assert ["smessage", "s", "y"] in got and all(type(reply) is kind for reply in got), got
        if protocol == 3:
            assert one.asks(("SET", "k", "v"), ("GET", "k")) == ["OK", "v"]
        else:
            assert one.fails("GET", "k") == (
                "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                "RESET are allowed in this context"
            )
        assert one.ask("UNSUBSCRIBE") == ["unsubscribe", "b", 1]
        assert one.ask("UNSUBSCRIBE") == ["unsubscribe", None, 1]
        assert one.ask("PUNSUBSCRIBE") == ["punsubscribe", "*", 0]
        assert one.ask("SUNSUBSCRIBE") == ["sunsubscribe", "s", 0]
        assert one.ask("GET", "none") is None


def messages_in_order(host, port):
    """39: 2000 pipelined messages reach 20 subscribers on all shards in one order"""
    ones = [Connection(host, port) for _ in range(20)]
    for index, one in enumerate(ones):
        one.ask("HELLO", 2 + index % 2)
        one.ask("SUBSCRIBE", "news")
    senders = [Connection(host, port) for _ in range(2)]
    for number, sender in enumerate(senders):
        sender.send(*(("PUBLISH", "news", f"{number}:{index}") for index in range(MESSAGES // 2)))
    for sender in senders:
        assert [sender.read() for _ in range(MESSAGES // 2)] == [len(ones)] * (MESSAGES // 2)
    orders = [[one.read()[2] for _ in range(MESSAGES)] for one in ones]
    for number in "01":
        own = [int(text.split(":")[1]) for text in orders[0] if text[0] == number]
        assert own == list(range(MESSAGES // 2)), own
    assert all(order == orders[0] for order in orders), "one order for all"


def killed_subscribers(host, port):
    """40: CLIENT KILL TYPE pubsub closes subscribers and no others"""
    subscribers = [Connection(host, port) for _ in range(8)]
    for one in subscribers:
        one.ask("SUBSCRIBE", "a")
    one = Connection(host, port)
    assert one.ask("PUBLISH", "a", "x") == 8
    for subscriber in subscribers:
        assert subscriber.read() == ["message", "a", "x"]
    assert one.ask("CLIENT", "KILL", "TYPE", "pubsub") == 8
    assert all(subscriber.is_closed() for subscriber in subscribers)
    eventually(lambda: one.ask("PUBLISH", "a", "y") == 0)
    assert one.ask("PUBSUB", "CHANNELS") == []


def published_in_turn(host, port):
    """39: messages to oneself, and those of an EXEC, come where Redis sends them"""
    one = Connection(host, port)
    one.ask("HELLO", "3")
    one.ask("SUBSCRIBE", "a")
    one.send(("PUBLISH", "a", "1"), ("PING",))
    got = [one.read() for _ in range(3)]
    assert sorted(map(str, got)) == sorted(["['message', 'a', '1']", "1", "PONG"]), got
    one.send(("MULTI",), ("PUBLISH", "a", "2"), ("SET", "k", "v"), ("PUBLISH", "a", "3"), ("EXEC",))
    got = [one.read() for _ in range(7)]
    pushes = [reply for reply in got if isinstance(reply, Push)]
    assert pushes == [["message", "a", "2"], ["message", "a", "3"]], got
    assert [1, "OK", 1] in got and not any(isinstance(reply, Failed) for reply in got), got


run(
    [
        lists, kills, pauses, replies_off, switches, monitors, slow_ones, latencies, full,
        subscriptions, messages_in_order, killed_subscribers, published_in_turn,
    ]
)
