"""Callers are told what is left out, or refused, by the names that they wrote."""

import re
from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.dialects.accepted import accepted
from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import WEIGHTS, Omissions
from octoplex.dialects.words import WORDS, words_of
from octoplex.wire.error import Unsupported
from tests.dialects.documented import REQUESTS
from tests.dialects.test_mending import OFF, ON, Json
from tests.dialects.test_mending import sent as mended
from tests.dialects.test_native import FACES
from tests.dialects.test_nothing_silent import changed
from tests.dialects.test_transcripts import call_of

DIALECTS = dialects()
MAGISTRAL = "mistral/magistral-medium-latest"  # it always thinks
REFUSED = ("temperature", "stop", "logprobs", "presence_penalty", "tool_choice", "thinking")


MODELS: dict[str, dict[str, Any]] = {
    "any": {},
    "blind": {"refuses": frozenset(REFUSED), "tools": False, "vision": False},
    "thinker": {"thinking": "always"},
}


def told(face: str, dialect: str, body: Json, *, drop: bool, model: str) -> list[str]:
    """What the caller is told: the field that is refused, or those that are left out."""
    account = {"compartment": "c", "project": "p"}
    traits = Traits(model="m", account=account, drop_unsupported=drop, **MODELS[model])
    try:
        chat = call_of(FACES[face], msgspec.json.encode(body)).chat()
        omissions = Omissions(dialect, words_of(chat), drop_unsupported=drop)
        sent = DIALECTS[dialect].encode_chat(accepted(chat, traits, omissions), traits)
    except Unsupported as error:
        return [str(error.facts["param"]), str(error).split("`")[1]]
    return [*omissions.names(), *sent.dropped]


def last_of(name: str) -> str:
    """The member that a path ends with, without its place in a list."""
    return [step for step in re.split(r"[.\[\]]", name) if step and not step.isdigit()][-1]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drop", [False, True], ids=["refused", "dropped"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("face", FACES)
def test_whatever_is_named_stands_in_the_request(
    face: str, dialect: str, drop: bool, model: str
) -> None:
    base, changes = REQUESTS[face]
    for change in changes.values():
        body = changed(base, change, changes)
        written = msgspec.json.encode(body).decode()
        for name in told(face, dialect, body, drop=drop, model=model):
            assert f'"{last_of(name)}"' in written, (name, change)


@pytest.mark.parametrize("dialect", ["gemini", "anthropic"])
def test_a_conversation_in_which_nothing_is_said_is_called_as_its_caller_does(dialect: str) -> None:
    for face, body, name in (
        ("gemini", {"contents": [{"parts": [{"text": ""}]}]}, "contents"),
        ("openai-responses", {"model": "m", "input": ""}, "input"),
        ("anthropic", {"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": ""}]}, "messages"),
    ):  # fmt: skip
        assert told(face, dialect, body, drop=False, model="any") == [name] * 2


@pytest.mark.parametrize("face", WORDS)
def test_the_table_has_only_fields(face: str) -> None:
    assert set(WORDS[face]) <= {*WEIGHTS, "messages"}


@pytest.mark.parametrize(
    ("target", "face", "came", "left", "named"),
    [
        # as its caller called it
        (MAGISTRAL, "openai-chat", OFF, {}, ["thinking"]),
        (MAGISTRAL, "openai-chat", {"reasoning": {"enabled": False}}, {}, ["reasoning"]),
        (MAGISTRAL, "openai-chat", {**OFF, "reasoning_effort": "none"}, {},
         ["reasoning_effort"]),
        # how much is lost where thinking is only turned on and off
        ("moonshot/kimi-k2.6", "openai-chat", {"reasoning_effort": "low"}, ON,
         ["reasoning_effort"]),
        ("vllm/Qwen/Qwen3-8B", "openai-chat",
         {"thinking": {"type": "enabled", "budget_tokens": 5_000}},
         {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
         ["thinking.budget_tokens"]),
        ("vllm/Qwen/Qwen3-8B", "openai-chat", ON,
         {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}, []),
        ("zai/glm-4.6", "openai-chat", {"reasoning": {"max_tokens": 5_000}}, ON,
         ["reasoning.max_tokens"]),
        # what stands beside a wish that is said otherwise
        ("alibaba/qwen3-max", "openai-chat",
         {"thinking": {"type": "enabled", "clear_thinking": True}, "reasoning": {"exclude": True}},
         {"enable_thinking": True}, ["thinking.clear_thinking", "reasoning.exclude"]),
        # what never thinks does as it is told
        *(("openai/gpt-4.1", "openai-chat", off, {}, [])
          for off in ({"reasoning_effort": "none"}, OFF, {"reasoning": {"enabled": False}})),
        ("openai/gpt-4.1", "openai-responses", {"reasoning": {"effort": "none"}}, {}, []),
        ("gemini/gemini-2.0-flash", "gemini",
         {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
         {"generationConfig": {}}, []),
        ("gemini/gemini-2.0-flash", "gemini",
         {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9_000}}},
         {"generationConfig": {}}, ["generationConfig.thinkingConfig"]),
        ("anthropic/claude-3-5-haiku-20241022", "anthropic", OFF, OFF, []),
    ],
)  # fmt: skip
def test_what_becomes_of_a_wish_is_named_as_its_caller_wrote_it(
    target: str, face: str, came: Json, left: Json, named: list[str]
) -> None:
    assert mended(target, came, face) == (left, named)
