"""A Gemini caller's embeddings, in the words of OpenAI's and back.

Reference: https://ai.google.dev/api/embeddings

Not promised: different purposes, titles or sizes within one batch.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct, field

from octoplex.dialects.broken import readable
from octoplex.dialects.gemini.names import camel
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.readers import complaint
from octoplex.wire.error import InvalidCall

VERBS = ("embedContent", "batchEmbedContents")
HINTS = ("taskType", "title")
"""What only Gemini's own models understand."""


class _Part(Struct):
    text: str


class _Content(Struct):
    parts: list[_Part]


class _One(Struct):
    content: _Content | str
    size: int | None = field(default=None, name="outputDimensionality")


class _Vector(Struct):
    embedding: list[float]


class _Reply(Struct):
    data: list[_Vector]


_members = msgspec.json.Decoder(dict[str, Raw]).decode
_requests = msgspec.json.Decoder(list[Raw]).decode
_one = msgspec.json.Decoder(_One).decode
_reply = msgspec.json.Decoder(_Reply).decode
_json = msgspec.json.encode


def read_embed(fields: Mapping[str, Raw], model: str, verb: str) -> dict[str, Raw]:
    """The members of the same request in OpenAI's words.

    Raises:
        InvalidCall: naming what is wrong.
    """
    try:
        batch = verb == VERBS[1]
        raws = _requests(fields.get("requests", Raw(b"[]"))) if batch else [Raw(_json(fields))]
        named = [{camel(name): raw for name, raw in _members(raw).items()} for raw in raws]
        ones = [_one(_json(members)) for members in named]
    except UNREADABLE as error:
        raise complaint(error, "requests" if verb == VERBS[1] else "content") from None
    if not ones or len({one.size for one in ones}) > 1:
        raise InvalidCall("A batch needs at least one content, all of one size.", param="requests")
    texts = [
        one.content
        if isinstance(one.content, str)
        else "".join([p.text for p in one.content.parts])
        for one in ones
    ]
    asked: dict[str, object] = {"model": model, "input": texts, "encoding_format": "float"}
    if ones[0].size is not None:
        asked["dimensions"] = ones[0].size
    asked |= {name: named[0][name] for name in HINTS if name in named[0]}
    return _members(_json(asked))


def write_embed(body: bytes, verb: str) -> bytes:
    """The reply in Gemini's words.

    Raises:
        UpstreamBroken: it holds no vectors.
    """
    values = [{"values": vector.embedding} for vector in readable(_reply, body).data]
    return _json({"embeddings": values} if verb == VERBS[1] else {"embedding": values[0]})
