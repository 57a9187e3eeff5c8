"""Every dialect against transcripts. A new case adds files, not code.

A case is a folder `transcripts/<dialect>/<case>/`. `doc.url` names the documentation
that the bytes were typed from. The rest are pairs, each there or not:

    request.json     -> chat.json         a caller's request, and what it means (path.txt: its
                                          URL, where that names the model)
                     or refused.json      {"code", "param"}
    chat.json        -> upstream.json     what a provider is sent (traits.json: Traits;
                                          dropped.json: what is named as left out)
                     or unsupported.json  {"param"}
    reply.json       -> reply.typed.json  a provider's whole reply (reply.raw: not JSON)
                     or error.json
    stream.sse       -> events.json       a provider's stream, and error.json if it then fails;
                                          stream.ndjson, stream.frames.json: other framings;
                                          stream.chunks.json: Anthropic's, as Bedrock frames them;
                                          stream.payloads.json: a container's, as SageMaker does
    reply.typed.json -> answer.json       what a caller is given
    events.json      -> answer.sse        the same, streamed, for the caller of request.json
    errors.json                           a list of replies that are no 200: "status", "headers",
                                          "body", "now"; the rest, here and in error.json, are
                                          attributes and facts of the error: "code", ...

Expected files are typed by hand from documentation, never written by the code. A dialect
that no caller speaks has no face; its events are then told through the Chat face.
"""

import inspect
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from octoplex.dialects.bedrock_anthropic import sse_of
from octoplex.dialects.dialect import Dialect, Face, PathFace, Place, Traits
from octoplex.dialects.openai_chat import OpenAIChatFace
from octoplex.dialects.verbatim import split
from octoplex.upstreams.payloads import Payloads
from octoplex.wire import error as errors
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError, UpstreamBroken, UpstreamError
from octoplex.wire.event import Event, Reply, Usage
from tests.dialects import frames
from tests.dialects.typed import build, plain

HERE = Path(__file__).parent / "transcripts"
CASES = sorted(path.parent for path in HERE.glob("*/*/doc.url"))
NOW = 1_741_569_952.0
"""The clock of every transcript: Mon, 10 Mar 2025 01:25:52 GMT."""


def having(*names: str) -> Any:
    """Run a test for each case that has all these files."""
    cases = [case for case in CASES if all(list(case.glob(name)) for name in names)]
    return pytest.mark.parametrize("case", cases, ids=lambda c: f"{c.parent.name}/{c.name}")


def read(case: Path, name: str, default: Any = None) -> Any:
    path = case / name
    return msgspec.json.decode(path.read_bytes()) if path.exists() else default


def spoken(case: Path, now: float = NOW) -> tuple[Dialect, Face]:
    """The dialect and the face that a folder is named after."""
    module = import_module(f"octoplex.dialects.{case.parent.name}")
    face = next((name for name in module.__all__ if name.endswith("Face")), None)
    if face is None:
        return made(module, module.__all__[0], now), OpenAIChatFace()
    return made(module, face.removesuffix("Face"), now), made(module, face, now)


def made(module: ModuleType, name: str, now: float) -> Any:
    cls = getattr(module, name)
    return cls(now=lambda: now) if "now" in inspect.signature(cls).parameters else cls()


def grammar(face: Face) -> Any:
    return import_module(f"tests.dialects.grammar.{face.name.replace('-', '_')}").check


def path_of(case: Path) -> str:
    path = case / "path.txt"
    return path.read_text().strip() if path.exists() else ""


def call_of(face: Face, body: bytes, path: str = "") -> Call:
    fields = split(body)
    head = face.read_head(fields)
    place = Place(head.model, stream=head.stream)
    if isinstance(face, PathFace):
        place = face.read_path(*(path or "/models/m:streamGenerateContent?alt=sse").split("?"))
    return Call(
        id="req-1",
        face=face.name,
        model=place.model,
        raw=body,
        deadline_at=0.0,
        stream=place.stream,
        fields=fields,
        understand=face.decode_chat,
        max_tokens=head.max_tokens,
        n=head.n,
        may_hold_media=head.may_hold_media,
    )


def same_json(actual: bytes, case: Path, name: str) -> None:
    assert msgspec.json.decode(actual) == read(case, name)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.parent.name}/{c.name}")
def test_the_source_is_named(case: Path) -> None:
    assert (case / "doc.url").read_text().startswith("https://")


@having("request.json", "chat.json")
def test_request_means_chat(case: Path) -> None:
    call = call_of(spoken(case)[1], (case / "request.json").read_bytes(), path_of(case))
    assert plain(call.chat()) == plain(build(Chat, read(case, "chat.json")))


@having("request.json", "refused.json")
def test_request_is_refused(case: Path) -> None:
    with pytest.raises(GatewayError) as caught:
        call_of(spoken(case)[1], (case / "request.json").read_bytes(), path_of(case)).chat()
    matches(caught.value, read(case, "refused.json"))


@having("chat.json", "upstream.json")
def test_chat_is_sent(case: Path) -> None:
    chat = build(Chat, read(case, "chat.json"))
    traits = build_traits(case, read(case, "upstream.json").get("model", chat.model))
    sent = spoken(case)[0].encode_chat(chat, traits)
    same_json(sent.body, case, "upstream.json")
    assert list(sent.dropped) == read(case, "dropped.json", [])
    assert path_of(case) in ("", spoken(case)[0].path_for(chat.model, stream=chat.stream))


@having("chat.json", "unsupported.json")
def test_chat_is_unsupported(case: Path) -> None:
    chat = build(Chat, read(case, "chat.json"))
    with pytest.raises(errors.Unsupported) as caught:
        spoken(case)[0].encode_chat(chat, build_traits(case, chat.model))
    matches(caught.value, read(case, "unsupported.json"))


def build_traits(case: Path, model: str) -> Traits:
    members = {"model": model, **read(case, "traits.json", {})}
    return Traits(**{**members, "quirks": frozenset(members.get("quirks", ()))})


def reply_bytes(case: Path) -> bytes:
    raw = case / "reply.raw"
    return (raw if raw.exists() else case / "reply.json").read_bytes()


@having("reply.json", "reply.typed.json")
def test_reply_is_decoded(case: Path) -> None:
    dialect, _ = spoken(case)
    expected = build(Reply, read(case, "reply.typed.json"))
    assert plain(dialect.decode_reply(reply_bytes(case))) == plain(expected)
    seen = dialect.read_whole(reply_bytes(case))
    assert seen.model == expected.model
    assert seen.usage == (None if expected.usage == Usage(estimated=True) else expected.usage)


FAILING = [c for c in CASES if (c / "error.json").exists() and list(c.glob("reply.*"))]


@pytest.mark.parametrize("case", FAILING, ids=lambda c: f"{c.parent.name}/{c.name}")
def test_reply_is_a_failure(case: Path) -> None:
    dialect, _ = spoken(case)
    for understand in (dialect.decode_reply, dialect.read_whole):
        with pytest.raises(UpstreamError) as caught:
            understand(reply_bytes(case))
        matches(caught.value, read(case, "error.json"))


def matches(error: GatewayError, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if name == "message_has":
            assert value in str(error)
        elif name == "message_lacks":
            assert value not in str(error)
        elif name == "shown_status":
            assert error.status == value
        elif name not in ("status", "headers", "now", "body", "unseen_by_scanner"):
            assert getattr(error, name, error.facts.get(name)) == value, (name, error, error.facts)


def whole_events(wire: bytes) -> list[bytes]:
    """The stream cut after each blank line, for streams with LF line ends."""
    return [event + b"\n\n" for event in wire.split(b"\n\n") if event]


def decode(dialect: Dialect, pieces: Sequence[bytes]) -> tuple[list[Any], GatewayError | None]:
    decoder = dialect.decoder()
    events: list[Any] = []
    try:
        for piece in pieces:
            events += [plain(e) for e in decoder.feed(piece)]
        events += [plain(e) for e in decoder.end()]
    except UpstreamError as error:
        return events, error
    return events, None


def ways(case: Path) -> list[list[bytes]]:
    """How the bytes may arrive: event by event, and all at once."""
    path = next(case.glob("stream.*"))
    wire = path.read_bytes()
    if path.name == "stream.payloads.json":
        cut = Payloads()
        parts = [cut.feed(frames.part(message)) for message in msgspec.json.decode(wire)]
        pieces = [piece for piece in (*parts, cut.rest()) if piece]
    elif path.name == "stream.chunks.json":
        pieces = [sse_of(frames.chunk(message)) for message in msgspec.json.decode(wire)]
    elif path.suffix == ".ndjson":
        pieces = wire.splitlines(keepends=True)
    elif path.suffix == ".json":
        pieces = [frames.told(message) for message in msgspec.json.decode(wire)]
    else:
        pieces = [wire] if b"\r" in wire else whole_events(wire)
    return [pieces, [b"".join(pieces)]]


@having("stream.*", "events.json")
def test_stream_is_decoded(case: Path) -> None:
    dialect = spoken(case)[0]
    expected = [plain(build(Event, e)) for e in read(case, "events.json")]
    if not (case / "error.json").exists():
        for pieces in ways(case):
            assert decode(dialect, pieces) == (expected, None)
        return
    # Fed at once, the events before a failure in the same bytes are lost with it.
    events, error = decode(dialect, ways(case)[0])
    assert events == expected
    assert error is not None
    matches(error, read(case, "error.json"))


@having("stream.*")
def test_stream_is_scanned(case: Path) -> None:
    dialect = spoken(case)[0]
    events = [build(Event, e) for e in read(case, "events.json", [])]
    for pieces in ways(case):
        scanner = dialect.scanner(hide_usage=False)
        passed = b"".join([scanner.feed(piece) for piece in pieces])
        if (case / "error.json").exists():
            unseen = read(case, "error.json").get("unseen_by_scanner")
            assert unseen or scanner.error is not None or scanner.stop is None
            continue
        assert scanner.error is None
        assert scanner.stop is not None
        assert scanner.content
        if events and not events[-1].usage.estimated:
            assert scanner.usage == events[-1].usage
        if scanner.skipped:
            continue
        if case.parent.name == "openai_chat" and case.name in IRREGULAR:
            # Written anew where the SDK would break on it: the same calls, and regular now.
            assert passed != b"".join(pieces)
            assert decode(dialect, [passed]) == ([plain(e) for e in events], None)
            assert dialect.scanner(hide_usage=False).feed(passed) == passed
        else:
            assert passed == b"".join(pieces)


IRREGULAR = {
    "tool_deltas_id_in_each", "tool_deltas_object_arguments", "tool_deltas_same_id",
    "tool_deltas_same_index", "tool_deltas_without_id", "tool_deltas_without_index",
}  # fmt: skip
"""Streams of tool calls as some providers of the dialect write them (F26)."""


@having("reply.typed.json", "answer.json")
def test_reply_is_answered(case: Path) -> None:
    reply = build(Reply, read(case, "reply.typed.json"))
    same_json(spoken(case)[1].encode_reply(reply), case, "answer.json")


@having("events.json", "request.json", "answer.sse")
def test_stream_is_answered(case: Path) -> None:
    """The same events: names and JSON, whatever its white space and order of members."""
    _, face = spoken(case)
    call = call_of(face, (case / "request.json").read_bytes(), path_of(case))
    events = [build(Event, e) for e in read(case, "events.json")]
    written = face.encoder(call).feed(events)
    grammar(face)(written)
    assert lines(written) == lines((case / "answer.sse").read_bytes())


def lines(wire: bytes) -> list[Any]:
    found: list[Any] = []
    for line in wire.splitlines():
        data = line.removeprefix(b"data: ")
        is_json = data != line and data != b"[DONE]"
        found.append(msgspec.json.decode(data) if is_json else line)
    return found


@having("events.json")
def test_every_stream_is_grammatical(case: Path) -> None:
    _, face = spoken(case)
    body = b'{"model":"m","max_tokens":9,"stream":true,"input":"x",'
    body += b'"messages":[{"role":"user","content":"x"}],"contents":[{"parts":[{"text":"x"}]}]}'
    encoder = face.encoder(call_of(face, body))
    written = b"".join([encoder.feed([build(Event, e)]) for e in read(case, "events.json")])
    if (case / "error.json").exists():
        written += encoder.fail(UpstreamBroken("it broke off"))
    grammar(face)(written)


@having("errors.json")
def test_errors_are_classified(case: Path) -> None:
    for told in read(case, "errors.json"):
        body = told["body"]
        raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        now = datetime.fromisoformat(told["now"]).timestamp() if "now" in told else NOW
        dialect, _ = spoken(case, now)
        matches(dialect.decode_error(told["status"], told.get("headers", {}), raw), told)
