"""Every class of error as the SDKs' own exceptions, with status, body and request id."""

import time
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import ClaudeFor, OpenAIFor
from tests.sdk.house import KEYS, Vendor
from tests.sdk.sides import MODELS, both_targets
from tests.upstream_server import Play, reset

HI: Any = [{"role": "user", "content": "Hi"}]

# name: (OpenAI's reply, Anthropic's reply, status and exception of each face)
E = v.openai_error
C = v.claude_error
CASES: dict[str, tuple[Play, Play, tuple[int, type], tuple[int, type]]] = {
    "rejected": (
        E(400, "invalid_request_error", "unknown_parameter", "Unknown parameter: 'x'."),
        C(400, "invalid_request_error", "x: Extra inputs are not permitted"),
        (400, openai.BadRequestError),
        (400, anthropic.BadRequestError),
    ),
    "own key": (
        E(401, "invalid_request_error", "invalid_api_key", "Incorrect API key: sk-vendor-1."),
        C(401, "authentication_error", "invalid x-api-key sk-vendor-1"),
        (502, openai.InternalServerError),
        (502, anthropic.InternalServerError),
    ),
    "quota": (
        E(429, "insufficient_quota", "insufficient_quota", "You exceeded your quota."),
        C(402, "billing_error", "Your credit balance is too low."),
        (502, openai.InternalServerError),
        (502, anthropic.InternalServerError),
    ),
    "forbidden": (
        E(403, "permission_error", None, "Country not supported."),
        C(403, "permission_error", "Your API key lacks permission."),
        (502, openai.InternalServerError),
        (502, anthropic.InternalServerError),
    ),
    "model": (
        E(404, "invalid_request_error", "model_not_found", "The model does not exist."),
        C(404, "not_found_error", "model: gpt-or-claude"),
        (404, openai.NotFoundError),
        (404, anthropic.NotFoundError),
    ),
    "too large": (
        E(413, "invalid_request_error", None, "Request too large."),
        C(413, "request_too_large", "Request exceeds the maximum size"),
        (413, openai.APIStatusError),
        (413, anthropic.RequestTooLargeError),
    ),
    "busy": (
        E(429, "rate_limit_error", "rate_limit_exceeded", "Slow down.", retry_after="7"),
        C(429, "rate_limit_error", "Slow down.", retry_after="7"),
        (429, openai.RateLimitError),
        (429, anthropic.RateLimitError),
    ),
    "failed": (
        E(500, "server_error", None, "The server had an error."),
        C(500, "api_error", "Internal server error"),
        (500, openai.InternalServerError),
        (500, anthropic.InternalServerError),
    ),
    "overloaded": (
        E(503, "server_error", None, "The engine is overloaded."),
        C(529, "overloaded_error", "Overloaded"),
        (503, openai.InternalServerError),
        (529, anthropic.InternalServerError),
    ),
    "gone": (reset(), reset(), (502, openai.InternalServerError),
             (502, anthropic.InternalServerError)),
}  # fmt: skip
RESTING = ("own key", "quota", "busy", "forbidden")
NUMBER = {name: at for at, name in enumerate(CASES)}


@both_targets
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CASES)
def test_a_providers_failure(
    gpt: openai.OpenAI,
    sonnet: anthropic.Anthropic,
    oai: Vendor,
    claude: Vendor,
    target: str,
    stream: bool,
    name: str,
) -> None:
    for_openai, for_claude, on_gpt, on_claude = CASES[name]
    (oai if target == "oai" else claude).plays(for_openai if target == "oai" else for_claude)
    model = f"once-{target}{2 * NUMBER[name] + stream}"
    with pytest.raises(on_gpt[1]) as said:
        gpt.chat.completions.create(model=model, messages=HI, stream=stream)
    error: Any = said.value
    assert type(error) is on_gpt[1]
    assert error.status_code == on_gpt[0]
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.body["octoplex"]["request_id"] == error.request_id
    assert error.type
    told(error.response, name)
    if name in RESTING:
        return  # the only key rests now, so another call would be told that instead
    with pytest.raises(on_claude[1]) as raised:
        sonnet.messages.create(model=model, messages=HI, stream=stream, max_tokens=9)
    other: Any = raised.value
    assert other.status_code == on_claude[0]
    assert other.request_id == other.response.headers["request-id"]
    assert other.body["request_id"] == other.request_id
    assert other.body["error"]["type"]
    told(other.response, name)


@pytest.mark.parametrize("name", RESTING)
def test_a_resting_key_is_told_to_the_anthropic_sdk_too(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, name: str
) -> None:
    at = 2 * len(CASES) + RESTING.index(name)
    for_openai, for_claude, _, on_claude = CASES[name]
    oai.plays(for_openai)
    claude.plays(for_claude)
    for target in ("oai", "claude"):
        with pytest.raises(on_claude[1]) as raised:
            sonnet.messages.create(model=f"once-{target}{at}", messages=HI, max_tokens=9)
        assert raised.value.status_code == on_claude[0]
        told(raised.value.response, name)
        # and while it rests, the caller hears when to come back
        with pytest.raises(anthropic.InternalServerError) as again:
            sonnet.messages.create(model=f"once-{target}{at}", messages=HI, max_tokens=9)
        assert again.value.status_code == 503
        assert int(again.value.response.headers["retry-after"]) > 1


def told(response: httpx2.Response, name: str) -> None:
    assert "sk-vendor-1" not in response.text
    assert response.headers["x-should-retry"] == "false", "it was already retried here"
    # What rests a key says for how long; else nothing is known.
    rest = "7" if name == "busy" else "60" if name in RESTING else None
    assert response.headers.get("retry-after") == rest


@both_targets
def test_a_stream_that_breaks_off(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str
) -> None:
    oai.plays(v.chat_stream([{"content": "Half a"}, {"content": " th"}], finish=None))
    claude.plays(v.message_stream([v.text("Half a th")], stop=None))  # and then an error
    model = f"once-{target}24"
    with pytest.raises(openai.APIError) as said:
        for _ in gpt.chat.completions.create(model=model, messages=HI, stream=True):
            pass
    assert type(said.value) is openai.APIError, "in-band: there is no status any more"
    assert said.value.code in ("bad_upstream_response", "upstream_overloaded")
    with (
        pytest.raises(anthropic.APIStatusError) as raised,
        sonnet.messages.stream(model=model, messages=HI, max_tokens=9) as events,
    ):
        events.until_done()
    assert raised.value.type in ("api_error", "overloaded_error")
    wanted = "bad_upstream_response" if target == "oai" else "upstream_overloaded"
    assert raised.value.body["error"]["details"]["error_code"] == wanted  # type: ignore[index]


def test_an_unknown_key(gpt_sdk: OpenAIFor, claude_sdk: ClaudeFor) -> None:
    with pytest.raises(openai.AuthenticationError) as said:
        gpt_sdk("sk-nobody").chat.completions.create(model=MODELS["oai"], messages=HI)
    assert (said.value.status_code, said.value.code) == (401, "invalid_api_key")
    assert said.value.request_id
    with pytest.raises(anthropic.AuthenticationError) as raised:
        claude_sdk("sk-nobody").messages.create(model=MODELS["oai"], messages=HI, max_tokens=9)
    assert (raised.value.status_code, raised.value.type) == (401, "authentication_error")
    assert "sk-nobody" not in str(raised.value)


def test_a_model_the_key_may_not_use(gpt_sdk: OpenAIFor, claude_sdk: ClaudeFor) -> None:
    with pytest.raises(openai.PermissionDeniedError) as said:
        gpt_sdk(KEYS["narrow"]).chat.completions.create(model=MODELS["claude"], messages=HI)
    assert said.value.status_code == 403
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        claude_sdk(KEYS["narrow"]).messages.create(
            model=MODELS["claude"], messages=HI, max_tokens=9
        )
    assert raised.value.type == "permission_error"


def test_a_spent_budget(gpt_sdk: OpenAIFor, claude_sdk: ClaudeFor, oai: Vendor) -> None:
    with pytest.raises(openai.APIStatusError) as said:
        gpt_sdk(KEYS["poor"]).chat.completions.create(model="oai/gpt-priced", messages=HI)
    assert (said.value.status_code, said.value.code) == (402, "insufficient_quota")
    with pytest.raises(anthropic.APIStatusError) as raised:
        claude_sdk(KEYS["poor"]).messages.create(model="oai/gpt-priced", messages=HI, max_tokens=9)
    assert (raised.value.status_code, raised.value.type) == (402, "billing_error")
    assert oai.book == []


def test_a_model_that_nobody_has(gpt: openai.OpenAI, sonnet: anthropic.Anthropic) -> None:
    with pytest.raises(openai.NotFoundError):
        gpt.chat.completions.create(model="gpt-99", messages=HI)
    with pytest.raises(anthropic.NotFoundError) as raised:
        sonnet.messages.create(model="gpt-99", messages=HI, max_tokens=9)
    assert "GET /v1/models" in str(raised.value)


def test_malformed_requests(gpt: openai.OpenAI, sonnet: anthropic.Anthropic) -> None:
    with pytest.raises(openai.BadRequestError) as said:
        gpt.chat.completions.create(model=MODELS["oai"], messages=[])
    assert said.value.param == "messages"
    with pytest.raises(anthropic.BadRequestError) as raised:
        sonnet.messages.create(model=MODELS["oai"], messages=[], max_tokens=9)
    assert raised.value.body["error"]["details"]["param"] == "messages"  # type: ignore[index]


def test_a_field_the_target_cannot_express(gpt: openai.OpenAI, claude: Vendor) -> None:
    with pytest.raises(openai.BadRequestError) as said:
        gpt.chat.completions.create(model=MODELS["claude"], messages=HI, n=2)
    assert (said.value.param, said.value.code) == ("n", "unsupported")
    assert claude.book == []


def test_the_callers_own_limit_is_waited_out_by_the_sdk(
    gpt_sdk: OpenAIFor, oai: Vendor, tee: Any
) -> None:
    oai.plays(v.chat({"content": "ok"}))
    hasty = gpt_sdk(KEYS["few"])
    for _ in range(2):
        hasty.chat.completions.create(model=MODELS["oai"], messages=HI)
    with pytest.raises(openai.RateLimitError) as said:
        hasty.chat.completions.create(model=MODELS["oai"], messages=HI)
    headers = said.value.response.headers
    assert headers["x-should-retry"] == "true"
    assert 0 < int(headers["retry-after-ms"]) <= 30_000
    assert 1 <= int(headers["retry-after"]) <= 30
    assert len(oai.book) == 2


def test_the_gateway_retries_so_that_the_sdk_need_not(
    gpt_sdk: OpenAIFor, oai: Vendor, tee: Any
) -> None:
    busy = v.openai_error(429, "rate_limit_error", "rate_limit_exceeded", "x", retry_after_ms="50")
    oai.plays(busy, v.chat({"content": "ok"}))
    began = time.monotonic()
    raw = gpt_sdk(retries=2).chat.completions.with_raw_response.create(
        model="oai/gpt-retried", messages=HI
    )
    assert raw.headers["x-octoplex-attempts"] == "2"
    assert time.monotonic() - began >= 0.05
    assert (len(tee.sent), len(oai.book)) == (1, 2)
    oai.plays(v.openai_error(500, "server_error", None, "x"))
    with pytest.raises(openai.InternalServerError):
        gpt_sdk(retries=2).chat.completions.create(model="once-oai25", messages=HI)
    assert len(tee.sent) == 2, "x-should-retry: false keeps retries from multiplying"


def test_a_body_above_the_cap(gpt: openai.OpenAI, sonnet: anthropic.Anthropic) -> None:
    long: Any = [{"role": "user", "content": "x" * 33_000_000}]
    with pytest.raises(openai.APIStatusError) as said:
        gpt.chat.completions.create(model=MODELS["oai"], messages=long)
    assert said.value.status_code == 413
    with pytest.raises(anthropic.RequestTooLargeError) as raised:
        sonnet.messages.create(model=MODELS["oai"], messages=long, max_tokens=9)
    assert raised.value.type == "request_too_large"
