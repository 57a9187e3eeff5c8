"""Typed values from the JSON of a transcript.

msgspec writes a `Chat` as JSON but cannot read one back: it does not know `Raw | None`.
So the types' own annotations are followed here. Members that have their default may be
left out of a transcript; `plain` leaves them out too, so that both sides compare equal.
"""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct


def build(kind: Any, value: Any) -> Any:
    """Make a value of type `kind` from JSON builtins."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _one_of(get_args(kind), value)
    if kind is Raw:
        return Raw(msgspec.json.encode(value))
    if origin is tuple:
        return tuple(build(get_args(kind)[0], item) for item in value)
    if origin is dict:
        return {key: build(get_args(kind)[1], item) for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = get_type_hints(kind)
        return kind(**{k: build(hints[k], v) for k, v in value.items() if k != "type"})
    if origin is Literal:
        assert value in get_args(kind), value
    return value


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        assert NoneType in kinds
        return None
    if Raw in kinds:
        return build(Raw, value)
    structs = [k for k in kinds if isinstance(k, type) and issubclass(k, Struct)]
    if len(structs) > 1:
        return build(next(k for k in structs if k.__struct_config__.tag == value["type"]), value)
    return build(structs[0], value) if structs else value


def plain(value: Any) -> Any:
    """JSON builtins of a typed value, without members that have their default."""
    if isinstance(value, Struct):
        members = {
            f.name: plain(getattr(value, f.name))
            for f in msgspec.structs.fields(value)
            if f.required or getattr(value, f.name) != _default(f)
        }
        tag = value.__struct_config__.tag
        return {"type": tag, **members} if tag else members
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()
