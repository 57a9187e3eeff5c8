"""`POST /v1/feedback`: what a caller says of an answer it got.

    {"request_id": "req_...", "score": 0}   ->   {"request_id", "score", "cache": {"min"}}

`score` is 1 or true for right, 0 or false for wrong, or between. It counts for answers that
the semantic cache gave for another wording: `min` is the cosine that a hit must have from now
on, for this caller's tenant and that route. Said again, it takes the place of what was said.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from octoplex.gateway import Gateway
from octoplex.reflex.cache.marks import score_of
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.reads import own_record
from octoplex.wire.error import InvalidCall

RIGHT = 0.5


class _Feedback(Struct):
    request_id: str
    score: Annotated[float, Meta(ge=0, le=1)] | bool


_read = msgspec.json.Decoder(_Feedback).decode


async def feedback(inbound: Inbound, gateway: Gateway) -> None:
    """Say whether an answer was right."""
    body = await read_body(inbound, gateway.max_body)
    try:
        said = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidCall(f"The body is no feedback: {error}.") from None
    record = await own_record(said.request_id, inbound.caller, gateway)
    cosine = score_of(record.why)
    if record.cache != "semantic" or cosine is None:
        raise InvalidCall(
            f'Request "{record.id}" was not answered by the semantic cache; '
            "feedback on other answers is not taken yet.",
            param="request_id",
        )
    rule = gateway.plan.caches.rules.get(record.route)
    if rule is None or rule.near is None:
        raise InvalidCall(
            f'The route "{record.route}" has no semantic cache any more.', param="request_id"
        )
    good = said.score >= RIGHT
    least = await gateway.works.cache.marks.mark(inbound.caller, rule, record.id, cosine, good)
    answer = {
        "request_id": record.id,
        "score": float(said.score),
        "cache": {"min": round(least, 4)},
    }
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(answer))
