"""Every face before predictions, through each face's own SDK.

They are not in the tables of the other dialects: a reply takes several requests, has no reason
for its end, and has neither tools nor a schema, which is said before anything is asked.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.sdk.conftest import Sdks, Tee
from tests.sdk.faces import Caller
from tests.sdk.house import Vendor
from tests.sdk.sides import every_face, streamed_or_not
from tests.sdk.test_lattice import KEY, NANO, SAID, settled
from tests.sdk.test_lattice_errors import shown
from tests.server.predicting import BILL, Replicate

MODEL = "rep/meta/llama"
MADE = "/v1/models/meta/llama/predictions"
LOOKED = "/v1/predictions/p1"


@every_face
@streamed_or_not
@pytest.mark.parametrize("looks", [0, 2], ids=["at once", "later"])
def test_every_face_before_a_prediction(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], folder: Path, tee: Tee,
    face: str, stream: bool, looks: int,
) -> None:  # fmt: skip
    up = behind["rep"].plays(Replicate(SAID[:3], SAID[3:], looks=looks).play)
    said = call[face](model=MODEL, stream=stream).turn("Hello")
    assert (said.text, said.stop, said.usage) == (SAID, "end", BILL)
    (made,) = up.asked
    assert made["input"]["prompt"] == "Hello"
    assert made.get("stream", False) is stream
    assert all(entry.headers[b"authorization"] == b"Bearer " + KEY for entry in up.book)
    paths = [entry.path for entry in up.book]
    assert paths == [MADE, *(["/stream/p1"] if stream else []), *[LOOKED] * max(looks, stream)]
    assert tee.got[-1].headers["x-octoplex-attempts"] == "1"
    row = settled(folder, tee)
    assert (row["input_tokens"], row["output_tokens"], row["nano"]) == (*BILL, NANO)
    assert (row["state"], row["outcome"], row["estimated"]) == ("settled", "done", 0)


@every_face
@streamed_or_not
def test_what_was_said_before_is_said_again(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, stream: bool
) -> None:
    up = behind["rep"].plays(Replicate(SAID).play)
    talk = call[face](model=MODEL, stream=stream)
    talk.turn("Hello")
    talk.turn("And you?")
    prompt = up.asked[-1]["input"]["prompt"]
    assert prompt.index("Hello") < prompt.index(SAID) < prompt.index("And you?")


@every_face
@streamed_or_not
def test_a_prediction_that_fails(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, stream: bool
) -> None:
    played = Replicate(looks=1, status="failed", error="CUDA out of memory", streams=False)
    behind["rep"].plays(played.play)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call[face](model="only-rep-0", stream=stream).turn("Hello")
    status, code, id_ = shown(face, caught.value)
    assert (status or 502, code) == (502, "upstream_failed")
    assert id_.startswith("req_")
    assert played.cancelled == []


@every_face
def test_tools_are_refused_by_name(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str
) -> None:
    with pytest.raises(Exception, match="tools") as caught:
        call[face](model=MODEL, stream=False, tools=True).turn("Hello")
    assert shown(face, caught.value)[1] == "unsupported"
    assert behind["rep"].book == []


class Person(BaseModel):
    name: str


ASKS: Mapping[str, Callable[[Sdks], Any]] = {
    "openai-chat": lambda sdks: sdks.gpt.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Who?"}], response_format=Person
    ),
    "openai-responses": lambda sdks: sdks.gpt.responses.parse(
        model=MODEL, input="Who?", text_format=Person
    ),
}


@pytest.mark.parametrize("face", ASKS)
def test_a_schema_is_asked_for_in_words(
    clients: Sdks, behind: Mapping[str, Vendor], face: str
) -> None:
    """A model of no such parameter is told the schema, and its reply is held to it."""
    up = behind["rep"].plays(Replicate('{"na', 'me":"Maya"}').play)
    ASKS[face](clients)
    (made,) = up.asked
    assert "one JSON value and nothing else" in made["input"]["system_prompt"]
