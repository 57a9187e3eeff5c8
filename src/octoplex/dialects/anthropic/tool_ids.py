"""Ids of tool calls in the alphabet that Anthropic and its clients accept.

Anthropic takes `^[a-zA-Z0-9_-]+$`; other providers write `functions.time:0` and worse.
A foreign id becomes `octo64_` plus its base64url, whose alphabet is just that one, so
it can be read back: the result of the tool reaches its provider under the id that the
provider itself gave. Ids that fit pass as they are.

Reference: https://platform.claude.com/docs/en/api/messages (`tool_use.id`)

Not promised: a limit on length; none is documented.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

_FITS = re.compile(r"[a-zA-Z0-9_-]+")
_MARK = "octo64_"


def to_wire(id_: str) -> str:
    """The id as Anthropic and its clients accept it."""
    if _FITS.fullmatch(id_) and not id_.startswith(_MARK):
        return id_
    return _MARK + urlsafe_b64encode(id_.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def from_wire(id_: str) -> str:
    """The id that `to_wire` was given; an id that is not its work comes back as it is."""
    if not id_.startswith(_MARK):
        return id_
    code = id_[len(_MARK) :]
    try:
        found = urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode("utf-8", "surrogatepass")
    except ValueError:
        return id_
    return found if to_wire(found) == id_ else id_


class ReplyIds:
    """The ids of one reply: none missing, none twice, the same for the same reply."""

    __slots__ = ("_given", "_reply")

    def __init__(self, reply_id: str) -> None:
        self._reply = reply_id
        self._given: set[str] = set()

    def give(self, id_: str) -> str:
        """The wire id for the next tool call, which its provider called `id_`."""
        wire = to_wire(id_) if id_ else ""
        if not wire or wire in self._given:
            seed = f"{self._reply}\0{len(self._given)}\0{id_}".encode("utf-8", "surrogatepass")
            wire = "toolu_" + blake2b(seed, digest_size=12).hexdigest()
        self._given.add(wire)
        return wire
