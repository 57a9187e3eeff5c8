"""Forward proxies: absolute targets for http, a tunnel for https, credentials for both."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from octoplex.transport import Proxies
from octoplex.wire.error import UpstreamUnreachable
from tests.transport.asking import ask, client, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import Upstream, pool_cert, raw, says, stalls

BASIC = b"proxy-authorization: Basic " + base64.b64encode(b"me:p@ss") + b"\r\n"


class Tunnel:
    """A CONNECT proxy that sends every tunnel to one port."""

    def __init__(self, port: int) -> None:
        self.port, self.heads = port, list[bytes]()
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[tuple[Tunnel, int]]:
    made = Tunnel(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        server.close()


def by(port: int, userinfo: str = "") -> Proxies:
    url = f"http://{userinfo}127.0.0.1:{port}"
    return Proxies.of({"HTTP_PROXY": url, "https_proxy": url})


def test_an_http_origin_is_asked_for_in_absolute_form(run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as proxy, client() as asks:
            request = ask("http://api.example.com/v1", proxies=by(proxy.port, "me:p%40ss@"))
            assert (await asks.send(request, limits())).body == b"{}"
            head = proxy.book[0].head
            assert head.startswith(b"POST http://api.example.com/v1/chat HTTP/1.1\r\n")
            assert b"\r\nhost: api.example.com\r\n" in head
            assert BASIC in head

    run(main())


def test_an_https_origin_is_reached_through_a_tunnel(run: Run) -> None:
    server, trust = pool_cert("api.example.com")

    async def main() -> None:
        async with Upstream(says(b"{}"), tls=server) as up, tunnel(up.port) as (proxy, port):
            async with client(trust) as asks:
                proxies = by(port, "me:p%40ss@")
                for _ in range(2):
                    request = ask("https://api.example.com/v1", proxies=proxies)
                    assert (await asks.send(request, limits())).body == b"{}"
                assert up.connections == 1
                assert b"proxy-authorization" not in up.book[0].head
                assert up.book[0].head.startswith(b"POST /v1/chat HTTP/1.1\r\n")
                head = proxy.heads[0]
                assert head.startswith(b"CONNECT api.example.com:443 HTTP/1.1\r\n")
                assert BASIC in head
            await until(lambda: up.open_connections == 0)

    run(main())


def test_the_certificate_behind_a_tunnel_is_verified(run: Run) -> None:
    server, trust = pool_cert("other.example.com")

    async def main() -> None:
        async with (
            Upstream(says(b"{}"), tls=server) as up,
            tunnel(up.port) as (_, port),
            client(trust) as asks,
        ):
            with pytest.raises(UpstreamUnreachable, match="TLS"):
                await asks.send(ask("https://api.example.com", proxies=by(port)), limits())
            assert not up.book

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nEXTRA",
        b"HTTP/1.1\r\n\r\n",
        b"garbage\r\n\r\n",
        b"x" * 20_000,
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_proxy_that_refuses(run: Run, answer: bytes) -> None:
    async def main() -> None:
        async with Upstream(raw(answer, "close")) as proxy, client() as asks:
            request = ask("https://api.example.com", proxies=by(proxy.port))
            with pytest.raises(UpstreamUnreachable, match="the proxy ") as caught:
                await asks.send(request, limits())
            assert not caught.value.reached
            await until(lambda: proxy.open_connections == 0)

    run(main())


def test_a_proxy_that_says_nothing(run: Run) -> None:
    async def main() -> None:
        async with Upstream(stalls()) as proxy, client() as asks:
            request = ask("https://api.example.com", proxies=by(proxy.port))
            with pytest.raises(UpstreamUnreachable, match="no connection within"):
                await asks.send(request, limits(connect_s=0.2))
            await until(lambda: proxy.open_connections == 0)

    run(main())
