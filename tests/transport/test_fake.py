"""The fake plays what it is told, through the same responses as the client."""

import asyncio

import pytest

from octoplex.transport import Client, Fake, Limits, Script, Sender
from octoplex.wire.error import UpstreamBroken, UpstreamBusy, UpstreamSlow
from tests.transport.asking import ask, drain, limits, until
from tests.transport.conftest import Run

URL = "https://api.example.com/v1"


def test_the_fake_and_the_client_are_the_same_to_a_layer() -> None:
    senders: list[type[Sender]] = [Fake, Client]
    assert all(callable(sender.send) for sender in senders)


def test_whole_replies_in_order_the_last_for_ever(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(body=b"1"), Script(status=500, body=b"2")])
        bodies = [(await fake.send(ask(URL, b"q"), limits())).body for _ in range(3)]
        assert bodies == [b"1", b"2", b"2"]
        assert fake.sent[0].wire.startswith(b"POST /v1/chat HTTP/1.1\r\nhost: api.example.com\r\n")
        assert fake.sent[0].wire.endswith(b"content-length: 1\r\n\r\nq")
        assert fake.sent[0].request.reached

    run(main())


def test_a_stream_is_read_chunk_by_chunk(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(chunks=(b"a", b"b"))])
        response = await fake.send(ask(URL), limits())
        assert response.body is None
        assert [await response.read() for _ in range(4)] == [b"a", b"b", b"", b""]
        assert not fake.sent[0].closed

    run(main())


def test_a_cut(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(chunks=(b"a",), end="cut"), Script(end="cut")])
        response = await fake.send(ask(URL), limits())
        assert await response.read() == b"a"
        with pytest.raises(UpstreamBroken):
            await response.read()
        with pytest.raises(UpstreamBroken):
            await fake.send(ask(URL), limits())

    run(main())


def test_a_stall_ends_by_the_limits(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(chunks=(b"a",), end="stall"), Script(end="stall")])
        response = await fake.send(ask(URL), limits(idle_s=0.1))
        with pytest.raises(UpstreamSlow):
            await drain(response)
        with pytest.raises(UpstreamSlow):
            await fake.send(ask(URL), limits(first_s=0.1))
        assert fake.sent[1].closed

    run(main())


def test_an_error_is_raised_as_it_is(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(error=UpstreamBusy("slow down", retry_after_s=2))])
        request = ask(URL)
        with pytest.raises(UpstreamBusy):
            await fake.send(request, limits())
        assert not request.reached

    run(main())


@pytest.mark.parametrize("chunks", [(b"a",), None])
def test_leaving_is_seen(run: Run, chunks: tuple[bytes, ...] | None) -> None:
    async def main() -> None:
        fake = Fake([Script(chunks=chunks, end="stall")])

        async def whole() -> None:
            await drain(await fake.send(ask(URL), Limits()))

        task = asyncio.create_task(whole())
        await until(lambda: bool(fake.sent) and fake.sent[0].response is not None)
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fake.sent[0].closed

    run(main())


def test_closing_early_is_seen_and_closing_late_is_not(run: Run) -> None:
    async def main() -> None:
        fake = Fake([Script(chunks=(b"a", b"b"))])
        response = await fake.send(ask(URL), limits())
        await response.read()
        response.close()
        assert fake.sent[0].closed
        response = await fake.send(ask(URL), limits())
        await drain(response)
        response.close()
        assert not fake.sent[1].closed

    run(main())
