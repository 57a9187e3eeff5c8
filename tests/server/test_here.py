"""`/metrics` without a key: for this machine itself, and nobody who only seems to be it."""

from pathlib import Path

import pytest

from octoplex.server.forwarded import caller_address
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream

KEY = "[keys.app]\nsecret = 'env:APP_KEY'\n"
STRANGE = (
    [("host", "evil.example")],
    [("host", "evil.example:8080")],
    [("origin", "https://evil.example")],
)
NAMED = ([("host", "localhost")], [("host", "127.0.0.1:1")], [("origin", "http://localhost:3000")])


def test_metrics_ask_for_a_key_from_a_page_that_a_browser_was_lured_to(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEY, a=up)) as gate,
        ):
            assert (await gate.get("/metrics")).status == 200
            for pairs in NAMED:
                assert (await gate.get("/metrics", *pairs)).status == 200, pairs
            for pairs in STRANGE:
                assert (await gate.get("/metrics", *pairs)).status == 401, pairs
                key = ("authorization", f"Bearer {APP_KEY}")
                assert (await gate.get("/metrics", *pairs, key)).status == 200, pairs

    run(main())


def test_without_keys_they_are_refused_like_everything_else(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for pairs in NAMED:
                assert (await gate.get("/metrics", *pairs)).status == 200, pairs
            for pairs in STRANGE:
                assert (await gate.get("/metrics", *pairs)).status == 403, pairs

    run(main())


def test_a_proxy_is_believed_where_it_is_trusted(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            for server, status in (("", 401), ("trusted_proxies = ['127.0.0.0/8']", 200)):
                folder = tmp_path / str(status)
                folder.mkdir()
                async with Gate(folder, file(KEY, server, a=up)) as gate:
                    via = await gate.get("/metrics", ("x-forwarded-for", "127.0.0.1"))
                    assert via.status == status
                    via = await gate.get("/metrics", ("x-forwarded-for", "203.0.113.9"))
                    assert via.status == 401

    run(main())


@pytest.mark.parametrize(
    ("peer", "header", "trusted", "address"),
    [
        ("10.0.0.1", None, ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9", (), ""),
        ("10.0.0.1", "127.0.0.1, 203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", ("10.0.0.1", "10.0.0.2"), "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", ("10.0.0.0/8",), "10.0.0.3"),
        ("10.0.0.1", "unknown", ("10.0.0.0/8",), ""),
        ("10.0.0.1", "", ("10.0.0.0/8",), ""),
        ("::1", "2001:db8::1", ("::1",), "2001:db8::1"),
        ("", "127.0.0.1", ("0.0.0.0/0",), ""),
    ],
)
def test_the_first_address_that_is_not_ours_counts(
    peer: str, header: str | None, trusted: tuple[str, ...], address: str
) -> None:
    headers = {} if header is None else {b"x-forwarded-for": header.encode()}
    assert caller_address(peer, headers, trusted) == address
    assert caller_address("127.0.0.1", {b"forwarded": b"for=127.0.0.1"}, trusted) == ""
