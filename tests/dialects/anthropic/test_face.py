"""The head of a request, and what the typed view makes of odd ones."""

import json
from typing import Any

import pytest

from octoplex.dialects.anthropic.families import family_of
from octoplex.dialects.verbatim import split
from octoplex.wire.chat import ThinkingAsk
from octoplex.wire.error import InvalidCall
from tests.dialects.anthropic.wires import FACE, HELLO, call

GOOD: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": HELLO}


def head(**members: Any) -> Any:
    return FACE.read_head(split(json.dumps({**GOOD, **members}).encode()))


def test_the_head_is_read() -> None:
    found = head(stream=True)
    assert (found.model, found.stream, found.max_tokens, found.n) == ("m", True, 5, 1)
    assert not found.may_hold_media


TEXT = {"type": "text", "text": 'say "image" aloud', "cache_control": {"type": "ephemeral"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"signature": 7, "data": []}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqQBCg"}


@pytest.mark.parametrize(
    ("part", "may"),
    [
        (TEXT, False),
        (CALL, False),
        (CALL | {"id": "toolu_1__gemini_sig__QUJD"}, True),
        (THOUGHT, False),
        (THOUGHT | {"signature": ""}, True),
        (THOUGHT | {"signature": "octoplex:gemini:x"}, True),
        ({"type": "redacted_thinking", "data": "Emw"}, False),
        ({"type": "redacted_thinking", "data": "octoplex:x"}, True),
        ({"type": "image", "source": {}}, True),
        ({"type": "document", "source": {}}, True),
        ({"type": "tool_result", "tool_use_id": "t", "content": [TEXT]}, False),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}, True),
        ({"type": "of the future", "parts": ["document"]}, True),
        ({"type": "of the future"}, False),
    ],
)
def test_what_must_be_looked_at_is_suspected(part: dict[str, Any], may: bool) -> None:
    turns = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [TEXT, part]}]
    assert head(messages=turns).may_hold_media is may
    both = [*turns, {"role": "user", "content": [{"type": "of the future"}]}]
    assert head(messages=both).may_hold_media is may


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("model", None),
        ("model", 7),
        ("stream", "yes"),
        ("max_tokens", None),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", "5"),
        ("messages", []),
        ("messages", {}),
        ("messages", "hi"),
        ("messages", None),
    ],
)
def test_a_wrong_head_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidCall) as caught:
        head(**{name: value})
    assert caught.value.facts["param"] == name


def test_zero_tokens_fill_the_cache() -> None:
    assert head(max_tokens=0).max_tokens == 0


def test_counting_needs_no_limit() -> None:
    fields = split(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    assert FACE.read_count_head(fields).max_tokens is None


def block(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [members]}]}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        (block(type="image"), "messages.0.content.0.source"),
        (block(type="image", source={"type": "url"}), "messages.0.content.0.source.url"),
        (block(type="image", source={"type": "odd"}), "messages.0.content.0.source.type"),
        (block(type="tool_result"), "messages.0.content.0.tool_use_id"),
        (
            block(type="tool_result", tool_use_id="t", content=[{"type": "text"}]),
            "messages.0.content.0.content.0.text",
        ),
        (block(type="tool_use", id=3, name="f"), "messages.0.content.0.id"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"system": 4}, "system"),
        ({"system": [{"type": "text", "text": 1}]}, "system.0.text"),
        ({"tools": [{"description": "x"}]}, "tools.0.name"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "must"}}, "tool_choice.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"output_format": {"type": "xml"}}, "output_format.type"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_a_mistake_is_told_where_it_stands(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        call(**members).chat()
    assert caught.value.facts["param"] == param
    assert f"`{param}`" in str(caught.value)


def test_nulls_count_as_absent() -> None:
    chat = call(system=None, thinking=None, tools=None, container=None).chat()
    assert (chat.thinking, chat.tools, chat.extra) == (None, (), {})


def test_a_system_turn_stays_where_it_stands() -> None:
    turns = [*HELLO, {"role": "system", "content": "Now in French."}]
    assert [m.role for m in call(messages=turns).chat().messages] == ["user", "system"]


def test_what_thinking_says_beyond_our_words_is_kept() -> None:
    chat = call(thinking={"type": "between_tools"}, output_config={"effort": "low", "x": 1}).chat()
    assert chat.thinking == ThinkingAsk(enabled=False, effort="low")
    assert {k: bytes(v) for k, v in chat.extra.items()} == {
        "thinking": b'{"type":"between_tools"}',
        "output_config": b'{"x":1}',
    }


@pytest.mark.parametrize(
    ("model", "word", "says"),
    [
        ("claude-fable-5", None, (True, False, False, False)),
        ("anthropic/claude-opus-4.8", None, (True, False, True, False)),
        ("claude-sonnet-5-20260901", None, (True, False, True, False)),
        ("us.anthropic.claude-opus-4-6-v1", None, (True, True, True, True)),
        ("claude-sonnet-4-6", "adaptive", (True, True, True, True)),
        ("claude-haiku-4-5-20251001", None, (False, True, False, True)),
        ("claude-sonnet-4-20250514", None, (False, True, False, True)),
        ("claude-3-7-sonnet-latest", None, (False, True, False, True)),
        ("claude-3-5-haiku-20241022", None, (False, False, False, True)),
        ("claude-3-opus-20240229", None, (False, False, False, True)),
        ("glm-5", None, (False, True, False, True)),
        ("kimi-k3", "none", (False, False, False, True)),
        ("claude-opus-5-5", "always", (True, False, False, False)),
    ],
)
def test_families(model: str, word: str | None, says: tuple[bool, ...]) -> None:
    row = family_of(model, word)
    assert (row.adaptive, row.budget, row.can_disable, row.sampling) == says
