"""Row 37: a model that the catalogue does not know loses features.

A name of one's own at each dialect (vLLM, a router, a fine-tuned model) has everything that a
known one has: streams, tools over several turns, Responses, token counts, thinking. Command-line
agents with such a name: `tests/clients`.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from octoplex.catalog.families import family
from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Caller, Sdks
from tests.sdk.house import PRICED, Vendor
from tests.sdk.sides import answer, every_face, every_target, streamed_or_not
from tests.sdk.test_lattice_counts import COUNTS, TEXT, every_counting_face
from tests.sdk.test_lattice_tools import GIVEN, RESULTS, calling, converse, told
from tests.upstream_server import says

MODELS = {target: f"{target}/dolphin-7b" for target in PRICED} | {
    "oai": "oai/acme/dolphin-7b-awq",
    "rock": "rock/arn:aws:bedrock:eu-west-1:123456789012:custom-model/dolphin",
    "oll": "oll/dolphin:7b",
}


@every_target
def test_row37_nothing_is_known_of_them(target: str) -> None:
    provider, _, model = MODELS[target].partition("/")
    assert not family(provider, model).name


@every_face
@every_target
@streamed_or_not
def test_row37_tools_over_three_turns(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee,
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    up = behind[target].plays(*calling(target, stream))
    turns, last = converse(call[face](model=MODELS[target], stream=stream, tools=True))
    assert [(u.name, u.given) for said in turns for u in said.calls] == GIVEN
    assert (turns[0].text, last.text, last.stop) == ("Looking.", "Mild.", "end")
    assert {said.usage for said in (*turns, last)} == {(19, 10)}
    assert told(target, up.asked[-1]) == (GIVEN, RESULTS)
    assert tee.got[-1].headers["x-octoplex-model"] == MODELS[target]


@every_counting_face
@every_target
def test_row37_tokens_are_counted_or_estimated(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    behind[target].plays(says(b"404 page not found", 404, [("content-type", "text/plain")]))
    assert COUNTS[face](clients, MODELS[target]) == 16, TEXT
    assert tee.got[-1].headers["x-octoplex-estimated"] == "true"


THOUGHT = v.thinking("Paris is mild.", "c2lnbmVkIGJ5IG5vYm9keQ==")


@every_face
@pytest.mark.parametrize("target", ["oai", "claude", "gem", "coh", "oll"])
@streamed_or_not
def test_row37_thinking_is_told_apart(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, target: str, stream: bool
) -> None:
    """An open server's `reasoning_content` too."""
    if target == "oai":
        deltas = [{"reasoning_content": "Paris is "}, {"reasoning_content": "mild."}]
        deltas.append({"content": "Mild."})
        message = {"reasoning_content": "Paris is mild.", "content": "Mild."}
        behind["oai"].plays(v.chat_stream(deltas) if stream else v.chat(message))
    else:
        behind[target].plays(answer(target, THOUGHT, v.text("Mild."), stream=stream))
    more: Any = {
        "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        "gemini": {"thinking_config": {"include_thoughts": True}},
        "openai-responses": {"reasoning": {"summary": "auto"}},
    }
    talk = call[face](model=MODELS[target], stream=stream, **more.get(face, {}))
    said = talk.turn("Weather in Paris?")
    assert (said.text, said.thoughts) == ("Mild.", "Paris is mild.")


TAGGED = "<think>\nParis is mild.\n</think>\n\nMild."


TAGGERS = ("oai/acme/QwQ-32B-dolphin-awq", "tagged/dolphin-7b")
"""A name that says whose child it is, and a provider whose table says so."""


@pytest.mark.parametrize("model", TAGGERS)
@every_face
@streamed_or_not
def test_row37_thinking_tags_are_no_text(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, model: str, stream: bool
) -> None:
    """A server without a reasoning parser."""
    pieces = [TAGGED[at : at + 5] for at in range(0, len(TAGGED), 5)]
    whole = v.chat({"content": TAGGED})
    behind["oai"].plays(v.chat_stream([{"content": p} for p in pieces]) if stream else whole)
    said = call[face](model=model, stream=stream).turn("Weather in Paris?")
    assert said.text.strip() == "Mild."
    assert said.thoughts.strip() == "Paris is mild."


@every_face
@streamed_or_not
def test_row37_tags_of_whom_nobody_knows_are_thinking_where_the_reply_is_written_anew(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, stream: bool
) -> None:
    """Within its own dialect nothing that it says is touched."""
    pieces = [TAGGED[at : at + 5] for at in range(0, len(TAGGED), 5)]
    whole = v.chat({"content": TAGGED})
    behind["oai"].plays(v.chat_stream([{"content": p} for p in pieces]) if stream else whole)
    said = call[face](model=MODELS["oai"], stream=stream).turn("Weather in Paris?")
    if face == "openai-chat":
        assert (said.text, said.thoughts) == (TAGGED, "")
    else:
        assert (said.text.strip(), said.thoughts.strip()) == ("Mild.", "Paris is mild.")
