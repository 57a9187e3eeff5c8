"""One gateway and two vendors per test process; SDK clients whose streams are all checked."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import anthropic
import httpx2
import openai
import pytest

from tests.dialects.grammar import anthropic as claude_grammar
from tests.dialects.grammar import openai_chat as chat_grammar
from tests.sdk.house import KEYS, Vendor, configured, running


@pytest.fixture(scope="session")
def vendors() -> Iterator[SimpleNamespace]:
    openai_vendor, claude_vendor = Vendor(), Vendor()
    yield SimpleNamespace(openai=openai_vendor, claude=claude_vendor)
    openai_vendor.close()
    claude_vendor.close()


@pytest.fixture(scope="session")
def gateway(vendors: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    with running(folder, configured(folder, vendors.openai, vendors.claude)) as url:
        yield url


@pytest.fixture
def oai(vendors: SimpleNamespace) -> Vendor:
    return vendors.openai.plays()  # type: ignore[no-any-return]


@pytest.fixture
def claude(vendors: SimpleNamespace) -> Vendor:
    return vendors.claude.plays()  # type: ignore[no-any-return]


class Tee(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Passes everything on, and keeps the bytes of every event stream."""

    def __init__(self) -> None:
        self.streams: list[tuple[str, bytearray]] = []
        self.sent: list[httpx2.Request] = []
        self._sync = httpx2.HTTPTransport()
        self._async: httpx2.AsyncHTTPTransport | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        response = self._sync.handle_request(request)
        kept = self._kept(request, response)
        if kept is not None:
            assert isinstance(response.stream, httpx2.SyncByteStream)
            response.stream = Kept(response.stream, kept)
        return response

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        self._async = self._async or httpx2.AsyncHTTPTransport()
        response = await self._async.handle_async_request(request)
        kept = self._kept(request, response)
        if kept is not None:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = AsyncKept(response.stream, kept)
        return response

    def _kept(self, request: httpx2.Request, response: httpx2.Response) -> bytearray | None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            return None
        self.streams.append((request.url.path, bytearray()))
        return self.streams[-1][1]

    def check(self) -> None:
        """Every stream that passed obeys its dialect's grammar."""
        for path, wire in self.streams:
            grammar = claude_grammar if path.endswith("/messages") else chat_grammar
            said, comment, told = bytes(wire).rpartition(b"\n\n: ")
            if comment:  # ours, documented: what the headers could not know yet
                assert told.startswith(b"x-octoplex-cost-nano: ")
            grammar.check(said + b"\n\n" if comment else bytes(wire))

    def close(self) -> None:
        self._sync.close()

    async def aclose(self) -> None:
        if self._async is not None:
            await self._async.aclose()


class Kept(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, kept: bytearray) -> None:
        self._inner, self._kept = inner, kept

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._kept += chunk
            yield chunk

    def close(self) -> None:
        self._inner.close()


class AsyncKept(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, kept: bytearray) -> None:
        self._inner, self._kept = inner, kept

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._kept += chunk
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
def tee() -> Iterator[Tee]:
    tee = Tee()
    yield tee
    tee.close()
    tee.check()


OpenAIFor = Callable[..., openai.OpenAI]
ClaudeFor = Callable[..., anthropic.Anthropic]


@pytest.fixture
def gpt_sdk(gateway: str, tee: Tee) -> OpenAIFor:
    def make(key: str = KEYS["app"], retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=key,
            base_url=f"{gateway}/v1",
            max_retries=retries,
            http_client=httpx2.Client(transport=tee),
        )

    return make


@pytest.fixture
def claude_sdk(gateway: str, tee: Tee) -> ClaudeFor:
    def make(key: str = KEYS["app"], retries: int = 0) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            api_key=key,
            base_url=gateway,
            max_retries=retries,
            http_client=httpx2.Client(transport=tee),
        )

    return make


@pytest.fixture
def gpt(gpt_sdk: OpenAIFor) -> openai.OpenAI:
    return gpt_sdk()


@pytest.fixture
def sonnet(claude_sdk: ClaudeFor) -> anthropic.Anthropic:
    return claude_sdk()
