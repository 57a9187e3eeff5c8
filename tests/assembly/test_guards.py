"""That a reload finds its guards compiled, and that what is wrong in them is said all the same."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from octoplex.assembly.guards import prepared
from octoplex.reflex.guard.masks import Hash
from octoplex.reflex.guard.ruling import _detector, compile_ruling
from octoplex.server import serve
from octoplex.settings import Settings, parse
from octoplex.wire.error import BadConfig
from tests.assembly.scene import opened


def keyed(text: bytes) -> bytes:
    return text


def test_what_was_prepared_is_shared() -> None:
    settings = parse(
        '[guard]\npii = "mask"\n[models.a]\ntry = ["openai/x"]\nguard = { words = ["heron"] }'
    )
    prepared(settings, {}, keyed)
    made = _detector.cache_info().misses
    assert compile_ruling(settings.guard, keyed, str) is not None
    own = settings.models["a"].guard
    assert own is not None
    assert compile_ruling(own.over(settings.guard), keyed, str) is not None
    assert _detector.cache_info().misses == made


def test_what_is_wrong_is_refused() -> None:
    settings = parse('[guard]\npii = { emial = "mask" }')
    with pytest.raises(BadConfig, match="email"):
        prepared(settings, {}, keyed)


def test_a_reload_does_it_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(settings: Settings, env: Mapping[str, str], keyed: Hash) -> None:
        threads.append(threading.current_thread())
        prepared(settings, env, keyed)

    async def main() -> None:
        async with opened(tmp_path, "", {}) as at:
            assert await at.reload('[guard]\npii = "mask"\n') == ""
            assert await at.reload('[guard]\npii = { emial = "mask" }\n')
            assert at.gateway.settings.guard.pii == "mask"

    monkeypatch.setattr(serve, "prepared", noted)
    asyncio.run(main())
    assert threads
    assert threading.main_thread() not in threads
