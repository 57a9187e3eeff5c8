"""Row 14: beta headers that are wrong, or dropped.

Anthropic's own flags go to Anthropic as they came, known here or not, and to nobody else; what
was left out is named. Its clouds have lists of their own (`tests/dialects/anthropic`).
"""

from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import KEYS, PRICED, SPEAKERS, Vendor
from tests.sdk.sides import answer, every_target, streamed_or_not

BETAS = ["context-1m-2025-08-07", "not-yet-invented-2027-01-01"]
CLOUDS = {target for target, (dialect, _) in SPEAKERS.items() if "-anthropic" in dialect}
"""Those that serve Anthropic's models: they know some flags."""
HI: Any = [{"role": "user", "content": "Hi"}]


@every_target
@streamed_or_not
def test_row14_betas_go_to_anthropic_and_nobody_else(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, target: str, stream: bool
) -> None:
    up = behind[target].plays(answer(target, v.text("Hello"), stream=stream))
    asked: Any = {"model": PRICED[target], "messages": HI, "max_tokens": 99, "betas": BETAS}
    if stream:
        with clients.claude.beta.messages.stream(**asked) as events:
            said = events.get_final_message()
    else:
        said = clients.claude.beta.messages.create(**asked)
    assert said.content[0].text == "Hello"  # type: ignore[union-attr]
    (entry,) = up.book
    named = tee.got[-1].headers.get("x-octoplex-dropped", "").split(", ")
    if target == "claude":
        assert entry.headers[b"anthropic-beta"] == ",".join(BETAS).encode()
        assert not set(BETAS) & set(named)
        return
    assert BETAS[1].encode() not in entry.data, "nobody else knows it"
    assert BETAS[1] in named
    if target not in CLOUDS:
        assert b"anthropic-beta" not in entry.headers
        assert set(BETAS) <= set(named)


def test_row14_a_header_that_comes_twice_is_sent_whole(
    gateway: str, behind: Mapping[str, Vendor]
) -> None:
    up = behind["claude"].plays(answer("claude", v.text("Hello")))
    headers = [("x-api-key", KEYS["app"]), ("anthropic-version", "2023-06-01")]
    headers += [("anthropic-beta", beta) for beta in BETAS]
    body = {"model": PRICED["claude"], "messages": HI, "max_tokens": 99}
    reply = httpx2.post(f"{gateway}/v1/messages", json=body, headers=headers)
    assert reply.status_code == 200
    sent = up.book[0].headers[b"anthropic-beta"].decode()
    assert [beta.strip() for beta in sent.split(",")] == BETAS


def test_row14_what_anthropic_says_of_a_wrong_flag_is_told(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    words = "Unexpected value(s) `not-yet-invented-2027-01-01` for the `anthropic-beta` header."
    behind["claude"].plays(v.claude_error(400, "invalid_request_error", words))
    with pytest.raises(anthropic.BadRequestError) as refused:
        clients.claude.beta.messages.create(
            model=PRICED["claude"], messages=HI, max_tokens=99, betas=BETAS
        )
    assert "not-yet-invented" in str(refused.value)
