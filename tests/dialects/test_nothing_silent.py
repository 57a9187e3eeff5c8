"""Every documented member of a request goes out, is named as dropped, or is refused.

A member is lost in silence where a request with it becomes the same as one without it.
"""

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.families import family
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.foreign import HISTORY
from octoplex.wire.error import Unsupported
from tests.dialects.documented import REQUESTS, Change
from tests.dialects.test_native import FACES
from tests.dialects.test_transcripts import call_of

DIALECTS = dialects()
CLAUDE, GEMINI, GPT = "claude-sonnet-4-5", "gemini-2.5-flash", "gpt-5.1"
MODELS = {
    "anthropic": CLAUDE,
    "vertex-anthropic": CLAUDE,
    "bedrock-anthropic": CLAUDE,
    "bedrock-converse": CLAUDE,
    "gemini": GEMINI,
    "vertex": GEMINI,
    "openai-chat": GPT,
    "openai-responses": GPT,
}
SAYS_NOTHING = {
    # One call in a reply is all that these have.
    ("openai-chat", "parallel_tool_calls", "gigachat"),
    ("openai-chat", "parallel_tool_calls", "ernie-v1"),
    ("openai-responses", "parallel_tool_calls", "gigachat"),
    ("openai-responses", "parallel_tool_calls", "ernie-v1"),
    # No tools, no calls.
    ("openai-chat", "parallel_tool_calls", "replicate"),
    ("openai-responses", "parallel_tool_calls", "replicate"),
}


def sent(face: str, dialect: str, body: Any) -> Encoded | None:
    """What goes out; None where it is refused."""
    model = MODELS.get(dialect, "m")
    kind = family("", model)
    traits = Traits(
        model=model,
        thinking=kind.thinking,
        efforts=kind.efforts,
        account={"compartment": "c", "project": "p"},
    )
    try:
        chat = call_of(FACES[face], msgspec.json.encode(body)).chat()
        return DIALECTS[dialect].encode_chat(chat, traits)
    except Unsupported:
        return None


def changed(body: Any, change: Change, changes: dict[str, Change]) -> Any:
    body = changed(body, changes[change.of], changes) if change.of else deepcopy(body)
    place = body
    for step in change.path:
        place = place[step]
    if isinstance(place, list):
        place.append(deepcopy(change.put))
    else:
        place.update(deepcopy(change.put))
    return body


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("face", FACES)
def test_row31_no_documented_member_is_lost_in_silence(face: str, dialect: str) -> None:
    base, changes = REQUESTS[face]
    if dialect == "replicate":  # it has no tools: what is asked is without them
        kept = {name: value for name, value in base.items() if name != "tools"}
        base = {**kept, HISTORY[face]: base[HISTORY[face]][: 2 if face == "openai-chat" else 1]}
        changes = {k: v for k, v in changes.items() if not {*v.path} & {"tools", HISTORY[face]}}
    assert sent(face, dialect, base) is not None
    silent = []
    for name, change in changes.items():
        without = changed(base, changes[change.of], changes) if change.of else base
        before = sent(face, dialect, without)
        after = sent(face, dialect, changed(base, change, changes))
        if after is not None and after == before:
            silent.append((face, name, dialect))
    assert set(silent) <= SAYS_NOTHING
