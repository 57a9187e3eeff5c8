"""Gemini's own embeddings: a batch of contents, and a list of values for each.

Its replies bear no bill, so usage is an estimate and flagged.

Reference: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.gemini.verdict import judge_status
from octoplex.dialects.paths import in_path
from octoplex.dialects.single.embedding import asked, vectors
from octoplex.dialects.single.shape import Told
from octoplex.wire.error import UpstreamError


class _Values(Struct):
    values: list[float] = []


class _Reply(Struct):
    embeddings: list[_Values]


_read = msgspec.json.Decoder(_Reply).decode


class GeminiEmbed:
    """Implements `Shape`. `now` is Unix time in seconds, for dates in `retry-after`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str) -> str:
        return f"/models/{in_path(model.removeprefix('models/'), '/')}:batchEmbedContents"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        wish = asked(fields, {"taskType", "title"})
        name = f"models/{model.removeprefix('models/')}"
        size = {} if wish.dimensions is None else {"outputDimensionality": wish.dimensions}
        requests = [
            {"model": name, "content": {"parts": [{"text": text}]}, **size, **wish.extra}
            for text in wish.texts
        ]
        return Encoded(msgspec.json.encode({"requests": requests}), wish.dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        found = [one.values for one in reply.embeddings]
        return vectors(found, fields, model, None)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
