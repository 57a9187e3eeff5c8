"""The asynchronous client: one set of semantics for both ways to a gateway.

It opens at its first use and belongs to the event loop of that use. An answer that is
streamed is open to errors until its end; closing it, or leaving its `async with`, closes
the provider's connection at once.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self, Unpack, overload

from octoplex.client.asked import Conversation, Options, write_body
from octoplex.client.failure import read_ours
from octoplex.client.inside import open_inside
from octoplex.client.outside import Outside
from octoplex.client.reply import ChatReply, ModelOffer, Receipt, with_receipt
from octoplex.client.way import Way, Wire
from octoplex.dialects import sse
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.settings import environment
from octoplex.wire.error import BadConfig, CallerLeft, GatewayError, Stopping
from octoplex.wire.event import Event, TextDelta, fold

KEY_VARIABLE = "OCTOPLEX_API_KEY"
_DIALECT = OpenAIChat()


class AsyncChatStream:
    """An answer while it arrives: iterate it for events, or `text` for pieces of text."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._decoder = wire, _DIALECT.decoder()
        self._ready: deque[Event] = deque()
        self._seen: list[Event] = []
        self._failure: GatewayError | None = None
        self._over = False
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    @property
    def text(self) -> "_Texts":
        """The pieces of text alone, as they come."""
        return _Texts(self)

    @property
    def receipt(self) -> Receipt:
        """What the gateway said beside it; the cost is known at the end."""
        return self._wire.receipt

    async def reply(self) -> ChatReply:
        """Read to the end, and give the whole reply.

        Raises:
            UpstreamError: it broke off; what had come was delivered by iteration.
            CallerLeft: the stream was closed before its end.
        """
        while await self._next() is not None:
            pass
        return with_receipt(fold(self._seen), self._wire.receipt)

    async def close(self) -> None:
        """Stop caring: the provider's connection is closed at once. Harmless when repeated."""
        self._close(CallerLeft("The stream was closed before its end."))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not self._over:  # a loop that was left by `break`: nobody will close it
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wire.close)

    async def _next(self) -> Event | None:
        """The next event; None at the end."""
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._over:
                return None
            await self._pull()
        event = self._ready.popleft()
        self._seen.append(event)
        return event

    async def _pull(self) -> None:
        try:
            data = await self._wire.more()
            if data:
                self._hear(data)
            else:
                self._over = True
                self._ready.extend(self._decoder.end())
        except GatewayError as error:
            self._close(error)
        except BaseException:
            self._close(CallerLeft("The stream was cancelled before its end."))
            raise

    def _hear(self, data: bytes) -> None:
        """Decode event by event, so that what came before a failure is still delivered."""
        for _, event in sse.events(data):
            if event.startswith(b'{"error"'):
                error = read_ours(event)
                if error is not None:
                    self._close(error)
                    return
            wire = b"data: " + event.replace(b"\n", b"\ndata: ") + b"\n\n"
            self._ready.extend(self._decoder.feed(wire))

    def _close(self, why: GatewayError) -> None:
        if not self._over:
            self._over, self._failure = True, why
            self._wire.close()


class _Texts:
    """The text of a stream."""

    def __init__(self, stream: AsyncChatStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        async for event in self._stream:
            if isinstance(event, TextDelta):
                return event.text
        raise StopAsyncIteration


class AsyncOctoplex:
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
        if url and (config or data):
            raise BadConfig("Give Octoplex either url, or config and data: not both.")
        self._env = environment() if env is None else env
        self._config, self._data, self._url = config, data, url
        self._key = api_key or (self._env.get(KEY_VARIABLE) if url else None)
        self._opening = asyncio.Lock()
        self._way: Way | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @overload
    async def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: Literal[False] = False,
        **options: Unpack[Options],
    ) -> ChatReply: ...

    @overload
    async def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: Literal[True],
        **options: Unpack[Options],
    ) -> AsyncChatStream: ...

    async def chat(
        self,
        model: str,
        messages: Conversation,
        *,
        stream: bool = False,
        **options: Unpack[Options],
    ) -> ChatReply | AsyncChatStream:
        """Ask a model. `messages` is a text, or the turns of a conversation.

        Raises:
            CallerError: something about the request must change.
            UpstreamError: no provider could answer.
            OurError: the gateway itself failed.
        """
        timeout_s = options.get("timeout_s")
        body = write_body(model, messages, stream, options)
        way = await self._open()
        if stream:
            return AsyncChatStream(await way.stream(body, timeout_s))
        whole, receipt = await way.whole(body, timeout_s)
        return with_receipt(_DIALECT.decode_reply(whole), receipt)

    async def models(self) -> list[ModelOffer]:
        """List the models and routes that may be asked for, and why some cannot be now."""
        return await (await self._open()).models()

    async def close(self) -> None:
        """Close streams, connections and files. Harmless when repeated."""
        self._closed = True
        way, self._way = self._way, None
        if way is not None:
            await way.close()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> Way:
        loop = asyncio.get_running_loop()
        async with self._opening:
            if self._closed:
                raise Stopping("This client is closed; make another one.")
            if self._way is None:
                self._way = await self._way_in()
                self._loop = loop
            if self._loop is not loop:
                raise RuntimeError("this client belongs to another event loop; make one for each")
            return self._way

    async def _way_in(self) -> Way:
        if self._url:
            return Outside(self._url, self._key, self._env)
        return await open_inside(self._config, self._data, self._env, self._key)
