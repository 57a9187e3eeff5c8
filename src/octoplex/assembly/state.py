"""Which store a configuration means: SQLite in the data folder, or a PostgreSQL beside it."""

from collections.abc import Mapping
from pathlib import Path

from octoplex.agents.memory.facts import Facts
from octoplex.agents.memory.file import open_file
from octoplex.ledger.folder import Folder
from octoplex.ledger.postgres.database import Database, read
from octoplex.ledger.queries import Reader
from octoplex.ledger.rows import NO_HEIRS, Heirs
from octoplex.ledger.sqlite import open_locked
from octoplex.ledger.store import Owned, Reads
from octoplex.secrets import is_reference
from octoplex.settings import Settings, secret
from octoplex.wire.error import BadConfig


def database_of(settings: Settings, env: Mapping[str, str]) -> Database | None:
    """The database that the file names; None is SQLite.

    Raises:
        BadConfig: it is no address, or its password is not there.
    """
    url, reference = settings.server.database, settings.server.database_password
    if not url:
        if reference:
            raise BadConfig("[server] database_password: there is no database it would open.")
        return None
    in_file = not (is_reference(url) or url.startswith(("env:", "file:")))
    if not in_file:
        url = secret(url, env, "[server] database")
    if not reference:
        return read(url, None, in_file=in_file)
    secret(reference, env, at := "[server] database_password")
    return read(url, lambda: secret(reference, env, at), in_file=in_file)


def open_state(data: Path, database: Database | None = None, address: str = "") -> Owned:
    """Open for writing; `Works` owns it, and a command that finds no server running.

    Raises:
        StoreFailed: another process has it.
        BadConfig: it cannot be used.
    """
    folder = Folder(data)
    folder.lock(address)
    return open_held(folder, database)


def open_held(folder: Folder, database: Database | None, heirs: Heirs = NO_HEIRS) -> Owned:
    """The same in a data folder that this process has locked. `heirs` outlived who had it before.

    Raises:
        StoreFailed, BadConfig: see `open_state`; the folder is let go of.
    """
    if database is None:
        return open_locked(folder, heirs=heirs)
    try:
        from octoplex.ledger.postgres import store
    except ModuleNotFoundError as error:
        folder.unlock()
        raise _missing(error) from None
    return store.open_locked(folder, database, heirs=heirs)


def reader_of(settings: Settings, env: Mapping[str, str], data: Path) -> Reads:
    """Read beside whoever writes. Opens nothing before it is asked.

    Raises:
        BadConfig: as `database_of`.
    """
    database = database_of(settings, env)
    if database is None:
        return Reader(data)
    try:
        from octoplex.ledger.postgres.store import open_reader
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return open_reader(data, database)


def facts_of(settings: Settings, env: Mapping[str, str], data: Path) -> Facts:
    """Where agents remember: beside the ledger. Opens nothing before it is asked.

    Raises:
        BadConfig: as `database_of`.
    """
    database = database_of(settings, env)
    if database is None:
        return open_file(data)
    try:
        from octoplex.agents.memory.postgres import PostgresFacts
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return PostgresFacts(database)


def _missing(error: ModuleNotFoundError) -> Exception:
    if error.name != "asyncpg":
        return error
    return BadConfig(
        "[server] database: PostgreSQL needs the extra `postgres`: "
        "pip install 'octoplex[postgres]'."
    )
