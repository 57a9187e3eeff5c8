"""Events of a task at another gateway, over connections that break."""

import asyncio

import pytest

import octoplex
from octoplex.client import afar
from octoplex.client.afar import Afar


def test_events_are_read_on_where_a_connection_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afar, "AGAIN_S", 0.0)
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        number = len(asked)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        if number < 3:
            event = b'{"number":%d,"kind":"step.progress","at_ms":1}' % number
            writer.write(b"id: %d\nevent: step.progress\ndata: %b\n\n" % (number, event))
            writer.write(b'event: error\ndata: {"code":"stopping","message":"later"}\n\n')
        else:
            writer.write(b": over\n\n")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        runs = Afar(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None, {})
        try:
            async with asyncio.timeout(20):
                assert [event.number async for event in runs.follow("task_1")] == [1, 2]
            server.close()
            monkeypatch.setattr(afar, "TRIES", 3)
            with pytest.raises(octoplex.error.UpstreamError):
                await anext(runs.follow("task_1"))
        finally:
            await runs.close()
            server.close()

    asyncio.run(main())
    paths = [b"GET /v1/tasks/task_1/events?after=%d HTTP/1.1" % after for after in (0, 1, 2)]
    assert asked == paths
