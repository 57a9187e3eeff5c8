"""Run a coroutine without a task for as long as it waits for replies only.

    Eager(coro, loop, tasks).run()        its first step, now, inside the caller's turn of the loop

A task costs four turns of the event loop per request: its first step, the socket, the
future of the reply, the step after that. Here the first step runs where the request was
parsed, and the rest where the reply was: no task, no future, two turns less.

What such a coroutine waits for by itself is a `Bell` (a `Response` is one). As soon as it
waits for anything else it becomes an ordinary task and stays one. Code that needs the
current task (`asyncio.timeout` does) awaits `in_task()` first.

A `Bell` is also a future in asyncio's sense, so that tasks wait for it just as well.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from typing import Any

from msgspec import Struct

FIELDS_BELOW: tuple[str, ...] = ()


class Bell:
    """Something that one coroutine waits for, again and again. Waiting for it: `await bell`.

    Mixed into a Struct that has these fields, all None or False at first. `told` is what
    `wake` calls, once.
    """

    __slots__ = FIELDS_BELOW

    _asyncio_future_blocking: bool
    _cancelled: tuple[object, ...] | None
    told: Callable[[], object] | None

    def __await__(self) -> Generator["Bell", None, None]:
        self._asyncio_future_blocking = True
        yield self

    def wake(self) -> None:
        """Let who waits look again."""
        told = self.told
        if told is not None:
            self.told = None
            told()

    # What a task needs of a future.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of whoever waits."""
        return asyncio.get_running_loop()

    def add_done_callback(self, call: Callable[["Bell"], object], *, context: Context) -> None:
        """Call at the next `wake`, in a turn of its own as futures do."""
        self.told = partial(self.get_loop().call_soon, call, self, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Wake who waits with a cancellation."""
        if self.told is None:
            return False
        self._cancelled = () if msg is None else (msg,)
        self.wake()
        return True

    def result(self) -> None:
        """Nothing, or the cancellation."""
        words, self._cancelled = self._cancelled, None
        if words is not None:
            raise asyncio.CancelledError(*words)


class Eager(Struct, eq=False):
    """One coroutine, stepped by what it waits for. `_tasks` holds it when it became a task."""

    _coro: Coroutine[Any, Any, None] | None
    _loop: asyncio.AbstractEventLoop
    _tasks: set[asyncio.Task[Any]]
    _bell: Bell | None = None
    _task: asyncio.Task[Any] | None = None

    def run(self, error: BaseException | None = None) -> None:
        """Go on until it ends or must wait."""
        coro = self._coro
        assert coro is not None
        self._bell = None
        try:
            waited = coro.send(None) if error is None else coro.throw(error)
        except (StopIteration, asyncio.CancelledError):  # its own end, however it came
            self._coro = None
        except Exception as defect:  # noqa: BLE001 - as a task would: it has no other owner
            self._coro = None
            context = {"message": "a request ended with an exception", "exception": defect}
            self._loop.call_exception_handler(context)
        else:
            if isinstance(waited, Bell):
                self._bell = waited
                waited.told = self.run
            else:
                self._become_task(coro, waited)

    def cancel(self, msg: object = None) -> None:
        """Raise `CancelledError` where it waits; nothing when it has ended."""
        bell = self._bell
        if self._task is not None:
            self._task.cancel(msg)
        elif bell is not None:
            bell.told = None
            self.run(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        elif self._coro is not None:  # it runs just now: what it did has led here
            self._loop.call_soon(self.cancel, msg)

    def _become_task(self, coro: Coroutine[Any, Any, None], waited: Any) -> None:
        self._coro = None
        if waited is not None:
            coro = _go_on(coro, waited)
            coro.send(None)  # begun: what is thrown into one that is not never gets inside
        task = self._task = self._loop.create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@types.coroutine
def in_task() -> Generator[None, None, None]:
    """From here on there is a current task; costs nothing but the question where there is one."""
    if asyncio.current_task() is None:
        yield


async def _go_on(coro: Coroutine[Any, Any, None], waited: Any) -> None:
    await _resumed(coro, waited)


@types.coroutine
def _resumed(coro: Coroutine[Any, Any, None], waited: Any) -> Generator[Any, None, None]:
    """`yield from coro`, where what it yielded first has been taken already.

    Before that it yields once for `_become_task`, which takes that.
    """
    begun = False
    while True:
        try:
            if not begun:
                begun = True
                yield
            yield waited
        except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
            step = partial(coro.throw, error)
        else:
            step = partial(coro.send, None)
        try:
            waited = step()
        except StopIteration:
            return
        finally:
            del step  # it may hold an error whose traceback holds this frame
