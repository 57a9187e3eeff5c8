"""What is compiled: which targets can be asked at all, for how long, and with which defaults."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.settings import parse
from octoplex.transport.fake import Script
from octoplex.wire.error import BadConfig, NoTarget, UpstreamRejected
from tests.assembly.scene import ANTHROPIC, CHAT, Scene, opened

TWO = """
[providers.a]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
[providers.b]
dialect = "anthropic"
base_url = "http://127.0.0.1:9"
"""
MISSING = '[models.main]\ntry = ["openai/gpt-5-mini", "a/m"]\n'
NOBODY = '[models.none]\ntry = ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"]\n'


def test_a_target_without_its_key_is_skipped(tmp_path: Path) -> None:
    picks = ("in-order", "weighted", "fastest", "cheapest", "least-busy")

    async def main() -> None:
        for pick in picks:
            text = f'{TWO}{MISSING}pick = "{pick}"\n'
            async with opened(tmp_path, text, {}) as at:
                for _ in range(4):
                    answer = await at.ask("main")
                    assert answer.head.provider == "a"
                assert {sent.request.origin.authority for sent in at.fake.sent} == {"127.0.0.1:9"}
        async with opened(tmp_path, TWO + MISSING, {"OPENAI_API_KEY": "sk-x"}) as at:
            assert (await at.ask("main")).head.provider == "openai"

    asyncio.run(main())


def test_a_stream_skips_it_too(tmp_path: Path) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    wire = b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"
    script = Script(headers={"content-type": "text/event-stream"}, chunks=(wire,))

    async def main() -> None:
        async with opened(tmp_path, TWO + MISSING, {}, script) as at:
            answer = await at.ask("main", stream=True)
            assert answer.head.provider == "a"
            answer.close()

    asyncio.run(main())


def test_where_none_can_be_asked_it_says_what_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, NOBODY, {}) as at:
            for stream in (False, True):
                with pytest.raises(NoTarget) as caught:
                    await at.ask("none", stream=stream)
                error = caught.value
                assert "set OPENAI_API_KEY" in str(error)
                assert "set ANTHROPIC_API_KEY" in str(error)
                assert "inf" not in str(error)
                assert error.status == 503
                assert error.retry_after_s is None
                assert not error.retryable
            assert not at.fake.sent

    asyncio.run(main())


def test_what_failed_is_told_before_what_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(status=400, body=b'{"error": {"message": "no"}}')
        async with opened(tmp_path, TWO + MISSING, {}, script) as at:
            with pytest.raises(UpstreamRejected, match="no"):
                await at.ask("main")

    asyncio.run(main())


def test_tokens_are_counted_by_the_first_that_can_be_asked(tmp_path: Path) -> None:
    text = TWO + '[models.main]\ntry = ["openai/gpt-5-mini", "b/m"]\n'

    async def main() -> None:
        async with opened(tmp_path, text, {}) as at:
            candidates = at.gateway.plan.routes["main"].candidates
            assert [bool(c.lanes) for c in candidates] == [False, True]
            assert [bool(c.counters) for c in candidates] == [False, True]

    asyncio.run(main())


def test_timeouts_of_the_server_are_every_providers(tmp_path: Path) -> None:
    text = """
[server.timeouts]
connect_s = 1
header_s = 2
idle_s = 3
[providers.a]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
timeouts = { header_s = 4 }
[providers.b]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
[models.main]
try = ["a/m"]
timeouts = { idle_s = 5 }
"""

    async def limits(at: Scene, model: str) -> tuple[float, float, float]:
        at.fake.sent.clear()
        await at.ask(model, stream=True)
        found = at.fake.sent[0].limits
        return found.connect_s, found.first_s, found.idle_s

    async def main() -> None:
        async with opened(tmp_path, text, {}) as at:
            assert await limits(at, "main") == (1, 4, 5)
            assert await limits(at, "a/m") == (1, 4, 3)
            assert await limits(at, "b/m") == (1, 2, 3)

    asyncio.run(main())


ROUTES = """
[models.main]
try = ["a/m"]
defaults = { temperature = 0.25, max_tokens = 77 }
[models.claude]
try = ["b/m"]
defaults = { temperature = 0.25, max_tokens = 77 }
"""


@pytest.mark.parametrize(("model", "reply"), [("main", CHAT), ("claude", ANTHROPIC)])
def test_defaults_reach_every_crossing(tmp_path: Path, model: str, reply: bytes) -> None:
    async def main() -> None:
        async with opened(tmp_path, TWO + ROUTES, {}, Script(body=reply)) as at:
            await at.ask(model)
            await at.ask(model, "anthropic", max_tokens=9)
            await at.ask(model, temperature=0.5, max_tokens=5)
            await at.ask(model, max_completion_tokens=6)
            assert list(map(sampling, at.bodies)) == [
                (0.25, 77),
                (0.25, 9),
                (0.5, 5),
                (0.25, 6),
            ]

    asyncio.run(main())


def sampling(body: dict[str, Any]) -> tuple[Any, Any]:
    assert not {"max_tokens", "max_completion_tokens"} <= set(body), "one limit, not two"
    return body["temperature"], body.get("max_tokens") or body["max_completion_tokens"]


def test_defaults_are_reserved_for(tmp_path: Path) -> None:
    text = TWO + (
        '[prices]\n"a/m" = { input = 0, output = 1 }\n'
        '[models.main]\ntry = ["a/m"]\ndefaults = { n = 3, max_tokens = 1000 }\n'
    )

    async def main() -> None:
        async with opened(tmp_path, text, {}) as at:
            held = []
            book = at.gateway.works.book
            hold = book.hold
            book.hold = lambda order: held.append(order.nano) or hold(order)  # type: ignore[method-assign, assignment]
            await at.ask("main")
            assert held[0] == 3 * 1000 * 1000  # a dollar per million is 1,000 nano a token

    asyncio.run(main())


def test_defaults_that_are_the_callers_to_say_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        text = TWO + '[models.main]\ntry = ["a/m"]\ndefaults = { stream = true }\n'
        with pytest.raises(BadConfig, match=r'\[models.main\] defaults: "stream"'):
            async with opened(tmp_path, text, {}):
                pass

    asyncio.run(main())


def test_a_route_may_name_a_provider_whose_key_comes_later() -> None:
    assert parse(NOBODY).models["none"].try_[0] == "openai/gpt-5-mini"


PATIENT = """
[models.main]
try = ["a/m", "b/m"]
[models.main.retry]
attempts = 2
retry_budget = 0.5
pace = 1
key_rest_s = 5.0
first_content_p99 = 4.0
breaker = { failures = 2, of = 4 }
[models.main.targets."b/m"]
attempts = 5
first_content_s = 1.5
"""


def test_each_number_of_an_attempt_can_be_set_by_route_and_by_target(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, TWO + PATIENT, {}) as at:
            route = at.gateway.plan.routes["main"]
            a, b = (route.policy_for(c.target) for c in route.candidates)
            assert (a.retries_per_target, a.retry_budget, a.pace, a.key_rest_s) == (1, 0.5, 1, 5.0)
            assert (a.first_content_p99, a.breaker.failures, a.breaker.of) == (4.0, 2, 4)
            assert (b.retries_per_target, b.first_content_always_s) == (4, 1.5)
            assert (b.retry_budget, b.breaker.failures) == (0.2, 5), "in place of all of retry"
            direct = at.gateway.plan.resolver.resolve("a/m")
            (only,) = direct.candidates
            policy = direct.policy_for(only.target)
            assert (policy.retries_per_target, policy.breaker.failures) == (2, 2), "one for all"

    asyncio.run(main())


def test_a_reload_changes_the_breaker_of_a_target_that_was_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, TWO + PATIENT, {}) as at:
            state = at.gateway.works.health.of(at.gateway.plan.routes["main"].candidates[0].target)
            assert state.breaker.rules.failures == 2
            text = TWO + PATIENT.replace("failures = 2, of = 4", "failures = 30, of = 40")
            type(at.gateway)(parse(text), at.gateway.works)
            for _ in range(29):
                state.failed()
            assert state.breaker.closed
            state.failed()
            assert not state.breaker.closed

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ('[models.main.targets."c/m"]\nattempts = 1', '"c/m" is not in its try'),
        ('[models.main.targets."b/m"]\nattempts = 0', "attempts counts the first"),
        ("[models.main.retry]\nbreaker = { failures = 11 }", "11 failures of 10 calls"),
        (
            '[models.main.targets."b/m"]\nbreaker = { failures = 2 }\n'
            '[models.two]\ntry = ["b/m"]\nretry = { breaker = { failures = 3 } }',
            "another one on another route",
        ),
    ],
)
def test_what_cannot_hold_is_refused(tmp_path: Path, wrong: str, says: str) -> None:
    async def main() -> None:
        with pytest.raises(BadConfig, match=says):
            async with opened(tmp_path, f'{TWO}[models.main]\ntry = ["a/m", "b/m"]\n{wrong}\n', {}):
                pass

    asyncio.run(main())
