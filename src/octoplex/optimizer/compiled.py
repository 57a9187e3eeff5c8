"""A policy as bytes: what the learner hands to those who decide.

    load(dump(Compiled(policy, encoder, variants)))    decides as it did, to the last bit

`MAGIC`, a CRC-32 of the rest, then MessagePack; arrays are raw little-endian numbers. Equal
policies have equal bytes, so that a policy that is made again can be compared with one that was
kept. Another width of vectors, or other rungs, are another build's: such bytes are refused.
"""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from octoplex.optimizer.features import SIZE, WIDTH, Encoder, Values
from octoplex.optimizer.policy import RUNGS, Judging, Limits, Mix, Policy, Snapshot
from octoplex.optimizer.scorer import Scorer
from octoplex.wire.error import BadConfig

MAGIC = b"octoplex policy 2\n"
MOST = 1_000
"""Variants, and snapshots: no policy has nearly as many."""


class Compiled(NamedTuple):
    """Everything that a decision needs but the request."""

    policy: Policy
    encoder: Encoder | None
    """None before the first fit."""
    variants: tuple[str, ...]
    """For whom it was made, the reference first: for others it says nothing."""


class _Scorer(msgspec.Struct, frozen=True, array_like=True):
    weights: bytes
    prompts: bytes
    known: bytes
    mean: float


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    scorers: tuple[_Scorer, ...]
    cuts: bytes
    savings: bytes
    rate: float
    born: int


_Shares = tuple[tuple[float, int], ...]
"""Weights, and places in `_Policy.snapshots`."""


class _Policy(msgspec.Struct, frozen=True, array_like=True):
    variants: tuple[str, ...]
    idf: bytes | None
    snapshots: tuple[_Snapshot, ...]
    serving: _Shares
    newest: int
    """A place there; -1: there is none."""
    judging: Judging
    rung: int
    version: int
    limits: tuple[tuple[str, int, _Shares], ...]
    """Segments with rungs of their own."""
    is_closed: bool


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Policy).decode


def dump(compiled: Compiled) -> bytes:
    """The bytes of a policy."""
    policy, encoder, variants = compiled
    told = [*policy.serving, *([] if policy.newest is None else [policy.newest])]
    unique = {id(one): one for one in told}
    place = {key: number for number, key in enumerate(unique)}
    body = _encode(
        _Policy(
            variants,
            None if encoder is None else _raw(encoder.idf, "<f8"),
            tuple(_dumped(one) for one in unique.values()),
            tuple(
                (float(weight), place[id(one)])
                for weight, one in zip(policy.weights, policy.serving, strict=True)
            ),
            -1 if policy.newest is None else place[id(policy.newest)],
            policy.judging,
            policy.rung,
            policy.version,
            tuple(
                (name, mix.rung, tuple((float(w), place[id(one)]) for w, one in mix.shares))
                for name, mix in policy.limits.segments.items()
            ),
            policy.limits.is_closed,
        )
    )
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def load(data: bytes) -> Compiled:
    """The policy of these bytes.

    Raises:
        BadConfig: they are damaged, or no policy of this build.
    """
    head = len(MAGIC) + 4
    if data[: len(MAGIC)] != MAGIC:
        raise BadConfig("This is no policy that this octoplex can read.")
    if zlib.crc32(data[head:]).to_bytes(4, "little") != data[len(MAGIC) : head]:
        raise BadConfig("This policy is damaged: its checksum is another.")
    try:
        return _loaded(_decode(data[head:]))
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise BadConfig(f"This policy cannot be read: {error}.") from None


def _loaded(told: _Policy) -> Compiled:
    candidates = len(told.variants) - 1
    if not 1 <= candidates < MOST or len(told.snapshots) > MOST:
        raise ValueError(f"it has {candidates} candidates and {len(told.snapshots)} snapshots")
    snapshots = [_snapshot(one, candidates) for one in told.snapshots]
    rungs = [told.rung, *(rung for _, rung, _ in told.limits)]
    places = [place for _, place in [*told.serving, *(s for one in told.limits for s in one[2])]]
    if min([told.newest + 1, *places]) < 0 or not 0 <= min(rungs) <= max(rungs) <= RUNGS:
        raise ValueError("a number is out of its range")
    encoder = None if told.idf is None else Encoder(_array(told.idf, "<f8", SIZE))
    if snapshots and (encoder is None or told.newest < 0):
        raise ValueError("it has snapshots, and nothing to read requests with")

    def shares(of: _Shares) -> list[tuple[float, Snapshot]]:
        return [(weight, snapshots[place]) for weight, place in of]

    policy = Policy(
        snapshots[told.newest] if told.newest >= 0 else None,
        told.judging,
        shares(told.serving),
        told.rung,
        told.version,
        Limits({name: Mix(r, shares(of)) for name, r, of in told.limits}, told.is_closed),
    )
    return Compiled(policy, encoder, told.variants)


def _dumped(snapshot: Snapshot) -> _Snapshot:
    return _Snapshot(
        tuple(
            _Scorer(
                _raw(one.weights, "<f4"),
                _raw(list(one.known), "<u8"),
                _raw(list(one.known.values()), "<f8"),
                float(one.mean),
            )
            for one in snapshot.scorers
        ),
        _raw(snapshot.cuts, "<f8"),
        _raw(snapshot.savings, "<f8"),
        float(snapshot.rate),
        snapshot.born,
    )


def _snapshot(told: _Snapshot, candidates: int) -> Snapshot:
    if len(told.scorers) != candidates:
        raise ValueError(f"{len(told.scorers)} scorers are not one for each candidate")
    return Snapshot(
        tuple(_scorer(one) for one in told.scorers),
        _array(told.cuts, "<f8", RUNGS),
        _array(told.savings, "<f8", candidates),
        told.rate,
        told.born,
    )


def _scorer(told: _Scorer) -> Scorer:
    known = len(told.prompts) // 8
    prompts, values = _array(told.prompts, "<u8", known), _array(told.known, "<f8", known)
    weights: npt.NDArray[np.float32] = _array(told.weights, "<f4", WIDTH)
    return Scorer(weights, dict(zip(prompts.tolist(), values.tolist(), strict=True)), told.mean)


def _raw(numbers: Values | npt.NDArray[np.float32] | Sequence[float], kind: str) -> bytes:
    return np.asarray(numbers, np.dtype(kind)).tobytes()


def _array(data: bytes, kind: str, size: int) -> Any:
    """An array of its own in this machine's order.

    Raises:
        ValueError: it has another size.
    """
    found = np.frombuffer(data, np.dtype(kind))
    if len(found) != size:
        raise ValueError(f"an array has {len(found)} numbers instead of {size}")
    return found.astype(found.dtype.newbyteorder("="))
