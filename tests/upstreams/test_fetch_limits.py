"""S42 over real sockets: what comes in when a caller's URL is fetched, and how long it may take."""

import asyncio
import gzip
from base64 import b64encode
from typing import Any

import pytest

from octoplex.wire.chat import Media
from octoplex.wire.error import DeadlinePassed, InvalidCall
from tests.transport.asking import until
from tests.transport.conftest import Run
from tests.upstream_server import Play, raw, says, stalls, streams
from tests.upstreams.net import IMAGE, PNG, Net, image, shows

# -- S42: what comes in ---------------------------------------------------------------------


def test_s42_more_bytes_than_a_part_may_have(run: Run) -> None:
    body = PNG + b"x" * 20_000

    async def main() -> None:
        plays: list[Play] = [
            shows(body),  # says so in its head
            streams([body[:9_000], body[9_000:]], content_type="image/png"),  # does not
            raw(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + body, "close"),
        ]
        for play in plays:
            async with Net(play, part_bytes=10_000) as net:
                error = await net.refused(net.url())
                assert "above the cap" in str(error)
                assert "Send it as base64" in str(error)

    run(main())


def test_s42_a_gzip_bomb_goes_off_nowhere(run: Run) -> None:
    bomb = gzip.compress(PNG + bytes(30_000_000))

    async def main() -> None:
        async with Net(shows(bomb, ("content-encoding", "gzip")), part_bytes=100_000) as net:
            assert len(bomb) < 100_000
            error = await net.refused(net.url())
            assert "inflates to more than is allowed" in str(error)
        small = gzip.compress(PNG)
        async with Net(shows(small, ("content-encoding", "gzip"))) as net:
            await net.fill(image(net.url()))

    run(main())


def test_s42_more_bytes_than_a_call_may_have(run: Run) -> None:
    async def main() -> None:
        async with Net(shows(PNG + bytes(5_000)), total_bytes=12_000) as net:
            with pytest.raises(InvalidCall, match="12000 for a call") as caught:
                await net.fill(*(image(net.url(f"/{n}")) for n in range(3)))
            assert caught.value.facts["param"].startswith("messages[0].content[")

    run(main())


def test_s42_more_parts_than_a_call_may_have(run: Run) -> None:
    async def main() -> None:
        async with Net(shows()) as net:
            with pytest.raises(InvalidCall, match="at most 64 parts"):
                await net.fill(*(image(net.url(f"/{n}")) for n in range(65)))
            assert not net.up.book

    run(main())


@pytest.mark.parametrize(
    "play",
    [
        shows(b"<html>log in</html>", kind="text/html"),
        shows(b"<html>log in</html>"),
        shows(b"<svg onload=alert(1)/>", kind="image/svg+xml"),
        shows(PNG, kind="text/html"),
        shows(b""),
        streams([PNG], content_type="text/event-stream"),
        says(PNG, 404, IMAGE),
        says(PNG, 206, IMAGE),
        says(b"", 304, []),
        shows(PNG, ("content-encoding", "br")),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nshort", "close"),
        raw(b"SSH-2.0-OpenSSH_9.6\r\n", "close"),
    ],
)
def test_s42_what_is_no_image_is_not_taken_for_one(run: Run, play: Play) -> None:
    async def main() -> None:
        async with Net(play) as net:
            assert isinstance(await net.refused(net.url()), InvalidCall)

    run(main())


def test_s42_data_urls_are_unpacked_here_under_the_same_rules(run: Run) -> None:
    async def main() -> None:
        async with Net(shows(), part_bytes=1_000, fetch=False) as net:
            data = b64encode(PNG).decode()
            chat = await net.fill(image(f"data:image/png;base64,{data}"))
            assert getattr(chat.messages[0].parts[1], "data", "") == data
            text = Media(kind="document", url="data:text/plain;charset=utf-8,a%20b")
            chat = await net.fill(text)
            assert getattr(chat.messages[0].parts[1], "data", "") == b64encode(b"a b").decode()
            much = b64encode(PNG + bytes(2_000)).decode()
            for url in (f"data:image/png;base64,{much}", "data:text/html,<b>", "data:image/png",
                        "data:image/png;base64,!"):  # fmt: skip
                assert isinstance(await net.refused(url), InvalidCall)
            assert not net.asked

    run(main())


# -- time -----------------------------------------------------------------------------------


def test_a_server_that_says_nothing_is_waited_for_only_so_long(run: Run) -> None:
    async def main() -> None:
        async with Net(stalls(), wait_s=0.3) as net:
            error = await net.refused(net.url())
            assert "within 0.3 s" in str(error)

    run(main())


def test_a_server_that_drips_is_too(run: Run) -> None:
    async def drips(exchange: Any) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 999\r\n\r\n")
        await exchange.drip(PNG * 2, 0.02)

    async def main() -> None:
        async with Net(drips, wait_s=0.4) as net:
            assert "within 0.4 s" in str(await net.refused(net.url()))

    run(main())


def test_the_callers_deadline_comes_first(run: Run) -> None:
    async def main() -> None:
        async with Net(stalls()) as net:
            with pytest.raises(DeadlinePassed):
                await net.fill(image(net.url()), within_s=0.3)

    run(main())


def test_a_caller_who_leaves_stops_it(run: Run) -> None:
    async def main() -> None:
        async with Net(stalls()) as net:
            asked = asyncio.ensure_future(net.fill(image(net.url("/1")), image(net.url("/2"))))
            await until(lambda: len(net.up.book) == 2)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            await until(lambda: not net.up.open_connections)

    run(main())


def test_the_first_failure_stops_the_others(run: Run) -> None:
    async def main() -> None:
        async with Net(says(b"", 404), stalls()) as net:
            with pytest.raises(InvalidCall, match="status 404"):
                await net.fill(*(image(net.url(f"/{n}")) for n in range(8)))
            await until(lambda: not net.up.open_connections)

    run(main())
