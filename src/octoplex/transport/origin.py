"""Where a request goes: an origin, the proxy on the way, and prebuilt request heads.

All of this is worked out once, when the configuration is read, so that a call costs one
concatenation. Nothing here reads the environment: proxy variables are handed in.

Header names and values are checked where they become bytes. A value that holds CR, LF or
NUL is refused, and so are the headers that decide framing, so that no caller and no
configuration can make us send a request inside a request.

References: RFC 9110 (fields), RFC 9112 3.2 (request targets), and for NO_PROXY the rules
of Go's `httpproxy`, which never sends loopback through a proxy. Only `http://` proxies are
spoken to; SOCKS and TLS to the proxy are not promised.
"""

import base64
import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from octoplex.wire.error import BadConfig, InvalidCall

_PORTS = {"http": 80, "https": 443}
_DEFAULTS = (("accept-encoding", "identity"), ("user-agent", "octoplex"))
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


NOT_CARRIED = "holds a line break or another character that a header cannot carry"


def carried(value: str) -> bool:
    """Whether a header can carry this value."""
    return _VALUE.fullmatch(value) is not None


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Write header lines, each ending in CRLF.

    Raises:
        InvalidCall: a name or value that must not go out. Values are never quoted.
    """
    lines = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise InvalidCall(f"The header {name!r} cannot be sent; remove it")
        if not carried(value):
            raise InvalidCall(f"The value of header {name!r} {NOT_CARRIED}; remove it")
        lines.append(f"{name}: {value.strip()}\r\n")
    return "".join(lines).encode("latin-1")


class Proxy(Struct, frozen=True):
    """A forward proxy; `auth` is its whole header line, or empty."""

    host: str
    port: int
    auth: bytes = b""


class Proxies(Struct, frozen=True):
    """The proxy variables: a URL per scheme ("" for none) and the hosts to reach directly."""

    http: str = ""
    https: str = ""
    direct: tuple[str, ...] = ()

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "Proxies":
        """Read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; lower case comes first."""

        def value(name: str) -> str:
            return variables.get(name) or variables.get(name.upper()) or ""

        every = value("all_proxy")
        direct = tuple(p.strip().lower() for p in value("no_proxy").split(",") if p.strip())
        return cls(value("http_proxy") or every, value("https_proxy") or every, direct)

    def choose(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for this origin, or None: go there directly.

        Raises:
            BadConfig: a proxy we cannot speak to.
        """
        url = self.https if scheme == "https" else self.http
        if not url or _is_loopback(host):
            return None
        if any(_matches(rule, host, port) for rule in self.direct):
            return None
        return _proxy(url)


NO_PROXIES = Proxies()


class Origin(Struct, frozen=True):
    """A server: scheme, host, port, the proxy on the way, and the path its API lives under.

    `key` names the pool: two origins with the same key share connections. `called` is what
    callers are told it is called, where they are not to know its address.
    """

    scheme: str
    host: str
    port: int
    path: str
    proxy: Proxy | None
    key: str
    called: str = ""

    @classmethod
    def parse(cls, url: str, proxies: Proxies = NO_PROXIES, what: str = "base_url") -> "Origin":
        """Read a base URL, called `what`.

        Raises:
            BadConfig: it is not an http or https URL of a host.
        """
        parts = _split(url, what)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise BadConfig(f"{what} {url!r} must look like https://host/path")
        if parts.username is not None or parts.password is not None:
            raise BadConfig(f"{what} must not hold a user or a password; use api_key")
        if parts.query or parts.fragment:
            raise BadConfig(f"{what} {url!r} must not hold ? or #; use query = {{ ... }}")
        path = parts.path.rstrip("/")
        if path and not _TARGET.fullmatch(path):
            raise BadConfig(f"{what} {url!r} holds a character that a path cannot carry")
        host, port = _host(parts.hostname), _port(parts, what)
        proxy = proxies.choose(parts.scheme, host, port)
        by = f" by {proxy.host}:{proxy.port} {proxy.auth.decode()}" if proxy else ""
        return cls(parts.scheme, host, port, path, proxy, f"{parts.scheme} {host}:{port}{by}")

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.called or self.authority

    @property
    def authority(self) -> str:
        """Host and port as a `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def head(self, method: str, path: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Write the request line and header block for `path` below this origin's base path.

        Without content-length and without the closing blank line: `Client.send` adds them.

        Raises:
            BadConfig: something in it must not go out.
        """
        target = self.path + path
        if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
            shown = target.partition("?")[0]  # a query may hold an operator's secret
            raise BadConfig(f"{method!r} {shown!r} is not a request line")
        pairs = tuple(headers)
        try:
            block = header_block(pairs)
        except InvalidCall as error:
            raise BadConfig(f"{self.authority}: {error}") from None
        via = b""
        if self.proxy and self.scheme == "http":
            target, via = f"http://{self.authority}{target}", self.proxy.auth
        names = {name.lower() for name, _ in pairs}
        ours = [pair for pair in _DEFAULTS if pair[0] not in names]
        start = f"{method} {target} HTTP/1.1\r\nhost: {self.authority}\r\n".encode("ascii")
        return start + via + header_block(ours) + block


def place_of(url: str, what: str = "webhook") -> tuple[Origin, str]:
    """The server of a whole URL, and the path and query there.

    Raises:
        BadConfig: it is no URL of a host, or cannot stand in a request.
    """
    parts = _split(url, what)
    if "@" in parts.netloc:
        raise BadConfig(f"{what} must not hold a user or a password")
    origin = Origin.parse(f"{parts.scheme}://{parts.netloc}", what=what)
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    if not _TARGET.fullmatch(target):
        raise BadConfig(f"{what} holds a character that a path cannot carry")
    return origin, target


def _split(url: str, what: str) -> SplitResult:
    if not url.isprintable() or " " in url:  # urlsplit would drop line breaks in silence
        raise BadConfig(f"{what} holds a blank or a control character; remove it")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise BadConfig(f"{what} is not a URL: {error}") from None


def _port(parts: SplitResult, what: str) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise BadConfig(f"{what} has no usable port: {error}") from None


def _host(name: str) -> str:
    """The host in lower case and in its ASCII (IDNA) form."""
    try:
        host = name.lower().encode("idna" if not name.isascii() else "ascii").decode()
    except UnicodeError:
        raise BadConfig(f"{name!r} is not a host name") from None
    if not re.fullmatch(r"[0-9a-z_.:%\-]+", host):
        raise BadConfig(f"{name!r} is not a host name")
    return host


def _proxy(url: str) -> Proxy:
    parts = _split(url if "://" in url else f"http://{url}", "the proxy variable")
    if parts.scheme != "http" or not parts.hostname:
        raise BadConfig(
            f"a proxy must look like http://host:port, not {parts.scheme}://; "
            "set HTTP_PROXY, HTTPS_PROXY or ALL_PROXY accordingly"
        )
    auth = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        auth = b"proxy-authorization: Basic " + base64.b64encode(pair) + b"\r\n"
    return Proxy(_host(parts.hostname), _port(parts, "the proxy variable"), auth)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _matches(rule: str, host: str, port: int) -> bool:
    """Whether a NO_PROXY entry (`*`, host, .suffix, address, network; each with :port) fits."""
    if rule == "*":
        return True
    address = _address(host)
    if address is not None and "/" in rule:
        try:
            return address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*").removeprefix(".")
    return host == rule or (address is None and host.endswith("." + rule))
