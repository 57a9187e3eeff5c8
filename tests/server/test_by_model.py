"""DeepSeek's names before V4: a wish to think leads to the other name, told and paid as such."""

import json
from pathlib import Path
from typing import Any

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, question, route
from tests.upstream_server import Upstream, says

CHAT, REASONER = "deepseek/deepseek-chat", "deepseek/deepseek-reasoner"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "ok"},
]


def config(up: Upstream, more: str = "") -> str:
    prices = (f'"{name}" = {provider.PRICE}' for name in (CHAT, REASONER))
    return "\n".join(
        (
            "[server]",
            f"[providers.deepseek]\nbase_url = '{up.url}'\napi_key = 'env:UP_KEY'",
            more,
            "[prices]",
            *prices,
        )
    )


def key(models: str, more: str = "") -> str:
    return f"[keys.app]\nsecret = 'env:APP_KEY'\nmodels = {models}\n{more}"


async def told(gate: Gate, up: Upstream, model: str, **members: Any) -> tuple[str, str, str]:
    """What is asked, what the caller is told, and what was left out."""
    reply = await gate.post(PATHS["openai-chat"], question(model, **members))
    assert reply.status == 200, reply.body
    sent = json.loads(up.book[-1].body)
    assert "reasoning_effort" not in sent
    named = reply.headers["x-octoplex-model"]
    return sent["model"], named, reply.headers.get("x-octoplex-dropped", "")


def test_the_other_name_is_told_and_paid(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        async with up, Gate(tmp_path, config(up)) as gate:
            for model, word, asked, left in (
                (CHAT, "high", REASONER, "reasoning_effort"),  # it thinks as much as it likes
                (CHAT, "none", CHAT, ""),
                (REASONER, "none", CHAT, ""),
                (REASONER, "low", REASONER, "reasoning_effort"),
            ):
                bare = asked.partition("/")[2]
                assert await told(gate, up, model, reasoning_effort=word) == (bare, asked, left)
            rows = await gate.rows(4)
            models = [row["model"] for row in rows]
            assert models == [m.partition("/")[2] for m in (REASONER, CHAT, CHAT, REASONER)]
            # Its own thinking was not given back, so that it is not to think.
            got = await told(gate, up, CHAT, reasoning_effort="high", messages=LOOP)
            assert got == ("deepseek-chat", CHAT, "reasoning_effort")

    run(main())


def test_the_other_names_own_limit_is_set_aside(tmp_path: Path, run: Run) -> None:
    """65,536 tokens of output, where deepseek-chat has 8,192: 0.66 dollars at 10 a million."""

    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        more = key('["*"]', 'limits = "$0.50/day"')
        async with up, Gate(tmp_path, config(up, more)) as gate:
            gate.key = APP_KEY
            body = question(CHAT, max_tokens=None)
            assert (await gate.post(PATHS["openai-chat"], body)).status == 200
            body = question(CHAT, max_tokens=None, reasoning_effort="high")
            assert (await gate.post(PATHS["openai-chat"], body)).status == 402

    run(main())


def test_a_key_is_not_led_to_what_it_was_not_given(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        more = route("main", CHAT) + key(f'["{CHAT}", "main"]')
        async with up, Gate(tmp_path, config(up, more)) as gate:
            gate.key = APP_KEY
            got = await told(gate, up, CHAT, reasoning_effort="high")
            assert got == ("deepseek-chat", CHAT, "reasoning_effort")
            got = await told(gate, up, "main", reasoning_effort="high")
            assert got == ("deepseek-reasoner", REASONER, "reasoning_effort")

    run(main())
