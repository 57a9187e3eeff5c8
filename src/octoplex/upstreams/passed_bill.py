"""What a request that passes is billed: read at the side, without a change to a byte.

How a reply is read follows from the end of the request's path: `/chat/completions`, `/messages`,
`:generateContent`. Of any other operation the bill is looked for where most vendors put it
(`usage`). What says nothing is an estimate, flagged: the input as it was reserved, the output by
what was received. A request that names no model is billed where its reply names one beside a bill.

Not promised: the bill of a stream whose operation is not known here; that counts by its bytes.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Dialect
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.single.plain import read_bill
from octoplex.transport import sse
from octoplex.upstreams.stream import SPLITTERS
from octoplex.wire.ask import BYTES_PER_TOKEN, Passed
from octoplex.wire.error import UpstreamBroken, UpstreamError
from octoplex.wire.event import Usage

COMPLETIONS = "/completions"
"""Their chunks and bills are those of the Chat dialect."""
_MODEL = "MODEL"


class _Named(Struct):
    model: str | None = None


_named = msgspec.json.Decoder(_Named).decode
_events = msgspec.json.Decoder(list[Raw]).decode

Endings = Mapping[str, Dialect]
"""How the path of a chat operation ends -> the dialect of its replies."""


def endings_of(dialects: Iterable[Dialect]) -> Endings:
    """The endings of what these dialects ask; the first that has one is taken."""
    found: dict[str, Dialect] = {}
    for dialect in dialects:
        for stream in (False, True):
            path = dialect.path_for(_MODEL, stream=stream).partition("?")[0]
            if end := path.rpartition(_MODEL)[2]:
                found.setdefault(end, dialect)
    found.setdefault(COMPLETIONS, OpenAIChat())
    return found


def dialect_of(path: str, endings: Endings) -> Dialect | None:
    """The dialect that a reply to this path is in; None where that is not known."""
    path = path.partition("?")[0]
    return next((dialect for end, dialect in endings.items() if path.endswith(end)), None)


class Tally:
    """The bill of one stream, while its bytes pass. Never raises."""

    __slots__ = ("_received", "_scanner", "_splitter")

    def __init__(self, dialect: Dialect | None) -> None:
        self._received = 0
        self._scanner = dialect.scanner(hide_usage=False) if dialect else None
        self._splitter = SPLITTERS.get(dialect.name if dialect else "", sse.Splitter)()

    def feed(self, data: bytes) -> None:
        """Look at what came."""
        self._received += len(data)
        if self._scanner is None:
            return
        try:
            whole = self._splitter.feed(data)
        except UpstreamBroken:  # what cannot be cut counts by its bytes
            self._scanner = None
        else:
            if whole:
                self._scanner.feed(whole)

    def end(self) -> None:
        """It has closed: an event without its blank line is one, too."""
        if self._scanner is not None and (rest := self._splitter.rest()):
            self._scanner.feed(rest.rstrip(b"\r\n") + b"\n\n")

    def model(self, ask: Passed) -> str:
        """The model by which a stream is billed whose request named none; "" for none."""
        scanner = self._scanner
        named = ask.told and not ask.generates and scanner is not None and scanner.usage
        return scanner.model if named and scanner is not None else ""

    def usage(self, ask: Passed) -> Usage:
        """What the provider has reported so far, else an estimate."""
        scanner = self._scanner
        if not ask.generates:
            told = scanner.usage if self.model(ask) and scanner is not None else None
            return told or Usage()
        if scanner is not None and scanner.usage is not None:
            return scanner.usage
        return _guessed(ask, self._received if scanner is None else scanner.received)


def billed(ask: Passed, status: int, body: bytes, dialect: Dialect | None) -> tuple[str, Usage]:
    """The model that only a whole reply names, and what it costs: a refusal nothing, nor what
    nobody names a model of."""
    model = "" if ask.generates or not ask.told else _model(body)
    if status >= 400 or not (ask.generates or model):
        return "", Usage()
    usage = None
    try:
        usage = _told(body, dialect) if dialect else None
        usage = usage or readable(read_bill, body)
    except UpstreamError:
        pass
    if usage is None and model:
        return "", Usage()
    return model, usage or _guessed(ask, len(body))


def _model(body: bytes) -> str:
    try:
        return _named(body).model or ""
    except UNREADABLE:
        return ""


def _told(body: bytes, dialect: Dialect) -> Usage | None:
    """The bill as the dialect has it; in an array of Google's events the last one tells it."""
    try:
        return dialect.read_whole(_last(body)).usage
    except UpstreamError:
        return None


def _last(body: bytes) -> bytes:
    if not body.lstrip().startswith(b"["):
        return body
    try:
        return bytes(_events(body)[-1])
    except (*UNREADABLE, IndexError):
        return body


def _guessed(ask: Passed, received: int) -> Usage:
    worst = ask.worst_case()
    output = -(-received // BYTES_PER_TOKEN) if ask.output_tokens is None else worst.output_tokens
    return Usage(worst.input_tokens, output or 0, estimated=True)
