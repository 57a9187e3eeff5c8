"""JSON Schemas of inputs and outputs: read once, and asked about values, or plans of values.

    Schemas().faults(schema, {"path": 7}, "input")                    -> ["input/path: ..."]
    Schemas().open_faults(schema, {"path": {"$from": "read"}})        -> []
    inside(schema, ["rows", "0"])       -> the schema of that part, {} unknown, None: there is none

Patterns are linear in time (RE2's kind), and nothing that a schema refers to is fetched.

Not promised: an end to a check of a schema whose own references multiply. Offers come with the
arms that the configuration names; schemas that models write have no references (`faults.py`).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from octoplex.agents.references import at, is_from, is_item, references

MOST_ERRORS = 4
DEEPEST = 100
"""Lists and objects within each other: what is deeper, code that follows it cannot hold."""
_CERTAIN = {
    "type",
    "required",
    "additionalProperties",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
}
"""Keywords that are broken by a value with references inside, whatever those stand for."""
_REFERS = re.compile(rb'"\$(?:ref|dynamicRef|recursiveRef)"')
_json = msgspec.json.Encoder().encode


class Schemas:
    """Validators by their schemas."""

    def __init__(self) -> None:
        self._made: dict[bytes, Any] = {}

    def faults(self, schema: dict[str, Any], value: Any, what: str = "value") -> list[str]:
        """What is wrong with a value. What looks like a reference in it is none: a model or a
        stranger could write one to pass."""
        if is_too_deep(value):
            return [f"{what}: it is nested more than {DEEPEST} times; make it flatter"]
        return list(islice(self._errors(schema, value, what, is_open=False), MOST_ERRORS))

    def open_faults(self, schema: dict[str, Any], value: Any, what: str = "value") -> list[str]:
        """What is wrong with a value in a plan; references in it stand for anything."""
        return list(islice(self._errors(schema, value, what, is_open=True), MOST_ERRORS))

    def refusal(self, schema: dict[str, Any]) -> str:
        """Why something is no schema, "" where it is one."""
        try:
            self._of(schema)
        except ValueError as error:
            return f"this is no JSON Schema: {getattr(error, 'message', error)!s:.200}"
        return ""

    def _errors(
        self, schema: dict[str, Any], value: Any, what: str, *, is_open: bool
    ) -> Iterator[str]:
        if not schema:
            return
        try:
            errors = self._of(schema).iter_errors(value)
        except ValueError as error:
            yield f"its schema cannot be used: {getattr(error, 'message', error)!s:.200}"
            return
        for wrong in errors:
            path = [str(part) for part in wrong.instance_path]
            if not (is_open and _is_open(value, path, str(wrong.schema_path[-1]))):
                yield f"{'/'.join([what, *path])}: {wrong.message!s:.300}"

    def _of(self, schema: dict[str, Any]) -> Any:
        from jsonschema_rs import RegexOptions, validator_for  # 7 MB, that only plans need

        text = _json(schema)
        if text not in self._made:
            self._made[text] = validator_for(schema, offline=True, pattern_options=RegexOptions())
        return self._made[text]


def refers_elsewhere(schema: Any) -> bool:
    """Whether it refers to a schema. Without that a check takes time in proportion to the schema;
    with it, it may take hours."""
    return bool(_REFERS.search(_json(schema)))


def schema_from(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a type, whose root is the type's own, as models want it."""
    found = msgspec.json.schema(kind)
    parts = found.pop("$defs", {})
    top = found.get("$ref", "").rpartition("/")[2]
    if top in parts:
        found = parts.pop(top)
    return {**found, "$defs": parts} if parts else found


def is_too_deep(value: Any, most: int = DEEPEST) -> bool:
    """Whether lists and objects are within each other more often than that."""
    level = [value]
    for _ in range(most + 1):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _is_open(value: Any, path: list[str], keyword: str) -> bool:
    """Whether an error is about what a reference stands for, so that nobody can know yet."""
    for part in path:
        if is_from(value) or is_item(value):
            return True
        value = value[int(part)] if isinstance(value, list) else value[part]
    if is_from(value) or is_item(value):
        return True
    return keyword not in _CERTAIN and any(references(value))


def inside(schema: dict[str, Any], parts: list[str]) -> dict[str, Any] | None:
    """The schema of a part of what a schema describes; {}: anything; None: there is no such part.

    Only what is certain is followed: properties, items, additionalProperties and local "$ref"s.
    """
    root = schema
    for part in parts:
        schema = _followed(schema, root)
        if any(word in schema for word in ("anyOf", "oneOf", "allOf", "if", "patternProperties")):
            return {}
        below = _child(schema, part)
        if below is None or below is False:
            return None
        schema = below if isinstance(below, dict) else {}
    return _followed(schema, root)


def _child(schema: dict[str, Any], part: str) -> Any:
    properties = schema.get("properties", {})
    if part in properties:
        return properties[part]
    if schema.get("type") == "array" or (part.isdecimal() and "items" in schema):
        return schema.get("items", True) if part.isdecimal() else None
    if schema.get("type") in ("string", "number", "integer", "boolean", "null"):
        return None
    open_ = schema.get("additionalProperties", not properties)
    # a schema that names properties and says nothing of others is meant to have no others
    return open_


def _followed(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for _ in range(8):
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return schema
        found = at(root, ref[1:]) if ref.startswith("#") else None
        if not isinstance(found, dict):
            return {}
        schema = found
    return {}


def fits(there: dict[str, Any], wanted: Any) -> bool:
    """Whether a value of one schema may be valid against another, as far as their types say."""
    if not isinstance(wanted, dict):
        return True
    has, must = _types(there), _types(wanted)
    return not has or not must or bool(has & must)


def _types(schema: dict[str, Any]) -> set[str]:
    said = schema.get("type", [])
    types = {said} if isinstance(said, str) else set(said)
    return types | {"number", "integer"} if types & {"number", "integer"} else types
