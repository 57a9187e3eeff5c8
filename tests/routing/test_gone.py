"""F34 and F31: what is of no use until somebody mends it is asked last, and told in the log."""

import logging

import msgspec
import pytest

from octoplex.routing.rest import AGAIN_S
from octoplex.wire.error import ModelGone, UpstreamDenied, UpstreamQuota
from tests.clock import run
from tests.routing.roads import Road, candidate, moved
from tests.scripted import asking, fails, in_turn, says

GONE = ModelGone("no such model", provider_status=404)


def test_f34_a_model_that_is_gone_is_asked_last_for_a_minute() -> None:
    async def case() -> None:
        gone, other = fails(GONE), says(name="other")
        road = Road(candidate("a/m", gone), candidate("b/m", other))
        for _ in range(6):
            assert (await road.send()).head.model == "other"
        assert len(gone.asked_at) == 1
        assert road.last.trail.why == "a/m is gone"
        await road.chain(msgspec.structs.replace(asking(), op="complete"))
        assert len(gone.asked_at) == 2, "what it cannot complete it may chat about"
        del gone.asked_at[1]
        await moved(61.0)
        await road.send()
        assert len(gone.asked_at) == 2, "it may be back"

    run(case())


def test_f34_a_target_that_answers_others_is_not_gone() -> None:
    """A 404 may be about a file that one caller named."""

    async def case() -> None:
        lane = in_turn(says(), fails(GONE), says(name="a"))
        road = Road(candidate("a/m", lane), candidate("b/m", says(name="b")))
        assert [(await road.send()).head.model for _ in range(3)] == ["scripted", "b", "a"]

    run(case())


def test_f34_it_is_still_asked_where_nobody_else_answers() -> None:
    async def case() -> None:
        gone = fails(GONE)
        for others in ((), (candidate("b/m", gone),), (candidate("b/m"),)):
            road = Road(candidate("a/m", gone), *others)
            for _ in range(3):
                error = await road.error()
                assert isinstance(error, ModelGone), "the caller's 404"

    run(case())


@pytest.mark.parametrize("error", [UpstreamDenied("401"), UpstreamQuota("429"), GONE], ids=type)
def test_f31_the_log_says_once_what_must_be_mended(
    error: UpstreamDenied, caplog: pytest.LogCaptureFixture
) -> None:
    async def case() -> None:
        road = Road(candidate("a/m", fails(error)), candidate("b/m", says()))
        for _ in range(5):
            await road.send()
            await moved(61.0)
        (line,) = caplog.messages
        assert error.code in line
        assert ("a/m" in line) if error is GONE else ("k1 of a" in line)
        await moved(AGAIN_S)
        await road.send()
        assert len(caplog.messages) == 2

    with caplog.at_level(logging.WARNING, "octoplex.routing"):
        run(case())


def test_f34_names_that_callers_make_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async def case() -> None:
        road = Road(candidate("a/m", fails(GONE)))
        for name in ("a/m", "a/m,b/m"):
            with pytest.raises(ModelGone):
                await road.chain.open(asking(), msgspec.structs.replace(road.route, name=name))

    run(case())
    assert caplog.messages == []
