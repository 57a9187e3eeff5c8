"""GigaChat's embeddings: OpenAI's, with a bill for each text and floats only.

Reference: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-embeddings
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.single.embedding import asked, vectors
from octoplex.dialects.single.plain import counted
from octoplex.dialects.single.shape import Told
from octoplex.wire.error import Unsupported, UpstreamError


class _Bill(Struct):
    prompt_tokens: int | float | None = None


class _Vector(Struct):
    embedding: list[float]
    usage: _Bill | None = None


class _Reply(Struct):
    data: list[_Vector]


_read = msgspec.json.Decoder(_Reply).decode


class GigaChatEmbed:
    """Implements `Shape`. `now` is Unix time in seconds, for dates in `retry-after`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str) -> str:
        return "/embeddings"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        wish = asked(fields, set())
        if wish.dimensions is not None:
            why = "`dimensions` cannot be chosen here; leave it out, or choose another model."
            raise Unsupported(why, param="dimensions")
        return Encoded(msgspec.json.encode({"model": model, "input": wish.texts}), wish.dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        data = readable(_read, body).data
        bills = [one.usage.prompt_tokens for one in data if one.usage is not None]
        usage = counted(*bills) if bills else None
        return vectors([one.embedding for one in data], fields, model, usage)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
