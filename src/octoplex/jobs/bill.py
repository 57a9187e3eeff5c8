"""What a line of a batch that its provider runs may cost, and what it did cost.

A line has one attempt, whose id follows from its batch and its custom_id: whenever it is
settled, the ledger knows it again. Attempts belong to the day on which the batch was made,
when the money was set aside.
"""

import time
from contextlib import suppress
from hashlib import blake2b

from msgspec import Struct

from octoplex.assembly.arrival import Arrival, read_call
from octoplex.assembly.batching import Posting
from octoplex.catalog.price import Price
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.single.plain import read_bill
from octoplex.gateway import Gateway
from octoplex.jobs.lines import Asked
from octoplex.jobs.vendors import Result
from octoplex.ledger.batch import Batch
from octoplex.ledger.book import Aside
from octoplex.ledger.rows import RELEASED, Order, Record
from octoplex.upstreams.metered import OUTPUT_WHEN_UNKNOWN
from octoplex.wire.ask import BYTES_PER_TOKEN, Attempt, Worst
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import NO_USAGE, Usage

CHATS = frozenset({"/v1/chat/completions", "/v1/messages"})


class Part(Struct, frozen=True):
    """One line that is with a provider, and the most it may cost."""

    asked: Asked
    worst: Worst
    nano: int


def part_of(gateway: Gateway, batch: Batch, asked: Asked, posting: Posting) -> Part:
    """The most that a line may cost; nothing where nobody says the price.

    Raises:
        GatewayError: it could not be asked here.
    """
    body = bytes(asked.body)
    worst = Worst(-(-len(body) // BYTES_PER_TOKEN), 0)
    if batch.endpoint in CHATS:
        face = gateway.works.faces[batch.face]
        worst = read_call(Arrival("", face, 0.0, gateway.patience), body).worst_case()
    price = posting.price()
    if price is None:
        return Part(asked, worst, 0)
    most = worst.output_tokens
    if most is None:
        most = posting.output_cap or OUTPUT_WHEN_UNKNOWN
    return Part(asked, worst, price.reserve_nano(worst.input_tokens, most * worst.n))


def usage_of(gateway: Gateway, batch: Batch, result: Result, part: Part) -> Usage | None:
    """What the provider reports of a line, else an estimate; None: it was not answered."""
    if result.reply is None or result.status >= 400:
        return None
    reply, usage = bytes(result.reply), None
    with suppress(UpstreamError, *UNREADABLE):
        if batch.endpoint in CHATS:
            usage = gateway.works.dialects[batch.face].read_whole(reply).usage
        else:
            usage = read_bill(reply)
    output = -(-len(reply) // BYTES_PER_TOKEN)
    return usage or Usage(part.worst.input_tokens, output, estimated=True)


def charge(aside: Aside, order: Order, price: Price | None, usage: Usage | None) -> int:
    """Settle a line; what it cost. An estimate never costs more than was set aside."""
    if usage is None:
        aside.settle(order, 0, NO_USAGE, "failed", RELEASED)
        return 0
    nano = 0 if price is None else price.cost_nano(usage)
    nano = min(nano, order.nano) if usage.estimated else nano
    aside.settle(order, nano, usage, "done")
    return nano


def request_id(batch: Batch, asked: Asked) -> str:
    """The same id for the same line, whenever it is settled."""
    said = f"{batch.id} {asked.custom_id}".encode()
    return f"req_{batch.created_at * 1000:011x}{blake2b(said, digest_size=8).hexdigest()}"


def order_of(batch: Batch, posting: Posting, part: Part) -> Order:
    """The attempt that a line has."""
    price = posting.price()
    return Order(
        request_id(batch, part.asked),
        1,
        batch.created_at * 1000,
        batch.key_id,
        batch.key_name,
        posting.route,
        posting.provider,
        posting.model,
        price.version if price else "",
        part.nano,
    )


def record_of(batch: Batch, order: Order, result: Result, usage: Usage | None, nano: int) -> Record:
    """What is kept of a line that has ended."""
    used = usage or NO_USAGE
    target = f"{order.provider}/{order.model}"
    return Record(
        id=order.request_id,
        at_ms=time.time_ns() // 1_000_000,
        key_id=batch.key_id,
        key=batch.key_name,
        face=batch.face,
        op="chat" if batch.endpoint in CHATS else "embed",
        route=order.route,
        model=order.route,
        target=target,
        status=result.status or 499,
        outcome="done" if usage else "failed",
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_tokens=used.cached_tokens,
        nano=nano,
        estimated=used.estimated,
        why=f"a line of {batch.id}",
        attempts=[
            Attempt(
                target,
                batch.remote.lane if batch.remote else "",
                "done" if usage else "failed",
                result.status,
            )
        ],
    )
