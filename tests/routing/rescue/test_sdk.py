"""The vendors' own packages read a rescued stream as one that never broke."""

import asyncio
from pathlib import Path

import anthropic
import openai

from tests.routing.rescue.scene import at_one, broken, whole
from tests.routing.rescue.telling import BILL, call, signature, tell, text, think

QUICK = "retry = { backoff_s = 0.05 }"
ARGUMENTS = '{"city": "Oslo"}'
BLOCKS = (think("Let me see."), text("I look it up."), call("weather", ARGUMENTS))
ASK = [{"role": "user", "content": "How is it in Oslo?"}]


def test_openai_chat(tmp_path: Path) -> None:
    dialect = "openai-chat"

    async def main() -> None:
        plays = [broken(tell(dialect, BLOCKS, "one", 5)[:9]), whole(tell(dialect, BLOCKS, "two"))]
        async with at_one(tmp_path, dialect, plays, QUICK) as (gate, up):
            base = f"http://127.0.0.1:{gate.port}/v1"
            async with openai.AsyncOpenAI(base_url=base, api_key="x", max_retries=0) as client:
                stream = client.chat.completions.stream(
                    model="main", messages=ASK, stream_options={"include_usage": True}
                )
                async with stream as told:
                    completion = await told.get_final_completion()
            message = completion.choices[0].message
            assert message.content == "I look it up."
            assert message.tool_calls is not None
            (use,) = message.tool_calls
            assert (use.function.name, use.function.arguments) == ("weather", ARGUMENTS)
            assert completion.id == "chatcmpl-one"
            assert completion.usage is not None
            assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == BILL
            assert len(up.book) == 2

    asyncio.run(main())


def test_openai_responses(tmp_path: Path) -> None:
    dialect = "openai-responses"

    async def main() -> None:
        plays = [broken(tell(dialect, BLOCKS, "one", 5)[:13]), whole(tell(dialect, BLOCKS, "two"))]
        async with at_one(tmp_path, dialect, plays, QUICK) as (gate, up):
            base = f"http://127.0.0.1:{gate.port}/v1"
            client = openai.AsyncOpenAI(base_url=base, api_key="x", max_retries=0)
            async with client, client.responses.stream(model="main", input="Oslo?") as told:
                response = await told.get_final_response()
            assert response.output_text == "I look it up."
            assert response.id == "resp_one"
            use = response.output[-1]
            assert use.type == "function_call"
            assert use.arguments == ARGUMENTS
            assert len(up.book) == 2

    asyncio.run(main())


def test_anthropic(tmp_path: Path) -> None:
    dialect = "anthropic"

    async def main() -> None:
        told_first = tell(dialect, BLOCKS, "one", 5)
        upto = next(i for i, e in enumerate(told_first) if b"text_delta" in e) + 1
        plays = [broken(told_first[:upto]), whole(tell(dialect, BLOCKS, "two"))]
        async with at_one(tmp_path, dialect, plays, QUICK) as (gate, up):
            base = f"http://127.0.0.1:{gate.port}"
            client = anthropic.AsyncAnthropic(base_url=base, api_key="x", max_retries=0)
            async with client, client.messages.stream(
                model="main", messages=ASK, max_tokens=90
            ) as told:  # fmt: skip
                message = await told.get_final_message()
            thought, said, use = message.content
            assert thought.type == "thinking"
            assert (thought.thinking, thought.signature) == ("Let me see.", signature("one"))
            assert said.type == "text"
            assert said.text == "I look it up."
            assert use.type == "tool_use"
            assert use.input == {"city": "Oslo"}
            assert message.usage.output_tokens == BILL[1]
            assert len(up.book) == 2

    asyncio.run(main())
