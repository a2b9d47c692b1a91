"""What is hard on the wire: floods, great values, cut packets, nulls, errors in their places."""

import math
import threading
import time

from resp import NULL_ARRAY, Connection, Failed, eventually, pack, run

COMMANDS = 10_000


def nulls(host, port):
    """33: nulls, doubles, sets, maps and pushes in both protocols"""
    two, three = Connection(host, port), Connection(host, port)
    three.ask("HELLO", "3")
    two.asks(("ZADD", "z", "1.5", "a", "inf", "b", "-inf", "c"), ("SADD", "s", "m"))
    assert two.ask("GET", "none") is None and three.ask("GET", "none") is None
    assert two.ask("BLPOP", "none", "0.01") is NULL_ARRAY
    assert three.ask("BLPOP", "none", "0.01") is None
    for one, null in ((two, NULL_ARRAY), (three, None)):
        assert one.asks(("WATCH", "w"), ("SET", "w", "1"), ("MULTI",), ("EXEC",))[3] is null
    scores = [two.ask("ZSCORE", "z", member) for member in "abc"]
    assert scores == ["1.5", "inf", "-inf"], scores
    scores = [three.ask("ZSCORE", "z", member) for member in "abc"]
    assert scores == [1.5, math.inf, -math.inf] and type(scores[0]) is float, scores
    assert two.ask("ZADD", "z", "INCR", "1", "a") == "2.5"
    assert three.ask("ZADD", "z", "INCR", "1", "a") == 3.5
    assert two.ask("ZADD", "z", "NX", "INCR", "1", "a") is None
    assert three.ask("ZADD", "z", "NX", "INCR", "1", "a") is None
    assert two.ask("ZSCORE", "z", "none") is None and three.ask("ZSCORE", "z", "none") is None
    assert two.ask("ZRANGE", "z", "0", "-1", "WITHSCORES") == ["c", "-inf", "a", "3.5", "b", "inf"]
    assert three.ask("ZRANGE", "z", "0", "-1", "WITHSCORES") == [
        ["c", -math.inf], ["a", 3.5], ["b", math.inf]
    ]
    assert two.ask("SMEMBERS", "s") == ["m"] and three.ask("SMEMBERS", "s") == {"m"}


def inline(host, port):
    """34: inline commands with quotes, and what is ignored"""
    one = Connection(host, port)
    one.write(b"PING\r\n")
    assert one.read() == "PONG"
    one.write(b'set "a key" \'a value\'\nGET "a\\x20key"\r\n\r\n  \r\n*0\r\n*-1\r\nECHO ""\r\n')
    assert [one.read() for _ in range(3)] == ["OK", "a value", ""]
    one.write(b"*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n")
    assert [one.read() for _ in range(3)] == ["PONG", "PONG", "\r\n"]


def pieces(host, port):
    """34: requests cut after every byte, and many requests cut anywhere"""
    one = Connection(host, port)
    data = pack("SET", "k", "v\r\n") + b"GET k\r\n" + pack("STRLEN", "k")
    for index in range(len(data)):
        one.write(data[index : index + 1])
    assert [one.read() for _ in range(3)] == ["OK", "v\r\n", 3]
    data = b"".join(pack("ECHO", f"word-{index}") for index in range(1000))
    for start in range(0, len(data), 997):
        one.write(data[start : start + 997])
    assert [one.read() for _ in range(1000)] == [f"word-{index}" for index in range(1000)]


def violations(host, port):
    """34: what is no request is answered with its protocol error, and the connection closes"""
    for data, text in (
        (b"*1\r\n:4\r\n", "expected '$', got ':'"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b'GET "a\r\n', "unbalanced quotes in request"),
        (b"x" * 70_000, "too big inline request"),
    ):
        one = Connection(host, port)
        one.write(pack("PING") + data)
        assert one.read() == "PONG"
        said = one.read()
        assert isinstance(said, Failed) and str(said) == f"ERR Protocol error: {text}", said
        assert one.is_closed(), data


def flood(host, port):
    """35: 10,000 commands without reading a reply, then all replies in order"""
    one = Connection(host, port)
    data = b"".join(pack("SET", f"key:{index}", index) for index in range(COMMANDS))
    one.write(data)
    assert [one.read() for _ in range(COMMANDS)] == ["OK"] * COMMANDS
    one.write(b"".join(pack("GET", f"key:{index}") for index in range(COMMANDS)))
    assert [one.read() for _ in range(COMMANDS)] == [str(index) for index in range(COMMANDS)]
    one.write(pack("INCR", "counter") * COMMANDS)
    assert [one.read() for _ in range(COMMANDS)] == list(range(1, COMMANDS + 1))


def unread(host, port):
    """35: 10,000 commands with 40 MB of replies; a writer that reads only at the end"""
    one, other = Connection(host, port), Connection(host, port)
    value = "v" * 4000
    one.ask("SET", "k", value)
    data = pack("GET", "k") * COMMANDS
    writer = threading.Thread(target=one.write, args=(data,))
    writer.start()
    time.sleep(0.3)
    assert other.ask("PING") == "PONG", "others are answered meanwhile"
    for _ in range(COMMANDS):
        assert one.read() == value
    writer.join()


def great_values(host, port):
    """35: values of 5 MB to and fro, and the limit of 512 MB"""
    one = Connection(host, port)
    one.ask("HELLO", "3")
    assert one.ask("CONFIG", "GET", "proto-max-bulk-len") == {"proto-max-bulk-len": "536870912"}
    values = [chr(65 + index) * 5_000_000 for index in range(4)]
    for index, value in enumerate(values):
        one.send(("SET", f"great:{index}", value), ("STRLEN", f"great:{index}"))
        assert [one.read(), one.read()] == ["OK", 5_000_000]
    assert one.ask("MGET", *(f"great:{index}" for index in range(4))) == values
    assert one.ask("GETRANGE", "great:2", "4999990", "-1") == "C" * 10
    assert one.ask("APPEND", "great:2", "end") == 5_000_003
    assert one.ask("ECHO", values[0]) == values[0]
    assert one.fails("SETRANGE", "k", str(512 << 20), "x") == (
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    )


def errors(host, port):
    """36, 37: the words that errors begin with, and their texts"""
    one = Connection(host, port)
    one.asks(("SET", "k", "v"), ("XADD", "x", "1-1", "f", "v"), ("XGROUP", "CREATE", "x", "g", "$"))
    for words, text in (
        (("NOSUCH", "a", "b"), "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        (("GET",), "ERR wrong number of arguments for 'get' command"),
        (("get", "a", "b"), "ERR wrong number of arguments for 'get' command"),
        (("CLIENT", "NOSUCH"), "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
        (("CLIENT", "GETNAME", "x"), "ERR wrong number of arguments for 'client|getname' command"),
        (("LPUSH", "k", "v"), "WRONGTYPE Operation against a key holding the wrong kind of value"),
        (("INCR", "k"), "ERR value is not an integer or out of range"),
        (("XGROUP", "CREATE", "x", "g", "$"), "BUSYGROUP Consumer Group name already exists"),
        (("XREADGROUP", "GROUP", "n", "c", "STREAMS", "x", ">"),
         "NOGROUP No such key 'x' or consumer group 'n' in XREADGROUP with GROUP option"),
        (("SET", "k", "v", "EX", "0"), "ERR invalid expire time in 'set' command"),
        (("SET", "k", "v", "NOSUCH"), "ERR syntax error"),
        (("EXEC",), "ERR EXEC without MULTI"),
        (("DISCARD",), "ERR DISCARD without MULTI"),
    ):
        assert one.fails(*words) == text, words
    assert one.ask("CLIENT", "HELP")[0].startswith("CLIENT <subcommand>")


def in_their_places(host, port):
    """38: errors in a pipeline and in an EXEC stay in their places; EXECABORT after one queued"""
    one = Connection(host, port)
    one.ask("SET", "k", "v")
    replies = one.asks(("GET", "k"), ("INCR", "k"), ("NOSUCH",), ("GET", "k"))
    assert replies[0] == replies[3] == "v", replies
    assert [isinstance(reply, Failed) for reply in replies] == [False, True, True, False]
    replies = one.asks(
        ("MULTI",), ("SET", "a", "1"), ("LPUSH", "a", "x"), ("INCR", "k"), ("INCR", "b"), ("EXEC",)
    )
    assert replies[:5] == ["OK"] + ["QUEUED"] * 4
    done = replies[5]
    assert done[0] == "OK" and done[3] == 1, done
    assert str(done[1]).startswith("WRONGTYPE") and str(done[2]).startswith("ERR value"), done
    replies = one.asks(("MULTI",), ("SET", "a", "2"), ("GET",), ("EXEC",), ("GET", "a"))
    assert isinstance(replies[2], Failed) and replies[4] == "1", replies
    assert str(replies[3]) == "EXECABORT Transaction discarded because of previous errors."


def watched(host, port):
    """38: EXEC answers null when a watched key was written, deleted, flushed or has expired"""
    one, other = Connection(host, port), Connection(host, port)

    def attempt(*by_others, wait=0.0):
        one.asks(("SET", "w", "1", "PX", "30") if wait else ("SET", "w", "1"), ("WATCH", "w", "u"))
        other.asks(*by_others)
        time.sleep(wait)
        return one.asks(("MULTI",), ("SET", "done", "1"), ("EXEC",))[2]

    assert attempt(("SET", "another", "1")) == ["OK"]
    assert attempt(("GET", "w")) == ["OK"]
    assert attempt(("SET", "w", "1")) is NULL_ARRAY
    assert attempt(("DEL", "w")) is NULL_ARRAY
    assert attempt(("LPUSH", "u", "1")) is NULL_ARRAY
    other.ask("DEL", "u")
    assert attempt(("PEXPIRE", "w", "100000")) is NULL_ARRAY
    assert attempt(("FLUSHALL",)) is NULL_ARRAY
    assert attempt(("FLUSHDB",)) is NULL_ARRAY
    assert attempt(("PING",), wait=0.06) is NULL_ARRAY
    one.asks(("WATCH", "w"), ("UNWATCH",))
    other.ask("SET", "w", "2")
    assert one.asks(("MULTI",), ("GET", "w"), ("EXEC",))[2] == ["2"]


def blocking(host, port):
    """45: blocking pops: fractional timeouts, served in arrival order, freed in all ways"""
    ones = [Connection(host, port) for _ in range(4)]
    door = Connection(host, port)

    def wait_for(count):
        eventually(lambda: f"blocked_clients:{count}\r\n" in door.ask("INFO", "clients"))

    start = time.monotonic()
    assert ones[0].ask("BLPOP", "none", "0.15") is NULL_ARRAY
    assert 0.1 < time.monotonic() - start < 2
    assert ones[0].ask("BLMOVE", "none", "to", "LEFT", "LEFT", "0.05") in (None, NULL_ARRAY)
    assert ones[0].ask("BZPOPMIN", "none", "0.05") is NULL_ARRAY
    assert ones[0].ask("XREAD", "BLOCK", "50", "STREAMS", "none", "$") is NULL_ARRAY
    for index, one in enumerate(ones):
        one.send(("BLPOP", "queue", "other", "5"))
        wait_for(index + 1)
    assert door.ask("RPUSH", "queue", "a", "b", "c") == 3
    assert door.ask("RPUSH", "other", "d") == 1
    assert [one.read() for one in ones] == [
        ["queue", "a"], ["queue", "b"], ["queue", "c"], ["other", "d"]
    ]
    wait_for(0)
    number = ones[0].ask("CLIENT", "ID")
    ones[0].send(("BLPOP", "queue", "0"))
    wait_for(1)
    assert door.ask("CLIENT", "UNBLOCK", number) == 1 and ones[0].read() is NULL_ARRAY
    ones[0].send(("BLPOP", "queue", "0"))
    wait_for(1)
    assert door.ask("CLIENT", "UNBLOCK", number, "ERROR") == 1
    assert str(ones[0].read()) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert door.ask("CLIENT", "UNBLOCK", number) == 0
    ones[0].send(("BLPOP", "queue", "0"))
    wait_for(1)
    ones[0].close()
    wait_for(0)
    assert door.ask("RPUSH", "queue", "kept") == 1 and door.ask("LLEN", "queue") == 1
    ones[1].send(("XREAD", "BLOCK", "5000", "STREAMS", "stream", "$"))
    ones[2].send(("BZPOPMAX", "sorted", "2.5"))
    ones[3].send(("BLMOVE", "from", "to", "LEFT", "RIGHT", "2.5"))
    wait_for(3)
    door.asks(
        ("XADD", "stream", "1-1", "f", "v"), ("ZADD", "sorted", "1", "m"), ("LPUSH", "from", "x")
    )
    assert ones[1].read() == [["stream", [["1-1", ["f", "v"]]]]]
    assert ones[2].read() == ["sorted", "m", "1"] and ones[3].read() == "x"
    assert ones[1].asks(("MULTI",), ("BLPOP", "none", "0"), ("EXEC",))[2] == [NULL_ARRAY]
    assert ones[1].fails("BLPOP", "none", "-1") == "ERR timeout is negative"
    assert ones[1].fails("BLPOP", "none", "x") == "ERR timeout is not a float or out of range"


run(
    [
        nulls, inline, pieces, violations, flood, unread, great_values, errors, in_their_places,
        watched, blocking,
    ]
)
