"""Who is held to JSON: targets that cannot be by themselves, and nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from octoplex.dialects.structured import Kind
from octoplex.upstreams.enforced import Enforced, Enforcement
from octoplex.upstreams.judge import Judge
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import BadConfig, OutputInvalid
from octoplex.wire.event import Reply, Text, Usage
from tests.assembly.scene import opened

TARGETS = """
[providers.both]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
[providers.words]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
quirks = ["no_response_format"]
[providers.claude]
base_url = "http://127.0.0.1:9"
dialects = { anthropic = "", openai-chat = "/v1" }
[models.main]
try = ["words/m", "both/m", "claude/claude-sonnet-4", "claude/claude-sonnet-4-5"]
"""
FORMAT = {"response_format": {"type": "json_object"}}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}


def test_targets_that_lack_a_form_or_a_keyword_have_the_layer(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, TARGETS, {}) as at:
            route = at.gateway.plan.routes["main"]
            layers = [type(c.lanes[0].answer.__self__) for c in route.candidates]  # type: ignore[attr-defined]
            assert layers == [Enforced] * 4

    asyncio.run(main())


def test_a_stream_is_buffered_only_for_a_form_that_the_target_lacks(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, TARGETS, {}) as at:
            words, both, old, new = at.gateway.plan.routes["main"].candidates
            plain, objects = at.call("main", stream=True), at.call("main", stream=True, **FORMAT)
            schemas = at.call("main", stream=True, response_format=SCHEMA)
            asked = (plain, objects, schemas)
            assert [words.buffers(ask) for ask in asked] == [False, True, True]
            assert [both.buffers(ask) for ask in asked] == [False, False, False]
            # Chat is a dialect of its own there, which sees to both.
            assert [old.buffers(ask) for ask in asked] == [False, False, False]
            odd = at.call("main", stream=True, response_format={"type": "grammar"})
            assert not words.buffers(odd)
            form = {"format": {"type": "json_schema", "schema": {}}}
            other = at.call("main", "anthropic", stream=True, max_tokens=9, output_config=form)
            assert [old.buffers(other), new.buffers(other)] == [True, False]

    asyncio.run(main())


def test_a_form_beside_tools_is_seen_to_where_the_target_takes_only_one(tmp_path: Path) -> None:
    """Gemini 2.5: "Function calling with a response mime type ... is unsupported"."""
    gemini = "[providers.gem]\ndialect = 'gemini'\nbase_url = 'http://127.0.0.1:9'\n"
    route = "[models.main]\ntry = ['gem/gemini-2.5-flash', 'gem/gemini-3-flash-preview']\n"
    tools = [{"type": "function", "function": {"name": "f"}}]

    async def main() -> None:
        async with opened(tmp_path, gemini + route, {}) as at:
            second, third = at.gateway.plan.routes["main"].candidates
            alone = at.call("main", stream=True, response_format=SCHEMA)
            beside = at.call("main", stream=True, response_format=SCHEMA, tools=tools)
            assert [second.buffers(ask) for ask in (alone, beside)] == [False, True]
            assert [third.buffers(ask) for ask in (alone, beside)] == [False, False]

    asyncio.run(main())


def test_no_attempt_at_all_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(BadConfig, match="json_attempts counts the first"):
            async with opened(tmp_path, TARGETS + "retry = { json_attempts = 0 }\n", {}):
                pass

    asyncio.run(main())


BILL = Usage(input_tokens=19, output_tokens=10)


class Says:
    """A target that answers this, the last for ever, and keeps what it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.asked = texts, list[Call]()

    async def __call__(self, ask: Ask, /) -> Answer:
        assert isinstance(ask, Call)
        self.asked.append(ask)
        text = self.texts[min(len(self.asked), len(self.texts)) - 1]
        reply = Reply(id="r", model="m", blocks=(Text(text),), stop="end", usage=BILL)
        return Whole(Head("p", "m", usage=BILL), "", b"", BILL, lambda _: reply)


def test_more_is_set_aside_for_what_is_asked_in_more_words(tmp_path: Path) -> None:
    """The reservation of an attempt covers the instruction, and what went wrong before."""

    async def main() -> None:
        async with opened(tmp_path, TARGETS, {}) as at:
            call = at.call("words/m", max_tokens=9, **FORMAT)
        said = Says("x" * 3_000)
        none = frozenset[Kind]()
        with pytest.raises(OutputInvalid):
            await Enforced(said, Enforcement({}, none), 3, Judge())(call)
        plain = call.worst_case()
        asked = [ask.worst_case() for ask in said.asked]
        extra = [worst.input_tokens - plain.input_tokens for worst in asked]
        assert 20 < extra[0] < 60
        assert 1_000 < extra[1] - extra[0] < 1_100
        assert extra[2] - extra[1] == pytest.approx(extra[1] - extra[0], abs=1)
        assert {worst.output_tokens for worst in asked} == {9}

    asyncio.run(main())


def test_rate_limits_hear_of_the_tokens_of_every_attempt(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, TARGETS, {}) as at:
            call = at.call("words/m", **FORMAT)
        told: list[Usage] = []
        answer = await Enforced(Says("no", "{}"), Enforcement({}, frozenset()), 3, Judge())(call)
        answer.on_end(lambda _, usage: told.append(usage))
        assert (told, call.trail.wasted_tokens) == ([BILL], 29)
        assert answer.reply().usage == BILL
        with pytest.raises(OutputInvalid):
            await Enforced(Says("no"), Enforcement({}, frozenset()), 3, Judge())(call)
        assert call.trail.wasted_tokens == 29 * 4

    asyncio.run(main())
