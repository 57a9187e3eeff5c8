"""A chat request as it arrives, whoever brings it: the HTTP doors, the Python client.

    body (bytes of one JSON object) + who brings it  ->  Call

The head is checked here and nothing else is looked at, so a call means the same in
process as over HTTP. What a provider must not see (credentials, cookies) is never in
`headers`.
"""

from collections.abc import Callable, Mapping

from msgspec import Raw, Struct

from octoplex.dialects.dialect import Face
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import ANYONE, Call, Caller, Operation

ONE_TOKEN = Raw(b"1")


class Arrival(Struct, frozen=True, kw_only=True):
    """Who brings a request, and when. `wait_s` says how long it may take, streamed or not."""

    id: str
    face: Face
    started_at: float
    wait_s: Callable[[bool], float]
    caller: Caller = ANYONE
    headers: Mapping[str, str] = {}


def read_call(arrival: Arrival, body: bytes, op: Operation = "chat") -> Call:
    """Cut a body into its members and check its head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    fields = split(body)
    face = arrival.face
    # Counting takes the shape of a message without its output limit.
    head = face.read_head(fields if op == "chat" else {"max_tokens": ONE_TOKEN, **fields})
    return Call(
        id=arrival.id,
        face=face.name,
        model=head.model,
        raw=body,
        op=op,
        started_at=arrival.started_at,
        deadline_at=arrival.started_at + arrival.wait_s(head.stream),
        stream=head.stream,
        caller=arrival.caller,
        headers=dict(arrival.headers),
        fields=fields,
        understand=face.decode_chat,
        max_tokens=head.max_tokens,
        n=head.n,
        may_hold_media=head.may_hold_media,
    )
