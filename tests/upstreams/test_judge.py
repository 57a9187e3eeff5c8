"""Schemas that take for ever to check: a refusal for their caller, nothing for anybody else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from octoplex.upstreams.judge import LONGEST_S, Judge
from octoplex.wire.chat import Format
from octoplex.wire.error import InvalidCall
from tests.transport.conftest import Run

PATTERNS = [{"pattern": f"((a{{1,500}}){{1,100}}){i}"} for i in range(500)]


def form(schema: Any) -> Format:
    return Format(schema=msgspec.Raw(json.dumps(schema).encode()))


def doubling(levels: int) -> Any:
    """A schema of a few lines that is checked 2 ** levels times."""
    steps = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{levels}": {"type": "string"}}}


BOMBS = {
    "doubled": (doubling(40), "{}"),
    "by depth": ({"anyOf": [{"items": {"$ref": "#"}, "minItems": 1}] * 2}, "[" * 60 + "]" * 60),
    "patterns": ({"anyOf": PATTERNS}, '""'),
}


@contextlib.asynccontextmanager
async def judging() -> AsyncIterator[Judge]:
    judge = Judge()
    try:
        yield judge
    finally:
        await judge.close()


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_check_without_an_end_is_ended_and_hurts_nobody(run: Run, bomb: str) -> None:
    async def main() -> None:
        async with judging() as judge:
            schema, text = BOMBS[bomb]
            check = asyncio.create_task(judge.fault(form(schema), text))
            turns = 0
            while not check.done():
                turns += 1
                await asyncio.sleep(0.01)
            assert turns > 2
            with pytest.raises(InvalidCall, match="make it simpler") as refused:
                await check
            assert refused.value.facts["param"] == "response_format"
            with pytest.raises(InvalidCall, match="make it simpler"):  # at once, for a minute
                await asyncio.wait_for(judge.fault(form(schema), text), LONGEST_S / 2)
            assert "integer" in await judge.fault(form({"type": "integer"}), '"x"')

    run(main())


def test_verdicts_do_not_get_mixed_up(run: Run) -> None:
    async def main() -> None:
        async with judging() as judge:
            kinds = ["string", "integer", "array", "null"] * 5
            found = await asyncio.gather(*(judge.fault(form({"type": k}), "{}") for k in kinds))
            assert all(f'"{k}"' in fault for k, fault in zip(kinds, found, strict=True))
            left = asyncio.create_task(judge.fault(form({"type": "null"}), "1"))
            await asyncio.sleep(0)
            left.cancel()
            assert await judge.fault(form({}), "{}") == ""

    run(main())


def test_a_schema_is_looked_at_before_there_is_a_reply(run: Run) -> None:
    async def main() -> None:
        async with judging() as judge:
            assert await judge.fault(form({"type": "object"}), None) == ""
            with pytest.raises(InvalidCall, match="cannot be used"):
                await judge.fault(form({"type": "banana"}), None)
            # Without a schema there is nothing to fear.
            assert await judge.fault(Format(), "[]")
            assert await judge.fault(Format(), "{}") == ""

    run(main())
