"""S40, S41 over real sockets: where a caller's URL leads, and what is told to whom."""

import asyncio
import ipaddress
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.transport.resolve import Address
from octoplex.upstreams.fetch import Fetcher
from octoplex.upstreams.site import Rules
from octoplex.wire.chat import Chat, Media, Message, Native, TextPart, ToolResult
from octoplex.wire.error import InvalidCall, Unsupported
from tests.transport.conftest import Run
from tests.upstream_server import Upstream, says
from tests.upstreams.net import PNG, Net, asking, image, moved, shows

TRAITS = Traits(model="m")


def test_an_image_comes_as_bytes_and_nothing_of_the_caller_goes_out(run: Run) -> None:
    async def main() -> None:
        async with Net(shows()) as net:
            chat = await net.fill(image(net.url(), detail="low"))
            found = chat.messages[0].parts[1]
            assert found == Media(
                kind="image", data=b64encode(PNG).decode(), media_type="image/png", detail="low"
            )
            (entry,) = net.up.book
            assert entry.target == b"/cat.png?key=hidden"
            assert set(entry.headers) == {b"host", b"accept", b"accept-encoding", b"user-agent"}
            assert entry.headers[b"accept-encoding"] == b"identity"

    run(main())


def test_what_the_dialect_can_say_is_not_fetched(run: Run) -> None:
    async def main() -> None:
        async with Net(shows()) as net:
            call = asking(image(net.url()))
            assert await net.fetcher().fill(call, "anthropic", TRAITS) is call
            s3 = asking(image("s3://bucket/cat.png"))
            assert await net.fetcher().fill(s3, "bedrock-converse", TRAITS) is s3
            assert not net.up.book
            assert not net.asked

    run(main())


def test_several_at_once_one_of_them_twice_and_one_in_a_tool_result(run: Run) -> None:
    async def main() -> None:
        together = asyncio.Barrier(4)

        async def meets(exchange: Any) -> None:
            await asyncio.wait_for(together.wait(), 5)
            await shows(PNG + exchange.entry.target)(exchange)

        async with Net(meets) as net:
            media = [image(net.url(f"/{n}")) for n in (1, 2, 3, 1)]
            result = ToolResult("t", (TextPart("x"), image(net.url("/4"))))
            native = Native(Raw(b"{}"), "", means=(image(net.url("/4")),))
            chat = Chat(model="m", messages=(Message("user", (*media, native, result)),))
            call = asking()
            call.understand = lambda _: chat
            filled = (await net.fetcher().fill(call, "bedrock-converse", TRAITS)).chat()
            *parts, odd, last = filled.messages[0].parts
            assert isinstance(odd, Native)
            assert b64decode(getattr(odd.means[0], "data", ""))[-2:] == b"/4"
            data = [b64decode(p.data or "")[-2:] for p in parts if isinstance(p, Media)]
            assert data == [b"/1", b"/2", b"/3", b"/1"]
            assert isinstance(last, ToolResult)
            assert b64decode(getattr(last.parts[1], "data", ""))[-2:] == b"/4"
            assert len(net.up.book) == 4

    run(main())


def test_the_next_attempt_of_a_call_finds_what_the_one_before_fetched(run: Run) -> None:
    async def main() -> None:
        async with Net(shows()) as net:
            call, fetcher = asking(image(net.url())), net.fetcher()
            first = await fetcher.fill(call, "bedrock-converse", TRAITS)
            second = await fetcher.fill(call, "ollama", TRAITS)
            assert first.chat() == second.chat()
            assert len(net.up.book) == 1

    run(main())


# -- S40: where it goes ---------------------------------------------------------------------

NEAR = ["127.0.0.1", "10.0.0.7", "169.254.169.254", "100.64.0.1", "224.0.0.1", "::1", "fd00::1",
        "::ffff:10.0.0.7", "64:ff9b::a00:7", "0.0.0.0"]  # fmt: skip


@pytest.mark.parametrize("address", NEAR)
def test_s40_a_name_that_leads_inside_is_not_connected_to(run: Run, address: str) -> None:
    async def main() -> None:
        async with Net(shows(), hosts=(), networks=()) as net:
            net.names["evil.example"] = [address]
            error = await net.refused("https://evil.example/x")
            assert "evil.example leads to no public address" in str(error)
            assert address not in str(error)
            assert net.asked == ["evil.example"]
            assert not net.up.connections

    run(main())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "169.254.169.254",
     "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "localhost.", "metadata",
     "metadata.google.internal", "\uff11\uff12\uff17.0.0.1", "x.localhost"],
)  # fmt: skip
def test_s40_addresses_and_spellings_in_the_url(run: Run, host: str) -> None:
    async def system(host: str, port: int) -> list[Address]:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        return [(row[0], row[4]) for row in rows]

    async def main() -> None:
        async with Net(shows(), hosts=(), networks=()) as net:
            net.look_up = system  # type: ignore[method-assign]
            error = await net.refused(f"https://{host}/x")
            assert isinstance(error, InvalidCall)
            assert not net.up.connections

    run(main())


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "ftp://example.com/x", "https://user:pw@example.com/x",
     "https://example.com@evil.example/", "https://example.com:22/x", "https://example.com:8080/",
     "https:///x", "https://", "https://exa mple.com/", "https://example.com/\r\nX: y",
     "https://example.com\\@evil.example/", "https://[::1/", "https://example.com:99999/",
     "https://example.com/" + "x" * 9_000, "gopher://example.com/"],
)  # fmt: skip
def test_s40_urls_that_are_not_asked(run: Run, url: str) -> None:
    async def main() -> None:
        async with Net(shows(), hosts=()) as net:
            scheme = url.partition(":")[0]
            if scheme in ("ftp", "gopher"):  # not ours to fetch: the dialect's table decides
                call = asking(image(url))
                assert await net.fetcher().fill(call, "bedrock-converse", TRAITS) is call
            else:
                assert isinstance(await net.refused(url), InvalidCall)
            assert not net.asked

    run(main())


def test_s40_a_name_is_not_looked_up_again_to_connect(run: Run) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to."""

    async def main() -> None:
        async with Net(shows(), networks=(ipaddress.ip_network("127.0.0.1/32"),)) as net:
            turns = iter([["127.0.0.1"], ["10.0.0.1"]])

            async def rebinds(host: str, port: int) -> list[Address]:
                return [(2, (a, port)) for a in next(turns)]

            net.look_up = rebinds  # type: ignore[method-assign]
            await net.fill(image(net.url()))
            assert len(net.up.book) == 1
            error = await net.refused(net.url())
            assert "no public address" in str(error)
            assert len(net.up.book) == 1

    run(main())


def test_s40_only_the_public_ones_of_several_addresses_are_tried(run: Run) -> None:
    async def main() -> None:
        async with Net(shows(), networks=(ipaddress.ip_network("127.0.0.1/32"),)) as net:
            net.names["media.test"] = ["10.255.255.1", "127.0.0.1", "127.0.0.9"]
            began = time.monotonic()
            await net.fill(image(net.url()))
            assert time.monotonic() - began < 2
            assert net.up.connections == 1

    run(main())


# -- redirects ------------------------------------------------------------------------------


def test_three_redirects_are_followed_and_no_more(run: Run) -> None:
    async def main() -> None:
        three = [moved("/1", 301), moved("/2", 307), moved("3", 308), shows()]
        async with Net(*three) as net:
            await net.fill(image(net.url("/a/0")))
            assert [e.target for e in net.up.book] == [b"/a/0", b"/1", b"/2", b"/3"]
        async with Net(moved("/again")) as net:
            error = await net.refused(net.url())
            assert "leads on more than 3 times" in str(error)
            assert len(net.up.book) == 4

    run(main())


@pytest.mark.parametrize(
    "location",
    ["https://inside.example/x", "https://169.254.169.254/latest/meta-data/",
     "http://media.test/x", "https://[::ffff:127.0.0.1]/", "https://2130706433/", "file:///x",
     "https://u:p@media.test/", "//localhost/x", ""],
)  # fmt: skip
def test_s40_every_redirect_is_checked_anew(run: Run, location: str) -> None:
    async def main() -> None:
        one = ipaddress.ip_network("127.0.0.1/32")
        async with Net(moved(location), hosts=(), networks=(one,)) as net:
            net.names["inside.example"] = ["10.0.0.1"]
            rules = net.rules
            rules["hosts"] = (f"media.test:{net.up.port}", "inside.example", "media.test",
                              "169.254.169.254", "localhost", "2130706433")  # fmt: skip
            net.names |= {h: ["127.9.9.9"] for h in ("localhost", "2130706433")}
            net.names["169.254.169.254"] = ["169.254.169.254"]
            await net.refused(net.url())
            assert net.up.connections >= 1
            assert all(e.headers[b"host"].startswith(b"media.test:") for e in net.up.book)

    run(main())


def test_from_https_nothing_leads_to_http(run: Run) -> None:
    async def main() -> None:
        async with Net(moved("http://media.test/x"), http=True) as net:
            net.rules["hosts"] = ("media.test", f"media.test:{net.up.port}")
            error = await net.refused(net.url())
            assert "from https to http" in str(error)

    run(main())


def test_http_where_an_operator_wants_it(run: Run) -> None:
    async def main() -> None:
        async with Upstream(shows()) as plain, Net(shows()) as net:
            url = f"http://media.test:{plain.port}/x"
            net.rules["hosts"] = (f"media.test:{plain.port}",)
            await net.refused(url)
            net.rules["http"] = True
            await net.fill(image(url))
            assert len(plain.book) == 1

    run(main())


# -- S41: what is told to whom --------------------------------------------------------------


def test_s41_no_server_learns_anything_of_the_caller_or_of_another_server(run: Run) -> None:
    async def main() -> None:
        sets = [("location", "/next?own=1"), ("set-cookie", "id=1"), ("www-authenticate", "Basic")]
        async with Net(says(b"", 302, sets), shows()) as net:
            call = asking(image(net.url()))
            call.headers["authorization"] = "Bearer never"
            call.headers["traceparent"] = "00-never"
            await net.fetcher().fill(call, "bedrock-converse", TRAITS)
            assert len(net.up.book) == 2
            for entry in net.up.book:
                assert b"never" not in entry.data
                assert not {b"cookie", b"authorization", b"referer"} & set(entry.headers)

    run(main())


def test_a_certificate_for_another_name_is_refused(run: Run) -> None:
    async def main() -> None:
        async with Net(shows()) as net:
            net.rules["hosts"] = (f"other.test:{net.up.port}",)
            error = await net.refused(f"https://other.test:{net.up.port}/x")
            assert "TLS" in str(error)
            assert not net.up.book

    run(main())


# -- the operator's word --------------------------------------------------------------------


def test_switched_off_it_fetches_nothing(run: Run) -> None:
    async def main() -> None:
        async with Net(shows(), fetch=False) as net:
            error = await net.refused(net.url())
            assert isinstance(error, Unsupported)
            assert "fetches nothing. Send it as base64" in str(error)
            assert not net.asked

    run(main())


@pytest.mark.parametrize(
    ("hosts", "host", "fits"),
    [
        (("files.example.com",), "files.example.com", True),
        (("FILES.example.com",), "files.EXAMPLE.com.", True),
        (("*.example.com",), "a.b.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "evilexample.com", False),
        (("files.example.com",), "files.example.com.evil.example", False),
        (("files.example.com",), "files.example.com:8443", False),
        (("files.example.com:8443",), "files.example.com:8443", True),
        (("files.example.com:8443",), "files.example.com", False),
        (("intranet",), "intranet", True),
        ((), "intranet", False),
        ((), "files.example.com", True),
    ],
)
def test_hosts_that_are_fetched_from(hosts: tuple[str, ...], host: str, fits: bool) -> None:
    rules = Rules(hosts=hosts)
    read: Callable[[], object] = lambda: rules.site(f"https://{host}/x", "p")  # noqa: E731
    if fits:
        read()
    else:
        with pytest.raises(Unsupported if hosts else InvalidCall):
            read()


def test_a_context_that_trusts_nobody_is_never_made() -> None:
    async def main() -> None:
        fetcher = Fetcher(Rules())
        assert fetcher._context.verify_mode == ssl.CERT_REQUIRED
        assert fetcher._context.check_hostname

    asyncio.run(main())
