"""Ask one provider for an operation of one body: embeddings, a ranking, a verdict, a completion.

What passes verbatim and what is written anew is the shape's matter (`dialects/single/`).
Whatever is not in the bill is estimated from what was sent, and flagged.
"""

import asyncio

from msgspec import Struct

from octoplex.dialects.single import Shape
from octoplex.transport.http import Limits, Request, Sender
from octoplex.transport.origin import Origin, header_block
from octoplex.transport.tokens import Tokens, bearer
from octoplex.upstreams.upstream import TRACE, Headers, Wait, exchanged
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import Ask, Single
from octoplex.wire.error import InvalidCall, UpstreamBroken, UpstreamError
from octoplex.wire.event import Usage


class SingleSpec(Struct, frozen=True, kw_only=True):
    """Everything about a target and an operation that is known before a call."""

    provider: str
    origin: Origin
    shape: Shape
    head: bytes
    model: str
    wait: Wait
    tokens: Tokens | None = None


class SingleUpstream:
    """The Answerer of one target, one operation and one key."""

    def __init__(self, spec: SingleSpec, client: Sender) -> None:
        self._spec, self._client = spec, client
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Send the request and read the reply.

        Raises:
            InvalidCall, Unsupported: the shape cannot say what was asked.
            UpstreamError: no usable reply came.
        """
        if not isinstance(ask, Single):
            raise InvalidCall(f"{self._spec.provider}/{self._spec.model} does not take {ask.op}.")
        request = self._request(ask, await bearer(self._spec.tokens))
        wait = self._spec.wait
        until_at = min(ask.deadline_at, self._now() + wait.plain_s)
        limits = Limits(wait.connect_s, wait.plain_s, wait.idle_s, until_at)
        response = await exchanged(self._client, request, limits, ask, self._spec.provider)
        body = response.body
        if body is None:
            response.close()
            body = b""
        if response.status != 200:
            if self._spec.tokens is not None:
                self._spec.tokens.told(response.status)
            raise self._refused(response.status, response.headers, body)
        return self._answered(ask, body)

    def _request(self, ask: Single, proof: Headers) -> Request:
        spec = self._spec
        encoded = spec.shape.write(ask.fields, spec.model)
        ask.trail.dropped.extend(encoded.dropped)
        traced = [(name, ask.headers[name]) for name in TRACE if name in ask.headers]
        extra = header_block([*traced, *encoded.headers, *proof])
        return Request(spec.origin, spec.head, encoded.body, extra)

    def _answered(self, ask: Single, body: bytes) -> Whole:
        spec = self._spec
        try:
            told = spec.shape.read(body, ask.fields, spec.model)
        except UpstreamError as error:
            error.reached = isinstance(error, UpstreamBroken)
            raise
        usage = told.usage or Usage(ask.worst_case().input_tokens, estimated=True)
        return Whole(Head(spec.provider, told.model or spec.model), ask.face, told.body, usage)

    def _refused(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamError:
        error = self._spec.shape.decode_error(status, headers, body)
        error.target = f"{self._spec.provider}/{self._spec.model}"
        return error
