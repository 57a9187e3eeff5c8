"""That a reload finds its guards compiled, and that what is wrong in them is said all the same."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from octoplex.agents.plan import Criterion
from octoplex.agents.task import Task
from octoplex.assembly.assigning import Rights, checked
from octoplex.assembly.guards import prepared
from octoplex.reflex.guard.masks import Hash
from octoplex.reflex.guard.ruling import _detector, compile_ruling
from octoplex.server import serve
from octoplex.settings import Settings, parse
from octoplex.wire.error import BadConfig, Blocked
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


def test_a_task_is_kept_as_the_guard_lets_it_pass(tmp_path: Path) -> None:
    """All that its giver says. What is to be a token is one for models only: arms need the text."""
    mail, card = "ana.maria@acme.org", "4111 1111 1111 1111"
    said = f"{mail} {card}"
    task = Task(
        goal=said,
        constraints=(said,),
        acceptance_criteria=(said, Criterion("contains", at="/x", value={card: said})),
        metadata={card: said},
    )
    text = "[guard]\npii = { default = 'mask', email = 'token' }\nsecrets = 'block'\n"

    async def main() -> None:
        async with opened(tmp_path, text, {}) as at:
            kept = await checked(at.gateway, Rights(), "task-1", task)
            want = f"{mail} [CREDIT_CARD]"
            assert (kept.goal, kept.constraints) == (want, (want,))
            criterion = Criterion("contains", at="/x", value={"[CREDIT_CARD]": want})
            assert kept.acceptance_criteria == (want, criterion)
            assert kept.metadata == {"[CREDIT_CARD]": want}
            secret = Task(goal="x", metadata={"k": "ghp_" + "c4n4ry" * 6})
            with pytest.raises(Blocked, match="github_token"):
                await checked(at.gateway, Rights(), "task-2", secret)

    asyncio.run(main())


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
