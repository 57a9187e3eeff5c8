"""What the configuration file says of guards: `[guard]`, and `[models.NAME.guard]` over it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

Action = Literal["allow", "flag", "mask", "partial", "hash", "token", "block"]
"""What becomes of a finding, from least to most.

`mask` puts its type in its place, `partial` leaves its end, `hash` puts a keyed hash that is the
same for the same text, `token` puts a name that is turned back in the reply.
"""
Actions = Action | dict[str, Action]
"""One for all types, or one by type with `default` for the rest."""


class Custom(Struct, frozen=True, kw_only=True):
    """`[guard.patterns.NAME]`: a regular expression in RE2's syntax.

    `longest` is the most characters a match has: so many may be held back in a stream.
    """

    regex: str
    action: Action = "mask"
    longest: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 64


class Guard(Struct, frozen=True, kw_only=True):
    """`[guard]`. What is not given is taken from the table above it, and is else "allow".

    `words` are words and phrases, or `file:PATH` with one a line. `untrusted` is what becomes of a
    reply that calls a tool after results of tools were read, other than those that `reads` (globs)
    names. `judge` is a model, "models.NAME" or "provider/model", that is asked about each request.
    """

    pii: Actions | None = None
    secrets: Actions | None = None
    injection: Action | None = None
    words: tuple[str, ...] | None = None
    words_action: Action | None = None
    patterns: dict[str, Custom] | None = None
    untrusted: Literal["allow", "flag", "block", "approve"] | None = None
    reads: tuple[str, ...] | None = None
    judge: str | None = None
    judge_action: Literal["flag", "block"] | None = None
    judge_fails: Literal["pass", "block"] | None = None
    judge_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None

    def over(self, other: "Guard") -> "Guard":
        """This table with what only the other one gives."""
        given = {k: v for k, v in msgspec.structs.asdict(self).items() if v is not None}
        return msgspec.structs.replace(other, **given)
