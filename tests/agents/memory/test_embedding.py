"""Vectors by a model, through a whole gateway whose provider plays what it makes of texts."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from octoplex.agents.memory.embedding import Embedding
from octoplex.agents.memory.memory import Memory, Remembered
from octoplex.agents.memory.rows import Group
from octoplex.ledger.rows import SpendQuery
from octoplex.transport.fake import Script
from octoplex.wire.ask import Caller
from tests.agents.memory.conftest import Open
from tests.assembly.scene import Scene, opened

FILE = """
[providers.up]
base_url = "http://127.0.0.1:9"
dialect = "openai-chat"
api_key = "env:UP"
[prices]
"up/e1" = { input = 1.0, output = 0 }
"up/e2" = { input = 1.0, output = 0 }
"""
MEANING = {
    "The boss is Helena.": [1.0, 0.1, 0.0],
    "Lunch is at noon.": [0.0, 1.0, 0.1],
    "Parking is free.": [0.1, 0.0, 1.0],
    "chief executive": [0.9, 0.2, 0.1],
    "something to eat": [0.1, 0.9, 0.0],
}


async def let_in(text: str, way: Literal["in", "out"]) -> str:
    return text


def played(scene: Scene, *texts: str, turned: bool = False) -> None:
    """What the provider says next; `turned`: as another model, whose numbers mean other things."""
    vectors = [MEANING[text][::-1] if turned else MEANING[text] for text in texts]
    data = [{"index": n, "embedding": v, "object": "embedding"} for n, v in enumerate(vectors)]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    body = {"object": "list", "data": data[::-1], "model": "e", "usage": usage}
    scene.fake.scripts = deque([Script(body=json.dumps(body).encode())])


async def facts(scene: Scene, mine: Remembered, texts: Sequence[str]) -> None:
    for text in texts:
        played(scene, text)
        await mine.keep(text, source=text)


def test_meaning_is_found_paid_for_and_never_mixed_with_that_of_another_model(
    tmp_path: Path, store: Open, owner: str
) -> None:
    async def run() -> None:
        async with opened(tmp_path, FILE, {"UP": "f7m2q9x4k1z8-up"}) as scene:
            memory, caller = Memory(store()), Caller("k1", "app")
            first, second = (
                memory.of(
                    owner,
                    screen=let_in,
                    embed=Embedding(scene.gateway.answer, caller, f"up/{name}"),
                )
                for name in ("e1", "e2")
            )
            await facts(scene, first, list(MEANING)[:3])
            for query in ("chief executive", "something to eat"):  # no word in common
                played(scene, query)
                best = (await first.find(query))[0]["text"]
                assert best == ("The boss is Helena.", "Lunch is at noon.")["eat" in query]
            assert scene.bodies[-1] == {"model": "e1", "input": ["something to eat"]}
            works = scene.gateway.works
            await works.store.drain()
            spend = await works.store.spend(SpendQuery())
            assert [(row.key, row.nano) for row in spend.rows] == [("app", 5 * 7_000)]
            # The other model's vectors are not compared with these, whatever they say.
            played(scene, "chief executive", turned=True)
            assert await second.find("chief executive") == []
            group = Group(owner)
            assert await memory.facts.vectors(group, "up/e2", 0) == []
            # Found by a word, a fact is given one of the present model.
            played(scene, "Parking is free.", turned=True)
            assert [one["text"] for one in await second.find("parking")] == ["Parking is free."]
            assert len(await memory.facts.vectors(group, "up/e2", 0)) == 1
            assert len(await memory.facts.vectors(group, "up/e1", 0)) == 2
            played(scene, "chief executive", turned=True)
            assert len(await second.find("chief executive")) == 1
            await memory.close()

    asyncio.run(run())


def test_without_its_model_memory_goes_by_words(tmp_path: Path, store: Open, owner: str) -> None:
    async def run() -> None:
        async with opened(tmp_path, FILE, {"UP": "f7m2q9x4k1z8-up"}) as scene:
            memory = Memory(store())
            embed = Embedding(scene.gateway.answer, Caller(), "up/e1")
            mine = memory.of(owner, screen=let_in, embed=embed)
            for script in (
                Script(status=400, body=b'{"error": {"message": "no"}}'),
                Script(body=b'{"data": [{"index": 7, "embedding": [1.0]}]}'),
                Script(body=b'{"data": [{"index": 0, "embedding": [0.0, 0.0]}]}'),
            ):
                scene.fake.scripts = deque([script])
                await mine.keep("The boss is Helena.", source="a")
                assert [one["text"] for one in await mine.find("boss")] == ["The boss is Helena."]
                assert await memory.facts.vectors(Group(owner), "up/e1", 0) == []
            nobody = Embedding(scene.gateway.answer, Caller(), "no/such-model")
            other = memory.of(owner, screen=let_in, embed=nobody)
            assert len(await other.find("boss")) == 1
            # And once it answers again, what is found gets its vector.
            played(scene, "The boss is Helena.")
            await mine.find("boss")
            assert len(await memory.facts.vectors(Group(owner), "up/e1", 0)) == 1
            await memory.close()

    asyncio.run(run())
