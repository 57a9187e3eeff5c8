"""Every transcript of the other dialects, carried across to this one, and this one's to them."""

import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.dialects.anthropic import Anthropic
from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.expression import MEMBERS, SPOKEN, WEIGHTS
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.words import WORDS
from octoplex.wire.chat import Chat, Message, ToolCall
from octoplex.wire.error import Unsupported
from octoplex.wire.event import Event, Reply, fold
from tests.dialects.grammar.openai_responses import check
from tests.dialects.openai_responses.wires import DIALECT, FACE, call, call_of, saying, streaming
from tests.dialects.typed import build

HERE = Path(__file__).parents[1] / "transcripts"
FOREIGN = sorted(path for path in HERE.glob("*/*/*.json") if path.parts[-3] != "openai_responses")
OWN = sorted((HERE / "openai_responses").glob("*/chat.json"))
OTHERS: list[Dialect] = [OpenAIChat(), Anthropic(), Gemini()]


def those(name: str) -> Any:
    """Those of the other dialects' transcripts that do not break off."""
    found = [p for p in FOREIGN if p.name == name and not (p.parent / "error.json").exists()]
    return pytest.mark.parametrize("path", found, ids=lambda p: f"{p.parts[-3]}/{p.parts[-2]}")


def is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except ValueError:
        return False
    return True


@those("events.json")
def test_streams(path: Path) -> None:
    events = [build(Event, e) for e in json.loads(path.read_bytes())]
    calls = fold(events).tool_calls
    encoder = FACE.encoder(call(stream=True))
    wire = b"".join([encoder.feed([event]) for event in events])
    valid = all(is_json(c.arguments) for c in calls)
    check(wire, arguments_valid=valid)
    seen: list[Any] = list(streaming(wire).responses.create(model="m", input="x", stream=True))
    output = seen[-1].response.output
    assert sum(item.type == "function_call" for item in output) == len(calls)
    assert seen[-1].response.output_text == fold(events).text


@those("reply.typed.json")
def test_replies(path: Path) -> None:
    reply = build(Reply, json.loads(path.read_bytes()))
    got = saying(FACE.encode_reply_to(call(), reply)).responses.create(model="m", input="x")
    assert got.output_text == reply.text


@those("chat.json")
def test_requests(path: Path) -> None:
    """With unsupported fields dropped, every chat can be sent, and is understood as sent."""
    chat = build(Chat, json.loads(path.read_bytes()))
    sent = DIALECT.encode_chat(chat, Traits(model="gpt-5", drop_unsupported=True))
    understood = call_of(sent.body).chat()
    assert len(_calls(understood.messages)) == len(_calls(chat.messages))
    again = DIALECT.encode_chat(understood, Traits(model="gpt-5", drop_unsupported=True))
    assert json.loads(again.body) == json.loads(sent.body)


def _calls(messages: tuple[Message, ...]) -> list[str]:
    return [p.use.name for m in messages for p in m.parts if isinstance(p, ToolCall)]


@pytest.mark.parametrize("dialect", OTHERS, ids=lambda d: d.name)
@pytest.mark.parametrize("path", OWN, ids=lambda p: p.parts[-2])
def test_own_requests_go_elsewhere(path: Path, dialect: Dialect) -> None:
    """What the other cannot say is refused by name, or dropped and named: never silence."""
    chat = build(Chat, json.loads(path.read_bytes()))
    try:
        sent = dialect.encode_chat(chat, Traits(model="claude-sonnet-4-5", drop_unsupported=True))
    except Unsupported as error:
        nothing_else = error.facts["param"] == "messages"
        if not nothing_else:
            raise
        return
    if chat.dialect == "openai-responses":
        assert {*chat.extra, *chat.native} <= {*sent.dropped}
    if chat.native and chat.dialect == "openai-responses":
        with pytest.raises(Unsupported) as caught:
            dialect.encode_chat(chat, Traits(model="claude-sonnet-4-5"))
        assert caught.value.facts["param"] in {*chat.native, "tools"}


VALUES: dict[str, Any] = {
    "top_k": 5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 2},
    "seed": 7,
    "stop": ["x"],
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "modalities": ["audio"],
    "server_tools": [{"type": "web_search_20250305", "name": "web_search"}],
    "native": {"odd": 1},
    "extra": {"odd": 1},
}


@pytest.mark.parametrize("field", sorted({*MEMBERS} - SPOKEN["openai-responses"]))
def test_each_field_it_cannot_say_is_refused_or_named(field: str) -> None:
    chat = {"model": "m", "dialect": "anthropic", "messages": [], MEMBERS[field]: VALUES[field]}
    name = "odd" if field in ("native", "extra") else WORDS["anthropic"].get(field, field)
    if WEIGHTS[field] == "answer":
        with pytest.raises(Unsupported) as caught:
            DIALECT.encode_chat(build(Chat, chat), Traits(model="m"))
        assert caught.value.facts["param"] == name
    sent = DIALECT.encode_chat(build(Chat, chat), Traits(model="m", drop_unsupported=True))
    assert name in sent.dropped
    assert field not in json.loads(sent.body)
