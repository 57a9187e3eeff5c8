"""Google Cloud's embeddings, in the two forms it has.

    gemini-embedding-*        :batchEmbedContents   a request for each text
    text-embedding-*, ...     :predict              an instance for each text

Both say how many tokens they read.

Reference: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
and https://pub.dev/documentation/googleapis/latest/aiplatform_v1/ProjectsLocationsPublishersModelsResource-class.html

Not promised: images, audio and video among the inputs; that a model takes several texts at
once; the partner's models, which take one text at a path of its own.
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable, unreadable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.gemini.verdict import judge_status
from octoplex.dialects.paths import in_path
from octoplex.dialects.single.embedding import Asked, asked, vectors
from octoplex.dialects.single.gemini_face import HINTS
from octoplex.dialects.single.plain import counted
from octoplex.dialects.single.shape import Told
from octoplex.wire.error import UpstreamError


class _Statistics(Struct, frozen=True, rename={"tokens": "tokenCount", "counted": "token_count"}):
    tokens: int | float = 0
    counted: int | float = 0
    """The same as `:predict` spells it."""


class _Vector(Struct):
    values: list[float]
    statistics: _Statistics = _Statistics()


class _Prediction(Struct):
    embeddings: _Vector


class _Bill(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | float = 0


class _Reply(Struct, rename="camel"):
    embeddings: list[_Vector] = []
    predictions: list[_Prediction] = []
    usage_metadata: _Bill = _Bill()


_read = msgspec.json.Decoder(_Reply).decode


class VertexEmbed:
    """Implements `Shape`. `now` is Unix time in seconds, for dates in `retry-after`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str) -> str:
        verb = "batchEmbedContents" if "gemini" in model else "predict"
        return f"/models/{in_path(model)}:{verb}"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        wish = asked(fields, set(HINTS))
        body = _batch(wish) if "gemini" in model else _instances(wish)
        return Encoded(msgspec.json.encode(body), wish.dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        found = [p.embeddings for p in reply.predictions] or reply.embeddings
        if not found:
            raise unreadable(body)
        counts = [v.statistics.tokens or v.statistics.counted for v in found]
        tokens = counts if any(counts) else [reply.usage_metadata.prompt_token_count]
        usage = counted(*tokens) if any(tokens) else None
        return vectors([v.values for v in found], fields, model, usage)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())


def _batch(wish: Asked) -> dict[str, object]:
    config: dict[str, object] = dict(wish.extra)
    if wish.dimensions is not None:
        config["outputDimensionality"] = wish.dimensions
    more = {"embedContentConfig": config} if config else {}
    contents = ({"role": "user", "parts": [{"text": text}]} for text in wish.texts)
    return {"requests": [{"content": content, **more} for content in contents]}


def _instances(wish: Asked) -> dict[str, object]:
    named = {"task_type" if name == "taskType" else name: raw for name, raw in wish.extra.items()}
    body: dict[str, object] = {"instances": [{"content": t, **named} for t in wish.texts]}
    if wish.dimensions is not None:
        body["parameters"] = {"outputDimensionality": wish.dimensions}
    return body
