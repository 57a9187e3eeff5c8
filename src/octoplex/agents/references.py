"""Values that stand for others: `{"$from": STEP, "at": POINTER}` and `{"$item": POINTER}`.

    sources({"rows": {"$from": "read", "at": "/rows"}})      -> {"read"}
    resolved(value, lambda step: outputs[step], item)        -> the value without references

A pointer that leads nowhere is an error, never null: a step that was given nothing would make
something up.

Reference: RFC 6901 (JSON Pointer).
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from octoplex.agents.words import Failed

NOWHERE = object()
Source = Callable[[str], Any]
"""The output of a step."""


def is_from(value: Any) -> bool:
    """Whether a value stands for a part of a step's output."""
    return isinstance(value, dict) and "$from" in value


def is_item(value: Any) -> bool:
    """Whether a value stands for a part of the element at hand."""
    return isinstance(value, dict) and "$item" in value


def references(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All references in a value, with where they stand (a pointer)."""
    if is_from(value) or is_item(value):
        yield place, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from references(part, f"{place}/{escaped(str(name))}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from references(part, f"{place}/{index}")


def sources(value: Any) -> set[str]:
    """The steps that a value refers to."""
    return {str(ref["$from"]) for _, ref in references(value) if "$from" in ref}


def escaped(name: str) -> str:
    """A member's name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def parts_of(pointer: str) -> list[str]:
    """The names in a pointer; raises `ValueError` where it is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError(f'{pointer!r} is no JSON pointer: it must be "" or begin with "/"')
    return [p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]


def at(value: Any, pointer: str) -> Any:
    """What a pointer leads to in a value, `NOWHERE` where that is nothing."""
    for part in parts_of(pointer):
        if isinstance(value, dict):
            value = value.get(part, NOWHERE)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return NOWHERE
        if value is NOWHERE:
            return NOWHERE
    return value


def resolved(value: Any, source: Source, item: Any = NOWHERE) -> Any:
    """A value with what its references stand for.

    Raises:
        Failed: one of them leads nowhere.
    """
    if is_from(value):
        step, pointer = str(value["$from"]), str(value.get("at", ""))
        return _found(source(step), pointer, f'the output of step "{step}"')
    if is_item(value):
        return _found(item, str(value["$item"]), "the element at hand")
    if isinstance(value, dict):
        return {name: resolved(part, source, item) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(part, source, item) for part in value]
    return value


def _found(value: Any, pointer: str, what: str) -> Any:
    found = NOWHERE if value is NOWHERE else at(value, pointer)
    if found is NOWHERE:
        there = f" (there are: {', '.join(list(value)[:10])})" if isinstance(value, dict) else ""
        raise Failed("failed", f'there is nothing at "{pointer}" of {what}{there}')
    return found


def renamed(value: Any, names: dict[str, str]) -> Any:
    """A value whose references name steps by their new names."""
    if is_from(value):
        return {**value, "$from": names.get(value["$from"], value["$from"])}
    if isinstance(value, dict):
        return {name: renamed(part, names) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [renamed(part, names) for part in value]
    return value


def without(value: Any, steps: Collection[str]) -> Any:
    """A value in which null stands for what these steps would have given."""
    if is_from(value):
        return None if value["$from"] in steps else value
    if isinstance(value, dict):
        return {name: without(part, steps) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without(part, steps) for part in value]
    return value
