"""Frameworks above the SDKs, set up as their guides say: each leads its own loop of tools."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from tests.clients.asked import Asked
from tests.clients.command import Home
from tests.clients.guide import names
from tests.clients.tasks import ANSWER, QUESTION, call, called, person, time_in, weather, weather_of
from tests.clients.told import Blocks, signed
from tests.clients.world import DIALECTS, Script, World, others

At = Callable[[str, Script], World]


class Person(BaseModel):
    name: str
    age: int


MAYA = Person(name="Maya", age=41)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": n, "description": f"The {n}.", "parameters": CITY}}
    for n in ("weather", "time")
]


def proofs(world: World) -> None:
    if world.dialect == "gemini":
        assert world.asked[-1].signatures == [signed("call_1"), signed("call_3")]


# -- LangChain ------------------------------------------------------------------------------


def langchain(url: str, responses: bool) -> Any:
    model = names("langchain", url)["model"]
    return model.model_copy(update={"use_responses_api": True}) if responses else model


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
def test_langchain_with_tools(at: At, dialect: str, responses: bool, stream: bool) -> None:
    world = at(dialect, weather)
    model = langchain(world.url, responses).bind_tools(TOOLS)
    messages: list[Any] = [("user", QUESTION)]
    for _ in range(4):
        if stream:
            said: Any = None
            for piece in model.stream(messages):
                said = piece if said is None else said + piece
        else:
            said = model.invoke(messages)
        if not said.tool_calls:
            break
        messages.append(said)
        for made in said.tool_calls:
            result = call(made["name"], made["args"])
            messages.append({"role": "tool", "tool_call_id": made["id"], "content": result})
    assert said.text == ANSWER
    if responses or not stream:  # from Chat it asks for the usage of a stream at OpenAI only
        assert said.usage_metadata["output_tokens"] == 10
    proofs(world)


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
def test_langchain_typed_output(at: At, dialect: str, responses: bool) -> None:
    model = langchain(at(dialect, person).url, responses)
    assert model.with_structured_output(Person).invoke("Invent a person.") == MAYA


# -- Pydantic AI ----------------------------------------------------------------------------

FACES = ("openai-chat", "gemini")
PAIRS = [
    (face, dialect)
    for face in (*FACES, "openai-responses")
    for dialect in DIALECTS
    if face != dialect
]


def pydantic_model(face: str, url: str) -> Any:
    if face == "openai-responses":
        from pydantic_ai.models.openai import OpenAIResponsesModel

        return OpenAIResponsesModel("main", provider=names("pydantic-ai", url)["provider"])
    return names("pydantic-ai", url, FACES.index(face))["model"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("face", "dialect"), PAIRS)
def test_pydantic_ai_with_tools(at: At, face: str, dialect: str, stream: bool) -> None:
    from pydantic_ai import Agent, Tool

    world = at(dialect, weather)
    tools: list[Any] = [Tool(weather_of, name="weather"), Tool(time_in, name="time")]
    agent = Agent(pydantic_model(face, world.url), tools=tools)
    if stream:
        # `run_stream` takes the first text for the answer; the events do not.
        handled: list[Any] = []

        async def handler(_: Any, events: Any) -> None:
            handled.extend([event async for event in events])

        assert agent.run_sync(QUESTION, event_stream_handler=handler).output == ANSWER
        assert handled
    else:
        assert agent.run_sync(QUESTION).output == ANSWER
    proofs(world)


@pytest.mark.parametrize(("face", "dialect"), PAIRS)
def test_pydantic_ai_typed_output(at: At, face: str, dialect: str) -> None:
    from pydantic_ai import Agent, NativeOutput

    world = at(dialect, person)
    agent = Agent(pydantic_model(face, world.url), output_type=NativeOutput(Person))
    assert agent.run_sync("Invent a person.").output == MAYA


# -- Instructor -----------------------------------------------------------------------------


class Adult(BaseModel):
    name: str
    age: int

    @field_validator("age")
    @classmethod
    def grown_up(cls, age: int) -> int:
        if age < 18:
            raise ValueError("must be grown up")
        return age


@others("openai-chat")
def test_instructor_asks_again(at: At, dialect: str) -> None:
    def script(asked: Asked) -> Blocks:
        assert set(asked.tools["Adult"]["properties"]) == {"name", "age"}
        if not asked.calls:
            return [called("call_1", "Adult", {"name": "Maya", "age": 4})]
        assert "must be grown up" in " ".join([*asked.texts, *asked.results.values()])
        return [called("call_2", "Adult", {"name": "Maya", "age": 41})]

    world = at(dialect, script)
    said = names("instructor", world.url)["client"].create(
        model="main",
        response_model=Adult,
        max_retries=2,
        messages=[{"role": "user", "content": "Invent a person."}],
    )
    assert said.model_dump() == {"name": "Maya", "age": 41}
    assert len(world.asked) == 2


# -- LiteLLM --------------------------------------------------------------------------------

LITELLM = [("openai-chat", d) for d in DIALECTS if d != "openai-chat"]
LITELLM += [("anthropic", d) for d in DIALECTS if d != "anthropic"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("face", "dialect"), LITELLM)
def test_litellm_with_tools(at: At, face: str, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    made = names("litellm", world.url, ["openai-chat", "anthropic"].index(face))
    litellm, asked = made["litellm"], made["asked"]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(4):
        said = litellm.completion(**asked, messages=messages, tools=TOOLS, stream=stream)
        if stream:
            said = litellm.stream_chunk_builder(list(said), messages=messages)
        message = said.choices[0].message
        if not message.tool_calls:
            break
        messages.append(message.model_dump(exclude_none=True))
        for one in message.tool_calls:
            result = call(one.function.name, json.loads(one.function.arguments))
            messages.append({"role": "tool", "tool_call_id": one.id, "content": result})
    assert message.content == ANSWER
    proofs(world)


# -- llm ------------------------------------------------------------------------------------

FUNCTIONS = """
def weather(city: str) -> str:
    "The weather."
    return {"Paris": "18 °C", "Lyon": "21 °C"}[city]

def time(city: str) -> str:
    "The time."
    return "noon"
"""


@others("openai-chat")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_llm_with_tools(at: At, tmp_path: Path, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    home = Home(tmp_path)
    home.env = {"LLM_USER_PATH": str(home.home / "llm")}
    (home.work / "functions.py").write_text(textwrap.dedent(FUNCTIONS))
    line = ["llm", "-m", "main", "--functions", "functions.py", QUESTION]
    said = home.run("llm", world.url, *line, *(() if stream else ("--no-stream",)))
    assert said.strip().endswith(ANSWER)
    proofs(world)


@others("openai-chat")
def test_llm_with_a_schema(at: At, tmp_path: Path, dialect: str) -> None:
    world = at(dialect, person)
    home = Home(tmp_path)
    home.env = {"LLM_USER_PATH": str(home.home / "llm")}
    said = home.run("llm", world.url, "llm", "-m", "main", "--schema", "name, age int", "A person")
    assert json.loads(said) == {"name": "Maya", "age": 41}
