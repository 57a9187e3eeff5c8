"""Base URLs, heads and proxy variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport import Origin, Proxies, header_block
from octoplex.transport.origin import Proxy
from octoplex.wire.error import BadConfig, InvalidCall


def test_a_base_url_is_taken_apart_once() -> None:
    origin = Origin.parse("https://API.Example.com/v1/")
    assert (origin.host, origin.port, origin.path) == ("api.example.com", 443, "/v1")
    assert origin.head("POST", "/chat", [("x-key", " k ")]) == (
        b"POST /v1/chat HTTP/1.1\r\nhost: api.example.com\r\n"
        b"accept-encoding: identity\r\nuser-agent: octoplex\r\nx-key: k\r\n"
    )
    own = origin.head("POST", "/", [("User-Agent", "me"), ("Accept-Encoding", "gzip")])
    assert own.endswith(b"com\r\nUser-Agent: me\r\nAccept-Encoding: gzip\r\n")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://x.example:80", "x.example"),
        ("http://x.example:8080/a", "x.example:8080"),
        ("https://[::1]:8443", "[::1]:8443"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_the_host_header(url: str, authority: str) -> None:
    assert Origin.parse(url).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://x.example",
        "https://",
        "https://user:secret@x.example",
        "https://x.example:99999",
        "https://x.example/a?b=c",
        "https://x.example/a b",
        "https://x.example/a\r\nx: y",
        "https://x\r\n.example",
        "https://[::1",
        "https://x example",
    ],
)
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(BadConfig) as caught:
        Origin.parse(url).head("GET", "/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "secret\r\ny: z"),
        ("x", "secret\n"),
        ("x", "secret\0"),
        ("x", "secret\x7f"),
        ("x", "secret\u2028"),
        ("x y", "secret"),
        ("", "secret"),
        ("x:", "secret"),
        ("Content-Length", "1"),
        ("transfer-encoding", "chunked"),
        ("host", "other"),
    ],
)
def test_headers_that_cannot_go_out(name: str, value: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        header_block([(name, value)])
    assert "secret" not in str(caught.value)
    with pytest.raises(BadConfig):
        Origin.parse("https://x.example").head("POST", "/", [(name, value)])


@given(st.text(), st.text())
def test_a_header_is_one_line_or_refused(name: str, value: str) -> None:
    try:
        block = header_block([(name, value)])
    except InvalidCall:
        return
    assert block.count(b"\r\n") == block.count(b"\n") == block.count(b"\r") == 1


@pytest.mark.parametrize(("method", "path"), [("PO ST", "/"), ("POST", "/a b"), ("POST", "/a\r\n")])
def test_a_request_line_that_cannot_go_out(method: str, path: str) -> None:
    with pytest.raises(BadConfig):
        Origin.parse("https://x.example").head(method, path)


def test_a_refused_request_line_is_shown_without_its_query() -> None:
    with pytest.raises(BadConfig) as refused:
        Origin.parse("https://x.example").head("GET", "/a b?sign=canary5d20c1")
    assert "'/a b' is not a request line" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_proxy_variables() -> None:
    both = Proxies.of({"HTTP_PROXY": "http://a:1", "ALL_PROXY": "b:2", "no_proxy": "x, y"})
    assert both == Proxies("http://a:1", "b:2", ("x", "y"))
    assert both.choose("http", "z.example", 80) == Proxy("a", 1)
    assert both.choose("https", "z.example", 443) == Proxy("b", 2)
    assert both.choose("https", "127.0.0.1", 443) is None
    assert both.choose("https", "localhost", 443) is None
    assert Proxies.of({}).choose("https", "z.example", 443) is None


@pytest.mark.parametrize(
    ("rule", "host", "direct"),
    [
        ("*", "a.example", True),
        ("example", "a.example", True),
        ("a.example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("ample", "a.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:80", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("nonsense/8", "10.1.2.3", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::1", "fd00::1", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("A.EXAMPLE", "a.example", True),
    ],
)
def test_no_proxy(rule: str, host: str, direct: bool) -> None:
    proxies = Proxies.of({"ALL_PROXY": "http://p:1", "NO_PROXY": rule})
    assert (proxies.choose("https", host, 443) is None) is direct


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p:1", "http://", "http://p:x"])
def test_a_proxy_we_cannot_speak_to(url: str) -> None:
    with pytest.raises(BadConfig):
        Origin.parse("https://x.example", Proxies.of({"ALL_PROXY": url}))
