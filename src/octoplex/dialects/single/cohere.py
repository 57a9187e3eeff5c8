"""Cohere's own embeddings (v2): texts, a wanted purpose, and vectors by type.

Reference: https://docs.cohere.com/reference/embed

Not promised: images among the inputs, and tokens instead of text.
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.cohere_v2.verdict import judge_status
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.single.embedding import asked, vectors
from octoplex.dialects.single.plain import Meta, billed
from octoplex.dialects.single.shape import Told
from octoplex.wire.error import UpstreamError

DOCUMENT = "search_document"
"""The purpose of a text when its caller names none: what is stored, to be found later."""


class _Vectors(Struct):
    floats: list[list[float]] = msgspec.field(default_factory=list, name="float")


class _Reply(Struct):
    embeddings: _Vectors
    meta: Meta | None = None


_read = msgspec.json.Decoder(_Reply).decode


class CohereEmbed:
    """Implements `Shape`. `now` is Unix time in seconds, for dates in `retry-after`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str) -> str:
        return "/embed"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        wish = asked(fields, {"input_type", "truncate"})
        body: dict[str, object] = {
            "model": model,
            "texts": wish.texts,
            "input_type": DOCUMENT,
            "embedding_types": ["float"],
            **wish.extra,
        }
        if wish.dimensions is not None:
            body["output_dimension"] = wish.dimensions
        return Encoded(msgspec.json.encode(body), wish.dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        usage = billed(None, reply.meta)
        return vectors(reply.embeddings.floats, fields, model, usage)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
