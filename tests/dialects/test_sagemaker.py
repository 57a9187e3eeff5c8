"""SageMaker's frames around a container's stream, and the Chat dialect inside them.

What the container says is the Chat dialect's matter; here it is cut anywhere, broken off, and
mixed with exceptions, and a caller of that face must get each of its bytes.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.dialect import Traits
from octoplex.dialects.openai_chat import OpenAIChatFace
from octoplex.dialects.sagemaker import SageMaker
from octoplex.dialects.verbatim import split
from octoplex.upstreams.payloads import Payloads
from octoplex.wire.chat import Chat
from octoplex.wire.error import InvalidCall, Unsupported, UpstreamBroken, UpstreamError
from tests.dialects.frames import frame, part
from tests.dialects.grammar import requests
from tests.dialects.test_one_way import ASKED, named
from tests.dialects.test_transcripts import read
from tests.dialects.typed import build

CHUNK = (
    b'{"id":"c","model":"lmi","choices":[{"index":0,"delta":{"content":"Gr\xc3\xbc\xc3\x9fe"}}]}'
)
END = b'{"id":"c","model":"lmi","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
SSE = b"data: %b\n\n: ping\n\ndata: %b\n\ndata: [DONE]\n\n" % (CHUNK, END)
LINES = b"%b\n\n%b\n" % (CHUNK, END)
DIALECT = SageMaker()


def parts(*payloads: bytes) -> bytes:
    return b"".join(frame([(":event-type", "PayloadPart")], p) for p in payloads)


def cut(wire: bytes, size: int) -> bytes:
    """The events, the wire arriving in reads of some size."""
    splitter = Payloads()
    reads = [wire[i : i + size] for i in range(0, len(wire), size)]
    return b"".join([splitter.feed(r) for r in reads]) + splitter.rest()


@pytest.mark.parametrize("case", ASKED, ids=named)
def test_every_request_is_sent_whole_or_says_what_it_lacks(case: Path) -> None:
    chat = build(Chat, read(case, "chat.json"))
    traits = Traits(model="my-endpoint", drop_unsupported=True)
    sent = DIALECT.encode_chat(chat, traits)
    requests.sagemaker(sent.body)
    refused = None
    try:
        assert DIALECT.encode_chat(chat, Traits(model="my-endpoint")) == sent
    except Unsupported as error:
        refused = error.facts["param"]
    assert refused is None or refused in sent.dropped


def test_a_body_passes_but_for_the_model() -> None:
    body = b'{"model":"sagemaker/my-endpoint","messages":[{"role":"user"}] ,"new":{"a": 1.0}}'
    sealed = DIALECT.seal(split(body), {})
    assert sealed.body == b'{"messages":[{"role":"user"}],"new":{"a": 1.0}}'
    assert DIALECT.words == OpenAIChatFace().name


@pytest.mark.parametrize("model", ["../x", "a//b", ""])
def test_an_endpoint_cannot_lead_elsewhere(model: str) -> None:
    with pytest.raises(InvalidCall):
        DIALECT.path_for(model, stream=False)
    assert DIALECT.path_for("a?b/c", stream=True) == "/a%3Fb%2Fc/invocations-response-stream"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_a_stream_passes_however_it_is_cut(size: int) -> None:
    """Pieces of a byte up to all of it in each frame, and frames in reads of any size."""
    for piece in (1, 5, 33, 10_000):
        pieces = [SSE[i : i + piece] for i in range(0, len(SSE), piece)]
        assert cut(parts(*pieces), size) == SSE


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_lines_of_json_become_events(size: int) -> None:
    told = b"data: %b\n\ndata: %b\n\n" % (CHUNK, END)
    for wire in (LINES, LINES.rstrip(b"\n"), b" \n" + LINES):
        pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
        events = cut(parts(*pieces), 10_000)
        assert events.replace(b"data:  {", b"data: {").strip() == told.strip()


def test_what_came_before_an_exception_is_given_first() -> None:
    broken = part({"exception": "ModelStreamError", "payload": {"Message": "m", "ErrorCode": "E"}})
    events = Payloads().feed(parts(SSE[:90], SSE[90:120]) + broken)
    assert events.startswith(b"data: %b\n\n" % CHUNK)
    assert events.endswith(
        b'data: {"error":{"message":"m","type":"ModelStreamError","code":"E"}}\n\n'
    )


def test_frames_of_other_kinds_are_read_over_and_a_bad_one_is_not() -> None:
    other = frame([(":event-type", "Other")], b"data: {}\n\n")
    assert cut(other + parts(SSE), 10_000) == SSE
    damaged = bytearray(parts(SSE))
    damaged[40] ^= 1
    with pytest.raises(UpstreamBroken, match="checksum"):
        Payloads().feed(bytes(damaged))


@given(data=st.lists(st.binary(max_size=40), max_size=6), lines=st.booleans())
def test_noise_raises_nothing_undeclared(data: list[bytes], lines: bool) -> None:
    payloads = [b"{" if lines else b"data:", *data]
    events = cut(parts(*payloads), 50)
    decoder, heard = DIALECT.decoder(), list[Any]()
    try:
        heard += decoder.feed(events)
        heard += decoder.end()
    except UpstreamError:
        return
    assert msgspec.json.encode(heard)
