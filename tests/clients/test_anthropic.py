"""The `anthropic` package through Messages, set up as its guide says."""

from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from pydantic import BaseModel

from tests.clients.guide import names
from tests.clients.tasks import ANSWER, QUESTION, call, person, time_in, weather, weather_of
from tests.clients.told import signed
from tests.clients.world import Script, World, others

At = Callable[[str, Script], World]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"name": name, "description": f"The {name}.", "input_schema": CITY}
    for name in ("weather", "time")
]


class Person(BaseModel):
    name: str
    age: int


def client_of(url: str) -> anthropic.Anthropic:
    made: anthropic.Anthropic = names("anthropic", url)["client"]
    return made


def proofs(world: World) -> None:
    if world.dialect == "gemini":
        assert world.asked[-1].signatures == [signed("call_1"), signed("call_3")]


@others("anthropic")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_messages_with_parallel_tools(at: At, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    client = client_of(world.url)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(4):
        asked: Any = {"model": "main", "max_tokens": 999, "messages": messages, "tools": TOOLS}
        if stream:
            with client.messages.stream(**asked) as events:
                said = events.get_final_message()
        else:
            said = client.messages.create(**asked)
        if said.stop_reason != "tool_use":
            break
        messages.append({"role": "assistant", "content": said.content})
        results = [
            {"type": "tool_result", "tool_use_id": b.id, "content": call(b.name, b.input)}
            for b in said.content
            if b.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
    assert [b.text for b in said.content if b.type == "text"] == [ANSWER]
    assert len(world.asked) == 3
    proofs(world)


@others("anthropic")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_tool_runner(at: At, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    tools = [beta_tool(weather_of, name="weather"), beta_tool(time_in, name="time")]
    runner: Any = client_of(world.url).beta.messages.tool_runner(
        model="main", max_tokens=999, tools=tools, stream=stream,
        messages=[{"role": "user", "content": QUESTION}],
    )  # fmt: skip
    said = runner.until_done()
    assert [b.text for b in said.content if b.type == "text"] == [ANSWER]
    proofs(world)


@others("anthropic")
def test_parse(at: At, dialect: str) -> None:
    said = client_of(at(dialect, person).url).messages.parse(
        model="main", max_tokens=99, output_format=Person,
        messages=[{"role": "user", "content": "Invent a person."}],
    )  # fmt: skip
    assert said.parsed_output == Person(name="Maya", age=41)


def test_count_tokens(worlds: Callable[[str], World]) -> None:
    """Chat has no counter: the gateway estimates."""
    client = client_of(worlds("openai-chat").url)
    hi: Any = [{"role": "user", "content": "How many tokens are these few words?"}]
    assert 5 <= client.messages.count_tokens(model="main", messages=hi).input_tokens <= 40
