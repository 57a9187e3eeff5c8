"""Voyage's embeddings and reranking: OpenAI's and Cohere's with some names changed.

References: https://docs.voyageai.com/reference/embeddings-api,
https://docs.voyageai.com/reference/reranker-api
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import readable
from octoplex.dialects.dialect import Encoded
from octoplex.dialects.single.plain import Bill, Plain, billed
from octoplex.dialects.single.shape import Told

_TAKEN = frozenset({"query", "documents", "return_documents", "truncation"})


class _Reply(Struct):
    data: list[Raw]
    model: str | None = None
    usage: Bill | None = None


_read = msgspec.json.Decoder(_Reply).decode


class VoyageEmbed(Plain):
    """Implements `Shape`: `output_dimension` for `dimensions`, base64 or no encoding."""

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        body = dict(fields)
        if "dimensions" in body:
            body["output_dimension"] = body.pop("dimensions")
        if bytes(body.get("encoding_format", b"")) == b'"float"':
            del body["encoding_format"]  # what comes without one
        dropped = ("user",) if body.pop("user", None) is not None else ()
        encoded = super().write(body, model)
        return Encoded(encoded.body, encoded.dropped + dropped)


class VoyageRerank(Plain):
    """Implements `Shape`."""

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        body = {name: raw for name, raw in fields.items() if name in _TAKEN}
        if "top_n" in fields:
            body["top_k"] = fields["top_n"]
        ours = {"model", "models", "top_n"}
        dropped = tuple(name for name in fields if name not in _TAKEN | ours)
        return Encoded(msgspec.json.encode({"model": model, **body}), dropped)

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        reply = readable(_read, body)
        usage = billed(reply.usage, None)
        tokens = {"total_tokens": usage.input_tokens if usage is not None else 0}
        told = {"model": reply.model or model, "results": reply.data, "usage": tokens}
        return Told(msgspec.json.encode(told), usage, reply.model or model)
