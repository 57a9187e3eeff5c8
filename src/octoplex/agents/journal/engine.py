"""The database under DBOS, and what DBOS must not do to a process that it is a guest of.

SQLite: one file, which several processes may write; with a journal that is rolled back, as the
ledger's own such files have, and every commit on disk. PostgreSQL: a schema of its own beside the
ledger's tables.

DBOS reads values that are marked as pickled by unpickling them, whatever serializer it was given,
so who can write to the database could run code. Here such values are refused.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import BadConfig

SCHEMA = "octoplex_tasks"
WAIT_MS = 30_000
PLACES, OWN_PLACES = 12, 6
"""Connections at most: DBOS's, of which it holds one or two all the time, and ours."""
AGAIN_S = 1.0


class Lost(BaseException):
    """The task is not this execution's any more. Not an error: DBOS would note it as the end."""


def modules() -> tuple[Any, Any]:
    """dbos and sqlalchemy, which comes with it. The first time takes most of a second.

    Raises:
        BadConfig: the extra is not installed.
    """
    try:
        import dbos
        import sqlalchemy
    except ModuleNotFoundError:
        raise BadConfig(
            'Tasks are kept with the dbos package: pip install "octoplex[agents]".'
        ) from None
    return dbos, sqlalchemy


class Json:
    """A serializer of DBOS's: values as JSON, exceptions as their text."""

    def serialize(self, data: Any) -> str:
        """Raises TypeError: it is no JSON."""
        return msgspec.json.encode(data, enc_hook=_shown).decode()

    def deserialize(self, serialized_data: str) -> Any:
        """Raises msgspec.DecodeError: it is no JSON."""
        return msgspec.json.decode(serialized_data)

    def name(self) -> str:
        """As it stands in the database."""
        return "octoplex_json"


class Refused(Json):
    """In the place of DBOS's pickling serializer, under its name: what it is given is not run."""

    def deserialize(self, serialized_data: str) -> NoReturn:
        """Never."""
        raise TypeError("a value is marked as pickled, which is refused: it could run code")

    def name(self) -> str:
        """As it stands in the database."""
        return "py_pickle"


def refuse_pickle() -> None:
    """In this process, for good. There is no public way."""
    import dbos._serialization

    setattr(dbos._serialization, "DBOSDefaultSerializer", Refused())  # noqa: B010


def keep_quiet() -> None:
    """DBOS adds a console of its own where its logger has nothing; here the gateway's logs hold."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def engines_of(
    sqlalchemy: Any, where: Path | Database, is_over: Callable[[], bool], leaves: Callable[[], bool]
) -> tuple[Any, Any]:
    """Connections to it, none of them open yet: DBOS's, and those of who asks it; and none any
    more when `is_over`.

    On PostgreSQL DBOS is given a connection once there is one to be had, at the latest when it
    `leaves`. By itself it would look again after pauses that grow to a minute and a half. Who
    waits holds a place, so others have places of their own.

    Raises:
        OSError: the file cannot be made.
    """
    if isinstance(where, Path):
        os.close(os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        engine = sqlalchemy.create_engine(
            f"sqlite:///{where}", pool_size=PLACES, max_overflow=0, pool_timeout=30
        )
        sqlalchemy.event.listen(engine, "connect", _prepare)
        sqlalchemy.event.listen(engine, "do_connect", partial(_admit, is_over, None))
        return engine, engine
    word = where.word if where.password else None
    own = _connections(sqlalchemy, where, PLACES)
    sqlalchemy.event.listen(own, "do_connect", partial(_await, is_over, leaves, word))
    asked = _connections(sqlalchemy, where, OWN_PLACES)
    sqlalchemy.event.listen(asked, "do_connect", partial(_admit, is_over, word))
    return own, asked


def _connections(sqlalchemy: Any, where: Database, places: int) -> Any:
    url = sqlalchemy.make_url(where.url).set(drivername="postgresql+psycopg")
    return sqlalchemy.create_engine(
        url,
        pool_size=places,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "application_name": "octoplex-tasks",
            "connect_timeout": 10,
            "options": "-c idle_in_transaction_session_timeout=60s",
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,  # what was sent into a dead line is given up, too
        },
    )


def _admit(is_over: Callable[[], bool], password: Callable[[], str] | None, *connect: Any) -> None:
    if is_over():  # DBOS tries for ever, and its threads keep a process from ending
        raise Lost
    if password is not None:
        connect[-1]["password"] = password()


def _await(
    is_over: Callable[[], bool],
    leaves: Callable[[], bool],
    password: Callable[[], str] | None,
    *connect: Any,
) -> Any:
    dialect, _, words, options = connect
    while True:
        try:
            _admit(is_over, password, options)
            return dialect.connect(*words, **options)
        except (dialect.loaded_dbapi.OperationalError, OSError):
            if leaves():
                raise
            time.sleep(AGAIN_S)


def _prepare(connection: Any, record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"  # as DBOS does: writers wait, and do not race
    connection.execute(f"pragma busy_timeout = {WAIT_MS}")
    connection.execute("pragma journal_mode = truncate")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")


def _shown(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {"error": f"{type(value).__name__}: {value}"}
    raise TypeError(f"{type(value).__name__} is no JSON")
