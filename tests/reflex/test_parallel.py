"""`N parallel`: read, and counted over keys and their tenants."""

import asyncio
import random
from collections.abc import Callable

import pytest

from octoplex.reflex.keys import Key
from octoplex.reflex.limit import Limits, describe, parse
from octoplex.reflex.parallel import Crowd
from octoplex.wire.ask import Caller
from octoplex.wire.error import TooFast


def key(name: str, most: int, *crowds: tuple[str, int]) -> Key:
    limits = Limits(parallel=most)
    return Key(id=name, name=name, caller=Caller(id=name), limits=limits, crowds=crowds)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("20 parallel", 20),
        ("1k parallel requests", 1_000),
        ("60 req/min, 1,000 PARALLEL, $5/day", 1_000),
        ("3 parallel req", 3),
    ],
)
def test_it_is_read_and_said_again(text: str, most: int) -> None:
    limits = parse(text)
    assert limits.parallel == most
    assert parse(describe(limits)).parallel == most


@pytest.mark.parametrize(
    "text", ["0 parallel", "1.5 parallel", "parallel", "2 parallel, 3 parallel", "5 parallel/min"]
)
def test_what_is_wrong_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="parallel"):
        parse(text)


def test_any_history_keeps_every_limit_and_ends_empty() -> None:
    """Of keys in a team of an organisation, and beside it, while limits change."""
    for seed in range(30):
        order = random.Random(seed)
        crowd, running = Crowd(), list[tuple[str, Callable[[], None]]]()
        mosts = {"a": 4, "b": 0, "c": 2, "acme": 5, "acme.web": 3}

        def put(crowd: Crowd = crowd, mosts: dict[str, int] = mosts) -> None:
            team, all_ = ("acme.web", mosts["acme.web"]), ("acme", mosts["acme"])
            keys = [key("a", mosts["a"], team, all_), key("b", mosts["b"], all_)]
            crowd.update([*keys, key("c", mosts["c"])])

        put()
        over = {"acme": ("a", "b"), "acme.web": ("a",), "a": ("a",), "c": ("c",)}
        for _ in range(300):
            if running and order.random() < 0.4:
                running.pop(order.randrange(len(running)))[1]()
            elif order.random() < 0.02:
                mosts["acme"] = order.randint(1, 6)
                put()
            name = order.choice("abc")
            count = {of: sum(one in keys for one, _ in running) for of, keys in over.items()}
            fits = all(count[of] < mosts[of] for of, keys in over.items() if name in keys)
            try:
                running.append((name, asyncio.run(crowd.begin(name))))
            except TooFast as error:
                assert not fits
                assert error.retry_after_s  # noqa: PT017
            else:
                assert fits
        for _, over in running:
            over()
        assert all(f.remaining == f.limit for name in "abc" for f in crowd.figures(name))


def test_a_tenants_limit_says_whose_it_is() -> None:
    crowd = Crowd()
    crowd.update([key("a", 0, ("acme.web", 1), ("acme", 0))])
    asyncio.run(crowd.begin("a"))
    with pytest.raises(TooFast, match=r"team acme\.web's limit of 1 parallel"):
        asyncio.run(crowd.begin("a"))
    crowd.resume("a")
    assert [figure.remaining for figure in crowd.figures("a")] == [0]
