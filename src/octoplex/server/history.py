"""What a Responses request goes on from: `previous_response_id` and item references.

    call  ->  the same call with the whole conversation as its `input`

What is stored here is put in the place of what names it, before anything is asked: so a
conversation may go on at any target, in any dialect, and is authorised, reserved and
metered as what it is. So is a summary that was sealed here for this caller (a compaction item
of ours): it becomes a message, while what is kept of the request holds the item. What is not
stored here:

- an id of our form, or one that is or was somebody's here: 404, whoever asks;
- any other id: it may be a provider's own. Where the route has a target that speaks this
  dialect, the request passes as it is and the provider judges; elsewhere it is a 404.

Reference: https://developers.openai.com/api/docs/guides/conversation-state

Not promised: references that say neither their type nor anything else but an id.
"""

import re

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import value_of, wrong
from octoplex.dialects.openai_responses.compaction import SEALED, opened
from octoplex.dialects.openai_responses.shapes import NAME
from octoplex.dialects.openai_responses.stored import (
    by_id,
    joined,
    output_items,
    portable,
    referred,
    resolved,
)
from octoplex.dialects.verbatim import join
from octoplex.gateway import Gateway
from octoplex.ledger.rows import Stored
from octoplex.server.chat import call_of
from octoplex.server.inbound import Inbound
from octoplex.server.memory import Memory, memory_of
from octoplex.wire.ask import Call
from octoplex.wire.beside import beside
from octoplex.wire.error import NotFound

OURS = re.compile(r"resp_octo[0-9a-f]{40}")
"""The ids of responses that were written here; see `responses.new_id`."""
OUR_ITEMS = re.compile(r"[a-z]+(_in)?_[A-Za-z0-9]{1,32}_\d+")
MIXED = "*"
PREVIOUS = "previous_response_id"
_MARK = b"item_reference"
_ELSEWHERE = ("conversation", "prompt")
"""Members that stand for something which lies at the provider."""

_items = msgspec.json.Decoder(list[Raw]).decode
_json = msgspec.json.Encoder().encode


class Turn(Struct):
    """A request, and where it stands in its conversation.

    `call` is what is asked and `told` what its caller had asked, which replies repeat.
    `before` are the stored items that were put before `input`, the request's own. `origin`
    names the provider that alone knows some of them, `MIXED` where they are several.
    """

    call: Call
    told: Call
    input: Raw | None
    before: list[Raw] = []
    origin: str = ""
    whole: bool = True
    """Whether `before` and `input` are all there was: nothing more lies at a provider."""
    memory: Memory | None = None
    """Where it is remembered when it is not to be stored; None: nowhere."""


async def turn_of(inbound: Inbound, gateway: Gateway, call: Call) -> Turn:
    """Put what is stored in the place of what names it.

    Raises:
        NotFound: an id names nothing that this caller may go on from. Fact: `param`.
        InvalidCall: `previous_response_id` or `input` is not what it should be, or a compaction
            in it is not this caller's.
    """
    fields = call.fields
    previous = value_of(fields, PREVIOUS)
    input_ = fields.get("input")
    refers, sealed = await beside(len(call.raw), _mentions, input_)
    turn = Turn(call, call, input_, memory=memory_of(inbound.line))
    turn.whole = all(value_of(fields, name) is None for name in _ELSEWHERE)
    if previous is None and not refers and not sealed:
        return turn
    if previous is not None and not isinstance(previous, str):
        raise wrong(PREVIOUS, previous, "the id of a response")
    inbound.trail = None  # what is refused here never became a call
    now = fields.copy()
    if previous is not None and await _continue(turn, previous, inbound, gateway):
        del now[PREVIOUS]
    if refers:
        await _resolve(turn, inbound, gateway)
    size = len(call.raw) + sum(len(memoryview(item)) for item in turn.before)
    turn.call = await beside(size, _whole, turn, inbound, gateway, now, refers)
    turn.told = msgspec.structs.replace(turn.call, fields=fields)
    return turn


def _whole(
    turn: Turn, inbound: Inbound, gateway: Gateway, fields: dict[str, Raw], refers: bool
) -> Call:
    """The call with all of the conversation in it."""
    whole = turn.input
    if turn.before or refers:
        whole = joined(turn.before, turn.input)
        if not _at_home(turn, gateway):
            whole = portable(whole)
    if whole is not None:
        fields["input"] = opened(whole, inbound.caller.id, gateway.works.hasher.hash)
    return call_of(inbound, gateway, join(fields), turn.call.op)


def _mentions(input_: Raw | None) -> tuple[bool, bool]:
    """Whether it may refer to items, and hold a compaction of ours."""
    text = b"" if input_ is None else bytes(input_)
    return _MARK in text, SEALED in text


async def _continue(turn: Turn, id_: str, inbound: Inbound, gateway: Gateway) -> bool:
    """Take up the items of a stored response; False where the provider is to know it."""
    shelf, memory = gateway.store.responses, turn.memory
    row = None if memory is None else memory.find(inbound.caller.id, id_)
    if row is None:
        row = await shelf.find(inbound.caller.id, id_)
    if row is not None and row.whole:
        turn.before = [*_items(row.input), *output_items(row.body)]
        turn.origin = row.origin
        return True
    hidden = row is None and (OURS.fullmatch(id_) or await shelf.known([id_]))
    if hidden or not _may_pass(turn, gateway):
        raise NotFound(
            f"There is no response {id_[:128]!r} to go on from; send the conversation in `input`.",
            param=PREVIOUS,
        )
    turn.whole = False
    return False


async def _resolve(turn: Turn, inbound: Inbound, gateway: Gateway) -> None:
    """Put stored items in the place of references to them."""
    assert turn.input is not None
    shelf, ids = gateway.store.responses, referred(turn.input)
    found = by_id(turn.before)
    rows = await shelf.holding(inbound.caller.id, [i for i in ids if i not in found])
    for row in rows:
        items = by_id([*_items(row.input), *output_items(row.body)])
        held = {id_: items[id_] for id_ in ids if id_ in items and id_ not in found}
        if held:
            found |= held
            turn.origin = combined(turn.origin, row.origin)
    absent = [id_ for id_ in ids if id_ not in found and not OUR_ITEMS.fullmatch(id_)]
    if absent and _may_pass(turn, gateway):
        known = await shelf.known(absent)
        found |= {id_: _reference(id_) for id_ in absent if id_ not in known}
        turn.whole = turn.whole and known.issuperset(absent)
    turn.input = resolved(turn.input, found.get)


def _reference(id_: str) -> Raw:
    return Raw(_json({"type": "item_reference", "id": id_}))


def _providers(turn: Turn, gateway: Gateway) -> set[str]:
    """The providers that may be asked."""
    route = gateway.plan.resolver.route_of(turn.call)
    return {candidate.target.provider for candidate in route.candidates}


def _may_pass(turn: Turn, gateway: Gateway) -> bool:
    """Whether a provider may be asked that speaks this dialect."""
    sources = gateway.plan.sources
    known = (sources.get(name) for name in _providers(turn, gateway))
    return any(source is not None and NAME in source.paths for source in known)


def _at_home(turn: Turn, gateway: Gateway) -> bool:
    """Whether nobody else is asked than the one who knows the stored items."""
    return _providers(turn, gateway) == {turn.origin}


def combined(one: str, other: str) -> str:
    """The origin of items of both."""
    return one or other if not (one and other) or one == other else MIXED


def items_of(row: Stored) -> list[Raw]:
    """The input items of a stored response."""
    return _items(row.input)
