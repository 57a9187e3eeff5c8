"""Fetch a page from a host that a step was granted, and from nowhere else.

    page = await Web(networks).fetch("https://docs.example.com/a", grant)

Whoever writes a plan or a page may name any address, so (security S40, S63):

- the host of the first URL and of each of at most three redirects must be granted by name;
- only addresses that are public when the connection is made are connected to
  (`transport/public.py`), without a proxy;
- a GET goes out without credentials or cookies, and never from https to http;
- so many bytes come in, of text only. Nothing that a page names is fetched.

Not promised: that an allowed host keeps what a URL tells it to itself.
"""

import asyncio
import ssl
from collections.abc import Iterable
from urllib.parse import urldefrag, urljoin

from msgspec import Struct

from octoplex.agents.arms.page import text_of_page
from octoplex.agents.capability import Grant
from octoplex.agents.quoting import hidden, visible
from octoplex.agents.words import Failed
from octoplex.transport.connection import Caps
from octoplex.transport.http import Bounds, Client, Limits, Request, Response, default_context
from octoplex.transport.origin import Origin, place_of
from octoplex.transport.public import Network, PublicResolver, is_public_name
from octoplex.transport.resolve import Ask
from octoplex.wire.error import BadConfig, GatewayError

MOST_BYTES = 5_000_000
MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_ACCEPT = (("accept", "text/html, application/json, text/*;q=0.9"),)
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml", "application/rss")


class Fetched(Struct, frozen=True):
    """What came. `hidden` counts what people would not have seen of it."""

    url: str
    status: int
    title: str
    text: str
    hidden: int


class Web:
    """Fetches. `permitted` are networks that count as public; the rest is for tests."""

    def __init__(
        self,
        permitted: Iterable[Network] = (),
        ask: Ask | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._permitted, self._ask, self._context = tuple(permitted), ask, context

    async def fetch(self, url: str, grant: Grant, seconds: float) -> Fetched:
        """The text at the end of its redirects.

        Raises:
            Failed: a host is not granted, or it cannot be had.
        """
        loop = asyncio.get_running_loop()
        client = Client(
            self._context or default_context(),
            Bounds(connections=1, idle=0),
            Caps(head_bytes=32 * 1024, headers=128, body_bytes=MOST_BYTES),
            PublicResolver(loop, self._permitted, self._ask),
        )
        limits = Limits(5.0, min(seconds, 20.0), 10.0, loop.time() + seconds)
        try:
            return await self._followed(client, limits, url, grant)
        except GatewayError as error:
            raise Failed("failed", f"{url[:200]} cannot be had: {error}") from None
        finally:
            client.close()

    async def _followed(self, client: Client, limits: Limits, url: str, grant: Grant) -> Fetched:
        was_secure = False
        for _ in range(MOST_REDIRECTS + 1):
            url = urldefrag(url).url
            origin, target = _site(url, grant)
            if was_secure and origin.scheme != "https":
                raise Failed("refused", f"{url[:200]} leads from https to http.")
            was_secure = origin.scheme == "https"
            request = Request(origin, origin.head("GET", target, _ACCEPT), idempotent=True)
            response = await client.send(request, limits)
            if response.status not in _REDIRECTS:
                return _fetched(url, response)
            response.close()
            url = urljoin(url, response.headers.get("location", ""))
        raise Failed("failed", f"{url[:200]} leads on more than {MOST_REDIRECTS} times.")


def _site(url: str, grant: Grant) -> tuple[Origin, str]:
    """The server of a URL, and what is asked there."""
    try:
        origin, target = place_of(url, "The URL")
    except (BadConfig, ValueError) as error:
        raise Failed("refused", f"{error}; write it like https://docs.example.com/page.") from None
    if not is_public_name(origin.host):
        raise Failed("refused", f"{origin.host} is no name of the public network.")
    port = "" if origin.port == _PORTS[origin.scheme] else f":{origin.port}"
    grant.need(f"net:{origin.host}{port}")
    return origin, target


def _fetched(url: str, response: Response) -> Fetched:
    kind = response.headers.get("content-type", "text/plain").lower()
    if response.body is None:
        response.close()
        raise Failed("failed", f"{url[:200]} answers a stream, which has no end.")
    if not kind.startswith(_TEXTS) and "+json" not in kind and "+xml" not in kind:
        raise Failed("failed", f"{url[:200]} is {kind[:60]}, and no text.")
    _, _, charset = kind.partition("charset=")
    try:
        text = response.body.decode(charset.split(";")[0].strip(" \"'") or "utf-8", "replace")
    except (LookupError, UnicodeError):  # some cannot replace
        text = response.body.decode("utf-8", "replace")
    text = text.encode("utf-8", "replace").decode()  # others make halves of surrogate pairs
    if response.status >= 400:
        raise Failed("failed", f"{url[:200]} answers {response.status}.")
    if "html" in kind:
        page = text_of_page(text)
        return Fetched(url, response.status, page.title, page.text, page.hidden)
    return Fetched(url, response.status, "", visible(text), hidden(text))
