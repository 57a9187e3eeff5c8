"""`Idempotency-Key`: the same request sent twice is asked once, billed once, answered the same.

    answerer = idempotent(inner, cache, claims)    the layer; asks without the header pass by

A caller that heard nothing sends its request again under the same key, and is given the answer
to the first, whether that has ended, is on its way, or its caller has left: it goes on
without anybody until its deadline, because it is paid for. The flights, what is kept and how a
stream is given again are those of the cache (`cache/`), kept a day instead of a route's time;
the answer is kept as its caller was given it, behind the guard.

Where several processes or hosts answer, `Claims` says whose call a key is; what it brings is kept
where they all find it (`cache.stock`), and only then is the claim given back.

Another request under a key that is in use is refused. What has failed is not kept: the next
try is made anew, and if the provider billed the first one there are two bills. Reference:
https://docs.stripe.com/api/idempotent_requests

Not promised: anything for answers above `Room.row_bytes`; that an answer is still there whose
room others needed within the day. A kill ends what is on its way, so that the next try is a
second call.
"""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Protocol

import msgspec
from msgspec import Raw

from octoplex.reflex.cache.fingerprint import Keyed, Rule, compact
from octoplex.reflex.cache.layer import OPERATIONS, Cache
from octoplex.reflex.cache.replay import Replay
from octoplex.wire.answer import Answer, Answerer, bound
from octoplex.wire.ask import Ask, Attempt, Call, Single
from octoplex.wire.beside import beside
from octoplex.wire.error import DeadlinePassed, InvalidCall, KeyReused

HEADER = "idempotency-key"
LONGEST = 255
BILLED = OPERATIONS | {"compact"}
RULE = Rule(route="(idempotency)", version="", ttl_ms=86_400_000, tool_calls=True)
_pack = msgspec.msgpack.Encoder().encode


class Claims(Protocol):
    """Whose call an idempotency key is, where more than one process may be given it.

    Who cannot be asked says that it is free: two calls are better than none.
    """

    async def take(self, key: bytes, asked: bytes) -> bytes | None:
        """Claim a key until `give_back`: None, or what is asked (`Rule.asked`) by who has it.

        Who is still claiming it does not have it. A claim whose holder is gone ends within seconds.
        """
        ...

    def give_back(self, key: bytes) -> None:
        """The call has ended. What was kept (`Stock.keep`) before is found by whoever waits."""
        ...

    async def freed(self, key: bytes, until_at: float) -> None:
        """Wait until a key may be free again, at most until a time of the loop's clock."""
        ...


def name_of(headers: Mapping[str, str], caller_id: str, keyed: Keyed) -> bytes | None:
    """What stands for the idempotency key of a caller; None without one.

    Raises:
        InvalidCall: it is no key.
    """
    given = headers.get(HEADER)
    if given is None:
        return None
    if not 0 < len(given) <= LONGEST or not given.isprintable():
        raise InvalidCall(
            f"The Idempotency-Key must be 1 to {LONGEST} characters that can be printed; "
            "a UUID is usual.",
            param=HEADER,
        )
    return keyed(_pack(("idempotency 1", caller_id, given)))


def idempotent(inner: Answerer, cache: Cache, claims: Claims | None = None) -> Answerer:
    """Answer an ask that brings a key it was brought before with the answer of then.

    Without `claims` no other process is given the same keys.

    Raises (the answerer):
        KeyReused: the key was another request's.
        InvalidCall: it is no key.
        DeadlinePassed: the first one is still being answered.
    """

    inner = bound(inner)

    def answer(ask: Ask) -> Awaitable[Answer]:
        if HEADER not in ask.headers or ask.op not in BILLED:
            return inner(ask)
        return _answer(inner, cache, claims, ask)

    return answer


async def _answer(inner: Answerer, cache: Cache, claims: Claims | None, ask: Ask) -> Answer:
    key = name_of(ask.headers, ask.caller.id, cache.keyed)
    assert key is not None
    asked = await beside(len(ask.raw), lambda: cache.keyed(_pack(_what(ask))))
    rule = msgspec.structs.replace(RULE, asked=asked)
    now = asyncio.get_running_loop().time
    since_at = now()
    ask.trail.told_as = (ask.id, int(time.time()))
    while True:
        replay = await cache.find(key, rule)
        flight = None if replay else cache.flights.get(key)
        if replay is not None:
            _check(replay.asked, rule)
        elif flight is not None:
            _check(flight.rule.asked, rule)
            replay = await flight.follow(ask.deadline_at)
        else:
            first = await _first(inner, cache, claims, ask, rule, key)
            if first is not None and not isinstance(first, Replay):
                return first
            replay = first
        if replay is not None:
            return _again(ask, rule, replay, cache, now() - since_at)
        if now() >= ask.deadline_at:
            raise DeadlinePassed(
                "The request that came first with this Idempotency-Key is still being answered; "
                "ask again with it."
            )


async def _first(
    inner: Answerer, cache: Cache, claims: Claims | None, ask: Ask, rule: Rule, key: bytes
) -> Answer | Replay | None:
    """The answer to this ask where nobody has it yet; what another brought; None: look again."""
    if claims is None:
        return await cache.launch(inner, ask, rule, key).lead()
    theirs = await claims.take(key, rule.asked)
    if theirs == rule.asked:
        await claims.freed(key, ask.deadline_at)
        return None
    if theirs is not None:  # or it is only looking for what another call has brought meanwhile
        replay = await cache.find(key, rule)
        _check(replay.asked if replay is not None else theirs, rule)
        return replay
    over = partial(claims.give_back, key)
    try:
        replay = await cache.find(key, rule)  # it may have been kept just before it was ours
    except BaseException:
        over()
        raise
    if replay is None:
        return await cache.launch(inner, ask, rule, key, over=over).lead()
    over()
    _check(replay.asked, rule)
    return replay


def _what(ask: Ask) -> tuple[object, ...]:
    """All that makes a request another one: its next try may get another variant."""
    fields: Mapping[str, Raw] = ask.fields if isinstance(ask, Call | Single) else {}
    fields = fields if ask.trail.sent is None else ask.trail.sent
    betas = ask.headers.get("anthropic-beta", "")
    return ("request 1", ask.face, ask.op, ask.stream, ask.model, betas, compact(fields))


def _check(asked: bytes, rule: Rule) -> None:
    if asked != rule.asked:
        raise reused()


def reused() -> KeyReused:
    """The refusal of another request under a key that is in use."""
    return KeyReused(
        "This Idempotency-Key was sent with another request within the last 24 hours; "
        "send the same body again, or a new key.",
        param=HEADER,
    )


def _again(ask: Ask, rule: Rule, replay: Replay, cache: Cache, waited_s: float) -> Answer:
    """What was answered, and where it is written down that nothing was asked for it."""
    trail = ask.trail
    trail.replayed, trail.route, trail.why = True, replay.route, "idempotency key"
    trail.told_as = replay.told_as
    trail.saved_nano = replay.nano
    trail.dropped.extend(replay.dropped)
    trail.added.extend(replay.added)
    row = Attempt(replay.target, outcome="replayed", status=200, duration_s=waited_s)
    trail.attempts.append(row)
    return replay.answer(ask, rule, cache.views)
