"""Which local model servers answer on loopback: Ollama, LM Studio, llama.cpp, vLLM, ...

Each catalogue row of a local server says on which port and path it is found. All are
asked at once; a closed port answers at once, so a start is not held up.
"""

import asyncio
import contextlib

from octoplex.catalog.provider import Detect, providers

WAIT_S = 0.3


async def detect() -> frozenset[str]:
    """The ids of the local servers that answer now."""
    rows = [(p.id, p.detect) for p in providers().values() if p.detect]
    answers = await asyncio.gather(*(_answers(where) for _, where in rows))
    return frozenset(id_ for (id_, _), there in zip(rows, answers, strict=True) if there)


async def _answers(where: Detect) -> bool:
    """Whether a GET is answered with 200 on this port of loopback."""
    try:
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", where.port)
            try:
                host = f"127.0.0.1:{where.port}"
                head = f"GET {where.path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
                writer.write(head.encode("ascii"))
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return line.startswith(b"HTTP/1.1 200")
