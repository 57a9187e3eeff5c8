"""What a route does to survive, over real sockets: hedges, filters, deadlines, conversations."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.check import error_of, plain_text
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route, until
from tests.upstream_server import Play, Upstream, says, stalls, streams

BILL = provider.BILL
FORMS = ("openai-chat", "anthropic")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("face", FORMS)
def test_a_hedge_answers_and_the_loser_is_cancelled_and_settled(
    tmp_path: Path, run: Run, face: str, stream: bool
) -> None:
    async def main() -> None:
        play = provider.streamed if stream else provider.whole
        async with (
            Upstream(stalls()) as slow,
            Upstream(play("anthropic")) as claude,
            Gate(
                tmp_path,
                file(
                    route("main", "slow/m", "claude/m", more='hedge = "100 ms"'),
                    slow=slow,
                    claude=claude,
                ),
            ) as gate,
        ):
            reply = await gate.chat("main", face, stream=stream)
            assert reply.status == 200
            if not stream:
                assert plain_text(reply, face) == "Hello, world!"
            assert reply.headers["x-octoplex-model"] == "claude/m"
            await until(lambda: slow.book[0].closed_at is not None)
            rows = await gate.rows(2)
            assert [(r["model"], r["provider"]) for r in rows] == [("m", "slow"), ("m", "claude")]
            assert rows[1]["nano"] == provider.nano(BILL)
            assert rows[0]["estimated"], "it had been reached, so its input may be billed"
            assert 0 < rows[0]["nano"] < 100_000
            record = (await gate.records())[0]
            assert [a["outcome"] for a in record["attempts"]] == ["outrun", "done"]
            assert record["target"] == "claude/m"
            metrics = (await gate.get("/metrics")).body.decode()
            assert "octoplex_hedges_total 1\n" in metrics
            assert "octoplex_hedges_won_total 1\n" in metrics

    run(main())


def test_the_slow_one_wins_and_is_named(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async def late(exchange: Any) -> None:
            await until(lambda: bool(other.book))
            await provider.whole("openai-chat")(exchange)

        async with (
            Upstream(late) as slow,
            Upstream(stalls()) as other,
            Gate(
                tmp_path,
                file(
                    route("main", "slow/m", "other/m", more='hedge = "100 ms"'),
                    slow=slow,
                    other=other,
                ),
            ) as gate,
        ):
            reply = await gate.chat("main")
            assert reply.headers["x-octoplex-model"] == "slow/m"
            assert reply.headers["x-octoplex-attempts"] == "2"
            record = (await gate.records())[0]
            assert record["target"] == "slow/m"
            assert [a["outcome"] for a in record["attempts"]] == ["done", "outrun"]
            await gate.rows(2)

    run(main())


# Azure's filter ends a reply with `content_filter` and no content
# (https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter), Anthropic's
# classifiers with `refusal` (https://platform.claude.com/docs/en/test-and-evaluate/
# strengthen-guardrails/handle-streaming-refusals), Gemini blocks the prompt
# (https://ai.google.dev/gemini-api/docs/safety-settings).
CHAT_FILTERED: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"index": 0, "message": {"role": "assistant"}, "finish_reason": "content_filter"}],
    "usage": provider.chat_usage(BILL),
}
CLAUDE_FILTERED: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [],
    "stop_reason": "refusal",
    "stop_sequence": None,
    "usage": {"input_tokens": BILL[0], "output_tokens": BILL[1]},
}
GEMINI_FILTERED: dict[str, Any] = {
    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
    "usageMetadata": {"promptTokenCount": BILL[0], "totalTokenCount": BILL[0]},
    "modelVersion": "m-1",
}


def whole(body: dict[str, Any], billed: tuple[int, int]) -> Play:
    return says(json.dumps(body).encode(), billed=billed)


def filtered(name: str, *, stream: bool) -> Play:
    if name == "a":
        events = [
            provider.chunk({"role": "assistant", "content": ""}),
            provider.chunk({}, "content_filter"),
            provider.usage_chunk(),
            provider.DONE,
        ]
        body = CHAT_FILTERED
    elif name == "claude":
        end = {"stop_reason": "refusal", "stop_sequence": None}
        events = [
            provider.message_start(),
            provider.named("message_delta", delta=end, usage={"output_tokens": BILL[1]}),
            provider.named("message_stop"),
        ]
        body = CLAUDE_FILTERED
    else:
        events, body = [provider.data(GEMINI_FILTERED)], GEMINI_FILTERED
    billed = (BILL[0], 0) if name == "gem" else BILL
    return streams(events, billed=billed) if stream else whole(body, billed)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["a", "claude", "gem"])
@pytest.mark.parametrize("face", FORMS)
def test_a_filtered_reply_goes_on_to_the_next_target_where_the_route_asks(
    tmp_path: Path, run: Run, face: str, name: str, stream: bool
) -> None:
    async def main() -> None:
        play = provider.streamed if stream else provider.whole
        pair = (f"{name}/m", "b/m")
        routes = route("main", *pair, more="fall_over_on_refusal = true") + route("plain", *pair)
        async with (
            Upstream(filtered(name, stream=stream)) as first,
            Upstream(play("openai-chat")) as b,
            Gate(tmp_path, file(routes, **{name: first}, b=b)) as gate,
        ):
            reply = await gate.chat("main", face, stream=stream)
            assert reply.status == 200
            assert b"Hello" in reply.body
            assert reply.headers["x-octoplex-model"] == "b/m"
            rows = await gate.rows(2)
            billed = [e.billed or (0, 0) for e in (*first.book, *b.book)]
            assert [r["nano"] for r in rows] == [provider.nano(one) for one in billed]
            assert not any(r["estimated"] for r in rows)
            record = (await gate.records())[0]
            assert [a["outcome"] for a in record["attempts"]] == ["content_refused", "done"]
            plain = await gate.chat("plain", face, stream=stream)
            assert plain.status == 200
            assert plain.headers["x-octoplex-model"] == f"{name}/m"
            assert b"Hello" not in plain.body
            await gate.rows(3)

    run(main())


def test_a_deadline_of_a_route_ends_whatever_is_waited_for(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(stalls()) as a,
            Gate(tmp_path, file(route("main", "a/m", more="deadline_s = 0.3"), a=a)) as gate,
        ):
            for stream in (False, True):
                reply = await gate.chat("main", stream=stream)
                assert reply.status == 504
                assert error_of(reply, "openai-chat")["code"] == "deadline_passed"
            assert len(a.book) == 2

    run(main())


SESSIONS: dict[str, Callable[[int], tuple[list[tuple[str, str]], dict[str, Any]]]] = {
    "header": lambda n: ([("x-octoplex-session", f"s-{n}")], {}),
    "key": lambda n: ([], {"prompt_cache_key": f"s-{n}"}),
    "beginning": lambda n: ([], {"messages": [{"role": "user", "content": f"Question {n}"}]}),
}


@pytest.mark.parametrize("said", SESSIONS)
def test_a_conversation_stays_where_it_began(tmp_path: Path, run: Run, said: str) -> None:
    async def main() -> None:
        text = route("main", "a/m", "b/m", more='pick = "weighted"\naffinity = true')
        async with (
            Upstream(provider.whole("openai-chat")) as a,
            Upstream(provider.whole("openai-chat")) as b,
            Gate(tmp_path, file(text, a=a, b=b)) as gate,
        ):
            homes = Counter[str]()
            for number in range(12):
                headers, members = SESSIONS[said](number)
                body = {"model": "main", "messages": [{"role": "user", "content": "x"}], **members}
                answered = set[str]()
                for _ in range(4):
                    reply = await gate.post(
                        "/v1/chat/completions", json.dumps(body).encode(), *headers
                    )
                    answered.add(reply.headers["x-octoplex-model"])
                    body["messages"] = [
                        *body["messages"],
                        {"role": "assistant", "content": "y"},
                        {"role": "user", "content": "z"},
                    ]
                assert len(answered) == 1
                homes[answered.pop()] += 1
            assert len(homes) == 2, "twelve conversations on one of two: 1 in 2,048"
            assert not [e for e in (*a.book, *b.book) if b"x-octoplex-session" in e.head.lower()]

    run(main())


def test_a_call_too_long_for_the_first_context_is_asked_of_the_larger_one(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as a,
            Gate(tmp_path, file(route("main", "a/gpt-4", "a/gpt-4.1"), a=a)) as gate,
        ):
            for size, model in ((10, "gpt-4"), (40_000, "gpt-4.1")):
                messages = [{"role": "user", "content": "x" * size}]
                reply = await gate.chat("main", messages=messages)
                assert reply.headers["x-octoplex-model"] == f"a/{model}"
                assert reply.headers["x-octoplex-attempts"] == "1"

    run(main())


def test_an_ejected_provider_is_seen_in_the_metrics(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = "[models.main.retry]\nattempts = 1\n[models.main.health]\nmin_calls = 4\n"
        async with (
            Upstream(provider.fails("openai-chat", 500)) as a,
            Upstream(provider.whole("openai-chat")) as b,
            Gate(tmp_path, file(route("main", "a/m", "b/m", more=more), a=a, b=b)) as gate,
        ):
            for _ in range(8):
                assert (await gate.chat("main")).status == 200
            assert len(a.book) == 4
            metrics = (await gate.get("/metrics")).body.decode()
            found = re.search(
                r'octoplex_ejected_seconds\{route="main",provider="a"\} ([\d.]+)', metrics
            )
            assert found is not None
            assert 0 < float(found[1]) <= 30
            assert "octoplex_ejections_total 1\n" in metrics

    run(main())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('hedge = "p50"', '[models.main] hedge: "p50" is none; write "p95", "p99", "2 s"'),
        ("deadline_s = 0", "[models.main] deadline_s"),
        ("[models.main.health]\npanic = 2", "[models.main] health.panic"),
        ("[models.main.health]\npanik = 0.2", 'did you mean "panic"?'),
    ],
)
def test_nonsense_in_the_file_is_named(tmp_path: Path, run: Run, more: str, said: str) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as a:
            gate = Gate(tmp_path, file(route("main", "a/m", more=more), a=a), clean=False)
            process = gate.spawn()
            await until(lambda: process.poll() is not None, 20)
            assert process.returncode != 0
            assert said in gate.log.read_text() + gate.out.read_text()

    run(main())
