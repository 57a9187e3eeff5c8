"""JSON Schemas of what actions take and give, in few words.

schema_of({"path": text_of("A path."), "names": list_of(TEXT)}, "path")
"""

from collections.abc import Mapping
from typing import Any

TEXT, INTEGER, BOOLEAN, OBJECT = ({"type": t} for t in ("string", "integer", "boolean", "object"))


def schema_of(properties: Mapping[str, Any], *required: str, more: bool = False) -> dict[str, Any]:
    """Of an object."""
    found: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        found["required"] = list(required)
    return {**found, "additionalProperties": more}


def text_of(description: str, most: int = 10_000) -> dict[str, Any]:
    """Of a text."""
    return {"type": "string", "maxLength": most, "description": description}


def list_of(
    items: Mapping[str, Any], description: str = "", *, least: int = 0, most: int = 0
) -> dict[str, Any]:
    """Of a list; 0 is no bound."""
    said = {"minItems": least, "maxItems": most, "description": description}
    return {"type": "array", "items": items, **{name: one for name, one in said.items() if one}}
