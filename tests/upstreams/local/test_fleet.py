"""Local models as targets: what they refuse, how they are asked, how they go."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.dialect import Dialect, Face
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.verbatim import split
from octoplex.transport.http import Client, Limits, Request, Response
from octoplex.transport.origin import NO_PROXIES, Origin
from octoplex.upstreams.config import Local
from octoplex.upstreams.local import engine
from octoplex.upstreams.local.fleet import Fleet, Free
from octoplex.upstreams.source import Making
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Call
from octoplex.wire.error import BadConfig, ContextTooLong, ModelGone, Unsupported
from octoplex.wire.event import Event, Finished, Usage, fold
from tests.upstreams.local.asking import needs_model, until_async

DIALECTS: dict[str, Dialect] = {d.name: d for d in (OpenAIChat(), Anthropic())}
FACES: dict[str, Face] = {f.name: f for f in (OpenAIChatFace(), AnthropicFace())}
HI = [{"role": "user", "content": "Say hello."}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
SHOWN = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def call(face: str = "openai-chat", **fields: object) -> Call:
    body = json.dumps({"model": "m", "messages": HI, "max_tokens": 4, **fields}).encode()
    members = split(body)
    head = FACES[face].read_head(members)
    return Call(
        id="r",
        face=face,
        model="m",
        raw=body,
        deadline_at=asyncio.get_running_loop().time() + 60,
        stream=head.stream,
        fields=members,
        understand=FACES[face].decode_chat,
        max_tokens=head.max_tokens,
        n=head.n,
        may_hold_media=head.may_hold_media,
    )


def making(drop: bool = False) -> Making:
    return Making(dialects=DIALECTS, proxies=NO_PROXIES, drop_unsupported=drop)


async def gathered(answer: Answer) -> list[Event]:
    return [event async for frame in answer for event in frame.events()]


def scene(tmp_path: Path, play: Callable[[Fleet], Awaitable[None]]) -> None:
    async def run() -> None:
        client = Client()
        fleet = Fleet(tmp_path, client, DIALECTS)
        try:
            async with asyncio.timeout(60):
                await play(fleet)
        finally:
            await fleet.close()
            client.close()

    asyncio.run(run())


@needs_model
def test_a_plain_call_is_asked_as_a_stream_that_can_be_left(tmp_path: Path) -> None:
    async def play(fleet: Fleet) -> None:
        ask, count = fleet.answerers("smollm2", making())
        for face in FACES:
            answer = await ask(call(face))
            assert answer.body is None
            reply = fold(await gathered(answer))
            assert reply.stop == "length"
            assert reply.text
            assert reply.usage.output_tokens == 4
            counted = await count(call(face))
            assert counted.reply().usage == Usage(reply.usage.input_tokens)
        endless = await ask(call(max_tokens=4_000, ignore_eos=True))
        endless.close()
        quick = await ask(call())
        assert isinstance((await gathered(quick))[-1], Finished)

    scene(tmp_path, play)


@needs_model
def test_what_has_no_events_is_asked_plainly(tmp_path: Path) -> None:
    async def play(fleet: Fleet) -> None:
        ask, _ = fleet.answerers("smollm2", making())
        answer = await ask(call(logprobs=True, top_logprobs=1))
        assert answer.body is not None
        assert json.loads(answer.body)["choices"][0]["logprobs"]

    scene(tmp_path, play)


@needs_model
def test_tools_images_and_choices_are_refused_or_dropped_never_ignored(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "aGk="}}]}]  # fmt: skip
    claude_tool = {"name": "f", "input_schema": {"type": "object"}}

    async def play(fleet: Fleet) -> None:
        strict, _ = fleet.answerers("smollm2", making())
        loose, _ = fleet.answerers("smollm2", making(drop=True))
        for face, more, name in (
            ("openai-chat", {"tools": [TOOL]}, "tools"),
            ("anthropic", {"tools": [claude_tool]}, "tools"),
            ("openai-chat", {"messages": SHOWN}, "image_url.url"),
            ("openai-chat", {"n": 2}, "n"),
            ("anthropic", {"messages": [*messages, *HI]}, "image.source.data"),
        ):
            with pytest.raises(Unsupported, match=f"takes no `{name}`") as caught:
                await strict(call(face, **more))
            assert caught.value.facts["param"] == name
            for stream in (False, True):
                asked = call(face, stream=stream, **more)
                reply = fold(await gathered(await loose(asked)))
                assert reply.stop in ("end", "length")
                assert asked.trail.dropped_for == {"octoplex/smollm2": {name: None}}
        empty = await strict(call(tools=[]))
        empty.close()

    scene(tmp_path, play)


@needs_model
def test_a_prompt_above_the_context_is_told_by_structure(tmp_path: Path) -> None:
    async def play(fleet: Fleet) -> None:
        ask, _ = fleet.answerers("smollm2", making())
        long = [{"role": "user", "content": "word " * 9_000}]
        for stream in (False, True):
            with pytest.raises(ContextTooLong):
                await ask(call(messages=long, stream=stream))

    scene(tmp_path, play)


def test_a_model_that_is_not_installed_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octoplex.upstreams.local.models.spec", lambda package: None)

    async def play(fleet: Fleet) -> None:
        assert fleet.names() == ["smollm2"]
        assert fleet.unavailable("smollm2") == "run `octoplex models add smollm2`"
        for answerer in fleet.answerers("smollm2", making()):
            with pytest.raises(ModelGone, match="octoplex models add smollm2") as caught:
                await answerer(call())
            assert caught.value.status == 404

    scene(tmp_path, play)


READY = {"type": "ready", "host": "127.0.0.1", "port": 1, "api_key": "k", "context": 1}
PRETEND = f"""
import json, sys
sys.stdin.readline()
print(json.dumps({{**{READY!r}, "tools": False, "images": False}}), flush=True)
sys.stdin.read()
"""


def test_an_engine_whose_table_changed_ends_when_it_has_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, gguf = tmp_path / "pretend.py", tmp_path / "own.gguf"
    script.write_text(PRETEND)
    gguf.write_bytes(b"GGUF")
    monkeypatch.setattr(engine, "__file__", str(script))
    table = Local(path=str(gguf))

    async def play(fleet: Fleet) -> None:
        fleet.configure({"own": table})
        old = fleet.engine("own")
        old.enter()
        await old.worker.ready()
        fleet.configure({"own": table})
        assert fleet.engine("own") is old, "nothing changed"
        fleet.configure({"own": msgspec.structs.replace(table, context=99)})
        new = fleet.engine("own")
        assert new is not old
        await new.worker.ready()
        assert old.worker.pid is not None, "it still answers"
        old.leave()
        await until_async(lambda: old.worker.pid is None)
        assert new.worker.pid is not None
        fleet.configure({})
        await until_async(lambda: new.worker.pid is None)
        with pytest.raises(ModelGone, match='no model "own"'):
            fleet.engine("own")
        with pytest.raises(BadConfig, match="no file"):
            fleet.check({"own": Local(path="/nonexistent.gguf")})

    scene(tmp_path, play)


def test_what_costs_nothing_may_be_sent_again() -> None:
    sent: list[Request] = []

    class Noting:
        async def send(self, request: Request, limits: Limits) -> Response:
            sent.append(request)
            return Response("host", 0.0, 1.0, 1.0)

    async def run() -> None:
        origin = Origin.parse("http://127.0.0.1:1")
        limits = Limits(connect_s=1.0, first_s=1.0, idle_s=1.0, deadline_at=1.0)
        await Free(Noting()).send(Request(origin, b""), limits)

    asyncio.run(run())
    assert [request.idempotent for request in sent] == [True]
