"""The contract over random scripts: attempts, waits and spacing; nothing is left open."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.wire.answer import Answer
from octoplex.wire.error import (
    ContentRefused,
    ContextTooLong,
    GatewayError,
    ModelGone,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRejected,
    UpstreamSlow,
    UpstreamUnreachable,
)
from tests.clock import now, run
from tests.routing.roads import Road, candidate
from tests.scripted import HELLO, Scripted, Streamed, asking, in_turn, listen

waits = st.sampled_from([None, 0.0, 0.2, 1.0, 2.9, 3.0, 3.1, 30.0, 1e9])
errors: st.SearchStrategy[UpstreamError] = st.one_of(
    st.builds(lambda w: UpstreamBusy("429", retry_after_s=w), waits),
    st.builds(lambda w: UpstreamOverloaded("503", retry_after_s=w), waits),
    st.sampled_from(
        [
            UpstreamFailed("500", provider_status=500),
            UpstreamUnreachable("reset"),
            UpstreamBroken("html"),
            UpstreamSlow("late"),
            UpstreamDenied("401", provider_status=401),
            UpstreamDenied("403", provider_status=403),
            UpstreamQuota("quota"),
            ModelGone("404"),
            ContextTooLong("long"),
            ContentRefused("policy"),
            UpstreamRejected("400"),
        ]
    ),
)
after = st.sampled_from([0.0, 0.0, 0.1, 4.0, 11.0, 25.0])
turns = st.one_of(
    st.builds(lambda s, e: Scripted(error=e, after_s=s), after, errors),
    st.builds(lambda s: Scripted(after_s=s), after),
    st.builds(lambda s: Scripted(HELLO[:2], breaks=UpstreamBroken("cut"), after_s=s), after),
)
lanes = st.lists(turns, min_size=1, max_size=4)
targets = st.lists(st.lists(lanes, min_size=1, max_size=3), min_size=1, max_size=4)
callers = st.lists(
    st.tuples(
        st.floats(0, 20),  # comes after
        st.booleans(),  # stream
        st.sampled_from([1e9, 1e9, 1e9, 2.0, 8.0]),  # leaves after
        st.sampled_from([1e9, 1e9, 6.0]),  # deadline
    ),
    min_size=1,
    max_size=6,
)


class Seen:
    """All doubles of one example, and what each call did to them."""

    def __init__(self, scripts: list[list[list[Scripted]]]) -> None:
        self.doubles = [d for target in scripts for lane in target for d in lane]
        self.road = Road(
            *(
                candidate(f"p{i}/m", *(in_turn(*lane) for lane in target), context_window=1_000 * i)
                for i, target in enumerate(scripts)
            )
        )
        self.places = {
            id(d): f"p{i}/m" for i, target in enumerate(scripts) for lane in target for d in lane
        }

    def attempts(self, ask: Any) -> dict[str, list[float]]:
        """When each target was asked for one call."""
        found: dict[str, list[float]] = {}
        for double in self.doubles:
            times = [t for a, t in zip(double.asks, double.asked_at, strict=True) if a is ask]
            found.setdefault(self.places[id(double)], []).extend(times)
        return {name: sorted(times) for name, times in found.items()}


async def one_call(seen: Seen, caller: tuple[float, bool, float, float]) -> None:
    comes_s, stream, leaves_s, deadline_s = caller
    await asyncio.sleep(comes_s)
    ask = asking(stream=stream, deadline_at=now() + deadline_s)
    began, delivered, code = now(), list[Answer](), ""
    try:
        async with asyncio.timeout(leaves_s):
            answer = await seen.road.chain(ask)
            delivered.append(answer)
            await listen(answer)
    except TimeoutError:
        for answer in delivered:
            answer.close()
    except GatewayError as error:
        code = error.code
    if not delivered and not ask.trail.attempts:
        assert code in {"no_target", "deadline_passed"}
    for name, times in seen.attempts(ask).items():
        assert len(times) <= 3, f"{name} was retried more than twice"
        for early, late in zip(times, times[2:], strict=False):
            assert late - early >= 1.5 - 1e-6, f"{name} was asked three times in 1.5 s"
        assert all(t < began + deadline_s for t in times)
    rows = [a.target for a in ask.trail.attempts]
    assert len(rows) == sum(map(len, seen.attempts(ask).values()))
    assert all(a.outcome not in {"", "open"} for a in ask.trail.attempts)


@settings(max_examples=400, deadline=None)
@given(targets, callers)
def test_any_script_obeys_the_contract(
    scripts: list[list[list[Scripted]]], coming: list[tuple[float, bool, float, float]]
) -> None:
    async def case() -> None:
        seen = Seen(scripts)
        for double in seen.doubles:
            double.asked_at, double.asks, double.opened = [], [], []
        await asyncio.gather(*(one_call(seen, caller) for caller in coming))
        assert seen.road.open_calls() == 0
        for double in seen.doubles:
            for answer in double.opened:
                assert not isinstance(answer, Streamed) or answer.outcome is not None

    run(case())
