"""The synchronous client: a thin face over the asynchronous one.

Each client owns one event loop on one thread of its own, started at its first use. Every
method runs its namesake there and waits, so both behave alike; `tests/client/test_parity.py`
compares names, signatures, docstrings and behaviour. Ctrl-C while it waits cancels what it
waits for. A client that is forgotten, or open when the interpreter ends, is closed.

Not promised: use after `fork`; make a client in each process.
"""

import asyncio
import threading
import weakref
from collections.abc import Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from octoplex.client.aio import AsyncChatStream, AsyncOctoplex
from octoplex.client.asked import Conversation, Options
from octoplex.client.reply import ChatReply, ModelOffer, Receipt
from octoplex.wire.event import Event, TextDelta

T = TypeVar("T")


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="octoplex-client", daemon=True)
        self._thread.start()
        self._started.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait; an interrupted wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel what still runs and end the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._stop.wait()


class _Bridge:
    """The thread of one client, made at its first use and ended with it."""

    def __init__(self, client: AsyncOctoplex) -> None:
        self._client = client
        self._guard = threading.Lock()
        self._thread: LoopThread | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the client's loop; once the client is closed, on a passing one."""
        with self._guard:
            if self._thread is None and not self._closed:
                self._thread = LoopThread()
            thread = self._thread
        return asyncio.run(work) if thread is None else thread.run(work)

    def close(self) -> None:
        """Close the client and end its thread."""
        with self._guard:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self._client.close())
            finally:
                thread.stop()


class ChatStream:
    """An answer while it arrives: iterate it for events, or `text` for pieces of text."""

    def __init__(self, stream: AsyncChatStream, bridge: _Bridge, owner: object) -> None:
        # The owner is held so that `Octoplex().chat(..., stream=True)` outlives its client.
        self._stream, self._bridge, self._owner = stream, bridge, owner

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._bridge.run(self._stream._next())
        if event is None:
            raise StopIteration
        return event

    @property
    def text(self) -> Iterator[str]:
        """The pieces of text alone, as they come."""
        return (event.text for event in self if isinstance(event, TextDelta))

    @property
    def receipt(self) -> Receipt:
        """What the gateway said beside it; the cost is known at the end."""
        return self._stream.receipt

    def reply(self) -> ChatReply:
        """Read to the end, and give the whole reply.

        Raises:
            UpstreamError: it broke off; what had come was delivered by iteration.
            CallerLeft: the stream was closed before its end.
        """
        return self._bridge.run(self._stream.reply())

    def close(self) -> None:
        """Stop caring: the provider's connection is closed at once. Harmless when repeated."""
        self._bridge.run(self._stream.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


class Octoplex:
    """A client of a gateway in this process, or behind a URL."""

    def __init__(
        self,
        *,
        config: str | None = None,
        data: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Say where the gateway is. Nothing is opened before the first use.

        Without `url` the gateway runs in this process, with the file `config` (default:
        ./octoplex.toml, then the user's own) and the data folder `data` (default: the
        file's). With it, requests go there. `api_key` is the caller's key, by default
        OCTOPLEX_API_KEY where a URL is given; `env` stands in for the environment.

        Raises:
            BadConfig: both a URL and a configuration are given.
        """
        self._async = AsyncOctoplex(config=config, data=data, url=url, api_key=api_key, env=env)
        self._bridge = _Bridge(self._async)
        self._close = weakref.finalize(self, self._bridge.close)

    @overload
    def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: Literal[False] = False,
        **options: Unpack[Options],
    ) -> ChatReply: ...

    @overload
    def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: Literal[True],
        **options: Unpack[Options],
    ) -> ChatStream: ...

    def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: bool = False,
        **options: Unpack[Options],
    ) -> ChatReply | ChatStream:
        """Ask a model. `messages` is a text, or the turns of a conversation.

        Raises:
            CallerError: something about the request must change.
            UpstreamError: no provider could answer.
            OurError: the gateway itself failed.
        """
        if stream:
            opened = self._bridge.run(self._async.chat(model, messages, stream=True, **options))
            return ChatStream(opened, self._bridge, self)
        return self._bridge.run(self._async.chat(model, messages, **options))

    def models(self) -> list[ModelOffer]:
        """List the models and routes that may be asked for, and why some cannot be now."""
        return self._bridge.run(self._async.models())

    def close(self) -> None:
        """Close streams, connections and files. Harmless when repeated."""
        self._close()

    def __enter__(self) -> Self:
        self._bridge.run(self._async._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
