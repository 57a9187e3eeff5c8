"""A conversation that Anthropic keeps (`thread`) is refused elsewhere in the words that make
Anthropic's clients send all of it, on whatever route.

https://platform.claude.com/docs/en/api/errors and `anthropic.lib.threads` of the package.
"""

import json

import pytest

from octoplex.dialects.anthropic import AnthropicFace
from octoplex.dialects.dialect import Traits
from octoplex.wire.error import Unsupported
from tests.dialects.test_crossings import DIALECTS
from tests.dialects.test_transcripts import call_of

FACE = AnthropicFace()
THREAD = {"type": "continue", "previous_message_id": "msg_1"}
ASKED = {
    "model": "m",
    "max_tokens": 9,
    "thread": THREAD,
    "messages": [{"role": "user", "content": "And now?"}],
}


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("name", sorted(set(DIALECTS) - {"anthropic"}))
def test_it_is_refused_elsewhere_in_words_that_clients_know(name: str, lenient: bool) -> None:
    chat = FACE.decode_chat(call_of(FACE, json.dumps(ASKED).encode()))
    with pytest.raises(Unsupported, match="thread") as refused:
        DIALECTS[name].encode_chat(chat, Traits(model="m", drop_unsupported=lenient))
    told = json.loads(FACE.encode_error(refused.value, "req_1"))["error"]
    assert FACE.status(refused.value) == 400
    assert told["details"]["error_code"] == "thread_unsupported_request"


def test_it_stays_where_it_is_known() -> None:
    chat = FACE.decode_chat(call_of(FACE, json.dumps(ASKED).encode()))
    body = DIALECTS["anthropic"].encode_chat(chat, Traits(model="m")).body
    assert json.loads(body)["thread"] == THREAD
