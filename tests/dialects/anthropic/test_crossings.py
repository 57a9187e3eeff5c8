"""Every transcript of the other dialects, carried across to this one."""

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.dialect import Traits
from octoplex.wire.chat import Chat, Media, Message, TextPart
from octoplex.wire.error import Unsupported
from octoplex.wire.event import Event, Reply, ToolUse, fold
from tests.dialects.anthropic.test_sdk import ASK, saying, streaming
from tests.dialects.anthropic.wires import call, call_of
from tests.dialects.grammar.anthropic import check
from tests.dialects.typed import build

HERE = Path(__file__).parents[1] / "transcripts"
FOREIGN = sorted(path for path in HERE.glob("*/*/*.json") if path.parts[-3] != "anthropic")
DIALECT, FACE = Anthropic(), AnthropicFace()


def those(name: str) -> Any:
    """Those of the other dialects' transcripts that do not break off."""
    found = [p for p in FOREIGN if p.name == name and not (p.parent / "error.json").exists()]
    return pytest.mark.parametrize("path", found, ids=lambda p: f"{p.parts[-3]}/{p.parts[-2]}")


def are_objects(calls: tuple[ToolUse, ...]) -> bool:
    try:
        return all(isinstance(json.loads(c.arguments or "{}"), dict) for c in calls)
    except ValueError:
        return False


@those("events.json")
def test_streams(path: Path) -> None:
    events = [build(Event, e) for e in json.loads(path.read_bytes())]
    valid = are_objects(fold(events).tool_calls)
    encoder = FACE.encoder(call(stream=True))
    wire = b"".join([encoder.feed([event]) for event in events])
    check(wire, arguments_valid=valid)
    if not valid:
        return
    with streaming(wire).messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert sum(b.type == "tool_use" for b in message.content) == len(fold(events).tool_calls)


@those("reply.typed.json")
def test_replies(path: Path) -> None:
    reply = build(Reply, json.loads(path.read_bytes()))
    message = saying(FACE.encode_reply(reply)).messages.create(**ASK)
    assert isinstance(message, anthropic.types.Message)
    assert "".join(b.text for b in message.content if b.type == "text").startswith(reply.text)


@those("chat.json")
def test_requests(path: Path) -> None:
    """With unsupported fields dropped, every chat can be sent, and is understood as sent."""
    chat = build(Chat, json.loads(path.read_bytes()))
    traits = Traits(model="claude-opus-4-6", drop_unsupported=True)
    try:
        sent = DIALECT.encode_chat(chat, traits)
    except Unsupported as error:
        assert error.facts["param"] == "messages"  # noqa: PT017
        parts = [part for message in chat.messages for part in message.parts]
        assert all(isinstance(part, Media) or part == TextPart("") for part in parts)
        return
    understood = call_of(sent.body).chat()
    assert _calls(understood.messages) == _calls(chat.messages)
    again = DIALECT.encode_chat(understood, Traits(model="claude-opus-4-6"))
    assert json.loads(again.body) == json.loads(sent.body)


def _calls(messages: tuple[Message, ...]) -> list[str]:
    return [p.use.id for m in messages for p in m.parts if hasattr(p, "use")]
