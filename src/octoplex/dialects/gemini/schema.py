"""The subset of OpenAPI's schemas that Gemini's older members take -> JSON Schema.

Types are written in capitals there, `nullable` stands for a type that may be null, whole
numbers may be strings, `format: "enum"` says no more than `enum`, and `propertyOrdering` names
the order in which the properties of a JSON Schema stand.

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
_ORDERING = b"propertyOrdering"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def json_schema(raw: Raw) -> Raw:
    """The same as JSON Schema.

    Raises:
        msgspec.DecodeError, RecursionError: it is no JSON, or too deep.
    """
    return Raw(_encode(_schema(_decode(raw))))


def ordered(raw: Raw) -> Raw:
    """A JSON Schema whose properties stand in the order that `propertyOrdering` names.

    Raises:
        msgspec.DecodeError, RecursionError: it is no JSON, or too deep.
    """
    return Raw(_encode(_ordered(_decode(raw)))) if _ORDERING in bytes(raw) else raw


def _ordered(found: Any) -> Any:
    if isinstance(found, list):
        return [_ordered(inner) for inner in found]
    if not isinstance(found, dict):
        return found
    return _in_order({name: _ordered(value) for name, value in found.items()})


def _in_order(schema: dict[str, Any]) -> dict[str, Any]:
    """Keys of an object are read in their order, also by vendors who lack the keyword."""
    if not isinstance(order := schema.get("propertyOrdering"), list):
        return schema
    del schema["propertyOrdering"]
    held = schema.get("properties")
    if isinstance(held, dict):
        first = {name: held[name] for name in order if isinstance(name, str) and name in held}
        schema["properties"] = first | held
    return schema


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
    return _in_order(schema)
