"""redis-py: its asyncio client in RESP3 and RESP2, and its client-side cache."""

import asyncio
import time

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.cache import CacheConfig, CacheKey
from redis.exceptions import (
    AuthenticationError, NoPermissionError, ResponseError, WatchError,
)

from resp import eventually, run

MESSAGES = 2000
ONCE = redis.asyncio.retry.Retry(NoBackoff(), 0)


def client(host, port, **options):
    options = {"protocol": 3, "decode_responses": True, **options}
    return redis.asyncio.Redis(host=host, port=port, **options)


async def until(ask, seconds=10):
    """Waits until this coroutine function says something true; what it says."""
    end = time.monotonic() + seconds
    while True:
        said = await ask()
        if said:
            return said
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.005)


async def refused(error, awaited):
    """The text of the error that this ends with."""
    try:
        said = await awaited
    except error as one:
        return str(one)
    raise AssertionError(f"answered {said!r}")


async def connects(host, port):
    """2, 8, 9, 10, 11: HELLO 3, its names and version, a database, in both protocols"""
    for protocol in (2, 3):
        async with client(host, port, protocol=protocol, client_name="py", db=4) as one:
            assert await one.ping() is True
            mine = await one.client_info()
            assert mine["name"] == "py" and mine["db"] == 4 and mine["resp"] == str(protocol)
            assert mine["lib-name"] == "redis-py" and mine["lib-ver"] == redis.__version__, mine
            assert mine["id"] == await one.client_id()
            assert await one.client_getname() == "py"
            assert await one.echo("hallo") == "hallo"


async def logs_in(host, port):
    """7, 32: users and passwords: refused with the client's own classes, and logged"""
    async with client(host, port) as door:
        assert await door.acl_setuser(
            "bob", enabled=True, reset=True, passwords=["+pass"], keys=["own:*"],
            categories=["+@string"], commands=["+client|setinfo", "+acl|whoami", "+hello", "+ping"],
        )
        try:
            async with client(host, port, username="bob", password="pass") as bob:
                assert await bob.acl_whoami() == "bob"
                assert await bob.set("own:1", "x") is True
                said = await refused(NoPermissionError, bob.set("k", "x"))
                assert "No permissions to access a key" in said, said
                said = await refused(NoPermissionError, bob.lpush("own:2", "x"))
                assert "User bob has no permissions to run the 'lpush' command" in said, said
            async with client(host, port, username="bob", password="no", retry=ONCE) as bob:
                said = await refused(AuthenticationError, bob.ping())
                assert "invalid username-password pair or user is disabled" in said, said
            log = await door.acl_log()
            reasons = sorted(entry["reason"] for entry in log if entry["username"] == "bob")
            assert reasons == ["auth", "command", "key"], log
            assert await door.acl_log_reset() is True
            user = await door.acl_getuser("bob")
            assert "on" in user["flags"] and len(user["passwords"]) == 1, user
            assert "+client|setinfo" in user["commands"], user
            assert "bob" in await door.acl_users()
            assert any(line.startswith("user bob on ") for line in await door.acl_list())
            assert "string" in await door.acl_cat() and "get" in await door.acl_cat("string")
            assert await door.acl_dryrun("bob", "get", "own:1") == "OK"
            said = await door.acl_dryrun("bob", "get", "k")
            assert "no permissions to access the 'k' key" in said, said
            assert len(await door.acl_genpass()) == 64
            assert await door.acl_whoami() == "default"
        finally:
            assert await door.acl_deluser("bob") == 1


async def asks_the_server(host, port):
    """17, 21, 22, 23, 26: INFO, CONFIG and COMMAND as redis-py parses them"""
    for protocol in (2, 3):
        async with client(host, port, protocol=protocol) as one:
            await one.mset({"a": "1", "b": "2"})
            info = await one.info()
            assert info["role"] == "master" and info["loading"] == 0
            assert info["db0"]["keys"] == 2 and info["tcp_port"] == port, info
            assert (await one.info("server"))["redis_mode"] == "standalone"
            both = await one.info("server", "clients")
            assert "run_id" in both and "connected_clients" in both and "db0" not in both
            assert await one.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}
            assert await one.config_set("timeout", 0) is True
            assert await one.config_resetstat() is True
            table = await one.command()
            assert table["get"]["arity"] == 2 and "readonly" in table["get"]["flags"]
            assert await one.command_count() == len(table)
            assert set(await one.command_getkeys("MSET", "a", "1", "b", "2")) == {"a", "b"}
            assert await one.dbsize() == 2
            assert (await one.time())[0] > 1_700_000_000
            assert await one.lastsave() is not None


async def knows_clients(host, port):
    """10, 30: CLIENT LIST, KILL, UNBLOCK, PAUSE, NO-EVICT, NO-TOUCH, REPLY, TRACKINGINFO"""
    async with client(host, port, client_name="door") as door:
        one = client(host, port, client_name="worker", single_connection_client=True)
        await one.ping()
        number = await one.client_id()
        listed = await door.client_list()
        names = [entry["name"] for entry in listed]
        assert "worker" in names and "door" in names, names
        (entry,) = await door.client_list(client_id=[number])
        assert entry["cmd"] == "client|id" and entry["user"] == "default", entry
        assert await door.client_list(_type="pubsub") == []
        assert await door.client_no_evict("ON") == "OK"
        assert await door.client_no_touch("ON") == "OK"
        assert await door.client_getredir() == -1
        info = await door.client_trackinginfo()
        assert info["flags"] == ["off"] or set(info["flags"]) == {"off"}, info
        waiting = asyncio.create_task(one.blpop(["none"], timeout=5))

        async def blocked():
            return (await door.info("clients"))["blocked_clients"] == 1

        await until(blocked)
        assert await door.client_unblock(number) in (1, True)
        assert await waiting is None
        assert await door.client_pause(100, all=False) is True
        start = time.monotonic()
        assert await one.get("k") is None and time.monotonic() - start < 0.09, "reads go on"
        await one.set("k", "v")
        assert time.monotonic() - start > 0.05, "writes wait"
        assert await door.client_pause(10_000, all=False) and await door.client_unpause()
        assert await one.set("k", "v")
        assert await door.client_kill_filter(_id=number, skipme=True) == 1
        assert await door.client_list(client_id=[number]) == []
        assert await one.get("k") == "v", "redis-py connects again"
        (entry,) = [entry for entry in await door.client_list() if entry["name"] == "worker"]
        assert await door.client_kill(entry["addr"]) in (True, "OK")
        said = await refused(ResponseError, door.client_kill("127.0.0.1:1"))
        assert said == "No such client", said
        await one.aclose()


async def transactions(host, port):
    """38: pipelines, transactions, errors in their places, a watched key"""
    async with client(host, port) as one, client(host, port) as other:
        async with one.pipeline(transaction=False) as pipeline:
            for index in range(10_000):
                pipeline.incr("counter")
            assert await pipeline.execute() == list(range(1, 10_001))
        async with one.pipeline() as pipeline:
            said = await pipeline.set("a", "x").incr("a").set("b", "1").execute(
                raise_on_error=False
            )
        assert said[0] is True and isinstance(said[1], ResponseError) and said[2] is True, said
        async with one.pipeline() as pipeline:
            await pipeline.watch("a")
            await other.set("a", "2")
            pipeline.multi()
            pipeline.set("a", "3")
            await refused(WatchError, pipeline.execute())
        assert await one.get("a") == "2"

        async def double(pipeline):
            value = int(await pipeline.get("a"))
            pipeline.multi()
            pipeline.set("a", value * 2)

        assert await one.transaction(double, "a") == [True]
        assert await one.get("a") == "4"


async def many_at_once(host, port):
    """35, 36: 100 tasks on 20 connections; great values; types kept apart"""
    pool = redis.asyncio.BlockingConnectionPool(
        host=host, port=port, protocol=3, decode_responses=True, max_connections=20
    )
    async with redis.asyncio.Redis(connection_pool=pool) as one:
        async def work(task):
            for turn in range(20):
                await one.hincrby("shared", str(turn % 5), 1)
                await one.set(f"own:{task}", turn)
                assert await one.get(f"own:{task}") == str(turn)

        await asyncio.gather(*(work(task) for task in range(100)))
        assert await one.hgetall("shared") == {str(field): "400" for field in range(5)}
        great = "g" * 5_000_000
        assert await one.set("great", great) and await one.get("great") == great
        await refused(ResponseError, one.lpush("great", "x"))
        assert await one.zadd("z", {"a": 1.5, "b": float("inf")}) == 2
        assert await one.zscore("z", "a") == 1.5
        assert await one.zrange("z", 0, -1, withscores=True) == [["a", 1.5], ["b", float("inf")]]
        assert await one.sadd("s", "x", "y") == 2 and set(await one.smembers("s")) == {"x", "y"}
    await pool.aclose()


async def walks(host, port):
    """47: SCAN by MATCH, COUNT and TYPE while others write; every key that stays is seen"""
    async with client(host, port) as one:
        keys = {f"stay:{index}": "v" for index in range(2000)}
        await one.mset(keys)
        await one.rpush("stay:list", "x")
        seen = set()
        turn = 0
        async for key in one.scan_iter(match="stay:*", count=50, _type="string"):
            seen.add(key)
            turn += 1
            if turn % 100 == 0:
                await one.set(f"new:{turn}", "v")
        assert seen == set(keys), len(seen)
        await one.hset("h", mapping=keys)
        assert len([1 async for _ in one.hscan_iter("h", count=100)]) >= 2000


async def expiry(host, port):
    """48: times to live, set in all ways and read back"""
    async with client(host, port) as one:
        assert await one.set("k", "v", ex=100) and await one.ttl("k") == 100
        assert await one.set("k", "w", keepttl=True) and 90 < await one.ttl("k") <= 100
        assert await one.set("k", "x", nx=True) is None
        assert await one.set("k", "x", get=True, px=50_000) == "w"
        assert 49_000 < await one.pttl("k") <= 50_000
        at = int(time.time()) + 1000
        assert await one.set("k", "y", exat=at) and await one.expiretime("k") == at
        assert await one.persist("k") and await one.ttl("k") == -1 and await one.ttl("no") == -2
        assert await one.getex("k", px=30) == "y"
        await asyncio.sleep(0.05)
        assert await one.get("k") is None
        await one.hset("h", mapping={"a": "1", "b": "2"})
        assert await one.hexpire("h", 100, "a", "none") == [1, -2]
        assert await one.httl("h", "a", "b", "none") == [100, -1, -2]


async def subscribes(host, port):
    """39: channels, patterns and sharded channels; 2000 pipelined messages in their order"""
    for protocol in (2, 3):
        async with client(host, port, protocol=protocol) as one:
            listener = one.pubsub()
            await listener.subscribe("news", "other")
            await listener.psubscribe("n?ws*")
            await listener.ssubscribe("sharded")
            got = [await listener.get_message(timeout=5) for _ in range(4)]
            assert [(entry["type"], entry["channel"], entry["data"]) for entry in got] == [
                ("subscribe", "news", 1), ("subscribe", "other", 2), ("psubscribe", "n?ws*", 3),
                ("ssubscribe", "sharded", 1),
            ], got
            assert await one.publish("news", "first") == 2
            assert await one.spublish("sharded", "part") == 1
            assert await one.publish("nobody", "x") == 0
            assert sorted(await one.pubsub_channels()) == ["news", "other"]
            assert await one.pubsub_channels("o*") == ["other"]
            assert await one.pubsub_numpat() == 1
            assert [tuple(pair) for pair in await one.pubsub_numsub("news", "none")] == [
                ("news", 1), ("none", 0)
            ]
            assert await one.pubsub_shardchannels() == ["sharded"]
            got = [await listener.get_message(timeout=5) for _ in range(3)]
            kinds = sorted((entry["type"], entry["data"]) for entry in got)
            assert kinds == [("message", "first"), ("pmessage", "first"), ("smessage", "part")], got
            await listener.punsubscribe("n?ws*")
            await listener.get_message(timeout=5)
            async with one.pipeline(transaction=False) as pipeline:
                for index in range(MESSAGES):
                    pipeline.publish("news", index)
                assert await pipeline.execute() == [1] * MESSAGES
            for index in range(MESSAGES):
                entry = await listener.get_message(timeout=5)
                assert entry["data"] == str(index), (index, entry)
            await listener.unsubscribe()
            await listener.aclose()


async def subscribes_again(host, port):
    """40: CLIENT KILL TYPE pubsub closes subscribers; redis-py subscribes again"""
    async with client(host, port) as one:
        listener = one.pubsub()
        await listener.subscribe("news")
        await listener.psubscribe("p*")
        for _ in range(2):
            assert await listener.get_message(timeout=5)
        assert await one.client_kill_filter(_type="pubsub") == 1

        async def heard():
            await one.publish("news", "again")
            entry = await listener.get_message(ignore_subscribe_messages=True, timeout=0.05)
            return entry and entry["data"] == "again"

        await until(heard)
        assert await one.pubsub_numpat() == 1
        await listener.aclose()


async def events(host, port):
    """49: keyspace events, which CONFIG SET turns on: set, expired, del and more"""
    async with client(host, port) as one:
        assert await one.config_set("notify-keyspace-events", "KEA")
        try:
            listener = one.pubsub()
            await listener.psubscribe("__key*@0__:*")
            assert await listener.get_message(timeout=5)
            await one.set("k", "v")
            await one.pexpire("k", 30)
            await one.lpush("l", "a", "b")
            await one.delete("l")
            wanted = [
                ("k", "set"), ("k", "expire"), ("l", "lpush"), ("l", "del"), ("k", "expired"),
            ]
            by_key, by_event = [], []
            while len(by_key) < 5 or len(by_event) < 5:
                entry = await listener.get_message(timeout=5)
                space, name = entry["channel"].split("@0__:")
                if space == "__keyspace":
                    by_key.append((name, entry["data"]))
                else:
                    by_event.append((entry["data"], name))
            assert sorted(by_key) == sorted(wanted) and sorted(by_event) == sorted(wanted), by_key
            for key in "kl":
                own = [event for event in wanted if event[0] == key]
                assert [event for event in by_key if event[0] == key] == own, by_key
            await listener.aclose()
        finally:
            assert await one.config_set("notify-keyspace-events", "")


async def watches_commands(host, port):
    """31: MONITOR shows commands as they were written, with database and address"""
    async with client(host, port) as one, client(host, port, db=3) as other:
        async with one.monitor() as lines:
            await other.execute_command("gEt", 'a "key"\n')
            await other.set("k", "v")
            heard = []
            while len(heard) < 2:
                line = await lines.next_command()
                if line["db"] == 3 and line["command"].split()[0] in ("gEt", "SET"):
                    heard.append(line)
            assert heard[0]["command"].startswith("gEt a "), heard
            assert heard[1]["command"] == "SET k v" and heard[1]["client_type"] == "tcp", heard
            assert heard[1]["client_address"] == "127.0.0.1", heard
            assert abs(heard[1]["time"] - time.time()) < 60


async def measures(host, port):
    """32: SLOWLOG, LATENCY, MEMORY USAGE, LASTSAVE"""
    for protocol in (2, 3):
        async with client(host, port, protocol=protocol, client_name="slow") as one:
            await one.config_set("slowlog-log-slower-than", 0)
            await one.slowlog_reset()
            await one.set("k", "v")
            await one.config_set("slowlog-log-slower-than", 10_000)
            assert await one.slowlog_len() >= 2
            entries = await one.slowlog_get(10)
            (entry,) = [entry for entry in entries if entry["command"].startswith(b"SET")]
            assert entry["command"] == b"SET k v" and entry["client_name"] == b"slow", entry
            assert entry["duration"] >= 0 and entry["client_address"].startswith(b"127.0.0.1:")
            await one.slowlog_reset()
            assert await one.memory_usage("k") > 0 and await one.memory_usage("none") is None
            stats = await one.memory_stats()
            assert stats["keys.count"] == 1 and stats["total.allocated"] > 0, stats
            await one.config_set("latency-monitor-threshold", 1)
            assert await one.execute_command("LATENCY", "RESET") >= 0
            assert await one.execute_command("LATENCY", "LATEST") == []
            assert await one.execute_command("LATENCY", "HISTORY", "command") == []
            found = await one.execute_command("LATENCY", "HISTOGRAM", "set")
            assert "set" in found, found
            await one.config_set("latency-monitor-threshold", 0)


async def waits(host, port):
    """45: blocking pops with fractional timeouts, woken by another connection"""
    async with client(host, port) as one, client(host, port) as other:
        start = time.monotonic()
        assert await one.blpop(["none"], timeout=0.1) is None
        assert 0.08 < time.monotonic() - start < 2
        waiting = asyncio.create_task(one.bzpopmin(["z"], timeout=5))
        moving = asyncio.create_task(one.blmove("from", "to", 5))
        reading = asyncio.create_task(one.xread({"x": "$"}, block=5000))

        async def blocked():
            return (await other.info("clients"))["blocked_clients"] == 3

        await until(blocked)
        await other.zadd("z", {"m": 2.5})
        await other.rpush("from", "v")
        number = await other.xadd("x", {"f": "v"})
        assert list(await waiting) == ["z", "m", 2.5] and await moving == "v"
        assert number in str(await reading)
        assert await one.lrange("to", 0, -1) == ["v"]


async def streams(host, port):
    """46: groups of a stream: read, pending, claimed, acknowledged, told of"""
    for protocol in (2, 3):
        async with client(host, port, protocol=protocol) as one:
            await one.flushall()
            assert await one.xgroup_create("x", "g", id="0", mkstream=True) is True
            ids = [await one.xadd("x", {"n": str(index)}, maxlen=100) for index in range(5)]
            assert ids == sorted(ids) and await one.xlen("x") == 5
            first = await one.xreadgroup("g", "a", {"x": ">"}, count=3)
            assert all(number in str(first) for number in ids[:3]) and ids[3] not in str(first)
            pending = await one.xpending("x", "g")
            assert pending["pending"] == 3 and pending["min"] == ids[0], pending
            claimed = await one.xautoclaim("x", "g", "b", min_idle_time=0, start_id="0-0")
            assert [number for number, _ in claimed[1]] == ids[:3], claimed
            assert await one.xack("x", "g", *ids[:2]) == 2
            left = await one.xpending_range("x", "g", "-", "+", 10)
            assert [(entry["message_id"], entry["consumer"]) for entry in left] == [(ids[2], "b")]
            whole = await one.xinfo_stream("x", full=True)
            assert whole["length"] == 5 and len(whole["entries"]) == 5, whole
            (group,) = await one.xinfo_groups("x")
            assert group["name"] == "g" and group["pending"] == 1 and group["lag"] == 2, group
            names = sorted(entry["name"] for entry in await one.xinfo_consumers("x", "g"))
            assert names == ["a", "b"], names
            assert await one.xtrim("x", maxlen=2, approximate=False) == 3
            assert [number for number, _ in await one.xrange("x")] == ids[3:]
            await refused(ResponseError, one.xgroup_create("x", "g"))


def cache(host, port):
    """4, 14, 15: the cache: a hit, told of another's write, of expiry, of FLUSHALL and FLUSHDB"""
    one = redis.Redis(
        host=host, port=port, protocol=3, decode_responses=True, cache_config=CacheConfig()
    )
    other = redis.Redis(host=host, port=port, decode_responses=True)
    kept = one.get_cache()
    assert kept is not None

    def asked():
        return int(other.info("commandstats").get("cmdstat_get", {}).get("calls", 0))

    def holds(key):
        return kept.get(CacheKey("GET", (key,), ("GET", key))) is not None

    other.set("k", "v")
    other.config_resetstat()
    assert [one.get("k") for _ in range(5)] == ["v"] * 5
    assert asked() == 1 and holds("k"), "four of five came from the cache"
    other.set("k", "w")
    eventually(lambda: one.get("k") == "w")
    assert asked() == 2
    one.get("k")
    assert other.delete("k") == 1
    eventually(lambda: one.get("k") is None)
    other.set("soon", "v", px=80)
    assert one.get("soon") == "v" and one.get("soon") == "v"
    eventually(lambda: one.get("soon") is None, 3)
    for flush in (other.flushall, other.flushdb):
        other.mset({"a": "1", "b": "2"})
        eventually(lambda: one.mget("a", "b") == ["1", "2"])
        assert one.get("a") == "1"
        flush()
        eventually(lambda: one.get("a") is None and one.mget("a", "b") == [None, None])
    for turn in range(500):
        other.set(f"hot:{turn % 7}", turn)
        one.get(f"hot:{turn % 7}")
    eventually(lambda: all(one.get(f"hot:{i}") == other.get(f"hot:{i}") for i in range(7)))
    assert one.set("own", "1") and one.get("own") == "1"
    assert one.set("own", "2")
    eventually(lambda: one.get("own") == "2")
    one.close()
    other.close()


def cache_of_many(host, port):
    """15: the cache of a pool of connections, and one that is cut off"""
    pool = redis.ConnectionPool(
        host=host, port=port, protocol=3, decode_responses=True, cache_config=CacheConfig()
    )
    ones = [redis.Redis(connection_pool=pool) for _ in range(3)]
    other = redis.Redis(host=host, port=port, decode_responses=True)
    for turn in range(50):
        other.set("k", turn)
        for one in ones:
            eventually(lambda one=one: one.get("k") == str(turn))
    assert any("t" in entry["flags"] for entry in other.client_list())
    assert other.client_kill_filter(_type="normal", skipme=True) >= 1
    other.set("k", "after")
    eventually(lambda: ones[0].get("k") == "after")


run(
    [
        connects, logs_in, asks_the_server, knows_clients, transactions, many_at_once, walks,
        expiry, subscribes, subscribes_again, events, watches_commands, measures, waits, streams,
        cache, cache_of_many,
    ]
)
