"""Tasks in a database, kept by DBOS. Everything that asks it is here; all of it blocks.

    a task   a workflow, whose steps are batches of entries in the order they were kept
    a word   a workflow that nobody runs: its input is what was said first on a topic
    a beat   a workflow that nobody runs: it changes as long as an executor has tasks and lives

DBOS orders tasks, gives each to one executor and fences: a step is written only while the row says
that this execution owns its task, in the same transaction. Only its public interface is used, but
for `refuse_pickle`. Nothing is sent anywhere but to the database.

Raises everywhere:
    StoreFailed: the database cannot be asked.

Reference: docs/decisions/journal.md.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from octoplex.agents.journal.engine import (
    SCHEMA,
    Json,
    Lost,
    engines_of,
    keep_quiet,
    modules,
    refuse_pickle,
)
from octoplex.agents.journal.records import Entry, Order, Rules, read
from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.agents")
APP, VERSION = "octoplex", "1"
"""The version is that of what is kept, not of the program: a newer one takes tasks over."""
TASK, WORD, BEAT = "octoplex.task", "octoplex.word", "octoplex.beat"
QUEUE, NOWHERE = "octoplex-tasks", "octoplex-nowhere"
"""Nobody listens at the second."""
PRIORITIES = {"critical": 1, "high": 2, "medium": 3, "low": 4}
AGAIN_S, QUEUE_S = 2.0, 1.0
PAGE = 100
Row = Any
"""DBOS's `WorkflowStatus`."""


class Cabinet:
    """Open from `launch` to `close`. For any thread but one that runs an event loop."""

    def __init__(self, where: Path | Database) -> None:
        self._kit, sql = modules()
        self._dbos = self._kit.DBOS
        refuse_pickle()
        keep_quiet()
        own, gone = self._kit.error, sql.exc
        self._lost = (own.DBOSWorkflowConflictIDError, own.DBOSWorkflowCancelledError)
        self._away = (
            gone.OperationalError,
            gone.InterfaceError,
            gone.InternalError,
            gone.TimeoutError,
        )
        self._failed = (gone.SQLAlchemyError, own.DBOSException, OSError)
        self.executor = f"executor-{uuid.uuid4().hex}"
        self._shown = str(where) if isinstance(where, Path) else where.shown
        self._is_over = self._leaves = False
        self._engine, self._asking = engines_of(
            sql, where, lambda: self._is_over, lambda: self._leaves
        )
        self._run: Callable[[dict[str, Any]], str] | None = None
        self._client: Any = None
        self._schema = None if isinstance(where, Path) else SCHEMA
        self._inspect = sql.inspect
        self._turn = threading.Lock() if self._schema is None else nullcontext()
        """SQLite's writers wait for each other by looking now and then, and some starve."""
        self._own = ""
        self._beats = 0

    def launch(self, run: Callable[[dict[str, Any]], str], rules: Rules) -> None:
        """Make what is missing in the database, and let `run` run tasks, each in a thread."""
        self._own = "" if rules.takes_up else f"{QUEUE}-of-{self.executor}"
        with self._asked():
            self._connect()  # asks, while DBOS would wait for an answer
            self._dbos(
                config={
                    "name": APP,
                    "system_database_engine": self._engine,
                    "dbos_system_schema": SCHEMA,
                    "serializer": Json(),
                    "application_version": VERSION,
                    "executor_id": self.executor,
                    "log_level": "ERROR",  # while the database is away it warns all the time
                    "use_listen_notify": False,
                    "notification_listener_polling_interval_sec": 0.2,
                    "scheduler_polling_interval_sec": 3600.0,
                }
            )

            def task(order: dict[str, Any]) -> str:  # DBOS marks it, which a method forbids
                return run(order)

            self._run = self._dbos.workflow(name=TASK, max_recovery_attempts=None)(task)
            self._dbos.listen_queues([self._queue])
            self._dbos.launch()
            self._dbos.register_queue(
                self._queue,
                worker_concurrency=rules.at_once,
                polling_interval_sec=QUEUE_S,
                on_conflict="always_update",
            )

    def join(self) -> bool:
        """Only look; False: nobody made anything to look at yet."""
        with self._asked():
            if not self._inspect(self._asking).has_table("workflow_status", schema=self._schema):
                self._asking.dispose()
                return False
            self._connect()
        return True

    def _connect(self) -> None:
        self._client = self._kit.DBOSClient(
            system_database_engine=self._asking,
            dbos_system_schema=SCHEMA,
            serializer=Json(),
            application_name=APP,
            retry_connection_errors=False,
        )

    def stop(self) -> None:
        """No further task is run here. Those that run are told by their next `write`."""
        self._leaves = True
        self._dbos.destroy(destroy_registry=True)

    def close(self) -> None:
        """After `stop` and when nothing runs: others take over at once what is left."""
        try:
            if self._run is not None and self._client is not None:
                own, self._own = self._own, ""
                for task_id, executor in self.running():
                    if executor == self.executor:
                        self.resume(task_id)
                if own:
                    self._client.delete_queue(own)
                if self._beats:
                    self._client.delete_workflow(self.executor)
        except StoreFailed as failed:
            log.warning("tasks of this process are taken over later: %s", failed)
        finally:
            self._is_over = True
            self._engine.dispose()
            self._asking.dispose()

    @property
    def _queue(self) -> str:
        return self._own or QUEUE

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except self._failed as failed:
            raise StoreFailed(
                f"The database of tasks ({self._shown}) does not answer: {_why(failed)}"
            ) from None

    # ── from a task's own thread ──

    @property
    def task(self) -> str:
        """Whose thread this is."""
        return self._dbos.workflow_id or ""

    def write(self, entries: list[Entry], halt: threading.Event) -> None:
        """One step more, on disk. Waits while the disk is full or the database is away.

        What was not confirmed is written again, after it: `Past` takes it once.

        Raises:
            Lost: another execution has the task, it is cancelled, or `halt` is set.
        """
        while True:
            try:
                with self._turn:
                    kept = self._dbos.run_step({"name": "kept"}, lambda: entries)
                if kept is not entries:  # another has written here: DBOS gives that back unfenced
                    raise Lost
                return
            except self._lost:
                raise Lost from None
            except self._away as failed:
                log.error("task %s waits until it can be written down: %s", self.task, _why(failed))
                if halt.wait(AGAIN_S):
                    raise Lost from None
            except Exception:
                if halt.is_set():  # DBOS is gone already
                    raise Lost from None
                raise

    def pass_over(self, steps: int) -> None:
        """What is there already, is; the next `write` comes after it."""
        for _ in range(steps):
            self._dbos.reserve_step()

    # ── tasks ──

    def start(self, task_id: str, order: Order) -> None:
        """A new task, that runs here at once."""
        assert self._run is not None
        caller = self._kit.DBOSContextSetAuth(order.key_id, None)
        with self._asked(), caller, self._kit.SetWorkflowID(task_id):
            self._client.check_connection()  # DBOS itself would wait for it
            self._dbos.start_workflow(self._run, msgspec.to_builtins(order))

    def enqueue(self, task_id: str, order: Order) -> None:
        """A new task, that runs where there is room, the more urgent first."""
        with self._asked():
            self._client.enqueue(
                {
                    "workflow_name": TASK,
                    "queue_name": self._queue,
                    "workflow_id": task_id,
                    "workflow_id_reuse_policy": "reject",
                    "app_version": VERSION,
                    "priority": PRIORITIES[order.task.priority],
                    "authenticated_user": order.key_id,
                },
                msgspec.to_builtins(order),
            )

    def row(self, task_id: str, *, whole: bool = True) -> Row | None:
        """A task; `whole`: with what it was handed in with, and how it ended."""
        if not task_id.isprintable():  # PostgreSQL cannot even be asked for some of these
            return None
        with self._asked():
            rows = self._client.list_workflows(
                workflow_ids=[task_id], name=TASK, load_input=whole, load_output=whole
            )
        return rows[0] if rows else None

    def rows(self, key_id: str | None, until_ms: int | None) -> Iterator[Row]:
        """Tasks of a key or of all, newest first, those of that moment among them."""
        until = None if until_ms is None else _iso(until_ms + 1)
        for offset in count(0, PAGE):
            with self._asked():
                page = self._client.list_workflows(
                    name=TASK,
                    user=key_id,
                    end_time=until,
                    sort_desc=True,
                    limit=PAGE,
                    offset=offset,
                )
            yield from page
            if len(page) < PAGE:
                return

    def kept(self, task_id: str, offset: int = 0) -> list[tuple[int, Any]]:
        """The batches of a task, each with its step's number, from the one of that index on."""
        with self._asked():
            steps = self._client.list_workflow_steps(task_id, offset=offset)
        return [(step["function_id"], step["output"]) for step in steps]

    def running(self) -> list[tuple[str, str]]:
        """Tasks that somebody has, and who."""
        with self._asked():
            rows = self._client.list_workflows(
                name=TASK, status="PENDING", load_input=False, load_output=False
            )
        return [(row.workflow_id, row.executor_id or "") for row in rows]

    def resume(self, task_id: str) -> None:
        """Whoever has it, has it no more; the next one goes on from what is kept."""
        with self._asked():
            self._client.resume_workflow(task_id, queue_name=self._queue)

    def reopen(self, task_id: str, steps: int) -> None:
        """As `resume`, for a task that had ended."""
        with self._asked():
            self._client.rewind_workflow(task_id, start_step=steps + 1, queue_name=self._queue)

    def cancel(self, task_id: str) -> None:
        """End it, whatever runs it."""
        with self._asked():
            self._client.cancel_workflow(task_id)

    def note(self, task_id: str, **attributes: Any) -> None:
        """Beside a task, until it is noted otherwise."""
        with self._asked():
            self._client.update_workflow_attributes(task_id, attributes, merge=True)

    def staying(self, task_ids: list[str], keep_days: float) -> set[str]:
        """Those of these tasks that have not ended so long ago."""
        since_ms = datetime.now(UTC).timestamp() * 1000 - keep_days * 86_400_000
        with self._asked():
            rows = self._client.list_workflows(
                workflow_ids=task_ids, name=TASK, load_input=False, load_output=False
            )
        return {
            row.workflow_id
            for row in rows
            if row.completed_at is None or row.completed_at >= since_ms
        }

    def sweep(self, keep_days: float) -> int:
        """Forget tasks that ended longer ago, and what was said to them; how many."""
        now_ms = datetime.now(UTC).timestamp() * 1000
        until, day_ago_ms = _iso(now_ms - keep_days * 86_400_000), now_ms - 86_400_000
        with self._asked():
            old = self._client.list_workflows(
                name=TASK, completed_before=until, limit=PAGE, load_input=False, load_output=False
            )
            ids = [row.workflow_id for row in old]
            if ids:
                words = self._client.list_workflows(
                    name=WORD,
                    workflow_id_prefix=[f"{task_id}/" for task_id in ids],
                    load_input=False,
                    load_output=False,
                )
                self._client.delete_workflows([*(word.workflow_id for word in words), *ids])
            beats = self._client.list_workflows(name=BEAT, load_input=False, load_output=False)
            silent = [row.workflow_id for row in beats if (row.updated_at or 0) < day_ago_ms]
            if silent:
                self._client.delete_workflows(silent)
        return len(ids)

    # ── words ──

    def say(self, task_id: str, topic: str, value: Any) -> Any:
        """Say something to a task; what holds is what was said first."""
        with self._asked():
            self._put(WORD, f"{task_id}/{topic}", value)
        return self.said([(task_id, topic)])[task_id, topic]

    def said(self, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """What was said on these topics of tasks, where something was."""
        places = {f"{task_id}/{topic}": (task_id, topic) for task_id, topic in asked}
        with self._asked():
            rows = self._client.list_workflows(
                workflow_ids=list(places), name=WORD, load_output=False
            )
        return {places[row.workflow_id]: _given(row) for row in rows}

    def unsay(self, task_id: str, topic: str) -> None:
        """As if nobody had said it."""
        with self._asked():
            self._client.delete_workflow(f"{task_id}/{topic}")

    # ── beats ──

    def beat(self, *, anew: bool) -> None:
        """This executor lives; `anew`: it had no tasks, so its row may have been swept."""
        self._beats += 1
        if anew:
            with self._asked():
                self._put(BEAT, self.executor, None)
        self.note(self.executor, beat=self._beats)

    def beats(self, executors: Iterable[str]) -> dict[str, int]:
        """What they beat last, those that ever did."""
        asked = list(executors)
        with self._asked():
            rows = self._client.list_workflows(
                workflow_ids=asked, name=BEAT, load_input=False, load_output=False
            )
        return {row.workflow_id: (row.attributes or {}).get("beat", 0) for row in rows}

    def beat_of(self, task_id: str) -> tuple[str, int | None]:
        """Who runs a task, and what it beat last."""
        row = self.row(task_id, whole=False)
        executor = "" if row is None else row.executor_id or ""
        return executor, self.beats([executor]).get(executor)

    def _put(self, name: str, task_id: str, value: Any) -> None:
        self._client.enqueue(
            {"workflow_name": name, "queue_name": NOWHERE, "workflow_id": task_id}, value
        )


def _why(failed: BaseException) -> str:
    """What the database said; not what it was asked, which holds what tasks hold."""
    return str(getattr(failed, "orig", None) or failed).strip().split("\n")[0]


def _given(row: Row) -> Any:
    return row.input["args"][0] if isinstance(row.input, dict) else None


def order_of(row: Row) -> Order:
    """What a task was handed in with.

    Raises:
        StoreFailed: it is not what this program hands in.
    """
    return read(_given(row), Order)


def _iso(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
