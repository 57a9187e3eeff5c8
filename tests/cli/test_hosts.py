"""What the shell does where hosts share something: the pepper, a Redis, a database."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_state import ask
from tests.ledger.postgres import PASSWORD
from tests.ledger.postgres import Server as Postgres
from tests.ledger.redis import Server as Redis
from tests.shell import Home, Mocked, providers, run, serving, until
from tests.upstream_server import Upstream, says

PEPPER = base64.b64encode(b"canary-pepper-of-thirty-two-byte").decode()


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def put(home: Home, lines: str) -> None:
    text = (home.path / "octoplex.toml").read_text()
    home.config(f"[server]\n{lines}\n{text}")


def opens(home: Home, secret: str, status: int = 200) -> None:
    with serving(home) as (_, url):
        assert ask(url, secret) == status


def test_keys_made_beside_no_server_are_under_the_pepper_of_the_file(home: Home) -> None:
    home.more["PEPPER"] = PEPPER
    put(home, 'pepper = "env:PEPPER"')
    made = run(home, "keys", "new", "app", status=0).out.strip()
    assert not (home.data / "pepper").exists()
    opens(home, made)
    turned = run(home, "keys", "rotate", "app", "--overlap", "0", status=0).out.strip()
    opens(home, made, 401)
    opens(home, turned)
    run(home, "keys", "revoke", "app", status=0)
    opens(home, turned, 401)


def test_a_pepper_in_a_secret_manager_is_fetched(home: Home) -> None:
    found = json.dumps({"data": {"data": {"key": PEPPER}, "metadata": {"version": 1}}}).encode()

    async def main() -> None:
        async with Upstream(says(found)) as vault:
            home.more |= {"VAULT_ADDR": vault.url, "VAULT_TOKEN": "canary-vault"}
            put(home, 'pepper = "vault://kv/octoplex#key"')
            made = await asyncio.to_thread(run, home, "keys", "new", "app", status=0)
            await asyncio.to_thread(opens, home, made.out.strip())
            assert vault.book
        gone = await asyncio.to_thread(run, home, "keys", "new", "web")
        assert "vault://kv/octoplex#key" in gone.failed_with_a_sentence()

    asyncio.run(main())


def test_doctor_looks_at_the_redis(home: Home, redis: Redis) -> None:
    home.more |= {"PEPPER": PEPPER, "REDIS": redis.url()}
    assert "redis " not in run(home, "doctor", status=0).out
    put(home, 'pepper = "env:PEPPER"\nredis = "env:REDIS"')
    (line,) = found(home, 0)
    version = redis.do("INFO", "server")["redis_version"]  # type: ignore[index]
    assert line.startswith(f"ok      redis        {version} at 127.0.0.1:{redis.port} answers in ")
    assert line.endswith(" ms")
    redis.do("CONFIG", "SET", "maxmemory", "100mb")
    for policy, lost in (
        ("volatile-lru", None),
        ("noeviction", None),
        ("volatile-ttl", "Idempotency-Key"),
        ("allkeys-lru", "switched"),
    ):
        redis.do("CONFIG", "SET", "maxmemory-policy", policy)
        _, *more = found(home, 0)
        assert lost in more[0] if lost else not more, more
    home.more["REDIS"] = redis.url().replace(redis.password, "canary-wrong-password")
    (line,) = found(home, 1)
    assert line.startswith("broken  redis")
    assert "invalid username-password pair" in line
    assert "canary" not in line
    redis.kill()
    (line,) = found(home, 1)
    assert f"127.0.0.1:{redis.port} cannot be used" in line


def found(home: Home, status: int) -> list[str]:
    """What `doctor` says of it."""
    lines = run(home, "doctor", status=status).out.splitlines()
    return [line for line in lines if line.split()[1] == "redis"]


def test_what_is_switched_beside_no_server_is_so_at_hosts_on_the_database(
    tmp_path: Path, mock: Mocked, postgres: Postgres
) -> None:
    lines = f'database = "{postgres.database()}"\ndatabase_password = "env:DATABASE_PASSWORD"'
    homes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        home = Home(tmp_path / name, {"DATABASE_PASSWORD": PASSWORD, "PEPPER": PEPPER})
        home.config(providers(mock))
        put(home, f'{lines}\npepper = "env:PEPPER"')
        homes.append(home)
    away, there = homes
    assert "not told" not in run(away, "providers", "disable", "mock", status=0).err
    run(away, "providers", "enable", "mock", status=0)
    secret = run(away, "keys", "new", "app", status=0).out.strip()
    with serving(there) as (_, url):
        assert ask(url, secret) == 200
        run(away, "providers", "disable", "mock", status=0)
        until(lambda: ask(url, secret) != 200, "the switch")
        run(away, "cache", "purge", status=0)
        until(lambda: "cache.purge" in (there.data / "audit.jsonl").read_text(), "the purge")
    postgres.kill()
    done = run(away, "providers", "enable", "mock", status=0)
    assert "Other hosts are not told" in done.err
