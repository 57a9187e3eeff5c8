"""The connections to a Redis: bounded in time, whatever it does."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec.structs import replace

from octoplex.ledger.redis import link as module
from octoplex.ledger.redis.address import Address, read
from octoplex.ledger.redis.link import MISSED, Link, Script
from octoplex.wire.error import BadConfig, StoreFailed
from tests.ledger.redis import PASSWORD, Server, until

SUM = Script("return redis.call('INCRBY', KEYS[1], ARGV[1]) + #KEYS")


@asynccontextmanager
async def linked(address: Address) -> Any:
    link = Link(address, "octoplex test")
    link.begin()
    try:
        yield link
    finally:
        await link.close()


def play(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work()

    asyncio.run(bounded())


def test_commands_scripts_and_words(redis_server: Server) -> None:
    async def main() -> None:
        async with linked(redis_server.address()) as link:
            heard: list[bytes] = []
            link.hear("news", heard.append)
            assert await link.ready(10)
            await link.do("SET", link.key("a"), b"\0x")
            assert await link.do("GET", link.key("a")) == b"\0x"
            assert [await link.run(SUM, [link.key("n")], [2]) for _ in range(2)] == [3, 5]
            with pytest.raises(StoreFailed, match=r"refused it: .*not an integer"):
                await link.do("INCR", link.key("a"))
            assert link.up, "a refusal is an answer"
            await until(lambda: heard == [MISSED])
            await link.do("PUBLISH", link.key("news"), "x")
            await until(lambda: heard == [MISSED, b"x"])

    play(main)


def test_a_script_is_known_again_after_redis_forgot_it(redis: Server) -> None:
    async def main() -> None:
        async with linked(redis.address()) as link:
            assert await link.ready(10)
            assert await link.run(SUM, [link.key("n")], [1]) == 2
            redis.do("SCRIPT", "FLUSH")
            assert await link.run(SUM, [link.key("n")], [1]) == 3

    play(main)


def test_a_password_whose_file_is_being_replaced_is_asked_for_again(redis: Server) -> None:
    there = [True]

    def word() -> str:
        if not there[0]:
            raise BadConfig("[server] redis_password: there is no file.")
        return redis.password

    async def main() -> None:
        async with linked(replace(redis.address(), password=word)) as link:
            assert await link.ready(10)
            there[0] = False
            many = [link.do("GET", "x") for _ in range(20)]  # more than connections that idle
            ends = {type(end) for end in await asyncio.gather(*many, return_exceptions=True)}
            assert StoreFailed in ends
            assert ends <= {StoreFailed, type(None)}
            there[0] = True
            assert await link.ready(10)
            assert await link.do("GET", "x") is None

    play(main)


def test_while_it_hangs_nobody_waits_twice(redis: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with linked(redis.address()) as link:
            assert await link.ready(10)
            redis.hang()
            both = [link.do("GET", "x") for _ in range(50)]
            failed = await asyncio.gather(*both, return_exceptions=True)
            assert all(isinstance(error, StoreFailed) for error in failed)
            assert not link.up
            loop = asyncio.get_running_loop()
            turns: list[int] = []
            loop.call_soon(turns.append, 1)
            with pytest.raises(StoreFailed, match="cannot be reached"):
                await link.do("GET", "x")
            assert not turns, "told in the same turn of the loop"
            redis.go_on()
            assert await link.ready(10)
            assert await link.do("PING")
            assert link.failures == 51

    with caplog.at_level(logging.WARNING):
        play(main)
    said = [record.message for record in caplog.records if "Redis" in record.message]
    assert len(said) == 2, said
    assert "cannot be used now" in said[0]
    assert "can be used again" in said[1]
    assert PASSWORD not in caplog.text


def test_it_comes_back_after_a_kill_and_subscribers_are_told(redis: Server) -> None:
    async def main() -> None:
        async with linked(redis.address()) as link:
            heard: list[bytes] = []
            link.hear("news", heard.append)
            assert await link.ready(10)
            await until(lambda: heard == [MISSED])
            redis.kill()
            with pytest.raises(StoreFailed):
                await link.do("GET", "x", within_s=5)
            redis.start()
            assert await link.ready(10)
            await until(lambda: heard == [MISSED, MISSED])
            await link.do("PUBLISH", link.key("news"), "x")
            await until(lambda: heard[-1] == b"x")

    play(main)


def test_a_caller_that_leaves_spoils_no_connection(redis_server: Server) -> None:
    """Who is cancelled between question and answer must not leave the answer to the next."""

    async def main() -> None:
        async with linked(redis_server.address()) as link:
            assert await link.ready(10)
            for number in range(200):
                await link.do("SET", link.key(str(number)), str(number))

            async def one(number: int) -> None:
                found = await link.do("GET", link.key(str(number)), within_s=10)
                assert found == str(number).encode()

            for round_ in range(10):
                tasks = [asyncio.ensure_future(one(number)) for number in range(200)]
                for _ in range(round_):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                done = await asyncio.gather(*tasks, return_exceptions=True)
                wrong = [d for d in done[1::2] if d is not None]
                assert not wrong, wrong[:3]
            assert link.up

    play(main)


def test_a_wrong_password_is_said_once_and_never_shown(
    redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    word = "canary-wrong-password"
    address = Address(host="127.0.0.1", port=redis_server.port, password=lambda: word)

    async def main() -> None:
        async with linked(address) as link:
            assert not await link.ready(0.5)
            with pytest.raises(StoreFailed) as caught:
                await link.do("GET", "x")
            assert word not in str(caught.value)

    play(main)
    assert caplog.text.count("cannot be used now") == 1
    assert "invalid username-password pair" in caplog.text
    assert word not in caplog.text


def test_who_answers_and_is_no_redis_is_down(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, linked(Address(host="127.0.0.1", port=port)) as link:
            assert not await link.ready(0.5)
            with pytest.raises(StoreFailed):
                await link.do("GET", "x")

    play(main)
    assert caplog.text.count("cannot be used now") == 1


def test_tls_is_verified(
    redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    given = authority.issue_cert("localhost")
    given.private_key_pem.write_to_path(tmp_path / "key.pem")
    given.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    redis.kill()
    files = [f"--tls-{kind}-file" for kind in ("cert", "key", "ca-cert")]
    places = [str(tmp_path / f"{name}.pem") for name in ("cert", "key", "ca")]
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word for pair in zip(files, places, strict=True) for word in pair]
    redis.start("--tls-port", str(port), "--tls-auth-clients", "no", *words)

    async def main() -> None:
        at = {"port": port, "tls": True, "password": lambda: PASSWORD}
        async with linked(Address(host="localhost", **at)) as link:  # type: ignore[arg-type]
            assert not await link.ready(0.5)
        monkeypatch.setenv("SSL_CERT_FILE", places[2])
        async with linked(Address(host="localhost", **at)) as link:  # type: ignore[arg-type]
            assert await link.ready(10)
            assert await link.do("PING") == b"PONG"
        async with linked(Address(host="127.0.0.1", **at)) as link:  # type: ignore[arg-type]
            assert not await link.ready(0.5)

    play(main)
    assert caplog.text.count("CERTIFICATE_VERIFY_FAILED") == 2


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main() -> None:
        async with linked(Address(host="127.0.0.1", port=port)) as link:
            assert not await link.ready(0.3)

    play(main)
    assert caplog.text.count("cannot be used now") == 1


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ModuleNotFoundError("No module named 'redis'", name="redis")

    import builtins

    real = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        return missing() if name.partition(".")[0] == "redis" else real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(BadConfig, match=r"pip install 'octoplex\[redis\]'"):
        module.Link(Address(host="127.0.0.1"), "octoplex")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://cache", {"host": "cache", "port": 6379, "db": 0, "tls": False}),
        ("redis://me@cache:7000/3", {"port": 7000, "db": 3, "user": "me"}),
        ("rediss://[::1]:7000", {"host": "::1", "tls": True}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock"}),
    ],
)
def test_addresses(url: str, wanted: dict[str, object]) -> None:
    address = read(url, None, in_file=True)
    assert {name: getattr(address, name) for name in wanted} == wanted
    assert address.password is None


def test_a_password_behind_a_reference_is_kept_apart() -> None:
    address = read("redis://me:p%40ss@cache", None, in_file=False)
    assert address.password is not None
    assert address.password() == "p@ss"
    assert "p@ss" not in address.shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://:canary-secret@cache",
        "redis://me:canary-secret@cache/0",
        "http://canary-secret@cache",
        "redis://",
        "redis://cache/canary-secret",
        "redis://cache?password=canary-secret",
        "redis://cache:port",
        "unix://cache/x",
        "canary-secret",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadConfig, match=r"\[server\] redis: ") as caught:
        read(url, None, in_file=True)
    assert "canary" not in str(caught.value)
