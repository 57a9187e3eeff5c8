"""Row 17: encrypted reasoning is pinned to its origin.

An account cannot read what another one of the same dialect encrypted, and answers 400 with a code
of its own: https://github.com/openai/codex/issues/8145.
"""

import json
from collections.abc import Mapping
from typing import Any

import openai
import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import Vendor
from tests.sdk.sides import answer, streamed_or_not
from tests.upstream_server import says

CIPHER = "gAAAAABo-made-at-another-account"
UNREAD = {
    "error": {
        "message": f"The encrypted content {CIPHER[:4]}...unt= could not be verified.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_encrypted_content",
    }
}


@streamed_or_not
def test_row17_a_cipher_that_another_account_made_is_left_out(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, stream: bool
) -> None:
    """A conversation that moves to another account of one dialect goes on without it."""
    said = v.thinking("Hm.", CIPHER)
    up = behind["resp"].plays(answer("resp", said, v.text("Hi.")))
    asked: Any = {"model": "resp0/gpt-5.1", "store": False, "stream": stream}
    asked["include"] = ["reasoning.encrypted_content"]
    first = clients.gpt.responses.create(**asked | {"stream": False}, input="Hi")
    history: Any = [{"role": "user", "content": "Hi"}, *first.to_dict()["output"]]
    history.append({"role": "user", "content": "And?"})
    refused = says(json.dumps(UNREAD).encode(), 400)
    up.plays(refused, answer("resp", v.text("Well."), stream=stream))
    got = clients.gpt.responses.create(**asked | {"model": "resp1/gpt-5.1"}, input=history)
    text = "".join(e.delta for e in got if e.type == "response.output_text.delta") if stream else (
        got.output_text)  # fmt: skip
    assert text == "Well."
    before, after = (entry["input"] for entry in up.asked)
    assert [item for item in before if item.get("type") != "reasoning"] == after
    assert CIPHER in json.dumps(before)
    assert tee.got[-1].headers["x-octoplex-dropped"] == "reasoning"
    # Any other refusal is the provider's verdict, and so is this one where nothing can be left out.
    up.plays(refused)
    with pytest.raises(openai.BadRequestError) as caught:
        clients.gpt.responses.create(**asked, input="Hi")
    assert (caught.value.code, len(up.book)) == ("invalid_encrypted_content", 1)
