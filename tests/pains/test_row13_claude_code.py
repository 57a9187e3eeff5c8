"""Row 13: Claude Code meets lost arguments, lost first deltas, index -1 and odd usage.

Claude Code itself with tools on every dialect: `tests/clients/test_agents.py`; its SDK, with two
tools at once over three turns: `tests/sdk/test_lattice_tools.py`. Here its SDK before servers of
open models that stream as those of the issues do. Its streams obey the grammar: blocks are
opened and closed in order, and usage stands at the start and at the end (`tee`).
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import NAMES, TOOL, Caller
from tests.sdk.house import Vendor
from tests.sdk.vendors import Json
from tests.upstream_server import streams

MODEL = "oai/qwen3-coder-next-awq"
TOOLS: Any = [{"name": name, "input_schema": TOOL} for name in NAMES]
PARIS, TOKYO = '{"city": "Paris"}', '{"city": "東京"}'


def start(index: int | None, id_: str | None, name: str, arguments: str | None = "") -> Json:
    call: Json = {"type": "function", "function": {"name": name}}
    call |= {} if index is None else {"index": index}
    call |= {} if id_ is None else {"id": id_}
    call["function"] |= {} if arguments is None else {"arguments": arguments}
    return {"tool_calls": [call]}


def more(index: int, arguments: str) -> Json:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


BOTH = [("weather", {"city": "Paris"}), ("time", {"city": "東京"})]
CASES: dict[str, tuple[list[Json], str, list[tuple[str, Json]]]] = {
    "the first delta has text": (
        [{"role": "assistant", "content": "Look"}, {"content": "ing."}],
        "Looking.",
        [],
    ),
    "all of a call in one delta": (
        [{"content": "Looking."}, start(0, "a", "weather", PARIS), start(1, "b", "time", TOKYO)],
        "Looking.",
        BOTH,
    ),
    "the first piece of the arguments comes with the name": (
        [start(0, "a", "weather", PARIS[:5]), more(0, PARIS[5:]),
         start(1, "b", "time", TOKYO[:1]), more(1, TOKYO[1:])],
        "",
        BOTH,
    ),
    "calls interleave": (
        [start(0, "a", "weather"), start(1, "b", "time"), more(1, TOKYO[:6]), more(0, PARIS[:6]),
         more(0, PARIS[6:]), more(1, TOKYO[6:])],
        "",
        BOTH,
    ),
    "index -1": (
        [start(-1, "a", "weather", PARIS), start(-1, "b", "time", TOKYO)], "", BOTH,
    ),
    "no index": (
        [start(None, "a", "weather", PARIS), start(None, "b", "time", TOKYO)], "", BOTH,
    ),
    "no ids": ([start(0, None, "weather", PARIS), start(1, None, "time", TOKYO)], "", BOTH),
    "one id for both": ([start(0, "a", "weather", PARIS), start(1, "a", "time", TOKYO)], "", BOTH),
    "no arguments at all": ([start(0, "a", "weather", None)], "", [("weather", {})]),
    "text after a call": (
        [start(0, "a", "weather", PARIS), {"content": "Looking."}], "Looking.", BOTH[:1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_row13_tool_calls_of_an_odd_stream_are_whole(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee, case: str
) -> None:
    deltas, text, calls = CASES[case]
    finish = "tool_calls" if calls else "stop"
    events = v.chat_events(deltas, finish)
    if "role" in deltas[0]:
        del events[0]  # its own first delta is the stream's
    behind["oai"].plays(streams(events))
    said = call["anthropic"](model=MODEL, stream=True, tools=True).turn("Weather and time?")
    assert said.text == text
    assert [(use.name, use.given) for use in said.calls] == calls
    assert said.stop == ("tool" if calls else "end")
    ids = [use.id for use in said.calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    assert said.usage == (19, 10)
    ((_, _, wire),) = tee.streams
    told = [json.loads(line[6:]) for line in bytes(wire).split(b"\n") if line.startswith(b"data: ")]
    opened, ended = told[0]["message"]["usage"], told[-2]["usage"]
    assert {"input_tokens", "output_tokens"} <= opened.keys() & ended.keys()
    assert (ended["input_tokens"], ended["output_tokens"]) == (19, 10)


@pytest.mark.parametrize("case", [name for name, (_, _, calls) in CASES.items() if calls])
def test_row13_the_session_goes_on_with_the_results(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], case: str
) -> None:
    """Each result goes back under an id that the provider is told of."""
    deltas, _, calls = CASES[case]
    up = behind["oai"].plays(
        streams(v.chat_events(deltas, "tool_calls")),
        v.chat_stream([{"content": "Mild."}]),
    )
    talk = call["anthropic"](model=MODEL, stream=True, tools=True)
    said = talk.turn("Weather and time?")
    assert talk.give({use.id: f"of {use.name}" for use in said.calls}).text == "Mild."
    messages = up.asked[1]["messages"]
    made = [made for m in messages for made in m.get("tool_calls") or ()]
    results = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    assert [m["function"]["name"] for m in made] == [name for name, _ in calls]
    assert [results[m["id"]] for m in made] == [f"of {name}" for name, _ in calls]
