"""Token counts through each SDK, before providers that count and before those that do not."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, Vendor, words
from tests.sdk.sides import every_target
from tests.upstream_server import says

TEXT = "The quick brown fox jumps over the lazy dog."
HI: Any = [{"role": "user", "content": TEXT}]
COUNTS: Mapping[str, Callable[[Sdks, str], int | None]] = {
    "openai-responses": lambda s, model: (
        s.gpt.responses.input_tokens.count(model=model, input=TEXT).input_tokens
    ),
    "anthropic": lambda s, model: (
        s.claude.messages.count_tokens(model=model, messages=HI).input_tokens
    ),
    "gemini": lambda s, model: (
        s.google.models.count_tokens(model=model, contents=TEXT).total_tokens
    ),
}
COUNTERS = {
    "claude": ("/v1/messages/count_tokens", {"input_tokens": 2095}),
    "gem": (
        "/v1beta/models/gemini-3-flash-preview:countTokens",
        {"totalTokens": 2095, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2095}]},
    ),
    "inv": (
        "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens",
        {"inputTokens": 2095},
    ),
    "vex": (
        "/v1/projects/acme/locations/global/publishers/anthropic/models/count-tokens:rawPredict",
        {"input_tokens": 2095},
    ),
    "vert": (
        "/v1/projects/acme/locations/global/publishers/google/models/"
        "gemini-3-flash-preview:countTokens",
        {"totalTokens": 2095},
    ),
    "resp": (
        "/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 2095},
    ),
}
every_counting_face = pytest.mark.parametrize("face", COUNTS)


@every_counting_face
@pytest.mark.parametrize("target", COUNTERS)
def test_row19_a_provider_counts(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    path, reply = COUNTERS[target]
    up = behind[target].plays(says(json.dumps(reply).encode()))
    model = "counts/gpt-5.1" if target == "resp" else PRICED[target]
    assert COUNTS[face](clients, model) == 2095
    (entry,) = up.book
    assert entry.target.decode() == path
    body = up.asked[0]
    if target == "inv":
        body = json.loads(b64decode(body["input"]["invokeModel"]["body"]))
        assert body.keys() == {"anthropic_version", "max_tokens", "messages"}
    if target == "vert":
        assert body.keys() == {"contents"}
    assert TEXT in json.dumps(body)
    assert ("model" in body) == (target not in ("gem", "vert", "inv"))
    assert "stream" not in body
    head = tee.got[-1].headers
    assert "x-octoplex-estimated" not in head
    assert head["x-octoplex-model"] == model
    assert head["x-octoplex-cost-nano"] == "0"


@every_counting_face
@every_target
def test_row19_where_nobody_counts_it_is_an_estimate_and_says_so(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    """A provider that should count may lack the path; the others are not asked."""
    up = behind[target].plays(says(b"404 page not found", 404, [("content-type", "text/plain")]))
    told = COUNTS[face](clients, PRICED[target])
    assert told == 16, "nine words and a stop, and six around them"
    assert tee.got[-1].headers["x-octoplex-estimated"] == "true"
    assert len(up.book) == (words(target) in ("claude", "gem"))
