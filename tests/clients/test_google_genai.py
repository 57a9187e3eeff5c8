"""The `google-genai` package through Gemini's dialect, set up as its guide says."""

from collections.abc import Callable

import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel

from tests.clients.guide import names
from tests.clients.tasks import ANSWER, QUESTION, call, person, weather
from tests.clients.world import Script, World, others

At = Callable[[str, Script], World]


class Person(BaseModel):
    name: str
    age: int


def client_of(url: str) -> genai.Client:
    made: genai.Client = names("google-genai", url)["client"]
    return made


@others("gemini")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_chat_that_calls_functions_by_itself(at: At, dialect: str, stream: bool) -> None:
    def weather_now(city: str) -> str:
        """The weather."""
        return call("weather", {"city": city})

    def time_now(city: str) -> str:
        """The time."""
        return call("time", {"city": city})

    weather_now.__name__, time_now.__name__ = "weather", "time"
    world = at(dialect, weather)
    config = types.GenerateContentConfig(tools=[weather_now, time_now])
    client = client_of(world.url)  # closes itself once nobody holds it
    chat = client.chats.create(model="main", config=config)
    if stream:
        said = "".join(piece.text or "" for piece in chat.send_message_stream(QUESTION))
        assert said.endswith(ANSWER)
    else:
        assert chat.send_message(QUESTION).text == ANSWER
    assert len(world.asked) == 3


@others("gemini")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_contents_with_parallel_calls(at: At, dialect: str, stream: bool) -> None:
    world = at(dialect, weather)
    client = client_of(world.url)
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    made = [
        types.FunctionDeclaration(name=name, description=name, parameters_json_schema=city)
        for name in ("weather", "time")
    ]
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=made)])
    contents = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
    for _ in range(4):
        parts: list[types.Part] = []
        asked = {"model": "main", "contents": contents, "config": config}
        if stream:
            for piece in client.models.generate_content_stream(**asked):
                parts += piece.candidates[0].content.parts or []
        else:
            parts = client.models.generate_content(**asked).candidates[0].content.parts
        calls = [part.function_call for part in parts if part.function_call]
        if not calls:
            break
        contents.append(types.Content(role="model", parts=parts))
        results = [
            types.Part.from_function_response(
                name=c.name, response={"output": call(c.name, c.args)}
            )
            for c in calls
        ]
        contents.append(types.Content(role="user", parts=results))
    assert "".join(part.text or "" for part in parts) == ANSWER
    assert len(world.asked) == 3


@others("gemini")
def test_typed_output(at: At, dialect: str) -> None:
    client = client_of(at(dialect, person).url)
    said = client.models.generate_content(
        model="main",
        contents="Invent a person.",
        config={"response_mime_type": "application/json", "response_schema": Person},
    )
    assert said.parsed == Person(name="Maya", age=41)
