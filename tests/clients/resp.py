"""A connection that shows every byte: what the programs use where a client would hide something.

Replies are Python's own: str, int, float, bool, None, list, dict, set (a list where not all
are strings), and the classes below.
"""

import asyncio
import os
import select
import socket
import sys
import time
import traceback

PATIENCE = 10


class Failed(Exception):
    """An error reply."""


class Push(list):
    """What the server said unasked, or answered to SUBSCRIBE, in RESP3."""


class Simple(str):
    """A simple string."""


class Verbatim(str):
    """A string that says its format, which is kept before it as in `txt:`."""


class NullArray:
    """RESP2's second null, `*-1`."""

    def __repr__(self):
        return "*-1"


NULL_ARRAY = NullArray()


class Closed(Exception):
    """The server closed the connection."""


def pack(*words):
    """One request."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


class Connection:
    """A socket that requests are put into and replies are taken from."""

    def __init__(self, host, port, name=None):
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.start = 0
        if name:
            assert self.ask("CLIENT", "SETNAME", name) == "OK"

    def send(self, *requests):
        """Puts whole requests, each a tuple of words, into one packet."""
        self.write(b"".join(pack(*request) for request in requests))

    def write(self, data):
        self.socket.sendall(data)

    def ask(self, *words):
        self.send(words)
        return self.read()

    def asks(self, *requests):
        """The replies of requests sent at once."""
        self.send(*requests)
        return [self.read() for _ in requests]

    def fails(self, *words):
        """The text of the error that this is answered with."""
        reply = self.ask(*words)
        assert isinstance(reply, Failed), f"{words} is answered {reply!r}"
        return str(reply)

    def close(self):
        self.socket.close()

    def is_closed(self):
        """Reads what is left; true if the end comes."""
        try:
            while True:
                self.read()
        except (Closed, ConnectionResetError):
            return True
        except TimeoutError:
            return False

    def is_silent(self, seconds=0.1):
        """True if nothing comes for a while."""
        if self.start < len(self.input):
            return False
        return not select.select([self.socket], [], [], seconds)[0]

    def fill(self):
        del self.input[: self.start]
        self.start = 0
        self.socket.settimeout(PATIENCE)
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise Closed()
        self.input += piece

    def line(self):
        while True:
            end = self.input.find(b"\r\n", self.start)
            if end >= 0:
                line = self.input[self.start : end].decode("utf-8", "surrogateescape")
                self.start = end + 2
                return line
            self.fill()

    def bytes(self, count):
        while len(self.input) - self.start < count + 2:
            self.fill()
        text = self.input[self.start : self.start + count].decode("utf-8", "surrogateescape")
        assert self.input[self.start + count : self.start + count + 2] == b"\r\n"
        self.start += count + 2
        return text

    def raw(self, count):
        """So many bytes as they come."""
        while len(self.input) - self.start < count:
            self.fill()
        data = bytes(self.input[self.start : self.start + count])
        self.start += count
        return data

    def read(self):
        line = self.line()
        kind, rest = line[0], line[1:]
        if kind == "+":
            return Simple(rest)
        if kind == "-":
            return Failed(rest)
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else self.bytes(int(rest))
        if kind == "=":
            return Verbatim(self.bytes(int(rest)))
        if kind == "_":
            return None
        if kind == "#":
            return rest == "t"
        if kind == ",":
            return float(rest)
        if kind == "(":
            return int(rest)
        if kind == "*":
            return NULL_ARRAY if rest == "-1" else [self.read() for _ in range(int(rest))]
        if kind == ">":
            return Push(self.read() for _ in range(int(rest)))
        if kind == "~":
            found = [self.read() for _ in range(int(rest))]
            return set(found) if all(isinstance(one, str) for one in found) else found
        if kind == "%":
            return dict((self.read(), self.read()) for _ in range(int(rest)))
        raise AssertionError(f"a reply begins with {line[:80]!r}")


def eventually(ask, seconds=PATIENCE):
    """Waits until this is true."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def run(shows):
    """Runs functions of `(host, port)`, asynchronous ones too, and ends the process.

    Prints the document string of each, which begins with the numbers of the behaviours that it
    shows. Arguments after host and port choose functions by their names.
    """
    host, port = sys.argv[1], int(sys.argv[2])
    wanted = sys.argv[3:]
    failed = 0
    for show in shows:
        if wanted and show.__name__ not in wanted:
            continue
        door = Connection(host, port)
        door.asks(("FLUSHALL",), ("CONFIG", "RESETSTAT"))
        door.close()
        try:
            begun = show(host, port)
            if asyncio.iscoroutine(begun):
                asyncio.run(asyncio.wait_for(begun, 4 * PATIENCE))
            print(f"ok    {show.__doc__}", flush=True)
        except Exception:
            failed += 1
            print(f"WRONG {show.__doc__} ({show.__name__})", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    os._exit(1 if failed else 0)
