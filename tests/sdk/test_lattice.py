"""Every face before every provider dialect, plain and streamed, through each face's own SDK.

What came back (text, stop reason, usage), what reached the provider (path, key, model and the
wish for a stream, each where its dialect has it), and what the ledger wrote down.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from octoplex.ledger import Reader
from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Caller
from tests.sdk.house import PRICED, Vendor
from tests.sdk.others import BILL
from tests.sdk.sides import answer, every_face, every_target, streamed_or_not
from tests.upstream_server import Entry

SAID = "Grüße! How can I assist you today?"
NANO = BILL[0] * 1_000 + BILL[1] * 10_000
KEY = b"sk-vendor-1"
CLOUD = "/v1/projects/acme/locations/global/publishers"
VERSIONS = {"inv": "bedrock-2023-05-31", "vex": "vertex-2023-10-16"}


def settled(folder: Path, tee: Tee) -> dict[str, Any]:
    """The one row of the last request."""
    id_ = tee.got[-1].headers["x-request-id"]
    end_at = time.monotonic() + 5
    while True:
        reader = Reader(folder / "data")
        rows = reader.attempts(id_)
        reader.close()
        if rows and rows[0]["state"] != "reserved":
            (row,) = rows
            return row
        assert time.monotonic() < end_at, rows
        time.sleep(0.005)


def reached(target: str, entry: Entry, body: dict[str, Any], stream: bool) -> None:
    """The request is the one that the vendor's own clients would send."""
    model = PRICED[target].partition("/")[2]
    paths = {
        "oai": "/v1/chat/completions",
        "claude": "/v1/messages",
        "resp": "/v1/responses",
        "gem": f"/v1beta/models/{model}:"
        + ("streamGenerateContent?alt=sse" if stream else "generateContent"),
        "rock": f"/model/{quote(model, safe='')}/converse" + ("-stream" if stream else ""),
        "inv": f"/model/{quote(model, safe='')}/invoke"
        + ("-with-response-stream" if stream else ""),
        "vex": f"{CLOUD}/anthropic/models/{model}:"
        + ("streamRawPredict" if stream else "rawPredict"),
        "vert": f"{CLOUD}/google/models/{model}:"
        + ("streamGenerateContent?alt=sse" if stream else "generateContent"),
        "sage": f"/endpoints/{model}/invocations" + ("-response-stream" if stream else ""),
        "oci": "/20231130/actions/chat",
        "coh": "/v2/chat",
        "oll": "/api/chat",
        "wat": "/ml/v1/text/chat" + ("_stream" if stream else ""),
        "giga": "/api/v1/chat/completions",
        "qian": f"/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{model}",
    }
    assert entry.target.decode() == paths[target]
    name = {"claude": b"x-api-key", "gem": b"x-goog-api-key"}.get(target)
    if name:
        assert entry.headers[name] == KEY
        assert b"authorization" not in entry.headers
    else:
        assert entry.headers[b"authorization"] == b"Bearer " + KEY
    assert entry.headers[b"content-type"] == b"application/json"
    if target == "oci":
        assert body["servingMode"] == {"servingType": "ON_DEMAND", "modelId": model}
        assert body["chatRequest"].get("isStream", False) is stream
    elif target == "wat":
        assert (body["model_id"], body["project_id"]) == (model, "acme")
        assert not {"model", "stream", "stream_options"} & body.keys()
    elif target in ("vex", "sage", "qian"):
        assert "model" not in body
        assert body.get("stream", False) is stream
    elif target in ("gem", "rock", "inv", "vert"):
        assert not {"model", "stream"} & body.keys()
    else:
        assert body["model"] == model
        assert body.get("stream", False) is stream
    assert body.get("anthropic_version") == VERSIONS.get(target)
    assert b"anthropic-version" not in entry.headers or target == "claude"
    if target == "oll":
        assert "stream" in body, "it streams unless it is told not to"
    if target in ("oai", "sage"):
        assert body.get("stream_options") == ({"include_usage": True} if stream else None)


@every_face
@every_target
@streamed_or_not
def test_every_face_before_every_dialect(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], folder: Path, tee: Tee,
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    up = behind[target].plays(answer(target, v.text(SAID), stream=stream))
    said = call[face](model=PRICED[target], stream=stream).turn("Hello")
    assert (said.text, said.stop, said.usage) == (SAID, "end", BILL)
    (entry,), (body,) = up.book, up.asked
    reached(target, entry, body, stream)
    head = tee.got[-1].headers
    assert head["x-octoplex-model"] == PRICED[target]
    assert head["x-octoplex-attempts"] == "1"
    row = settled(folder, tee)
    assert (row["input_tokens"], row["output_tokens"], row["nano"]) == (*BILL, NANO)
    assert (row["state"], row["outcome"], row["estimated"]) == ("settled", "done", 0)
    if not stream:
        assert head["x-octoplex-cost-nano"] == str(NANO)


@every_face
@every_target
@streamed_or_not
def test_a_cut_by_the_limit(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor],
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    behind[target].plays(answer(target, v.text("Half a"), stop="max_tokens", stream=stream))
    said = call[face](model=PRICED[target], stream=stream).turn("Hello")
    assert (said.text, said.stop, said.usage) == ("Half a", "length", BILL)


@every_face
@every_target
@streamed_or_not
def test_a_provider_that_answers_the_other_way(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], folder: Path, tee: Tee,
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    """Whole where a stream was asked for, or a stream where it was not: the caller gets its own."""
    behind[target].plays(answer(target, v.text(SAID), stream=not stream))
    said = call[face](model=PRICED[target], stream=stream).turn("Hello")
    assert (said.text, said.stop, said.usage) == (SAID, "end", BILL)
    row = settled(folder, tee)
    assert (row["nano"], row["outcome"], row["estimated"]) == (NANO, "done", 0)
