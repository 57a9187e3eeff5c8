"""What a model refuses although its dialect has a word for it (catalog/families.toml)."""

import json
from typing import Any, get_args

import msgspec
import pytest

from octoplex.catalog.families import family
from octoplex.catalog.quirk import Parameter
from octoplex.dialects.accepted import NOTHING, accepted, is_looked_into, look_into
from octoplex.dialects.expression import MEMBERS, Omissions
from octoplex.wire.chat import Chat, Media, Message, TextPart, ThinkingAsk, Tool, ToolResult
from octoplex.wire.error import Unsupported
from tests.dialects.test_mending import call_of, traits_of

IMAGE = Media(kind="image", data="iVBORw0KGgo=", media_type="image/png")
HI = TextPart("Hi")


def told(target: str, *, drop: bool = True, **members: Any) -> tuple[dict[str, Any], list[str]]:
    """The members that are left, and what was left out."""
    chat = Chat(model="m", **({"messages": (Message("user", (HI,)),)} | members))
    omissions = Omissions("openai-chat", {}, drop_unsupported=drop)
    left = accepted(chat, traits_of(target), omissions)
    found = {name: getattr(left, name) for name in members if name != "thinking"}
    return {n: v for n, v in found.items() if v != getattr(NOTHING, n)}, list(omissions.names())


@pytest.mark.parametrize(
    ("target", "members", "left", "named"),
    [
        # https://developers.openai.com/api/docs/guides/latest-model#parameter-compatibility
        ("openai/gpt-5", {"temperature": 0.3, "stop": ("x",), "seed": 1}, {"seed": 1},
         ["stop", "temperature"]),
        ("openai/gpt-5", {"temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0}, {}, []),
        ("openai/gpt-5.2", {"temperature": 0.3}, {"temperature": 0.3}, []),
        ("openai/gpt-5.2", {"temperature": 0.3, "thinking": ThinkingAsk(effort="low")}, {},
         ["temperature"]),
        ("openai/gpt-5.2", {"top_p": 0.3, "thinking": ThinkingAsk(effort="none")},
         {"top_p": 0.3}, []),
        ("openai/gpt-4.1", {"temperature": 0.3}, {"temperature": 0.3}, []),
        # https://learn.microsoft.com/azure/foundry/openai/how-to/reasoning
        ("azure-openai/o3", {"presence_penalty": 0.5, "stop": ("x",)}, {},
         ["presence_penalty", "stop"]),
        ("openai/o1", {"stop": ("x",), "logit_bias": "{}"}, {"stop": ("x",)}, ["logit_bias"]),
        # https://docs.x.ai/docs/guides/reasoning
        ("xai/grok-4", {"stop": ("x",), "temperature": 0.3}, {"temperature": 0.3}, ["stop"]),
        # https://console.groq.com/docs/openai
        ("groq/llama-3.3-70b-versatile", {"n": 2, "logprobs": True}, {}, ["logprobs", "n"]),
        # https://docs.mistral.ai/api
        ("mistral/mistral-large-latest", {"user": "u", "top_p": 0.5}, {"top_p": 0.5}, ["user"]),
        ("openai/o1-mini", {"tools": (Tool(name="f"),), "parallel_tools": False}, {}, ["tools"]),
        ("backup/own", {"temperature": 0.3, "tools": (Tool(name="f"),)},
         {"temperature": 0.3, "tools": (Tool(name="f"),)}, []),
    ],
)  # fmt: skip
def test_a_refused_field(
    target: str, members: dict[str, Any], left: dict[str, Any], named: list[str]
) -> None:
    assert told(target, **members) == (left, named)


@pytest.mark.parametrize(
    ("target", "members", "field"),
    [
        ("openai/gpt-5", {"temperature": 0.3}, "temperature"),
        ("openai/o1-mini", {"tools": (Tool(name="f"),)}, "tools"),
        ("groq/openai/gpt-oss-20b", {"messages": (Message("user", (IMAGE,)),)}, "image.data"),
    ],
)
def test_what_changes_the_answer_is_refused(
    target: str, members: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        told(target, drop=False, **members)
    assert caught.value.facts["param"] == field
    assert target.partition("/")[2] in str(caught.value) or "not shown images" in str(caught.value)


def test_a_model_without_eyes_is_shown_no_image() -> None:
    result = ToolResult("c", (HI, IMAGE))
    messages = (Message("user", (HI, IMAGE)), Message("user", (result,)))
    left, named = told("groq/openai/gpt-oss-20b", messages=messages)
    assert left == {
        "messages": (Message("user", (HI,)), Message("user", (ToolResult("c", (HI,)),)))
    }
    assert named == ["image.data"]
    assert told("openai/gpt-4.1", messages=messages) == ({"messages": messages}, [])


def test_a_request_without_such_fields_is_the_same() -> None:
    chat = Chat(model="m", messages=(Message("user", (HI,)),))
    omissions = Omissions("openai-chat", {}, drop_unsupported=False)
    for target in ("openai/gpt-5", "openai/o1-mini", "mistral/x", "backup/own"):
        assert accepted(chat, traits_of(target), omissions) is chat


def test_parameters_of_the_catalogue_are_fields() -> None:
    assert set(get_args(Parameter)) <= MEMBERS.keys()


@pytest.mark.parametrize(
    ("model", "members", "refused"),
    [
        # https://platform.claude.com/docs/en/about-claude/models/migration-guide
        ("claude-opus-4-6", {}, True),
        ("claude-sonnet-4-5", {}, False),
        ("claude-sonnet-4-5", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, True),
        ("claude-sonnet-4-5", {"thinking": {"type": "disabled"}}, False),
    ],
)
def test_a_turn_to_go_on_from_is_left_to_another_target(
    model: str, members: dict[str, Any], refused: bool
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": 'He "user" '}]
    known = msgspec.structs.replace(
        traits_of(f"anthropic/{model}"), prefill=family("anthropic", model).prefill
    )
    for alone, messages, expected in (
        (False, turns, refused),
        (True, turns, False),
        (False, [*turns, turns[0]], False),
    ):
        traits = msgspec.structs.replace(known, alone=alone)
        body = {"model": "m", "max_tokens": 9000, "messages": messages, **members}
        call = call_of("anthropic", json.dumps(body).encode())
        assert is_looked_into(traits) is not alone
        if expected:
            with pytest.raises(Unsupported, match="go on from"):
                look_into(call, "anthropic", traits)
            with pytest.raises(Unsupported, match="go on from"):
                accepted(call.chat(), traits, Omissions("anthropic", {}, drop_unsupported=True))
        else:
            if not alone:
                look_into(call, "anthropic", traits)
            accepted(call.chat(), traits, Omissions("anthropic", {}, drop_unsupported=True))
