"""A chat request as it arrives, whoever brings it: the HTTP doors, the Python client.

    body (bytes of one JSON object) + who brings it  ->  Call

The head is checked here and nothing else is looked at, so a call means the same in
process as over HTTP. What a provider must not see (credentials, cookies) is never in
`headers`.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import CountFace, EchoFace, Face, HeadFields, Place
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import ANYONE, Call, Caller, Operation, Trail
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import Reply


class Patience(Struct, frozen=True, gc=False):
    """How long a request may take in all, in seconds."""

    plain_s: float
    stream_s: float

    def within(self, asked: bytes | None) -> "Patience":
        """The same, or what the caller itself allows (`x-stainless-read-timeout`) if shorter.

        Of a stream that header bounds the gaps, which keep-alives fill, not the whole: the
        SDKs' 600 s would end a long answer that nobody gave up on.
        """
        try:
            asked_s = float(asked) if asked else 0.0
        except ValueError:
            return self
        if not asked_s > 0:
            return self
        return Patience(min(self.plain_s, asked_s), self.stream_s)


class Arrival(Struct, frozen=True, gc=False):
    """Who brings a request, and when. `headers` are those that may travel.

    `place` is what the URL says where the body does not (`PathFace`).
    """

    id: str
    face: Face
    started_at: float
    patience: Patience
    caller: Caller = ANYONE
    headers: dict[str, str] = {}
    place: Place | None = None


def read_call(arrival: Arrival, body: bytes, op: Operation = "chat") -> Call:
    """Cut a body into its members and check its head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    fields = split(body)
    face, patience = arrival.face, arrival.patience
    head = face.read_head(fields) if op == "chat" else read_count_head(face, fields)
    place = arrival.place
    model, stream = (head.model, head.stream) if place is None else (place.model, place.stream)
    return Call(  # by position: a third of what keywords cost
        arrival.id,
        face.name,
        model,
        body,
        arrival.started_at + (patience.stream_s if stream else patience.plain_s),
        arrival.started_at,
        op,
        stream,
        arrival.caller,
        arrival.headers,
        Trail(),
        _tier(fields["service_tier"]) if "service_tier" in fields else "",
        fields,
        face.decode_chat,
        head.max_tokens,
        head.n,
        head.may_hold_media,
    )


def _tier(raw: Raw) -> str:
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return ""
    return value if isinstance(value, str) else ""


def read_count_head(face: Face, fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts its tokens.

    Raises:
        InvalidCall: it is wrong, or this dialect does not count.
    """
    if not isinstance(face, CountFace):
        raise InvalidCall(f"The {face.name} dialect does not count tokens; use /v1/messages.")
    return face.read_count_head(fields)


def written(face: Face, call: Call, reply: Reply) -> bytes:
    """A reply in the caller's dialect."""
    if isinstance(face, EchoFace):
        return face.encode_reply_to(call, reply)
    return face.encode_reply(reply)
