"""What a route adds to a request: the members of `defaults` that its caller left out.

They are written in the caller's own dialect, before anything is priced, passed on or
translated. So one default holds for every target of the route, a reservation counts it, and
what the caller's dialect has no word for is treated like any other unknown member.

Not promised: anything about counts of tokens and compactions, to which nothing is added.
"""

from collections.abc import Awaitable, Mapping

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Face
from octoplex.dialects.verbatim import join
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import BadConfig

RESERVED = ("model", "models", "messages", "stream")
"""What decides where a request goes, how its answer comes, or is the request itself."""
SAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Two names of one member: who gave either has given it."""


def check_defaults(defaults: Mapping[str, object], where: str) -> None:
    """Refuse defaults that are not the route's to give.

    Raises:
        BadConfig: naming the member.
    """
    for name in RESERVED:
        if name in defaults:
            raise BadConfig(f'{where} defaults: "{name}" is the caller\'s to say; leave it out.')


class Defaulted:
    """An Answerer that completes a call before the one inside is asked."""

    __slots__ = ("_defaults", "_faces", "_inner")

    def __init__(
        self, inner: Answerer, defaults: Mapping[str, object], faces: Mapping[str, Face]
    ) -> None:
        self._inner, self._faces = inner, faces
        self._defaults = {n: Raw(msgspec.json.encode(v)) for n, v in defaults.items()}

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]:
        """Answer the completed call.

        Raises:
            InvalidCall: a default is not what the caller's dialect takes.
        """
        if isinstance(ask, Call) and ask.op != "compact":
            ask = self._completed(ask)
        return self._inner(ask)

    def _completed(self, call: Call) -> Call:
        given = call.fields
        added = {
            name: value
            for name, value in self._defaults.items()
            if name not in given and SAME.get(name) not in given
        }
        if not added:
            return call
        fields = {**given, **added}
        head = self._faces[call.face].read_head(fields)
        return msgspec.structs.replace(
            call,
            raw=join(fields),
            fields=fields,
            max_tokens=head.max_tokens,
            n=head.n,
            _chat=None,
            _worst=None,
        )
