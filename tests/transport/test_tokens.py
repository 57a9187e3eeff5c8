"""Tokens that a vendor hands out: shared, renewed, refused."""

import asyncio

import pytest
from msgspec import Struct

from octoplex.transport.fake import Fake, Script
from octoplex.transport.http import Request
from octoplex.transport.origin import Origin
from octoplex.transport.tokens import EARLY_S, Purse, Token, Tokens, proven
from octoplex.wire.error import UpstreamBroken, UpstreamDenied, UpstreamFailed, UpstreamUnreachable
from tests.transport.conftest import Run


class Plain(Struct, frozen=True):
    """A vendor whose reply is the token; it is good for 1,000 s."""

    key: str = "k"
    in_query: str = ""

    def request(self, now: float) -> Request:
        origin = Origin.parse("https://tokens.test/t")
        return Request(origin, origin.head("POST", "", ()), self.key.encode())

    def read(self, body: bytes, now: float) -> Token:
        if body == b"no":
            raise UpstreamDenied("no token for this key")
        return Token(body.decode(), now + 1_000, self.in_query)


ORIGIN = Origin.parse("https://models.test/v1")
CALL = Request(ORIGIN, ORIGIN.head("POST", "/chat", (("x-own", "1"),)), b"{}")


class Clock:
    now = 5_000.0

    def __call__(self) -> float:
        return self.now


def replies(*bodies: bytes) -> Fake:
    return Fake([Script(body=body) for body in bodies])


def test_one_request_serves_everybody_who_waits_and_those_who_come_later(run: Run) -> None:
    async def main() -> None:
        fake = replies(b"t1", b"t2")
        tokens = Tokens(fake, Plain(), Clock())
        found = await asyncio.gather(*(tokens.get() for _ in range(9)))
        assert [token.value for token in found] == ["t1"] * 9
        assert b"\r\nauthorization: Bearer t1\r\n" in (await proven(CALL, tokens)).wire()
        assert [sent.request.body for sent in fake.sent] == [b"k"]

    run(main())


@pytest.mark.parametrize(("path", "asked"), [("/chat", "?"), ("/chat?stream=1", "?stream=1&")])
def test_a_token_may_travel_in_the_query_and_then_in_no_header(
    run: Run, path: str, asked: str
) -> None:
    async def main() -> None:
        tokens = Tokens(replies(b"24.a b/c&d"), Plain(in_query="access_token"), Clock())
        call = Request(ORIGIN, ORIGIN.head("POST", path, (("x-own", "1"),)), b"{}")
        sent = (await proven(call, tokens)).wire().decode()
        place = f"/v1/chat{asked}access_token=24.a+b%2Fc%26d"
        assert sent.startswith(f"POST {place} HTTP/1.1\r\nhost: models.test\r\n")
        assert sent.endswith("\r\nx-own: 1\r\ncontent-length: 2\r\n\r\n{}")
        assert "authorization" not in sent
        assert "24." not in repr(await tokens.get())

    run(main())


def test_a_token_near_its_end_is_used_while_the_next_is_fetched(run: Run) -> None:
    async def main() -> None:
        clock = Clock()
        tokens = Tokens(replies(b"t1", b"t2"), Plain(), clock)
        assert (await tokens.get()).value == "t1"
        clock.now += 1_000 - EARLY_S + 1
        assert (await tokens.get()).value == "t1"
        await asyncio.sleep(0.01)
        assert (await tokens.get()).value == "t2"

    run(main())


def test_a_token_that_has_ended_is_not_used(run: Run) -> None:
    async def main() -> None:
        clock = Clock()
        tokens = Tokens(replies(b"t1", b"t2"), Plain(), clock)
        assert (await tokens.get()).value == "t1"
        clock.now += 1_000
        assert (await tokens.get()).value == "t2"

    run(main())


def test_a_token_that_is_refused_is_fetched_anew(run: Run) -> None:
    async def main() -> None:
        tokens = Tokens(replies(b"t1", b"t2"), Plain(), Clock())
        assert (await tokens.get()).value == "t1"
        tokens.told(500)
        assert (await tokens.get()).value == "t1"
        tokens.told(401)
        assert (await tokens.get()).value == "t2"

    run(main())


def test_a_refusal_reaches_every_waiter_and_is_not_remembered(run: Run) -> None:
    async def main() -> None:
        tokens = Tokens(replies(b"no", b"t1"), Plain(), Clock())
        found = await asyncio.gather(tokens.get(), tokens.get(), return_exceptions=True)
        assert [type(error) for error in found] == [UpstreamDenied] * 2
        assert found[0] is not found[1]
        assert (await tokens.get()).value == "t1"

    run(main())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_endpoint_that_is_busy_has_refused_no_key(run: Run, status: int) -> None:
    async def main() -> None:
        fake = Fake([Script(status=status, body=b"no"), Script(body=b"t1")])
        tokens = Tokens(fake, Plain(), Clock())
        with pytest.raises(UpstreamFailed, match=f"tokens.test answered .* with {status}"):
            await tokens.get()
        assert (await tokens.get()).value == "t1"

    run(main())


def test_a_renewal_that_fails_leaves_the_token_in_use(run: Run) -> None:
    async def main() -> None:
        clock = Clock()
        down = Script(error=UpstreamUnreachable("nobody there"))
        tokens = Tokens(Fake([Script(body=b"t1"), down]), Plain(), clock)
        assert (await tokens.get()).value == "t1"
        clock.now += 1_000 - EARLY_S + 1
        for _ in range(2):
            assert (await tokens.get()).value == "t1"
            await asyncio.sleep(0.01)
        clock.now += EARLY_S
        with pytest.raises(UpstreamUnreachable):
            await tokens.get()

    run(main())


def test_a_failed_request_for_a_token_says_nothing_was_billed(run: Run) -> None:
    async def main() -> None:
        broken = UpstreamBroken("cut")
        broken.reached = True
        with pytest.raises(UpstreamBroken) as caught:
            await Tokens(Fake([Script(error=broken)]), Plain(), Clock()).get()
        assert caught.value.reached is False

    run(main())


def test_a_caller_who_leaves_takes_nobody_elses_token_along(run: Run) -> None:
    async def main() -> None:
        tokens = Tokens(replies(b"t1"), Plain(), Clock())
        first, second = (asyncio.ensure_future(tokens.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).value == "t1"
        assert first.cancelled()

    run(main())


def test_a_stream_is_no_token(run: Run) -> None:
    async def main() -> None:
        tokens = Tokens(Fake([Script(chunks=(b"t1",))]), Plain(), Clock())
        with pytest.raises(UpstreamBroken, match="in pieces"):
            await tokens.get()

    run(main())


@pytest.mark.parametrize("body", [b"t\r\nx-evil: 1", b"t\x00", "t\u2028".encode()])
def test_what_no_header_carries_is_no_token(run: Run, body: bytes) -> None:
    """It is their failure: the next target is asked, and no caller is told to mend a header."""

    async def main() -> None:
        with pytest.raises(UpstreamBroken, match="no token"):
            await Tokens(replies(body), Plain(), Clock()).get()

    run(main())


def test_targets_with_one_key_share_its_tokens(run: Run) -> None:
    async def main() -> None:
        purse = Purse(replies(b"t1"))
        assert purse.of(Plain("a")) is purse.of(Plain("a"))
        assert purse.of(Plain("a")) is not purse.of(Plain("b"))
        assert await proven(CALL, None) is CALL

    run(main())
