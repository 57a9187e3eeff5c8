"""The async clients, many at once, over all four crossings."""

import asyncio
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.house import KEYS, Vendor
from tests.sdk.sides import CLAUDE_TOOLS, GPT_TOOLS, MODELS, answer, both_targets, vendor

HI: Any = [{"role": "user", "content": "Hi"}]
SAID = "Hello there, all of you."


@both_targets
def test_many_at_once(gateway: str, tee: Tee, oai: Vendor, claude: Vendor, target: str) -> None:
    model = MODELS[target]
    behind = vendor(target, oai, claude)

    async def scene() -> None:
        http = httpx2.AsyncClient(transport=tee)
        gpt = openai.AsyncOpenAI(
            api_key=KEYS["app"], base_url=f"{gateway}/v1", max_retries=0, http_client=http
        )
        sonnet = anthropic.AsyncAnthropic(
            api_key=KEYS["app"], base_url=gateway, max_retries=0, http_client=http
        )

        async def gpt_streams() -> str:
            chunks = await gpt.chat.completions.create(model=model, messages=HI, stream=True)
            said = [c.choices[0].delta.content or "" async for c in chunks if c.choices]
            return "".join(said)

        async def sonnet_streams() -> str:
            async with sonnet.messages.stream(model=model, messages=HI, max_tokens=9) as stream:
                return await stream.get_final_text()

        behind.plays(answer(target, v.text(SAID), stream=True))
        said = await asyncio.gather(*(f() for f in [gpt_streams, sonnet_streams] * 10))
        assert said == [SAID] * 20
        use = v.use("toolu_01A", "weather", city="Paris")
        behind.plays(answer(target, use, stop="tool_use"))
        completion = await gpt.chat.completions.create(model=model, messages=HI, tools=GPT_TOOLS)
        assert completion.choices[0].message.tool_calls
        message = await sonnet.messages.create(
            model=model, messages=HI, max_tokens=9, tools=CLAUDE_TOOLS
        )
        assert message.content[0].type == "tool_use"
        assert (await sonnet.messages.count_tokens(model=MODELS["oai"], messages=HI)).input_tokens
        assert [m async for m in gpt.models.list()]
        with pytest.raises(openai.NotFoundError):
            await gpt.chat.completions.create(model="nobody", messages=HI)
        await http.aclose()

    asyncio.run(scene())


def test_leaving_a_stream_closes_the_provider(gateway: str, oai: Vendor) -> None:
    endless = [{"content": f"word {n} "} for n in range(20_000)]
    oai.plays(v.chat_stream(endless))

    async def scene() -> None:
        gpt = openai.AsyncOpenAI(api_key=KEYS["app"], base_url=f"{gateway}/v1", max_retries=0)
        chunks = await gpt.chat.completions.create(model=MODELS["oai"], messages=HI, stream=True)
        async for _ in chunks:
            break
        await chunks.close()
        async with asyncio.timeout(5):
            while oai.book[0].closed_at is None:  # noqa: ASYNC110 - another thread's fact
                await asyncio.sleep(0.01)
        assert oai.book[0].sent < 3_000_000, "of 5.9 MB: the provider was stopped"
        await gpt.close()

    asyncio.run(scene())
