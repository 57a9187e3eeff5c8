"""The caller's side of the Responses dialect: one class that joins the modules beside it.

Reference: https://developers.openai.com/api/reference/resources/responses

Not promised: storage; `stored.py` has the pure part of it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Encoder, HeadFields
from octoplex.dialects.openai_chat.failure import status_of, write_error
from octoplex.dialects.openai_responses.asked import read_chat
from octoplex.dialects.openai_responses.calls import forms_of
from octoplex.dialects.openai_responses.encoder import ResponsesEncoder
from octoplex.dialects.openai_responses.failure import write_fail_event
from octoplex.dialects.openai_responses.head import read_count_head, read_head
from octoplex.dialects.openai_responses.response import Head, echo_of, write_reply
from octoplex.dialects.openai_responses.resumed import resume
from octoplex.dialects.openai_responses.shapes import NAME
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Reply


class OpenAIResponsesFace:
    """Reads requests from, and writes replies to, a caller of the Responses dialect.

    `now` is Unix time in seconds: replies say when they were created. `stores` says that
    somebody keeps the responses that may be kept, so that `store` is told as it was asked.
    With a `reply_id` it is the face of one reply, which has this id and not its provider's.
    """

    name = NAME

    def __init__(
        self, now: Callable[[], float] = time.time, *, stores: bool = False, reply_id: str = ""
    ) -> None:
        self._now, self._stores, self._reply_id = now, stores, reply_id

    def read_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        return read_head(fields)

    def read_count_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        """The head of a request to `/responses/input_tokens`."""
        return read_count_head(fields)

    def decode_chat(self, call: Call) -> Chat:
        return read_chat(call)

    def encode_reply(self, reply: Reply) -> bytes:
        """The reply, with the defaults where it should repeat the request."""
        return self._reply(reply, {}, "unknown", int(self._now()))

    def encode_reply_to(self, call: Call, reply: Reply) -> bytes:
        """The reply, with the request's parameters repeated."""
        return self._reply(reply, call.fields, call.reply_id, call.replied_at(self._now))

    def encode_count(self, input_tokens: int) -> bytes:
        """The reply to a request that counts tokens."""
        return msgspec.json.encode(
            {"object": "response.input_tokens", "input_tokens": input_tokens}
        )

    def encoder(self, call: Call) -> Encoder:
        id_, created = self._reply_id or f"resp_{call.reply_id}", call.replied_at(self._now)
        head = self._head(id_, call.model, call.fields, created)
        now = partial(call.replied_at, self._now)
        return ResponsesEncoder(call.reply_id, head, now, keeps_id=bool(self._reply_id))

    def resume(self, call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        return resume(call, wire, told, self._now)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return write_error(error, request_id)

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def fail_event(self, error: GatewayError, request_id: str) -> bytes:
        return write_fail_event(error, request_id, int(self._now()))

    def _reply(
        self, reply: Reply, fields: Mapping[str, Raw], request_id: str, created: int
    ) -> bytes:
        id_ = self._reply_id or reply.id or f"resp_{request_id}"
        reply = msgspec.structs.replace(reply, id=id_)
        head = self._head(id_, reply.model, fields, created)
        return msgspec.json.encode(write_reply(reply, head))

    def _head(self, id_: str, model: str, fields: Mapping[str, Raw], created: int) -> Head:
        echo = echo_of(fields, stores=self._stores)
        return Head(id_, model, created, echo, forms_of(fields.get("tools")))
