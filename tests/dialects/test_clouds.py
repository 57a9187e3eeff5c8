"""Forms of Anthropic's and Gemini's dialects at the clouds: the envelope, and nothing else.

Every request of every face's transcripts is written for each cloud, and every stream of
Anthropic's is framed as Bedrock frames it; what is in the envelope is what Anthropic says.
"""

import contextlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.catalog.provider import catalogue
from octoplex.dialects.anthropic import Anthropic
from octoplex.dialects.anthropic.cloud import Cloud
from octoplex.dialects.bedrock_anthropic import BedrockAnthropic, sse_of
from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.dialect import Counter, CountForm, Form, Traits
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.paths import in_path
from octoplex.dialects.single.vertex import VertexEmbed
from octoplex.dialects.verbatim import split
from octoplex.dialects.vertex import Vertex
from octoplex.dialects.vertex_anthropic import VertexAnthropic
from octoplex.wire.chat import Chat
from octoplex.wire.error import InvalidCall, Unsupported, UpstreamBroken
from tests.dialects.frames import frame, told
from tests.dialects.test_transcripts import CASES, read, whole_events
from tests.dialects.typed import build

CLOUDS: list[tuple[Cloud, str]] = [
    (VertexAnthropic(), "claude-sonnet-4-5@20250929"),
    (BedrockAnthropic(), "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
]
every_cloud = pytest.mark.parametrize(
    ("cloud", "model"), CLOUDS, ids=lambda v: getattr(v, "name", "")
)
ASKED = [c for c in CASES if (c / "request.json").exists() and (c / "chat.json").exists()]
STREAMS = [c for c in CASES if c.parent.name == "anthropic" and (c / "stream.sse").exists()]


def named(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


@every_cloud
@pytest.mark.parametrize("case", ASKED, ids=named)
def test_a_request_is_anthropics_in_the_clouds_envelope(
    case: Path, cloud: Cloud, model: str
) -> None:
    chat = build(Chat, read(case, "chat.json"))
    traits = Traits(model=model, drop_unsupported=True)
    sent, plain = cloud.encode_chat(chat, traits), Anthropic().encode_chat(chat, traits)
    body, own = json.loads(sent.body), json.loads(plain.body)
    assert body.pop("anthropic_version") == cloud.version
    assert "model" not in body
    assert own.pop("model") == model
    stream = own.pop("stream", False)
    assert body.pop("stream", False) == (stream and cloud.name == "vertex-anthropic")
    own.pop("service_tier", None)
    if not sources(own) & {"url", "file"}:
        assert body == own
    assert not sources(body) & {"url", "file"}


def sources(body: Any) -> set[str]:
    """The kinds of sources that media have in a body."""
    if isinstance(body, list):
        return set().union(*map(sources, body)) if body else set()
    if not isinstance(body, dict):
        return set()
    inner = sources(list(body.values()))
    source = body.get("source") if body.get("type") in ("image", "document") else None
    return inner | ({source["type"]} if isinstance(source, dict) and "type" in source else set())


@every_cloud
def test_what_only_anthropic_can_fetch_is_refused_by_name(cloud: Cloud, model: str) -> None:
    part = {"type": "media", "kind": "document", "url": "s3://bucket/paper.pdf"}
    chat = build(Chat, {"model": "m", "messages": [{"role": "user", "parts": [part]}]})
    with pytest.raises(Unsupported, match=cloud.name) as refused:
        cloud.encode_chat(chat, Traits(model=model))
    assert refused.value.facts["param"] == "file"


ODD: dict[str, Raw] = {
    "model": Raw(b'"claude"'),
    "max_tokens": Raw(b"5"),
    "stream": Raw(b"true"),
    "messages": Raw(b'[ {"role":"user","content":"caf\\u00e9"} ]'),
    "not_yet_invented": Raw(b'{"a":1.0e0,"h":{"x":1,"x":2}}'),
    "anthropic_version": Raw(b'"2023-06-01"'),
}


@every_cloud
def test_a_callers_members_pass_byte_for_byte(cloud: Cloud, model: str) -> None:
    sealed = cloud.seal(ODD, {})
    got = split(sealed.body)
    assert msgspec.json.decode(got.pop("anthropic_version")) == cloud.version
    kept = {"max_tokens", "messages", "not_yet_invented"}
    kept |= {"stream"} if cloud.name == "vertex-anthropic" else set()
    assert {n: bytes(raw) for n, raw in got.items()} == {n: bytes(ODD[n]) for n in kept}
    assert (sealed.dropped, sealed.headers) == ((), ())


SENT = "claude-code-20250219, interleaved-thinking-2025-05-14 ,advanced-tool-use-2025-11-20,,"


def test_betas_that_a_cloud_knows_go_where_it_reads_them_and_others_are_named() -> None:
    known = ["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"]
    vertex = VertexAnthropic().seal(ODD, {"anthropic-beta": SENT})
    assert vertex.headers == (("anthropic-beta", ",".join(known)),)
    assert vertex.dropped == ("claude-code-20250219",)
    assert "anthropic_beta" not in split(vertex.body)
    bedrock = BedrockAnthropic().seal(ODD, {"anthropic-beta": SENT})
    assert msgspec.json.decode(split(bedrock.body)["anthropic_beta"]) == known
    assert (bedrock.headers, bedrock.dropped) == ((), ("claude-code-20250219",))
    own = {**ODD, "anthropic_beta": Raw(b'["x"]')}
    body = split(BedrockAnthropic().seal(own, {"anthropic-beta": SENT}).body)
    assert bytes(body["anthropic_beta"]) == b'["x"]', "the caller's own word"


@pytest.mark.parametrize(
    ("model", "serves"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", True),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1", True),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-opus-4-6-v1", True),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/k2a9", False),
        ("amazon.nova-pro-v1:0", False),
        ("claude-sonnet-4-5", False),
        ("notanthropic.claude", False),
    ],
)
def test_bedrock_invokes_anthropics_models_alone(model: str, serves: bool) -> None:
    assert BedrockAnthropic().serves(model) is serves


def test_a_profile_counts_under_its_models_own_id() -> None:
    path = BedrockAnthropic().count_path_for("eu.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"


@pytest.mark.parametrize("case", STREAMS, ids=named)
def test_what_bedrock_frames_comes_out_as_anthropic_said_it(case: Path) -> None:
    events = whole_events((case / "stream.sse").read_bytes())
    frames = [told({"event": "chunk", "payload": {"bytes": _data(e), "p": "ab"}}) for e in events]
    for pieces in (frames, [b"".join(frames)]):
        assert b"".join([sse_of(piece) for piece in pieces]) == b"".join(events)


def _data(event: bytes) -> str:
    return b64encode(event.partition(b"data: ")[2].removesuffix(b"\n\n")).decode()


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        (b'{"type":"ping"}', b'event: ping\ndata: {"type":"ping"}\n\n'),
        (
            b'{ "a":1,\n "type" : "ping"}',
            b'event: ping\ndata: { "a":1,\ndata:  "type" : "ping"}\n\n',
        ),
        (b'{"type":"ping\\ndata: x"}', b""),
        (b'{"type":7}', b""),
        (b"{}", b""),
        (b"<html>", b""),
        (b"\xff", b""),
    ],
)
def test_an_event_in_a_frame(payload: bytes, wire: bytes) -> None:
    assert (
        sse_of(told({"event": "chunk", "payload": {"bytes": b64encode(payload).decode()}})) == wire
    )


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"bytes":"?"}', b'{"bytes":1}', b"[", b"\xff"])
def test_a_frame_that_holds_no_event_is_left_out(payload: bytes) -> None:
    assert sse_of(frame([(":event-type", "chunk"), (":message-type", "event")], payload)) == b""


@given(st.binary(max_size=80) | st.builds(frame, st.just([(":event-type", "chunk")]), st.binary()))
def test_noise_between_the_frames_raises_nothing_else(wire: bytes) -> None:
    with contextlib.suppress(UpstreamBroken):
        assert sse_of(wire) == b"" or b"\n\n" in sse_of(wire)


# -- Gemini on Google Cloud -----------------------------------------------------------------


@pytest.mark.parametrize("case", ASKED, ids=named)
def test_vertex_is_sent_what_gemini_is_but_for_the_tier(case: Path) -> None:
    chat = build(Chat, read(case, "chat.json"))
    traits = Traits(model="gemini-3-flash-preview", drop_unsupported=True)
    sent, own = Vertex().encode_chat(chat, traits), Gemini().encode_chat(chat, traits)
    plain = json.loads(own.body)
    tier = plain.pop("serviceTier", None)
    assert json.loads(sent.body) == plain
    assert dict(sent.headers).get("x-vertex-ai-llm-shared-request-type") == (
        tier if tier in ("flex", "priority") else None
    )


@pytest.mark.parametrize(
    ("member", "value", "header", "dropped"),
    [
        ("serviceTier", b'"flex"', "flex", ()),
        ("service_tier", b'"PRIORITY"', "priority", ()),
        ("serviceTier", b'"standard"', None, ()),
        ("serviceTier", b'"turbo\\r\\nx: y"', None, ("serviceTier",)),
        ("serviceTier", b"7", None, ("serviceTier",)),
    ],
)
def test_a_tier_is_a_header(
    member: str, value: bytes, header: str | None, dropped: tuple[str, ...]
) -> None:
    fields = {"contents": Raw(b"[ ]"), member: Raw(value), "new": Raw(b"1e0")}
    sealed = Vertex().seal(fields, {})
    assert sealed.body == b'{"contents":[ ],"new":1e0}'
    assert sealed.headers == ((("x-vertex-ai-llm-shared-request-type", header),) if header else ())
    assert sealed.dropped == dropped


def test_a_count_holds_what_vertex_counts() -> None:
    inner = (
        b'{"model":"models/m","contents":[ ],"system_instruction":{},"tools":[],"toolConfig":{}}'
    )
    flat = Vertex().seal_count(split(inner), "m")
    assert flat == b'{"contents":[ ],"system_instruction":{},"tools":[]}'
    wrapped = Vertex().seal_count({"generateContentRequest": Raw(inner)}, "m")
    assert wrapped == flat.replace(b"system_instruction", b"systemInstruction")


def test_embeddings_have_two_forms() -> None:
    fields = {
        "input": Raw(b'["a","b"]'),
        "dimensions": Raw(b"3"),
        "taskType": Raw(b'"RETRIEVAL_QUERY"'),
        "user": Raw(b'"u"'),
    }
    shape = VertexEmbed()
    assert shape.path_for("text-embedding-005") == "/models/text-embedding-005:predict"
    sent = shape.write(fields, "text-embedding-005")
    assert json.loads(sent.body) == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 3},
    }
    assert sent.dropped == ("user",)
    path = "/models/gemini-embedding-001:batchEmbedContents"
    assert shape.path_for("gemini-embedding-001") == path
    config = {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 3}
    assert json.loads(shape.write(fields, "gemini-embedding-001").body) == {
        "requests": [
            {"content": {"role": "user", "parts": [{"text": t}]}, "embedContentConfig": config}
            for t in "ab"
        ]
    }


# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
PREDICTED = {
    "predictions": [
        {
            "embeddings": {
                "statistics": {"truncated": False, "token_count": 6},
                "values": [0.5, 1.0],
            }
        },
        {"embeddings": {"statistics": {"truncated": False, "token_count": 2}, "values": [0.25, 2]}},
    ]
}
# https://pub.dev/documentation/googleapis/latest/aiplatform_v1/GoogleCloudAiplatformV1BatchEmbedContentsResponse-class.html
BATCH = {
    "embeddings": [{"values": [0.5, 1.0]}, {"values": [0.25, 2.0]}],
    "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
}


@pytest.mark.parametrize("said", [PREDICTED, BATCH], ids=["predict", "batch"])
def test_embeddings_are_read_with_their_bill(said: Any) -> None:
    told = VertexEmbed().read(json.dumps(said).encode(), {}, "m")
    assert told.usage is not None
    assert told.usage.input_tokens == 8
    reply = json.loads(told.body)
    assert [d["embedding"] for d in reply["data"]] == [[0.5, 1.0], [0.25, 2.0]]
    assert reply["usage"] == {"prompt_tokens": 8, "total_tokens": 8}


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"predictions":[{}]}'])
def test_what_is_no_embedding_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        VertexEmbed().read(body, {}, "m")


# -- what all of them share -----------------------------------------------------------------


def test_every_form_is_one() -> None:
    for form in (VertexAnthropic(), BedrockAnthropic(), Vertex()):
        assert isinstance(form, Form)
        assert isinstance(form, Counter)
        assert isinstance(form, CountForm)
    assert not isinstance(Anthropic(), Form)
    assert not isinstance(Gemini(), Form)


@pytest.mark.parametrize("model", ["..", ".", "a/../b", "a/./b", "../v1/files", "a//b", "a/", "/"])
def test_no_id_leads_out_of_its_place_in_a_path(model: str) -> None:
    for dialect in (VertexAnthropic(), BedrockAnthropic(), Vertex(), Gemini(), BedrockConverse()):
        with pytest.raises(InvalidCall) as refused:
            dialect.path_for(model, stream=False)
        assert refused.value.facts["param"] == "model"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("a/b", "a%2Fb"),
        ("a?b=c&d", "a%3Fb%3Dc%26d"),
        ("a#b", "a%23b"),
        ("a;b", "a%3Bb"),
        ("a:rawPredict", "a%3ArawPredict"),
        ("%2e%2e", "%252e%252e"),
        ("%2F", "%252F"),
        ("a b\r\nx: y", "a%20b%0D%0Ax%3A%20y"),
        ("ü", "%C3%BC"),
        ("...", "..."),
    ],
)
def test_an_id_is_quoted(model: str, path: str) -> None:
    assert in_path(model) == path


def test_the_rows_say_which_forms_their_clouds_have() -> None:
    rows = catalogue()
    assert list(rows["bedrock"].dialects) == ["bedrock-converse", "bedrock-anthropic"]
    assert list(rows["vertex"].dialects) == ["vertex"]
    assert not any(rows[n].obstacle for n in ("bedrock", "vertex", "vertex-anthropic"))
