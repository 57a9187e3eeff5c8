"""The caller's side of the Chat dialect: one class that joins the modules beside it.

Reference: https://platform.openai.com/docs/api-reference/chat

Not promised: `system_fingerprint` and `service_tier` in replies that were translated;
the provider that answered has none.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import Encoder
from octoplex.dialects.openai_chat.answer import ChatEncoder, write_reply
from octoplex.dialects.openai_chat.failure import status_of, write_error, write_fail_event
from octoplex.dialects.openai_chat.head import read_head
from octoplex.dialects.openai_chat.resumed import resume
from octoplex.dialects.openai_chat.shapes import UNREADABLE
from octoplex.dialects.openai_chat.understand import read_chat
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Reply


class _Options(Struct):
    include_usage: bool | None = None


_read_options = msgspec.json.Decoder(_Options | None).decode


def wants_usage(fields: Mapping[str, Raw]) -> bool:
    """Whether the caller asked for usage in the stream; what cannot be read asks for nothing."""
    raw = fields.get("stream_options")
    if raw is None:
        return False
    try:
        options = _read_options(raw)
    except UNREADABLE:
        return False
    return bool(options and options.include_usage)


class OpenAIChatFace:
    """Reads requests from, and writes replies to, a caller of the Chat dialect.

    `now` is Unix time in seconds: replies say when they were created.
    """

    name = "openai-chat"

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    read_head = staticmethod(read_head)

    def decode_chat(self, call: Call) -> Chat:
        return read_chat(call)

    def encode_reply(self, reply: Reply) -> bytes:
        return write_reply(reply, int(self._now()))

    def encode_reply_to(self, call: Call, reply: Reply) -> bytes:
        """The reply, with an id where its provider gave none: the one that a stream has."""
        made = f"chatcmpl-{call.reply_id}"
        named = reply if reply.id else msgspec.structs.replace(reply, id=made)
        return write_reply(named, call.replied_at(self._now))

    def encoder(self, call: Call) -> Encoder:
        return ChatEncoder(
            created=call.replied_at(self._now),
            request_id=call.reply_id,
            model=call.model,
            include_usage=wants_usage(call.fields),
        )

    def resume(self, call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        usage, now = wants_usage(call.fields), int(self._now())
        return resume(call, wire, told, include_usage=usage, now=now)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return write_error(error, request_id)

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def fail_event(self, error: GatewayError, request_id: str) -> bytes:
        return write_fail_event(error, request_id)
