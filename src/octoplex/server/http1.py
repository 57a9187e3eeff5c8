"""The words of HTTP/1.1 that a connection reads and writes: pure, of bytes.

References: RFC 9112; RFC 9110, 7.8 (offers to switch protocols).
"""

import http
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import httptools

_HOST = re.compile(rb"(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_OFFERS = frozenset({b"upgrade", b"connection", b"http2-settings"})
_BODY = frozenset({b"content-length", b"transfer-encoding"})


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Overloaded" if status == 529 else ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


STATUS = {status: _status_line(status) for status in range(100, 1000)}
"""Every one that three digits can say: some providers invent theirs."""
_NOT_HTTP = (
    b'{"error":{"message":"This is not a valid HTTP/1.1 request.",'
    b'"type":"invalid_request_error","param":null,"code":"invalid_http"}}'
)
NOT_HTTP = (
    b"%bcontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    % (STATUS[400], len(_NOT_HTTP), _NOT_HTTP)
)
"""The whole answer to what is no HTTP."""


def aim(verb: bytes, url: bytes) -> tuple[str, str, bytes]:
    """Method, path and query of a request line."""
    if not url.startswith(b"/"):  # absolute-form, as proxies send it
        parsed = httptools.parse_url(url)
        url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
    raw, _, query = url.partition(b"?")
    path = raw.decode("latin-1")
    return verb.decode("ascii"), unquote(path) if "%" in path else path, query


def check_host(headers: Mapping[bytes, bytes], old: bool) -> None:
    """Refuse a request without one host and no more (RFC 9112, 3.2), unless it is of HTTP/1.0.

    Nothing here is decided by it but whether a caller is of this machine; what is in front of
    this server may decide more.

    Raises:
        ValueError: it names none, several, or what is no host.
    """
    host = headers.get(b"host")
    if host is None and old:
        return
    found = _HOST.fullmatch(host or b"")
    if found is None or int(found[1] or b"0") > 65_535:
        raise ValueError("the Host of the request is none")


def wants_websocket(method: str, version: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the head of an offer is that of a websocket (RFC 6455, 4.1): it has no body."""
    wanted = headers.get(b"upgrade", b"").lower() == b"websocket"
    return wanted and method == "GET" and version == "1.1" and _BODY.isdisjoint(headers)


def without_offer(
    method: str, url: bytes, version: str, pairs: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """The head of a request without its offer to switch protocols."""
    kept = b"".join([b"%b: %b\r\n" % pair for pair in pairs if pair[0] not in _OFFERS])
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method.encode(), url, version.encode(), kept)
