"""A JSON Schema in the words to which a vendor holds its models.

    fitted(schema, OPENAI_STRICT)     every property required, objects closed, few keywords
    fitted(schema, CLAUDE)            objects closed, no bounds, nothing that refers to itself

What is no more than advice (`default`, `examples`, `propertyOrdering`, a `format` that is not
known) is left out. Objects that name their properties and say nothing of others are closed, as
the vendors' own SDKs do: what is valid then was valid before. A keyword that changes what is
valid makes a schema one that `OPENAI_STRICT` has no word for; for `CLAUDE` it is left out, and
`exact` says that the reply must still be checked.

Reference: https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
and https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html

A schema beyond a vendor's limits (`schema_limits.py`) is one that it has no words for.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.schema_limits import (
    CLAUDE_MOST,
    LISTS,
    NUMBERS,
    OPENAI_MOST,
    VALIDATING,
    Size,
    size_of,
)

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
_DEFS = ("$defs", "definitions")
_SHAPES = LISTS | {"type", "enum", "const"}
_PLAIN = frozenset({"type", "enum", "const", "required", "title", "description"})
_HARD = re.compile(r"\(\?|\\[bB1-9]")
"""What Claude's patterns lack: groups that look around, references back, word boundaries."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Subset(Struct, frozen=True):
    """What one vendor takes. `lossy`: other keywords may be left out, as replies are checked."""

    keywords: frozenset[str]
    formats: frozenset[str]
    optional: bool
    recursive: bool
    lossy: bool
    most: Size


OPENAI_STRICT = Subset(
    _PLAIN | NUMBERS | {"pattern", "minItems", "maxItems", "anyOf"},
    _FORMATS,
    optional=False,
    recursive=True,
    lossy=False,
    most=OPENAI_MOST,
)
CLAUDE = Subset(
    _PLAIN | {"pattern", "minItems", "anyOf", "allOf", "default"},
    _FORMATS | {"uri"},
    optional=True,
    recursive=False,
    lossy=True,
    most=CLAUDE_MOST,
)


class Fitted(Struct, frozen=True):
    """The schema to send. `exact`: whatever is valid by it is valid by the caller's."""

    schema: Raw
    exact: bool
    size: Size


class _Outside(Exception):
    """The subset has no words for it."""


def fitted(schema: Raw, subset: Subset) -> Fitted | None:
    """The schema in the words of a subset; None: it has none for it."""
    try:
        root = _decode(schema)
        fitting = _Fitting(subset, root)
        written = fitting.node(root, "#")
    except (*UNREADABLE, _Outside):
        return None
    if not subset.recursive and _is_circular(fitting.links):
        return None
    size = size_of(written)
    if not size.is_within(subset.most):
        return None
    return Fitted(Raw(_encode(written)), fitting.exact, size)


def is_object(schema: Raw) -> bool:
    """Whether the schema says at its root that it is one of an object."""
    try:
        root = _decode(schema)
    except UNREADABLE:
        return True  # the provider's to judge
    return isinstance(root, dict) and root.get("type") == "object"


class _Fitting:
    """One schema on its way. `links`: the definitions, and to which of them each refers."""

    def __init__(self, subset: Subset, root: Any) -> None:
        self._subset, self.exact = subset, True
        self.links: dict[str, set[str]] = {"#": set()}
        for word in _DEFS:
            held = root.get(word) if isinstance(root, dict) else None
            for name in held if isinstance(held, dict) else ():
                self.links[f"#/{word}/{name}"] = set()

    def node(self, found: Any, place: str) -> dict[str, Any]:
        """One node and all below it."""
        if not isinstance(found, dict):
            raise _Outside
        written: dict[str, Any] = {}
        for name, value in found.items():
            if name in _DEFS and isinstance(value, dict):
                written[name] = {k: self._definition(name, k, v, place) for k, v in value.items()}
        if "$ref" in found:
            return written | self._reference(found, place)
        if _SHAPES.isdisjoint(found):
            raise _Outside  # anything at all
        for name, value in found.items():
            self._member(name, value, written, place)
        if _is_of_object(found):
            self._close(found, written)
        return written

    def _definition(self, word: str, name: str, found: Any, place: str) -> dict[str, Any]:
        own = f"#/{word}/{name}"
        return self.node(found, own if place == "#" else place)

    def _reference(self, found: dict[str, Any], place: str) -> dict[str, Any]:
        ref = found["$ref"]
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise _Outside
        if not (VALIDATING | _SHAPES | {"properties", "required", "items"}).isdisjoint(found):
            raise _Outside
        self.links[place].add(ref if ref in self.links else "#")
        return {"$ref": ref}

    def _member(self, name: str, value: Any, written: dict[str, Any], place: str) -> None:
        match name:
            case "properties" if isinstance(value, dict):
                written[name] = {key: self.node(inner, place) for key, inner in value.items()}
            case "items":
                written[name] = self.node(value, place)
            case "enum" if self._subset.lossy and any(isinstance(v, dict | list) for v in value):
                raise _Outside
            case "oneOf" if self._subset.lossy and "anyOf" not in written:
                self.exact = False
                self._member("anyOf", value, written, place)
            case "anyOf" | "allOf" if name in self._subset.keywords and isinstance(value, list):
                if name == "allOf" and len(value) > 1:
                    raise _Outside  # closed objects in it would exclude each other
                written[name] = [self.node(inner, place) for inner in value]
            case _ if self._is_taken(name, value):
                written[name] = value
            case _ if name in VALIDATING:
                if not self._subset.lossy:
                    raise _Outside
                self.exact = False

    def _is_taken(self, name: str, value: Any) -> bool:
        if name == "format":
            return value in self._subset.formats
        if name not in self._subset.keywords or not self._subset.lossy:
            return name in self._subset.keywords
        if name == "pattern":
            return isinstance(value, str) and _HARD.search(value) is None
        return name != "minItems" or value in (0, 1)

    def _close(self, found: dict[str, Any], written: dict[str, Any]) -> None:
        properties = found.get("properties")
        says = found.get("additionalProperties")
        open_ = says not in (None, False) or (says is None and not isinstance(properties, dict))
        if open_ or not LISTS.isdisjoint(found):
            raise _Outside
        required = found.get("required", [])
        if not self._subset.optional and set(properties or ()) != set(required):
            raise _Outside
        written["additionalProperties"] = False


def _is_of_object(found: dict[str, Any]) -> bool:
    type_ = found.get("type")
    return "properties" in found or "object" in (type_ if isinstance(type_, list) else [type_])


def _is_circular(links: dict[str, set[str]]) -> bool:
    """Whether a definition leads back to itself."""
    left = dict(links)
    while ends := [place for place, to in left.items() if to.isdisjoint(left)]:
        for place in ends:
            del left[place]
    return bool(left)
