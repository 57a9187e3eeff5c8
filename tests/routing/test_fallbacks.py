"""Contexts that are too small, replies that were filtered, and a route's own deadline."""

from typing import Any

import msgspec
import pytest

from octoplex.routing import Candidate
from octoplex.wire.answer import Whole
from octoplex.wire.ask import Ask
from octoplex.wire.error import ContentRefused, ContextTooLong, DeadlinePassed, UpstreamFailed
from octoplex.wire.event import Finished, Started, TextDelta, ToolDelta, ToolStart, Usage
from tests.clock import now, run
from tests.routing.roads import Road, candidate
from tests.scripted import HELLO, Scripted, Streamed, asking, fails, listen, says, silent

BILL = Usage(input_tokens=9, output_tokens=1)
FILTERED = (Started("r", "m"), Finished(stop="refusal", usage=BILL))


def sized(*contexts: int | None) -> tuple[list[Scripted], list[Candidate]]:
    lanes = [says(name=f"{context}") for context in contexts]
    named = zip("abcd", lanes, contexts, strict=False)
    return lanes, [candidate(f"{n}/m", lane, context_window=c) for n, lane, c in named]


def long(tokens: int) -> dict[str, Any]:
    """Members of a body of about so many tokens, at three bytes each."""
    return {"padding": "x" * (3 * tokens)}


@pytest.mark.parametrize(
    ("contexts", "tokens", "asked"),
    [
        ((1_000, 9_000), 500, "1000"),
        ((1_000, 9_000), 2_000, "9000"),
        ((1_000, 9_000, 5_000), 2_000, "9000"),
        ((1_000, None, 9_000), 2_000, "None"),
        ((1_000, None), 2_000, "1000"),
        ((1_000, 1_500), 2_000, "1000"),
        ((None, 9_000), 2_000, "None"),
        ((1_000, 1_000), 2_000, "1000"),
    ],
)
def test_a_context_that_may_be_too_small_is_passed_over_where_a_larger_one_is_known(
    contexts: tuple[int | None, ...], tokens: int, asked: str
) -> None:
    async def case() -> None:
        _, candidates = sized(*contexts)
        road = Road(*candidates)
        assert (await road.send(**long(tokens))).head.model == asked
        passed_over = asked != str(contexts[0])
        assert road.last.trail.why == (
            "the context of a/m may be too small" if passed_over else "in order"
        )

    run(case())


def test_it_is_an_estimate_so_the_small_one_is_still_asked_last() -> None:
    async def case() -> None:
        lanes, candidates = sized(1_000, 9_000)
        lanes[1].error = UpstreamFailed("500", provider_status=500)
        assert (await Road(*candidates).send(**long(2_000))).head.model == "1000"

    run(case())


def test_what_the_provider_finds_too_long_goes_to_a_larger_one() -> None:
    async def case() -> None:
        lanes, candidates = sized(1_000, 9_000)
        lanes[0].error = ContextTooLong("too long")
        assert (await Road(*candidates).send(**long(500))).head.model == "9000"

    run(case())


# -- filtered replies -----------------------------------------------------------------------


class Filters(Scripted):
    """Its stream opens with its end, as `upstreams/stream.py` says in the head."""

    def _open(self, ask: Ask) -> Whole | Streamed:
        answer = super()._open(ask)
        answer.head.refused = True
        return answer


@pytest.mark.parametrize("stream", [True, False])
def test_a_reply_that_was_filtered_whole_goes_to_the_next_where_the_route_asks(
    stream: bool,
) -> None:
    async def case() -> None:
        first, second = Filters(FILTERED), says()
        road = Road(candidate("a/m", first), candidate("b/m", second), fall_over_on_refusal=True)
        answer = await road.send(stream=stream)
        assert await listen(answer) == "hello"
        assert road.outcomes == [("a/m", "k1", "content_refused"), ("b/m", "k1", "done")]
        assert road.last.trail.why == "after a/m content_refused"
        assert road.breaker("a/m") == "closed"
        assert road.open_calls() == 0
        if isinstance(first.opened[0], Streamed):
            assert first.opened[0].outcome == "done", "read to its end, which brings the bill"

    run(case())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("filters", ["a/m", "b/m"])
def test_of_two_asked_at_once_the_one_that_was_not_filtered_answers(
    filters: str, stream: bool
) -> None:
    """Whichever of them comes first: the other one is waited for."""

    async def case() -> None:
        a = (Filters if filters == "a/m" else Scripted)((), name="a/m", after_s=4.0)
        b = (Filters if filters == "b/m" else Scripted)((), name="b/m", after_s=1.0)
        if filters == "a/m":
            a.after_s, b.after_s = 3.0, 5.0
        a.events, b.events = (FILTERED if one.name == filters else HELLO for one in (a, b))
        road = Road(candidate("a/m", a), candidate("b/m", b), hedge=2.0, fall_over_on_refusal=True)
        answer = await road.send(stream=stream)
        assert await listen(answer) == "hello"
        assert {t: o for t, _, o in road.outcomes}[filters] == "content_refused"
        assert road.open_calls() == 0

    run(case())


@pytest.mark.parametrize("stream", [True, False])
def test_elsewhere_and_at_the_last_target_the_caller_gets_it_as_it_is(stream: bool) -> None:
    async def case() -> None:
        other = says()
        pair = (candidate("a/m", Filters(FILTERED)), candidate("b/m", other))
        answer = await Road(*pair).send(stream=stream)
        assert await listen(answer) == ""
        assert other.asked_at == []
        both = (candidate("a/m", Filters(FILTERED)), candidate("b/m", Filters(FILTERED)))
        road = Road(*both, fall_over_on_refusal=True)
        answer = await road.send(stream=stream)
        assert await listen(answer) == ""
        assert [outcome for _, _, outcome in road.outcomes] == ["content_refused", "done"]

    run(case())


@pytest.mark.parametrize("stream", [True, False])
def test_of_several_choices_one_that_was_filtered_is_not_all(stream: bool) -> None:
    """Only the first one is looked at."""

    async def case() -> None:
        other = says()
        pair = (candidate("a/m", Filters(FILTERED)), candidate("b/m", other))
        road, ask = Road(*pair, fall_over_on_refusal=True), asking(stream=stream)
        ask.n = 2
        assert await listen(await road.chain(ask)) == ""
        assert other.asked_at == []

    run(case())


def test_when_the_next_fails_the_verdict_is_that_it_was_filtered() -> None:
    async def case() -> None:
        down = fails(UpstreamFailed("500", provider_status=500))
        pair = (candidate("a/m", Filters(FILTERED)), candidate("b/m", down))
        error = await Road(*pair, fall_over_on_refusal=True).error()
        assert isinstance(error, ContentRefused)
        assert str(error).startswith("a/m filtered its whole reply. (tried 4: ")

    run(case())


@pytest.mark.parametrize(
    "events",
    [
        (Started("r", "m"), TextDelta("No."), Finished(stop="refusal", usage=BILL)),
        (Started("r", "m"), Finished(stop="end", usage=BILL)),
        (
            Started("r", "m"),
            ToolStart("t", "f"),
            ToolDelta("{}"),
            Finished(stop="refusal", usage=BILL),
        ),
    ],
    ids=["said-something", "said-nothing", "called-a-tool"],
)
def test_what_says_something_or_was_not_filtered_is_an_answer(events: Any) -> None:
    async def case() -> None:
        other = says()
        pair = (candidate("a/m", Scripted(events)), candidate("b/m", other))
        for stream in (True, False):
            await listen(await Road(*pair, fall_over_on_refusal=True).send(stream=stream))
        assert other.asked_at == []

    run(case())


# -- a route's own deadline -----------------------------------------------------------------


def started(**fields: Any) -> Any:
    return msgspec.structs.replace(asking(**fields), started_at=now())


def test_the_deadline_of_a_route_travels_with_the_ask() -> None:
    async def case() -> None:
        lane = says()
        road = Road(candidate("a/m", lane), deadline_s=20.0)
        ask = started()
        await road.chain(ask)
        assert lane.asks[0].deadline_at == ask.started_at + 20.0
        assert ask.deadline_at == 1e12, "an ask is never changed"
        assert lane.asks[0].trail is ask.trail
        sooner = started(deadline_at=now() + 5.0)
        await road.chain(sooner)
        assert lane.asks[1] is sooner

    run(case())


def test_it_counts_from_the_request_and_bounds_every_retry() -> None:
    async def case() -> None:
        down = fails(UpstreamFailed("500", provider_status=500), after_s=2.0)
        other = fails(UpstreamFailed("500", provider_status=500), after_s=2.0)
        road = Road(candidate("a/m", down), candidate("b/m", other), deadline_s=6.0)
        with pytest.raises(UpstreamFailed):
            await road.chain(started())
        assert (len(down.asked_at), len(other.asked_at)) == (2, 1), "a third would be too late"
        late = started()
        road.route = msgspec.structs.replace(road.route, deadline_s=5.0)
        late = msgspec.structs.replace(late, started_at=now() - 5.0)
        with pytest.raises(DeadlinePassed):
            await road.chain(late)

    run(case())


def test_a_hedge_shares_the_deadline() -> None:
    async def case() -> None:
        second = says(name="second")
        road = Road(candidate("a/m", silent()), candidate("b/m", second), hedge=2.0, deadline_s=9.0)
        ask = started()
        await road.chain(ask)
        assert second.asks[0].deadline_at == ask.started_at + 9.0

    run(case())
