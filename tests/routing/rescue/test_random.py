"""Random replies, cut at random places, told in random pieces: what is told is told once."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from tests.routing.rescue.scene import FACES, ask, at_one, heard
from tests.routing.rescue.telling import BILL, Block, call, tell, text, think
from tests.upstream_server import Play, streams

MORE = "retry = { backoff_s = 0.01 }"
LETTERS = 'abc  ,.\n"\\/<>{}éß日本🦑\u200d\u0301:'
COUNT = 24
"""As many rescues as the retry budget has in ten seconds, and some less."""


def some(random: Random, most: int) -> str:
    return "".join(random.choices(LETTERS, k=random.randint(1, most)))


def reply(random: Random) -> list[Block]:
    blocks = [think(some(random, 20))] if random.random() < 0.4 else []
    blocks.append(text("A" + some(random, 60)))
    if random.random() < 0.5:
        blocks.append(call("look", '{"at": "the sky, or so"}'))
    return blocks


def in_reads(wire: bytes, random: Random) -> list[bytes]:
    """The same bytes as the network may bring them: events joined and torn."""
    ends = sorted(random.sample(range(1, len(wire)), min(random.randint(1, 9), len(wire) - 1)))
    return [wire[a:b] for a, b in zip([0, *ends], [*ends, len(wire)], strict=True)]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("dialect", FACES)
def test_what_is_told_is_told_once(tmp_path: Path, face: str, dialect: str) -> None:
    random = Random(f"{face} {dialect}")
    replies = [reply(random) for _ in range(COUNT)]
    plays: list[Play] = []
    for blocks in replies:
        first = tell(dialect, blocks, "one", random.randint(1, 9))
        kept = first[: random.randint(min(8, len(first) - 3), len(first) - 3)]
        torn = first[len(kept)][: random.randint(0, 30)]
        end = random.choice(["reset", "close", "done"])
        plays.append(streams(in_reads(b"".join(kept) + torn, random), end, billed=(20, 5)))
        second = b"".join(tell(dialect, blocks, "two", random.randint(1, 9)))
        plays.append(streams(in_reads(second, random), billed=BILL))

    async def main() -> None:
        rescued = 0
        async with at_one(tmp_path, dialect, plays, MORE, COUNT) as (gate, up):
            for number, blocks in enumerate(replies):
                told = await ask(gate, face, f"main{number}")
                failed = b'"error":{' in told.body
                found = heard(told, face, failed=failed)
                thought = "".join(w for kind, w, _ in blocks if kind == "think")
                words = "".join(w for kind, w, _ in blocks if kind == "text")
                if failed:  # it ended between two events of which one only repeats
                    assert words.startswith(found["text"])
                    up.plays.popleft()
                    continue
                rescued += 1
                assert found["text"] == words
                assert found["think"] == thought
                assert [t[0] for t in found["tools"].values()] == [n for _, _, n in blocks if n]
            assert rescued > COUNT * 0.7, f"{rescued} of {COUNT}"
            rows = await gate.rows(COUNT + rescued)
            for row in rows:
                if not row["estimated"]:
                    assert (row["input_tokens"], row["output_tokens"]) == BILL
            assert sum(not row["estimated"] for row in rows) == rescued

    asyncio.run(main())
