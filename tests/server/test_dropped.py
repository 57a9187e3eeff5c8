"""`x-octoplex-dropped` names what the target that answered was not told, and no other's."""

from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route
from tests.upstream_server import Upstream, says

HINTS = {"prompt_cache_key": "k", "verbosity": "low"}
FALLS = says(b'{"error": {"message": "Oops"}}', 500)
ONCE = "retry = { attempts = 1 }"


def dropped(headers: dict[str, str]) -> set[str]:
    return set(filter(None, headers.get("x-octoplex-dropped", "").split(", ")))


@pytest.mark.parametrize("region", ["", "region = 'eu'\n"])
def test_after_a_fallback_it_is_what_the_last_one_was_not_told(
    tmp_path: Path, run: Run, region: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(FALLS, says(provider.chat_body("Hi"))) as chat,
            Upstream(says(provider.message_body("Hi")), FALLS) as claude,
            Gate(
                tmp_path,
                file(
                    route("falls", "chat/m", "claude/m", more=ONCE)
                    + route("back", "claude/m", "chat/m", more=ONCE),
                    each=region,
                    claude=claude,
                    chat=chat,
                ),
            ) as gate,
        ):
            reply = await gate.chat("falls", **HINTS)
            assert reply.headers["x-octoplex-model"].startswith("claude/m")
            assert dropped(reply.headers) == set(HINTS)
            reply = await gate.chat("back", **HINTS)
            assert reply.headers["x-octoplex-model"].startswith("chat/m")
            assert dropped(reply.headers) == set()
            assert reply.headers["x-octoplex-attempts"] == "2"

    run(main())
