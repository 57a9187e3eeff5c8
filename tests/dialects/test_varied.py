"""Other prompts and parameters in callers' own words."""

import json
from typing import Any

import msgspec
import pytest

from octoplex.dialects.varied import Variation, varied
from octoplex.wire.error import InvalidCall

ALL = Variation("Be short.", temperature=0.2, top_p=0.9, max_tokens=50, effort="low")
TURN = {"role": "user", "content": "Hello"}
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]


def changed(face: str, body: dict[str, Any], change: Variation = ALL) -> dict[str, Any]:
    fields = msgspec.json.decode(json.dumps(body).encode(), type=dict[str, msgspec.Raw])
    return json.loads(msgspec.json.encode(varied(face, fields, change)))


CASES = [
    (
        "openai-chat",
        {"model": "m", "messages": [TURN], "seed": 1, "temperature": 1},
        {
            "messages": [{"role": "system", "content": "Be short."}, TURN],
            "temperature": 0.2,
            "top_p": 0.9,
            "max_tokens": 50,
            "reasoning_effort": "low",
        },
    ),
    (
        "openai-chat",
        {"model": "m", "messages": [TURN], "max_completion_tokens": 9},
        {
            "messages": [{"role": "system", "content": "Be short."}, TURN],
            "temperature": 0.2,
            "top_p": 0.9,
            "max_completion_tokens": 50,
            "reasoning_effort": "low",
        },
    ),
    (
        "openai-responses",
        {
            "model": "m",
            "input": "Hello",
            "instructions": "Rhyme.",
            "reasoning": {"summary": "auto"},
        },
        {
            "instructions": "Be short.\n\nRhyme.",
            "temperature": 0.2,
            "top_p": 0.9,
            "max_output_tokens": 50,
            "reasoning": {"summary": "auto", "effort": "low"},
        },
    ),
    (
        "anthropic",
        {"model": "m", "messages": [TURN], "max_tokens": 9, "system": "Rhyme."},
        {
            "system": "Be short.\n\nRhyme.",
            "temperature": 0.2,
            "top_p": 0.9,
            "max_tokens": 50,
            "output_config": {"effort": "low"},
        },
    ),
    (
        "anthropic",
        {"model": "m", "messages": [TURN], "system": [{"type": "text", "text": "Rhyme."}]},
        {
            "system": [{"type": "text", "text": "Be short."}, {"type": "text", "text": "Rhyme."}],
            "temperature": 0.2,
            "top_p": 0.9,
            "max_tokens": 50,
            "output_config": {"effort": "low"},
        },
    ),
    (
        "gemini",
        {"contents": CONTENTS, "generationConfig": {"topK": 3}},
        {
            "systemInstruction": {"parts": [{"text": "Be short."}]},
            "generationConfig": {
                "topK": 3,
                "temperature": 0.2,
                "topP": 0.9,
                "maxOutputTokens": 50,
                "thinkingConfig": {"thinkingLevel": "low"},
            },
        },
    ),
    (
        "gemini",
        {"contents": CONTENTS, "system_instruction": {"parts": [{"text": "Rhyme."}]}},
        {
            "system_instruction": {"parts": [{"text": "Be short."}, {"text": "Rhyme."}]},
            "generationConfig": {
                "temperature": 0.2,
                "topP": 0.9,
                "maxOutputTokens": 50,
                "thinkingConfig": {"thinkingLevel": "low"},
            },
        },
    ),
]


@pytest.mark.parametrize(
    ("face", "body", "expected"),
    [
        (
            "openai-chat",
            {"messages": [{"role": "developer", "content": "Rhyme."}, TURN]},
            {
                "messages": [
                    {"role": "developer", "content": "Be short."},
                    {"role": "developer", "content": "Rhyme."},
                    TURN,
                ],
            },
        ),
        (
            "gemini",
            {
                "systemInstruction": None,
                "generation_config": {
                    "top_p": 0.1,
                    "max_output_tokens": 9,
                    "thinking_config": {"include_thoughts": True, "thinking_budget": 64},
                },
            },
            {
                "systemInstruction": {"parts": [{"text": "Be short."}]},
                "generation_config": {
                    "topP": 0.9,
                    "maxOutputTokens": 50,
                    "temperature": 0.2,
                    "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"},
                },
            },
        ),
    ],
)
def test_what_is_changed_is_there_once(face: str, body: Any, expected: Any) -> None:
    """By one of its names, and beside nothing that a provider refuses with it."""
    told = changed(face, body)
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize(("face", "body", "expected"), CASES)
def test_all_is_changed_and_nothing_else(face: str, body: Any, expected: Any) -> None:
    assert changed(face, body) == {**body, **expected}


@pytest.mark.parametrize(("face", "body", "expected"), CASES)
def test_no_change_is_none(face: str, body: Any, expected: Any) -> None:
    assert changed(face, body, Variation()) == body


@pytest.mark.parametrize(
    ("face", "body", "member", "expected"),
    [
        ("anthropic", {"messages": [TURN]}, "thinking", {"type": "disabled"}),
        (
            "gemini",
            {"contents": CONTENTS},
            "generationConfig",
            {"thinkingConfig": {"thinkingBudget": 0}},
        ),
    ],
)
def test_no_effort_is_no_thinking(face: str, body: Any, member: str, expected: Any) -> None:
    assert changed(face, body, Variation(effort="none"))[member] == expected


@pytest.mark.parametrize(
    ("face", "body"),
    [
        ("openai-chat", {"messages": "Hello"}),
        ("openai-chat", {}),
        ("anthropic", {"messages": [TURN], "system": 7}),
        ("openai-responses", {"input": "Hello", "instructions": ["x"]}),
        ("gemini", {"contents": CONTENTS, "systemInstruction": "Rhyme."}),
    ],
)
def test_what_cannot_be_changed_is_said(face: str, body: Any) -> None:
    with pytest.raises(InvalidCall, match="cannot be varied"):
        changed(face, body)
