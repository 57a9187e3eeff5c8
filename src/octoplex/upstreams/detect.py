"""Which local model servers answer on loopback, and with which models: Ollama, LM Studio, vLLM, ...

Each catalogue row of a local server says on which port and path it is found. All are asked at
once; a closed port answers at once, so a start is not held up. What answers anything but JSON
of the right form is some other program. HTTP/1.0 is asked for, whose bodies end with the
connection.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.catalog.provider import Detect, providers

WAIT_S = 0.3
MOST_BYTES, MOST_MODELS = 1_000_000, 500
MODELS = "/models"

Found = Mapping[str, tuple[str, ...]]
"""The models of each server that answers, by the id of its row."""
NONE_FOUND: Found = {}


class _Model(Struct):
    id: str


class _List(Struct):
    data: list[_Model]


_list = msgspec.json.Decoder(_List).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


async def detect() -> Found:
    """The local servers that answer now."""
    rows = [(p.id, p.detect) for p in providers().values() if p.detect]
    answers = await asyncio.gather(*(_models(where) for _, where in rows))
    return {
        id_: models for (id_, _), models in zip(rows, answers, strict=True) if models is not None
    }


async def _models(where: Detect) -> tuple[str, ...] | None:
    """The models of a server; None when it is not there."""
    try:
        async with asyncio.timeout(WAIT_S):
            said = await _get(where.port, where.path)
            if where.path.endswith(MODELS):
                return _ids(said)
            _object(said)
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                return _ids(await _get(where.port, f"/v1{MODELS}"))
            return ()
    except (OSError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _ids(said: bytes) -> tuple[str, ...]:
    return tuple(model.id for model in _list(said).data[:MOST_MODELS])


async def _get(port: int, path: str) -> bytes:
    """The body of a 200.

    Raises:
        OSError: nobody is there, or it is something else.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode("ascii"))
        reply = b""
        while len(reply) < MOST_BYTES and (data := await reader.read(65_536)):
            reply += data
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    head, _, body = reply.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        raise ConnectionError(f"no 200 at port {port}")
    return body
