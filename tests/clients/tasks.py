"""The tasks that clients do, and the scripts by which an upstream leads them through.

`weather`: two tools at once, a third call that depends on them, then a text made of what
the tools said; it is right only if every result came back to the right call.
`files`: read two files at once, write a third with what stood in them, then say so.
"""

import json
import re
from typing import Any

from tests.clients.asked import Asked, Json
from tests.clients.told import Blocks
from tests.clients.world import Script
from tests.sdk.vendors import text, use

QUESTION = "Weather in Paris and time in 東京? Then the weather where it is warmer."
WEATHER = {"Paris": "18 °C", "Lyon": "21 °C"}
ANSWER = "Paris 18 °C, 東京 noon, Lyon 21 °C."
FORM = '{"name": "Maya", "age": 41}'


def weather_of(city: str) -> str:
    """What the tool `weather` says."""
    return WEATHER[city]


def time_in(city: str) -> str:
    """What the tool `time` says."""
    assert city == "東京"
    return "noon"


def called(call_id: str, name: str, given: Json) -> Json:
    """A tool call, also where an argument is called `name`."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def call(name: str, given: Any) -> str:
    """Either tool by its name."""
    assert set(given) == {"city"}, given
    return {"weather": weather_of, "time": time_in}[name](given["city"])


def weather(asked: Asked) -> Blocks:
    """The script of the weather task; the tools must be declared with their parameter."""
    assert {"weather", "time"} <= set(asked.tools), sorted(asked.tools)
    assert "city" in asked.tools["weather"]["properties"]
    assert any(QUESTION in said for said in asked.texts), asked.texts
    said = {(name, given["city"]): asked.results[i] for i, (name, given) in asked.calls.items()}
    match len(said):
        case 0:
            return [
                text("Looking."),
                use("call_1", "weather", city="Paris"),
                use("call_2", "time", city="東京"),
            ]
        case 2:
            assert "18 °C" in said["weather", "Paris"], said
            assert "noon" in said["time", "東京"], said
            return [use("call_3", "weather", city="Lyon")]
        case 3:
            assert "21 °C" in said["weather", "Lyon"], said
            return [text(ANSWER)]
    raise AssertionError(said)


def person(asked: Asked) -> Blocks:
    """The script of one structured answer; the schema must have come, as a form or a tool."""
    if not asked.form:
        ((name, schema),) = asked.tools.items()
        assert set(schema["properties"]) == {"name", "age"}
        return [called("call_1", name, json.loads(FORM))]
    assert set(asked.form["properties"]) == {"name", "age"}
    return [text(FORM)]


def files(reader: str, writer: str, reads: list[Json], write: Json) -> Script:
    """The script of the file task with an agent's own tools.

    `reads` are the arguments of the first step's calls, all at once; `write` those of the
    second, where `{words}` stands for what was read.
    """

    def script(asked: Asked) -> Blocks:
        if not {reader, writer} <= set(asked.tools):
            return [text("ok")]  # a title, a quota check
        if not asked.results:
            first = [use(f"call_{n}", reader, **given) for n, given in enumerate(reads, 1)]
            return [text("Reading."), *first]
        if len(asked.results) > len(reads):
            return [text("The words are written.")]
        said = [asked.results[call_id] for call_id in asked.calls]
        words = [re.findall(r"word-[a-z]+", one) for one in said]
        assert [len(found) for found in words] == [1] * len(reads), said
        joined = " ".join(found[0] for found in words)
        given = {key: value.replace("{words}", joined) for key, value in write.items()}
        return [use(f"call_{len(reads) + 1}", writer, **given)]

    return script
