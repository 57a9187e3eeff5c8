"""The websocket form of Responses before every provider dialect, through OpenAI's own SDK.

Each turn brings only what is new and `previous_response_id`, with `store: false`: the connection
remembers the rest. Every event obeys the grammar of the same stream over HTTP.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import openai
import pytest

from tests.dialects.grammar import openai_responses
from tests.sdk import vendors as v
from tests.sdk.faces import LIMIT, NAMES, TOOL, Said, Use
from tests.sdk.failures import breaks, refuses
from tests.sdk.house import KEYS, PRICED, Vendor
from tests.sdk.others import BILL
from tests.sdk.sides import answer
from tests.sdk.test_lattice_tools import GIVEN, LYON, PARIS, TOKYO, converse, told

pytestmark = pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # of the SDK's own
SAID = "Grüße! How can I assist you today?"
every_target = pytest.mark.parametrize(
    "target", ["oai", "resp", "claude", "gem", "rock", "coh", "oll"]
)
ENDS = ("response.completed", "response.incomplete", "response.failed")


class SocketTalk:
    """`client.responses.connect()` of the `openai` package."""

    def __init__(self, connection: Any, model: str, **ask: Any) -> None:
        self._connection, self.model, self._last = connection, model, None
        self._asked = {"max_output_tokens": LIMIT, "store": False, **ask}
        self.events: list[dict[str, Any]] = []

    def turn(self, text: str) -> Said:
        return self._say([{"role": "user", "content": text}])

    def give(self, results: Mapping[str, str]) -> Said:
        outputs = [("call_id", id_, "output", result) for id_, result in results.items()]
        return self._say([{"type": "function_call_output", a: b, c: d} for a, b, c, d in outputs])

    def _say(self, new: list[Any]) -> Said:
        asked: Any = {**self._asked, "model": self.model, "input": new, "stream_id": "main"}
        self._connection.response.create(**asked, previous_response_id=self._last)
        got = self._read()
        self._last = got.id
        calls = [i for i in got.output if i.type == "function_call"]
        thoughts = [i for i in got.output if i.type == "reasoning"]
        return Said(
            got.output_text,
            "tool" if calls else got.status,
            (got.usage.input_tokens, got.usage.output_tokens),
            [Use(c.call_id, c.name, json.loads(c.arguments)) for c in calls],
            "".join(s.text for i in thoughts for s in i.summary),
            got,
        )

    def _read(self) -> Any:
        """The response in the last event, after a look at all of them."""
        self.events = []
        while True:
            data = self._connection.recv_bytes()
            event = json.loads(data)
            assert event.pop("stream_id") == "main"
            self.events.append(event)
            if "status" in event:
                raise Refused(event)
            if event["type"] in ENDS:
                break
        wire = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in self.events)
        openai_responses.check(
            wire.encode(), verbatim=self.model.startswith(("resp/", "only-resp"))
        )
        if event["type"] == "response.failed":
            raise Refused(self.events[-2])
        return self._connection.parse_event(data).response


class Refused(Exception):
    """The `error` event."""

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = self.args[0]
        return event


@pytest.fixture
def talk(gateway: str) -> Iterator[Callable[..., SocketTalk]]:
    with (
        openai.OpenAI(api_key=KEYS["app"], base_url=f"{gateway}/v1", max_retries=0) as client,
        client.responses.connect() as connection,
    ):
        yield lambda model, **ask: SocketTalk(connection, model, **ask)


Make = Callable[..., SocketTalk]


@every_target
def test_text_before_every_dialect(talk: Make, behind: Mapping[str, Vendor], target: str) -> None:
    up = behind[target].plays(answer(target, v.text(SAID), stream=True))
    talking = talk(PRICED[target])
    for number in (1, 2):
        said = talking.turn("Hello")
        assert (said.text, said.stop, said.usage) == (SAID, "completed", BILL)
        assert len(up.book) == number
    assert up.book[1].body.count(SAID.encode()) + up.book[1].body.count(
        json.dumps(SAID).encode()
    ), "the second was told of the first"


@every_target
def test_tools_over_three_turns(talk: Make, behind: Mapping[str, Vendor], target: str) -> None:
    up = behind[target].plays(
        answer(target, PARIS, TOKYO, stop="tool_use", stream=True),
        answer(target, LYON, stop="tool_use", stream=True),
        answer(target, v.text(SAID), stream=True),
    )
    tools = [
        {"type": "function", "name": name, "parameters": TOOL, "strict": False} for name in NAMES
    ]
    calls, last = converse(talk(PRICED[target], tools=tools))
    assert [(use.name, use.given) for said in calls for use in said.calls] == GIVEN
    assert last.text == SAID
    assert told(target, up.asked[2])[0] == GIVEN


@pytest.mark.parametrize("target", ["claude", "gem", "resp"])
def test_thinking_comes_and_goes_back(
    talk: Make, behind: Mapping[str, Vendor], target: str
) -> None:
    proof = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hAA=="
    thought = v.thinking("Paris first.", proof)
    call = {**PARIS, "signature": proof} if target == "gem" else PARIS  # it signs the call
    up = behind[target].plays(
        answer(target, thought, call, stop="tool_use", stream=True),
        answer(target, v.text(SAID), stream=True),
    )
    tools = [{"type": "function", "name": "weather", "parameters": TOOL, "strict": False}]
    talking = talk(PRICED[target], tools=tools, reasoning={"effort": "medium"})
    first = talking.turn("Weather in Paris?")
    assert first.thoughts == "Paris first."
    said = talking.give({use.id: "18" for use in first.calls})
    assert said.text == SAID
    assert proof.encode() in up.book[1].body, "what signs the thinking goes back with it"


def test_thinking_in_the_chat_dialect(talk: Make, oai: Vendor) -> None:
    oai.plays(v.chat_stream([{"reasoning_content": "Hm."}, {"content": SAID}]))
    said = talk(PRICED["oai"]).turn("Hello")
    assert (said.thoughts, said.text) == ("Hm.", SAID)


@every_target
def test_a_stream_that_breaks_is_an_error_on_its_strand(
    talk: Make, behind: Mapping[str, Vendor], target: str
) -> None:
    behind[target].plays(
        breaks(target, "polite", v.text("Half a thought")),
        answer(target, v.text(SAID), stream=True),
    )
    talking = talk(f"only-{target}-38")
    with pytest.raises(Refused) as raised:
        talking.turn("Hi")
    assert raised.value.event["error"]["octoplex"]["code"] == "bad_upstream_response"
    assert any(e["type"] == "response.output_text.delta" for e in talking.events)
    talking.model = PRICED[target]
    assert talking.turn("Hi again").text == SAID, "the connection is as good as before"


@every_target
def test_a_refusal_is_an_error_with_its_status(
    talk: Make, behind: Mapping[str, Vendor], target: str
) -> None:
    behind[target].plays(refuses(target, "busy"))
    with pytest.raises(Refused) as raised:
        talk(f"only-{target}-39").turn("Hi")
    event = raised.value.event
    assert (event["status"], event["error"]["code"]) == (429, "rate_limit_exceeded")
    assert event["error"]["headers"]["retry-after"] == "7"
