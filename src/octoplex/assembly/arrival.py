"""A chat request as it arrives, whoever brings it: the HTTP doors, the Python client.

    body (bytes of one JSON object) + who brings it  ->  Call

The head is checked here and nothing else is looked at, so a call means the same in
process as over HTTP. What a provider must not see (credentials, cookies) is never in
`headers`.
"""

from collections.abc import Callable, Mapping

from msgspec import Raw, Struct

from octoplex.dialects.dialect import CountFace, Face, HeadFields
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import ANYONE, Call, Caller, Operation
from octoplex.wire.error import InvalidCall


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
    head = face.read_head(fields) if op == "chat" else read_count_head(face, fields)
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


def read_count_head(face: Face, fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts its tokens.

    Raises:
        InvalidCall: it is wrong, or this dialect does not count.
    """
    if not isinstance(face, CountFace):
        raise InvalidCall(f"The {face.name} dialect does not count tokens; use /v1/messages.")
    return face.read_count_head(fields)
