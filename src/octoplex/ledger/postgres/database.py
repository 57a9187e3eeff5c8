"""Where a PostgreSQL is: `[server] database` and `database_password`, read.

    read(url, password, in_file=True) -> Database

A password does not belong in the file: it stands behind `database_password`, or in a URL that
is itself behind a reference. What a `Database` shows of itself never has one.
"""

from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from msgspec import Struct

from octoplex.wire.error import BadConfig

SCHEMES = ("postgresql", "postgres")
HOW = 'write "postgresql://USER@HOST:5432/NAME", or "env:NAME" for a variable that holds it'


class Database(Struct, frozen=True):
    """A URL without the password, which is asked for whenever it is needed."""

    url: str
    password: Callable[[], str] | None = None

    def word(self) -> str:
        """The password as it is now: it may have changed since the last connection.

        Raises:
            OSError: it is not there, as while its file is replaced.
        """
        assert self.password is not None
        try:
            return self.password()
        except BadConfig as error:
            raise OSError(str(error)) from error

    @property
    def shown(self) -> str:
        """For people: host and name."""
        parts = urlsplit(self.url)
        return f"{parts.netloc.rpartition('@')[2] or 'this host'}{parts.path or '/'}"


def read(url: str, password: Callable[[], str] | None, *, in_file: bool) -> Database:
    """The address in a URL; `in_file`: as it stands in the configuration, not behind a reference.

    Raises:
        BadConfig: it is none, or a password stands in the file. What was written is not shown.
    """
    where = "[server] database"
    try:
        parts = urlsplit(url)
        word, _ = parts.password, parts.port
    except ValueError:
        raise BadConfig(f"{where}: it is no URL; {HOW}.") from None
    if parts.scheme not in SCHEMES:
        raise BadConfig(f"{where}: it is not the URL of a PostgreSQL; {HOW}.")
    if "password" in parse_qs(parts.query) or (word is not None and in_file):
        raise BadConfig(
            f"{where}: a password does not belong in the URL; take it out and write "
            'database_password = "env:NAME".'
        )
    if password is None and word is not None:
        return Database(_without_password(parts), lambda: unquote(word))
    return Database(_without_password(parts), password)


def _without_password(parts: SplitResult) -> str:
    user, at, host = parts.netloc.rpartition("@")
    name = quote(unquote(user.partition(":")[0]), safe="")
    return parts._replace(netloc=f"{name}{at}{host}").geturl()
