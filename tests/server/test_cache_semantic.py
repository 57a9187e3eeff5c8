"""`semantic` of a cache as callers meet it: a real gateway, a scripted provider of embeddings."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.cache_scene import COST, KEYS, OTHER_KEY, cached, kept, numbered, stats, told
from tests.server.caller import Reply
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Exchange, Play, Upstream, reset, says, stalls

EMBEDDED = 9
ASKED = "How do I reset my password?"
ALIKE = "I forgot my password, how do I reset it?"
FAR = "Where is my parcel?"
ANGLES = {ASKED: 0.0, ALIKE: 0.1, FAR: 1.2}
SEMANTIC = "semantic = { model = 'e/m', min = 0.95 }"
LOCAL = "semantic = { model = 'local/ngrams' }"


def embeds() -> Play:
    """A vector of two members by text; of one it does not know that of `ASKED`."""

    async def play(exchange: Exchange) -> None:
        asked = json.loads(exchange.entry.body)
        assert set(asked) == {"model", "input"}
        angle = ANGLES.get(asked["input"], 0.0)
        vector = [3 * math.cos(angle), 3 * math.sin(angle)]
        reply = {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "model": "m-1",
            "usage": {"prompt_tokens": EMBEDDED, "total_tokens": EMBEDDED},
        }
        await says(json.dumps(reply).encode(), billed=(EMBEDDED, 0))(exchange)

    return play


def turns(*texts: str) -> list[dict[str, Any]]:
    """A conversation: the user begins and has the last word."""
    return [
        {"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(texts)
    ]


async def asks(gate: Gate, *texts: str, **more: Any) -> Reply:
    return await gate.chat("main", messages=turns(*texts), **more)


def scene(folder: Path, more: str = "", cache: str = SEMANTIC, **ups: Upstream) -> Gate:
    return Gate(folder, file(cached(cache=cache) + more, **ups))


def test_what_means_the_same_is_a_hit_and_its_vector_is_paid(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, a=up, e=e) as gate,
        ):
            first, again, alike, far = [
                await asks(gate, text) for text in (ASKED, ASKED, ALIKE, FAR)
            ]
            found = [told(reply) for reply in (first, again, alike, far)]
            assert found == ["miss", "hit", "semantic", "miss"]
            assert alike.body == first.body != far.body
            assert alike.headers["x-octoplex-model"] == "a/m"
            assert alike.headers["x-octoplex-cost-nano"] == str(EMBEDDED * 1_000)
            assert (len(up.book), len(e.book)) == (2, 3)
            _, hit, _, miss = await gate.records(4)
            assert (hit["cache"], hit["saved_nano"]) == ("semantic", COST)
            assert hit["why"] == f"semantic cache: {math.cos(0.1):.3f}"
            assert (hit["nano"], hit["target"]) == (EMBEDDED * 1_000, "a/m")
            assert (hit["input_tokens"], hit["output_tokens"]) == (0, 0)
            outcomes = [(a["target"], a["outcome"]) for a in hit["attempts"]]
            assert outcomes == [("e/m", "compared"), ("a/m", "cache")]
            assert miss["nano"] == COST + EMBEDDED * 1_000
            assert [a["target"] for a in miss["attempts"]] == ["e/m", "a/m"]
            assert len(await gate.rows(5)) == 5
            figures = await stats(gate)
            assert (figures["hits"], figures["semantic"], figures["misses"]) == (1, 1, 2)
            metrics = (await gate.get("/metrics")).body.decode()
            assert 'octoplex_cache_requests_total{route="main",result="semantic"} 1' in metrics

    asyncio.run(main())


def test_it_is_found_after_a_restart_and_forgotten_by_a_purge(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, a=up, e=e) as gate,
        ):
            assert told(await asks(gate, ASKED)) == "miss"
            await kept(gate, 1)
            await gate.stop()
            await gate.start()
            assert told(await asks(gate, ALIKE)) == "semantic"
            await gate.control({"do": "cache.purge", "model": "main"})
            assert told(await asks(gate, ALIKE)) == "miss"
            await gate.stop()
            await gate.start()
            assert told(await asks(gate, ASKED)) == "semantic"

    asyncio.run(main())


def test_it_ends_with_its_reply(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Upstream(embeds()) as e:
            text = file(cached(cache=SEMANTIC).replace("10 min", "0.3 s"), a=up, e=e)
            async with Gate(tmp_path, text) as gate:
                assert told(await asks(gate, ASKED)) == "miss"
                end_at = asyncio.get_running_loop().time() + 5
                while (found := told(await asks(gate, ALIKE))) == "semantic":
                    assert asyncio.get_running_loop().time() < end_at
                    await asyncio.sleep(0.05)
                assert found == "miss"

    asyncio.run(main())


@pytest.mark.parametrize("play", [reset(), stalls(), says(b"{}"), says(b"no", status=500)])
def test_no_vector_is_a_miss_and_no_error(tmp_path: Path, play: Play) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(play) as e,
            scene(tmp_path, cache=SEMANTIC.replace("}", ", wait_s = 0.2 }"), a=up, e=e) as gate,
        ):
            found = [told(await asks(gate, text)) for text in (ASKED, ASKED, ALIKE)]
            assert found == ["miss", "hit", "miss"]
            assert len(up.book) == 2
            (_, _, record) = await gate.records(3)
            assert record["target"] == "a/m"

    asyncio.run(main())


def test_a_failure_is_not_told_of_whoever_made_the_vector(tmp_path: Path) -> None:
    async def main() -> None:
        refused = says(b'{"error":{"message":"no","code":"invalid"}}', status=400)
        async with (
            Upstream(refused) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, a=up, e=e) as gate,
        ):
            assert (await asks(gate, ASKED)).status == 400
            (record,) = await gate.records()
            assert record["target"] == "a/m"

    asyncio.run(main())


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 0}, {"temperature": 1}),
        ({}, {"stream": True}),
        ({"messages": turns("Hello", "Hi", ASKED)}, {"messages": turns("Hello", "Ho", ASKED)}),
        (
            {"messages": [{"role": "system", "content": "Be kind."}, *turns(ASKED)]},
            {"messages": [{"role": "system", "content": "Be brief."}, *turns(ASKED)]},
        ),
    ],
)
def test_all_else_must_be_equal(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], local: bool
) -> None:
    """The last turn differs in a sign only, so that nothing but the rest can make it a miss."""

    async def main() -> None:
        plays = numbered()
        if other.get("stream"):
            plays[1] = provider.streamed("openai-chat")
        async with (
            Upstream(*plays) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, cache=LOCAL if local else SEMANTIC, a=up, e=e) as gate,
        ):
            first = {"messages": turns(ASKED), **one}
            near = json.loads(json.dumps(first).replace("password?", "password"))
            second = {"messages": turns(ASKED), **other}
            found = [told(await gate.chat("main", **m)) for m in (first, near, second)]
            assert found == ["miss", "semantic", "miss"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wait 5 days", "Wait 6 days"),
        ("Is it safe?", "Is it not safe?"),
        ('Say "yes"', 'Say "no"'),
        ("Is Mars hotter than Venus?", "Is Venus hotter than Mars?"),
        ("Run `ls`", "Run `rm`"),
        ("Turn it on", "Turn it off"),
    ],
)
@pytest.mark.parametrize("cache", [SEMANTIC, LOCAL])
def test_other_facts_are_another_question(tmp_path: Path, one: str, other: str, cache: str) -> None:
    """The scripted vectors are equal."""

    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, cache=cache, a=up, e=e) as gate,
        ):
            found = [told(await asks(gate, text)) for text in (one, f"{one} ", other)]
            assert found == ["miss", "semantic", "miss"]

    asyncio.run(main())


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
CALLED = [
    {"role": "user", "content": "Hello"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "42"},
    {"role": "assistant", "content": "Hi"},
]


SHOWN: list[Any] = [
    {"role": "user", "content": [PICTURE]},
    {"role": "assistant", "content": "Hi"},
]
HELD_BACK: list[tuple[dict[str, Any], list[Any], bool]] = [
    ({"tools": [TOOL]}, [], True),
    ({"web_search_options": {}}, [], True),
    ({}, CALLED, True),
    ({}, SHOWN, False),
]
"""Members and turns before, and whether `tool_calls` lets them be compared."""


@pytest.mark.parametrize("tools", [False, True])
def test_tools_and_media(tmp_path: Path, tools: bool) -> None:
    async def main() -> None:
        cache = f"{SEMANTIC}\ntool_calls = {str(tools).lower()}"
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, cache=cache, a=up, e=e) as gate,
        ):
            for seed, (members, before, allowed) in enumerate(HELD_BACK):
                asked = len(e.book)
                found = [
                    told(
                        await gate.chat(
                            "main", messages=[*before, *turns(text)], seed=seed, **members
                        )
                    )
                    for text in (ASKED, ALIKE)
                ]
                assert found == ["miss", "semantic" if tools and allowed else "miss"]
                assert (len(e.book) > asked) == (tools and allowed)

    asyncio.run(main())


@pytest.mark.parametrize("face", ["anthropic", "openai-responses"])
def test_other_faces(tmp_path: Path, face: str) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            scene(tmp_path, cache=LOCAL, a=up) as gate,
        ):
            name = "input" if face == "openai-responses" else "messages"
            ask = [{name: turns(text)} for text in ("What is a mutex?", "what is a mutex")]
            found = [told(await gate.chat("main", face, **members)) for members in ask]
            assert found == ["miss", "semantic"]

    asyncio.run(main())


def test_gemini_and_a_bare_input(tmp_path: Path) -> None:
    def body(text: str) -> bytes:
        return json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()

    async def main() -> None:
        async with Upstream(*numbered()) as up, scene(tmp_path, cache=LOCAL, a=up) as gate:
            path = "/v1beta/models/main:generateContent"
            texts = ("What is a mutex?", "what is a mutex")
            found = [told(await gate.post(path, body(text))) for text in texts]
            assert found == ["miss", "semantic"]
            asked = [json.dumps({"model": "main", "input": text}).encode() for text in texts]
            found = [told(await gate.post("/v1/responses", text)) for text in asked]
            assert found == ["miss", "semantic"]

    asyncio.run(main())


def test_never_across_keys_but_within_a_tenant(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Upstream(embeds()) as e:
            text = file(cached(cache=SEMANTIC) + KEYS + "[tenants.acme]\n", a=up, e=e)
            async with Gate(tmp_path, text, key=APP_KEY, clean=False) as gate:
                assert told(await asks(gate, ASKED)) == "miss"
                gate.key = OTHER_KEY
                assert told(await asks(gate, ALIKE)) == "miss"
                made = [
                    (await gate.control({"do": "keys.new", "name": n, "tenant": "acme"}))["ok"]
                    for n in ("two", "three")
                ]
                gate.key = made[0]["secret"]
                assert told(await asks(gate, ASKED)) == "miss"
                gate.key = made[1]["secret"]
                assert told(await asks(gate, ALIKE)) == "semantic"

    asyncio.run(main())


def test_the_callers_wishes(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, a=up, e=e) as gate,
        ):

            async def ask(text: str, said: str) -> str:
                body = json.dumps({"model": "main", "messages": turns(text)}).encode()
                path = "/v1/chat/completions"
                return told(await gate.post(path, body, ("cache-control", said)))

            assert await ask(ASKED, "no-store") == "off"
            assert not e.book
            assert await ask(ASKED, "no-cache") == "miss"
            assert await ask(ALIKE, "no-cache") == "miss"
            assert await ask(ALIKE, "x") == "hit"
            assert await ask(ALIKE + " ", "x") == "semantic"
            assert (await stats(gate))["rejected"] == 0
            assert await ask(ALIKE + " ", "no-cache") == "miss"
            assert await ask(ALIKE + " ", "no-cache") == "miss"
            figures = await stats(gate)
            assert (figures["rejected"], round(figures["rejected_up_to"], 3)) == (1, 1.0)
            metrics = (await gate.get("/metrics")).body.decode()
            assert 'octoplex_cache_rejected_total{route="main"} 1' in metrics

    asyncio.run(main())


def test_two_workers_find_what_one_has_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up:
            text = file(cached(cache=LOCAL), "workers = 2", a=up)
            async with Gate(tmp_path, text, clean=False) as gate:
                assert told(await asks(gate, "What is a mutex?")) == "miss"
                await kept(gate, 1)
                found = [told(await asks(gate, "what is a mutex" + "!" * n)) for n in range(12)]
                assert set(found) == {"semantic"}, found
                assert len(up.book) == 1

    asyncio.run(main())


def test_the_same_at_the_same_time_still_goes_up_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, a=up, e=e) as gate,
        ):
            replies = await asyncio.gather(*(asks(gate, ASKED) for _ in range(8)))
            assert sorted({told(r) for r in replies}) == ["hit", "miss"]
            assert len(up.book) == 1

    asyncio.run(main())
