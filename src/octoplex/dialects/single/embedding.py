"""OpenAI's embeddings as callers ask for them: read for a provider that says it otherwise.

The SDKs ask for base64 unless told not to: little-endian 32-bit floats.

Reference: https://developers.openai.com/api/reference/resources/embeddings/methods/create
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from struct import pack

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE, count_of, value_of, wrong
from octoplex.dialects.single.held import check
from octoplex.dialects.single.shape import Told
from octoplex.wire.ask import BYTES_PER_TOKEN
from octoplex.wire.error import Unsupported
from octoplex.wire.event import Usage

_texts = msgspec.json.Decoder(str | list[str]).decode
_OURS = frozenset({"model", "models", "input", "dimensions", "encoding_format"})


class Asked(Struct, frozen=True):
    """What a caller wants embedded. `extra` are members that the provider has too."""

    texts: list[str]
    dimensions: int | None
    extra: dict[str, Raw]
    dropped: tuple[str, ...]


def asked(fields: Mapping[str, Raw], also: set[str]) -> Asked:
    """Read a request; members that are neither OpenAI's nor in `also` are dropped and named.

    Raises:
        InvalidCall: `input` is missing or empty.
        Unsupported: `input` is tokens, which only OpenAI's own models read.
    """
    raw = fields.get("input")
    if raw is None:
        raise wrong("input", None, "a text, or a list of texts")
    try:
        found = _texts(raw)
    except UNREADABLE:
        raise Unsupported(
            "`input` must be a text or a list of texts for this model; tokens mean nothing to it.",
            param="input",
        ) from None
    texts = [found] if isinstance(found, str) else found
    if not texts or not all(texts):
        raise wrong("input", texts, "at least one text, and none empty")
    extra = {name: raw for name, raw in fields.items() if name in also}
    dropped = tuple(name for name in fields if name not in _OURS and name not in also)
    return Asked(texts, count_of(fields, "dimensions"), extra, dropped)


def vectors(
    found: Sequence[Sequence[float]], fields: Mapping[str, Raw], model: str, usage: Usage | None
) -> Told:
    """The reply in OpenAI's shape, in the encoding that was asked for.

    Without a bill its usage is an estimate, flagged: the bytes of each text / 3, rounded up.

    Raises:
        UpstreamBroken: they are not one for each input.
    """
    check("embed", found, fields)
    packed = value_of(fields, "encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": b64encode(pack(f"<{len(v)}f", *v)).decode() if packed else v,
        }
        for index, v in enumerate(found)
    ]
    if usage is None:
        texts = asked(fields, set()).texts
        tokens = sum(-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts)
        usage = Usage(tokens, estimated=True)
    tokens = usage.input_tokens
    bill = {"prompt_tokens": tokens, "total_tokens": tokens}
    reply = {"object": "list", "data": data, "model": model, "usage": bill}
    return Told(msgspec.json.encode(reply), usage, model)
