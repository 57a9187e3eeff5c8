"""What no client and no provider should send: made by chance, from what they do send.

Every maker takes a `Random`, so that a number says again what was sent.
"""

import gzip
from random import Random

from tests.fuzz import seeds
from tests.upstream_server import Exchange, Play

ENDLESS = 3 * 1024 * 1024
"""Bytes after which an endless reply gives up: above the caps of heads and lines."""
KINDS = {
    "bedrock-converse": b"application/vnd.amazon.eventstream",
    "ollama": b"application/x-ndjson",
}
STATUS_LINES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/9.9 200 OK", b"ICY 200 OK",
    b"HTTP/1.1 999 Odd", b"HTTP/1.1 99 Odd", b"HTTP/1.1 -1 Odd", b"HTTP/1.1 2000 OK", b"",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/", b"\0\xff",
    b"HTTP/1.1 401 No", b"HTTP/1.1 429 Busy\r\nretry-after: -1e9", b"HTTP/1.1 529 Busy",
)  # fmt: skip
HEADERS = (
    b"content-length: 5", b"content-length: 99999999999999999999", b"content-length: -1",
    b"content-length: 5\r\ncontent-length: 6", b"transfer-encoding: chunked",
    b"transfer-encoding: gzip, chunked", b"content-encoding: gzip", b"content-encoding: br",
    b"connection: close", b"connection: upgrade\r\nupgrade: h2c", b"no colon", b" folded",
    b"x: \0", b": nameless", b"x" * 5000 + b": y", b"set-cookie: a=\xff\xfe",
    b"x-request-id: a\tb", b"retry-after: Thu, 99 Foo 2099",
)  # fmt: skip
CHUNK_SIZES = (
    b"ffffffffffffffff", b"fffffffffffffffff", b"-1", b"zz", b"", b"0x5", b"5 ; x=" + b"y" * 9000,
)  # fmt: skip


def damaged(wire: bytes, chance: Random, words: list[bytes]) -> bytes:
    """A wire with pieces lost, repeated, changed or put in."""
    data = bytearray(wire)
    for _ in range(chance.randrange(4)):
        at, size = chance.randrange(len(data) + 1), chance.choice([0, 1, 4, 40])
        piece = chance.choice([b"", chance.randbytes(3), bytes(data[at : at + 60])])
        data[at : at + size] = chance.choice([piece, chance.choice(words)])
    return bytes(data)


def body_of(dialect: str, chance: Random) -> tuple[bytes, bytes]:
    """A stream or a whole reply of a dialect, damaged, and its content type."""
    streams = seeds.frames() if dialect == "bedrock-converse" else seeds.streams(dialect)
    if chance.random() < 0.7:
        wires, kind = streams, KINDS.get(dialect, b"text/event-stream")
    else:
        wires, kind = seeds.replies(dialect), b"application/json"
    if chance.random() < 0.1:
        kind = chance.choice([b"text/html", b"application/json", b"text/event-stream", b"\xff"])
    return damaged(chance.choice(wires), chance, list(seeds.SYNTAX)), kind


def reply(dialect: str, chance: Random) -> Play:
    """How a provider replies: mostly HTTP that is right around a body that is not."""
    body, kind = body_of(dialect, chance)
    how = chance.randrange(8)
    if how == 0:
        return raw(chance.randbytes(chance.randrange(400)), chance)
    if how == 1 and chance.random() < 0.5:
        return endless(chance, kind)
    lines = [
        b"HTTP/1.1 200 OK" if how > 2 else chance.choice(STATUS_LINES),
        b"content-type: " + kind,
    ]
    lines += [chance.choice(HEADERS) for _ in range(chance.randrange(3))] if how == 2 else []
    if how == 3:
        body = gzip.compress(body)[: chance.randrange(200)]
        lines.append(b"content-encoding: gzip")
    if how < 6:
        lines.append(b"content-length: %d" % len(body))
    else:
        lines.append(b"transfer-encoding: chunked")
        size = chance.choice(CHUNK_SIZES) if how == 6 else b"%x" % len(body)
        body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    return raw(b"\r\n".join(lines) + b"\r\n\r\n" + body, chance)


def raw(data: bytes, chance: Random) -> Play:
    """These bytes in pieces, then one of the ends that a connection can have."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))
    end = chance.choice(["keep", "close", "close", "reset"])

    async def play(exchange: Exchange) -> None:
        at = 0
        for place in [*places, len(data)]:
            exchange.send(data[at:place])
            at = place
            await exchange.flushed()
        if end == "close":
            exchange.close()
        elif end == "reset" and not exchange.gone.is_set():
            exchange.reset()

    return play


def endless(chance: Random, kind: bytes) -> Play:
    """A reply that does not stop: its head, a line, its events, or what it announces before."""
    ok = b"HTTP/1.1 200 OK\r\n"
    lead, more = chance.choice(
        [
            (ok, b"x-more: " + b"y" * 100 + b"\r\n"),
            (ok + b"x: ", b"y" * 1000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (ok + b"content-type: " + kind + b"\r\n\r\n", b"data: " + b"z" * 994),
            (ok + b"content-type: " + kind + b"\r\n\r\n", b": ping\n\n" * 50),
            (ok + b"content-type: application/json\r\n\r\n", b" " * 1000),
            (ok + b"content-length: 2\r\n\r\n{}", b"\0" * 1000),
        ]
    )

    async def play(exchange: Exchange) -> None:
        exchange.send(lead)
        while exchange.entry.sent < ENDLESS and not exchange.gone.is_set():
            exchange.send(more * 60)
            await exchange.flushed()
        exchange.close()

    return play


def request(path: str, body: bytes, chance: Random) -> bytes:
    """What a caller sends: a good request, its body damaged, its head, or nothing like it."""
    words = [*seeds.HTTP_WORDS, *seeds.SYNTAX]
    how = chance.randrange(4)
    if how == 0:
        return damaged(chance.choice(seeds.HTTP_REQUESTS), chance, words)
    if how == 1:
        return chance.randbytes(chance.randrange(300))
    body = damaged(body, chance, words)
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    wire = head % (path.encode(), len(body)) + body
    return damaged(wire, chance, words) if how == 2 else wire
