"""What the code itself must not do, and what is shipped: read from the sources and the locks."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.test_house import HOUSE, MODULES, ROOT, name


def test_s45_bandit_finds_nothing() -> None:
    """Of medium severity and above. What it may not look for, and why, is in pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-ll", "-c", "pyproject.toml", "-r", "src"],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def _audited(code: str) -> str:
    """Run code under an audit hook that ends it at the first event of these kinds."""
    hook = (
        "import sys\n"
        "BAD = ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'subprocess.Popen', "
        "'os.system', 'os.exec', 'os.posix_spawn', 'pickle.find_class', 'marshal.load')\n"
        "def hook(event, args):\n"
        "    if event in BAD:\n"
        "        raise RuntimeError(f'{event} {args}')\n"
        "sys.addaudithook(hook)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hook + code], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr


def test_s70_s72_importing_everything_touches_no_network_and_starts_nothing() -> None:
    """LiteLLM 1.82.8 ran at every start of Python; here an import does nothing but import."""
    modules = [
        ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts)
        for path in MODULES
        if path.name != "__main__.py" and "local/serve" not in str(path)
    ]
    told = _audited("".join(f"import {m.removesuffix('.__init__')}\n" for m in modules))
    assert told == ""


def test_s70_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
         "-w", tmp_path, ROOT],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    kinds = {"py", "pyi", "typed", "toml", "json", "sql", "txt"}
    for held in names:
        top = held.split("/")[0]
        assert top == "octoplex" or re.fullmatch(r"octoplex-[\d.]+\.dist-info", top), held
        if top == "octoplex":
            assert held.rpartition(".")[2] in kinds, held
        assert not held.endswith((".pth", ".so", ".pyc")), held


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=name)
def test_s71_every_package_is_pinned_with_its_hashes(lock: Path) -> None:
    text = lock.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ]+", line), line
        assert "--hash=sha256:" in line, line
        assert "://" not in line


def test_s71_the_bill_of_materials_is_what_the_lock_installs() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "sbom"], capture_output=True, text=True, check=True
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements" / "core.txt").read_text()
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;\n\\]+)", lock, re.MULTILINE)
    names = [(one["name"], one["version"]) for one in bill["components"]]
    assert names == [(re.sub("[-_.]+", "-", name).lower(), version) for name, version in pins]
    hashes = [p["value"] for one in bill["components"] for p in one["properties"]]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", lock)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split("[^A-Za-z0-9_-]", one)[0] for one in project["dependencies"]}
    assert wanted <= {name for name, _ in names}


def test_s71_what_is_locked_has_been_out_for_a_week() -> None:
    """`tools/lock` asks for nothing newer: the resolver is given the day."""
    script = (ROOT / "tools" / "lock").read_text()
    (day,) = re.findall(r"before=\$\((.*?)\)\n", script, re.DOTALL)
    said = f"cd {ROOT}; COOLDOWN_DAYS=; printf %s $({day})"
    done = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True)
    age = datetime.now(UTC).date() - date.fromisoformat(done.stdout)
    assert age.days in (7, 8)  # midnight may come between
    assert script.count('--exclude-newer "$before"') == 1
    assert script.count('uv" pip compile') == 1


def test_s72_a_gateway_that_starts_tells_nobody(tmp_path: Path) -> None:
    """Local servers are looked for on loopback; no name is looked up, nobody else is reached."""
    hook = """
import sys
HERE = ("127.0.0.1", "::1", "localhost")
def hook(event, args):
    if event == "socket.getaddrinfo" and args[0] not in HERE:
        raise SystemExit(f"{event} {args}")
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in HERE:
        raise SystemExit(f"{event} {args}")
sys.addaudithook(hook)
from octoplex import Octoplex
with Octoplex() as here:
    print(len(here.models()))
"""
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "canary-key"}
    done = subprocess.run(
        [sys.executable, "-c", hook],
        capture_output=True, text=True, timeout=60, check=False, env=env,
    )  # fmt: skip
    assert done.stderr == ""
    assert int(done.stdout) > 0


def test_the_dependencies_of_the_core_are_the_few_that_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 15
