"""How a client begins and ends: nothing is opened early, nothing is left behind."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from octoplex.client import AsyncOctoplex, Octoplex
from octoplex.server.mock import Script, Turn
from octoplex.wire.error import (
    BadConfig,
    InvalidCall,
    Stopping,
    StoreFailed,
    Unauthorized,
    UpstreamUnreachable,
)
from octoplex.wire.event import TextDelta
from tests.shell import Home, Mocked, mocked, providers, serving, soon, until
from tests.upstream_server import closed_port

ENDLESS = Script((Turn(text="one two three four", gap_s=0.02, end="stall"),))


@pytest.fixture
def mock() -> Iterator[Mocked]:
    with mocked() as mock:
        yield mock


@pytest.fixture
def home(tmp_path: Path, mock: Mocked) -> Home:
    home = Home(tmp_path)
    home.config(providers(mock))
    return home


def inside(home: Home) -> Octoplex:
    return Octoplex(config=str(home.path / "octoplex.toml"), data=str(home.data), env=home.env)


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


Clients = Callable[[], list[str]]


@pytest.fixture
def clients() -> Clients:
    """The threads that clients of this test have."""
    others = set(threading.enumerate())
    return lambda: [
        t.name for t in threading.enumerate() if t.name.startswith("octoplex") and t not in others
    ]


def test_nothing_is_opened_before_the_first_use(home: Home, clients: Clients) -> None:
    client = inside(home)
    assert not home.data.exists()
    assert not clients()
    client.close()


def test_a_closed_client_leaves_nothing_behind(home: Home, mock: Mocked, clients: Clients) -> None:
    def once() -> None:
        with inside(home) as client:
            assert client.chat("mock/m", "Hello").text == "You said: Hello"
            client.chat("mock/m", "Hello", stream=True)

    once()
    before = descriptors()
    once()
    until(lambda: not clients(), "the end of the thread")
    until(lambda: descriptors() <= before, "the end of sockets and files")


def test_a_forgotten_client_closes_itself(home: Home, clients: Clients) -> None:
    assert inside(home).chat("mock/m", "Hello").text == "You said: Hello"
    gc.collect()
    until(lambda: not clients(), "the end of the thread")
    with inside(home) as again:
        assert again.models()


def test_a_stream_outlives_the_name_of_its_client(home: Home) -> None:
    stream = inside(home).chat("mock/m", "Hello", stream=True)
    gc.collect()
    assert stream.reply().text == "You said: Hello"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_leaving_a_loop_closes_the_upstream(home: Home, mock: Mocked, asynchronous: bool) -> None:
    mock.app.play(ENDLESS)

    def left() -> bool:
        return [e.outcome for e in mock.app.book] == ["left"]

    async def run() -> None:
        async with AsyncOctoplex(
            config=str(home.path / "octoplex.toml"), data=str(home.data), env=home.env
        ) as client:
            async for event in await client.chat("mock/m", "Hello", stream=True):
                if isinstance(event, TextDelta):
                    break
            await soon(left)
        assert len(asyncio.all_tasks()) == 1

    if asynchronous:
        asyncio.run(run())
        return
    with inside(home) as client:
        for event in client.chat("mock/m", "Hello", stream=True):
            if isinstance(event, TextDelta):
                break
        until(left, "the end of the upstream's connection")


def test_a_cancelled_call_closes_the_upstream(home: Home, mock: Mocked) -> None:
    mock.app.play(ENDLESS)

    async def run() -> None:
        async with AsyncOctoplex(
            config=str(home.path / "octoplex.toml"), data=str(home.data), env=home.env
        ) as client:
            asked = asyncio.create_task(client.chat("mock/m", "Hello"))
            await soon(lambda: mock.app.book)
            asked.cancel()
            await soon(lambda: mock.app.book[0].outcome == "left")
            with pytest.raises(asyncio.CancelledError):
                await asked

    asyncio.run(run())


def test_a_closed_client_says_so(home: Home, clients: Clients) -> None:
    client = inside(home)
    client.models()
    client.close()
    client.close()
    with pytest.raises(Stopping, match="closed"):
        client.models()
    assert not clients()


def test_two_clients_cannot_write_one_folder(home: Home) -> None:
    other = inside(home)
    with inside(home), pytest.raises(StoreFailed, match="this very process"):
        other.models()
    other.close()


def test_a_server_on_the_folder_is_named(home: Home) -> None:
    with serving(home) as (_, url):
        client = inside(home)
        with pytest.raises(StoreFailed, match=rf'Octoplex\(url="{url}"\)'):
            client.models()
        client.close()


def test_a_key_is_who_asks(home: Home) -> None:
    home.more["APP_KEY"] = "a-long-enough-secret-1"
    text = (home.path / "octoplex.toml").read_text()
    home.config(text + '[keys.app]\nsecret = "env:APP_KEY"\nmodels = ["main"]\n')
    where = {"config": str(home.path / "octoplex.toml"), "env": home.env}
    with Octoplex(api_key="a-long-enough-secret-1", **where) as client:  # type: ignore[arg-type]
        assert [offer.id for offer in client.models()] == ["main"]
    wrong = Octoplex(api_key="another-secret-12345", **where)  # type: ignore[arg-type]
    with pytest.raises(Unauthorized):
        wrong.models()
    wrong.close()


def test_any_openai_server_is_a_url() -> None:
    with mocked(key="right") as mock:
        for url in (mock.url, f"{mock.url}/", f"{mock.url}/v1"):
            with Octoplex(url=url, api_key="right", env={}) as client:
                reply = client.chat("any", "Hello")
                assert (reply.text, reply.cost_nano) == ("You said: Hello", None)
                assert [offer.id for offer in client.models()] == ["mock"]
                assert client.chat("any", "Hello", stream=True).reply().text == reply.text
        with (
            Octoplex(url=mock.url, env={"OCTOPLEX_API_KEY": "wrong"}) as client,
            pytest.raises(Unauthorized),
        ):
            client.chat("any", "Hello")


def test_nobody_at_the_url() -> None:
    with (
        Octoplex(url=f"http://127.0.0.1:{closed_port()}", env={}) as client,
        pytest.raises(UpstreamUnreachable),
    ):
        client.chat("any", "Hello")


def test_wrong_use_is_told_at_once(home: Home) -> None:
    with pytest.raises(BadConfig, match="not both"):
        Octoplex(url="http://127.0.0.1:1", config="x")
    with inside(home) as client:
        with pytest.raises(TypeError, match="max_tokens"):
            client.chat("mock/m", "Hello", max_token=3)  # type: ignore[call-arg]
        with pytest.raises(InvalidCall):
            client.chat("", "Hello")


def test_an_asynchronous_client_belongs_to_one_loop(home: Home) -> None:
    client = AsyncOctoplex(url="http://127.0.0.1:1", env={})
    asyncio.run(client.__aenter__())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(client.models())


def test_a_program_that_ends_without_closing(home: Home) -> None:
    program = f"""
from octoplex import Octoplex
client = Octoplex(config={str(home.path / "octoplex.toml")!r}, data={str(home.data)!r})
stream = client.chat("mock/m", "Hello", stream=True)
print(next(iter(stream.text)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "You \n", "")


def test_importing_costs_next_to_nothing() -> None:
    program = """
import sys, time
before = set(sys.modules)
t = time.perf_counter()
import octoplex
took = time.perf_counter() - t
ours = {m for m in sys.modules if m.startswith("octoplex")}
assert ours == {"octoplex"}, ours
assert not {"asyncio", "msgspec", "click", "rich"} & (set(sys.modules) - before)
assert took < 0.15, took
assert sorted(dir(octoplex)), "exports"
for name in octoplex.__all__:
    getattr(octoplex, name)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_the_stub_names_every_export() -> None:
    import octoplex

    stub = Path(octoplex.__file__ or "").with_suffix(".pyi").read_text()
    named = {line.rpartition(" as ")[2] for line in stub.splitlines() if line}
    assert named == set(octoplex.__all__)
