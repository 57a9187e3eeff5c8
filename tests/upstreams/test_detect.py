"""A local server is one that says what its row expects; any other program on its port is none."""

import asyncio

import pytest

from octoplex.catalog.provider import Detect
from octoplex.upstreams.detect import MOST_MODELS, _models

LIST = b'{"object":"list","data":[{"id":"qwen3:8b"},{"id":"b"}]}'
HTML = b"<!doctype html><html>my app</html>"


def asked(replies: dict[str, bytes], path: str, status: bytes = b"200 OK") -> object:
    """What is found at a server that gives these bodies by path, "" any other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert line.split(" ")[2].startswith("HTTP/1.0")
        body = replies.get(line.split(" ")[1], replies.get("", b""))
        writer.write(b"HTTP/1.1 %b\r\ncontent-type: x\r\n\r\n%b" % (status, body))
        writer.close()

    async def main() -> object:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await _models(Detect(port, path))

    return asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/models", "/api/version", "/engines/v1/models"])
def test_a_page_on_every_path_is_no_model_server(path: str) -> None:
    assert asked({"": HTML}, path) is None
    assert asked({"": b""}, path) is None


def test_a_server_is_found_with_its_models() -> None:
    assert asked({"/v1/models": LIST}, "/v1/models") == ("qwen3:8b", "b")
    ollama = {"/api/version": b'{"version":"0.13.5"}', "/v1/models": LIST}
    assert asked(ollama, "/api/version") == ("qwen3:8b", "b")
    assert asked(ollama | {"/v1/models": HTML}, "/api/version") == ()


def test_what_it_says_is_bounded_and_a_refusal_is_none() -> None:
    many = b'{"data":[%b]}' % b",".join(b'{"id":"%d"}' % n for n in range(MOST_MODELS + 9))
    found = asked({"/v1/models": many}, "/v1/models")
    assert isinstance(found, tuple)
    assert len(found) == MOST_MODELS
    assert asked({"/v1/models": LIST}, "/v1/models", b"401 Unauthorized") is None


def test_a_closed_port_is_none() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        assert await _models(Detect(port, "/v1/models")) is None

    asyncio.run(main())
