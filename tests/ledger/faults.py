"""What several tests of the ledger compare."""

from collections import defaultdict
from typing import Any

from octoplex.ledger import Reader, SpendQuery
from octoplex.ledger.rows import SpendRow

Sums = dict[tuple[str, str, str, str], tuple[int, ...]]


def sums(reader: Reader) -> Sums:
    """Sum the attempts per day, key, model and provider, from the rows themselves."""
    found: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0] * 5)
    for row in reader.attempts():
        if row["state"] == "settled":
            add(found, row)
    return {key: tuple(values) for key, values in found.items()}


def add(found: dict[tuple[str, str, str, str], list[int]], row: dict[str, Any]) -> None:
    values = found[(row["at"][:10], row["key_name"], row["model"], row["provider"])]
    amounts = (1, row["input_tokens"], row["output_tokens"], row["nano"], row["estimated"])
    for place, amount in enumerate(amounts):
        values[place] += amount


def rollup(reader: Reader) -> Sums:
    """The same from the sums that are kept."""

    def amounts(r: SpendRow) -> tuple[int, ...]:
        return (r.requests, r.input_tokens, r.output_tokens, r.nano, r.estimated)

    rows = reader.spend(SpendQuery()).rows
    return {(r.day, r.key, r.model, r.provider): amounts(r) for r in rows}
