"""What a program reaches through the proxy, and what it does not."""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from octoplex.sandbox.client_hello import NoName, server_name
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Backend
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.transport.resolve import Address
from octoplex.wire.error import BadConfig
from tests.sandbox.host import INSIDE, PYTHON, needs_sandbox

HERE = ipaddress.ip_network("127.0.0.0/8")
GOOD, OTHER, PRIVATE = "good.example.com", "other.example.com", "private.example.com"


class Echo(BaseHTTPRequestHandler):
    """Says which host it was asked for, and counts."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        text = f"{self.headers['host']} {self.path} {self.rfile.read(size).decode()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(ca: trustme.CA | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    if ca is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert(GOOD, OTHER).configure_cert(context)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def look_up(host: str, port: int) -> list[Address]:
    at = {GOOD: "127.0.0.1", OTHER: "127.0.0.1", PRIVATE: "10.0.0.1"}
    if host not in at:
        raise OSError("no such name")
    return [(socket.AF_INET, (at[host], port))]


def asked(
    hosts: list[str], *what: object, ca: trustme.CA, backend: Backend = "bubblewrap"
) -> tuple[list[str], Result]:
    egress = Egress(hosts, permitted=[HERE], ask=look_up)
    files = {"asking.py": (INSIDE / "asking.py").read_bytes(), "ca.pem": ca.cert_pem.bytes()}
    argv = [PYTHON, "/files/asking.py", json.dumps(what)]
    box = Sandbox(backend=backend)
    result = asyncio.run(box.run(argv, files=files, network=egress))
    assert result.status == 0, result.stderr.decode()
    return json.loads(result.stdout), result


@needs_sandbox
def test_only_allowed_hosts_are_reached_and_only_as_themselves() -> None:
    ca = trustme.CA()
    with serving(ca) as tls, serving(None) as plain:
        hosts = [f"{GOOD}:{tls}", f"{GOOD}:{plain}", PRIVATE, f"{PRIVATE}:{tls}", "169.254.169.254"]
        url = f"http://{GOOD}:{plain}"
        head = f"GET {url}/x HTTP/1.1\r\n"
        found, result = asked(
            hosts,
            ["fetch", f"https://{GOOD}:{tls}/secure"],
            ["fetch", f"{url}/plain"],
            ["say", f"{head}host: {OTHER}\r\n\r\nGET /second HTTP/1.1\r\nhost: {OTHER}\r\n\r\n"],
            ["say", f"POST {url}/p HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n"],
            ["tunnel", GOOD, tls, OTHER],
            ["tunnel", GOOD, tls, ""],
            ["tunnel", GOOD, plain, None],
            ["tunnel", OTHER, tls, OTHER],
            ["tunnel", "127.0.0.1", tls, GOOD],
            ["tunnel", PRIVATE, tls, PRIVATE],
            ["tunnel", GOOD, 22, GOOD],
            ["say", "GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n\r\n"],
            ["say", f"GET http://{OTHER}:{plain}/ HTTP/1.1\r\n\r\n"],
            ["say", f"{head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
            ["say", f"{head}content-length: 1\r\ncontent-length: 2\r\n\r\nxx"],
            ["say", f"{head}content-length: {'9' * 5000}\r\n\r\n"],
            ["say", f"{head}x: a\nhost: {OTHER}\r\n\r\n"],
            ["say", f"GET http://user@{OTHER}@{GOOD}:{plain}/ HTTP/1.1\r\n\r\n"],
            ["say", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"],
            ca=ca,
        )
    assert found[0] == f"{GOOD}:{tls} /secure "
    assert found[1] == f"{GOOD}:{plain} /plain "
    assert found[2].endswith(f"{GOOD}:{plain} /x ")
    assert found[3].endswith(f"{GOOD}:{plain} /p hi")
    assert found[4:7] == ["closed"] * 3
    assert [answer.split()[1] for answer in found[7:]] == ["403"] * len(found[7:])
    assert len(result.refused) == len(found[4:])
    assert f"{OTHER}:{tls} is not allowed" in result.refused


@needs_sandbox
def test_without_hosts_there_is_no_proxy() -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 3128), 5)"
    result = asyncio.run(Sandbox().run([PYTHON, "-c", code]))
    assert b"ConnectionRefusedError" in result.stderr


@needs_sandbox
def test_an_ended_run_ends_its_connections() -> None:
    ca = trustme.CA()
    with serving(None) as plain:
        egress = Egress([f"{GOOD}:{plain}"], permitted=[HERE], ask=look_up)
        code = "import socket; s = socket.create_connection(('127.0.0.1', 3128)); s.send(b'GET')"
        asyncio.run(Sandbox().run([PYTHON, "-c", code], network=egress))
        assert egress.refused == []
        found, _ = asked([f"{GOOD}:{plain}"], ["fetch", f"http://{GOOD}:{plain}/"], ca=ca)
    assert found == [f"{GOOD}:{plain} / "]


@pytest.mark.parametrize("entry", ["", "*", "http://x", "a b", "x:0", "x:70000", "-x", "x/"])
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(BadConfig):
        Egress([entry])


def hello_for(name: str | None) -> bytes:
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def second_hello(port: int, name: bytes) -> list[str]:
    """Ask for a host, and for `name` when the server wants another hello; what was refused."""
    egress = Egress([f"{GOOD}:{port}"], permitted=[HERE], ask=look_up)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(into, out, server_hostname=GOOD)

    def shake(said: bytes) -> bytes:
        into.write(said)
        with contextlib.suppress(ssl.SSLError):
            client.do_handshake()
        return out.read()

    async def whole() -> None:
        egress.begin(listening := socket.create_server(("127.0.0.1", 0)))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(f"CONNECT {GOOD}:{port} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(shake(b""))
        writer.write(shake(await reader.read(65_536)).replace(GOOD.encode(), name))
        await reader.read(65_536)
        writer.close()
        await egress.close()

    asyncio.run(whole())
    return egress.refused


def test_a_second_hello_is_for_the_same_host() -> None:
    """A server that wants another curve asks for it again, and goes by what it says then."""
    names: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_ecdh_curve("secp521r1")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    trustme.CA().issue_cert(GOOD).configure_cert(context)
    with serving(None, context) as port:
        assert second_hello(port, GOOD.encode()) == []
        assert set(names) == {GOOD}
        (refused,) = second_hello(port, b"evil.example.com")
    assert "evil.example.com" in refused
    assert set(names) == {GOOD}


def test_the_name_of_a_hello_is_read_once_it_is_whole() -> None:
    hello = hello_for("Good.Example.com")
    assert [server_name(hello[:n]) for n in range(0, len(hello), 50)] == [None] * len(
        range(0, len(hello), 50)
    )
    assert server_name(hello) == "good.example.com"
    records = b"".join(hello[:3] + b"\0\x01" + hello[n : n + 1] for n in range(5, len(hello)))
    assert server_name(records) == "good.example.com"


def test_a_hello_without_a_plain_name_is_refused() -> None:
    hidden = hello_for("good.example.com").replace(b"\0\x17\0\0", b"\xfe\x0d\0\0")
    for said in (hello_for(None), hidden, b"GET / HTTP/1.1\r\n", b"\x16\3\1\0\4\2\0\0\0"):
        with pytest.raises(NoName):
            server_name(said)
