"""Row 12: a client disconnects, and the upstream goes on and bills.

How soon it closes, and callers that reset or leave before the answer: F38-F40 in
`tests/server/test_faults_caller.py`. The connections of a pool: `tests/transport/test_pool.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octoplex.ledger import Reader
from tests.sdk import vendors as v
from tests.sdk.faces import Sdks, made
from tests.sdk.house import KEYS, PRICED, SPEAKERS, Vendor
from tests.sdk.others import OTHERS
from tests.sdk.sides import every_face, every_target
from tests.shell import until
from tests.upstream_server import Exchange, Play, head

BLOCKS = [v.text("one two "), v.text("three four "), v.text("five six ")]
"""Each is told in two pieces, so that `five` is the fifth."""


def wires(target: str) -> tuple[list[bytes], str, str]:
    """The events up to the fifth piece, their content type, and a word of the last of them."""
    if target == "oai":
        words = [block["text"] for block in BLOCKS]
        pieces = [{"content": word[:at] or word[at:]} for word in words for at in (4, 5)]
        told, kind = v.chat_events(pieces, None), "text/event-stream"
    elif target == "claude":
        told, kind = v.message_events(BLOCKS, "end_turn"), "text/event-stream"
    else:
        _, events, kind = OTHERS[SPEAKERS[target][0]]
        told = events(BLOCKS, "end_turn")
    fifth = [at for at, wire in enumerate(told) if b"five" in wire]
    if not fifth:  # their text cannot be looked for
        return told[: len(told) // 2], kind, "one"
    return told[: fifth[0] + 1], kind, "five"


def begins(target: str) -> Play:
    """Five pieces, then nothing until the other side hangs up."""
    told, kind, _ = wires(target)

    async def play(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", kind), ("transfer-encoding", "chunked")]))
        for wire in told:
            exchange.chunk(wire)
        await exchange.stall()

    return play


@pytest.fixture
def leaving(gateway: str) -> Iterator[Sdks]:
    """Clients whose streams may be broken off."""
    transport = httpx2.HTTPTransport(verify=False)
    yield made(gateway, transport)
    transport.close()


def stream(sdks: Sdks, face: str, model: str) -> Any:
    hi: Any = [{"role": "user", "content": "Count."}]
    match face:
        case "openai-chat":
            return sdks.gpt.chat.completions.create(model=model, messages=hi, stream=True)
        case "openai-responses":
            return sdks.gpt.responses.create(model=model, input="Count.", stream=True)
        case "anthropic":
            asked: Any = {"model": model, "messages": hi, "max_tokens": 99}
            return sdks.claude.messages.create(**asked, stream=True)
        case _:
            return sdks.google.models.generate_content_stream(model=model, contents="Count.")


@every_face
@every_target
def test_row12_a_client_that_leaves_stops_the_upstream_and_is_billed_once(
    gateway: str, leaving: Sdks, behind: Mapping[str, Vendor], folder: Path, face: str, target: str
) -> None:
    up = behind[target].plays(begins(target))
    word = wires(target)[2]
    got, before = "", records(gateway)
    events = stream(leaving, face, PRICED[target])
    for event in events:
        got += str(event)
        if word in got:
            break
    assert not up.book[0].closed_at
    events.close()
    until(lambda: up.book[0].closed_at, "the upstream's end")
    until(lambda: not up.upstream.open_connections, "the connection's end")
    until(lambda: records(gateway).keys() - before.keys(), "the record")
    (record,) = [one for id_, one in records(gateway).items() if id_ not in before]
    assert record["outcome"] == "left"
    (row,) = attempts(folder, record["id"])
    assert (row["state"], row["outcome"], row["estimated"]) == ("settled", "left", 1)
    assert row["output_tokens"] > 0
    assert 0 < row["nano"] < row["reserved_nano"]
    assert len(up.book) == 1


def records(gateway: str) -> dict[str, dict[str, Any]]:
    """The newest records by their id."""
    headers = {"authorization": f"Bearer {KEYS['app']}"}
    reply = httpx2.get(f"{gateway}/v1/requests?limit=20", headers=headers)
    return {record["id"]: record for record in reply.json()["data"]}


def attempts(folder: Path, id_: str) -> list[dict[str, Any]]:
    """The ledger's rows of a request, once they are settled."""
    rows: list[dict[str, Any]] = []

    def settled() -> bool:
        reader = Reader(folder / "data")
        rows[:] = reader.attempts(id_)
        reader.close()
        return bool(rows) and all(row["state"] != "reserved" for row in rows)

    until(settled, "the settlement")
    return rows
