"""What rueidis says to a server, packet by packet: its handshake, and its caching in all modes."""

import time

from resp import Connection, Failed, Push, eventually, run


def dial(host, port, *tracking):
    """The first packet of a rueidis connection; those after it read what they asked for."""
    one = Connection(host, port)
    replies = one.asks(
        ("HELLO", "3"),
        ("CLIENT", "TRACKING", "ON", *(tracking or ("OPTIN",))),
        ("CLIENT", "SETINFO", "LIB-NAME", "rueidis"),
        ("CLIENT", "SETINFO", "LIB-VER", "1.0.76"),
        ("CLUSTER", "SHARDS"),
    )
    assert replies[0]["proto"] == 3 and replies[0]["server"] == "redis", replies
    assert replies[1:4] == ["OK"] * 3, replies
    assert isinstance(replies[4], Failed) and "cluster" in str(replies[4]), replies
    return one


def cached(one, *keys):
    """Reads keys as rueidis' DoCache and DoMultiCache do, in one packet; the values."""
    requests = []
    for key in keys:
        requests += [("CLIENT", "CACHING", "YES"), ("MULTI",)]
        requests += [("PTTL", key), ("GET", key), ("EXEC",)]
    replies = one.asks(*requests)
    found = []
    for index in range(0, len(replies), 5):
        assert replies[index : index + 4] == ["OK", "OK", "QUEUED", "QUEUED"], replies
        found.append(replies[index + 4])
    return found


def invalid(one, *keys):
    """Reads pushes until all these keys were named, each once."""
    left = set(keys)
    while left:
        push = one.read()
        assert isinstance(push, Push) and push[0] == "invalidate" and len(push) == 2, push
        for key in push[1]:
            assert key in left, (key, left)
            left.remove(key)


def handshake(host, port):
    """2, 5, 13, 14: rueidis' first packet, without a cluster"""
    one = dial(host, port)
    info = one.ask("CLIENT", "TRACKINGINFO")
    assert info["flags"] == {"on", "optin"}, info
    assert info["redirect"] == 0 and info["prefixes"] == [], info
    assert one.ask("CLIENT", "GETREDIR") == 0
    assert " flags=t " in one.ask("CLIENT", "INFO")


def fallback(host, port):
    """6: a first packet that a server without HELLO refuses, and what rueidis then says"""
    one = Connection(host, port)
    said = one.fails("HELLOX", "3")
    assert said.startswith("ERR unknown command 'HELLOX'"), said
    replies = one.asks(("CLIENT", "SETINFO", "LIB-NAME", "rueidis"), ("PING",))
    assert replies == ["OK", "PONG"]


def opted_in(host, port):
    """14, 15: CACHING YES, MULTI, PTTL, GET, EXEC in one packet; a write of others is pushed"""
    one, other = dial(host, port), Connection(host, port)
    other.ask("SET", "a", "1")
    other.ask("SET", "b", "2", "PX", "100000")
    first, second, third = cached(one, "a", "b", "none")
    assert first == [-1, "1"] and third == [-2, None], (first, third)
    assert 0 < second[0] <= 100000 and second[1] == "2", second
    other.ask("SET", "a", "3")
    invalid(one, "a")
    other.ask("SET", "a", "4")
    assert one.is_silent(), "a key is told of once until it is read again"
    other.asks(("DEL", "b"), ("SET", "none", "5"))
    invalid(one, "b", "none")
    assert cached(one, "a", "b", "none") == [[-1, "4"], [-2, None], [-1, "5"]]
    assert one.ask("GET", "b") is None, "read without CACHING"
    other.ask("SET", "unread", "1")
    assert one.ask("GET", "unread") == "1"
    other.ask("SET", "unread", "2")
    assert one.is_silent(), "not read with CACHING YES"


def over_all_shards(host, port):
    """15: 200 keys of all shards: each is told of once, whether it was there or not"""
    one, other = dial(host, port), Connection(host, port)
    keys = [f"key:{index}" for index in range(200)]
    assert other.ask("MSET", *(word for key in keys for word in (key, "1"))) == "OK"
    assert cached(one, *keys) == [[-1, "1"]] * 200
    assert other.ask("DEL", *keys) == 200
    invalid(one, *keys)
    assert one.is_silent()
    assert cached(one, *keys) == [[-2, None]] * 200
    assert other.ask("MSET", *(word for key in keys for word in (key, "2"))) == "OK"
    invalid(one, *keys)
    assert one.is_silent()


def flushed(host, port):
    """15: FLUSHALL and FLUSHDB are pushed with null in the array's place"""
    one, other = dial(host, port), Connection(host, port)
    for key, flush in (("a", "FLUSHALL"), ("b", "FLUSHDB")):
        other.ask("SET", key, "1")
        assert cached(one, key) == [[-1, "1"]]
        assert other.ask(flush) == "OK"
        push = one.read()
        assert isinstance(push, Push) and push == ["invalidate", None], push
        assert one.is_silent()
        assert cached(one, key) == [[-2, None]]


def expired(host, port):
    """15: a key that expires is pushed, whether anybody asks for it or not"""
    one, other = dial(host, port), Connection(host, port)
    other.ask("SET", "soon", "1", "PX", "80")
    ((left, value),) = cached(one, "soon")
    assert 0 < left <= 80 and value == "1"
    start = time.monotonic()
    invalid(one, "soon")
    assert time.monotonic() - start < 2
    other.ask("SET", "soon", "1", "PX", "50")
    cached(one, "soon")
    time.sleep(0.06)
    assert other.ask("GET", "soon") is None
    invalid(one, "soon")


def broadcast(host, port):
    """14, 15: BCAST with prefixes tells of writes to what nobody read"""
    one = dial(host, port, "BCAST", "PREFIX", "user:", "PREFIX", "item:")
    other = Connection(host, port)
    info = one.ask("CLIENT", "TRACKINGINFO")
    assert info["flags"] == {"on", "bcast"} and set(info["prefixes"]) == {"user:", "item:"}, info
    other.asks(("SET", "user:1", "a"), ("SET", "other:1", "a"), ("SET", "item:1", "a"))
    invalid(one, "user:1", "item:1")
    assert one.is_silent()
    said = one.fails("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:1")
    assert "overlaps with an existing prefix" in said, said


def opted_out(host, port):
    """14: OPTOUT NOLOOP: all that is read counts but after CACHING NO; own writes are not told"""
    one = dial(host, port, "OPTOUT", "NOLOOP")
    other = Connection(host, port)
    assert one.ask("CLIENT", "TRACKINGINFO")["flags"] == {"on", "optout", "noloop"}
    other.asks(("SET", "a", "1"), ("SET", "b", "1"))
    assert one.asks(("GET", "a"), ("CLIENT", "CACHING", "NO"), ("GET", "b")) == ["1", "OK", "1"]
    other.asks(("SET", "b", "2"), ("SET", "a", "2"))
    invalid(one, "a")
    assert one.ask("GET", "a") == "2"
    assert one.ask("SET", "a", "3") == "OK" and one.is_silent()


def plain(host, port):
    """14, 15: TRACKING ON: own writes are told too; TRACKING OFF ends it"""
    one = Connection(host, port)
    assert one.asks(("HELLO", "3"), ("CLIENT", "TRACKING", "ON"))[1] == "OK"
    assert one.ask("GET", "a") is None
    one.send(("SET", "a", "1"))
    replies = [one.read(), one.read()]
    assert ["invalidate", ["a"]] in replies and "OK" in replies, replies
    assert one.ask("GET", "a") == "1"
    assert one.ask("CLIENT", "TRACKING", "OFF") == "OK"
    assert one.ask("CLIENT", "GETREDIR") == -1
    assert " flags=N " in one.ask("CLIENT", "INFO")
    assert Connection(host, port).ask("SET", "a", "2") == "OK" and one.is_silent()
    assert one.fails("CLIENT", "CACHING", "YES").startswith(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode"
    )


def redirected(host, port):
    """15: REDIRECT to a RESP2 subscriber of __redis__:invalidate"""
    listener, one, other = (Connection(host, port) for _ in range(3))
    number = listener.ask("CLIENT", "ID")
    assert listener.ask("SUBSCRIBE", "__redis__:invalidate") == [
        "subscribe", "__redis__:invalidate", 1
    ]
    assert one.ask("CLIENT", "TRACKING", "ON", "REDIRECT", number) == "OK"
    assert one.ask("CLIENT", "GETREDIR") == number
    assert f" redir={number} " in one.ask("CLIENT", "INFO")
    other.ask("SET", "a", "1")
    assert one.ask("GET", "a") == "1"
    other.ask("SET", "a", "2")
    assert listener.read() == ["message", "__redis__:invalidate", ["a"]]
    one.ask("GET", "a")
    other.ask("FLUSHALL")
    said = listener.read()
    assert said[:2] == ["message", "__redis__:invalidate"] and not isinstance(said[2], list), said
    listener.close()
    eventually(lambda: "redirection" not in str(one.ask("CLIENT", "LIST", "ID", number)))
    one.ask("GET", "a")
    other.ask("SET", "a", "3")
    eventually(lambda: "broken_redirect" in str(one.ask("CLIENT", "TRACKINGINFO")))
    assert one.fails("CLIENT", "TRACKING", "ON", "REDIRECT", "999999999") == (
        "ERR The client ID you want redirect to does not exist"
    )


def hot(host, port):
    """15: a cache under writes of others never keeps an old value"""
    one, others = dial(host, port), [Connection(host, port) for _ in range(3)]
    cache = {}
    for turn in range(300):
        for index, other in enumerate(others):
            other.send(("INCR", f"hot:{(turn + index) % 5}"))
        key = f"hot:{turn % 5}"
        one.send(
            ("CLIENT", "CACHING", "YES"), ("MULTI",), ("PTTL", key), ("GET", key), ("EXEC",)
        )
        replies = []
        while len(replies) < 5:
            said = one.read()
            if isinstance(said, Push):
                for gone in said[1]:
                    cache.pop(gone, None)
            else:
                replies.append(said)
        cache[key] = replies[4][1]
        for other in others:
            other.read()
    one.ask("PING")
    while not one.is_silent():
        for gone in one.read()[1]:
            cache.pop(gone, None)
    for key, value in cache.items():
        assert others[0].ask("GET", key) == value, (key, value)


run(
    [
        handshake, fallback, opted_in, over_all_shards, flushed, expired, broadcast, opted_out,
        plain, redirected, hot,
    ]
)
