"""Gemini's column of the one table, field by field: said, dropped and named, or refused."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import DEEP, MEMBERS, WEIGHTS, says
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.words import words_of
from octoplex.wire.chat import (
    Chat,
    Format,
    Media,
    Message,
    Part,
    TextPart,
    ThinkingAsk,
    Tool,
    ToolChoice,
)
from octoplex.wire.error import Unsupported
from octoplex.wire.event import Thinking

TRAITS = Traits(model="gemini-3-flash", thinking="effort")
USER = Message("user", (TextPart("x"),))
CHAT = Chat(model="m", messages=(USER,), tools=(Tool(name="f"),), dialect="openai-chat")
CACHE = Raw(b'{"type":"ephemeral"}')


def holding(part: Part) -> dict[str, Any]:
    return {"messages": (Message("user", (part,)),)}


def thought(thinking: Thinking) -> dict[str, Any]:
    return {"messages": (USER, Message("assistant", (thinking,)), USER)}


FIELDS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 3},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logit_bias": {"logit_bias": Raw(b'{"1":2}')},
    "seed": {"seed": 7},
    "stop": {"stop": ("END",)},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2},
    "modalities": {"modalities": ("text", "image")},
    "response_format": {"format": Format(schema=Raw(b'{"type":"object"}'))},
    "tools": {},
    "server_tools": {"server_tools": (Raw(b'{"type":"web_search"}'),)},
    "native": {"native": {"prompt": Raw(b"1")}},
    "tool_choice": {"tool_choice": ToolChoice(mode="any")},
    "parallel_tool_calls": {"parallel_tools": False},
    "thinking": {"thinking": ThinkingAsk(effort="low")},
    "user": {"user": "u"},
    "metadata": {"metadata": Raw(b"{}")},
    "service_tier": {"service_tier": "flex"},
    "verbosity": {"verbosity": "low"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "safety_identifier": {"safety_identifier": "s"},
    "extra": {"extra": {"store": Raw(b"true")}},
    "image.url": holding(Media(kind="image", url="https://x.test/a")),
    "image.data": holding(Media(kind="image", data="iVBORw0K")),
    "image.file_id": holding(Media(kind="image", file_id="https://x.test/files/1")),
    "document.url": holding(Media(kind="document", url="https://x.test/a")),
    "document.data": holding(Media(kind="document", data="JVBERi0x")),
    "document.file_id": holding(Media(kind="document", file_id="files/1")),
    "audio.data": holding(Media(kind="audio", data="SUQz", media_type="audio/mp3")),
    "audio.url": holding(Media(kind="audio", url="https://x.test/a")),
    "audio.file_id": holding(Media(kind="audio", file_id="files/1")),
    "image.detail": holding(Media(kind="image", data="iVBORw0K", detail="low")),
    "document.title": holding(Media(kind="document", data="JVBERi0x", title="a.pdf")),
    "message.name": {"messages": (Message("user", USER.parts, "ann"),)},
    "tool.strict": {"tools": (Tool(name="f", strict=True),)},
    "cache_control": holding(TextPart("x", CACHE)),
    "thinking_history": thought(Thinking("Hm.", "octoplex:gemini:EqQB")),
}
NAMES = {"native": "prompt", "extra": "store"}
ELSEWHERE = {"max_tokens", "thinking.amount"}
"""What every dialect has; what is raised to a least, and on or off alone, others tell."""
FILES = {"image.file_id", "document.file_id", "audio.file_id"}
IN_ITS_REPLIES = {"logprobs", "top_logprobs", "n", "modalities"}
"""What only a reply in Gemini's own words holds."""
OF_THE_CALLERS_DIALECT = FILES | IN_ITS_REPLIES


def test_every_field_is_here() -> None:
    assert set(FIELDS) == set(WEIGHTS) - ELSEWHERE == (set(MEMBERS) | DEEP) - ELSEWHERE


@pytest.mark.parametrize("field", FIELDS)
def test_a_field(field: str) -> None:
    plain = Gemini().encode_chat(CHAT, TRAITS).body
    chat = msgspec.structs.replace(CHAT, **FIELDS[field])
    name = NAMES.get(field) or words_of(chat).get(field, field)
    if says("gemini", field):
        own = msgspec.structs.replace(chat, dialect="gemini")
        sent = Gemini().encode_chat(own if field in OF_THE_CALLERS_DIALECT else chat, TRAITS)
        assert sent.dropped == ()
        assert field == "tools" or sent.body != plain
        return
    if WEIGHTS[field] == "answer":
        with pytest.raises(Unsupported) as caught:
            Gemini().encode_chat(chat, TRAITS)
        assert caught.value.facts["param"] == name
    lenient = msgspec.structs.replace(TRAITS, drop_unsupported=True)
    assert Gemini().encode_chat(chat, lenient).dropped == (name,)


@pytest.mark.parametrize("field", sorted(OF_THE_CALLERS_DIALECT))
def test_what_means_nothing_in_anothers_words(field: str) -> None:
    chat = msgspec.structs.replace(CHAT, **FIELDS[field])
    with pytest.raises(Unsupported) as caught:
        Gemini().encode_chat(chat, TRAITS)
    assert caught.value.facts["param"] == words_of(chat).get(field, field)


def test_anothers_thinking_is_dropped() -> None:
    for thinking in (Thinking("Hm.", "EqQB"), Thinking(data="EqQB"), Thinking("Hm.")):
        chat = msgspec.structs.replace(CHAT, **thought(thinking))
        assert Gemini().encode_chat(chat, TRAITS).dropped == ("reasoning_content",)


def test_parallel_calls_are_the_rule() -> None:
    chat = msgspec.structs.replace(CHAT, parallel_tools=True)
    assert Gemini().encode_chat(chat, TRAITS) == Gemini().encode_chat(CHAT, TRAITS)
