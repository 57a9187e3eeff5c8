"""Several hosts on one PostgreSQL: limits are never passed and used up, whoever dies."""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.ledger.postgres import PASSWORD, Server
from tests.server import cache_scene, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, question, route
from tests.server.supervisor.processes import kill, owner
from tests.server.test_shared_redis import soon
from tests.upstream_server import Exchange, Upstream

WORST_NANO = -(-len(question("main")) // 3) * 1_000 + 50 * 10_000
WORST_TOKENS = -(-len(question("main")) // 3)
PARALLEL = 200
PEPPER = base64.b64encode(bytes(range(32))).decode()
CENT = 10_000_000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


class Hosts:
    """So many gateways on one database, each with a data folder of its own."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        up: Upstream,
        limits: str,
        more: str = "",
        *,
        cached: bool = False,
    ):
        self.server, self.url = server, ""
        self.gates: list[Gate] = []
        self._folder, self._stack = folder, AsyncExitStack()
        self._up, self._more = up, more
        self._route = cache_scene.cached() if cached else route("main", "a/m")
        self._key = f"[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'viewer'\nlimits = '{limits}'\n"

    async def __aenter__(self) -> "Hosts":
        self.url = await asyncio.to_thread(self.server.database)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.__aexit__(*error)  # type: ignore[arg-type]

    async def start(self, count: int = 1) -> None:
        place = f"database = '{self.url}'\ndatabase_password = 'env:DATABASE_PASSWORD'\n"
        place += "pepper = 'env:PEPPER'\n"
        text = file(self._route + self._key, place + self._more, a=self._up)
        for _ in range(count):
            folder = self._folder / f"host-{len(self.gates)}"
            folder.mkdir()
            env = {"DATABASE_PASSWORD": PASSWORD, "PEPPER": PEPPER}
            gate = Gate(folder, text, key=APP_KEY, clean=False, env=env)
            self.gates.append(await self._stack.enter_async_context(gate))

    async def asked(self, count: int = PARALLEL) -> list[Reply]:
        """Asked all at once, of one after the other."""
        gates = self.gates
        return await asyncio.gather(*[gates[n % len(gates)].chat("main") for n in range(count)])

    async def exhausted(self, status: int) -> int:
        """Ask each one by one until it refuses; how many passed."""
        passed = 0
        for gate in self.gates:
            while (reply := await gate.chat("main")).status == 200:
                passed += 1
                assert passed < PARALLEL
            assert reply.status == status, reply.body
        return passed

    async def sql(self, text: str) -> list[tuple[object, ...]]:
        name = self.url.rpartition("/")[2]
        return await asyncio.to_thread(self.server.sql, name, text)

    async def rows(self, count: int) -> list[int]:
        """What each attempt cost, once there are so many and none is open."""
        while True:
            rows = await self.sql("select state, nano from octoplex.ledger")
            if len(rows) >= count and not any(state == "reserved" for state, _ in rows):
                assert len(rows) == count
                return [int(str(nano)) for _, nano in rows]
            await asyncio.sleep(0.05)

    async def agrees(self) -> None:
        """The till has what the ledger has, and nothing is lent once all have given back."""
        text = """select account, kind, first, spent,
            octoplex.spent(account, kind, first, after) from octoplex.till"""
        for *place, till, ledger in await self.sql(text):
            assert till == ledger, place


@pytest.mark.parametrize(("count", "more"), [(2, ""), (3, ""), (2, "workers = 2\n")])
def test_a_budget_is_spent_to_the_last_call_and_never_passed(
    tmp_path: Path, run: Run, server: Server, count: int, more: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$0.01/day", more) as hosts,
        ):
            await hosts.start(count)
            replies = await hosts.asked()
            assert {r.status for r in replies} == {200, 402}
            passed = sum(r.status == 200 for r in replies) + await hosts.exhausted(402)
            spent = sum(await hosts.rows(passed))
            assert len(up.book) == passed
            assert spent <= CENT < spent + WORST_NANO
            await hosts.agrees()
            for gate in hosts.gates:
                told = (await gate.get("/v1/key")).json
                assert told["budgets"][0]["left_nano"] == CENT - spent
                assert told["spent_nano"] == spent
                assert (await gate.get("/admin/status")).json["spent_nano"] == spent

    run(main())


def test_no_lease_is_money_that_others_have_too(tmp_path: Path, run: Run, server: Server) -> None:
    """Bills as high as their reservations: what is granted twice would be paid twice."""

    async def main() -> None:
        tokens = -(-len(question("main")) // 3)
        whole = provider.whole("openai-chat", bill=(tokens, 50))

        async def slowly(exchange: Exchange) -> None:
            await asyncio.sleep(0.05)
            await whole(exchange)

        fits = 150
        limits = f"${fits * WORST_NANO / 10**9:.9f}/day"
        async with Upstream(slowly) as up, Hosts(tmp_path, server, up, limits) as hosts:
            await hosts.start(2)
            replies = [*await hosts.asked(100), *await hosts.asked(100)]
            passed = sum(reply.status == 200 for reply in replies) + await hosts.exhausted(402)
            assert passed == len(up.book) == fits
            assert sum(await hosts.rows(fits)) == fits * WORST_NANO

    run(main())


@pytest.mark.parametrize(("count", "more"), [(2, ""), (3, ""), (2, "workers = 2\n")])
def test_a_rate_of_requests_is_used_up_and_never_passed(
    tmp_path: Path, run: Run, server: Server, count: int, more: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "100 req/day", more) as hosts,
        ):
            await hosts.start(count)
            replies = await hosts.asked()
            assert {r.status for r in replies} == {200, 429}
            assert sum(r.status == 200 for r in replies) + await hosts.exhausted(429) == 100
            assert len(up.book) == 100

    run(main())


def test_a_rate_of_tokens_is_used_up_and_never_passed(
    tmp_path: Path, run: Run, server: Server
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "2000 tok/day") as hosts,
        ):
            await hosts.start(2)
            replies = await hosts.asked()
            assert {r.status for r in replies} <= {200, 429}
            await hosts.rows(len(up.book))
            await hosts.exhausted(429)
            used = len(up.book) * sum(provider.BILL)
            assert 2_000 - WORST_TOKENS < used <= 2_000 + 2 * sum(provider.BILL)

    run(main())


def test_a_host_that_is_killed_costs_what_it_had_open_and_no_more(
    tmp_path: Path, run: Run, server: Server
) -> None:
    async def main() -> None:
        held = asyncio.Event()
        whole = provider.whole("openai-chat")

        async def slowly(exchange: Exchange) -> None:
            if not held.is_set():
                await asyncio.sleep(0.2)
            await whole(exchange)

        async with Upstream(slowly) as up, Hosts(tmp_path, server, up, "$0.02/day") as hosts:
            await hosts.start(2)
            first = hosts.gates[0]
            calls = [asyncio.create_task(g.chat("main")) for g in hosts.gates for _ in range(15)]
            await asyncio.sleep(0.1)
            first.kill()
            replies = await asyncio.gather(*calls, return_exceptions=True)
            held.set()
            await first.start()
            lost = await hosts.sql("select nano from octoplex.ledger where outcome = 'lost'")
            assert all(nano == WORST_NANO for (nano,) in lost)
            passed = sum(isinstance(r, Reply) and r.status == 200 for r in replies)
            passed += sum(r.status == 200 for r in await hosts.asked())
            passed += await hosts.exhausted(402)
            spent = sum(await hosts.rows(passed + len(lost)))
            assert spent <= 2 * CENT < spent + WORST_NANO
            await hosts.agrees()

    run(main())


def test_what_workers_have_open_is_nobody_elses_when_their_owner_dies(
    tmp_path: Path, run: Run, server: Server
) -> None:
    """Bills as high as their reservations: what another host takes of them is paid twice."""

    async def main() -> None:
        fits, opened, gone = 20, 12, asyncio.Event()
        whole = provider.whole("openai-chat", bill=(WORST_TOKENS, 50))
        waiting = itertools.count()

        async def slowly(exchange: Exchange) -> None:
            if next(waiting) < opened:
                await gone.wait()
            await whole(exchange)

        limits = f"${fits * WORST_NANO / 10**9:.9f}/day"
        async with (
            Upstream(slowly) as up,
            Hosts(tmp_path, server, up, limits, "workers = 2\n") as hosts,
        ):
            await hosts.start(2)
            one, two = hosts.gates
            calls = [asyncio.create_task(one.chat("main")) for _ in range(opened)]

            async def all_are_open() -> bool:
                return len(await hosts.sql("table octoplex.opened")) == opened

            await soon(all_are_open)
            dead, passed = owner(one), 0
            kill(dead)
            while owner(one) == dead or (await one.get("/health/ready")).status != 200:
                more = await asyncio.gather(*[two.chat("main") for _ in range(4)])
                passed += sum(reply.status == 200 for reply in more)
            while (await two.chat("main")).status == 200:
                passed += 1
            assert passed == fits - opened
            gone.set()
            assert {reply.status for reply in await asyncio.gather(*calls)} == {200}
            assert sum(await hosts.rows(fits)) == fits * WORST_NANO
            await hosts.agrees()

            async def nothing_is_lent() -> bool:
                return not await hosts.sql("select 1 from octoplex.leases where nano > 0")

            await soon(nothing_is_lent)

    run(main())


def test_the_database_killed_and_begun_anew_loses_no_cent(
    tmp_path: Path, run: Run, server: Server
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$0.02/day") as hosts,
        ):
            await hosts.start(2)
            replies = await hosts.asked(40)
            server.kill()
            replies += await hosts.asked(40)
            await asyncio.to_thread(server.start)
            assert {r.status for r in replies} <= {200, 503}
            while (await hosts.gates[0].chat("main")).status == 503:  # noqa: ASYNC110 - moved by another thread
                await asyncio.sleep(0.05)
            replies += await hosts.asked()
            await hosts.exhausted(402)
            passed = len(up.book)
            spent = sum(await hosts.rows(passed))
            assert spent <= 2 * CENT < spent + WORST_NANO
            await hosts.agrees()

    run(main())


@pytest.mark.parametrize("more", ["", "workers = 2\n"])
def test_what_an_operator_switches_at_one_host_is_so_at_the_other(
    tmp_path: Path, run: Run, server: Server, more: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$1/day", more) as hosts,
        ):
            await hosts.start(2)
            one, two = hosts.gates

            async def answers(gate: Gate, status: int) -> None:
                async def look() -> bool:
                    return (await gate.chat("a/m")).status == status

                await soon(look)

            for here, there in ((one, two), (two, one)):
                assert "ok" in await here.control({"do": "providers.disable", "id": "a"})
                await answers(there, 404)
                assert "ok" in await there.control({"do": "providers.enable", "id": "a"})
                await answers(here, 200)
            lines = [json.loads(line) for line in (two.data / "audit.jsonl").open()]
            assert ("another host", "providers.switch") in [(r["who"], r["what"]) for r in lines]

    run(main())


async def _kept(gate: Gate) -> int:
    """Replies in its cache's file."""
    entries: int = (await gate.control({"do": "cache.stats"}))["ok"]["disk"]["entries"]
    return entries


def test_a_purge_at_one_host_empties_the_other_once(
    tmp_path: Path, run: Run, server: Server
) -> None:
    """Also one that did not run then; and what is kept afterwards outlives a restart."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$1/day", cached=True) as hosts,
        ):
            await hosts.start(2)
            one, two = hosts.gates

            async def holds(wanted: int) -> None:
                async def look() -> bool:
                    return await _kept(two) == wanted

                await soon(look)

            purge = {"do": "cache.purge", "model": None}
            await two.chat("main")
            await holds(1)
            assert "ok" in await one.control(purge)
            await holds(0)
            await two.chat("main")
            await holds(1)
            await two.stop()
            await two.start()
            assert await _kept(two) == 1
            await two.stop()
            assert "ok" in await one.control(purge)
            await two.start()
            await holds(0)

    run(main())


def test_a_purge_that_could_not_be_told_is_told_by_the_next_life(
    tmp_path: Path, run: Run, server: Server
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$1/day", cached=True) as hosts,
        ):
            await hosts.start(2)
            one, two = hosts.gates

            async def holds(wanted: int) -> bool:
                return await _kept(two) == wanted

            await two.chat("main")
            await soon(lambda: holds(1))
            server.kill()
            assert "ok" in await one.control({"do": "cache.purge", "model": None})
            one.kill()
            await asyncio.to_thread(server.start)
            await one.start()
            await soon(lambda: holds(0))

    run(main())
