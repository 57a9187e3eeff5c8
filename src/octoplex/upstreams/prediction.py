"""Predictions: replies that are not there yet when their request has been answered.

    send(request)  ->  POST  ->  a prediction that is done                 the reply
                                 one that goes on   ->  looked at again, until it is done
                                 one with a stream  ->  its events, then the prediction itself

`Predictions` is a `Sender` around another one, so all that stands on senders (deadlines, money,
breakers, streams) knows nothing of it: a reply is whole when the prediction is, and a stream is
one whose bill comes after its end, as an event `prediction` (`dialects/replicate/stream.py`).

Whoever leaves, by whatever cause, has the prediction cancelled: at once where its address is
known, and at the deadline where it is not (`cancel-after`). The addresses are the provider's
word, so they are followed on its own hosts only: a key must not follow them anywhere else.

Reference: https://replicate.com/docs/topics/predictions/create-a-prediction,
https://replicate.com/changelog/2025-10-16-prediction-deadlines

Not promised: that a cancelled prediction costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Collection
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.replicate.shapes import Prediction, read_prediction
from octoplex.transport import sse
from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import Origin, Proxies, header_block
from octoplex.wire.error import (
    BadConfig,
    DeadlinePassed,
    GatewayError,
    UpstreamBroken,
    UpstreamError,
    UpstreamFailed,
)

OWN_HOSTS = ".replicate.com"
FIRST_LOOK_S, LAST_LOOK_S = 0.5, 4.0
"""The gap before the first look, and the longest; each is half as long again as the last."""
LOOKS_THAT_MAY_FAIL = 3
LOOK_S = 30.0
BILL_S = 2.0
"""How long the bill of a stream is waited for, after its last event."""
CANCEL_S = 15.0
MADE = frozenset({200, 201, 202})

_ENDS = frozenset({"done", "error"})
_GONE = frozenset({"host", "content-type", "accept-encoding"})


def sender_for(dialects: Collection[str], client: Sender, proxies: Proxies) -> Sender:
    """What a provider of these dialects is asked through: most answer at once."""
    return Predictions(client, proxies) if "replicate" in dialects else client


class _Asked(Struct):
    stream: bool = False


_read_asked = msgspec.json.Decoder(_Asked).decode


class Predictions:
    """Implements `Sender` for a provider of predictions."""

    __slots__ = ("_client", "_proxies", "_tasks")

    def __init__(self, client: Sender, proxies: Proxies) -> None:
        self._client, self._proxies = client, proxies
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, request: Request, limits: Limits) -> Response:
        """Send; return when the prediction is done, or when its events begin.

        Raises:
            UpstreamError: no reply, or one that leads elsewhere.
            DeadlinePassed: the prediction is not done in time; it was cancelled.
        """
        left_s = limits.deadline_at - asyncio.get_running_loop().time()
        if left_s < 86_400.0:
            request.extra += header_block([("cancel-after", f"{max(int(left_s) + 1, 5)}s")])
        response = await self._client.send(request, limits)
        if response.body is None or response.status not in MADE:
            return response
        try:
            prediction = read_prediction(response.body)
        except UNREADABLE:
            return done(response, response.body)  # what it is instead, the dialect says
        run = Run(self, request, limits, prediction)
        try:
            if prediction.urls.stream and _read_asked(request.body).stream:
                return await run.listen()
            return await run.finish(response) if prediction.running else done(response)
        except BaseException as error:
            run.cancel()
            if isinstance(error, UpstreamError):
                error.reached = True  # what was made may be billed
            raise

    def onward(self, request: Request, method: str, url: str, accept: str = "") -> Request:
        """A request for an address that a reply named, with the first one's credentials.

        Raises:
            UpstreamBroken: it is not the provider's own.
        """
        lines = request.head.decode("latin-1").split("\r\n")[1:]
        sent = [(n, v) for n, _, v in (line.partition(": ") for line in lines) if n]
        headers = [(n, v) for n, v in sent if n not in _GONE]
        origin, path = own_address(url, request.origin, self._proxies)
        if accept:
            headers += [("accept", accept), ("cache-control", "no-store")]
        return Request(origin, origin.head(method, path, headers), idempotent=method == "GET")

    async def ask(self, request: Request, limits: Limits) -> Response:
        """Send one request as it is."""
        return await self._client.send(request, limits)

    def tell(self, request: Request) -> None:
        """Send a request whose reply nobody waits for."""
        task = asyncio.get_running_loop().create_task(self._tell(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, request: Request) -> None:
        until_at = asyncio.get_running_loop().time() + CANCEL_S
        with contextlib.suppress(GatewayError):
            response = await self._client.send(request, Limits(deadline_at=until_at))
            response.close()


class Run:
    """One prediction that goes on."""

    __slots__ = ("_cancelled", "_limits", "_made", "_predictions", "_request")

    def __init__(
        self, predictions: Predictions, request: Request, limits: Limits, made: Prediction
    ) -> None:
        self._predictions, self._request = predictions, request
        self._limits, self._made = limits, made
        self._cancelled = not made.running

    async def finish(self, response: Response) -> Response:
        """Look until it is done.

        Raises:
            DeadlinePassed: it is not in time.
        """
        gap_s, failed = FIRST_LOOK_S, 0
        while True:
            await self._wait(gap_s)
            gap_s = min(gap_s * 1.5, LAST_LOOK_S)
            try:
                body = await self._look(LOOK_S)
            except UpstreamError as error:
                failed += 1
                if failed == LOOKS_THAT_MAY_FAIL or error.next != "retry":
                    raise
                continue
            failed = 0
            if not _running(body):
                return done(response, body)

    async def listen(self) -> Response:
        """Open its events."""
        url = self._made.urls.stream
        request = self._predictions.onward(self._request, "GET", url, "text/event-stream")
        events = await self._predictions.ask(request, self._limits)
        if events.body is not None:  # no stream after all: the prediction says why
            return await self.finish(events)
        return Listening(
            host=events.host,
            expires_at=events.expires_at,
            deadline_at=events.deadline_at,
            idle_s=events.idle_s,
            status=200,
            headers=events.headers,
            _events=events,
            _run=self,
        )

    async def bill(self) -> bytes:
        """The prediction after its stream has ended; b"" when it cannot be had in time."""
        until_at = asyncio.get_running_loop().time() + BILL_S
        body = b""
        with contextlib.suppress(UpstreamError, DeadlinePassed):
            while asyncio.get_running_loop().time() < until_at:
                body = await self._look(BILL_S)
                if not _running(body):
                    break
                await asyncio.sleep(BILL_S / 8)
        return body

    def cancel(self) -> None:
        """Have it cancelled, unless it is done."""
        if self._cancelled:
            return
        self._cancelled = True
        with contextlib.suppress(GatewayError):
            url = self._made.urls.cancel
            self._predictions.tell(self._predictions.onward(self._request, "POST", url))

    def over(self) -> None:
        """It has ended by itself."""
        self._cancelled = True

    async def _wait(self, gap_s: float) -> None:
        left_s = self._limits.deadline_at - asyncio.get_running_loop().time()
        await asyncio.sleep(min(gap_s, max(left_s, 0.0)))
        if left_s <= gap_s:
            raise DeadlinePassed("The prediction was not done before the deadline")

    async def _look(self, within_s: float) -> bytes:
        """The prediction as it is now.

        Raises:
            UpstreamError: it cannot be had.
        """
        limits = msgspec.structs.replace(self._limits, first_s=within_s)
        request = self._predictions.onward(self._request, "GET", self._made.urls.get)
        looked = await self._predictions.ask(request, limits)
        if looked.status == 200 and looked.body is not None:
            return looked.body
        looked.close()
        error = UpstreamFailed(f"The provider answered {looked.status} to a look at a prediction.")
        error.next = "retry" if looked.status >= 429 else "target"
        raise error


class Listening(Response, kw_only=True, eq=False):
    """The events of a prediction, and then the prediction itself, as one response."""

    _events: Response
    _run: Run
    _cut: sse.Splitter = msgspec.field(default_factory=sse.Splitter)
    _over: bool = False
    _billed: bool = False

    async def read(self) -> bytes:
        """What came; after the event that ends it, the bill; then b""."""
        if not self._over:
            self._events.expires_at = self.expires_at
            data = await self._events.read()
            if any(name in _ENDS for name, _ in sse.parse(self._cut.feed(data))):
                self._over = True
                self._run.over()
            return data
        if self._billed:
            return b""
        self._billed = True
        body = await self._run.bill()
        return b"event: prediction\ndata: %b\n\n" % body.replace(b"\n", b" ") if body else b""

    def close(self) -> None:
        """Stop caring: the events close, and the prediction is cancelled if it goes on."""
        self._events.close()
        self._run.cancel()

    def release(self, grace_s: float) -> None:
        """Let the rest of the events run out unread."""
        self._events.release(grace_s)


def done(response: Response, body: bytes | None = None) -> Response:
    """A whole reply with status 200."""
    response.status = 200
    if body is not None:
        response.body = body
    return response


def own_address(url: str, base: Origin, proxies: Proxies) -> tuple[Origin, str]:
    """Where an address leads, if it is of the provider's own hosts.

    Raises:
        UpstreamBroken: it is not.
    """
    try:
        if " " in url or not (url.isascii() and url.isprintable()):
            raise ValueError
        parts = urlsplit(url)
        origin = Origin.parse(f"{parts.scheme}://{parts.netloc}", proxies)
    except (BadConfig, ValueError):
        raise _elsewhere() from None
    same = (origin.scheme, origin.host, origin.port) == (base.scheme, base.host, base.port)
    own = base.host.endswith(OWN_HOSTS) and origin.host.endswith(OWN_HOSTS)
    if not same and not (own and (origin.scheme, origin.port) == ("https", 443)):
        raise _elsewhere()
    return origin, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _elsewhere() -> UpstreamBroken:
    error = UpstreamBroken("The provider's reply names an address that is not its own.")
    error.reached, error.next = True, "target"
    return error


def _running(body: bytes) -> bool:
    try:
        return read_prediction(body).running
    except UNREADABLE:
        return False
