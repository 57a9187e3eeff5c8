"""Reranking of vendors that call documents otherwise and give each a `score`.

    {"query", "documents", "top_n", "return_documents"}     what came
    {"query", "input",     "top_k", "return_input"}         at Mixedbread
    {"query", "texts",     -,       "return_text"}          at Text Embeddings Inference

A reply is turned back into Cohere's and Jina's: `results` with a `relevance_score`.

References: https://www.mixedbread.com/api-reference/endpoints/reranking,
https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/rerank

Not promised: members of a caller that have no counterpart; they are named as dropped.
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.readers import complaint
from octoplex.dialects.single.plain import Bill, Plain, billed
from octoplex.dialects.single.shape import Told

_MIXEDBREAD: Mapping[str, str] = {
    "query": "query",
    "documents": "input",
    "top_n": "top_k",
    "return_documents": "return_input",
    "rank_fields": "rank_fields",
}
_TEI: Mapping[str, str] = {
    "query": "query",
    "documents": "texts",
    "return_documents": "return_text",
    "truncate": "truncate",
    "raw_scores": "raw_scores",
}
_OURS = frozenset({"model", "models", "top_n"})


class _Rank(Struct):
    index: int
    score: float
    input: Raw = Raw()
    text: Raw = Raw()


class _Reply(Struct):
    data: list[_Rank]
    model: str | None = None
    usage: Bill | None = None


_read = msgspec.json.Decoder(_Reply).decode
_read_list = msgspec.json.Decoder(list[_Rank]).decode
_count: Callable[[Raw], int | None] = msgspec.json.Decoder(int | None).decode


class MixedbreadRerank(Plain):
    """Implements `Shape`."""

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        body, dropped = _renamed(fields, _MIXEDBREAD)
        return Encoded(msgspec.json.encode({"model": model, **body}), dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        usage = billed(reply.usage, None)
        told: dict[str, object] = {"model": reply.model or model, "results": _results(reply.data)}
        told["usage"] = {"total_tokens": usage.input_tokens if usage is not None else 0}
        return Told(msgspec.json.encode(told), usage, reply.model or model)


class TeiRerank(Plain):
    """Implements `Shape`: one model, which no request names, and all of the documents, always."""

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        _most(fields)
        body, dropped = _renamed(fields, _TEI)
        return Encoded(msgspec.json.encode(body), dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        ranks = sorted(readable(_read_list, body), key=lambda rank: -rank.score)
        most = _most(fields)
        told = {"model": model, "results": _results(ranks[:most])}
        return Told(msgspec.json.encode(told), None, model)


def _most(fields: Mapping[str, Raw]) -> int | None:
    """How many documents are wanted; None for all."""
    try:
        return _count(fields.get("top_n", Raw(b"null")))
    except UNREADABLE as error:
        raise complaint(error, "top_n") from None


def _renamed(
    fields: Mapping[str, Raw], names: Mapping[str, str]
) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """The members by the vendor's names, and those that it has none for."""
    body = {names[name]: raw for name, raw in fields.items() if name in names}
    return body, tuple(name for name in fields if name not in names and name not in _OURS)


def _results(ranks: list[_Rank]) -> list[dict[str, object]]:
    results: list[dict[str, object]] = []
    for rank in ranks:
        one: dict[str, object] = {"index": rank.index, "relevance_score": rank.score}
        document = rank.input or rank.text
        if document and bytes(document) != b"null":
            one["document"] = {"text": document} if bytes(document)[:1] == b'"' else document
        results.append(one)
    return results
