"""Programs and files of a step: what it was granted is there, and nothing else happens."""

import asyncio
import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from octoplex.agents.arms.folder import Folder
from octoplex.agents.arms.running import Ran
from octoplex.agents.policy.policy import Command
from octoplex.agents.words import Failed, Order, World
from octoplex.sandbox.sandbox import Result
from tests.agents.arms.bench import ALL, ALLOW, Bench, nothing, site, workspace
from tests.sandbox.host import folder, needs_sandbox, started
from tests.shell import soon


@needs_sandbox
def test_python_has_inputs_as_variables_and_gives_a_value() -> None:
    with workspace(data__a_csv="1\n2\n") as place:
        bench = Bench(place)
        code = "n = sum(map(int, open('data/a.csv')))\nprint('n is', n)\nresult = {'n': n + more}"
        done = bench.do("executor.python", code=code, more=4)
        assert done.failure is None, done.why
        assert done.output["value"] == {"n": 7}
        assert done.output["text"] == "n is 3\n"
        assert [(e.kind, e.value) for e in done.evidence] == [("exit", 0)]
        assert done.is_untrusted
        failed = bench.do("executor.python", code="print('so far')\nraise ValueError('no rows')")
        assert failed.failure == "failed"
        assert "ValueError: no rows" in failed.why
        assert failed.output["text"] == "so far\n"
        assert bench.do("executor.python", code="result = float('nan')").failure == "failed"
        for inputs in ({}, {"code": "1", "file": "x.py"}, {"code": "1", "class": 2}):
            assert bench.do("executor.python", **inputs).failure == "refused"


@needs_sandbox
def test_a_script_is_run_as_it_was_seen() -> None:
    own = "import other, sys\nprint(__name__, __file__, sys.argv, other.X)"
    with workspace(src__job_py=own, src__other_py="X = 1") as place:
        bench, file = Bench(place), "src/job.py"
        told = [
            bench.do("executor.python", file=file, args=["a"], seen=seen)
            for seen in ({}, {file: sha256(own.encode()).hexdigest()})
        ]
        assert [one.failure for one in told] == [None, None], told
        assert told[0].output["text"].startswith("__main__ /workspace/")
        assert told[1].output["text"] == told[0].output["text"]
        (place / file).write_text("print('other')")
        changed = bench.do("executor.python", file=file, seen={file: "0" * 64})
        assert (changed.failure, "not what it was" in changed.why) == ("refused", True)


@needs_sandbox
def test_a_step_writes_where_it_may_and_sees_what_it_may() -> None:
    tried = """
import os
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return error.strerror
open("out/new.txt", "w").write("new")
result = [
    sorted(os.listdir(".")),
    tried(lambda: open("data/a.csv", "a")),
    tried(lambda: open("top.txt", "w")),
    tried(lambda: os.symlink("/etc/passwd", "link")),
    tried(lambda: os.rename("out", "outside")),
    tried(lambda: open("out/../data/b", "w")),
    tried(lambda: __import__("socket").create_connection(("1.1.1.1", 80), 1)),
]
"""
    with workspace(data__a_csv="1", private__key_txt="secret", out__old_txt="old") as place:
        bench = Bench(place)
        done = bench.do("executor.python", code=tried)
        assert done.failure is None, done.why
        assert done.output["value"][0] == ["data", "out", "private"]
        assert "done" not in done.output["value"][1:]
        new = sha256(b"new").hexdigest()
        assert [(a.path, a.size, a.sha256) for a in done.artifacts] == [("out/new.txt", 3, new)]
        narrow = ("read:workspace/data", "write:workspace/made", "run:python")
        done = bench.do("executor.python", narrow, code="import os\nresult = os.listdir('.')")
        assert sorted(done.output["value"]) == ["data", "made"]
        done = bench.do(
            "executor.python", ("run:python",), code="import os\nresult=os.listdir('.')"
        )
        assert done.output["value"] == []


@needs_sandbox
def test_a_part_that_is_a_link_is_not_shown() -> None:
    with workspace(data__a_csv="1") as place:
        (place / "out").symlink_to("/etc")
        done = Bench(place).do("executor.python", code="open('out/x', 'w')")
        assert done.failure == "failed"
        assert not Path("/etc/x").exists()


@needs_sandbox
def test_limits_end_a_step_and_say_so() -> None:
    with workspace() as place:
        bench = Bench(place)
        code = "print('\\x1b[2Jso far', flush=True)\n__import__('time').sleep(60)"
        late = bench.do("executor.python", code=code, seconds=1.0)
        assert (late.failure, late.text) == ("timeout", "so far\n")
        much = bench.do("executor.python", code="print('x' * 2_000_000)")
        assert (much.failure, "write to a file" in much.why) == ("failed", True)
        code = "open('out/a.txt', 'w').write('1')\nresult = 'x' * 2_000_000"
        much = bench.do("executor.python", code=code)
        assert (much.failure, "write to a file" in much.why) == ("failed", True)
        assert [one.path for one in much.artifacts] == ["out/a.txt"]


@needs_sandbox
def test_what_the_hosts_tools_obey_is_named() -> None:
    with workspace() as place:
        bench = Bench(place)
        done = bench.do("executor.python", ALL, code="open('.envrc', 'w').write('id')")
        assert ("planted", ".envrc") in [(e.kind, e.name) for e in done.evidence]


@needs_sandbox
def test_a_shell_runs_only_where_the_file_says_so_and_inside() -> None:
    with workspace(a_txt="1\n2\n") as place:
        bench = Bench(place)
        argv = ["sh", "-c", "wc -l < a.txt; id -u; cat /etc/shadow"]
        assert bench.do("executor.command", ALLOW, argv=argv).failure == "refused"
        done = bench.do("executor.command", ALL, argv=argv)
        assert done.output["stdout"].split() == ["2", "1000"]


@needs_sandbox
def test_hosts_are_reached_by_the_online_actions_alone() -> None:
    get = "from urllib.request import urlopen\nresult = urlopen(url).read().decode()"
    with workspace() as place, site({"/a": (200, "text/plain", "hello")}) as (port, asked):
        bench = Bench(place, ["127.0.0.0/8"])
        bench.hosts |= {"docs.example.com": "127.0.0.1", "evil.example.com": "127.0.0.1"}
        url, host = f"http://docs.example.com:{port}/a", f"docs.example.com:{port}"
        allow = (*ALLOW, f"net:{host}")
        curl = ["curl", "-sf", url]
        assert bench.do("executor.command_online", allow, argv=curl).output["stdout"] == "hello"
        done = bench.do("executor.python_online", allow, code=get, url=url, hosts=[host])
        assert done.output["value"] == "hello"
        assert len(asked) == 2
        evil = url.replace("docs", "evil")
        for refused in (
            bench.do("executor.command", allow, argv=curl),
            bench.do("executor.command_online", allow, argv=["curl", "-sf", evil]),
            bench.do("executor.python", allow, code=get, url=url),
            bench.do("executor.python_online", allow, code=get, url=evil, hosts=[host]),
            bench.do(
                "executor.python_online", allow, code=get, url=evil, hosts=["evil.example.com"]
            ),
            bench.do("executor.python_online", ALLOW, code=get, url=url, hosts=[host]),
        ):
            assert refused.failure, refused.output
        assert len(asked) == 2


def test_files_are_read_written_moved_and_removed() -> None:
    with workspace(data__a_csv="1,é") as place:
        bench = Bench(place)
        read = bench.do("executor.read", path="data/a.csv")
        assert read.output == {"text": "1,é", "size": 4}
        for given, found in (
            ({"text": "hi"}, b"hi"),
            ({"value": {"a": [1]}}, b'{\n  "a": [\n    1\n  ]\n}'),
            ({"base64": b64encode(b"\0\xff").decode()}, b"\0\xff"),
        ):
            done = bench.do("executor.write", path="out/deep/x.bin", **given)
            assert (place / "out/deep/x.bin").read_bytes() == found
            assert done.artifacts[0].sha256 == sha256(found).hexdigest()
        assert bench.do("executor.read", path="out/deep/x.bin").output["base64"] == "AP8="
        assert bench.do("executor.move", path="out/deep", to="out/low").failure is None
        names = [e["path"] for e in bench.do("executor.list", path="out").output["entries"]]
        assert names == ["out/low"]
        assert bench.do("executor.delete", path="out/low").failure is None
        assert not list((place / "out").iterdir())
        assert os.stat(place / "out").st_uid == os.stat(place).st_uid


def test_files_outside_of_the_grant_are_refused() -> None:
    with workspace(data__a_csv="1", out__b_txt="2") as place:
        bench = Bench(place)
        (place / "out/etc").symlink_to("/etc")
        (place / "out/up").symlink_to("../data")
        (place / "out/file").symlink_to("../data/a.csv")
        for action, inputs in (
            ("write", {"path": "data/a.csv", "text": "x"}),
            ("write", {"path": "outside", "text": "x"}),
            ("write", {"path": "out/../data/a.csv", "text": "x"}),
            ("write", {"path": "/etc/x", "text": "x"}),
            ("write", {"path": "out/etc/x", "text": "x"}),
            ("write", {"path": "out/up/x", "text": "x"}),
            ("write", {"path": "out", "text": "x"}),
            ("read", {"path": "out/etc/passwd"}),
            ("read", {"path": "out/file"}),
            ("list", {"path": "out/up"}),
            ("move", {"path": "data/a.csv", "to": "out/a.csv"}),
            ("move", {"path": "out/b.txt", "to": "data/b.txt"}),
            ("move", {"path": "out/b.txt", "to": "out/etc/b.txt"}),
            ("move", {"path": "out/b.txt", "to": "out/up"}),
            ("delete", {"path": "data"}),
            ("delete", {"path": "out/up/a.csv"}),
        ):
            assert bench.do(f"executor.{action}", **inputs).failure, (action, inputs)
        assert sorted(p.name for p in place.rglob("*")) == sorted(
            ["data", "a.csv", "out", "b.txt", "etc", "up", "file"]
        )
        assert bench.do("executor.write", path="out/file", text="new").failure is None
        assert (place / "data/a.csv").read_text() == "1", "a link is replaced, never followed"
        for action, path in (("list", "data"), ("python", "data/a.csv")):
            named = {"file" if action == "python" else "path": path}
            done = bench.do(f"executor.{action}", (*ALLOW[1:], "read:workspace/out"), **named)
            assert (done.failure, "read:workspace/data" in done.why) == ("refused", True), action


@needs_sandbox
def test_names_that_are_no_text_and_folders_that_nobody_follows_do_no_harm() -> None:
    deep = (
        "import os\nos.chdir('out')\nfor _ in range(2_000):\n    os.mkdir('d')\n    os.chdir('d')"
    )
    with workspace(out__a_txt="1") as place:
        bench = Bench(place)
        name = "open(b'out/\\xff', 'w')\nopen('out/\u00e9', 'w')\n"
        done = bench.do("executor.python", code=name)
        assert [one.path for one in done.artifacts] == ["out/\u00e9"]
        names = [e["path"] for e in bench.do("executor.list", path="out").output["entries"]]
        assert names == ["out/a.txt", "out/\u00e9"]
        (place / "out/\u00e9").unlink()
        os.unlink(os.fsencode(place / "out") + b"/\xff")
        assert bench.do("executor.python", code=deep).failure is None
        assert list(Folder(place).state()) == ["out/a.txt"]
        assert bench.do("executor.delete", path="out/d").failure is None
        assert [one.name for one in (place / "out").iterdir()] == ["a.txt"]


def test_what_cannot_be_read_or_removed_is_a_failure() -> None:
    with folder("user") as place:
        inner = place / "out/inner"

        def kept() -> str:
            inner.mkdir(parents=True)
            (inner / "a.txt").write_text("1")
            inner.chmod(0o500)
            try:
                Folder(place).delete("out")
            except Failed as error:
                return str(error)
            finally:
                inner.chmod(0o700)
            return "it says that it is gone"

        assert "could not be removed" in started("user", kept)
        with pytest.raises(Failed):
            Folder(place / "away").read("a.txt")


def test_what_the_hosts_tools_obey_stays_as_it_is() -> None:
    with workspace(_git__config_x="") as place:
        own = Folder(place)
        for name in (
            ".git/hooks/pre-commit",
            ".git/config",
            ".bashrc",
            ".vscode/x",
            ".git",
            ".ssh",
        ):
            with pytest.raises(Failed, match="obeyed by tools"):
                own.write(name, b"")
        for work in (lambda: own.delete(".git"), lambda: own.move("a", ".git")):
            with pytest.raises(Failed, match="obeyed by tools"):
                work()
        assert own.write("sub/.gitignore", b"x").size == 1


def test_a_token_is_asked_for_before_anything() -> None:
    with workspace() as place:
        bench = Bench(place)
        world = World(ask=nothing, workspace=place, allow=ALL)
        for grant in ("", "x.y"):
            order = Order("t", "s", "executor.write", {"path": "a", "text": "b"}, grant=grant)
            with pytest.raises(Failed, match="capability token"):
                asyncio.run(bench.arms["executor"](order, world))
        with pytest.raises(Failed, match="no action"):
            asyncio.run(bench.arms["executor"](Order("t", "s", "executor.x"), world))
        assert not list(place.iterdir())
        assert bench.do("executor.write", ALL, path="a", size=3).failure == "refused"


@needs_sandbox
def test_cancelling_a_step_ends_its_program() -> None:
    with workspace(out__a_txt="") as place:
        bench = Bench(place)

        async def cancelled() -> None:
            code = "import time\nopen('out/begun', 'w')\ntime.sleep(60)\nopen('out/ended', 'w')"
            step = asyncio.create_task(bench.step("executor.python", {"code": code}))
            await soon(lambda: (place / "out/begun").exists())
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step

        asyncio.run(asyncio.wait_for(cancelled(), 20))
        assert not (place / "out/ended").exists()


def test_what_a_job_wrote_and_was_not_taken_is_named() -> None:
    result = Result(
        outcome="exited", status=0, stdout=b"", stderr=b"", wall_s=0.1, layers=(), left=("out/a",)
    )
    outcome = Ran(Command("python", ("python3",)), result).outcome(None, "")
    assert ("left", "out/a") in [(one.kind, one.name) for one in outcome.evidence]
