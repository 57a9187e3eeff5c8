"""An operation in the caller's own shape: the body passes but for `model`, the reply as it is.

Usage is read where vendors put it: `usage` of OpenAI, Voyage and Jina, `meta.billed_units`
of Cohere, `tokens` of SiliconFlow's rankings.

References: https://developers.openai.com/api/reference/resources/embeddings,
https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc

Not promised: anything about members that are not named here; they are the provider's.
"""

import time
from collections.abc import Callable, Mapping
from math import ceil

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.single.gemini_face import HINTS
from octoplex.dialects.single.held import MEMBERS, check
from octoplex.dialects.single.shape import Told
from octoplex.dialects.verbatim import join
from octoplex.wire.ask import Operation
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Usage, is_possible

_NOT_HERE = frozenset({"models", *HINTS})


class Bill(Struct):
    """`usage` as OpenAI, Voyage and Jina send it; newer operations of OpenAI's say input."""

    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    total_tokens: int | float | None = None


class _Units(Struct):
    input_tokens: int | float | None = None
    search_units: int | float | None = None


class Meta(Struct):
    """`meta` as Cohere sends it."""

    billed_units: _Units | None = None


class _Reply(Struct):
    model: str | None = None
    usage: Bill | None = None
    tokens: Bill | None = None
    meta: Meta | None = None
    data: list[Raw] | None = None
    embeddings: list[Raw] | None = None
    results: list[Raw] | None = None
    choices: list[Raw] | None = None


class _Billed(Struct):
    usage: Bill | None = None
    tokens: Bill | None = None
    meta: Meta | None = None


_read = msgspec.json.Decoder(_Reply).decode
_read_bill = msgspec.json.Decoder(_Billed).decode


class Plain:
    """Implements `Shape` for a provider that takes the caller's shape.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    def __init__(self, op: Operation, path: str, now: Callable[[], float] = time.time) -> None:
        self._op, self._path, self._now = op, path, now

    def path_for(self, model: str) -> str:
        return self._path

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        kept = {name: raw for name, raw in fields.items() if name not in _NOT_HERE}
        dropped = tuple(name for name in HINTS if name in fields)
        return Encoded(join({**kept, "model": Raw(msgspec.json.encode(model))}), dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        lists = (getattr(reply, name) for name in MEMBERS[self._op])
        check(self._op, next((made for made in lists if made is not None), None), fields)
        return Told(body, billed(reply.usage or reply.tokens, reply.meta), reply.model or "")

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())


def billed(usage: Bill | None, meta: Meta | None) -> Usage | None:
    """The tokens of a bill, and the searches of a ranking that is sold by them."""
    if usage is not None:
        wrote, read = usage.completion_tokens, usage.prompt_tokens
        wrote = usage.output_tokens if wrote is None else wrote
        read = usage.input_tokens if read is None else read
        if read is None and usage.total_tokens is not None:
            read = usage.total_tokens - (wrote or 0)
        return None if read is None else counted(read, output=wrote)
    units = meta.billed_units if meta is not None else None
    if units is None or (units.input_tokens is None and units.search_units is None):
        return None
    tokens, searches = counted(units.input_tokens), units.search_units or 0
    if tokens is None or not is_possible(searches):
        return None
    return replace(tokens, searches=ceil(searches)) if searches else tokens


def read_bill(body: bytes) -> Usage | None:
    """The bill of a JSON reply of whatever operation, where most vendors put it."""
    reply = _read_bill(body)
    return billed(reply.usage or reply.tokens, reply.meta)


def counted(*read: float | None, output: float | None = None) -> Usage | None:
    """The usage of what was read, in one count or several; None when one of them cannot be."""
    if not is_possible(*read, output):
        return None
    return Usage(sum(int(count or 0) for count in read), int(output or 0))
