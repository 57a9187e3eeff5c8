"""Admission: models, rates, debt; and the layer leaves the answer alone."""

import asyncio
import contextlib
from typing import Any

import pytest

from octoplex.reflex import Desk, Hasher, Key, KeySpec, admitted, from_config
from octoplex.wire.answer import Answer, Ending, Head, Outcome, Whole
from octoplex.wire.ask import ANYONE, Ask, Caller
from octoplex.wire.error import Forbidden, OutputInvalid, TooFast, UpstreamFailed
from octoplex.wire.event import NO_USAGE, Usage

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def key(limits: str = "", models: tuple[str, ...] = ()) -> Key:
    spec = KeySpec(name="app", limits=limits, models=models)
    return from_config(spec, "oct-" + "x" * 20, Hasher(b"p" * 32)).key


def ask(model: str = "main", size: int = 30, caller: Caller | None = None) -> Ask:
    return Ask(
        id="r",
        face="openai-chat",
        model=model,
        raw=b"x" * size,
        deadline_at=0.0,
        caller=Caller("app", "app") if caller is None else caller,
    )


class Open:
    """A streamed answer that ends when told to."""

    def __init__(self) -> None:
        self.head, self.ending = Head(provider="p", model="m"), Ending()
        self.on_end = self.ending.on_end

    def end(self, outcome: Outcome, usage: Usage) -> None:
        self.ending.fire(outcome, usage)


class Inner:
    """An Answerer that opens what it is given."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, ask: Ask, /) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else whole()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def whole(usage: Usage = NO_USAGE) -> Whole:
    return Whole(Head(provider="p", model="m"), "", b"{}", usage)


def go(answerer: Any, what: Ask) -> Answer:
    return asyncio.run(answerer(what))  # type: ignore[no-any-return]


def remaining(desk: Desk) -> list[int]:
    return [figure.remaining for figure in desk.figures("app")]


def test_the_answer_is_handed_on_untouched() -> None:
    answer = whole()
    answerer = admitted(Inner(answer), Desk([key("5 req/min, 100 tok/min")]))
    assert go(answerer, ask()) is answer


def test_callers_without_a_key_are_not_looked_at() -> None:
    answerer = admitted(Inner(), Desk([key("1 req/day", ("main",))]))
    for _ in range(3):
        go(answerer, ask("anything", caller=ANYONE))


def test_a_model_that_is_not_allowed_is_named_with_those_that_are() -> None:
    inner = Inner()
    answerer = admitted(inner, Desk([key(models=("main", "openai/*"))]))
    go(answerer, ask("openai/gpt-5"))
    with pytest.raises(Forbidden, match=r"'anthropic/claude'; it may use main, openai/\*"):
        go(answerer, ask("anthropic/claude"))
    assert inner.asked == 1


def test_a_bare_name_passes_under_its_full_name() -> None:
    full = {"gpt-5": ("openai/gpt-5",), "claude": ("anthropic/claude",)}
    desk = Desk([key(models=("openai/*",))])
    answerer = admitted(Inner(), desk, lambda model: full.get(model, ()))
    go(answerer, ask("gpt-5"))
    for model in ("claude", "unknown"):
        with pytest.raises(Forbidden):
            go(answerer, ask(model))


def test_requests_are_limited_before_anything_is_asked() -> None:
    clock, inner = Clock(), Inner()
    answerer = admitted(inner, Desk([key("2 req/min")], clock))
    go(answerer, ask())
    go(answerer, ask())
    with pytest.raises(TooFast) as fast:
        go(answerer, ask())
    assert (fast.value.retry_after_s, inner.asked) == (30.0, 2)
    clock.ns += 30 * SECOND
    go(answerer, ask())


def test_tokens_are_estimated_then_corrected_and_output_is_debt() -> None:
    stream = Open()
    desk = Desk([key("100 tok/min")], Clock())
    answerer = admitted(Inner(stream), desk)
    go(answerer, ask(size=150))
    assert remaining(desk) == [50]  # 150 bytes / 3
    stream.end("done", Usage(20, 70, cached_tokens=15))
    assert remaining(desk) == [10]
    with pytest.raises(TooFast):
        go(answerer, ask(size=36))


def test_what_was_never_opened_used_no_tokens_but_counts_as_a_request() -> None:
    desk = Desk([key("5 req/min, 100 tok/min")], Clock())
    for failure in (UpstreamFailed("500"), asyncio.CancelledError()):
        with pytest.raises(type(failure)):
            go(admitted(Inner(failure), desk), ask())
    assert remaining(desk) == [3, 100]


def test_who_leaves_after_a_provider_has_read_it_used_its_input() -> None:
    desk, left = Desk([key("100 tok/min")], Clock()), asyncio.CancelledError()
    left.reached = True  # type: ignore[attr-defined]
    with pytest.raises(asyncio.CancelledError):
        go(admitted(Inner(left), desk), ask(size=150))
    assert remaining(desk) == [50]


@pytest.mark.parametrize("last", ["refused", "whole", "streamed"])
def test_replies_that_were_not_good_enough_used_tokens_too(last: str) -> None:
    desk, stream = Desk([key("1000 tok/min")], Clock()), Open()
    done = Whole(Head("p", "m"), "", b"", Usage(10, 5))

    async def inner(ask: Ask, /) -> Any:
        ask.trail.wasted_tokens = 300
        if last == "refused":
            raise OutputInvalid("no JSON in 3 attempts")
        return done if last == "whole" else stream

    with contextlib.suppress(OutputInvalid):
        go(admitted(inner, desk), ask(size=150))
    stream.end("done", Usage(10, 5))
    assert remaining(desk) == [700 if last == "refused" else 685]


def test_an_end_without_usage_leaves_the_estimate() -> None:
    stream = Open()
    desk = Desk([key("100 tok/min")], Clock())
    go(admitted(Inner(stream), desk), ask(size=150))
    stream.end("cut", NO_USAGE)
    assert remaining(desk) == [50]


def test_a_reload_keeps_levels_and_calls_in_flight() -> None:
    stream = Open()
    clock = Clock()
    desk = Desk([key("10 req/min, 100 tok/min")], clock)
    answerer = admitted(Inner(stream), desk)
    go(answerer, ask(size=150))
    desk.update([key("10 req/min, 100 tok/min", ("main",))])
    stream.end("done", Usage(0, 0, reasoning_tokens=1))
    assert remaining(desk) == [9, 100]
    desk.update([key("10 req/min")])
    assert remaining(desk) == [9]
    desk.update([])
    assert desk.figures("app") == []


def test_headers_show_the_tightest_limit_of_each_unit() -> None:
    clock = Clock()
    desk = Desk([key("60 req/min, 1k req/day, 100k tok/min")], clock)
    go(admitted(Inner(), desk), ask(size=300))
    block = desk.lines("app", "openai-chat")
    assert block.splitlines() == [
        "x-ratelimit-limit-requests: 60",
        "x-ratelimit-remaining-requests: 59",
        "x-ratelimit-reset-requests: 1s",
        "x-ratelimit-limit-tokens: 100000",
        "x-ratelimit-remaining-tokens: 99900",
        "x-ratelimit-reset-tokens: 60ms",
    ]
    assert desk.lines("nobody", "openai-chat") == ""
    assert "anthropic-ratelimit-requests-remaining: 59" in desk.lines("app", "anthropic")
