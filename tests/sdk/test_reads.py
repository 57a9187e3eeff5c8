"""models.list() and retrieve(), token counts and raw headers, through both SDKs."""

import re
from typing import Any

import anthropic
import openai
import pytest

from octoplex.upstreams.count import tokens_of
from tests.sdk import vendors as v
from tests.sdk.conftest import ClaudeFor, OpenAIFor
from tests.sdk.house import KEYS, Vendor
from tests.sdk.sides import CLAUDE_TOOLS, GPT_TOOLS, MODELS, answer, both_targets, vendor
from tests.upstream_server import says

HI: Any = [{"role": "user", "content": "Hi"}]
COUNTED = says(b'{"input_tokens": 2095, "not_yet_invented": 1}')


def test_models(gpt: openai.OpenAI, sonnet: anthropic.Anthropic) -> None:
    names = {m.id for m in gpt.models.list()}
    assert {"once-oai", "once-claude", "oai/gpt-priced", "octoplex/smollm2"} <= names
    assert {m.id for m in sonnet.models.list()} == names
    assert gpt.models.retrieve("oai/gpt-priced").owned_by == "oai"
    assert gpt.models.retrieve("once-oai").object == "model"
    assert sonnet.models.retrieve("oai/gpt-priced").type == "model"
    assert gpt.models.retrieve("oai/an/id/with/slashes").id == "oai/an/id/with/slashes"
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("nobody-has-it")
    with pytest.raises(anthropic.NotFoundError):
        sonnet.models.retrieve("nobody-has-it")


def test_a_key_sees_only_what_it_may_use(gpt_sdk: OpenAIFor) -> None:
    narrow = gpt_sdk(KEYS["narrow"])
    assert {m.id for m in narrow.models.list()} <= {"oai/gpt-5-mini"}
    with pytest.raises(openai.NotFoundError):
        narrow.models.retrieve("once-oai")


@both_targets
def test_headers(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str
) -> None:
    vendor(target, oai, claude).plays(answer(target, v.text("ok")))
    raw = gpt.chat.completions.with_raw_response.create(
        model=f"once-{target}", messages=HI, extra_headers={"x-request-id": "mine-1"}
    )
    headers = raw.headers
    assert headers["x-octoplex-model"] == f"{target}/gpt-or-claude"
    assert headers["x-octoplex-provider"] == target
    assert headers["x-octoplex-route"] == f"once-{target}"
    assert headers["x-octoplex-attempts"] == "1"
    assert headers["x-octoplex-cost-nano"] == "0"
    assert headers["openai-processing-ms"].isdigit()
    assert headers["x-request-id"] == "mine-1"
    assert raw.parse().choices[0].message.content == "ok"
    assert int(headers["x-ratelimit-limit-requests"]) == 6000
    assert 0 < int(headers["x-ratelimit-remaining-requests"]) < 6000
    assert re.fullmatch(r"(\d+(ms|[hms]))+", headers["x-ratelimit-reset-requests"])
    assert int(headers["x-ratelimit-limit-tokens"]) == 90_000_000
    other = sonnet.messages.with_raw_response.create(
        model=f"once-{target}", messages=HI, max_tokens=9, metadata={"user_id": "u-1"}
    )
    headers = other.headers
    assert headers["request-id"] == headers["x-request-id"]
    assert other.parse()._request_id == headers["request-id"]
    assert headers["anthropic-ratelimit-requests-limit"] == "6000"
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(when, headers["anthropic-ratelimit-requests-reset"])
    assert "x-octoplex-dropped" not in headers, "user_id has a word in either dialect"


def test_what_was_dropped_is_named(sonnet: anthropic.Anthropic, oai: Vendor) -> None:
    oai.plays(v.chat({"content": "ok"}))
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    raw = sonnet.messages.with_raw_response.create(
        model=MODELS["oai"],
        system=[cached],  # type: ignore[list-item]
        messages=HI,
        max_tokens=9,
        extra_body={"not_yet_invented": 1},
    )
    dropped = {name.strip() for name in raw.headers["x-octoplex-dropped"].split(",")}
    assert dropped == {"cache_control", "not_yet_invented"}


def test_a_native_count_passes_verbatim(
    claude_sdk: ClaudeFor, sonnet: anthropic.Anthropic, claude: Vendor
) -> None:
    claude.plays(COUNTED)
    odd = {"not_yet_invented": [1, 2.50]}
    raw = sonnet.messages.with_raw_response.count_tokens(
        model=MODELS["claude"], messages=HI, tools=CLAUDE_TOOLS, system="Be brief.",
        extra_body=odd, extra_headers={"anthropic-beta": "fine-2031-01-01"},
    )  # fmt: skip
    assert raw.parse().input_tokens == 2095
    assert raw.http_response.json()["not_yet_invented"] == 1
    assert "x-octoplex-estimated" not in raw.headers
    assert raw.headers["x-octoplex-model"] == MODELS["claude"]
    assert raw.headers["x-octoplex-cost-nano"] == "0"
    (entry,) = claude.book
    assert entry.target == b"/v1/messages/count_tokens"
    assert entry.headers[b"anthropic-beta"] == b"fine-2031-01-01"
    assert claude.asked[0] == {
        "model": "claude-haiku-4-5", "messages": HI, "tools": CLAUDE_TOOLS,
        "system": "Be brief.", **odd,
    }  # fmt: skip
    # It holds no money: a key whose budget is spent may count.
    poor = claude_sdk(KEYS["poor"])
    assert poor.messages.count_tokens(model=MODELS["claude"], messages=HI).input_tokens == 2095


PROSE = (
    "The Spine of the gateway is a sentence: a request comes in, is admitted, priced, routed "
    "and answered by a real model, and comes back. Nothing on the way waits for a disk, and a "
    "stream that broke off is never dressed up as one that ended. "
) * 12


def test_an_estimate_is_marked(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor
) -> None:
    messages: Any = [{"role": "user", "content": PROSE}]
    raw = sonnet.messages.with_raw_response.count_tokens(model=MODELS["oai"], messages=messages)
    assert raw.headers["x-octoplex-estimated"] == "true"
    assert raw.headers["x-octoplex-model"] == MODELS["oai"]
    assert raw.http_response.json() == {"input_tokens": raw.parse().input_tokens}
    exact = sonnet.messages.with_raw_response.count_tokens(
        model="octoplex/smollm2", messages=messages
    )
    assert "x-octoplex-estimated" not in exact.headers, "its own engine counts"
    assert raw.parse().input_tokens == pytest.approx(exact.parse().input_tokens, rel=0.1)
    tools = sonnet.messages.count_tokens(model=MODELS["oai"], messages=messages, tools=CLAUDE_TOOLS)
    assert tools.input_tokens > raw.parse().input_tokens + 40
    assert oai.book == [], "nobody was asked"
    with pytest.raises(openai.NotFoundError):  # there is no such operation in this dialect
        gpt.post("/chat/completions/count_tokens", cast_to=object)


def test_a_count_is_within_ten_percent_of_a_tokenizer(sonnet: anthropic.Anthropic) -> None:
    """Against the engine's own count, on this repository's prose and code."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    names = ("src/octoplex/upstreams/count.py", "src/octoplex/wire/ask.py", "LICENSE")
    for name in names:
        words = (root / name).read_text()[:12_000]
        exact = sonnet.messages.count_tokens(
            model="octoplex/smollm2", messages=[{"role": "user", "content": words}]
        ).input_tokens
        assert tokens_of(words) == pytest.approx(exact - 31, rel=0.12), name


def test_a_provider_that_lacks_the_path_is_estimated_for(
    sonnet: anthropic.Anthropic, claude: Vendor
) -> None:
    claude.plays(says(b"<html>Not Found</html>", 404, [("content-type", "text/html")]))
    raw = sonnet.messages.with_raw_response.count_tokens(model=MODELS["claude"], messages=HI)
    assert raw.headers["x-octoplex-estimated"] == "true"
    claude.plays(v.claude_error(404, "not_found_error", "model: claude-9"))
    with pytest.raises(anthropic.NotFoundError):
        sonnet.messages.count_tokens(model="claude/claude-9", messages=HI)


def test_a_count_is_under_key_and_limits(claude_sdk: ClaudeFor, claude: Vendor) -> None:
    claude.plays(COUNTED)
    with pytest.raises(anthropic.AuthenticationError):
        claude_sdk("sk-nobody").messages.count_tokens(model=MODELS["claude"], messages=HI)
    with pytest.raises(anthropic.PermissionDeniedError):
        claude_sdk(KEYS["narrow"]).messages.count_tokens(model=MODELS["claude"], messages=HI)
    few = claude_sdk(KEYS["counter"])
    few.messages.count_tokens(model=MODELS["claude"], messages=[{"role": "user", "content": PROSE}])
    with pytest.raises(anthropic.RateLimitError):
        few.messages.count_tokens(model=MODELS["claude"], messages=HI)


def test_a_failing_count_says_nothing_of_the_chat(
    sonnet: anthropic.Anthropic, gpt: openai.OpenAI, claude: Vendor
) -> None:
    claude.plays(v.claude_error(429, "rate_limit_error", "Slow down.", retry_after="30"))
    raw = sonnet.messages.with_raw_response.count_tokens(model="once-claude26", messages=HI)
    assert raw.headers["x-octoplex-estimated"] == "true"
    claude.plays(v.message([v.text("ok")]))
    said = gpt.chat.completions.create(model="once-claude26", messages=HI, tools=GPT_TOOLS)
    assert said.choices[0].message.content == "ok"


def test_a_malformed_count(sonnet: anthropic.Anthropic) -> None:
    for target in MODELS.values():
        with pytest.raises(anthropic.BadRequestError):
            sonnet.messages.count_tokens(model=target, messages=[])


def test_the_record_of_a_count(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, claude: Vendor
) -> None:
    claude.plays(COUNTED)
    raw = sonnet.messages.with_raw_response.count_tokens(model=MODELS["claude"], messages=HI)
    told: Any = gpt.get(f"/requests/{raw.headers['request-id']}", cast_to=object)
    assert (told["op"], told["status"], told["nano"]) == ("count_tokens", 200, 0)
    assert told["key"] == "app"
    assert told["target"] == MODELS["claude"]
