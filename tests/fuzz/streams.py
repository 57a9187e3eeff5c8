"""A provider's stream from its bytes to the callers' events, through the real reader.

    bytes -> Streamed (splitter, scanner or decoder) -> bytes as they came, or every face's encoder

Nothing but an upstream's error is raised; what passes on can be read; what a caller is given
keeps the grammar of its dialect; and neither depends on where the bytes were cut.
"""

import contextlib
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.dialects.dialect import Dialect, Face, Scanner
from octoplex.dialects.openai_chat.stream import MOST_CALLS
from octoplex.dialects.sieve import is_utf8
from octoplex.transport import ndjson, sse
from octoplex.transport.response import Fault, Response
from octoplex.upstreams.reading import Reading
from octoplex.upstreams.stream import SPLITTERS, Patience, Streamed
from octoplex.wire.answer import Head
from octoplex.wire.error import UpstreamBroken, UpstreamError
from octoplex.wire.event import Finished, StopReason, Usage, fold
from tests.dialects.frames import frame as aws_frame
from tests.fuzz.parts import Given, run, strictly, weight
from tests.fuzz.speakers import ASKS, CHECKS, FACES, asked, words_of

PATIENCE = Patience(lambda: 0.0, 1.0)
PER_BYTE = 64
"""The most that a machine may hold for each byte it was fed, beside `ROOM`."""
ROOM = 16 * 1024


class Played(Response, kw_only=True, eq=False):
    """A reply whose every read brings one more piece; then it ends, or is `cut`."""

    _todo: deque[bytes]
    _cut: bool = False

    async def read(self) -> bytes:
        while self._todo and not self._chunks:
            self.put(self._todo.popleft())
        if not self._chunks and not self.complete and self.fault is None:
            if self._cut:
                self.fail(Fault(UpstreamBroken, "cut"))
            else:
                self.finish()
        return await super().read()


class Heard(Struct):
    """What a stream said, and how it ended."""

    wire: bytes = b""
    said: list[Any] = []
    """Events; of a stream that passes as it comes, (name, data)."""
    error: UpstreamError | None = None
    opened: bool = False
    ends: list[tuple[str, Usage]] = []
    stop: StopReason | None = None
    weight: int = 0


def alike(told: Heard, once: Heard) -> None:
    """The same stream, cut elsewhere, says the same.

    What comes in one read with a failure is lost with it, so that another target may be asked;
    in a read of its own it was delivered. Of several failures it is the cuts that say which.
    """
    assert bool(told.error) == bool(once.error), (told.error, once.error)
    size = min(len(told.said), len(once.said)) if told.error else None
    assert told.said[:size] == once.said[:size], (told.said, once.said)
    assert told.error or bill(told) == bill(once), (told.ends, once.ends)


def bill(told: Heard) -> list[Any]:
    """How it ended and what it cost; an estimate is rough, and only said to be one."""
    return [(outcome, usage.estimated or usage) for outcome, usage in told.ends]


def heard(dialect: Dialect, scanner: Scanner, pieces: list[bytes], *, cut: bool) -> Heard:
    """Read a stream to its end as a request would."""
    reply = Played(
        "host", 0.0, 0.0, 1.0, streaming=True, _todo=deque(filter(None, pieces)), _cut=cut
    )
    answer = Streamed(Head("p", "m"), dialect, reply, scanner, PATIENCE, words_of(dialect))
    told = Heard()
    try:
        run(answer.open())
        told.opened = True
        answer.on_end(lambda outcome, usage: told.ends.append((outcome, usage)))
        while True:
            frame = run(answer.__anext__())
            assert frame.wire is not None
            told.wire += frame.wire
            said = isinstance(scanner, Reading)
            told.said += frame.events() if said else sse.parse(frame.wire)
    except StopAsyncIteration:
        pass
    except UpstreamError as error:
        told.error = error
    told.stop, told.weight = scanner.stop, weight(scanner)
    assert len(told.ends) == told.opened, "it ends exactly once"
    return told


def stream_target(dialect: Dialect) -> Callable[[Given], None]:
    """The target of one dialect. The choice: cut at the end, usage hidden, machines weighed."""
    framed = SPLITTERS.get(dialect.name, sse.Splitter) not in (sse.Splitter, ndjson.Splitter)

    def attempt(one: Given) -> None:
        if framed:
            one = as_frames(one)
        cut, hide = bool(one.choice & 1), bool(one.choice & 2)
        translated(dialect, one, cut=cut)
        face = FACES.get(words_of(dialect))
        if face is not None:
            verbatim(dialect, face, one, cut=cut, hide=hide)
        if one.choice & 4:
            weigh(dialect, one.wire, hide=hide)

    return attempt


def translated(dialect: Dialect, one: Given, *, cut: bool) -> None:
    """Decode, and tell every face."""
    told = heard(dialect, Reading(dialect.decoder()), one.pieces, cut=cut)
    once = heard(dialect, Reading(dialect.decoder()), [one.wire], cut=cut)
    alike(told, once)
    assert told.weight <= ROOM + PER_BYTE * len(one.wire)
    finished = [event for event in told.said if isinstance(event, Finished)]
    assert len(finished) <= 1
    assert not finished or told.said[-1] is finished[0]
    assert (told.error is None) == bool(finished), "an end, or an error"
    if finished:
        fold(told.said)
    if told.opened:
        for name in FACES.keys() - {words_of(dialect)}:  # that one gets it as it came
            tell(name, told, one.choice)


def tell(name: str, told: Heard, choice: int) -> None:
    """Write the events for one face, at once and one by one."""
    face, ask = FACES[name], ASKS[choice & 1]
    once, each = face.encoder(asked(face, ask)), face.encoder(asked(face, ask))
    wire = once.feed(told.said)
    singly = b"".join([each.feed([event]) for event in told.said])
    if told.error is not None:
        wire, singly = wire + once.fail(told.error), singly + each.fail(told.error)
    assert wire == singly
    CHECKS[name](wire, arguments_valid=False)


def verbatim(dialect: Dialect, face: Face, one: Given, *, cut: bool, hide: bool) -> None:
    """Pass the stream through as it comes."""
    told = heard(dialect, dialect.scanner(hide_usage=hide), one.pieces, cut=cut)
    once = heard(dialect, dialect.scanner(hide_usage=hide), [one.wire], cut=cut)
    if is_utf8(one.wire):  # of the rest it is not said what goes
        alike(told, once)
    assert told.error or told.stop, "an end without a reason is a cut"
    told.wire.decode()
    wire = told.wire + (face.fail_event(told.error, "req-1") if told.error else b"")
    for _, data in sse.parse(wire):
        if data.strip() != b"[DONE]":
            strictly(data)
    splitter = sse.Splitter()
    assert sse.parse(splitter.feed(wire)) == sse.parse(wire), "it ends with a whole event"


def weigh(dialect: Dialect, wire: bytes, *, hide: bool) -> None:
    """A scanner weighs no more after ten times the same, or after so many that it gave up."""
    if words_of(dialect) not in FACES or SPLITTERS.get(dialect.name) is not None:
        return
    scanner = dialect.scanner(hide_usage=hide)
    splitter = sse.Splitter()

    def after(times: int) -> int:
        for _ in range(times):
            if scanner.error is None and not scanner.ended:
                scanner.feed(splitter.feed(wire + b"\n\n"))
        return weight(scanner)

    first, tenth = after(1), after(9)
    if tenth > first + 1024:
        last = after(MOST_CALLS)
        assert after(MOST_CALLS) <= last + 1024, (first, tenth, last)


def as_frames(one: Given) -> Given:
    """The lines of the wire as AWS frames: `event NAME PAYLOAD`, cut at the same parts."""
    wire = b"".join(map(as_frame, one.wire.splitlines()))
    edges = [len(piece) / max(len(one.wire), 1) for piece in one.pieces]
    at, pieces = 0.0, []
    for edge in edges:
        pieces.append(wire[int(at * len(wire)) : int((at + edge) * len(wire))])
        at += edge
    pieces.append(wire[sum(map(len, pieces)) :])
    return Given(wire, pieces, one.choice)


def as_frame(line: bytes) -> bytes:
    """The AWS frame that a line stands for.

    `event NAME PAYLOAD`, `exception NAME PAYLOAD`, `error CODE WORDS`; `chunk EVENT` holds an
    event of another dialect, and `part STRING` a piece of a stream of any.
    """
    kind, _, rest = line.partition(b" ")
    if kind == b"chunk":
        payload = b'{"bytes":"%b"}' % b64encode(rest)
        return aws_frame([(":event-type", "chunk"), (":message-type", "event")], payload)
    if kind == b"part":
        with contextlib.suppress(msgspec.DecodeError, UnicodeError):
            rest = msgspec.json.decode(rest, type=str).encode()
        return aws_frame([(":event-type", "PayloadPart"), (":message-type", "event")], rest)
    name, _, payload = rest.partition(b" ")
    words = [part.decode("ascii", "ignore")[:200] for part in (kind, name, payload)]
    if kind == b"error":
        said = [(":error-code", words[1]), (":error-message", words[2])]
        return aws_frame([*said, (":message-type", "error")], b"")
    return aws_frame([(f":{words[0]}-type", words[1]), (":message-type", words[0])], payload)
