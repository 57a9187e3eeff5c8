"""Ask the small one, verify, escalate: as callers meet it, and what it costs them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Page
from octoplex.ledger.rows import Record
from octoplex.wire.error import BadConfig
from tests.sandbox.host import needs_sandbox
from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, file, question, route, until
from tests.server.inside import Inside, inside
from tests.server.learning_scene import answers
from tests.upstream_server import Exchange, Play, Upstream, head, says, stalls, streams

COST = provider.nano(provider.BILL)
QUICK = "retry = { attempts = 2, backoff_s = 0.01 }"
RIGHT: dict[str, Any] = {"metadata": {"expected": "right"}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "required": ["n"]}},
}
BOTH = """
[models.judge]
try = ["judge/m"]
[experiments.cheap]
route = "main"
unit = "request"
metric = "cost_per_call"
[experiments.cheap.variants]
one = {{ target = "a/m", verify = [{verify}], escalate = "b/m" }}
other = {{ target = "a/m", verify = [{verify}], escalate = "b/m", top_p = 0.9 }}
"""
"""Whatever a request's lot is, it meets a cascade."""


class Scene:
    """The gateway, and who may be asked."""

    def __init__(self, gate: Inside, **ups: Upstream) -> None:
        self.gate, self.works = gate, gate.works
        self.a, self.b, self.judge = ups["a"], ups["b"], ups["judge"]

    async def send(
        self, face: str = "openai-chat", *headers: tuple[str, str], **more: Any
    ) -> Reply:
        path, body = PATHS.get(face, ""), question("main", **more)
        if face == "openai-responses":
            rest = {"stream": more["stream"]} if "stream" in more else {}
            body = json.dumps({"model": "main", "input": "Hello", **rest}).encode()
        if face == "gemini":
            verb = "streamGenerateContent?alt=sse" if more.get("stream") else "generateContent"
            path = f"/v1beta/models/main:{verb}"
            body = b'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}'
        return await caller.ask(self.gate.port, "POST", path, body, headers)

    async def record(self) -> Record:
        """The only one there is."""
        await self.works.store.drain()
        (record,) = self.works.store.reader.requests(Page(limit=9))
        return record

    @property
    def asked(self) -> tuple[int, int, int]:
        """How often each was."""
        return len(self.a.book), len(self.b.book), len(self.judge.book)

    @property
    def results(self) -> dict[tuple[str, ...], float]:
        return self.works.metrics.cascades


@contextlib.asynccontextmanager
async def scene(
    folder: Path,
    verify: str = "exact-match",
    a: Play | None = None,
    b: Play | None = None,
    judge: Play | None = None,
    more: str = "",
    rules: str = "",
) -> AsyncIterator[Scene]:
    """Of three providers, who say "wrong", "right" and nothing of use."""
    async with (
        Upstream(a or answers("wrong")) as one,
        Upstream(b or answers("right")) as two,
        Upstream(judge or answers("I cannot say.")) as three,
    ):
        names = ", ".join(f'"{name}"' for name in verify.split())
        tables = route("main", "a/m", "b/m", more=rules) + BOTH.format(verify=names) + more
        async with inside(folder, file(tables, a=one, b=two, judge=three)) as gate:
            yield Scene(gate, a=one, b=two, judge=three)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("face", [*PATHS, "gemini"])
@pytest.mark.parametrize("good", ["true", "false"])
def test_a_judge_decides_who_is_given_on_every_face(
    tmp_path: Path, run: Run, face: str, stream: bool, good: str
) -> None:
    async def main() -> None:
        async with scene(tmp_path, "models.judge", judge=answers(f'{{"good": {good}}}')) as at:
            more = {"stream": True} if stream else {}
            reply = await at.send(face, **more)
            assert reply.status == 200
            said, other = (b"wrong", b"right") if good == "true" else (b"right", b"wrong")
            assert said in reply.body
            assert other not in reply.body
            assert (b"data:" in reply.body) == stream
            assert at.asked == (1, int(good == "false"), 1)
            shown = json.loads(json.loads(at.judge.book[0].body)["messages"][1]["content"])
            assert shown["answer"] == {"text": "wrong"}
            assert shown["conversation"][-1] == {"role": "user", "text": "Hello"}
            passed = ("main", "passed" if good == "true" else "escalated")
            assert at.results == {passed: 1}
            count = sum(at.asked)
            assert sum(row["nano"] for row in await at.gate.rows(count)) == count * COST
            record = await at.record()
            assert record.nano == count * COST
            assert (record.input_tokens, record.output_tokens) == (12 * count, 7 * count)
            told = [(row.target, row.outcome, row.nano) for row in record.attempts]
            ended = ("a/m", "done" if good == "true" else "escalated", COST)
            then = [] if good == "true" else [("b/m", "done", COST)]
            assert told == [ended, ("judge/m", "judged", COST), *then]
            assert record.target == ("a/m" if good == "true" else "b/m")
            assert record.route == "main"
            assert record.trial.startswith("cheap: ")
            assert record.overhead_s < record.total_s
            if good == "false":
                assert record.why == "escalated: models.judge refused it"

    run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", provider.DIALECTS)
def test_what_passes_is_given_byte_for_byte(
    tmp_path: Path, run: Run, dialect: str, stream: bool
) -> None:
    """As its provider sent it, in the dialect of both."""
    play = provider.streamed(dialect) if stream else provider.whole(dialect)

    async def main() -> None:
        async with (
            Upstream(play) as claude,
            Upstream(answers("right")) as b,
            Upstream(answers('{"good": true}')) as judge,
        ):
            tables = route("main", "claude/m", "b/m") + BOTH.format(verify='"models.judge"')
            text = file(tables.replace("a/m", "claude/m"), claude=claude, b=b, judge=judge)
            if dialect == "openai-chat":
                text = text.replace("dialect = 'anthropic'", "dialect = 'openai-chat'")
            async with inside(tmp_path, text) as gate:
                more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
                if dialect == "anthropic":
                    more.pop("stream_options", None)
                given = await gate.chat("main", dialect, **more)
                plain = await gate.chat("claude/m", dialect, **more)
                assert given.status == plain.status == 200
                sent = [data for _, data in plain.events] if stream else plain.body
                assert ([data for _, data in given.events] if stream else given.body) == sent
                assert not b.book
                assert len(judge.book) == 1

    run(main())


@pytest.mark.parametrize("judge", [answers("I cannot say."), says(b"{}", 500), stalls()])
def test_a_judge_who_fails_is_no_yes(tmp_path: Path, run: Run, judge: Play) -> None:
    async def main() -> None:
        rules = "deadline_s = 2.0"
        async with scene(tmp_path, "models.judge", judge=judge, rules=rules) as at:
            reply = await at.send()
            assert reply.status == 200
            assert b"right" in reply.body
            assert at.results == {("main", "escalated"): 1}
            assert (await at.record()).why.startswith("escalated: models.judge failed: ")

    run(main())


@pytest.mark.parametrize("said", ['{"n": 1}', '{"m": 1}', "one"])
def test_a_schema_is_a_verifier(tmp_path: Path, run: Run, said: str) -> None:
    async def main() -> None:
        async with scene(tmp_path, "json-schema", a=answers(said)) as at:
            reply = await at.send(response_format=SCHEMA)
            is_valid = said == '{"n": 1}'
            assert reply.json["choices"][0]["message"]["content"] == (said if is_valid else "right")
            assert at.asked == (1, int(not is_valid), 0)

    run(main())


@pytest.mark.parametrize(
    ("verify", "more"),
    [
        ("json-schema", {}),
        ("tool-calls json-schema", {}),
        ("exact-match", {}),
        ("models.judge", {"n": 2}),
        ("models.judge", {"modalities": ["text", "audio"], "audio": {"voice": "ash"}}),
    ],
)
def test_where_nothing_can_be_verified_the_better_one_is_asked_at_once(
    tmp_path: Path, run: Run, verify: str, more: dict[str, Any]
) -> None:
    async def main() -> None:
        async with scene(tmp_path, verify) as at:
            assert b"right" in (await at.send(**more)).body
            assert at.asked == (0, 1, 0)
            assert at.results == {("main", "unverifiable"): 1}
            assert (await at.record()).why == "escalated: nothing could be verified"

    run(main())


@needs_sandbox
def test_code_is_given_where_its_tests_pass(tmp_path: Path, run: Run) -> None:
    code = answers("```python\ndef double(x):\n    return 2 * x\n```")

    async def main() -> None:
        async with scene(tmp_path, "tests", a=code) as at:
            for tests, said, why in (
                ("assert double(2) == 4", b"double", ""),
                ("assert double(2) == 5", b"right", "escalated: tests refused it"),
                ("", b"right", "escalated: nothing could be verified"),
            ):
                reply = await at.send(metadata={"tests": tests})
                assert said in reply.body
                await at.works.store.drain()
                record = at.works.store.reader.requests(Page(limit=1))[0]
                assert record.why == why or not why
            assert at.asked == (2, 2, 0)

    run(main())


def test_who_says_nothing_does_not_vouch(tmp_path: Path, run: Run) -> None:
    """Tools are offered, and the answer calls none: `tool-calls` has nothing to say of it."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    async def main() -> None:
        async with scene(tmp_path, "tool-calls") as at:
            assert b"right" in (await at.send(tools=[tool])).body
            assert (await at.record()).why == "escalated: nobody vouches for it"

    run(main())


@pytest.mark.parametrize("rescue", ["off", "splice"])
def test_a_stream_that_breaks_while_it_is_held_was_never_there(
    tmp_path: Path, run: Run, rescue: str
) -> None:
    """So nobody need go on from there: it is escalated, whatever the route's rescue."""

    async def main() -> None:
        broken = streams(provider.chat_events()[:3], "reset", billed=provider.BILL)
        async with scene(tmp_path, a=broken, rules=f"rescue = '{rescue}'") as at:
            reply = await at.send(stream=True, **RIGHT)
            assert b"right" in reply.body
            assert b"Hello" not in reply.body
            record = await at.record()
            assert record.why.startswith("escalated: its answer cannot be read: ")
            assert record.target == "b/m"
            rows = await at.gate.rows(len(record.attempts))
            assert len(rows) == 2
            assert b"x-octoplex-rescue" not in reply.body

    run(main())


def test_who_answers_in_place_of_the_small_one_is_rescued_as_ever(tmp_path: Path, run: Run) -> None:
    """Its answer is not held: what was told goes on where it broke off."""

    async def main() -> None:
        events = provider.chat_events(["ri", "ght"])
        plays = streams(events[:2], "reset", billed=provider.BILL), streams(events)
        async with scene(tmp_path, a=provider.fails("openai-chat", 503), rules=QUICK) as at:
            at.b.plays.clear()
            at.b.plays.extend(plays)
            reply = await at.send(stream=True, **RIGHT)
            text = "".join(
                json.loads(data)["choices"][0]["delta"].get("content") or ""
                for _, data in reply.events
                if '"delta"' in data
            )
            assert text == "right"
            assert b"x-octoplex-rescue: splice" in reply.body

    run(main())


def test_what_was_not_verified_is_not_asked_again(tmp_path: Path, run: Run) -> None:
    """Not even where nobody else answers: its answer would be given then."""

    async def main() -> None:
        async with scene(tmp_path, b=provider.fails("openai-chat", 500), rules=QUICK) as at:
            reply = await at.send(**RIGHT)
            assert reply.status == 500
            assert len(at.a.book) == 1
            record = await at.record()
            assert record.nano == COST
            assert record.target == "b/m"
            assert "upstream_failed" in record.error

    run(main())


def test_who_answers_in_place_of_the_small_one_is_the_routes_to_say(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with scene(tmp_path, a=provider.fails("openai-chat", 503), rules=QUICK) as at:
            assert b"right" in (await at.send(**RIGHT)).body
            assert (await at.record()).target == "b/m"
            assert at.results == {}

    run(main())


def test_the_second_attempt_is_reserved_too(tmp_path: Path, run: Run) -> None:
    """The worst case of either is more than 0.5 m$; the first one was billed 0.082 m$."""

    async def main() -> None:
        keys = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$0.0006/day'\n"
        async with scene(tmp_path, more=keys) as at:
            key = ("authorization", f"Bearer {APP_KEY}")
            reply = await at.send("openai-chat", key, **RIGHT)
            assert reply.status == 402
            assert at.asked == (1, 0, 0)
            assert reply.headers["x-octoplex-cost-nano"] == str(COST)
            ((row),) = await at.gate.rows(1)
            assert row["nano"] == COST

    run(main())


def stuck(seen: asyncio.Event) -> Play:
    """Half of a stream, and then nothing."""

    async def play(exchange: Exchange) -> None:
        exchange.bill(*provider.BILL)
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        exchange.chunk(b"".join(provider.chat_events()[:3]))
        seen.set()
        await exchange.stall()

    return play


def test_a_caller_who_leaves_takes_the_held_answer_along(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        async with scene(tmp_path, a=stuck(seen)) as at:
            async with at.gate.line() as line:
                line.send(at.gate.question("main", stream=True, **RIGHT))
                await seen.wait()
            await until(lambda: at.a.book[0].closed_at is not None)
            (row,) = await at.gate.rows(1)
            assert row["estimated"]
            assert at.asked == (1, 0, 0)
            assert (await at.record()).outcome == "left"

    run(main())


def test_a_deadline_ends_what_is_held(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, a=stuck(asyncio.Event()), rules="deadline_s = 0.4") as at:
            reply = await at.send(stream=True, **RIGHT)
            assert reply.status == 504
            assert at.asked == (1, 0, 0)

    run(main())


def test_an_idempotency_key_holds_for_all_of_it(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            key = ("idempotency-key", "one")
            first, again = [await at.send("openai-chat", key, top_p=0.9, **RIGHT) for _ in "12"]
            assert first.body == again.body
            assert b"right" in again.body
            assert again.headers["idempotent-replayed"] == "true"
            assert at.asked == (1, 1, 0)

    run(main())


def test_a_guard_sees_what_is_given(tmp_path: Path, run: Run) -> None:
    mail = "ana.maria@acme.org"
    events = provider.chat_events([f"Ask {mail}."])

    async def main() -> None:
        guard = "[guard]\npii = 'mask'\n"
        play = streams(events, billed=provider.BILL)
        async with scene(tmp_path, b=play, more=guard) as at:
            said = (await at.send(stream=True, **RIGHT)).body.decode()
            assert mail not in said
            assert "[EMAIL]" in said

    run(main())


def test_a_reply_that_is_kept_is_its_variants_own(tmp_path: Path, run: Run) -> None:
    """Two variants that differ by their target alone send the same bodies."""

    async def main() -> None:
        more = (
            "[models.main.cache]\nttl = '1 h'\n[experiments.x]\nroute = 'main'\nunit = 'user'\n"
            "variants = { today = {}, other = { target = 'b/m' } }\nmetric = 'error_rate'\n"
        )
        async with Upstream(answers("wrong")) as a, Upstream(answers("right")) as b:
            text = file(route("main", "a/m", "b/m") + more, a=a, b=b)
            async with inside(tmp_path, text) as gate:
                for number in range(16):
                    assert (await gate.chat("main", user=f"user-{number}")).status == 200
                await gate.works.store.drain()
                rows = gate.works.store.reader.requests(Page(limit=99))
                assert {(row.trial, row.target) for row in rows} == {
                    ("x: today", "a/m"),
                    ("x: other", "b/m"),
                }
                assert len(a.book) == len(b.book) == 1

    run(main())


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("verify = ['exact-match']", "both verify and escalate"),
        ("target = 'a/m', escalate = 'b/m'", "both verify and escalate"),
        ("verify = ['exact-match'], escalate = 'b/m'", "who is asked before b/m"),
        ("target = 'b/m', verify = ['exact-match'], escalate = 'b/m'", "asked already"),
        ("target = 'a/m', verify = ['exact-match'], escalate = 'c/m'", "valid: a/m, b/m"),
        ("target = 'a/m', verify = ['exactly'], escalate = 'b/m'", "exact-match"),
        ("target = 'a/m', verify = ['models.juge'], escalate = 'b/m'", "models.judge"),
        ("target = 'a/m', verify = ['c/m'], escalate = 'b/m'", 'no provider "c"'),
        (
            "target = 'a/m', verify = ['exact-match', 'exact-match'], escalate = 'b/m'",
            "there twice",
        ),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, run: Run, variant: str, said: str) -> None:
    async def main() -> None:
        more = (
            "[models.judge]\ntry = ['b/m']\n[experiments.x]\nroute = 'main'\n"
            f"variants = {{ today = {{}}, it = {{ {variant} }} }}\n"
        )
        async with Upstream(answers("wrong")) as a, Upstream(answers("right")) as b:
            text = file(route("main", "a/m", "b/m") + more, a=a, b=b)
            with pytest.raises(BadConfig) as refused:
                async with inside(tmp_path, text):
                    raise AssertionError("it was let in force")
            assert "[experiments.x]" in str(refused.value)
            assert "variants.it" in str(refused.value)
            assert said in str(refused.value)

    run(main())
