"""The door's words: paths, counts, limits, errors."""

import json
from typing import Any

import pytest
from msgspec import Raw

from octoplex.dialects.dialect import Counter, CountFace, PathFace, Place
from octoplex.dialects.gemini import Gemini, GeminiFace, JsonArray
from octoplex.dialects.gemini.head import with_limit
from octoplex.dialects.verbatim import join, split
from octoplex.wire import error as errors
from octoplex.wire.error import GatewayError, InvalidCall, NotFound
from octoplex.wire.event import Finished, Started, TextDelta, ToolDelta, ToolStart, Usage
from tests.dialects.grammar.gemini import check, check_error
from tests.dialects.test_transcripts import call_of

FACE, DIALECT = GeminiFace(), Gemini()
ASK: dict[str, Any] = {"contents": [{"parts": [{"text": "x"}]}]}


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("models/gemini-2.5-pro:generateContent", "", Place("gemini-2.5-pro")),
        ("/models/m:streamGenerateContent", "alt=sse", Place("m", stream=True)),
        ("/models/m:streamGenerateContent", "", Place("m", stream=True, array=True)),
        ("m:streamGenerateContent", "key=k&alt=json", Place("m", stream=True, array=True)),
        ("models/m:countTokens", "", Place("m", "count_tokens")),
        ("models/ollama/qwen3:8b:generateContent", "", Place("ollama/qwen3:8b")),
        ("tunedModels/t:generateContent", "", Place("tunedModels/t")),
    ],
)
def test_paths(path: str, query: str, place: Place) -> None:
    assert FACE.read_path(path, query) == place


@pytest.mark.parametrize("path", ["models/:generateContent", "generateContent", "", "models/m"])
def test_a_path_without_a_model(path: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        FACE.read_path(path)
    assert caught.value.facts["param"] == "model"


def test_an_unknown_operation() -> None:
    with pytest.raises(NotFound):
        FACE.read_path("models/m:batchGenerateContent")


def test_what_it_offers() -> None:
    assert isinstance(FACE, PathFace)
    assert isinstance(FACE, CountFace)
    assert isinstance(DIALECT, Counter)
    assert DIALECT.path_for("a/b c", stream=False) == "/models/a/b%20c:generateContent"
    assert DIALECT.count_path_for("m") == "/models/m:countTokens"


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_count(wrapped: bool) -> None:
    asked = {"model": "models/m", "systemInstruction": {"parts": [{"text": "s"}]}, **ASK}
    body = {"generateContentRequest": asked} if wrapped else asked
    fields = split(json.dumps(body).encode())
    assert FACE.read_count_head(fields).max_tokens is None
    call = call_of(FACE, json.dumps(asked).encode(), "/models/m:countTokens")
    call.fields = fields
    assert [m.role for m in call.chat().messages] == ["system", "user"]
    assert DIALECT.decode_count(FACE.encode_count(17)) == 17


def test_a_count_without_contents() -> None:
    with pytest.raises(InvalidCall):
        FACE.read_count_head(split(b'{"generateContentRequest":{"model":"m"}}'))


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_an_output_limit_is_added_beside_what_is_there(name: str) -> None:
    raw = b'{"contents":[{"parts":[{"text":"x"}]}],"%b":{"temperature": 0.10}}' % name.encode()
    limited = join(with_limit(split(raw), 4096))
    assert b'"temperature":0.10' in limited
    assert json.loads(limited)[name] == {"temperature": 0.1, "maxOutputTokens": 4096}
    assert FACE.read_head(split(limited)).max_tokens == 4096
    bare = with_limit(split(json.dumps(ASK).encode()), 7)
    assert json.loads(join(bare))["generationConfig"] == {"maxOutputTokens": 7}


def test_the_head_says_whether_there_may_be_media() -> None:
    for part in ({"inlineData": {}}, {"inline_data": {}}, {"fileData": {}}, {"file_data": {}}):
        fields = split(json.dumps({"contents": [{"parts": [part]}]}).encode())
        assert FACE.read_head(fields).may_hold_media
    assert not FACE.read_head(split(json.dumps(ASK).encode())).may_hold_media
    assert FACE.read_head({**split(json.dumps(ASK).encode()), "generationConfig": Raw(b"null")})


CASES: list[tuple[GatewayError, int, str]] = [
    (errors.InvalidCall("`contents` is missing", param="contents"), 400, "INVALID_ARGUMENT"),
    (errors.Unsupported("n", param="n"), 400, "INVALID_ARGUMENT"),
    (errors.Unauthorized("no"), 401, "UNAUTHENTICATED"),
    (errors.OverBudget("no", left_nano=0), 402, "RESOURCE_EXHAUSTED"),
    (errors.Forbidden("no"), 403, "PERMISSION_DENIED"),
    (errors.NotFound("no"), 404, "NOT_FOUND"),
    (errors.ModelGone("no"), 404, "NOT_FOUND"),
    (errors.WrongMethod("no", allow="POST"), 405, "UNIMPLEMENTED"),
    (errors.TooLarge("no"), 413, "INVALID_ARGUMENT"),
    (errors.TooFast("no", retry_after_s=2), 429, "RESOURCE_EXHAUSTED"),
    (errors.UpstreamBusy("no"), 429, "RESOURCE_EXHAUSTED"),
    (errors.UpstreamDenied("no"), 502, "UNAVAILABLE"),
    (errors.UpstreamQuota("no"), 502, "UNAVAILABLE"),
    (errors.UpstreamBroken("no"), 502, "UNAVAILABLE"),
    (errors.NoTarget("no", retry_after_s=0.5), 503, "UNAVAILABLE"),
    (errors.UpstreamOverloaded("no"), 503, "UNAVAILABLE"),
    (errors.UpstreamSlow("no"), 504, "DEADLINE_EXCEEDED"),
    (errors.DeadlinePassed("no"), 504, "DEADLINE_EXCEEDED"),
    (errors.ContentRefused("no"), 400, "INVALID_ARGUMENT"),
    (errors.BadConfig("no"), 500, "INTERNAL"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: type(c[0]).__name__)
def test_errors(case: tuple[GatewayError, int, str]) -> None:
    error, status, word = case
    body = json.loads(FACE.encode_error(error, "req-1"))
    check_error(body)
    assert FACE.status(error) == body["error"]["code"] == status
    assert body["error"]["status"] == word
    about = body["error"]["details"][0]
    assert (about["reason"], about["domain"]) == (error.code.upper(), "octoplex")
    assert about["metadata"]["request_id"] == "req-1"
    again = DIALECT.decode_error(status, {}, FACE.encode_error(error, "req-1"))
    if status == 429:
        assert again.retry_after_s == error.retry_after_s
    check(FACE.fail_event(error, "req-1"))


def test_a_providers_status_never_looks_like_the_callers_key() -> None:
    for status in (401, 402, 403):
        error = errors.UpstreamRejected("no")
        error.status = status
        assert FACE.status(error) == 502


def test_a_secret_in_a_message_is_masked() -> None:
    error = errors.UpstreamRejected("the key AIzaSyA1234567890abcdef is odd")
    assert b"AIzaSyA" not in FACE.encode_error(error, "req-1")


def test_a_failure_in_an_array() -> None:
    encoder, array = FACE.encoder(call_of(FACE, json.dumps(ASK).encode())), JsonArray()
    out = array.feed(encoder.feed([Started("r", "m"), TextDelta("Hel", 0)]))
    out += array.feed(encoder.fail(errors.UpstreamBroken("it broke off"))) + array.end()
    first, last = json.loads(out)
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Hel"}]
    assert last["error"]["status"] == "UNAVAILABLE"
    assert JsonArray().end() == b"[]"


def test_calls_go_out_as_soon_as_they_are_whole() -> None:
    encoder = FACE.encoder(call_of(FACE, json.dumps(ASK).encode()))
    assert encoder.feed([Started("r", "m"), ToolStart("a", "f", 0), ToolDelta("{}", 0)]) == b""
    assert encoder.feed([ToolStart("b", "g", 1)]) == b""
    first = encoder.feed([ToolDelta('{"x":1}', 1), TextDelta("Then.", 2)])
    assert b'"f"' in first
    last = encoder.feed([Finished(stop="tool", usage=Usage(1, 1))])
    check(first + last)
    assert encoder.feed([TextDelta("late", 3)]) == b""


def test_a_head_that_comes_after_the_first_words_changes_nothing() -> None:
    encoder = FACE.encoder(call_of(FACE, json.dumps(ASK).encode()))
    end = Finished(stop="end", usage=Usage(1, 1))
    check(encoder.feed([TextDelta("a"), Started("late", "other"), TextDelta("b"), end]))


def test_calls_that_are_done_out_of_order_go_out_in_it() -> None:
    encoder = FACE.encoder(call_of(FACE, json.dumps(ASK).encode()))
    begun = [ToolStart("b", "g", 2), ToolStart("a", "f", 1), ToolStart("c", "h", 3)]
    done = [ToolDelta("{}", 3), ToolDelta("{}", 2), ToolDelta("{}", 1)]
    wire = encoder.feed([*begun, *done, Finished(stop="tool", usage=Usage(1, 1))])
    check(wire)
    assert wire.index(b'"f"') < wire.index(b'"g"') < wire.index(b'"h"')
