"""What every target shares: one input cut into pieces, coroutines without a loop, sizes.

An input is bytes on the wire and, behind them, how they arrive. Its last byte says how many
cuts there are (low three bits; 7: as many as make 64 pieces) and makes a choice that a target
may use (high five bits). The bytes before it, one per cut, say where.
"""

import json
from collections.abc import Coroutine
from itertools import pairwise
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, BaseException)


class Given(Struct, frozen=True):
    """One input."""

    wire: bytes
    pieces: list[bytes]
    choice: int = 0


def given(data: bytes) -> Given:
    """Read an input; any bytes are one."""
    last = data[-1] if data else 0
    cuts = last & 7
    if cuts == 7:
        wire = data[:-1]
        size = -(-len(wire) // 64) or 1
        return Given(wire, [wire[i : i + size] for i in range(0, len(wire), size)], last >> 3)
    end = max(len(data) - 1 - cuts, 0)
    wire, marks = data[:end], data[end:-1]
    places = sorted(mark * len(wire) // 255 for mark in marks)
    edges = [0, *places, len(wire)]
    return Given(wire, [wire[a:b] for a, b in pairwise(edges)], last >> 3)


def input_of(wire: bytes, cuts: int = 0, choice: int = 0) -> bytes:
    """The input that stands for a wire with evenly spread cuts."""
    marks = bytes((i + 1) * 255 // (cuts + 1) for i in range(cuts if cuts < 7 else 0))
    return wire + marks + bytes([choice << 3 | cuts])


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for."""
    try:
        coro.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something that has come")


def strictly(data: bytes) -> Any:
    """JSON as the standard has it; NaN is not."""
    return json.loads(data.decode(), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def weight(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes that a machine holds: itself and all it refers to, but for code and classes."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, _SHARED):
        return 0
    seen.add(id(thing))
    parts: list[Any] = []
    if isinstance(thing, dict):
        parts = [*thing, *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = list(thing)
    elif not isinstance(thing, bytes | str | int | float | None):
        names = [n for kind in type(thing).__mro__ for n in getattr(kind, "__slots__", ())]
        names += [*getattr(thing, "__struct_fields__", ()), *getattr(thing, "__dict__", {})]
        parts = [getattr(thing, name, None) for name in names]
    return getsizeof(thing) + sum(weight(part, seen) for part in parts)
