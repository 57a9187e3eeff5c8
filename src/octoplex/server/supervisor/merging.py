"""The figures of several processes as one text: counters add up, of gauges the highest counts.

Reference: Prometheus text format 0.0.4. Sums are decimal, so that dollars stay exact.
"""

from collections.abc import Sequence
from decimal import Decimal


def merged(texts: Sequence[bytes]) -> bytes:
    """One text for many. Lines keep the order in which they first come."""
    kinds: dict[str, str] = {}
    values: dict[str, Decimal | None] = {}
    groups: dict[str, list[str]] = {}
    for text in texts:
        group = ""
        for line in text.decode().splitlines():
            if line.startswith("#"):
                _, what, group, rest = line.split(" ", 3)
                if what == "TYPE":
                    kinds[group] = rest
                name = line
                value = None
            else:
                name, _, said = line.rpartition(" ")
                value = Decimal(said)
            known = values.get(name)
            if name not in values:
                groups.setdefault(group, []).append(name)
                values[name] = value
            elif value is not None and known is not None:
                gauge = kinds.get(group) == "gauge"
                values[name] = max(known, value) if gauge else known + value
    lines = [name for group in groups.values() for name in group]
    return ("\n".join([_line(name, values[name]) for name in lines]) + "\n").encode()


def _line(name: str, value: Decimal | None) -> str:
    return name if value is None else f"{name} {format(value, 'f')}"
