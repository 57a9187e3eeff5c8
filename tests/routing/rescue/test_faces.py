"""A stream that breaks after content goes on, on every face, over real sockets."""

import asyncio
from pathlib import Path

import pytest

from tests.routing.rescue.scene import FACES, RESCUE, ask, at_one, broken, heard, whole
from tests.routing.rescue.telling import BILL, tell, text
from tests.server.caller import comments

WORDS = "Hello there, how do you do?"
AFTER = {"openai-chat": 4, "anthropic": 6, "openai-responses": 7, "gemini": 3}
"""Events of a stream of one text up to its third piece."""
ONCE = "retry = { attempts = 1 }"
QUICK = "retry = { backoff_s = 0.05 }"


@pytest.mark.parametrize("dialect", FACES)
@pytest.mark.parametrize("face", FACES)
def test_a_cut_is_spliced_by_the_same_target(tmp_path: Path, face: str, dialect: str) -> None:
    async def main() -> None:
        blocks = [text(WORDS)]
        first = tell(dialect, blocks, "one", 3)[: AFTER[dialect]]
        plays = [broken(first), whole(tell(dialect, blocks, "two", 5))]
        async with at_one(tmp_path, dialect, plays, QUICK) as (gate, up):
            reply = await ask(gate, face)
            assert heard(reply, face)["text"] == WORDS
            assert len(up.book) == 2
            cut, done = await gate.rows(2)
            assert (cut["outcome"], done["outcome"]) == ("cut", "done")
            assert (done["input_tokens"], done["output_tokens"]) == BILL
            assert cut["estimated"]
            assert not done["estimated"]
            (record,) = gate.works.store.reader.requests(_all())
            assert record.why.startswith("splice after ")
            assert [a.outcome for a in record.attempts] == ["cut", "done"]
            assert record.nano == cut["nano"] + done["nano"]
            said = comments(reply.body)
            if face == "gemini":
                assert not said
            else:
                assert RESCUE + "splice" in said
                assert f"x-octoplex-model: {reply.headers['x-octoplex-model']}" in said
                assert f"x-octoplex-cost-nano: {record.nano} estimated" in said

    asyncio.run(main())


def _all() -> object:
    from octoplex.ledger import Page

    return Page(limit=10)
