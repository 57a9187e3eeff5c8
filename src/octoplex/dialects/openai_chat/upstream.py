"""The provider's side of the Chat dialect: one class that joins the modules beside it.

Reference: https://platform.openai.com/docs/api-reference/chat

Not promised: anything about one provider; deviations are quirks (`catalog/quirk.py`).
"""

import time
from collections.abc import Callable, Mapping

from octoplex.dialects.dialect import Decoder, Encoded, Scanner, Traits
from octoplex.dialects.openai_chat.request import NAME, write_request
from octoplex.dialects.openai_chat.scan import ChatScanner
from octoplex.dialects.openai_chat.stream import ChatDecoder
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.openai_chat.whole import decode_reply, read_whole
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Reply


class OpenAIChat:
    """Writes requests to, and reads replies from, a provider of the Chat dialect.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    name = NAME
    path = "/chat/completions"
    model_in_body = True

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str, *, stream: bool) -> str:
        return self.path

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        return write_request(chat, traits)

    read_whole = staticmethod(read_whole)

    def decode_reply(self, body: bytes) -> Reply:
        return decode_reply(body)

    def decoder(self) -> Decoder:
        return ChatDecoder()

    def scanner(self, *, hide_usage: bool) -> Scanner:
        return ChatScanner(hide_usage=hide_usage)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
