"""The head of a request: what is checked on every path, the verbatim one too.

The model and whether a stream is wanted stand in the URL: `read_path` reads them, and the
head leaves them empty for whoever knows the URL. Of the body, `contents` is not looked into,
and of `generationConfig` two members are.

Reference: https://ai.google.dev/api/generate-content

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import HeadFields, Place
from octoplex.dialects.foreign import GEMINI_MARK
from octoplex.dialects.gemini.names import camel, members
from octoplex.dialects.members import count_of, value_of, wrong
from octoplex.wire.error import InvalidCall, NotFound

_MARKS = (b'"inline', b'"file', GEMINI_MARK)
CONFIG = ("generationConfig", "generation_config")
_NOTHING: dict[str, Raw] = {}


def read_path(path: str, query: str = "") -> Place:
    """Read `models/NAME:OPERATION`; the version before it is the door's.

    Raises:
        InvalidCall: it names no model.
        NotFound: there is no such operation.
    """
    name, _, verb = path.strip("/").rpartition(":")
    model = name.removeprefix("models/").strip("/")
    if not model:
        raise InvalidCall(
            "The path names no model; send `models/NAME:generateContent`.", param="model"
        )
    if verb == "streamGenerateContent":
        array = parse_qs(query).get("alt", [""])[-1] != "sse"
        return Place(model, stream=True, array=array)
    if verb == "generateContent":
        return Place(model)
    if verb == "countTokens":
        return Place(model, "count_tokens")
    raise NotFound(f"There is no operation `{verb}` on models.")


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head; `model` and `stream` are the path's.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    config = _config(fields)
    return HeadFields(
        "",
        False,
        _count(config, "maxOutputTokens"),
        _count(config, "candidateCount") or 1,
        _contents(fields),
    )


def read_count_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts tokens.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    return HeadFields("", False, None, 1, _contents(asked(fields)))


def asked(fields: Mapping[str, Raw]) -> Mapping[str, Raw]:
    """The members of the request itself, which a count may carry in a member."""
    for name in ("generateContentRequest", "generate_content_request"):
        if name in fields:
            return members(fields[name], name)
    return fields


def with_limit(fields: Mapping[str, Raw], tokens: int) -> dict[str, Raw]:
    """The members with an output limit in them, every other value byte for byte."""
    name = next((n for n in CONFIG if n in fields), CONFIG[0])
    config = members(fields[name], name) if name in fields else {}
    limited = {**config, "maxOutputTokens": Raw(b"%d" % tokens)}
    return {**fields, name: Raw(msgspec.json.encode(limited))}


def _config(fields: Mapping[str, Raw]) -> Mapping[str, Raw]:
    for name in CONFIG:
        if name in fields and bytes(fields[name]) != b"null":
            return members(fields[name], name)
    return _NOTHING


def _count(config: Mapping[str, Raw], name: str) -> int | None:
    path = f"generationConfig.{name}"
    return count_of({path: config[name]}, path) if name in config else None


def _contents(fields: Mapping[str, Raw]) -> bool:
    """Check that `contents` is there and not empty.

    Returns whether it may hold media, or thinking that must be looked at (`foreign.py`).
    """
    text = bytes(fields.get("contents") or b"")
    if text[:1] not in (b"[", b"{"):
        raise wrong("contents", value_of(fields, "contents"), "a list of contents")
    if text[1:64].lstrip()[:1] in (b"]", b"}"):
        raise wrong("contents", [], "at least one content")
    return any(mark in text for mark in _MARKS)


def reference_names(fields: Mapping[str, Raw]) -> dict[str, Raw]:
    """Top-level members by the reference's names, without nulls."""
    return {camel(name): raw for name, raw in fields.items() if bytes(raw) != b"null"}
