"""Failures of every provider dialect as the exceptions of each face's own SDK.

Before content: the status, the class, our request id, when to come back. After it: in-band,
in the SDK's own exception, with our request id, and nothing that looks like an end.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Caller
from tests.sdk.failures import SECRET, breaks, empty, refuses
from tests.sdk.house import Vendor
from tests.sdk.sides import FACES, every_face, every_target, streamed_or_not
from tests.sdk.test_lattice import settled

Kinds = Mapping[int, type[Exception]]
GPT: Kinds = {
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
}
CLAUDE: Kinds = {
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    502: anthropic.InternalServerError,
    529: anthropic.OverloadedError,
}
KINDS: Mapping[str, Kinds] = {
    "openai-chat": GPT,
    "openai-responses": GPT,
    "anthropic": CLAUDE,
    "gemini": {429: google.ClientError, 500: google.ServerError, 502: google.ServerError,
               503: google.ServerError},
}  # fmt: skip
CASES = {
    "own key": (502, "upstream_denied"),
    "busy": (429, "upstream_busy"),
    "failed": (500, "upstream_failed"),
    "overloaded": (503, "upstream_overloaded"),
}
NUMBER = {face: at for at, face in enumerate(FACES)}


def own(target: str, case: str, face: str, stream: bool) -> str:
    """A name for this test alone: keys rest after some of them, breakers open after others."""
    at = NUMBER[face] * 2 + stream
    if case != "own key":
        return f"only-{target}-{(list(CASES).index(case) - 1) * 8 + at}"
    return f"once-{target}{at if target not in ('oai', 'claude') else 28 + at}"


def shown(face: str, error: Any) -> tuple[int, str, str]:
    """(status, our code, our request id) as the exception says them."""
    if face == "gemini":
        about = error.details["error"]["details"][0]
        return error.code, about["reason"].lower(), about["metadata"]["request_id"]
    if face == "anthropic":
        body = error.body
        code = body["error"]["details"]["error_code"]
        return error.status_code, code, body["request_id"]
    ours = error.body["octoplex"]
    return getattr(error, "status_code", 0), ours["code"], ours["request_id"]


@every_face
@every_target
@streamed_or_not
@pytest.mark.parametrize("case", CASES)
def test_a_refusal_before_content(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee,
    face: str, target: str, stream: bool, case: str,
) -> None:  # fmt: skip
    behind[target].plays(refuses(target, case))
    status, code = CASES[case]
    if status == 503 and face == "anthropic":
        status = 529
    model = own(target, case, face, stream)
    with pytest.raises(KINDS[face][status]) as raised:
        call[face](model=model, stream=stream).turn("Hi")
    response = tee.got[-1]
    id_ = response.headers["x-request-id"]
    assert shown(face, raised.value) == (status, code, id_)
    assert type(raised.value) is KINDS[face][status]
    assert response.headers["x-should-retry"] == "false", "it was already retried here"
    rest = {"busy": "7", "own key": "60"}.get(case)
    if (target, case) == ("qian", "busy"):
        rest = "1"  # Baidu says so in a 200, and not until when
    assert response.headers.get("retry-after") == rest
    assert SECRET not in response.text
    assert len(tee.got) == 1, "no retry of the SDK's own"


ENDS = {
    "openai-chat": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "openai-responses": (b"response.completed", b"response.incomplete"),
    "anthropic": (b"message_stop", b"message_delta"),
    "gemini": (b"finishReason",),
}
"""What only a stream that ended properly holds, by face."""
IN_BAND: Mapping[str, Callable[[Any], bool]] = {
    "openai-chat": lambda e: type(e) is openai.APIError,
    "openai-responses": lambda e: type(e) is openai.APIError,
    "anthropic": lambda e: isinstance(e, anthropic.APIStatusError),
    "gemini": lambda e: isinstance(e, google.ServerError),
}


@every_face
@every_target
@pytest.mark.parametrize("how", ["error", "polite", "reset"])
def test_row11_a_stream_that_breaks_never_looks_finished(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], folder: Path, tee: Tee,
    face: str, target: str, how: str,
) -> None:  # fmt: skip
    behind[target].plays(breaks(target, how, v.text("Half a thought")))
    model = f"only-{target}-{24 + NUMBER[face] * 3 + ['error', 'polite', 'reset'].index(how)}"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - its class is what is looked at
        call[face](model=model, stream=True).turn("Hi")
    assert IN_BAND[face](raised.value), repr(raised.value)
    ((_, _, wire),) = tee.streams
    assert b"Half" in wire, "what came was passed on"
    assert not any(end in wire for end in ENDS[face]), bytes(wire[-600:])
    id_ = tee.got[-1].headers["x-request-id"]
    _, code, told = shown(face, raised.value)
    assert told == id_
    assert code == ("upstream_failed" if how == "error" else "bad_upstream_response")
    row = settled(folder, tee)
    assert (row["outcome"], row["state"]) == ("cut", "settled")
    assert row["estimated"], "the bill never came"


@every_face
@every_target
@pytest.mark.parametrize("errs", [False, True], ids=["empty", "error"])
def test_a_stream_without_content_is_refused(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee,
    face: str, target: str, errs: bool,
) -> None:  # fmt: skip
    """Nothing has been seen yet, so it is a status and not a stream."""
    behind[target].plays(empty(target, errs=errs))
    model = f"only-{target}-{36 + NUMBER[face]}"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - its class is what is looked at
        call[face](model=model, stream=True).turn("Hi")
    assert type(raised.value) is KINDS[face][502], repr(raised.value)
    status, code, _ = shown(face, raised.value)
    assert code == ("upstream_failed" if errs else "bad_upstream_response")
    assert status in ((500, 502) if errs else (502,))
    assert tee.streams == []
    assert len(behind[target].book) == 1


HEADERS = {"x-request-id": "mine-7"}
OWN_ID: Mapping[str, Any] = {
    "openai-chat": {"extra_headers": HEADERS},
    "openai-responses": {"extra_headers": HEADERS},
    "anthropic": {"extra_headers": HEADERS},
    "gemini": {"http_options": {"headers": HEADERS}},
}


@every_face
@pytest.mark.parametrize("target", ["oai", "gem"])
def test_the_callers_own_request_id_is_shown_in_band(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    """Verbatim or written anew, the header and the failure say the same."""
    behind[target].plays(breaks(target, "polite", v.text("Half a thought")))
    with pytest.raises(Exception) as raised:  # noqa: PT011 - its class is looked at above
        call[face](model=f"once-{target}20", stream=True, **OWN_ID[face]).turn("Hi")
    assert tee.got[-1].headers["x-request-id"] == "mine-7"
    assert shown(face, raised.value)[2] == "mine-7"
