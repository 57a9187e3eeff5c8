"""One gateway and its vendors per test process; SDK clients whose streams are all checked."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest
from google import genai

from tests.dialects.grammar import openai_responses as responses_grammar
from tests.sdk.faces import Caller, Sdks, callers, made
from tests.sdk.house import KEYS, SPEAKERS, Vendor, configured, running
from tests.server.check import GRAMMARS


@pytest.fixture(scope="session")
def all_vendors() -> Iterator[Mapping[str, Vendor]]:
    """The scripted upstreams by the prefix of their names."""
    vendors = {prefix: Vendor() for prefix in SPEAKERS}
    yield vendors
    for vendor in vendors.values():
        vendor.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="session")
def gateway(all_vendors: Mapping[str, Vendor], folder: Path) -> Iterator[str]:
    with running(folder, configured(folder, all_vendors)) as url:
        yield url


@pytest.fixture
def oai(all_vendors: Mapping[str, Vendor]) -> Vendor:
    return all_vendors["oai"].plays()


@pytest.fixture
def claude(all_vendors: Mapping[str, Vendor]) -> Vendor:
    return all_vendors["claude"].plays()


@pytest.fixture
def behind(all_vendors: Mapping[str, Vendor]) -> Mapping[str, Vendor]:
    """Every vendor, with nothing asked yet."""
    return {name: vendor.plays() for name, vendor in all_vendors.items()}


ENDS = {
    "/messages": "anthropic",
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    ":streamGenerateContent": "gemini",
}


class Tee(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Passes everything on, and keeps the bytes of every event stream."""

    def __init__(self) -> None:
        self.streams: list[tuple[httpx2.Response, str, bytearray]] = []
        self.sent: list[httpx2.Request] = []
        self.got: list[httpx2.Response] = []
        self._sync = httpx2.HTTPTransport(verify=False)  # there is no TLS; a context costs 46 ms
        self._async: httpx2.AsyncHTTPTransport | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        response = self._sync.handle_request(request)
        self.got.append(response)
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
        self.streams.append((response, request.url.path, bytearray()))
        return self.streams[-1][2]

    def check(self) -> None:
        """Every stream that passed obeys its dialect's grammar."""
        for response, path, wire in self.streams:
            face = next(face for end, face in ENDS.items() if path.endswith(end))
            said, comment, told = bytes(wire).rpartition(b"\n\n: ")
            if comment:  # ours, documented: what the headers could not know yet
                assert told.startswith(b"x-octoplex-cost-nano: ")
                assert face != "gemini", "its SDK reads over no comment"
            if face == "gemini" and response.headers.get("x-octoplex-provider", "").startswith(
                ("gem", "vert")
            ):
                lines = set(bytes(wire).split(b"\n"))  # Google's own, with usage in every event
                assert all(not line or line.startswith(b"data: {") for line in lines)
                continue
            said = said + b"\n\n" if comment else bytes(wire)
            native = response.headers.get("x-octoplex-provider", "").startswith("resp")
            if face == "openai-responses" and native:
                responses_grammar.check(said, verbatim=True)
            else:
                GRAMMARS[face](said)

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


class Through(httpx2.BaseTransport):
    """The transport of clients that outlive a test: what they send goes through its Tee."""

    tee: Tee

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.tee.handle_request(request)


@pytest.fixture(scope="session")
def sdks(gateway: str) -> tuple[Through, Sdks]:
    """The SDKs' clients, made once: that of google-genai costs 50 ms."""
    through = Through()
    return through, made(gateway, through)


@pytest.fixture
def clients(sdks: tuple[Through, Sdks], tee: Tee) -> Sdks:
    through, clients = sdks
    through.tee = tee
    return clients


@pytest.fixture
def call(clients: Sdks) -> Mapping[str, Caller]:
    """Each face's own SDK, to make a conversation with."""
    return callers(clients)


@pytest.fixture
def google(clients: Sdks) -> genai.Client:
    return clients.google
