"""The subset of OpenAPI's schemas that Gemini's older members take -> JSON Schema.

Types are written in capitals there, `nullable` stands for a type that may be null, whole
numbers may be strings, and `format: "enum"` says no more than `enum`.

Reference: https://ai.google.dev/api/caching#Schema

Not promised: anything about keywords outside the subset; they stay as they are.
"""

from typing import Any

import msgspec
from msgspec import Raw

from octoplex.dialects.gemini.names import camel

_NUMBERS = frozenset(
    {"minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"}
)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def json_schema(raw: Raw) -> Raw:
    """The same as JSON Schema.

    Raises:
        msgspec.DecodeError, RecursionError: it is no JSON, or too deep.
    """
    return Raw(_encode(_schema(_decode(raw))))


def _schema(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    schema = {camel(name): value for name, value in found.items()}
    nullable = schema.pop("nullable", False)
    if schema.get("format") == "enum":
        del schema["format"]
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            schema[name] = [value.lower(), "null"] if nullable else value.lower()
        elif name == "properties" and isinstance(value, dict):
            schema[name] = {key: _schema(inner) for key, inner in value.items()}
        elif name == "items":
            schema[name] = _schema(value)
        elif name == "anyOf" and isinstance(value, list):
            schema[name] = [_schema(inner) for inner in value]
        elif name in _NUMBERS and isinstance(value, str) and value.isdecimal():
            schema[name] = int(value)
    return schema
