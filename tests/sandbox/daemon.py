#!/usr/bin/python3
"""A program in the place of `docker` or `podman`: records what it is told, and does as it must.

What it must is a JSON file beside it, `must.json`; what it was told goes to `told`, a list for
each line, and `made` has the names of containers that are there.
"""

import json
import os
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).parent
MUST = json.loads((HERE / "must.json").read_text())
MADE = HERE / "made"


def after(word: str) -> str:
    return sys.argv[sys.argv.index(word) + 1]


def made() -> list[str]:
    return MADE.read_text().split() if MADE.exists() else []


def held() -> dict[str, object]:
    """As the daemon would say it of what it was told last."""
    told = json.loads((HERE / "create").read_text())
    limits = {one: int(told[told.index(word) + 1]) for one, word in WORDS.items()}
    own = {"NetworkMode": "none", "ReadonlyRootfs": "--read-only" in told, "Privileged": False}
    return {**limits, **own, **MUST.get("held", {})}


WORDS = {"Memory": "--memory", "MemorySwap": "--memory-swap", "PidsLimit": "--pids-limit"}


def create() -> None:
    (HERE / "create").write_text(json.dumps(sys.argv))
    MADE.write_text(" ".join([*made(), after("--name")]))
    for word in sys.argv:
        source = Path(word.partition("src=")[2].partition(",dst=/files")[0])
        if ",dst=/files," in word:
            modes = [oct(one.stat().st_mode & 0o777) for one in (source, *source.iterdir())]
            (HERE / "modes").write_text(" ".join(modes))
    (HERE / "variables").write_bytes(Path(after("--env-file")).read_bytes())


def start() -> None:
    (HERE / "started").write_text(str(os.getpid()))
    for stream, text in ((1, MUST.get("says", "")), (2, MUST.get("complains", ""))):
        os.write(stream, text.encode())
    while MUST.get("floods"):
        os.write(1, b"x" * 65_536)
    time.sleep(MUST.get("takes", 0))
    sys.exit(MUST.get("status", 0))


def kill() -> None:
    """A program that is only about to run cannot be ended yet; one can see who waits for it."""
    tries = len([line for line in (HERE / "told").read_text().splitlines() if '["kill"' in line])
    if tries <= MUST.get("starts_slowly", 0):
        sys.exit("can only kill running containers")
    if (HERE / "started").exists() and not (HERE / "killed").exists():
        pid = (HERE / "started").read_text()
        (HERE / "killed").write_text("attended" if Path(f"/proc/{pid}").exists() else "alone")


def inspect() -> None:
    what = after("--format")
    if "State.Status" in what:
        print(json.dumps(MUST.get("status_of", "created")))
        return
    if "HostConfig" in what:
        print(json.dumps(held()))
    elif "Volumes" in what:
        print(json.dumps(MUST.get("volumes")))
    else:
        usual = {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "StartedAt": "2026-11-22"}
        print(json.dumps({**usual, **MUST.get("state", {})}))


def main() -> None:
    what = sys.argv[1]
    with (HERE / "told").open("a") as told:
        told.write(json.dumps([*sys.argv[1:]]) + "\n")
    if what in MUST.get("fails", {}):
        sys.exit(MUST["fails"][what])
    time.sleep(100 if what == MUST.get("hangs") else 0)
    if what == "create":
        create()
    elif what == "start":
        start()
    elif what == "kill":
        kill()
    elif what == "ps":
        print("\n".join(made()))
    elif what == "rm":
        MADE.write_text(" ".join(name for name in made() if name != sys.argv[-1]))
    elif what in ("inspect", "image"):
        inspect()


main()
