"""A workspace that is shown in part."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.shown import Shown
from octoplex.wire.error import InvalidCall
from tests.sandbox.host import PYTHON, folder, give, needs_sandbox, ran

BOTH = pytest.mark.parametrize("by", ["root", "user"])
TRIES = """
import os, sys
for name in sys.argv[1:]:
    try:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "a").write("x")
        print("wrote", name)
    except OSError as error:
        print(error.errno, name)
print(sorted(os.listdir(".")))
"""


def files(path: Path, by: str) -> None:
    for name in ("data/a", "out/b", "private/c", ".git/hooks/d", "e"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    for one in (path, *path.rglob("*")):
        give(one, by)


def tried(by: str, path: Path, *names: str, **parts: Any) -> list[str]:
    done: Result = ran(by, [PYTHON, "-c", TRIES, *names], workspace=Shown(path, **parts))
    assert done.status == 0, done.stderr
    return done.stdout.decode().splitlines()


@needs_sandbox
@BOTH
def test_only_what_is_shown_is_there_and_only_parts_are_written(by: str) -> None:
    with folder(by) as path:
        files(path, by)
        names = ("data/a", "out/b", "out/new/f", "f", "private/c")
        said = tried(by, path, *names, reads=("",), writes=("out",))
        assert said[:5] == ["30 data/a", "wrote out/b", "wrote out/new/f", "30 f", "30 private/c"]
        assert said[5] == "['.git', 'data', 'e', 'out', 'private']"
        said = tried(by, path, *names, reads=("data",), writes=("out", "nowhere"))
        assert said[:4] == ["30 data/a", "wrote out/b", "wrote out/new/f", "30 f"]
        assert said[4:] == ["30 private/c", "['data', 'out']"]
        assert tried(by, path, "f", reads=())[-1] == "[]"
        said = tried(by, path, ".git/hooks/d", "e", "g", reads=(), writes=("e", ".git"))
        assert said == ["30 .git/hooks/d", "wrote e", "30 g", "['.git', 'e']"]
    # What is shown as a whole is a workspace like any other.
    with folder(by) as path:
        files(path, by)
        assert tried(by, path, "f", writes=("",))[0] == "wrote f"


@needs_sandbox
def test_a_link_is_no_part() -> None:
    with folder("root") as path:
        (path / "out").symlink_to("/etc")
        (path / "in").mkdir()
        (path / "in/deep").symlink_to("/etc")
        for part in ("out", "out/ssl", "in/deep"):
            with pytest.raises(InvalidCall, match="link"):
                asyncio.run(Sandbox().run(["true"], workspace=Shown(path, ("",), (part,))))
    for part in ("../x", "/etc", "a/../..", "a\0b"):
        with pytest.raises(InvalidCall, match="below the workspace"):
            Shown("/x", (part,))


@needs_sandbox
def test_one_that_only_reads_does_not_wait_for_another_that_does() -> None:
    async def both(path: Path) -> int:
        begun = asyncio.Event()
        loop, shown = asyncio.get_running_loop(), Shown(path)
        box = Sandbox(tell=lambda *_: loop.call_soon_threadsafe(begun.set))
        first = asyncio.create_task(box.run(["sh", "-c", "echo; sleep 60"], workspace=shown))
        await begun.wait()
        second = await Sandbox().run(["true"], workspace=shown)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return second.status

    with folder("root") as path:
        assert asyncio.run(asyncio.wait_for(both(path), 20)) == 0
