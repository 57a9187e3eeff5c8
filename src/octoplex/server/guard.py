"""`POST /v1/guard`: what the guard says of a text, without asking any model.

    {"text": "...", "model": "main"}   ->   {"action", "findings", "text", "latency_us"}

`model` takes that route's guard, else it is `[guard]`; where there is none, everything that is
known is looked for and flagged. `text` is what a provider would get.
"""

import asyncio
from time import perf_counter_ns
from typing import get_args

import msgspec
from msgspec import Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.reflex.guard.config import Action
from octoplex.reflex.guard.ruling import Ruling, Verdict, find
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.wire.error import InvalidCall

LONGEST = 1_000_000
ORDER: tuple[Action, ...] = get_args(Action)


class _Question(Struct):
    text: str
    model: str = ""


_read = msgspec.json.Decoder(_Question).decode


async def guard(inbound: Inbound, gateway: Gateway) -> None:
    """Look through a text as a request would be, and say what becomes of it."""
    body = await read_body(inbound, gateway.max_body)
    try:
        asked = _read(body)
    except UNREADABLE as error:
        raise InvalidCall(f"The body is not a question to the guard: {error}.") from None
    if len(asked.text) > LONGEST:
        raise InvalidCall(
            f"`text` has {len(asked.text):,} characters; the most is {LONGEST:,}.", param="text"
        )
    guards = gateway.plan.guards
    route = gateway.plan.resolver.find(asked.model).name if asked.model else ""
    ruling = guards.of(route) if route else guards.usual
    if ruling is None or ruling.asked is None:
        ruling = await asyncio.to_thread(lambda: guards.looking)  # it may have to be compiled
    said = await asyncio.to_thread(_said, ruling, asked.text)
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, said)


def _said(ruling: Ruling, text: str) -> bytes:
    """What becomes of a text, and why."""
    assert ruling.asked is not None
    verdict = Verdict(ruling)
    began_ns = perf_counter_ns()
    found = find(ruling.asked, text)
    text = verdict.changed(text, found)
    latency_us = (perf_counter_ns() - began_ns) // 1_000
    actions = [action for _, action in verdict.counts]
    said = {
        "action": max(actions, key=ORDER.index, default="allow"),
        "findings": found,
        "text": text,
        "latency_us": latency_us,
    }
    return msgspec.json.encode(said)
