"""A route's `deadline_s` bounds all that is waited for: a guard's judge, an embedding, a budget."""

import asyncio
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, file, route, until
from tests.server.inside import inside
from tests.upstream_server import Upstream, stalls

LIMIT = "deadline_s = 0.4"
SOON_S = 5.0
"""Long before what is waited for would come, and long after the deadline: the machine is slow."""
WAITS = {
    "judge": "[models.main.guard]\njudge = 'models.aside'\njudge_s = 30.0",
    "embedding": (
        "[models.main.cache]\nttl = '1 h'\nsemantic = { model = 'b/m', min = 0.95, wait_s = 10.0 }"
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", WAITS)
def test_it_ends_what_is_asked_before_the_route(
    tmp_path: Path, run: Run, what: str, stream: bool
) -> None:
    async def main() -> None:
        text = route("main", "a/m", more=f"{LIMIT}\n{WAITS[what]}") + route("aside", "b/m")
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(stalls()) as aside,
            inside(tmp_path, file(text, a=up, b=aside)) as gate,
            asyncio.timeout(SOON_S),
        ):
            reply = await gate.chat("main", stream=stream)
            assert (reply.status, len(aside.book), len(up.book)) == (504, 1, 0)

    run(main())


def test_it_ends_the_wait_for_money_that_is_held(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        keys = '[keys.app]\nsecret = "env:APP_KEY"\nlimits = "$0.0009/total"\n'
        text = route("main", "a/m", more=LIMIT) + route("free", "a/m") + keys
        key = b"authorization: Bearer %b\r\n" % APP_KEY.encode()
        async with (
            Upstream(stalls()) as up,
            inside(tmp_path, file(text, "budget_wait_s = 30.0", a=up)) as gate,
            gate.line() as first,
            gate.line() as second,
            asyncio.timeout(SOON_S),
        ):
            for line, model in ((first, "free"), (second, "main")):
                line.send(gate.question(model).replace(b"\r\n", b"\r\n" + key, 1))
                await until(lambda: up.book)
            assert (await second.reply()).status == 402
            first.leave()

    run(main())
