"""What may be fetched for a caller, and from where: the rules, and a URL under them.

    rules.site(url, "messages[0].content[1]") -> Site       or InvalidCall, Unsupported

A `Site` is a server and a request line. Which address it is reached at is decided where
the connection is made (`transport/public.py`), for every redirect anew.

Not promised: that a host on the list is harmless; its addresses are checked like all others.
"""

import re
from urllib.parse import SplitResult, quote, urlsplit

from msgspec import Struct

from octoplex.transport.origin import Origin
from octoplex.transport.public import Network, is_public_name
from octoplex.wire.error import BadConfig, InvalidCall, Unsupported

LONGEST_URL = 8_192
_PORTS = {"https": 443, "http": 80}
_SAFE = "/%:@!$&'()*+,;=-._~?"
INSTEAD = "Send it as base64"


class Site(Struct, frozen=True):
    """Where something lies. `shown` is what may be said of it: never the query."""

    origin: Origin
    target: str
    url: str

    @property
    def shown(self) -> str:
        """Scheme and host."""
        return f"{self.origin.scheme}://{self.origin.authority}"


class Rules(Struct, frozen=True, kw_only=True):
    """`part_bytes` bounds one part, `total_bytes` all of a call; `wait_s` is for all together.

    Without `hosts` every public one is good. `networks` are further addresses that are.
    """

    fetch: bool = True
    part_bytes: int = 20_000_000
    total_bytes: int = 50_000_000
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    http: bool = False
    wait_s: float = 20.0

    def site(self, url: str, path: str) -> Site:
        """Read a URL that stands at `path` of a request.

        Raises:
            InvalidCall: it may not be fetched, whoever asks.
            Unsupported: it may not be fetched here.
        """
        parts, port = _split(url, path)
        secure = parts.scheme == "https" or (parts.scheme == "http" and self.http)
        if not secure or not parts.hostname:
            wanted = "an https or http" if self.http else "an https"
            raise wrong(path, f"it must be {wanted} URL of a host", what=parts.scheme[:20])
        if "@" in parts.netloc:
            raise wrong(path, "a URL must not hold a user or a password")
        host = parts.hostname.lower().removesuffix(".")
        listed = self._lists(host, port)
        if self.hosts and not listed:
            raise unsupported(path, f"this gateway does not fetch from {host[:100]}")
        if not listed and (port != _PORTS[parts.scheme] or not is_public_name(host)):
            raise wrong(path, "its host or port is none of the public web")
        return _site(parts, path)

    def _lists(self, host: str, port: int) -> bool:
        return any(_fits(entry.lower(), host, port) for entry in self.hosts)


def _fits(entry: str, host: str, port: int) -> bool:
    """Whether a host is `name`, `name:port`, or below `*.name`; no port means the usual ones."""
    name, colon, wanted = entry.rpartition(":")
    if not colon:
        name, wanted = entry, ""
    if port != int(wanted) if wanted else port not in _PORTS.values():
        return False
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host == name


def _split(url: str, path: str) -> tuple[SplitResult, int]:
    """The parts of a URL. What `urlsplit` would drop in silence is refused."""
    if len(url) > LONGEST_URL or re.search(r"[\x00-\x20\x7f\\]", url):
        raise wrong(path, "it is no URL: it is too long, or holds a blank or a backslash")
    try:
        parts = urlsplit(url)
        return parts, parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise wrong(path, "it is no URL") from None


def _site(parts: SplitResult, path: str) -> Site:
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE)
    try:
        origin = Origin.parse(f"{parts.scheme}://{parts.netloc}")
        origin.head("GET", target)
    except BadConfig:
        raise wrong(path, "it is no URL that can be asked") from None
    return Site(origin, target, parts.geturl())


def wrong(path: str, why: str, *, what: str = "") -> InvalidCall:
    """What stands at `path` cannot be fetched, whoever asks."""
    said = f", not {what!r}" if what else ""
    return InvalidCall(f"`{path}` cannot be fetched: {why}{said}. {INSTEAD}.", param=path)


def unsupported(path: str, why: str) -> Unsupported:
    """What stands at `path` is not fetched here."""
    return Unsupported(
        f"`{path}` is a URL, of which the target needs the bytes, and {why}. {INSTEAD}.",
        param=path,
    )
