"""S36: JSON that is meant to hurt, at every door that takes a body: a 400, and nobody waits."""

from pathlib import Path

import pytest

from tests.security.test_doors import CHAT, asks
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, file
from tests.upstream_server import Upstream

DOORS = sorted({path for path, _ in asks("a/m") if not path.startswith("/providers/")})
COUNT = "/v1/messages/count_tokens"
SAID = '"messages":[{"role":"user","content":"x"}]'


def _deep(opening: str, closing: str, depth: int) -> bytes:
    return (opening * depth + closing * depth).encode()


def _many(count: int, between: str = "") -> str:
    return ",".join([f'"k{number}"{between}:{number}' for number in range(count)])


HURTS = {
    "deep arrays": _deep("[", "]", 10_000),
    "deep objects": _deep('{"a":', "}", 10_000)[:-10_000] + b"1" + b"}" * 10_000,
    "deep messages": b'{"model":"a/m","messages":' + _deep("[", "]", 100_000) + b"}",
    "a number above all": b'{"model":"a/m","max_tokens":1e400,%b}' % SAID.encode(),
    "a long number": b'{"model":"a/m","max_tokens":%b,%b}' % (b"9" * 5_000, SAID.encode()),
    "two models": b'{"model":"a/m","model":"b/m",%b}' % SAID.encode(),
    "two models, spelt twice": b'{"model":"a/m","mod\\u0065l":"b/m",%b}' % SAID.encode(),
    "a mark of byte order": b'\xef\xbb\xbf{"model":',
    "half a surrogate": b'{"model":"a/m","messages":[{"role":"user","content":"\\ud800',
    "null": b"null",
    "a text": b'"a"',
    "a list": b"[]",
    "nothing": b"",
    "a million members": f'{{"model":"a/m","max_tokens":5,{SAID},{_many(1_000_000)}}}'.encode(),
    "20,000 members": f'{{"model":"a/m","max_tokens":5,{SAID},{_many(20_000)}}}'.encode(),
    "a million members, spaced": (
        f'{{"model":"a/m","max_tokens":5,{SAID},{_many(1_000_000, " ")}}}'.encode()
    ),
    "a million members in a message": (
        f'{{"model":"a/m","max_tokens":5,"messages":[{{"role":"user",{_many(1_000_000)}}}]}}'.encode()
    ),
}  # fmt: skip
BILLION = b'{"model":"a/m","messages":[{"role":"user","content":' + b"9" * 200_000 + b"}]}"


@pytest.mark.parametrize("name", HURTS)
def test_s36_json_that_is_meant_to_hurt_is_a_400(tmp_path: Path, run: Run, name: str) -> None:
    """Nobody is asked for it, and the event loop never stood still over it."""
    body = HURTS[name]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for path in DOORS:
                reply = await gate.post(path, body)
                if "number" in name and path == COUNT:  # a limit is no concern of who counts
                    assert reply.status == 200
                    continue
                assert reply.status == 400, (path, reply.status, reply.body[:300])
                assert len(reply.body) < 2_000
            assert up.book == []
            metrics = (await gate.get("/metrics")).body
            assert b"octoplex_stalls_total 0\n" in metrics

    run(main())


def test_s36_what_the_provider_is_to_judge_goes_there_as_it_came(tmp_path: Path, run: Run) -> None:
    """A number of 200,000 digits in the place of a text: not read where nobody needs it."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            assert (await gate.post(CHAT, BILLION)).status == 200
            assert b"9" * 200_000 in up.book[0].body
            for path in DOORS:
                if path != CHAT:
                    assert (await gate.post(path, BILLION)).status == 400, path
            assert len(up.book) == 1
            assert b"octoplex_stalls_total 0\n" in (await gate.get("/metrics")).body

    run(main())
