"""The headers of an answer: ours, and those each face's SDKs look for.

Reference for the names: `contracts.md` (Shapes), OpenAI's and Anthropic's API references.
"""

import math
from collections.abc import Iterable
from time import monotonic

from octoplex.gateway import Gateway, header_safe
from octoplex.server.inbound import Inbound
from octoplex.wire.answer import Head
from octoplex.wire.ask import Ask, Trail
from octoplex.wire.error import GatewayError, UpstreamError

GUESS = "x-octoplex-estimated: true\r\n"
NO_COMMENTS = frozenset({"gemini"})
"""Faces whose SDKs take an SSE comment for an event."""
WENT_ON = ("splice", "prefill")
"""What a rescue is called in a trail where somebody went on with the stream."""


def answer_headers(inbound: Inbound, call: Ask, head: Head, gateway: Gateway) -> bytes:
    """Header lines of an opened answer (about 2 us)."""
    trail = call.trail
    attempts = trail.attempts
    count = len(attempts)
    answered = attempts[0] if count == 1 else trail.answered()
    target = answered.target if answered is not None else head.model
    who = gateway.lines(trail.route, target, trail.cache)
    if call.face != "openai-chat":
        lines = f"{inbound.id_lines()}{who}x-octoplex-attempts: {count or 1}\r\n"
    else:
        spent_ms = int((monotonic() - call.started_at) * 1000)
        ids = inbound.id_lines() if inbound.echo else f"x-request-id: {inbound.id}\r\n"
        lines = (
            f"{ids}{who}x-octoplex-attempts: {count or 1}\r\nopenai-processing-ms: {spent_ms}\r\n"
        )
    if not call.stream:
        lines += f"x-octoplex-cost-nano: {trail.nano}\r\n"
        if trail.estimated:
            lines += GUESS
    if trail.dropped or trail.dropped_for:
        dropped = trail.all_dropped()
        if dropped:
            lines += f"x-octoplex-dropped: {_names(dropped)}\r\n"
    if trail.added:
        lines += f"x-octoplex-added: {_names(trail.added)}\r\n"
    if trail.replayed:
        lines += "idempotent-replayed: true\r\n"
    lines += gateway.works.desk.lines(call.caller.id, call.face)
    block = lines.encode("latin-1", "replace")
    return block + inbound.cors if inbound.cors else block


def _cost(trail: Trail) -> str:
    return f"x-octoplex-cost-nano: {trail.nano}\r\n{GUESS if trail.estimated else ''}"


def _names(names: Iterable[str]) -> str:
    """Member names in a header: the caller chose them, so they may hold anything."""
    return header_safe(", ".join(dict.fromkeys(names)))[:2_000]


def trailing(ask: Ask) -> bytes:
    """The comment that ends a stream: what its headers could not know yet."""
    if ask.face in NO_COMMENTS:
        return b""
    trail = ask.trail
    estimated = " estimated" if trail.estimated else ""
    more = f": x-octoplex-rescue: {trail.rescue}\n" if trail.rescue else ""
    answered = trail.answered() if trail.untold or trail.rescue in WENT_ON else None
    if answered is not None:  # a header names who began it, if it was known by then
        more += f": x-octoplex-model: {header_safe(answered.target)}\n"
    if trail.untold:
        lines = {"dropped": _names(trail.all_dropped()), "added": _names(trail.added)}
        lines |= {"route": header_safe(trail.route), "cache": trail.cache}
        more += "".join([f": x-octoplex-{name}: {said}\n" for name, said in lines.items() if said])
        more += ": idempotent-replayed: true\n" if trail.replayed else ""
    return (
        f": x-octoplex-cost-nano: {trail.nano}{estimated}\n"
        f": x-octoplex-attempts: {len(trail.attempts) or 1}\n{more}\n"
    ).encode()


def error_headers(error: GatewayError, inbound: Inbound, gateway: Gateway) -> bytes:
    """Header lines of an error: when to come back, and whether to come back at all; what it cost.

    The SDKs retry 429 and 5xx by themselves. What failed upstream was already retried
    here; saying so keeps two layers of retries from multiplying.
    """
    lines = inbound.id_lines()
    wait_s = error.retry_after_s
    if wait_s is not None:
        lines += (
            f"retry-after: {math.ceil(wait_s)}\r\nretry-after-ms: {math.ceil(wait_s * 1000)}\r\n"
        )
    if isinstance(error, UpstreamError):
        lines += "x-should-retry: false\r\n"
    elif error.retryable:
        lines += "x-should-retry: true\r\n"
    allow = error.facts.get("allow")
    if allow:
        lines += f"allow: {allow}\r\n"
    if inbound.trail is not None:
        count = len(inbound.trail.attempts)
        lines += f"x-octoplex-attempts: {count}\r\n{_cost(inbound.trail)}"
    lines += gateway.works.desk.lines(inbound.caller.id, inbound.face.name)
    return lines.encode("latin-1", "replace") + inbound.cors
