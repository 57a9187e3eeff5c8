"""Where a Redis is: `[server] redis`, `redis_password` and `redis_prefix`, read.

    read(url, password, in_file=True) -> Address

A password does not belong in the file: it stands behind `redis_password`, or in a URL that is
itself behind a reference. What an `Address` shows of itself never has one.
"""

from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from octoplex.wire.error import BadConfig

PREFIX = "octoplex:"
HOW = 'write "redis://HOST:6379/0", "rediss://..." for TLS, or "env:NAME" for a variable'
_NO_URL = f"[server] redis: it is not the URL of a Redis; {HOW}."


class Address(Struct, frozen=True, kw_only=True):
    """Host and port, or the path of a Unix socket. The password is asked for when it is needed."""

    host: str = ""
    port: int = 6379
    path: str = ""
    db: int = 0
    tls: bool = False
    user: str | None = None
    password: Callable[[], str] | None = None
    prefix: str = PREFIX
    """What every key of ours begins with."""

    @property
    def shown(self) -> str:
        """For people: where it is."""
        return self.path or f"{self.host}:{self.port}"


def read(
    url: str, password: Callable[[], str] | None, *, in_file: bool, prefix: str = PREFIX
) -> Address:
    """The address in a URL; `in_file`: as it stands in the configuration, not behind a reference.

    Raises:
        BadConfig: it is none, or a password stands in the file. What was written is not shown.
    """
    try:
        parts = urlsplit(url)
        word, port = parts.password, parts.port or 6379
    except ValueError:
        raise BadConfig(_NO_URL) from None
    if parts.query or parts.fragment:
        raise BadConfig(f"[server] redis: its URL takes no options after ? or #; {HOW}.")
    if word is not None and in_file:
        raise BadConfig(
            "[server] redis: a password does not belong in the URL; take it out and write "
            'redis_password = "env:NAME".'
        )
    if word and password is None:
        known = unquote(word)
        password = lambda: known  # noqa: E731
    user = unquote(parts.username) if parts.username else None
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.hostname:
            raise BadConfig(f"[server] redis: a socket is written unix:///PATH; {HOW}.")
        path = unquote(parts.path)
        return Address(path=path, user=user, password=password, prefix=prefix)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise BadConfig(_NO_URL)
    return Address(
        host=parts.hostname,
        port=port,
        db=_number(parts),
        tls=parts.scheme == "rediss",
        user=user,
        password=password,
        prefix=prefix,
    )


def _number(parts: SplitResult) -> int:
    """The database behind the slash."""
    text = parts.path.strip("/")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise BadConfig("[server] redis: what follows the slash is the number of a database.")
    return int(text)
