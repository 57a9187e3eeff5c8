"""Files that nobody meant to write yet: a reload leaves the old one in force, under load."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route
from tests.server.supervisor.test_crashes import Load
from tests.upstream_server import Upstream

KEY = "[keys.app]\nsecret = 'env:APP_KEY'\n"


def text(up: Upstream, server: str = "", key: str = KEY) -> str:
    return file(route("main", "a/m") + key, server, a=up)


async def said_by_all(gate: Gate, why: str) -> None:
    """Whichever worker is asked: the owner tells them right after its reply."""
    for _ in range(200):
        said = [(await gate.get("/health/ready")).json["config_error"] for _ in range(4)]
        if all(why in (one or "") for one in said):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{why!r} is not said: {said}")


@pytest.mark.parametrize("server", ["", "workers = 2"])
def test_what_is_no_whole_file_is_not_put_in_force(tmp_path: Path, run: Run, server: str) -> None:
    """An editor that empties it first, a write that stopped, a path that leads elsewhere."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up, server), key=APP_KEY) as gate,
        ):
            good = gate.config.read_text()
            load = Load(gate, 4)
            for bad, why in (
                ("", "says nothing"),
                ("# to be written\n", "says nothing"),
                (good[: good.index("[keys")], "no [keys.NAME] any more"),
                (good[:-9], "not valid TOML"),
                (f"{good}[gaurd]\npii = 'mask'\n", 'did you mean "guard"'),
            ):
                gate.config.write_text(bad)
                assert why in (await gate.control({"do": "reload"}))["error"]
                await said_by_all(gate, why)
            gate.config.unlink()
            assert "cannot be read" in (await gate.control({"do": "reload"}))["error"]
            os.mkfifo(gate.config)
            assert "is no file now" in (await gate.control({"do": "reload"}))["error"]
            gate.config.unlink()
            gate.config.symlink_to("/dev/zero")
            assert "is no file now" in (await gate.control({"do": "reload"}))["error"]
            gate.config.unlink()
            gate.config.write_text(good)
            assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
            await load.answered(20)
            await load.stop()
            assert (set(load.statuses), load.broken) == ({200}, 0)

    run(main())


def test_a_server_without_keys_takes_no_empty_file_either(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up, key="")) as gate,
        ):
            good = gate.config.read_text()
            gate.config.write_text("")
            assert "says nothing" in (await gate.control({"do": "reload"}))["error"]
            assert (await gate.chat("main")).status == 200
            gate.config.write_text(good)

    run(main())


def test_what_counts_at_the_start_only_is_said(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            gate.write(text(up, "workers = 2\nlog = 'json'\nbudget_wait_s = 1.0"))
            said = (await gate.control({"do": "reload"}))["ok"]
            assert said == "reloaded; of server.log, server.workers at the next start only"
            assert said in gate.log.read_text()

    run(main())


def test_workers_are_given_the_file_that_was_looked_at(tmp_path: Path, run: Run) -> None:
    """While it is written over and over, all processes have one and the same."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up, "workers = 3"), key=APP_KEY) as gate,
        ):
            files = [
                gate.config.read_text() + f"[models.only{n}]\ntry = ['a/m']\n" for n in range(40)
            ]
            beside = tmp_path / "beside"

            async def write() -> None:
                for one in files * 20:
                    beside.write_text(one)
                    beside.rename(gate.config)
                    await asyncio.sleep(0)

            writing = asyncio.create_task(write())
            for _ in range(5):
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                shown = (await gate.control({"do": "config.show"}))["ok"]["models"]
                listed = [(await gate.get("/v1/models")).json["data"] for _ in range(12)]
                for rows in listed:
                    assert {row["id"] for row in rows} >= set(shown)
            await writing

    run(main())
