"""Alerts go on whatever a look at the budgets runs into."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from octoplex.jobs.alerts import NAME, Watch
from octoplex.ledger.allowance import Left
from octoplex.ledger.period import instant
from octoplex.ledger.rows import Order
from octoplex.wire.error import StoreFailed
from octoplex.wire.event import NO_USAGE
from tests.assembly.scene import Scene, opened
from tests.server.gate import until

TENANT = "[tenants.acme]\nlimits = '$5/day'\nalerts = { at = [0.5] }\n"
MINUTE = "[tenants.acme]\nlimits = '$0.000001/min'\nalerts = { at = [0.5] }\n"
KEY = "[keys.a]\nsecret = 'env:A'\ntenant = 'acme'\n"


def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path, KEY + TENANT, {"A": "f7m2q9x4k1z8-first"}) as at:
            book, looks = at.gateway.works.book, 0
            left = book.left_of_tenant

            def failing(*given: object) -> object:
                nonlocal looks
                looks += 1
                if looks <= 3:
                    raise StoreFailed("The disk is away.")
                return left(*given)  # type: ignore[arg-type]

            book.left_of_tenant = failing  # type: ignore[assignment]
            async with Watch(lambda: at.gateway, look_s=0.001):
                await until(lambda: looks >= 5)
            said = [r.message for r in caplog.records if "cannot be looked at" in r.message]
            assert len(said) == 1
            assert "The disk is away." in said[0]

    asyncio.run(main())


async def spent(at: Scene, nano: int, at_ms: int) -> None:
    """Spend so much as the key `a` at a moment."""
    number = at_ms + nano
    order = Order(f"r{number}", 1, at_ms, "a", "a", "", "p", "m", "v", nano, "acme")
    hold = at.gateway.works.book.hold(order)
    assert hold is not None
    hold.settle(nano, NO_USAGE, "done")


def told_late(at: Scene) -> Callable[[str, int], list[Left]]:
    """Budgets that are as the first look met them only at the second."""
    left, looks = at.gateway.works.book.left_of_tenant, iter([0])
    return lambda name, at_ms: [] if next(looks, None) == 0 else left(name, at_ms)


def test_what_was_spent_as_a_window_ended_is_told(tmp_path: Path) -> None:
    """The last look at a window may be a second before its end."""

    async def main() -> None:
        async with opened(tmp_path, KEY + MINUTE, {"A": "f7m2q9x4k1z8-first"}) as at:
            border_ms = time.time_ns() // 1_000_000 // 60_000 * 60_000
            await spent(at, 600, border_ms - 1)
            clock = iter([border_ms - 1_000, border_ms + 19_000, border_ms + 50_000])
            watch = Watch(lambda: at.gateway, now_ms=lambda: next(clock))
            at.gateway.works.book.left_of_tenant = told_late(at)  # type: ignore[assignment]
            for _ in range(3):
                await watch.look()
                assert len(watch._told) <= 1
            (told,) = watch._told
            assert told.endswith(f"{instant(border_ms // 60_000)} 1000 0.5")
            await watch.__aexit__()

    asyncio.run(main())


def test_what_was_told_is_kept_whole_and_forgotten_after_its_window(tmp_path: Path) -> None:
    async def main() -> None:
        tables = "".join(MINUTE.replace("acme", f"t{n}") for n in range(50)) + MINUTE
        async with opened(tmp_path, KEY + tables, {"A": "f7m2q9x4k1z8-first"}) as at:
            file = at.gateway.works.data / NAME
            file.write_text('["acme minute 2020-01-01T00:00:00Z 1000 0.5", "odd"]')
            watch, now_ms = Watch(lambda: at.gateway), time.time_ns() // 1_000_000
            left = Left("minute", 1000, 900, 0, instant(now_ms // 60_000 + 1), "")
            at.gateway.works.book.left_of_tenant = lambda *_: [left]  # type: ignore[assignment]
            async with watch:
                await until(lambda: len(watch._written) == 51)
                kept = msgspec.json.decode(file.read_bytes(), type=list[str])
                assert len(kept) == 51
                assert not [id_ for id_ in kept if "2020" in id_ or id_ == "odd"]
            again = Watch(lambda: at.gateway)
            assert again._told == set(kept)

    asyncio.run(main())
