"""Failures inside a stream: an `error` event, then the failed response.

Both, because clients differ in which one they look for: SDKs raise on an event with an
`error` object, agents wait for a terminal `response.failed`. OpenAI sends both too. An
error that is no stream's has the Chat dialect's body (`openai_chat/failure.py`).

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: the wording of messages; `octoplex.code` is the stable word.
"""

import msgspec

from octoplex.dialects.openai_chat.failure import error_members
from octoplex.dialects.openai_responses.response import Head, echo_of, write_response
from octoplex.wire.error import ContentRefused, GatewayError

Body = dict[str, object]

_AFTER_ALL = 10**9
"""A sequence number above any that a stream which passed verbatim has used."""
_CODES = {"rate_limit_exceeded": "rate_limit_exceeded"}

_json = msgspec.json.Encoder().encode


def frame(type_: str, number: int, members: Body) -> bytes:
    """One SSE event of this dialect; its data repeats the event's name."""
    body = {"type": type_, "sequence_number": number, **members}
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), _json(body))


def write_failure(
    error: GatewayError, request_id: str, head: Head, output: list[Body], number: int
) -> bytes:
    """The two events, the first with this sequence number; nothing may follow them."""
    said = error_members(error, request_id)
    flat = {name: said[name] for name in ("code", "message", "param")}
    code = "invalid_prompt" if isinstance(error, ContentRefused) else _CODES.get(str(said["code"]))
    failed = write_response(
        head,
        "failed",
        output,
        error={"code": code or "server_error", "message": said["message"]},
    )
    return frame("error", number, {**flat, "error": said}) + frame(
        "response.failed", number + 1, {"response": failed}
    )


def write_fail_event(error: GatewayError, request_id: str, created: int) -> bytes:
    """The same for a stream that passed verbatim until now, of which nothing is known here."""
    head = Head(f"resp_{request_id}", "", created, echo_of({}, stores=False))
    return write_failure(error, request_id, head, [], _AFTER_ALL)
