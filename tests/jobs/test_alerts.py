"""Alerts go on whatever a look at the budgets runs into."""

import asyncio
from pathlib import Path

import pytest

from octoplex.jobs.alerts import Watch
from octoplex.wire.error import StoreFailed
from tests.assembly.scene import opened
from tests.server.gate import until

TENANT = "[tenants.acme]\nlimits = '$5/day'\nalerts = { at = [0.5] }\n"
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
