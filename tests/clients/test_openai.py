"""The `openai` package through Chat and Responses, set up as its guide says."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.guide import names
from tests.clients.tasks import ANSWER, QUESTION, call, person, weather
from tests.clients.told import signed
from tests.clients.world import Script, World, others
from tests.upstream_server import says

At = Callable[[str, Script], World]
PROPERTIES = {"city": {"type": "string"}}
CITY = {
    "type": "object",
    "properties": PROPERTIES,
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"name": n, "description": f"The {n}.", "parameters": CITY} for n in ("weather", "time")]
CHAT_TOOLS: Any = [{"type": "function", "function": tool} for tool in TOOLS]
RESPONSES_TOOLS: Any = [{"type": "function", "strict": True, **tool} for tool in TOOLS]


class Person(BaseModel):
    name: str
    age: int


MAYA = Person(name="Maya", age=41)


def client_of(url: str) -> openai.OpenAI:
    made: openai.OpenAI = names("openai", url)["client"]
    return made


def proofs(world: World) -> None:
    """Row 16: what Gemini signed comes back through a client that knows nothing of it."""
    if world.dialect == "gemini":
        assert world.asked[-1].signatures == [signed("call_1"), signed("call_3")]


@others("openai-chat")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_chat_with_parallel_tools(at: At, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    client = client_of(world.url)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(4):
        asked: Any = {"model": "main", "messages": messages, "tools": CHAT_TOOLS}
        if stream:
            with client.chat.completions.stream(**asked) as events:
                said: Any = events.get_final_completion().choices[0]
        else:
            said = client.chat.completions.create(**asked).choices[0]
        if said.finish_reason != "tool_calls":
            break
        messages.append(said.message)
        for made in said.message.tool_calls:
            result = call(made.function.name, json.loads(made.function.arguments))
            messages.append({"role": "tool", "tool_call_id": made.id, "content": result})
    assert said.message.content == ANSWER
    assert len(world.asked) == 3
    proofs(world)


@others("openai-responses")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_responses_with_parallel_tools(at: At, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    client = client_of(world.url)
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(4):
        asked: Any = {"model": "main", "input": items, "tools": RESPONSES_TOOLS, "store": False}
        if stream:
            with client.responses.stream(**asked) as events:
                said: Any = events.until_done().get_final_response()
        else:
            said = client.responses.create(**asked)
        calls = [item for item in said.output if item.type == "function_call"]
        if not calls:
            break
        items += said.output
        for made in calls:
            result = call(made.name, json.loads(made.arguments))
            items.append(
                {"type": "function_call_output", "call_id": made.call_id, "output": result}
            )
    assert said.output_text == ANSWER
    assert len(world.asked) == 3
    proofs(world)


@others("openai-chat")
def test_chat_parse(at: At, dialect: str) -> None:
    client = client_of(at(dialect, person).url)
    asked: Any = {"model": "main", "messages": [{"role": "user", "content": "Invent a person."}]}
    said = client.chat.completions.parse(**asked, response_format=Person)
    assert said.choices[0].message.parsed == MAYA


@others("openai-responses")
def test_responses_parse(at: At, dialect: str) -> None:
    client = client_of(at(dialect, person).url)
    said = client.responses.parse(model="main", input="Invent a person.", text_format=Person)
    assert said.output_parsed == MAYA


def test_embeddings(worlds: Callable[[str], World]) -> None:
    """No crossing: no other provider's embeddings are asked for here."""
    world = worlds("openai-chat")
    row = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    reply = {"object": "list", "data": [row], "model": "m", "usage": usage}
    world.vendor.plays(says(json.dumps(reply).encode()))
    client = client_of(world.url)
    said = client.embeddings.create(model="main", input="Hi", encoding_format="float")
    assert said.data[0].embedding == [0.25, -0.5]
    assert world.vendor.asked[0]["model"] == "model-nobody-knows"
