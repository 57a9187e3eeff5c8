"""F04: TLS is verified or it is not used. And everything else works over it too."""

import asyncio
import datetime
import ssl

import pytest
import trustme

from octoplex.transport import Client, Request
from octoplex.transport.http import default_context
from octoplex.wire.error import UpstreamBroken, UpstreamUnreachable
from tests.transport.asking import ask, client, drain, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import Upstream, pool_cert, raw, says, streams

EVENTS = [b'data: {"n": %d}\n\n' % i for i in range(5)]


async def refused(asks: Client, request: Request, words: str) -> None:
    with pytest.raises(UpstreamUnreachable, match=words) as caught:
        await asks.send(request, limits())
    assert not caught.value.reached
    assert not request.reached
    assert caught.value.next == "target"


def test_replies_streams_and_reuse(run: Run) -> None:
    server, trust = pool_cert()

    async def main() -> None:
        plays = [says(b"{}"), streams([b"x" * 300_000] * 10), says(b"{}")]
        async with Upstream(*plays, tls=server) as up, client(trust) as asks:
            assert (await asks.send(ask(up.url, b"y" * 300_000), limits())).body == b"{}"
            response = await asks.send(ask(up.url), limits())
            assert await drain(response) == b"x" * 3_000_000
            assert (await asks.send(ask(up.url), limits())).body == b"{}"
            assert up.connections == 1

    run(main())


def test_an_unknown_authority(run: Run) -> None:
    server, _ = pool_cert()

    async def main() -> None:
        async with Upstream(says(b"{}"), tls=server) as up, client(default_context()) as asks:
            await refused(asks, ask(up.url), "TLS: .*(self-signed|unable to get local issuer)")
            assert not up.book

    run(main())


def test_a_wrong_host(run: Run) -> None:
    server, trust = pool_cert("api.example.com")

    async def main() -> None:
        async with Upstream(says(b"{}"), tls=server) as up, client(trust) as asks:
            await refused(asks, ask(up.url), "TLS: .*127.0.0.1")
            await refused(asks, ask(f"https://localhost:{up.port}"), "TLS: .*localhost")
            assert not up.book

    run(main())


def test_an_expired_certificate(run: Run) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ended = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    authority.issue_cert("127.0.0.1", not_after=ended).configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    async def main() -> None:
        async with Upstream(says(b"{}"), tls=server) as up, client(trust) as asks:
            await refused(asks, ask(up.url), "TLS: certificate has expired")
            assert not up.book

    run(main())


def test_a_server_that_speaks_no_tls(run: Run) -> None:
    async def main() -> None:
        async with Upstream(raw(b"HTTP/1.1 400 no\r\n\r\n", "close")) as up, client() as asks:
            up.early = True
            with pytest.raises(UpstreamUnreachable) as caught:
                await asks.send(ask(f"https://127.0.0.1:{up.port}"), limits(connect_s=0.5))
            assert not caught.value.reached

    run(main())


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_stream_that_breaks_off(run: Run, end: str) -> None:
    server, trust = pool_cert()

    async def main() -> None:
        async with Upstream(streams(EVENTS, end), tls=server) as up, client(trust) as asks:
            response = await asks.send(ask(up.url), limits())
            with pytest.raises(UpstreamBroken):
                await drain(response)
            await until(lambda: asks.open_connections == 0)

    run(main())


def test_leaving_closes_at_once(run: Run) -> None:
    server, trust = pool_cert()

    async def main() -> None:
        async with Upstream(streams(EVENTS, "stall"), tls=server) as up, client(trust) as asks:
            response = await asks.send(ask(up.url), limits())
            await response.read()
            left_at = asyncio.get_running_loop().time()
            response.close()
            await until(lambda: up.book[0].closed_at is not None)
            assert (up.book[0].closed_at or 0) - left_at < 0.25

    run(main())


def test_a_stale_connection_is_replaced(run: Run) -> None:
    server, trust = pool_cert()

    async def main() -> None:
        async with Upstream(says(b"{}"), tls=server) as up, client(trust) as asks:
            await asks.send(ask(up.url), limits())
            up.drop_idle()
            assert (await asks.send(ask(up.url), limits())).body == b"{}"
            assert (len(up.book), up.connections) == (2, 2)

    run(main())


def test_a_handshake_that_never_ends(run: Run) -> None:
    async def main() -> None:
        async with Upstream(raw(b"", "stall")) as up, client() as asks:
            url = f"https://127.0.0.1:{up.port}"
            with pytest.raises(UpstreamUnreachable, match="no connection within"):
                await asks.send(ask(url), limits(connect_s=0.3))
            await until(lambda: up.open_connections == 0)

    run(main())
