"""Two gateways over one Redis: what one keeps the other gives; what Redis does is no failure."""

import asyncio
import base64
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.postgres import Server as Postgres
from tests.ledger.redis import PASSWORD, Server
from tests.server import provider
from tests.server.cache_scene import COST, cached, gated, numbered, told
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.supervisor.processes import kill, owner
from tests.server.test_idempotency import REPLAYED, send
from tests.upstream_server import Play, Upstream

PEPPER = base64.b64encode(b"canary-pepper-of-thirty-two-byte").decode()
SHARED = "redis = 'env:REDIS'\npepper = 'env:PEPPER'\n"
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\n"
Put = Callable[..., str]


@pytest.fixture
def redis() -> Iterator[Server]:
    with Server() as server:
        yield server


@asynccontextmanager
async def gates(
    folder: Path, server: Server, text: str, *, workers: tuple[int, ...] = (1, 1)
) -> AsyncIterator[list[Gate]]:
    """So many hosts, each with a folder and configuration of its own."""
    made = []
    for number, count in enumerate(workers):
        place = folder / f"host-{number}"
        place.mkdir()
        env = {"REDIS": server.url(), "PEPPER": PEPPER}
        here = text.replace("[server]\n", f"[server]\nworkers = {count}\n", 1)
        made.append(Gate(place, here, key=APP_KEY, env=env))
    try:
        for gate in made:
            await gate.start()
            await up(gate)
        yield made
    except BaseException:
        for gate in made:
            await gate.__aexit__(RuntimeError)
        raise
    for gate in made:
        await gate.__aexit__(None)
        for path in gate.folder.rglob("*"):
            if path.is_file():
                assert PASSWORD.encode() not in path.read_bytes(), path
                assert PEPPER.encode() not in path.read_bytes(), path
        assert not any(PASSWORD.encode() in said for said in gate.seen)


async def figure(gate: Gate, name: str) -> float:
    body = (await gate.get("/metrics")).body.decode()
    lines = [line for line in body.splitlines() if line.startswith(name)]
    return sum(float(line.split()[-1]) for line in lines)


async def up(gate: Gate, wanted: float = 1) -> None:
    async def there() -> bool:
        return await figure(gate, "octoplex_redis_up") == wanted

    await soon(there)


async def soon(look: Callable[[], Any]) -> None:
    end_at = time.monotonic() + 20
    while not await look():
        assert time.monotonic() < end_at, "it never came to hold"
        await asyncio.sleep(0.02)


def text(upstream: Upstream, more: str = "") -> str:
    return file(KEY + cached() + more, SHARED, a=upstream)


WORKERS = pytest.mark.parametrize("workers", [(1, 1), (2, 2)], ids=["processes", "workers"])


@WORKERS
def test_a_reply_is_a_hit_on_the_other_host_until_it_is_purged(
    tmp_path: Path, run: Run, redis: Server, workers: tuple[int, ...]
) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as upstream,
            gates(tmp_path, redis, text(upstream), workers=workers) as (one, two),
        ):
            first = await one.chat("main")
            assert told(first) == "miss"
            await until(lambda: redis.do("KEYS", "*:kept:*"))
            again = await two.chat("main")
            assert (told(again), again.body) == ("hit", first.body)
            assert (await two.chat("main")).headers["x-octoplex-cost-nano"] == "0"
            before = len(upstream.book)
            purged = (await two.control({"do": "cache.purge", "model": None}))["ok"]
            assert purged == before

            async def missed() -> bool:
                return told(await one.chat("main")) == "miss"

            await soon(missed)
            assert len(upstream.book) == before + 1

    run(main())


@WORKERS
def test_equal_idempotency_keys_at_two_hosts_are_one_call(
    tmp_path: Path, run: Run, redis: Server, workers: tuple[int, ...]
) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as upstream,
            gates(tmp_path, redis, text(upstream), workers=workers) as both,
        ):
            asked = [asyncio.ensure_future(send(both[0], "one"))]
            await until(lambda: upstream.book, 15)
            other = await send(both[1], "one", temperature=0.5)
            assert other.status == 422
            asked += [asyncio.ensure_future(send(gate, "one")) for gate in both * 8]
            await asyncio.sleep(0.2)
            opened.set()
            replies = await asyncio.gather(*asked)
            assert {(r.status, r.body) for r in replies} == {(200, replies[0].body)}
            costs = [int(r.headers["x-octoplex-cost-nano"]) for r in replies]
            assert (sum(costs), costs.count(COST), len(upstream.book)) == (COST, 1, 1)
            again = [await send(gate, "one") for gate in both]
            assert {r.headers.get(REPLAYED) for r in again} == {"true"}
            assert len(upstream.book) == 1
            at_once = await asyncio.gather(*[send(gate, "two") for gate in both * 8])
            assert len({(r.status, r.body) for r in at_once}) == 1
            assert len(upstream.book) == 2

    run(main())


@WORKERS
def test_of_two_bodies_under_one_key_at_once_exactly_one_wins(
    tmp_path: Path, run: Run, redis: Server, workers: tuple[int, ...]
) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as upstream,
            gates(tmp_path, redis, text(upstream), workers=workers) as both,
        ):
            for number in range(8):
                asks = [(gate, heat) for gate in both for heat in (0.25, 0.75)] * 4
                random.Random(number).shuffle(asks)
                name = f"key {number}"
                asked = [send(gate, name, temperature=heat) for gate, heat in asks]
                told: dict[float, set[int]] = defaultdict(set)
                for (_, heat), reply in zip(asks, await asyncio.gather(*asked), strict=True):
                    told[heat].add(reply.status)
                assert sorted(told.values(), key=min) == [{200}, {422}]
                assert len(upstream.book) == number + 1

    run(main())


def test_a_claim_outlives_the_owner_at_its_host(tmp_path: Path, run: Run, redis: Server) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as upstream,
            gates(tmp_path, redis, text(upstream), workers=(2, 1)) as both,
        ):
            one, two = both
            asked = [asyncio.ensure_future(send(one, "one"))]
            await until(lambda: upstream.book, 15)
            (name,) = redis.do("KEYS", "*:claim:*")  # type: ignore[misc]
            kill(owner(one))
            asked += [asyncio.ensure_future(send(two, "one"))]
            left: list[Any] = [redis.do("PTTL", name)]
            while left[-1] <= left[0]:  # until it is renewed: nobody did but the next owner
                assert left[-1] > 0, "it has ended"
                await asyncio.sleep(0.02)
                left.append(redis.do("PTTL", name))
            opened.set()
            replies = await asyncio.gather(*asked)
            assert {(r.status, r.body) for r in replies} == {(200, replies[0].body)}
            assert len(upstream.book) == 1
            await until(lambda: not redis.do("KEYS", "*:claim:*"))

    run(main())


def test_the_other_host_asks_when_the_first_has_died(
    tmp_path: Path, run: Run, redis: Server
) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        plays: list[Play] = [gated(opened, provider.whole("openai-chat", text="lost"))]
        async with (
            Upstream(*plays, *numbered()) as upstream,
            gates(tmp_path, redis, text(upstream)) as (one, two),
        ):
            lost = asyncio.ensure_future(send(one, "one"))
            await until(lambda: upstream.book, 15)
            waits = asyncio.ensure_future(send(two, "one"))
            one.kill()
            assert isinstance((await asyncio.gather(lost, return_exceptions=True))[0], Exception)
            assert (await waits).status == 200
            assert len(upstream.book) == 2
            opened.set()
            await one.start()

    run(main())


@WORKERS
def test_a_provider_put_out_of_use_is_so_on_both(
    tmp_path: Path, run: Run, redis: Server, workers: tuple[int, ...]
) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as upstream,
            gates(tmp_path, redis, text(upstream), workers=workers) as both,
        ):

            async def answers(gate: Gate, status: int) -> None:
                async def look() -> bool:
                    return (await gate.chat("a/m")).status == status

                await soon(look)

            for here, there in (both, both[::-1]):
                assert "ok" in await here.control({"do": "providers.disable", "id": "a"})
                await answers(there, 404)
                assert "ok" in await there.control({"do": "providers.enable", "id": "a"})
                await answers(here, 200)
            noted = [json.loads(line) for line in _audit(both[1]).splitlines()]
            assert {"another host", "shell:root"} >= {line["who"] for line in noted} > set()

    run(main())


def test_what_could_not_be_put_in_force_is_so_after_a_reload(
    tmp_path: Path, run: Run, redis: Server
) -> None:
    """A key that is stored at one host, and no seal at the other that opens it."""

    async def main() -> None:
        async with Upstream(*numbered()) as upstream:
            here = text(upstream).replace("[server]\n", "[server]\nseal = 'env:APP_KEY'\n", 1)
            async with gates(tmp_path, redis, here) as (one, two):
                two.write(here.replace("seal = 'env:APP_KEY'", "seal = 'env:OTHER_KEY'"))
                assert "ok" in await two.control({"do": "reload"})
                order = {"do": "providers.store_key", "id": "a", "key": "stored-0123456789"}
                assert "ok" in await one.control(order)
                await until(lambda: "is not in force here" in two.log.read_text(), 15)
                assert "ok" in await one.control({"do": "providers.disable", "id": "a"})
                assert "refused: " in _audit(two)
                two.write(here)
                assert "ok" in await two.control({"do": "reload"})

                async def is_off() -> bool:
                    return (await two.chat("a/m")).status == 404

                await soon(is_off)
                assert "sealed" in (two.data / "switches.json").read_text()

    run(main())


def test_what_could_not_be_told_is_told_by_the_next_life(
    tmp_path: Path, run: Run, redis: Server
) -> None:
    """Redis has an older word of it, which must not count at the host that was switched."""

    async def main() -> None:
        async with (
            Upstream(*numbered()) as upstream,
            gates(tmp_path, redis, text(upstream)) as (one, two),
        ):
            for how in ("disable", "enable"):
                assert "ok" in await one.control({"do": f"providers.{how}", "id": "a"})

            async def is_told() -> bool:
                return not (one.data / "untold").exists()

            await soon(is_told)
            redis.hang()
            assert "ok" in await one.control({"do": "providers.disable", "id": "a"})
            one.kill()
            await one.start()
            assert (await one.chat("a/m")).status == 404
            redis.go_on()

            async def is_off() -> bool:
                return (await two.chat("a/m")).status == 404

            await soon(is_off)
            await soon(is_told)
            assert (await one.chat("a/m")).status == 404

    run(main())


def test_a_key_is_made_and_revoked_everywhere(tmp_path: Path, run: Run, redis: Server) -> None:
    """In one database; Redis says when to look."""

    async def main(database: str, password: str) -> None:
        place = f"{SHARED}database = '{database}'\ndatabase_password = 'env:DATABASE_PASSWORD'\n"
        async with Upstream(*numbered()) as upstream:
            made = []
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
                env = {"REDIS": redis.url(), "PEPPER": PEPPER, "DATABASE_PASSWORD": password}
                here = file(KEY + cached(), place, a=upstream)
                made.append(Gate(tmp_path / name, here, key=APP_KEY, env=env, clean=False))
            async with made[0] as one, made[1] as two:
                for gate in made:
                    await up(gate)
                for here, there in ((one, two), (two, one)):
                    told = (await here.control({"do": "keys.new", "name": "new"}))["ok"]

                    async def opens(gate: Gate, secret: str = told["secret"]) -> bool:
                        before, gate.key = gate.key, secret
                        try:
                            return (await gate.get("/v1/key")).status == 200
                        finally:
                            gate.key = before

                    await soon(lambda: opens(there))  # noqa: B023
                    assert "ok" in await here.control({"do": "keys.revoke", "name": "new"})
                    assert not await opens(here)

                    async def closed() -> bool:
                        return not await opens(there)  # noqa: B023

                    await soon(closed)

    with Postgres() as postgres:
        run(main(postgres.database(), postgres.password))


def _audit(gate: Gate) -> str:
    return (gate.data / "audit.jsonl").read_text()


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_redis_comes_and_goes_under_load(tmp_path: Path, run: Run, redis: Server, how: str) -> None:
    """Every request is answered; each reply is some telling of the question that was asked."""

    async def main() -> None:
        play = provider.whole("openai-chat")
        async with (
            Upstream(*[play] * 5_000) as upstream,
            gates(tmp_path, redis, text(upstream)) as both,
        ):
            over = asyncio.Event()
            counts = {"asked": 0}

            async def load(gate: Gate, lane: int) -> None:
                number = 0
                while not over.is_set():
                    number += 1
                    if number % 3:
                        reply: Reply = await gate.chat("main", seed=number // 2 % 40)
                    else:
                        reply = await send(gate, f"key-{lane}-{number}")
                    assert reply.status == 200, reply.body
                    counts["asked"] += 1

            lanes = [asyncio.ensure_future(load(g, n)) for n, g in enumerate(both * 3)]
            try:
                for _ in range(3):
                    await progress(counts, 60, lanes)
                    redis.kill() if how == "killed" else redis.hang()
                    await progress(counts, 60, lanes)
                    for gate in both:
                        await up(gate, 0)
                    redis.start() if how == "killed" else redis.go_on()
                    for gate in both:
                        await up(gate)
            finally:
                over.set()
                await asyncio.gather(*lanes)
            for gate in both:
                assert await figure(gate, "octoplex_redis_failures_total") > 0
                said = gate.log.read_text()
                assert 1 <= said.count("cannot be used now") <= 3, said

    run(main())


async def progress(counts: dict[str, int], more: int, lanes: list[asyncio.Task[None]]) -> None:
    wanted = counts["asked"] + more
    await until(lambda: counts["asked"] >= wanted or any(lane.done() for lane in lanes), 30)


def test_a_host_starts_and_serves_without_its_redis(
    tmp_path: Path, run: Run, redis: Server
) -> None:
    async def main() -> None:
        redis.kill()
        async with Upstream(*numbered()) as upstream:
            env = {"REDIS": redis.url(), "PEPPER": PEPPER}
            async with Gate(tmp_path, text(upstream), key=APP_KEY, env=env) as gate:
                assert [told(await gate.chat("main")) for _ in range(2)] == ["miss", "hit"]
                assert [(await send(gate, "k")).status for _ in range(2)] == [200, 200]
                assert len(upstream.book) == 2, "in one process a key is still one call"
                refused = await gate.control({"do": "cache.purge"})
                assert "cannot be purged now" in refused["error"]
                redis.start()
                await up(gate)
                assert told(await gate.chat("main")) == "miss"

    run(main())


WRONG = {
    "no pepper": ("redis = 'redis://127.0.0.1:1'\n", "one pepper"),
    "a password": ("redis = 'redis://:canary@h'\npepper = 'env:PEPPER'\n", "does not belong"),
    "no url": ("redis = 'canary'\npepper = 'env:PEPPER'\n", "not the URL of a Redis"),
    "not set": ("redis = 'env:NOWHERE'\npepper = 'env:PEPPER'\n", "NOWHERE is not set"),
    "short pepper": ("pepper = 'env:APP_KEY'\n", "32 bytes in base64"),
    "literal pepper": ("pepper = 'canary'\n", "a secret itself does not belong here"),
    "password alone": ("redis_password = 'env:APP_KEY'\n", "there is no redis"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_cannot_be_meant_is_refused_at_the_start(tmp_path: Path, how: str) -> None:
    server, says = WRONG[how]
    gate = Gate(tmp_path, f"[server]\n{server}", env={"PEPPER": PEPPER})
    process = gate.spawn()
    assert process.wait(30) != 0
    said = gate.log.read_text()
    assert says in said
    assert "canary" not in said
    assert "Traceback" not in said


def test_caches_of_two_installations_do_not_meet(tmp_path: Path, run: Run, redis: Server) -> None:
    """With another prefix nothing is shared, purges neither."""

    async def main() -> None:
        async with Upstream(*numbered()) as upstream:
            env = {"REDIS": redis.url(), "PEPPER": PEPPER}
            other = text(upstream).replace(SHARED, SHARED + "redis_prefix = 'other:'\n")
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
            one = Gate(tmp_path / "one", text(upstream), key=APP_KEY, env=env)
            two = Gate(tmp_path / "two", other, key=APP_KEY, env=env)
            async with one, two:
                await up(one)
                await up(two)
                assert [told(await gate.chat("main")) for gate in (one, two)] == ["miss", "miss"]
                assert (await two.control({"do": "cache.purge"}))["ok"] == 1
                one.seen.clear()
                assert told(await one.chat("main")) == "hit"
            names = redis.do("KEYS", "*")
            assert isinstance(names, list)
            assert {name.split(b":")[0] for name in names} == {b"octoplex", b"other"}

    run(main())
