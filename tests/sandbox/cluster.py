#!/usr/bin/python3 -IS
"""A program in the place of `kubectl`, with a cluster behind it that is a folder.

What it must is a JSON file beside it, `must.json`; what it was told goes to `told`, a list for each
line. Objects lie in `objects`, and what a pod's containers share in `root`, where the archive and
the script that it is told to run are really unpacked, run and packed. It runs nothing else.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).parent
MUST = json.loads((HERE / "must.json").read_text())
ROOT = HERE / "root"
WORDS = [word for word in sys.argv[1:] if not word.startswith(("--context=", "--namespace="))]
END_ALL = "[ -r /octoplex/run ] && kill -9 -1"


def objects(kind: str) -> dict[str, dict]:
    files = sorted((HERE / "objects").glob(f"{kind}.*"))
    return {file.name.partition(".")[2]: json.loads(file.read_text()) for file in files}


def keep(kind: str, name: str, one: dict) -> None:
    (HERE / "objects").mkdir(exist_ok=True)
    (HERE / "objects" / f"{kind}.{name}").write_text(json.dumps(one))


def create() -> None:
    one = json.loads(sys.stdin.read())
    kind, name = one["kind"].lower(), one["metadata"]["name"]
    one["metadata"]["uid"] = f"uid-of-{name}"
    keep(kind, name, one)
    if kind == "job" and "events" not in MUST:
        pod_of(one, name)
    print(json.dumps(one))


def pod_of(job: dict, name: str) -> None:
    spec = job["spec"]["template"]["spec"] | MUST.get("spec", {})
    running = [{"name": one["name"], "state": {"running": {}}} for one in spec["containers"]]
    about = {
        "name": f"{name}-x",
        "namespace": MUST.get("namespace", ""),
        "labels": job["spec"]["template"]["metadata"]["labels"],
    }
    about["ownerReferences"] = [{"uid": MUST.get("owner", f"uid-of-{name}")}]
    status = {"phase": "Running", "containerStatuses": running} | MUST.get("status", {})
    keep("pod", f"{name}-x", {"metadata": about, "spec": spec, "status": status})
    for place in ("workspace", "files", "octoplex", "told"):
        (ROOT / place).mkdir(parents=True)
        (ROOT / place).chmod(0o777)


def get() -> None:
    kind = WORDS[1]
    if kind == "pod":
        print(json.dumps(objects("pod")[WORDS[2]]))
    elif kind == "jobs":
        print("\n".join(f"job.batch/{name}" for name in objects("job")))
    elif kind == "events":
        print(json.dumps({"items": MUST["events"]}))
    else:
        found = list(objects(kind.rstrip("s").replace("policie", "policy")).values())
        print(json.dumps({"items": found + (MUST.get("policies", []) if "pol" in kind else [])}))


def execute() -> None:
    argv = WORDS[WORDS.index("--") + 1 :]
    if argv[0] == "tar":
        sys.exit(subprocess.run([*argv[:-1], str(ROOT)], check=False).returncode)
    if argv == ["sh", "/octoplex/run"]:
        program()
    elif argv == ["sh", "-c", END_ALL]:
        end_all()
    elif argv[:2] == ["sh", "-c"] and argv[2].startswith("chmod -R u+rX "):
        line = argv[2].replace(" -C / ", f" -C {ROOT} ")
        done = subprocess.run(["sh", "-c", line], cwd=ROOT, check=False, stdout=-1)
        sys.stdout.buffer.write(done.stdout[: MUST.get("breaks_off")])
        sys.exit(MUST.get("packs", done.returncode))
    else:
        sys.exit(f"it was told to run {argv}")


def program() -> None:
    script = (ROOT / "octoplex" / "run").read_text().replace("/told/", f"{ROOT}/told/")
    (HERE / "started").write_text("")
    process = subprocess.Popen(
        ["sh", "-c", script],
        cwd=ROOT / "workspace",
        env={"PATH": os.environ["PATH"], "OF": "the image"},
        start_new_session=True,
    )
    with (HERE / "pids").open("a") as pids:
        pids.write(f"{process.pid}\n")
    status = process.wait()
    if "ended" in MUST:
        (ROOT / "told" / "status").unlink(missing_ok=True)
        for name, one in objects("pod").items():
            one["status"]["containerStatuses"][0]["state"] = {"terminated": MUST["ended"]}
            keep("pod", name, one)
        status = 137
    sys.stderr.write(f"command terminated with exit code {status}\n" if status else "")
    sys.exit(status)


def end_all() -> None:
    """What the run left going: its own group, and nobody else's."""
    file = HERE / "pids"
    for pid in file.read_text().split() if file.exists() else ():
        try:
            os.killpg(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def delete() -> None:
    end_all()
    shutil.rmtree(ROOT, ignore_errors=True)
    for word in WORDS[1:]:
        kind, _, name = word.partition("/")
        (HERE / "objects" / f"{kind}.{name}").unlink(missing_ok=True)
        (HERE / "objects" / f"pod.{name}-x").unlink(missing_ok=True)


def main() -> None:
    with (HERE / "told").open("a") as told:
        told.write(json.dumps(sys.argv[1:]) + "\n")
    what = " ".join(WORDS[:2])
    if what in MUST.get("fails", {}):
        sys.exit(MUST["fails"][what])
    time.sleep(100 if what == MUST.get("hangs") else 0)
    if what == "config current-context":
        print("somewhere")
    else:
        {"create": create, "get": get, "exec": execute, "delete": delete}[WORDS[0]]()


main()
