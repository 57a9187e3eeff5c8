"""All targets by name: what is tried, what it starts from, and the words it is built of."""

from collections.abc import Callable

from msgspec import Struct

from octoplex.dialects.dialect import Dialect, Face, PathFace
from tests.fuzz import seeds
from tests.fuzz.asker import Asked
from tests.fuzz.parts import Given, given
from tests.fuzz.replier import reply_reader_target
from tests.fuzz.replies import reply_target
from tests.fuzz.requests import request_target
from tests.fuzz.speakers import DIALECTS, FACES, PATH
from tests.fuzz.splitters import aws_target, ndjson_target, sse_target
from tests.fuzz.streams import stream_target


class Target(Struct, frozen=True):
    """One thing to fuzz. `attempt` raises what it finds."""

    attempt: Callable[[Given], None]
    inputs: list[bytes]
    words: list[bytes]

    def __call__(self, data: bytes) -> None:
        """Try one input."""
        self.attempt(given(data))


def targets() -> dict[str, Target]:
    """Every stream reader first, then the readers of whole replies and of requests."""
    sse = [wire for dialect in DIALECTS for wire in seeds.streams(dialect)[:3]]
    lines = seeds.streams("ollama")
    found = {
        "sse": Target(sse_target, seeds.inputs(sse), list(seeds.SYNTAX)),
        "ndjson": Target(ndjson_target, seeds.inputs(lines), list(seeds.SYNTAX)),
        "aws-frames": Target(aws_target, seeds.inputs(seeds.frames()), [b":event-type"]),
        "http-reply": Target(
            reply_reader_target, seeds.inputs(seeds.HTTP_REPLIES), seeds.HTTP_WORDS
        ),
        "http-request": Target(Asked(), seeds.inputs(seeds.HTTP_REQUESTS), seeds.HTTP_WORDS),
    }
    found |= {f"stream-{d.name}": of_streams(d) for d in DIALECTS.values()}
    found |= {f"reply-{d.name}": of_replies(d) for d in DIALECTS.values()}
    return found | {f"request-{f.name}": of_requests(f) for f in FACES.values()}


def of_streams(dialect: Dialect) -> Target:
    """A provider's streams."""
    wires = seeds.streams(dialect.name)
    return Target(stream_target(dialect), seeds.inputs(wires), seeds.words(wires))


def of_replies(dialect: Dialect) -> Target:
    """A provider's whole replies."""
    bodies = seeds.replies(dialect.name)
    return Target(reply_target(dialect), seeds.inputs(bodies), seeds.words(bodies))


def of_requests(face: Face) -> Target:
    """A caller's requests."""
    bodies = seeds.requests(face.name)
    lead = PATH.encode() + b"\n" if isinstance(face, PathFace) else b""
    inputs = seeds.inputs([lead + body for body in bodies])
    return Target(request_target(face), inputs, seeds.words(bodies))
