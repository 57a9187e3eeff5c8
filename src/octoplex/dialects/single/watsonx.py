"""Embeddings and reranking of watsonx.ai: `inputs` for a project or a space, `results` back.

References: https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings,
https://cloud.ibm.com/apidocs/watsonx-ai#text-rerank

Not promised: a size of vectors other than the model's; members of documents beside their text.
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.members import UNREADABLE, count_of, value_of, wrong
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.single.embedding import asked, vectors
from octoplex.dialects.single.plain import counted
from octoplex.dialects.single.shape import Told
from octoplex.dialects.watsonx.request import payer
from octoplex.wire.error import Unsupported, UpstreamError
from octoplex.wire.event import Usage

_OURS = frozenset({"model", "models", "query", "documents", "top_n", "return_documents"})


class _Text(Struct):
    text: str = ""


class _Vector(Struct):
    embedding: list[float]


class _Rank(Struct):
    index: int
    score: float
    input: _Text | None = None


class _Embedded(Struct):
    results: list[_Vector]
    input_token_count: int | float | None = None


class _Ranked(Struct):
    results: list[_Rank]
    input_token_count: int | float | None = None


_read_vectors = msgspec.json.Decoder(_Embedded).decode
_read_ranks = msgspec.json.Decoder(_Ranked).decode
_documents = msgspec.json.Decoder(list[str | _Text]).decode


class WatsonxEmbed:
    """Implements `Shape`. `now` is Unix time in seconds, for dates in `retry-after`."""

    def __init__(self, account: Mapping[str, str], now: Callable[[], float] = time.time) -> None:
        self._payer, self._now = payer(account), now

    def path_for(self, model: str) -> str:
        return "/text/embeddings"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        wish = asked(fields, {"parameters"})
        if wish.dimensions is not None:
            why = "`dimensions` cannot be chosen here; leave it out, or choose another model."
            raise Unsupported(why, param="dimensions")
        body = {"model_id": model, **self._payer, "inputs": wish.texts, **wish.extra}
        return Encoded(msgspec.json.encode(body), wish.dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read_vectors, body)
        usage = _bill(reply.input_token_count)
        found = [one.embedding for one in reply.results]
        return vectors(found, fields, model, usage)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())


class WatsonxRerank(WatsonxEmbed):
    """Implements `Shape`."""

    def path_for(self, model: str) -> str:
        return "/text/rerank"

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        try:
            found = _documents(fields.get("documents", Raw(b"[]")))
        except UNREADABLE:
            found = []
        if not found:
            raise wrong("documents", value_of(fields, "documents"), "a list of texts")
        options: dict[str, object] = {"inputs": value_of(fields, "return_documents") is True}
        most = count_of(fields, "top_n")
        if most is not None:
            options["top_n"] = most
        texts = [{"text": one} if isinstance(one, str) else one for one in found]
        body = {
            "model_id": model,
            **self._payer,
            "query": value_of(fields, "query"),
            "inputs": texts,
            "parameters": {"return_options": options},
        }
        dropped = tuple(name for name in fields if name not in _OURS)
        return Encoded(msgspec.json.encode(body), dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read_ranks, body)
        usage = _bill(reply.input_token_count)
        ranks = [
            {"index": one.index, "relevance_score": one.score}
            | ({} if one.input is None else {"document": one.input})
            for one in reply.results
        ]
        tokens = {"total_tokens": usage.input_tokens if usage is not None else 0}
        told = {"model": model, "results": ranks, "usage": tokens}
        return Told(msgspec.json.encode(told), usage, model)


def _bill(tokens: int | float | None) -> Usage | None:
    return None if tokens is None else counted(tokens)
