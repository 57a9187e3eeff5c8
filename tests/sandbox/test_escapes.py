"""Nothing gets out: every attempt fails inside, and is one that succeeds outside."""

import os

import pytest

from octoplex.sandbox import bubblewrap
from tests.sandbox.host import (
    aimed_at,
    attempted_behind_a_fence,
    attempted_inside,
    attempted_outside,
    needs_sandbox,
    workspace,
)
from tests.sandbox.host import folder as folder_of

pytestmark = needs_sandbox
AT_LEAST = 70


@pytest.mark.parametrize("by", ["root", "user"])
def test_no_attempt_gets_through(by: str) -> None:
    with aimed_at(by) as facts, folder_of(by) as path, folder_of("root") as other:
        inside = attempted_inside(by, facts, workspace(path, by))
        outside = attempted_outside(facts, workspace(other, "root"))
    assert not [why for why in (inside | outside).values() if "Traceback" in why]
    assert {name for name, why in inside.items() if not why} == set()
    real = {name for name, why in outside.items() if not why}
    assert len(real) >= AT_LEAST or os.geteuid() != 0, outside


NOT_FENCED = {
    "see_host_name",
    "write_hook",
    "write_git_config",
    "replace_git_config",
    "rename_git",
    "write_editor_tasks",
    "write_shell_start",
}
"""What landlock alone does not stop, as `fenced.py` says."""


@pytest.mark.skipif(os.geteuid() != 0, reason="landlock alone is a way for root")
def test_behind_landlock_alone_only_what_is_said_gets_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    with aimed_at("root") as facts, folder_of("root") as path:
        found = attempted_behind_a_fence(facts, workspace(path, "root"))
    assert {name for name, why in found.items() if not why} == NOT_FENCED
