"""What the fuzzer starts from: the transcripts of the dialects, and their words."""

import gzip
import re
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from tests.dialects.frames import told
from tests.fuzz.parts import input_of

TRANSCRIPTS = Path(__file__).parents[1] / "dialects" / "transcripts"
PLAIN = "openai-chat"
"""Whose transcripts a dialect starts from that has none of its own."""
_WORD = re.compile(rb'"([A-Za-z_][\w.:/-]{1,40})"')
SYNTAX = (
    b"data: ", b"event: ", b"\n\n", b"\r\n\r\n", b"\r\r", b": ping\n\n", b"data: [DONE]\n\n",
    b"\xef\xbb\xbf", b"null", b"NaN", b"1e999", b"-1", b"9223372036854775808", b"{}", b"[]",
    b'""', b'"\\ud800"', b"\\u0000", b"\xff\xfe", b'":', b"},{", b'{"', b"true",
)  # fmt: skip
"""Pieces of the framings and of JSON that readers differ about."""


def folder(dialect: str) -> Path:
    """Where the transcripts of a dialect lie."""
    return TRANSCRIPTS / dialect.replace("-", "_")


def files(dialect: str, *names: str) -> list[Path]:
    """The transcripts' files of these names."""
    return sorted(path for name in names for path in folder(dialect).glob(f"*/{name}"))


@cache
def streams(dialect: str) -> list[bytes]:
    """Every stream; of one in AWS frames, the lines that stand for them."""
    return [wire_of(path) for path in files(dialect, "stream.*")] or streams(PLAIN)


def wire_of(path: Path) -> bytes:
    """A stream as the target of its dialect takes it."""
    wire = path.read_bytes()
    return b"".join(map(line_of, msgspec.json.decode(wire))) if path.suffix == ".json" else wire


def line_of(message: dict[str, object]) -> bytes:
    """The line that stands for an AWS frame; `as_frame` in `streams.py` reads it."""
    if "type" in message:
        return b"chunk " + msgspec.json.encode(message) + b"\n"
    if "bytes" in message:
        return b"part " + msgspec.json.encode(message["bytes"]) + b"\n"
    if "error" in message:
        return f"error {message['error']} {message['message']}\n".encode()
    kind = "exception" if "exception" in message else "event"
    payload = msgspec.json.encode(message["payload"]) if "payload" in message else b""
    return f"{kind} {message.get(kind)} ".encode() + payload + b"\n"


@cache
def frames() -> list[bytes]:
    """Every stream in AWS frames, as it is on the wire."""
    found = [p for d in TRANSCRIPTS.iterdir() for p in d.glob("*/stream.frames.json")]
    return [b"".join(map(told, msgspec.json.decode(path.read_bytes()))) for path in sorted(found)]


@cache
def replies(dialect: str) -> list[bytes]:
    """Every whole reply and every refusal."""
    bodies = [path.read_bytes() for path in files(dialect, "reply.json", "reply.raw")]
    for path in files(dialect, "errors.json"):
        for one in msgspec.json.decode(path.read_bytes()):
            body = one["body"]
            bodies.append(body.encode() if isinstance(body, str) else msgspec.json.encode(body))
    return bodies or replies(PLAIN)


@cache
def requests(face: str) -> list[bytes]:
    """Every caller's request."""
    return [path.read_bytes() for path in files(face, "request.json")]


def words(texts: Iterable[bytes]) -> list[bytes]:
    """A dictionary: the words that stand in quotes, and the syntax around them."""
    found = {word for text in texts for word in _WORD.findall(text)}
    return [*SYNTAX, *sorted(b'"%b"' % word for word in found)]


def inputs(wires: Iterable[bytes]) -> list[bytes]:
    """Each wire whole, in three pieces and byte by byte, with all that a choice can ask for."""
    return [input_of(wire, *how) for wire in wires for how in ((0, 0), (2, 7), (7, 4))]


_GZIP, _DEFLATE = gzip.compress(b"{}", mtime=0), zlib.compress(b"{}\n" * 99)
HTTP_REPLIES = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"9\r\ndata: {}\n\r\n1\r\n\n\r\n0\r\nx-sum: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_GZIP), _GZIP),
    b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ntransfer-encoding: chunked\r\n"
    b"content-type: application/x-ndjson\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_DEFLATE), _DEFLATE),
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
)
HTTP_REQUESTS = (
    b"GET /v1/models?a=b HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /v1/chat HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}" * 2,
    b"POST /v1/streams HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\nHEAD /v1/models HTTP/1.1\r\n\r\n",
    b"POST /v1/chat HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nnull",
    b"POST /v1/chat HTTP/1.1\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
    b"http2-settings: AAMA\r\ncontent-length: 2\r\n\r\n{}GET /a HTTP/1.0\r\n\r\n",
    b"OPTIONS http://localhost:1/%41%2Fb?c HTTP/1.1\r\nconnection: close\r\nhost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nx",
    b"POST / HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\nx: 1\r\nX: 2\r\n\r\n{}",
    b"GET /s HTTP/1.1\r\ncontent-length: 900\r\n\r\n" + b"x" * 900,
)
HTTP_WORDS = [
    *SYNTAX, b"\r\n", b"HTTP/1.1 ", b"HTTP/1.0 ", b"content-length: ", b"transfer-encoding: ",
    b"chunked", b"connection: ", b"close", b"keep-alive", b"upgrade: ", b"content-encoding: ",
    b"gzip", b"deflate", b"identity", b"expect: 100-continue", b"0\r\n\r\n", b"POST / ", b"GET / ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"text/event-stream", b"content-type: ",
    b"ffffffffffffffff",
]  # fmt: skip
